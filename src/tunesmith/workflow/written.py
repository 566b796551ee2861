"""Training rows, old and new, written to a file, each with the name of the row that it was made from."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError, RunError, Where
from tunesmith.core.files import replacing
from tunesmith.data.augment.given import BY, FROM
from tunesmith.data.formats.base import json_text
from tunesmith.data.table import Table
from tunesmith.tasks.base import Task
from tunesmith.workflow.augment import Augmented


def refuse_file(out: Path) -> None:
    """Raise if a file can't be made.

    Raises:
        RunError: it exists.
        DataError: its name says neither CSV nor JSON Lines.
    """
    if out.exists():
        raise RunError("this file exists already", where=Where(str(out)), fix="choose another name")
    if out.suffix not in (".csv", ".jsonl"):
        raise DataError("can write .csv and .jsonl", where=Where(str(out)), fix="choose one of these")


def refuse_cells(table: Table, out: Path, *, task: Task, read: Table) -> None:
    """Raise DataError if a cell holds what a file of this name can't.

    Args:
        table: the rows, without those that are to be made of them.
        out: the file.
        task: says how it holds them.
        read: the rows as they were read.
    """
    if out.suffix != ".csv":
        return
    cells = (item for row in _cells(table, task, read) for item in row.items())
    if nested := next((name for name, cell in cells if isinstance(cell, list | tuple | dict)), ""):
        fix = f"write {out.with_suffix('.jsonl').name}"
        raise DataError("a CSV can't hold lists", where=Where(str(out), column=nested), fix=fix)


def write(found: Augmented, out: Path, *, task: Task, read: Table) -> None:
    """Write all rows, with the columns `FROM` and `BY`, as CSV or JSON Lines, by the file's name.

    Args:
        found: what was made.
        out: a new file.
        task: says how it holds the rows.
        read: the rows as they were read.
    """
    edits = [*[""] * found.n_old, *found.edits]
    rows = [
        {**row, BY: " + ".join(filter(None, (row[BY], edit)))}
        for row, edit in zip(_cells(found.table, task, read), edits, strict=True)
    ]
    with replacing(out) as stream:
        if out.suffix == ".csv":
            writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        else:
            stream.writelines(json_text(row) + "\n" for row in rows)


def _cells(table: Table, task: Task, read: Table) -> Iterator[dict[str, Any]]:
    """Yield the rows as a file holds them: the columns that were read, and what each row's source is called."""
    place = {read.where(i): i for i in range(len(read))}
    for i in range(len(table)):
        where = table.where(i)
        mine = read.row(place[where])
        row = table.row(i)
        held = task.to_file(row, mine)
        kept = {name: held[name] for name in held if name in mine or name not in row}
        yield {**kept, FROM: mine.get(FROM) or str(where), BY: mine.get(BY) or ""}
