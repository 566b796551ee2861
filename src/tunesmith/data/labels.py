"""Label values as the user wrote them: which rows have one, which spellings look like the same, which are rare."""

from __future__ import annotations

import difflib
import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunesmith.core.errors import DataError, Where, did_you_mean
from tunesmith.core.ledger import Entry
from tunesmith.core.notes import Note
from tunesmith.core.wording import rows, setting
from tunesmith.data.spec import DataSpec
from tunesmith.data.table import Table

TYPO_SHARE = 0.05
"""A label this rare beside one it resembles is called a likely typo."""
MOST_CLASSES = 1000
MANY_NUMBERS = 10
"""More different numbers than this, most of them with decimals, are a score and no classes."""
FEW_ROWS = 3


@dataclass(frozen=True)
class LabelReading:
    """Labels of a table's rows.

    Attributes:
        values: for each row its label, or None where it has none.
        reasons: for each row why it has none, "" where it has one.
        entries: ledger entries for labels that were changed.
        notes: variants, likely typos, rare classes.
    """

    values: list[Any]
    reasons: list[str]
    entries: list[Entry] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


def label_name(value: object) -> str:
    """Return the text form of a label: text as it is, true / false, 3, 3.0."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


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
    mapping = {fold(old): new for old, new in spec.label_map.items()} if spec.label_map else {}
    for i, written in enumerate(table[column]):
        value, reason = _one(written, missing)
        new = mapping.get(fold(value), value) if not reason else value
        if reason == "" and (new != written or type(new) is not type(written)):
            where = table.where(i)
            entries.append(Entry("changed", "label rewritten", where.file, where.row, f"{written!r} -> {new!r}"))
        values.append(None if reason else new)
        reasons.append(reason)
    reading = LabelReading(values, reasons, entries)
    return merge_case(reading, table, classes) if spec.labels == "merge_case" else reading


def merge_case(reading: LabelReading, table: Table, classes: Iterable[Any] = ()) -> LabelReading:
    """Give labels that differ only in case, spaces or a final full stop the spelling of `classes`, or the commonest."""
    best = {key: _most_frequent(spellings) for key, spellings in _spellings(reading.values).items()}
    best |= {fold(value): value for value in classes}
    values, entries = [], list(reading.entries)
    for i, value in enumerate(reading.values):
        new = None if value is None else best[fold(value)]
        if new != value:
            where = table.where(i)
            entries.append(Entry("changed", "label spelling merged", where.file, where.row, f"{value!r} -> {new!r}"))
        values.append(new)
    return LabelReading(values, reading.reasons, entries, reading.notes)


def check_classes(reading: LabelReading, *, file: str, column: str) -> list[Note]:
    """Return notes on variants, likely typos and rare classes.

    Raises:
        DataError: no label at all, one class, or so many that this can't be a class label.
    """
    counts = Counter(v for v in reading.values if v is not None)
    _refuse(counts, sum(counts.values()), Where(file, column=column))
    _refuse_several(counts, Where(file, column=column))
    return [*_variants(reading.values), *_typos(counts), *_rare(counts)]


def unused_names(tables: Iterable[Table], *, column: str, spec: DataSpec) -> list[Note]:
    """Warn of labels in `data.label_map` that no row has."""
    values = (_one(value, set())[0] for table in tables for value in table[column])
    written = {fold(value): label_name(value) for value in values if value is not None}
    unused = [old for old in spec.label_map if fold(old) not in written]
    if not unused:
        return []
    near = [did_you_mean(old, list(written.values())) for old in unused[:8]]
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
    if isinstance(written, str) and (written.strip().casefold() in missing or fold(written) in missing):
        return None, "no label"
    return written, ""


def _refuse(counts: Counter[Any], n_rows: int, where: Where) -> None:
    if not counts:
        raise DataError("no row has a label", where=where, fix="name another column with --label, or label some rows")
    if len(counts) == 1:
        only = label_name(next(iter(counts)))
        raise DataError(
            f'every row has the label "{only}": there is nothing to tell apart',
            where=where,
            fix="add rows of another class",
        )
    numbers = _share(counts, lambda v: isinstance(v, int | float) or _is_number(v)) > 0.9
    is_score = numbers and len(counts) > MANY_NUMBERS and _share(counts, _is_broken) > 0.5
    if is_score or len(counts) > MOST_CLASSES or (n_rows >= 20 and len(counts) > 0.5 * n_rows):
        hint = "this looks like a score to predict (regression)" if numbers else "this looks like an id or a free text"
        raise DataError(
            f"{len(counts):,} different labels in {rows(n_rows)}: {hint}",
            where=where,
            fix="name the label column with --label",
        )


def _share(counts: Counter[Any], is_one: Callable[[Any], bool]) -> float:
    """Return which share of the distinct labels is of a kind."""
    return sum(map(is_one, counts)) / len(counts)


def _is_broken(value: object) -> bool:
    """Whether a label is a number with decimals."""
    return (isinstance(value, float) and not value.is_integer()) or (
        isinstance(value, str) and re.search(r"\d[.,]\d", value) is not None
    )


def _refuse_several(counts: Counter[Any], where: Where) -> None:
    """Refuse cells that list several labels ("joy, anger") where these are labels of their own."""
    known = {fold(value) for value in counts}
    several = [v for v in counts if isinstance(v, str) and (parts := _parts(v)) and sum(p in known for p in parts) >= 2]
    n = sum(counts[v] for v in several)
    if n >= 3 and n > 0.01 * sum(counts.values()):
        raise DataError(
            f"{n:,} rows list several labels in one cell, for example {several[0]!r}",
            where=where,
            fix="keep one label a row; a row with several can be repeated, once for each",
        )


def _parts(value: str) -> list[str]:
    """Split a cell such as "a, b", "a;b", "a|b", "A / B" or '["a", "b"]' into folded labels."""
    bare = value.strip().strip("[]")
    parts = [fold(part.strip().strip("'").strip('"')) for part in re.split(r"[,;|/]", bare)]
    return parts if len(parts) > 1 else []


def _variants(values: Sequence[Any]) -> list[Note]:
    found = [s for s in _spellings(values).values() if len(s) > 1]
    if not found:
        return []
    shown = "; ".join(", ".join(f"{label_name(v)!r} ({n:,})" for v, n in s.most_common(5)) for s in found[:4])
    return [
        Note(
            "warning",
            "label variants",
            f"labels that differ only in case, spaces or a full stop are separate classes: {shown}",
            fix="--set data.labels=merge_case",
            n_rows=sum(sum(s.values()) - max(s.values()) for s in found),
        )
    ]


def _typos(counts: Counter[Any]) -> list[Note]:
    folded: Counter[str] = Counter()
    for value, n in counts.items():
        folded[fold(value)] += n
    found: dict[str, str] = {}
    for rare, n in folded.items():
        frequent = [w for w, m in folded.items() if n <= TYPO_SHARE * m and not _numbered(rare, w)]
        near = difflib.get_close_matches(rare, frequent, n=1, cutoff=0.8)
        if near:
            found[rare] = near[0]
    spelt = {fold(value): label_name(value) for value, _ in sorted(counts.items(), key=lambda item: item[1])}
    # One setting for all of them: a second --set of the same setting would replace the first.
    fix = setting("data.label_map", {spelt[rare]: spelt[near] for rare, near in found.items()})
    return [
        Note(
            "warning",
            "likely typo",
            f'"{spelt[rare]}" ({rows(folded[rare])}) is close to "{spelt[near]}" ({rows(folded[near])})',
            fix,
            n_rows=folded[rare],
        )
        for rare, near in found.items()
    ]


def _rare(counts: Counter[Any]) -> list[Note]:
    rare = {value: n for value, n in counts.items() if n < FEW_ROWS}
    if not rare:
        return []
    shown = ", ".join(f'"{label_name(v)}" ({n})' for v, n in sorted(rare.items(), key=lambda item: item[1])[:10])
    return [
        Note(
            "warning",
            "rare classes",
            f"too few rows to be in training, dev and test alike: {shown}",
            fix="add rows of these classes, or merge them into others with data.label_map",
            n_rows=sum(rare.values()),
        )
    ]


def _spellings(values: Sequence[Any]) -> dict[str, Counter[Any]]:
    found: dict[str, Counter[Any]] = defaultdict(Counter)
    for value in values:
        if value is not None:
            found[fold(value)][value] += 1
    return found


def _most_frequent(spellings: Counter[Any]) -> Any:
    best = max(spellings.values())
    return sorted((v for v, n in spellings.items() if n == best), key=label_name)[0]


def _is_number(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"\s*[-+]?\d+(?:[.,]\d+)?\s*(?:%|/\s*\d+)?\s*", value) is not None


def _numbered(a: str, b: str) -> bool:
    """Whether two labels differ in their digits only ("level 1", "level 2"): those are no typos."""
    return re.sub(r"\d", "", a) == re.sub(r"\d", "", b)


def _sort_key(value: Any) -> tuple[int, float, str, str]:
    if isinstance(value, int | float):
        return 0, float(value), "", label_name(value)
    return 1, 0.0, label_name(value).casefold(), label_name(value)
