"""How the model would read the texts, measured before training: whether it can, and how much it would not see."""

from __future__ import annotations

from typing import get_args

from tunesmith.core.errors import Problem, TunesmithError
from tunesmith.core.notes import Note
from tunesmith.core.wording import count
from tunesmith.models.source import find
from tunesmith.models.tokenize import load_tokenizer
from tunesmith.recipe.recipe import Recipe
from tunesmith.tasks.base import Task
from tunesmith.workflow.prepare import Prepared
from tunesmith.workflow.resolve import set_aside


def measure_lengths(recipe: Recipe, prepared: Prepared) -> list[Note]:
    """Return notes on rows that the model refuses and texts longer than it reads, or on why it can't read any."""
    try:
        tokenizer = load_tokenizer(find(recipe.model), recipe.model, max_tokens=prepared.task.max_tokens)
        task, tokenizer = prepared.task.with_tokenizer(tokenizer, prepared.tables["train"])
        notes = set_aside(task, tokenizer, prepared.tables, prepared.ledger)
        table = prepared.tables["train"]
        counts = task.lengths(table, tokenizer)
    except TunesmithError as error:
        return [_refused(problem) for problem in error.problems]
    long = [i for i, n in enumerate(counts) if n > tokenizer.max_tokens]
    if not long:
        return notes
    message = f"longer than {tokenizer.max_tokens} tokens: {len(long):,} of {count(len(table), 'text')}"
    first, *others = (way for way in ways(task) if way != "auto")
    fix = f"--set task.long_text={first} (or {', '.join(others)})"
    if not task.may_cut and task.long_text in ("auto", "windows"):
        message, fix = f"{message}; they are read in overlapping windows, nothing is cut", ""
    else:
        cut = sum(counts[i] - tokenizer.max_tokens for i in long)
        message += f"; cutting would lose {cut / max(1, sum(counts)):.1%} of all tokens"
    places = tuple(table.where(i) for i in long[:20])
    return [*notes, Note("info", "long texts", message, fix, places, len(long))]


def _refused(problem: Problem) -> Note:
    """Return why training would not start."""
    place, named = problem.where, problem.where.column or problem.where.file
    message = problem.message if place.row or not named else f"{named}: {problem.message}"
    return Note("error", "model", message, problem.fix, (place,) if place.row else (), bool(place.row))


def ways(task: Task) -> tuple[str, ...]:
    """Return what `task.long_text` may be."""
    return get_args(type(task).model_fields["long_text"].annotation)
