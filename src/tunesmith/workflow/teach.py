"""The answers of a teacher, a run of the user's, to the texts that another model learns from.

They are asked for once and kept in the run: the teacher may be gone when training goes on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.core.errors import RecipeError, Where
from tunesmith.data.table import Table
from tunesmith.recipe.recipe import Recipe
from tunesmith.run.folder import Run
from tunesmith.tasks.base import Task
from tunesmith.workflow.editors import Tell

SETTING = "objectives.consistency.teacher"
NAME = "taught"


def refuse_teacher(recipe: Recipe) -> None:
    """Raise TunesmithError if there is no such teacher, or it has no model yet."""
    if recipe.teacher:
        from tunesmith.inference.settings import load_settings

        load_settings(Run.with_model(recipe.teacher).model_folder)


def answers(teacher: str, table: Table, task: Task, *, device: str, tell: Tell) -> np.ndarray:
    """Return what a teacher gives for each row, on the scale of the task's own outputs: float32, shape (rows, outputs).

    Args:
        teacher: a run, or a model folder of one.
        table: cleaned texts.
        task: what is learnt from the answers; it has seen its training rows.
        device: that the teacher runs on.
        tell: told how far it is.

    Raises:
        RecipeError: the teacher answers something else.
    """
    from tunesmith.inference.predictor import Predictor

    asked = Predictor.load(Run.with_model(teacher).model_folder, device=device)
    refuse_other_task(asked.task, task, teacher)
    order = _order(asked.task, task, teacher)
    fields = asked.task.columns
    read = asked.table_of([dict(zip(fields, cells, strict=True)) for cells in _cells(table, task, fields)])
    done = 0

    def on_rows(n: int) -> None:
        nonlocal done
        done += n
        told = {"what": "asking the teacher", "done": min(done, len(table)), "of": len(table), "state": teacher}
        tell({"event": "augment", **told})

    found = np.asarray(asked.outputs(read, on_rows=on_rows), dtype=np.float32)[:, order]
    return np.ascontiguousarray(task.as_learnt(found))  # safetensors writes other arrays as they lie in memory


def refuse_other_task(theirs: Any, mine: Any, teacher: str) -> None:
    """Raise RecipeError if a teacher answers another question."""
    if theirs.kind != mine.kind:
        message = f"the teacher's task is {theirs.kind}, this one is {mine.kind}"
        raise RecipeError(message, where=Where(column=SETTING, value=teacher), fix="name a run of the same task")


def _order(theirs: Any, mine: Any, teacher: str) -> list[int]:
    """Return the teacher's output for each of the task's.

    Raises:
        RecipeError: it has others, or reads another number of texts.
    """
    where = Where(column=SETTING, value=teacher)
    if theirs.columns.keys() != mine.columns.keys():
        message = "the teacher reads single texts" if len(mine.columns) > 1 else "the teacher reads pairs of texts"
        raise RecipeError(message, where=where, fix="name a run that reads what is read here")
    known, wanted = (list(getattr(task, "names", task.target_columns)) for task in (theirs, mine))
    if other := sorted(set(known) ^ set(wanted)):
        named = ", ".join(f'"{name}"' for name in other[:8])
        message = f"the labels of the teacher are not those of these rows: {named} only one of them has"
        raise RecipeError(message, where=where, fix="name a run that was trained on these labels")
    return [known.index(name) for name in wanted]


def _cells(table: Table, task: Task, fields: Any) -> list[tuple[Any, ...]]:
    return list(zip(*(table[task.columns[field]] for field in fields), strict=True))


def keep_answers(found: np.ndarray, path: Path) -> None:
    """Write the answers for `kept_answers`."""
    from safetensors.numpy import save_file

    save_file({NAME: found}, path)


def kept_answers(path: Path) -> np.ndarray:
    """Return the answers as they were when the run was started."""
    from safetensors.numpy import load_file

    found: np.ndarray = load_file(path)[NAME]
    return found
