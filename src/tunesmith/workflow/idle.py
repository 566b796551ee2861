"""Settings that would have no effect: refused where the task can't heed them, said where the rows don't let it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tunesmith.core.errors import RecipeError, Where
from tunesmith.core.hardware import n_processes
from tunesmith.core.notes import Note
from tunesmith.engine.freeze import in_steps
from tunesmith.recipe.recipe import Recipe
from tunesmith.tasks.parts import Example
from tunesmith.workflow.order import make_plan

OF_A_VECTOR = {"pooling": ("auto", "first"), "head_layers": ("auto",), "head_start": ("auto", "random")}
"""Settings of the model that are for one vector of the whole text, and their values that are not."""
SOME_ALONE = 0.1
"""Up to this share of texts, the last of a step may be read alone though an objective compares them."""


def refuse_idle(recipe: Recipe, task: Any) -> None:
    """Raise RecipeError if a setting asks for what a task does not have: a vector of the text, a dropout."""
    model = recipe.model
    for name, values in OF_A_VECTOR.items():
        value = getattr(model, name)
        if value not in values and not task.pools:
            raise _useless(f"model.{name}", value, f"{task.kind} makes no vector of the whole text")
    if model.head_dropout != "auto" and not task.drops_before_head:
        raise _useless("model.head_dropout", model.head_dropout, f"the head of {task.kind} has no dropout")
    if model.head_activation != "tanh" and model.head_layers in ("auto", 0):
        where = Where(column="model.head_activation", value=model.head_activation)
        raise RecipeError("there are no hidden layers in the head", where=where, fix="--set model.head_layers=1")


def idle_without_dev(recipe: Recipe, *, patience: str = "evaluate.patience") -> list[Note]:
    """Return what is to be said where there are no rows to measure by on the way.

    Args:
        recipe: of the training.
        patience: the setting that its patience comes from.
    """
    values = {patience: (recipe.evaluate.patience, ("auto", 0)), "train.soup": (recipe.train.soup, (1,))}
    asked = [name for name, (value, without) in values.items() if value not in without]
    message = "has no effect: there are no dev rows to measure by on the way"
    return [Note("warning", "no effect", f"{name} {message}", "--set data.split.dev=0.2") for name in asked]


def idle_beside(recipe: Recipe) -> list[Note]:
    """Return what is to be said of settings that others make useless."""
    model, adapt = recipe.model, recipe.model.adapt
    found = [
        (f"model.adapt.{name}", f"{adapt.kind} does not heed it", "leave it out, or --set model.adapt.kind=lora")
        for name in adapt.idle
    ]
    held = {"model.reinit_layers": model.reinit_layers, "train.mixout": recipe.train.mixout}
    held["train.decay_to_start"] = recipe.train.decay_to_start
    if model.weights == "random":
        found += [(name, "all weights are random", "--set model.weights=pretrained") for name in held if held[name]]
    if "backbone" in recipe.train.freeze and recipe.train.head_first != "none":
        found.append(("train.head_first", "the head alone learns anyway", "leave it out, or train.freeze"))
    return [Note("warning", "no effect", f"{name} has no effect: {why}", fix) for name, why, fix in found]


def read_alone(recipe: Recipe, examples: Sequence[Example]) -> list[Note]:
    """Return what is to be said of examples that are read alone where an objective compares them with others.

    Args:
        recipe: without any "auto".
        examples: that are learnt from.
    """
    names = recipe.objectives.comparing
    if not names or not examples:
        return []
    plan = make_plan(recipe, examples, world=n_processes())
    steps = [plan[i] for i in range(min(len(plan), len(plan.epoch(0))))]
    passes = [batch for shares in steps for share in shares if not share.blank for batch in share.batches]
    alone, n = sum(len(batch) == 1 for batch in passes), sum(map(len, passes))
    if alone <= SOME_ALONE * n:
        return []
    does = "compares" if len(names) == 1 else "compare"
    message = f"{' and '.join(names)} {does} the texts of one pass, and {alone:,} of {n:,} are alone in theirs"
    wider = f"--set train.tokens_per_batch={4 * int(recipe.train.tokens_per_batch)}, or "
    is_one = max(sum(len(batch) for share in shares for batch in share.batches) for shares in steps) == 1
    fix = f"{'' if is_one else wider}larger steps: --set train.step_size='16 rows'"
    return [Note("warning", "no effect", message, fix)]


def too_late(recipe: Recipe, examples: Sequence[Example]) -> list[Note]:
    """Return what is to be said where training ends before what is frozen at first begins to learn.

    Args:
        recipe: without any "auto".
        examples: that are learnt from.
    """
    train = recipe.train
    values = {"head_first": train.head_first, "unfreeze_every": train.unfreeze_every}
    late = {name: value for name, value in values.items() if value != "none"}
    if not late or not examples:
        return []
    plan = make_plan(recipe, examples, world=n_processes())
    notes = []
    for name, value in late.items():
        if in_steps(value, plan, plan.epochs(0)) >= len(plan):
            message = f"train.{name} is {value}, and training ends after {train.length}: the head alone learns"
            fix = f"a shorter one, such as --set train.{name}='{max(1, len(plan) // 10)} steps'"
            notes.append(Note("warning", "no effect", message, fix))
    return notes


def _useless(name: str, value: Any, why: str) -> RecipeError:
    return RecipeError(why, where=Where(column=name, value=value), fix="leave it out")
