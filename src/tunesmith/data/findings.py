"""From rows as read to rows as used: what is unusable is set aside, what is suspicious is said. One pass, linear."""

from __future__ import annotations

import math
import shlex
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tunesmith.core.errors import DataError, Where
from tunesmith.core.ledger import Ledger
from tunesmith.core.notes import Note
from tunesmith.core.wording import count, does
from tunesmith.data.clean import Cleaner
from tunesmith.data.columns import leaky_columns
from tunesmith.data.labels import LabelReading, check_classes, label_name, read_labels, unused_names
from tunesmith.data.near import Copies, find_copies
from tunesmith.data.spec import DataSpec
from tunesmith.data.table import Table

PLACES = 20
IMBALANCE = 10


@dataclass
class Inspected:
    """Usable rows of each split, cleaned, with which are copies, what was set aside and what was noticed."""

    tables: dict[str, Table]
    copies: Copies = field(default_factory=lambda: find_copies(()))
    ledger: Ledger = field(default_factory=Ledger)
    notes: list[Note] = field(default_factory=list)


def inspect(tables: dict[str, Table], *, text: str, label: str, spec: DataSpec) -> Inspected:
    """Clean texts, read labels, and apply the recipe's word on duplicates, conflicts and leaks.

    Raises:
        DataError: nothing usable is left.
    """
    cleaner = Cleaner(spec.clean)
    found = Inspected({})
    for split, table in sorted(tables.items(), key=lambda item: item[0] != "train"):  # it says how labels are spelt
        found.tables[split] = _usable(table, found, text=text, label=label, spec=spec, cleaner=cleaner, split=split)
    found.notes += unused_names(tables.values(), column=label, spec=spec)
    found.copies = _copies(found, text=text, spec=spec)
    train = found.tables["train"]
    found.notes += leaky_columns(train, text=text, label=label)
    found.notes += _shape(train, text=text, label=label)
    train = _conflicts(train, found, text=text, label=label, spec=spec)
    train = _duplicates(train, found, text=text, label=label, spec=spec)
    _near_duplicates(train, found, text=text, label=label)
    found.tables["train"] = _leaks(train, found, text=text, spec=spec)
    _refuse_new_classes(found, label)
    return found


def _usable(
    table: Table, found: Inspected, *, text: str, label: str, spec: DataSpec, cleaner: Cleaner, split: str
) -> Table:
    """Keep the rows with a text and a label, both in the form they are used in."""
    known = found.tables["train"][label] if "train" in found.tables else ()
    labels = read_labels(table, column=label, spec=spec, classes=known)
    found.ledger.extend(labels.entries)
    texts = [_clean(value, cleaner) for value in table[text]]
    kept = []
    for i, value in enumerate(texts):
        reason = labels.reasons[i] or ("" if value else "no text")
        if reason:
            where = table.where(i)
            found.ledger.add("set aside", reason, file=where.file, row=where.row, detail=split)
        else:
            kept.append(i)
    if not kept:
        _explain_nothing(table, labels, text=text, label=label)
    if split == "train":
        found.notes += check_classes(labels, file=table.files[0], column=label)
    return table.replace(**{text: texts, label: labels.values}).take(kept)


def _clean(value: Any, cleaner: Cleaner) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return cleaner(str(value))


def _explain_nothing(table: Table, labels: LabelReading, *, text: str, label: str) -> None:
    if all(labels.reasons):
        raise DataError(
            "no row has a label", where=Where(table.files[0], column=label), fix="name another column with --label"
        )
    raise DataError(
        "no row has a text and a label",
        where=Where(table.files[0], column=text),
        fix="name other columns with --text and --label",
    )


