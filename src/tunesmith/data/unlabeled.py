"""Texts without labels: read, cleaned and inspected as the others are, and none of them of the dev or test data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunesmith.core.errors import DataError, Problem, Where
from tunesmith.core.ledger import Ledger
from tunesmith.core.notes import Note
from tunesmith.core.wording import does
from tunesmith.data.augment.given import apart
from tunesmith.data.findings import UNLABELED, inspect_unlabeled
from tunesmith.data.formats.choose import Choice
from tunesmith.data.read import read_paths
from tunesmith.data.reading import Reading
from tunesmith.data.spec import DataSpec
from tunesmith.data.table import Table, concat


@dataclass(frozen=True)
class Unlabeled:
    """What was read of the files of texts without labels.

    Attributes:
        table: the columns of texts alone, cleaned; None where nothing was to be read.
        ledger: every row that is not there, or not as it was written.
        notes: what was found.
        sources: the files read, for the manifest.
        n_read: rows read, but for those of files that were read before.
        files: those that rows are of.
    """

    table: Table | None = None
    ledger: Ledger = field(default_factory=Ledger)
    notes: list[Note] = field(default_factory=list)
    sources: list[dict[str, Any]] = field(default_factory=list)
    n_read: int = 0
    files: tuple[str, ...] = ()


def read_unlabeled(spec: DataSpec, tables: Mapping[str, Table], *, task: Any) -> Unlabeled:
    """Read the files that `data.unlabeled` names; they may be those of the labelled rows, too.

    Args:
        spec: which files, and how.
        tables: the labelled rows by split; texts that stand in dev and test rows are left out.
        task: its columns are read.

    Raises:
        DataError: a file can't be read, lacks a column, or nothing usable is left.
    """
    reading = Reading({}, choice=Choice(spec.format, task.kind))
    files = read_paths(spec.unlabeled, UNLABELED, spec=spec, reading=reading)
    given = [apart({UNLABELED: table}) for _, table in files]
    for one in given:
        reading.ledger.extend(one.ledger)
        reading.notes += one.notes
    read = concat(_with_columns([one.tables[UNLABELED] for one in given], list(task.columns.values())))
    before = {file for table in tables.values() for file in table.files}
    ledger = Ledger(entry for entry in reading.ledger if entry.file not in before)
    n_read = sum(read.where(i).file not in before for i in range(len(read)))
    n_read += sum(ledger.counts("set aside").values())
    held = {split: table for split, table in tables.items() if split != "train"}
    read = read if spec.leaks == "keep" else _without(read, held.values())
    found = inspect_unlabeled(read, held, task=task, spec=spec)
    table = found.tables[UNLABELED]
    said = Note(
        "info", UNLABELED, f"{does(len(table), 'unlabeled row', 'is', 'are')} learnt from, too", n_rows=len(table)
    )
    return Unlabeled(
        table,
        Ledger([*ledger, *found.ledger]),
        [*reading.notes, *found.notes, said],
        [{**source, "split": UNLABELED} for source in reading.sources],
        n_read,
        read.files,
    )


def _without(read: Table, held: Iterable[Table]) -> Table:
    """Return the rows that are not in `held` themselves, read for the first time."""
    places = {(where.file, where.row) for table in held for where in map(table.where, range(len(table)))}
    wheres = map(read.where, range(len(read)))
    return read.take(i for i, where in enumerate(wheres) if (where.file, where.row) not in places)


def _with_columns(tables: Sequence[Table], columns: Sequence[str]) -> list[Table]:
    """Return the columns of texts; where there is one alone, it is the text, whatever it is called.

    Raises:
        DataError: with all columns that are missing.
    """
    problems = []
    found = []
    for table in tables:
        names = {column: column for column in columns}
        if len(columns) == len(table.columns) == 1:
            names = {columns[0]: next(iter(table.columns))}
        fix = f"columns there: {', '.join(table.columns)}"
        missing = [old for old in names.values() if old not in table.columns]
        problems += [
            Problem(f'the unlabeled data has no column "{old}"', Where(table.files[0]), fix) for old in missing
        ]
        found += [] if missing else [table.named(names)]
    if problems:
        raise DataError.of(problems)
    return found
