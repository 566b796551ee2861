"""From rows as read to rows as used: what is unusable is set aside, what is suspicious is said. One pass, linear."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Literal

from tunesmith.core.errors import DataError, Where
from tunesmith.core.ledger import Ledger
from tunesmith.core.notes import Note
from tunesmith.core.wording import count, does
from tunesmith.data.clean import cleaning
from tunesmith.data.labels import unused_names
from tunesmith.data.near import Copies, find_copies, text_key
from tunesmith.data.spec import DataSpec
from tunesmith.data.table import Table

PLACES = 20
UNLABELED = "unlabeled"
"""What the ledger and the manifest call texts without labels, where they say the split of others."""


@dataclass
class Inspected:
    """Usable rows of each split, cleaned, with which are copies, what was set aside and what was noticed.

    `repeats` holds the place of each row that was dropped as a repetition, and that of the row that was kept.
    """

    tables: dict[str, Table]
    copies: Copies = field(default_factory=lambda: find_copies(()))
    ledger: Ledger = field(default_factory=Ledger)
    notes: list[Note] = field(default_factory=list)
    repeats: dict[str, str] = field(default_factory=dict)


def inspect(tables: Mapping[str, Table], *, task: Any, spec: DataSpec) -> Inspected:
    """Keep the usable rows, cleaned, and apply the recipe's word on duplicates, conflicts and leaks.

    Args:
        tables: split to rows as read; "train" among them.
        task: what says which rows are usable, what they are known by and what their answers are (`tasks.base.Task`).
        spec: the recipe's word.

    Raises:
        DataError: nothing usable is left.
    """
    found = Inspected({})
    clean = cleaning(spec.clean)
    for split, table in sorted(tables.items(), key=lambda item: item[0] != "train"):  # it says how labels are spelt
        known = found.tables["train"][task.target_column] if "train" in found.tables else ()
        usable = task.usable(table, clean=clean, spec=spec, split=split, known=known)
        found.tables[split] = usable.table
        found.ledger.extend(usable.ledger)
        found.notes += usable.notes
    if spec.label_map:
        found.notes += unused_names((name for table in tables.values() for name in task.written(table)), spec)
    found.copies = _copies([task.together(table) for table in found.tables.values()], found, spec=spec)
    train = found.tables["train"]
    found.notes += task.look(train)
    if task.one_answer:
        train = _conflicts(train, found, task=task, drop=spec.conflicts == "drop")
    keys = list(zip(task.key(train), task.answers(train), strict=True))
    train = _duplicates(train, found, keys=keys, drop=spec.duplicates == "drop")
    _near_duplicates(train, found, task=task)
    found.tables["train"] = _leaks(train, found, task=task, spec=spec)
    return found


def inspect_unlabeled(table: Table, held: Mapping[str, Table], *, task: Any, spec: DataSpec) -> Inspected:
    """Keep the rows with texts, cleaned, once each, that don't stand in `held`, the dev and test data.

    Raises:
        DataError: nothing usable is left.
    """
    none = [""] * len(table)
    usable = task.sift(table, none, none, clean=cleaning(spec.clean), split=UNLABELED)
    if not len(usable.table):
        fix = "name other files: --set data.unlabeled=more.csv"
        raise DataError("no row has a text", where=Where(table.files[0]), fix=fix)
    found = Inspected({**held}, ledger=usable.ledger)
    own = usable.table.named({column: column for column in task.columns.values()})
    found.tables[UNLABELED] = _beside(own, found, keys=task.key(own), task=task, spec=spec, noun="unlabeled row")
    return found


def inspect_edited(table: Table, tables: Mapping[str, Table], *, task: Any, spec: DataSpec) -> Inspected:
    """Keep the edited copies of training rows that can be used, cleaned, and don't stand in the dev and test data.

    Args:
        table: the copies as they were read.
        tables: all splits as they are used.
        task: as it reads rows.
        spec: the recipe's word.
    """
    known = tables["train"][task.target_column]
    usable = task.usable(table, clean=cleaning(spec.clean), spec=spec, split="train", known=known)
    found = Inspected({split: held for split, held in tables.items() if split != "train"}, ledger=usable.ledger)
    found.notes += usable.notes
    keys = list(zip(task.key(usable.table), task.answers(usable.table), strict=True))
    found.tables["train"] = _beside(
        usable.table, found, keys=keys, task=task, spec=spec, noun="edited row", may_go=True
    )
    return found


def _beside(
    table: Table, found: Inspected, *, keys: Sequence[Any], task: Any, spec: DataSpec, noun: str, may_go: bool = False
) -> Table:
    """Return the rows to be learnt from beside the training rows: once each, and none that `found` holds.

    With `may_go` there may be none left.
    """
    texts = [task.together(one) for one in (*found.tables.values(), table)]
    found.copies = _copies(texts, found, spec=spec)
    table = _duplicates(table, found, keys=keys, drop=spec.duplicates == "drop", noun=noun)
    return _leaks(table, found, task=task, spec=spec, noun=noun, may_go=may_go)


def _conflicts(table: Table, found: Inspected, *, task: Any, drop: bool) -> Table:
    """Find equal texts with different labels."""
    keys, answers, label = task.key(table), task.answers(table), task.target_column
    labels_of: dict[str, set[Any]] = defaultdict(set)
    for key, answer in zip(keys, answers, strict=True):
        labels_of[key].add(answer)
    rows = [i for i, key in enumerate(keys) if len(labels_of[key]) > 1]
    if not rows:
        return table
    n_texts = len({keys[i] for i in rows})
    places = tuple(table.where(i, label, table[label][i]) for i in rows[:PLACES])
    stand = does(n_texts, "text", "stands", "stand")
    message = f"{stand} with different labels ({count(len(rows), 'row')}{', set aside' if drop else ', kept'})"
    fix = "" if drop else "decide for one label, or --set data.conflicts=drop"
    found.notes.append(Note("warning", "conflicting labels", message, fix, places, len(rows)))
    return _set_aside(table, found, rows, "conflicting label") if drop else table


def _copies(keys: Iterable[Sequence[str]], found: Inspected, *, spec: DataSpec) -> Copies:
    """Find copies among the texts of all splits; say so if there are too many to look for near ones."""
    texts = list(chain.from_iterable(keys))
    copies = find_copies(texts, near=spec.near_duplicates != "off")
    if not copies.complete:
        message = (
            f"{len(texts):,} rows are too much text to look for near copies: only case, spaces and punctuation count"
        )
        found.notes.append(Note("warning", "near duplicates", message))
    return copies


def _duplicates(table: Table, found: Inspected, *, keys: Sequence[Any], drop: bool, noun: str = "row") -> Table:
    """Find exact repetitions: of cleaned text and label, where there are labels."""
    first: dict[Any, int] = {}
    rows = [i for i, key in enumerate(keys) if first.setdefault(key, i) != i]
    if not rows:
        return table
    repeat = does(len(rows), noun, "repeats", "repeat")
    message = f"{repeat} another row exactly ({'one of each is kept' if drop else 'all kept'})"
    places = tuple(table.where(i) for i in rows[:PLACES])
    fix = "" if drop else "--set data.duplicates=drop"
    found.notes.append(Note("info", "exact duplicates", message, fix, places, len(rows)))
    if not drop:
        return table
    found.repeats |= {str(table.where(i)): str(table.where(first[keys[i]])) for i in rows}
    return _set_aside(table, found, rows, "exact duplicate")


def _near_duplicates(table: Table, found: Inspected, *, task: Any) -> None:
    """Say which rows are near copies of one another, and which of these have different labels."""
    couples = found.copies.couples(task.together(table))
    said = "are near copies of another row (other case or punctuation, a few words, or cut off)"
    _couples(table, found, couples, "near duplicates", said, label=task.target_column)
    apart = task.contradicting(table, couples) if task.one_answer else []
    said = "are near copies of a row with another label"
    _couples(table, found, apart, "near copies with different labels", said, label=task.target_column)


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


def _leaks(
    table: Table, found: Inspected, *, task: Any, spec: DataSpec, noun: str = "training row", may_go: bool = False
) -> Table:
    """Find texts to be learnt from that also stand, as they are or nearly, in the dev or test data."""
    for split in ("test", "dev"):
        if split in found.tables:
            for near, drop in ((False, spec.leaks != "keep"), (True, spec.leaks == "drop_near")):
                rows = _leak(table, found, split, task=task, near=near, drop=drop, noun=noun)
                if drop and rows:
                    reason = f"{'near copy' if near else 'also'} in {split}"
                    table = _set_aside(table, found, rows, reason, may_go=may_go)
    return table


def _leak(table: Table, found: Inspected, split: str, *, task: Any, near: bool, drop: bool, noun: str) -> list[int]:
    """Return, and note, the rows whose text, or a near copy of it, stands in a split."""
    other = found.tables[split]
    twin = _twins(table, other, found.copies, task=task, near=near)
    rows = list(twin)
    if not rows:
        return rows
    kind = ("is a near copy of", "are near copies of") if near else ("also stands in", "also stand in")
    message = (
        f"{does(len(rows), noun, *kind)} the {split} data ({'not trained on' if drop else 'kept'}), "
        f"for example {_both(table.where(rows[0]), other.where(twin[rows[0]]))}"
    )
    fix = "" if drop else f"--set data.leaks={'drop_near' if near else 'drop'}"
    places = tuple(table.where(i) for i in rows[:PLACES])
    found.notes.append(Note("warning", "near leak" if near else "leak", message, fix, places, len(rows)))
    return rows


def _twins(table: Table, other: Table, copies: Copies, *, task: Any, near: bool) -> dict[int, int]:
    """Return row of `table` to row of `other` with an equal text (folded) or, with `near`, with nearly that only."""
    there = {text_key(key): i for i, key in reversed(list(enumerate(task.key(other))))}
    equal = {i: there[text_key(key)] for i, key in enumerate(task.key(table)) if text_key(key) in there}
    if not near:
        return equal
    neighbours = copies.neighbours()
    like = {copies.number[text]: i for i, text in reversed(list(enumerate(task.together(other))))}
    found = {}
    for i, text in enumerate(task.together(table)):
        n = copies.number[text]
        twins = [like[m] for m in (n, *neighbours.get(n, ())) if m in like]
        if twins and i not in equal:
            found[i] = min(twins)
    return found


def _set_aside(table: Table, found: Inspected, rows: list[int], reason: str, *, may_go: bool = False) -> Table:
    gone = set(rows)
    for i in rows:
        where = table.where(i)
        found.ledger.add("set aside", reason, file=where.file, row=where.row)
    kept = table.take(i for i in range(len(table)) if i not in gone)
    if not (may_go or len(kept)):
        fix = (
            "--set data.conflicts=keep"
            if reason == "conflicting label"
            else "name other files: these rows are the same"
        )
        message = f"no row is left: all {len(rows):,} were set aside ({reason})"
        raise DataError(message, where=Where(table.files[0]), fix=fix)
    return kept
