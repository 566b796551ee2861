"""Several labels a row, as people write them: lists, lists as text, names with separators, a column for each label."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunesmith.core.ledger import Entry
from tunesmith.core.wording import does
from tunesmith.data.formats.base import literal
from tunesmith.data.labels import LabelReading, fold, label_name, merge_case
from tunesmith.data.numbers import read_number
from tunesmith.data.spec import DataSpec
from tunesmith.data.table import Table

MARKS = "|;,/"
"""What may separate labels. A mark is taken for one where the parts stand elsewhere, too: "Sci/Tech" is one label."""
FLAGS = {"1": True, "1.0": True, "true": True, "yes": True, "0": False, "0.0": False, "false": False, "no": False}
FEWEST, LEAST = 3, 0.01
"""Rows, and their share, that list several labels before this is taken for more than a slip."""
MOSTLY = 0.9
LONGEST = 60
"""Characters of a label."""


@dataclass
class LabelSets:
    """The labels of a table's rows.

    Attributes:
        values: for each row its labels in the order of the cell, each once; None where that is not known.
        reasons: why not, "" where it is.
        entries: ledger entries for labels that were changed.
        n_empty: rows whose empty cell was read as none of the labels.
    """

    values: list[tuple[str, ...] | None]
    reasons: list[str]
    entries: list[Entry] = field(default_factory=list)
    n_empty: int = 0


@dataclass(frozen=True)
class Listing:
    """Cells that list several labels: how many rows have such, and one of them."""

    n_rows: int
    example: Any

    @property
    def said(self) -> str:
        """What is found, as a sentence."""
        return f"{does(self.n_rows, 'row', 'lists', 'list')} several labels in one cell, for example {self.example!r}"


def listed(cell: Any) -> list[str] | None:
    """Return the labels of a list, or of a text that writes one as JSON or Python do; None if it is neither."""
    found = literal(cell) if isinstance(cell, str) and cell.lstrip().startswith("[") else cell
    if not isinstance(found, list | tuple) or any(isinstance(part, list | tuple | dict) for part in found):
        return None
    return [label_name(part).strip() for part in found if not _is_empty(part)]


def parts_of(cell: Any, separators: str) -> list[str]:
    """Return the labels of a cell: of a list, of a text with separators, or the cell itself."""
    found = listed(cell)
    if found is None:
        found = _split(label_name(cell), separators)
    return list(dict.fromkeys(found))


def find_separators(cells: Iterable[Any]) -> str:
    """Return the characters of `MARKS` that separate labels in texts.

    A mark is one where at least half of what it divides falls into parts that each stand in another cell, too.
    """
    found, names = "", set()
    for cell in {cell for cell in cells if isinstance(cell, str)}:
        names |= {fold(part) for part in (listed(cell) or [cell])}
    for mark in MARKS:
        pieces = [set(_split(name, mark)) for name in names]
        n = Counter(part for parts in pieces for part in parts)
        divided = [parts for parts in pieces if len(parts) > 1]
        good = [parts for parts in divided if all(n[part] > 1 for part in parts)]
        if good and len(good) >= 0.5 * len(divided):
            found, names = found + mark, set(n)
    return found


def listing(cells: Sequence[Any]) -> Listing | None:
    """Return which cells list several labels of a set that recurs; None where that is not so, or in hardly any row."""
    if any(isinstance(cell, dict) for cell in cells) or _are_numbers(cells):
        return None
    separators = find_separators(cells)
    filled = [cell for cell in cells if not _is_empty(cell)]
    sets = [[fold(part) for part in parts_of(cell, separators)] for cell in filled]
    counts = Counter(part for parts in sets for part in parts)
    several = [cell for cell, parts in zip(filled, sets, strict=True) if len(parts) > 1]
    if len(several) < FEWEST or len(several) <= LEAST * len(filled):
        return None
    recurring = [all(counts[part] > 1 and len(part) <= LONGEST for part in parts) for parts in sets]
    return Listing(len(several), several[0]) if sum(recurring) >= MOSTLY * len(sets) else None


def lists_labels(cells: Iterable[Any]) -> bool:
    """Whether most cells are lists, so that an empty one can be told from one that was not filled in."""
    filled = [cell for cell in cells if not _is_empty(cell)]
    return sum(listed(cell) is not None for cell in filled) > 0.5 * len(filled)


def read_sets(
    table: Table, *, column: str, separators: str, empty: str, spec: DataSpec, classes: Iterable[str] = ()
) -> LabelSets:
    """Read cells that list labels; where spellings are merged, those of `classes` come first.

    Args:
        table: the rows.
        column: the one with the labels.
        separators: each character of it separates labels in texts.
        empty: "none": a row with an empty cell has none of the labels; "missing": it is not labelled.
        spec: what means "no label", and how spellings are merged.
        classes: the training rows' labels.
    """
    missing = {fold(word) for word in spec.missing if fold(word)}
    found, flat, owners = LabelSets([], []), [], []
    for i, cell in enumerate(table[column]):
        is_empty = _is_empty(cell)
        reason = _reason(cell, is_empty=is_empty and empty == "missing", missing=missing)
        parts = [] if reason or is_empty else parts_of(cell, separators)
        found.n_empty += is_empty and not reason
        found.reasons.append(reason)
        flat += parts
        owners += [i] * len(parts)
    names = _renamed(table.take(owners), flat, spec, classes)
    found.entries = names.entries
    sets: list[dict[str, None]] = [{} for _ in table[column]]
    for i, name in zip(owners, names.values, strict=True):
        sets[i][name] = None
    found.values = [None if reason else tuple(names) for names, reason in zip(sets, found.reasons, strict=True)]
    return found


def read_flags(table: Table, *, columns: Sequence[str], spec: DataSpec) -> LabelSets:
    """Read a column for each label, with 1, true or yes where a row has it; an empty cell is not an answer."""
    missing = {fold(word) for word in spec.missing}
    found = LabelSets([], [])
    for cells in zip(*(table[column] for column in columns), strict=True):
        words = ["" if _is_empty(cell) else fold(cell) for cell in cells]
        unknown = [word for word in words if word not in FLAGS]
        reason = "" if not unknown else "no label" if missing.issuperset(unknown) else "not 0 or 1"
        has = tuple(name for name, word in zip(columns, words, strict=True) if FLAGS.get(word))
        found.values.append(None if reason else has)
        found.reasons.append(reason)
    return found


def are_flags(cells: Iterable[Any]) -> bool:
    """Whether cells that are filled in hold 0 and 1, true and false, or yes and no: both of them."""
    words = {fold(cell) for cell in cells if not _is_empty(cell)}
    return {FLAGS.get(word) for word in words} == {True, False}


def _are_numbers(cells: Sequence[Any]) -> bool:
    """Whether most cells are single numbers, such as "4,5" or "4 / 5"."""
    filled = [cell for cell in cells if isinstance(cell, str | int | float) and not _is_empty(cell)]
    return sum(read_number(cell)[0] is not None for cell in filled) > 0.5 * len(filled)


def _reason(cell: Any, *, is_empty: bool, missing: set[str]) -> str:
    if is_empty or (isinstance(cell, str) and fold(cell) in missing):
        return "no label"
    return "label is not a list or a text" if isinstance(cell, dict) or _is_nested(cell) else ""


def _is_nested(cell: Any) -> bool:
    return isinstance(cell, list | tuple) and listed(cell) is None


def _is_empty(cell: Any) -> bool:
    return (
        cell is None or (isinstance(cell, float) and math.isnan(cell)) or (isinstance(cell, str) and not cell.strip())
    )


def _split(text: str, separators: str) -> list[str]:
    parts = re.split(f"[{re.escape(separators)}]", text) if separators else [text]
    return [part.strip() for part in parts if part.strip()]


def _renamed(table: Table, names: list[str], spec: DataSpec, classes: Iterable[str]) -> LabelReading:
    """Apply `data.label_map` and `data.labels` to single labels; `table` has the row of each."""
    mapping = {fold(old): new for old, new in spec.label_map.items()}
    reading = LabelReading([mapping.get(fold(name), name) for name in names], [""] * len(names))
    for i, (old, new) in enumerate(zip(names, reading.values, strict=True)):
        if old != new:
            where = table.where(i)
            reading.entries.append(Entry("changed", "label rewritten", where.file, where.row, f"{old!r} -> {new!r}"))
    return merge_case(reading, table, classes) if spec.labels == "merge_case" else reading


def are_tags(texts: Sequence[Any], cells: Sequence[Any]) -> bool:
    """Whether lists have a label for each word of their text, as tags have."""
    lists = [(str(text).split(), parts) for text, cell in zip(texts, cells, strict=True) if (parts := listed(cell))]
    return bool(lists) and sum(len(words) == len(parts) for words, parts in lists) > 0.5 * len(lists)
