"""Which column is the source and which the target: by name, or where there are just two of texts."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import Any

from tunesmith.core.errors import DataError, Where, did_you_mean
from tunesmith.core.notes import Note
from tunesmith.data.columns import profile
from tunesmith.data.formats.languages import is_language
from tunesmith.data.formats.pairs import NAMES
from tunesmith.data.table import Table

Pair = tuple[str, str]
DOCUMENTS = (
    "document", "article", "dialogue", "dialog", "text", "body", "content", "email", "message", "story", "report",
    "source", "input",
)  # fmt: skip
SUMMARIES = ("summary", "highlights", "headline", "tldr", "tl;dr", "subject", "title", "abstract", "target", "output")
FEWEST_WORDS = 1.5
"""Columns of fewer words a cell are names or numbers rather than texts."""
MOSTLY_DISTINCT = 0.5


def languages(names: Sequence[str]) -> Pair | None:
    """Return the columns of a translation: named source and target, or by two languages in this order."""
    plain = {name.casefold(): name for name in names}
    known = [(plain[a], plain[b]) for a, b in NAMES if a in plain and b in plain]
    codes = [name for name in names if is_language(name)]
    return known[0] if known else (codes[0], codes[1]) if len(codes) == 2 else None


def summaries(names: Sequence[str]) -> Pair | None:
    """Return the columns of a text and of its summary."""
    plain = {name.casefold(): name for name in names}
    target = next((plain[name] for name in SUMMARIES if name in plain), None)
    source = next((plain[name] for name in DOCUMENTS if name in plain and plain[name] != target), None)
    return (source, target) if source and target else None


def choose_sides(
    table: Table,
    *,
    text: str | None,
    label: str | None,
    known: Callable[[Sequence[str]], Pair | None],
    longer_first: bool,
    need_label: bool = True,
) -> tuple[str, str | None, list[Note]]:
    """Return the columns of sources and targets, and why these.

    Args:
        table: the rows.
        text: the column of sources, None where it is to be found.
        label: that of targets, likewise.
        known: tells the pair from the columns' names.
        longer_first: of two columns with other names, the longer texts are the sources; else the first is.
        need_label: whether there has to be a target.

    Raises:
        DataError: a column that is named is not there, or it is not clear which is which.
    """
    for name, flag in ((text, "--text"), (label, "--label")):
        if name is not None and name not in table.columns:
            fix = did_you_mean(name, list(table.columns)) or f"columns here: {', '.join(table.columns)}"
            raise DataError(f'there is no column "{name}"', where=Where(table.files[0]), fix=f"{flag}: {fix}")
    pair = known(list(table.columns)) or _two_texts(table, longer_first=longer_first)
    source = text or (pair[0] if pair else None)
    target = label or (pair[1] if pair else None)
    if source is None or (target is None and need_label) or source == target:
        raise _unclear(table)
    if text and label:
        return source, target, []
    others = [name for name in table.columns if name not in (source, target)]
    more = f"; not used: {', '.join(others)}" if others else ""
    message = f'source column "{source}"' + (f', target column "{target}"' if target else "") + more
    return source, target, [Note("info", "columns", message, fix="name others with --text and --label")]


def are_texts(table: Table, pair: Pair) -> bool:
    """Whether two columns hold texts, not classes: several words, and mostly other ones in each row."""
    return all(_is_text(table, name) for name in pair)


def _two_texts(table: Table, *, longer_first: bool) -> Pair | None:
    texts = [name for name in table.columns if _is_text(table, name)]
    if len(texts) != 2:
        return None
    if longer_first:
        texts.sort(key=lambda name: -profile(table[name]).length)
    return texts[0], texts[1]


def are_distinct(cells: Sequence[Any]) -> bool:
    """Whether cells are mostly other ones in each row, as those of classes are not."""
    found = profile(cells)
    return bool(found.n) and found.distinct >= MOSTLY_DISTINCT * found.n


def _is_text(table: Table, name: str) -> bool:
    return are_distinct(table[name]) and profile(table[name]).words >= FEWEST_WORDS


def _unclear(table: Table) -> DataError:
    names = [shlex.quote(name) for name in table.columns]
    fix = f"columns here: {', '.join(names)}; name them with --text and --label"
    return DataError("it is not clear which columns hold sources and targets", where=Where(table.files[0]), fix=fix)
