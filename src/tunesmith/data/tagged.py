"""Cells of labelled words: a list of words or a text, beside a tag for each word or spans of characters."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from tunesmith.core.errors import DataError, Where
from tunesmith.core.ledger import Ledger
from tunesmith.data import tagging
from tunesmith.data.formats.spans import check, claims_of, items_of
from tunesmith.data.table import Table
from tunesmith.data.tagging import Repair, Scheme, Span

Places = list[tuple[int, int]]
FIRST_ROWS = 50


class Tagged(NamedTuple):
    """The tags of one row.

    Attributes:
        tags: one a word: as they are written where the scheme is "plain", else in IOB2.
        repairs: what was not as it should be.
        reason: why the row can't be used, "" if it can.
    """

    tags: list[str]
    repairs: list[Repair]
    reason: str = ""


def words_of(cell: Any) -> tuple[str, Places]:
    """Return the text of a cell and where its words are: of a list its items, of a text what `tagging.words` says."""
    if isinstance(cell, list | tuple):
        return tagging.joined([str(word) for word in cell])
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return "", []
    return str(cell), tagging.words(str(cell))


def split_words(cell: Any) -> list[str]:
    """Return the words of a cell."""
    text, places = words_of(cell)
    return [text[start:end] for start, end in places]


def shared(one: Sequence[str], other: Sequence[str]) -> list[tuple[int, int]]:
    """Return the places of the words that two rows share, in their order (difflib's longest matching blocks)."""
    blocks = difflib.SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks()
    return [(block.a + k, block.b + k) for block in blocks for k in range(block.size)]


def is_tags(cell: Any) -> bool:
    """Whether a cell is a list of tags (names or numbers) rather than of spans."""
    return isinstance(cell, list | tuple) and bool(cell) and all(isinstance(tag, str | int) for tag in cell)


def read_table(table: Table, *, text: str, label: str, scheme: Scheme, split: str) -> tuple[Table, Ledger]:
    """Return the rows with words and labels, these as one tag a word, and what happened to the others.

    Args:
        table: rows as they were read.
        text: the column of words or texts.
        label: the column of tags or spans.
        scheme: how tags are written.
        split: where the rows are from.

    Raises:
        DataError: nothing usable is left.
    """
    ledger, kept, tags = Ledger(), [], []
    for row in range(len(table)):
        read = read_tags(table[text][row], table[label][row], scheme)
        where = table.where(row)
        if read.reason:
            ledger.add("set aside", read.reason, file=where.file, row=where.row, detail=split)
            continue
        for repair in read.repairs:
            detail = f"{repair.before} -> {repair.after}" if repair.after else repair.before
            ledger.add("changed", repair.reason, file=where.file, row=where.row, detail=detail)
        kept.append(row)
        tags.append(read.tags)
    if not kept:
        fix = "name other columns with --text and --label"
        raise DataError("no row has words and labels", where=Where(table.files[0], column=label), fix=fix)
    return table.take(kept).replace(**{label: tags}), ledger


def read_tags(cell: Any, label: Any, scheme: Scheme) -> Tagged:
    """Return the tags of a row's words.

    Args:
        cell: the words, or the text.
        label: a tag a word, or spans.
        scheme: how tags are written.
    """
    text, places = words_of(cell)
    if not places:
        return Tagged([], [], "no text")
    if is_tags(label):
        if len(label) != len(places):
            return Tagged([], [], "not one tag a word")
        tags = list(map(str, label))
        return Tagged(tags, []) if scheme == "plain" else Tagged(*tagging.to_iob2(tags, scheme))
    items = items_of(label)
    if items is None or (isinstance(cell, list | tuple) and not any(map(claims_of, items))):
        return Tagged([], [], "no label")
    return _of_spans(items, text, places, scheme)


def _of_spans(items: Sequence[Any], text: str, places: Places, scheme: Scheme) -> Tagged:
    checked = check(items, text)
    if items and not checked.cells:
        return Tagged([], [], checked.problems[0][0])
    spans = [Span(span["start"], span["end"], span["label"]) for span in checked.cells]
    whole, repairs = tagging.align(spans, places, text)
    tags = tagging.of_spans(whole, len(places))
    problems = [Repair(0, reason, detail, "") for reason, detail in checked.problems]
    return Tagged(tagging.spell(tags, "plain") if scheme == "plain" else tags, problems + repairs)


def tagged_rows(words: Sequence[Any], labels: Sequence[Any]) -> bool:
    """Whether most of the first rows hold lists of words beside as many tags, or texts beside lists with spans."""
    rows = list(zip(words, labels, strict=True))[:FIRST_ROWS]
    return sum(_words_with_tags(*row) for row in rows) > 0.5 * len(rows) or _texts_with_spans(rows)


def _words_with_tags(cell: Any, label: Any) -> bool:
    both = isinstance(cell, list | tuple) and is_tags(label)
    return both and len(cell) == len(label) and all(isinstance(word, str) for word in cell)


def _texts_with_spans(rows: Sequence[tuple[Any, Any]]) -> bool:
    fit = [(c, label) for c, label in rows if isinstance(c, str) and isinstance(label, list) and not is_tags(label)]
    return len(fit) > 0.5 * len(rows) and any(check(label, cell).cells for cell, label in fit)