def _shape(table: Table, *, text: str, label: str) -> list[Note]:
    """Say what is unusual about classes, order and groups."""
    counts = Counter(label_name(v) for v in table[label])
    most, least = counts.most_common(1)[0], counts.most_common()[-1]
    notes = []
    if most[1] > IMBALANCE * least[1]:
        sizes = f'"{most[0]}" has {count(most[1], "row")}, "{least[0]}" {least[1]:,}'
        message = f"{sizes}: accuracy will flatter, look at macro F1"
        notes.append(Note("warning", "imbalance", message, fix="--set task.class_weights=balanced"))
    changes = sum(a != b for a, b in zip(table[label], table[label][1:], strict=False))
    if len(table) > 50 and changes < len(counts):
        notes.append(Note("info", "sorted", "the rows are sorted by label; training and splitting mix them"))
    groups = _group_columns(table, text=text, label=label)
    if groups:
        message = f'the column "{groups[0]}" repeats over rows that may belong together'
        notes.append(
            Note("info", "groups", message, fix=f"--group {shlex.quote(groups[0])} keeps such rows in one split")
        )
    return notes


def _group_columns(table: Table, *, text: str, label: str) -> list[str]:
    """Return columns that look like ids of documents, authors or customers with several rows each."""
    words = ("doc", "author", "user", "customer", "patient", "speaker", "thread", "group", "session")
    found = []
    for name, values in table.columns.items():
        distinct = len(set(map(str, values)))
        if name not in (text, label) and any(w in name.casefold() for w in words) and 2 <= distinct <= 0.5 * len(table):
            found.append(name)
    return found


def _conflicts(table: Table, found: Inspected, *, text: str, label: str, spec: DataSpec) -> Table:
    """Find equal texts with different labels."""
    labels_of: dict[str, set[Any]] = defaultdict(set)
    for t, v in zip(table[text], table[label], strict=True):
        labels_of[t].add(v)
    rows = [i for i, t in enumerate(table[text]) if len(labels_of[t]) > 1]
    if not rows:
        return table
    n_texts = len({table[text][i] for i in rows})
    places = tuple(table.where(i, label, table[label][i]) for i in rows[:PLACES])
    drop = spec.conflicts == "drop"
    stand = does(n_texts, "text", "stands", "stand")
    message = f"{stand} with different labels ({count(len(rows), 'row')}{', set aside' if drop else ', kept'})"
    fix = "" if drop else "decide for one label, or --set data.conflicts=drop"
    found.notes.append(Note("warning", "conflicting labels", message, fix, places, len(rows)))
    return _set_aside(table, found, rows, "conflicting label") if drop else table


def _copies(found: Inspected, *, text: str, spec: DataSpec) -> Copies:
    """Find copies among the texts of all splits; say so if there are too many to look for near ones."""
    texts = [t for table in found.tables.values() for t in table[text]]
    copies = find_copies(texts, near=spec.near_duplicates != "off")
    if not copies.complete:
        message = (
            f"{len(texts):,} rows are too much text to look for near copies: only case, spaces and punctuation count"
        )
        found.notes.append(Note("warning", "near duplicates", message))
    return copies


def _duplicates(table: Table, found: Inspected, *, text: str, label: str, spec: DataSpec) -> Table:
    """Find exact repetitions (cleaned text and label)."""
    seen: set[tuple[str, Any]] = set()
    rows = []
    for i, key in enumerate(zip(table[text], table[label], strict=True)):
        if key in seen:
            rows.append(i)
        seen.add(key)
    if not rows:
        return table
    drop = spec.duplicates == "drop"
    repeat = does(len(rows), "row", "repeats", "repeat")
    message = f"{repeat} another row exactly ({'one of each is kept' if drop else 'all kept'})"
    places = tuple(table.where(i) for i in rows[:PLACES])
    found.notes.append(Note("info", "exact duplicates", message, "" if drop else "data.duplicates", places, len(rows)))
    return _set_aside(table, found, rows, "exact duplicate") if drop else table


def _near_duplicates(table: Table, found: Inspected, *, text: str, label: str) -> None:
    """Say which rows are near copies of one another, and which of these have different labels."""
    couples = found.copies.couples(table[text])
    said = "are near copies of another row (other case or punctuation, a few words, or cut off)"
    _couples(table, found, couples, "near duplicates", said, label=label)
    apart = [(i, j) for i, j in couples if table[label][i] != table[label][j]]
    said = "are near copies of a row with another label"
    _couples(table, found, apart, "near copies with different labels", said, label=label)


