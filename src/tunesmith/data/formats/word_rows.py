"""Tables with one word a row: its sentence, the word, its tag, as spreadsheets and many CSV files have them."""

from __future__ import annotations

import csv
import io
import itertools
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError, Where
from tunesmith.data.formats.base import Found, Numbered, RowFormat, Written
from tunesmith.data.formats.conll import NO_TAG
from tunesmith.data.formats.words import as_tokens
from tunesmith.data.table import Table

WORDS = ("word", "token", "form")
TAGS = ("tag", "ner", "ner_tag", "entity", "label", "pos")
SENTENCES = ("sentence #", "sentence_id", "sent_id", "sentence id", "sentence", "sentence_number", "sid", "doc_id")


class WordRows(RowFormat):
    """A row a word; a sentence goes on as long as its number is the same, or left out."""

    name = "word-rows"
    title = "a table of words"
    task = "token-classification"
    columns = ("tokens", "tags")
    by_row = False

    def sniff(self, rows: Sequence[Mapping[str, Any]], *, sure: bool) -> bool:
        """Whether there are columns for the sentence, the word and its tag, with sentences of several words."""
        del sure
        names = _names(rows[0]) if rows else None
        if names is None:
            return False
        sentence, word, tag = names
        short = all(isinstance(row.get(word), str | None) and len(str(row.get(tag))) < 50 for row in rows)
        numbers = [row.get(sentence) for row in rows]
        goes_on = [_blank(number) or number == last for last, number in itertools.pairwise(numbers)]
        return short and sum(goes_on) > 0.5 * len(goes_on)

    def read(self, rows: Iterable[Numbered], file: str) -> Found:
        """Return `tokens` and `tags` of each sentence; other columns are lists, too."""
        found = Found((file,))
        names: tuple[str, str, str] | None = None
        block: list[Numbered] = []
        for number, row in rows:
            names = names or _names(row)
            if names is None:
                fix = 'name the columns "sentence_id", "word" and "tag"'
                raise DataError("there are no columns for sentence, word and tag", where=Where(file), fix=fix)
            sentence = row.get(names[0])
            if block and not _blank(sentence) and sentence != block[0][1].get(names[0]):
                _add(found, block, names)
                block = []
            block.append((number, row))
        if block and names:
            _add(found, block, names)
        return found

    def write(self, table: Table, out: Path) -> Written:
        """Return a CSV with `sentence_id`, `word` and `tag`."""
        ready = as_tokens(table, self.title)
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["sentence_id", "word", "tag"])
        for i, (tokens, tags) in enumerate(zip(ready.table["tokens"], ready.table["tags"], strict=True), 1):
            writer.writerows([i, token, tag] for token, tag in zip(tokens, tags, strict=True))
        return Written({out: stream.getvalue()}, ready.entries, [*ready.notes, *self.kept(ready.table, *self.columns)])


def _names(row: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """Return the columns of sentence, word and tag."""
    folded = {name.casefold().strip(): name for name in row}
    found = [next((folded[name] for name in names if name in folded), None) for names in (SENTENCES, WORDS, TAGS)]
    sentence, word, tag = found
    return (sentence, word, tag) if sentence and word and tag else None


def _blank(cell: Any) -> bool:
    return cell is None or not str(cell).strip() or (isinstance(cell, float) and math.isnan(cell))


def _add(found: Found, block: Sequence[Numbered], names: tuple[str, str, str]) -> None:
    _, word, tag = names
    for number, row in block:
        if _blank(row.get(tag)) or _blank(row.get(word)):
            found.say(
                "set aside", NO_TAG if _blank(row.get(tag)) else "a tag without a word", block[0][0], f"row {number}"
            )
            return
    others = {name: [row.get(name) for _, row in block] for name in block[0][1] if name not in names}
    tags = [sys.intern(str(row[tag]).strip()) for _, row in block]
    found.rows.append((block[0][0], {"tokens": [str(row[word]) for _, row in block], "tags": tags, **others}))
