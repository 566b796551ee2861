"""Settings of which a training of several tasks has one: named for all tasks, or not at all."""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.core.errors import Problem, RecipeError, Where
from tunesmith.core.wording import setting
from tunesmith.engine.mix_spec import MixSpec
from tunesmith.recipe.origins import flat
from tunesmith.recipe.several import Several

BACKBONE = ("model.source", "model.revision", "model.weights", "model.reinit_layers", "model.adapt.")
"""What all tasks start from; those that end with a dot are sections."""
ONCE = (
    *("train.beta1", "train.beta2", "train.average", "train.average_decay", "train.soup", "train.precision"),
    *("train.device", "train.save_every", "train.keep_checkpoints", "track"),
)
"""What one optimizer, one device and one series of measurements have."""
INSTEAD = {"evaluate.patience": "patience", "evaluate.every": "measurements"}
"""What `multitask` says in the place of a task."""


def refuse_own(several: Several) -> None:
    """Raise RecipeError if a task has a setting of its own that all tasks have together, with all of these."""
    problems: list[Problem] = []
    for one in (*_different(several), *_replaced(several)):
        problems += [one] if one not in problems else []
    if problems:
        raise RecipeError.of(problems)


def _different(several: Several) -> Iterator[Problem]:
    """Yield settings that there is one of, and that not all tasks have alike."""
    settings = {name: flat(part.recipe) for name, part in several.parts.items()}
    first = next(iter(settings.values()))
    for key in first:
        reason = _why_one(key, several.mix)
        others = [name for name, own in settings.items() if reason and own[key] != first[key]]
        if others:
            name = next((name for name, part in several.parts.items() if key in part.own), others[0])
            value = settings[name][key]
            where = Where(column=f"tasks.{name}.{key}", value=value)
            yield Problem(reason, where, f"name it once, outside of the tasks, or for all: {setting(key, value)}")


def _why_one(key: str, mix: MixSpec) -> str:
    """Return why there is one of a setting; "" where each task may have its own."""
    if any(key == one or (one.endswith(".") and key.startswith(one)) for one in BACKBONE):
        return "the tasks share one backbone, so they start from the same weights"
    if key in ONCE:
        return "the tasks are trained in one go, which has one of these"
    if key == "train.length" and mix.mixing != "planned":
        return f"multitask.mixing: {mix.mixing} shares the updates of all tasks out"
    return ""


def _replaced(several: Several) -> Iterator[Problem]:
    """Yield settings of single trainings that `multitask` has in their place."""
    for name, part in several.parts.items():
        for key, instead in INSTEAD.items():
            said, wanted = part.origins.entries[key], getattr(several.mix, instead)
            if said.origin not in ("default", "chosen") and said.value != wanted:
                where = Where(column=f"tasks.{name}.{key}" if key in part.own else key, value=said.value)
                better = said.value if instead == "patience" else wanted
                fix = f"leave it out, and use --set multitask.{instead}={better}"
                yield Problem("all tasks are measured together", where, fix)
