"""What can be known of the later of several stages before the first one is trained."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from tunesmith.core.errors import Problem, RecipeError, TunesmithError, Where
from tunesmith.data.read import read
from tunesmith.models.opening import config_of
from tunesmith.models.source import find
from tunesmith.recipe.recipe import Recipe
from tunesmith.recipe.several import Part, Several
from tunesmith.workflow.editors import refuse_edits, refuse_models, refuse_unseen
from tunesmith.workflow.idle import refuse_idle
from tunesmith.workflow.prepare import prepare, seen_in
from tunesmith.workflow.resolve import refuse_unknown_metric
from tunesmith.workflow.session import Watch
from tunesmith.workflow.start import refuse_all
from tunesmith.workflow.teach import refuse_other_task, refuse_unfit

WRITES = "AutoModelForSeq2SeqLM"
MASKS = "fill-mask"


@dataclass(frozen=True)
class Stage:
    """A stage: its name, its settings, and the task that its data shows."""

    name: str
    recipe: Recipe
    task: Any


def look_ahead(several: Several, watch: Watch) -> None:
    """Read the data of the later stages, and see whether their settings suit it, and the stages before them.

    Raises:
        TunesmithError: a stage could not be trained; what only the model it starts from can tell is told later.
    """
    chain: list[Stage] = []
    before: dict[str, Stage] = {}
    for i, (name, part) in enumerate(several.parts.items()):
        if i:
            watch.tell({"event": "task", "name": f"{name}: a look at its data"})
            task = prepare(part.recipe.without_models()).task
            chain = [] if names_model(part) else chain
        else:
            task = _seen(part.recipe)
        stage = Stage(name, part.recipe, task)
        if i:
            _refuse(stage, chain, before.get(part.recipe.teacher))
        chain.append(stage)
        before[name] = stage


def names_model(part: Part) -> bool:
    """Whether a stage starts from a model of its own, not from that of the stage before."""
    return bool({"model", "model.source"} & part.own)


def _seen(recipe: Recipe) -> Any:
    """Return the task of the first stage: as it is named, or as its data shows it, which is read in full later."""
    if "kind" in recipe.task.model_fields_set or "-" in recipe.data.path:
        return recipe.task
    return seen_in(read(recipe.data, task=None), recipe)[0]


def _refuse(stage: Stage, chain: Sequence[Stage], teacher: Stage | None) -> None:
    """Raise what of a stage's settings doesn't suit its task, its teacher, or the stages whose model it starts from."""
    recipe, task = stage.recipe, stage.task
    checks: list[Callable[[], object]] = [
        partial(refuse_unknown_metric, recipe, task),
        partial(refuse_idle, recipe, task),
        partial(recipe.objectives.active, task),
        partial(_refuse_second_prefix, stage, chain),
        partial(_refuse_lost_head, stage, chain),
        partial(_refuse_context, stage, chain),
        partial(refuse_other_task, teacher.task, task, teacher.name)
        if teacher
        else partial(refuse_unfit, recipe, task),
    ]
    if recipe.augment.is_on:
        edits = tuple(one for one in recipe.augment.edits if one != "context" or not _guesses_itself(recipe, chain))
        spec = recipe.augment.model_copy(update={"edits": edits})
        start = chain[0].recipe if chain else recipe
        checks += [
            partial(refuse_edits, task, recipe.augment),
            partial(refuse_models, spec, recipe.model),
            partial(refuse_unseen, recipe.augment, recipe.objectives.noise, start.model),
        ]
    refuse_all_of(stage.name, *checks)


def refuse_all_of(name: str, *checks: Callable[[], object]) -> None:
    """Run all checks of a stage; raise all that they raise as one error, in the words of the whole."""
    try:
        refuse_all(*checks)
    except TunesmithError as error:
        raise type(error).of([_named(problem, f"stages.{name}") for problem in error.problems]) from None


def _named(problem: Problem, stage: str) -> Problem:
    """Return a problem of one stage, in the words of the whole."""
    where = replace(problem.where, column=f"{stage}.{problem.where.column}".rstrip("."))
    return Problem(problem.message, where, re.sub(r"--set ('?)", rf"--set \1{stage}.", problem.fix))


def _refuse_second_prefix(stage: Stage, chain: Sequence[Stage]) -> None:
    """Raise RecipeError where a stage would give a model prefixes that has some."""
    earlier = [one.name for one in chain if one.recipe.model.adapt.kind == "prefix"]
    if earlier and stage.recipe.model.adapt.kind == "prefix":
        where = Where(column="model.adapt.kind", value="prefix")
        message = f'the model has learnt prefixes in stage "{earlier[0]}" already, and has them once'
        raise RecipeError(message, where=where, fix="--set model.adapt.kind=lora")


def _refuse_lost_head(stage: Stage, chain: Sequence[Stage]) -> None:
    """Raise RecipeError where an encoder was made a writer before, which has no head for anything else."""
    writers = [one.name for one in chain if one.task.auto_class == WRITES]
    if not writers or stage.task.auto_class == WRITES:
        return
    first = chain[0].recipe.model
    if not config_of(find(first), first).is_encoder_decoder:
        where = Where(column="task.kind", value=stage.task.kind)
        message = f'stage "{writers[0]}" makes the model one that reads and writes, which has no head for this'
        fix = f'put this stage before "{writers[0]}", or start it anew: --set model.source={first.source}'
        raise RecipeError(message, where=where, fix=fix)


def _refuse_context(stage: Stage, chain: Sequence[Stage]) -> None:
    """Raise RecipeError where the model of the stage before is to guess words, and can't."""
    spec = stage.recipe.augment
    if spec.is_on and "context" in spec.edits and _guesses_itself(stage.recipe, chain) and chain[-1].task.kind != MASKS:
        where = Where(column="augment.model", value=spec.model)
        message = f'the model of stage "{chain[-1].name}" can\'t fill masks'
        fix = "name a run of --task fill-mask, for example --set augment.model=runs/texts-1"
        raise RecipeError(message, where=where, fix=fix)


def _guesses_itself(recipe: Recipe, chain: Sequence[Stage]) -> bool:
    """Whether the model that a stage starts from guesses words, and a stage before it makes that model."""
    return recipe.augment.model == "auto" and bool(chain)
