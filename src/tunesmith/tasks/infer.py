"""Which task rows are meant for, where the user names none: what their format is made for, else what they look like."""

from __future__ import annotations

from collections.abc import Sequence

from tunesmith.core.errors import RecipeError, Where
from tunesmith.data.formats.base import Format
from tunesmith.data.table import Table
from tunesmith.tasks import TASKS
from tunesmith.tasks.base import Task


def infer(table: Table, forms: Sequence[Format], *, like: Task) -> tuple[Task, str]:
    """Return the task that the training rows are meant for, and what shows it.

    Args:
        table: the training rows as they were read.
        forms: the file formats they were recognised as.
        like: the task whose settings are taken over: what is returned where nothing shows another.

    Raises:
        RecipeError: settings were given that the task does not have.
    """
    kind, reason = _seen(table, forms, like)
    return (_as(kind, like, reason), reason) if kind != like.kind else (like, reason)


def _seen(table: Table, forms: Sequence[Format], like: Task) -> tuple[str, str]:
    names = {name: str(getattr(like, name, "auto")) for name in ("text", "label")}
    by_form: dict[str, str] = {form.task: f"the data is {form.title}" for form in forms if form.task in TASKS}
    for kind in TASKS:
        if reason := TASKS[kind].recognises(table, **names):
            return kind, by_form.get(kind, reason)
    return next(iter(by_form.items()), (like.kind, "a text and a label in each row"))


def _as(kind: str, like: Task, reason: str) -> Task:
    """Return a task of a kind with the settings the user gave to another."""
    given = {name: getattr(like, name) for name in like.model_fields_set}
    wrong = [name for name in given if name not in TASKS[kind].model_fields]
    if wrong:
        raise RecipeError(
            f"{kind} has no such setting, and {reason}",
            where=Where(column=f"task.{wrong[0]}", value=given[wrong[0]]),
            fix="name the task that is meant with --task",
        )
    task: Task = TASKS[kind].model_validate(given)
    return task
