"""Label values as the user wrote them: which rows have one, and which spellings are merged where that is wanted."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunesmith.core.errors import did_you_mean
from tunesmith.core.ledger import Entry
from tunesmith.core.notes import Note
from tunesmith.data.spec import DataSpec
from tunesmith.data.table import Table


@dataclass(frozen=True)
class LabelReading:
    """Labels of a table's rows.

    Attributes:
        values: for each row its label, or None where it has none.
        reasons: for each row why it has none, "" where it has one.
        entries: ledger entries for labels that were changed.
        written: the cells.
    """

    values: list[Any]
    reasons: list[str]
    entries: list[Entry] = field(default_factory=list)
    written: Sequence[Any] = ()


def label_name(value: object) -> str:
    """Return the text form of a label: text as it is, true / false, 3, 3.0; of several labels "a, b"."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(map(label_name, value)) if isinstance(value, list | tuple) else str(value)


def fold(value: object) -> str:
    """Return what two spellings of one label share: no case, outer spaces or final full stop."""
    text = unicodedata.normalize("NFKC", label_name(value)).casefold().strip().rstrip(".").strip()
    return " ".join(text.split())


def order(values: Sequence[Any]) -> tuple[Any, ...]:
    """Return distinct labels in class order: numbers by size, then text by letters."""
    distinct = {(type(v).__name__, label_name(v)): v for v in values}
    return tuple(sorted(distinct.values(), key=_sort_key))


def read_labels(table: Table, *, column: str, spec: DataSpec, classes: Iterable[Any] = ()) -> LabelReading:
    """Read the labels of a table's rows; nothing is merged that the user did not ask to merge.

    Where spellings are merged, those of `classes` (the training rows' labels) come first.
    """
    missing = {fold(word) for word in spec.missing} | {word.casefold() for word in spec.missing}
    values: list[Any] = []
    reasons: list[str] = []
    entries: list[Entry] = []
    folded = {fold(old): new for old, new in spec.label_map.items()}
    for i, written in enumerate(table[column]):
        value, reason = _one(written, missing)
        new = value
        if folded and not reason:
            named = spec.label_map.get(label_name(value), folded.get(fold(value), value))
            new, reason = _one(named, missing)
        if reason == "" and (new != written or type(new) is not type(written)):
            where = table.where(i)
            entries.append(Entry("changed", "label rewritten", where.file, where.row, f"{written!r} -> {new!r}"))
        values.append(None if reason else new)
        reasons.append(reason)
    reading = one_type(LabelReading(values, reasons, entries, table[column]), table)
    return merge_case(reading, table, classes) if spec.labels == "merge_case" else reading


def one_type(reading: LabelReading, table: Table) -> LabelReading:
    """Give labels that read alike, such as the number 1 and the text "1", the type that most of them have."""
    alike: dict[str, Counter[type]] = defaultdict(Counter)
    for value in reading.values:
        if value is not None:
            alike[label_name(value)][type(value)] += 1
    of_several = {name: max(n, key=lambda kind: (n[kind], kind is str)) for name, n in alike.items() if len(n) > 1}
    if not of_several:
        return reading
    found = {label_name(v): v for v in reading.values if type(v) is of_several.get(label_name(v))}
    values, entries = [], list(reading.entries)
    for i, value in enumerate(reading.values):
        new = value if value is None else found.get(label_name(value), value)
        if type(new) is not type(value):
            where = table.where(i)
            entries.append(Entry("changed", "label rewritten", where.file, where.row, f"{value!r} -> {new!r}"))
        values.append(new)
    return LabelReading(values, reading.reasons, entries, reading.written)


def merge_case(reading: LabelReading, table: Table, classes: Iterable[Any] = ()) -> LabelReading:
    """Give labels that differ only in case, spaces or a final full stop the spelling of `classes`, or the commonest."""
    best = {key: _most_frequent(spellings) for key, spellings in spellings(reading.values).items()}
    best |= {fold(value): value for value in classes}
    values, entries = [], list(reading.entries)
    for i, value in enumerate(reading.values):
        new = None if value is None else best[fold(value)]
        if new != value:
            where = table.where(i)
            entries.append(Entry("changed", "label spelling merged", where.file, where.row, f"{value!r} -> {new!r}"))
        values.append(new)
    return LabelReading(values, reading.reasons, entries, reading.written)


def unused_names(written: Iterable[Any], spec: DataSpec) -> list[Note]:
    """Warn of labels in `data.label_map` that no row has; `written` are all labels, or cells of them."""
    values = (_one(value, set())[0] for value in written)
    spelt = {fold(value): label_name(value) for value in values if value is not None}
    unused = [old for old in spec.label_map if fold(old) not in spelt]
    if not unused:
        return []
    near = [did_you_mean(old, list(spelt.values())) for old in unused[:8]]
    hints = [f"{old}: {hint}" for old, hint in zip(unused, near, strict=False) if hint]
    shown = ", ".join(f'"{old}"' for old in unused[:8]) + (" …" if len(unused) > 8 else "")
    return [Note("warning", "unused label map", f"no row has this label of data.label_map: {shown}", "; ".join(hints))]


def _one(written: Any, missing: set[str]) -> tuple[Any, str]:
    """Return one label and why it is none ("" if it is one)."""
    if written is None or (isinstance(written, float) and math.isnan(written)):
        return None, "no label"
    if isinstance(written, list | tuple):
        if len(written) == 1:
            return _one(written[0], missing)
        return None, "several labels" if written else "no label"
    if isinstance(written, dict):
        return None, "label is not a single value"
    if isinstance(written, str) and (not written.strip() or {written.strip().casefold(), fold(written)} & missing):
        return None, "no label"
    return written, ""


def spellings(values: Iterable[Any]) -> dict[str, Counter[Any]]:
    """Return folded label to how often each of its spellings occurs."""
    found: dict[str, Counter[Any]] = defaultdict(Counter)
    for value in values:
        if value is not None:
            found[fold(value)][value] += 1
    return found


def _most_frequent(spellings: Counter[Any]) -> Any:
    best = max(spellings.values())
    return sorted((v for v, n in spellings.items() if n == best), key=label_name)[0]


def _sort_key(value: Any) -> tuple[int, float, str, str]:
    if isinstance(value, int | float):
        return 0, float(value), "", label_name(value)
    return 1, 0.0, label_name(value).casefold(), label_name(value)
