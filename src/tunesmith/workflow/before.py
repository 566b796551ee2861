"""What was learnt before a training: rows that it is measured by may be among it, where it starts from a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from tunesmith.core.errors import RunError, Where
from tunesmith.core.notes import Note
from tunesmith.data.findings import PLACES
from tunesmith.data.learnt import Learnt
from tunesmith.data.table import Table
from tunesmith.recipe.recipe import Recipe
from tunesmith.run.folder import Run

TOPIC = "learnt before"
FIX = "name rows that are new to it (--set data.test=NEW.csv), or divide the same ones as it did (data.split)"


def runs_before(recipe: Recipe) -> Iterator[tuple[str, Run]]:
    """Yield the runs that a training builds on, and what each is to it: the one it starts from, and its teacher."""
    for what, name in (("the model it starts from", recipe.model.source), ("its teacher", recipe.teacher)):
        if name and Path(name).is_dir():
            try:
                yield f"{what} ({name})", Run.with_model(name)
            except RunError:  # a model folder of another make
                continue


def learnt_before(recipe: Recipe) -> dict[str, Learnt]:
    """Return what the runs that a training builds on have learnt, they themselves and those before them."""
    return {what: Learnt.load(run.learnt_path) for what, run in runs_before(recipe)}


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
    rows, texts = learnt.known(task.key(table), task.answers(table))
    of = f"of {len(table):,} {split} rows"
    if rows:
        message = f"{len(rows):,} {of} are learnt by {who}: the numbers on them flatter"
        yield Note("warning", TOPIC, message, FIX, places(table, rows), len(rows))
    if texts:
        message = f"the texts of {len(texts):,} {of} are read by {who}, with another answer or none"
        yield Note("info", TOPIC, message, "", places(table, texts), len(texts))


def places(table: Table, rows: Sequence[int]) -> tuple[Where, ...]:
    """Return where the first of some rows stand."""
    return tuple(table.where(i) for i in rows[:PLACES])