def _couples(
    table: Table, found: Inspected, couples: list[tuple[int, int]], topic: str, said: str, *, label: str
) -> None:
    """Note couples of rows; the rows of a couple stand together in the places."""
    rows = list(dict.fromkeys(row for couple in couples for row in couple))
    if not rows:
        return
    level: Literal["info", "warning"] = "warning" if "label" in topic else "info"
    fix = "see whether both labels are right" if "label" in topic else ""
    message = f"{count(len(rows), 'row')} {said}, for example {_both(*(table.where(i) for i in couples[0]))}"
    places = tuple(table.where(i, label, table[label][i]) for i in rows[:PLACES])
    found.notes.append(Note(level, topic, message, fix, places, len(rows)))


def _both(one: Where, other: Where) -> str:
    """Return "a.csv, rows 3 and 7", or "a.csv:3 and b.csv:7"."""
    return f"{one.file}, rows {one.row} and {other.row}" if one.file == other.file else f"{one} and {other}"


def _leaks(table: Table, found: Inspected, *, text: str, spec: DataSpec) -> Table:
    """Find training texts that also stand, as they are or nearly, in the dev or test data the user brought."""
    for split in ("test", "dev"):
        if split in found.tables:
            table = _leak(table, found, split, text=text, near=False, drop=spec.leaks != "keep")
            table = _leak(table, found, split, text=text, near=True, drop=spec.leaks == "drop_near")
    return table


def _leak(table: Table, found: Inspected, split: str, *, text: str, near: bool, drop: bool) -> Table:
    """Find the rows whose text, or a near copy of it, stands in a split."""
    other, twin = found.tables[split], _twins(table[text], found.tables[split][text], found.copies, near=near)
    if not twin:
        return table
    rows = list(twin)
    kind = ("is a near copy of", "are near copies of") if near else ("also stands in", "also stand in")
    message = (
        f"{does(len(rows), 'training row', *kind)} the {split} data ({'not trained on' if drop else 'kept'}), "
        f"for example {_both(table.where(rows[0]), other.where(twin[rows[0]]))}"
    )
    fix = "" if drop else f"--set data.leaks={'drop_near' if near else 'drop'}"
    places = tuple(table.where(i) for i in rows[:PLACES])
    found.notes.append(Note("warning", "near leak" if near else "leak", message, fix, places, len(rows)))
    return _set_aside(table, found, rows, f"{'near copy' if near else 'also'} in {split}") if drop else table


def _twins(texts: Sequence[str], others: Sequence[str], copies: Copies, *, near: bool) -> dict[int, int]:
    """Return place in `texts` to place in `others` of an equal text (folded) or, with `near`, of a near copy only."""
    there = {copies.number[t]: i for i, t in reversed(list(enumerate(others)))}
    neighbours = copies.neighbours() if near else {}
    found = {}
    for i, t in enumerate(texts):
        n = copies.number[t]
        if near:
            like = [] if n in there else [there[m] for m in neighbours.get(n, ()) if m in there]
        else:
            like = [there[n]] if n in there else []
        if like:
            found[i] = min(like)
    return found


def _refuse_new_classes(found: Inspected, label: str) -> None:
    """Warn about dev and test labels no training row has."""
    known = {(type(v), v) for v in found.tables["train"][label]}
    for split in ("dev", "test"):
        table = found.tables.get(split)
        if table is None:
            continue
        rows = [i for i, v in enumerate(table[label]) if (type(v), v) not in known]
        if rows:
            new = sorted({label_name(table[label][i]) for i in rows})
            have = does(len(rows), f"{split} row", "has a label", "have labels")
            message = f"{have} no training row has: {', '.join(new[:8])}"
            found.notes.append(Note("warning", "unknown labels", message, n_rows=len(rows)))
            found.tables[split] = _set_aside(table, found, rows, "label not in training")


def _set_aside(table: Table, found: Inspected, rows: list[int], reason: str) -> Table:
    gone = set(rows)
    for i in rows:
        where = table.where(i)
        found.ledger.add("set aside", reason, file=where.file, row=where.row)
    kept = table.take(i for i in range(len(table)) if i not in gone)
    if not len(kept):
        raise DataError(
            f"no row is left: all {len(rows):,} were set aside ({reason})",
            where=Where(table.files[0]),
            fix="see data.*",
        )
    return kept
