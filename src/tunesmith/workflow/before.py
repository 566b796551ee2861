"""What was learnt before a training, or is learnt beside it: rows that it is measured by may be among it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from tunesmith.core.errors import RunError, Where
from tunesmith.core.notes import Note
from tunesmith.data.findings import PLACES
from tunesmith.data.labels import fold
from tunesmith.data.learnt import Learnt, Rows
from tunesmith.data.table import Table
from tunesmith.models.source import EMBEDDED
from tunesmith.recipe.recipe import Recipe
from tunesmith.run.folder import Run

TOPIC = "learnt before"
SIDE_REMARK = 0.01
"""Up to this share of rows, a text that was learnt may be a phrase that people say again."""


def rows_of(task: Any, table: Table) -> Rows:
    """Return rows as they are recognised by `Learnt`."""
    question = " ".join([task.kind, *map(fold, task.target_columns)])
    return Rows(question, task.key(table), task.lessons(table))


def learnt_before(recipe: Recipe) -> dict[str, Learnt]:
    """Return what the runs that a training builds on have learnt, they and those before them, by what they are to it.

    Raises:
        RunError: what was kept of it is damaged.
    """
    source = "" if recipe.model.weights == "random" or recipe.model.source in EMBEDDED else recipe.model.source
    found: dict[Path, tuple[str, Run]] = {}
    for what, name in (("the model it starts from", source), ("its teacher", recipe.teacher)):
        folder = Path(name).expanduser().resolve()
        if name and folder.is_dir():
            try:
                run = Run.with_model(folder)
            except RunError:  # a model folder of another make
                continue
            found.setdefault(run.folder, (f"{what} ({name})", run))
    return {what: Learnt.load(run.learnt_path) for what, run in found.values()}


def seen_before(before: Mapping[str, Learnt], tables: Mapping[str, Table], task: Any) -> list[Note]:
    """Say which rows that a training is measured by were learnt before.

    Args:
        before: what was learnt, by who did.
        tables: rows by split.
        task: as it reads rows.
    """
    held = [(split, tables[split]) for split in ("test", "dev") if split in tables]
    notes = (_notes(who, learnt, *one, task) for who, learnt in before.items() for one in held)
    return list(chain.from_iterable(notes))


def _notes(who: str, learnt: Learnt, split: str, table: Table, task: Any) -> Iterator[Note]:
    rows, texts = learnt.known(rows_of(task, table))
    of = f"of {len(table):,} {split} rows"
    if rows:
        message = f"{len(rows):,} {of} are learnt by {who}: the numbers on them flatter"
        fix = f"name rows that are new to it (--set data.{split}=new.csv), or divide all rows as it did (data.split)"
        yield Note("warning", TOPIC, message, fix, places(table, rows), len(rows))
    if texts:
        message = f"the texts of {len(texts):,} {of} are read by {who}: for another answer, or none"
        yield Note("info", TOPIC, message, "", places(table, texts), len(texts))


def trained_on(learnt: Learnt, table: Table, task: Any) -> list[Note]:
    """Say which of the rows that a model is measured on it has learnt, or read."""
    rows, texts = learnt.known(rows_of(task, table))
    of, notes = f"of {len(table):,} rows", []
    if rows:
        message = f"{len(rows):,} {of} are in its training data (but for case and punctuation): they flatter the model"
        fix = "measure on rows it has not seen; those on its own test rows are in its report"
        level: Literal["warning", "info"] = "warning" if len(rows) > SIDE_REMARK * len(table) else "info"
        notes.append(Note(level, "training rows", message, fix, places(table, rows), len(rows)))
    if texts:
        message = f"the texts of {len(texts):,} {of} are in its training data, with another answer or none"
        notes.append(Note("info", "training rows", message, "", places(table, texts), len(texts)))
    return notes


def places(table: Table, rows: Sequence[int]) -> tuple[Where, ...]:
    """Return where the first of some rows stand."""
    return tuple(table.where(i) for i in rows[:PLACES])
