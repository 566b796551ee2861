"""From the user's files to cleaned, checked, split rows: the same for `train`, `check` and `--dry-run`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from tunesmith.core.errors import DataError, Problem, Where
from tunesmith.core.ledger import Ledger
from tunesmith.core.notes import Note
from tunesmith.data.findings import inspect
from tunesmith.data.labels import order
from tunesmith.data.read import Reading, read
from tunesmith.data.split import divide
from tunesmith.data.table import Table
from tunesmith.recipe.recipe import Recipe


@dataclass(frozen=True)
class Prepared:
    """Rows ready to be encoded.

    Attributes:
        task: with its columns named and its classes learnt.
        tables: "train" and, where there are any, "dev" and "test": cleaned text, usable labels.
        ledger: every row that is not there, or not as it was written.
        notes: what was found and chosen.
        sources: the files read, for the manifest.
        n_read: rows read from all files.
        reading: the rows as they were read.
    """

    task: Any
    tables: dict[str, Table]
    ledger: Ledger
    notes: list[Note]
    sources: list[dict[str, Any]]
    n_read: int
    reading: Reading

    @property
    def n_rows(self) -> dict[str, int]:
        """Rows of each split."""
        return {name: len(table) for name, table in self.tables.items()}


def prepare(recipe: Recipe) -> Prepared:
    """Read, choose columns, clean, check and split the data a recipe names.

    Raises:
        DataError: the data can't be used; says where and what to do.
    """
    reading = read(recipe.data)
    n_read = sum(map(len, reading.tables.values())) + sum(reading.ledger.counts("set aside").values())
    task: Any
    task, notes = recipe.task.choose_columns(reading.tables["train"])
    _need_columns(reading, task)
    found = inspect(reading.tables, text=task.text, label=task.label, spec=recipe.data)
    if recipe.data.split.group:
        found.tables["train"][recipe.data.split.group]  # a wrong name is an error before anything starts
    division = divide(
        found.tables["train"],
        text=task.text,
        label=task.label,
        spec=recipe.data.split,
        copies=found.copies,
        have_dev="dev" in found.tables,
        have_test="test" in found.tables,
    )
    tables = {**found.tables, **{name: found.tables["train"].take(rows) for name, rows in division.parts.items()}}
    labels = order(tables["train"][task.label])
    counts = Counter((type(v), v) for v in tables["train"][task.label])
    task = task.with_labels(labels, [counts[type(label), label] for label in labels])
    ledger = Ledger([*reading.ledger, *found.ledger])
    notes = [*reading.notes, *notes, *found.notes, *division.notes]
    return Prepared(task, tables, ledger, notes, reading.sources, n_read, reading)


def _need_columns(reading: Reading, task: Any) -> None:
    """Raise one DataError if the dev or test data lack a column."""
    problems = []
    for split, table in reading.tables.items():
        for column in (task.text, task.label):
            if column not in table.columns:
                fix = f"columns there: {', '.join(table.columns)}"
                problems.append(Problem(f'the {split} data has no column "{column}"', Where(table.files[0]), fix))
    if problems:
        raise DataError.of(problems)
