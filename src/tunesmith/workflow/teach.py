"""The answers of a teacher, a run of the user's, to the texts that another model learns from.

They are asked for once and kept in the run: the teacher may be gone when training goes on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.core.errors import RecipeError, RunError, Where
from tunesmith.data.table import Table
from tunesmith.recipe.recipe import Recipe
from tunesmith.run.folder import Run
from tunesmith.tasks.base import Task
from tunesmith.workflow.editors import Tell

SETTING = "objectives.consistency.teacher"
NAME, TEXTS = "taught", "texts"
ROWS_AT_ONCE = 512


@dataclass(frozen=True)
class Taught:
    """What a teacher gave.

    Attributes:
        outputs: as a finished model gives them, in the order of the task's own: float32, shape (rows, outputs).
        texts: a SHA-256 of the texts in their order.
    """

    outputs: np.ndarray
    texts: str


def refuse_teacher(recipe: Recipe) -> None:
    """Raise TunesmithError if there is no such teacher, or it has no model yet."""
    if recipe.teacher:
        from tunesmith.inference.settings import load_settings

        load_settings(Run.with_model(recipe.teacher).model_folder)


def refuse_unfit(recipe: Recipe, task: Any) -> None:
    """Raise RecipeError if the run that is to teach a task answers something else."""
    if recipe.teacher:
        from tunesmith.inference.settings import load_settings

        theirs = load_settings(Run.with_model(recipe.teacher).model_folder).build_task()
        refuse_other_task(theirs, task, recipe.teacher)
        _order(theirs, task, recipe.teacher)


def answers(teacher: str, table: Table, task: Task, *, device: str, tell: Tell) -> Taught:
    """Return what a teacher gives for each row.

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
    if asked.task.long_text == "error":
        asked.task = asked.task.model_copy(update={"long_text": "windows"})
    fields = asked.task.columns
    parts = []
    for start in range(0, len(table), ROWS_AT_ONCE):
        some = table.take(range(start, min(start + ROWS_AT_ONCE, len(table))))
        read = asked.table_of([dict(zip(fields, cells, strict=True)) for cells in _cells(some, task, fields)])
        parts.append(np.asarray(asked.outputs(read), dtype=np.float32)[:, order])
        done = start + len(some)
        tell({"event": "augment", "what": "asking the teacher", "done": done, "of": len(table), "state": teacher})
    return Taught(np.concatenate(parts), _digest(task.key(table)))


def unasked(recipe: Recipe, task: Any, table: Table) -> Taught | None:
    """Return what stands for a teacher's answers where it is only seen what learning from them takes."""
    if not recipe.teacher or not task.pools:
        return None
    n_outputs = len(getattr(task, "names", task.target_columns))
    return Taught(np.zeros((len(table), n_outputs), dtype=np.float32), _digest(task.key(table)))


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
    if mine.decides == "number" and len(theirs.target_columns) == len(mine.target_columns) == 1:
        return [0]
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


def _digest(texts: Iterable[str]) -> str:
    found = hashlib.sha256()
    for text in texts:
        found.update(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
    return found.hexdigest()


def keep_answers(found: Taught, path: Path) -> None:
    """Write the answers for `kept_answers`."""
    from safetensors.numpy import save_file

    # safetensors writes what is not contiguous as it lies in memory
    save_file({NAME: np.ascontiguousarray(found.outputs)}, path, metadata={TEXTS: found.texts})


def kept_answers(path: Path, texts: Iterable[str]) -> Taught:
    """Return the answers as they were when the run was started.

    Raises:
        RunError: they are to other texts, or to these in another order; or the file is damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as kept:
            found = Taught(kept.get_tensor(NAME), kept.metadata()[TEXTS])
    except (SafetensorError, KeyError, TypeError) as error:
        fix = "restore it from a copy, or train again"
        raise RunError(f"the file is damaged: {error}", where=Where(str(path)), fix=fix) from error
    if found.texts != _digest(texts):
        message = "the teacher was asked about other texts, or about these in another order"
        fix = "name the old files in their old order, or start a new run"
        raise RunError(message, where=Where(str(path)), fix=fix)
    return found
