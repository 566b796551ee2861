"""Every "auto" of a recipe becomes a value here, from the size of the data, its classes and the model, with a reason.

What decides is the number of updates, not of epochs: three epochs of 100 rows are ten updates, and a model barely
moves in ten. The numbers below were measured with the embedded model; `docs/log.md` has the tables.
"""

from __future__ import annotations

import math

from tunesmith.core.wording import count, does, rows
from tunesmith.engine.spec import amount
from tunesmith.recipe.recipe import Recipe
from tunesmith.tasks.facts import Choices, Facts

FEW_ROWS = 2000
"""Up to here steps are small."""
UPDATES_PER_CLASS = 20
MOST_EPOCHS, FEWEST_EPOCHS = 15, 3
MANY_UPDATES = 1000
"""From here on, late weights are averaged."""
LONG_EPOCHS = 6
"""From here on, a third of the planned epochs without a gain end training; a shorter one runs to its end."""
LR_AT_384 = 1e-4
FASTER = {
    "lora": 5.0,
    "dora": 5.0,
    "ia3": 50.0,
    "bitfit": 50.0,
    "adapter": 20.0,
    "prompt": 50.0,
    "prefix": 50.0,
    "backbone": 20.0,
}
"""How much faster the few weights learn that do in the place of all: of an adaptation, or above a frozen backbone."""
LENGTH_FACTORS = {"fast": 0.5, "balanced": 1.0, "best": 1.5}
MEMORY_TOKENS = {"cpu": 1024, "gpu": 32768}
TEXTS_COMPARED = 8
"""So many texts of usual length fit into a pass where objectives compare them; more would cost more memory."""


def choose(recipe: Recipe, facts: Facts) -> Choices:
    """Return a value and a reason for every setting that is still "auto"; settings of the user's are left alone."""
    found: Choices = {}
    found.update(_texts(facts))
    found.update(_model(facts))
    found.update(_steps(recipe, facts))
    found.update(_rates(facts))
    of_task = recipe.task.choices(facts)
    found.update(of_task)
    found.update(_average(recipe, facts, length=_length(recipe, found), step_size=_step_size(recipe, found)))
    found.update(_measuring(recipe, facts, length=_length(recipe, found), step_size=_step_size(recipe, found)))
    found.update(_augmenting(recipe))
    found.update(of_task)  # also where the choices after it followed from it
    if recipe.model.adapt.kind != "none":
        found["train.lr"] = _faster(*found["train.lr"], FASTER[recipe.model.adapt.kind], recipe.model.adapt.kind)
    elif "backbone" in recipe.train.freeze:
        found["train.lr"] = _faster(*found["train.lr"], FASTER["backbone"], "a frozen backbone")
    return {key: choice for key, choice in found.items() if _is_auto(recipe, key)}


def _texts(facts: Facts) -> Choices:
    if not facts.may_cut:
        policy = ("windows", "every word has to be read")
    elif facts.loses_much:
        policy = ("windows", f"{facts.too_long}: they are read in overlapping windows, nothing is cut")
    else:
        policy = ("head", f"{facts.too_long}" + (": these are cut" if facts.share_too_long else ""))
    return {
        "task.long_text": policy,
        "task.max_tokens": (facts.max_tokens, "what the model was made for"),
    }


def _model(facts: Facts) -> Choices:
    return {
        "model.pooling": facts.pooling,
        "model.head_start": (
            "random",
            "beginning with a head fitted on frozen vectors gained nothing where it was measured",
        ),
    }


def _augmenting(recipe: Recipe) -> Choices:
    if not recipe.augment.is_on or "context" not in recipe.augment.edits:
        return {}
    return {"augment.model": (recipe.model.source, "the model that is trained can fill masks")}


def _steps(recipe: Recipe, facts: Facts) -> Choices:
    rows = 16 if facts.n_rows <= FEW_ROWS else 32
    size = f"{rows} rows" if recipe.train.step_size == "auto" else str(recipe.train.step_size)
    per_epoch = _per_epoch(facts, size)
    wanted = recipe.task.updates + UPDATES_PER_CLASS * facts.n_classes
    epochs = min(MOST_EPOCHS, max(FEWEST_EPOCHS, math.ceil(wanted / per_epoch)))
    factor = LENGTH_FACTORS[recipe.preset]
    length = max(1, round(epochs * factor))
    want = does(facts.n_classes, "class", "wants", "want") if facts.n_classes else "the task wants"
    reason = f"{count(round(per_epoch), 'update')} an epoch; {want} about {wanted:,}, in 3 to 15 epochs"
    if factor != 1:
        reason += f"; preset {recipe.preset}: times {factor:g}"
    return {
        "train.step_size": (
            f"{rows} rows",
            "small steps give few rows more updates" if rows == 16 else "the usual size",
        ),
        "train.length": (count(length, "epoch"), reason),
        "train.tokens_per_batch": _pass_size(recipe, facts),
    }


def _pass_size(recipe: Recipe, facts: Facts) -> tuple[int, str]:
    usual = MEMORY_TOKENS["gpu" if facts.has_gpu else "cpu"]
    wanted = math.ceil(TEXTS_COMPARED * facts.mean_tokens / 256) * 256
    if (names := recipe.objectives.comparing) and wanted > usual:
        return wanted, f"{' and '.join(names)}: about {TEXTS_COMPARED} texts in a pass are to be compared"
    return usual, "little memory at full speed; a larger step is cut, and learns from as many rows"


def _rates(facts: Facts) -> Choices:
    lr = float(f"{LR_AT_384 * 384 / facts.hidden_size:.1g}")
    return {
        "train.lr": (lr, f"suits a model of width {facts.hidden_size}; wider ones take less"),
        "train.layer_decay": (0.9, "lower layers hold general knowledge and move less"),
        "train.head_lr_factor": (1.0, "the head learns at the top layer's rate"),
    }


def _faster(lr: float, reason: str, factor: float, cause: str) -> tuple[float, str]:
    """Return the rate at which few weights learn in the place of all."""
    return float(f"{factor * lr:.1g}"), f"{reason}; {factor:g} times the usual, since with {cause} few learn"


def _average(recipe: Recipe, facts: Facts, *, length: str, step_size: str) -> Choices:
    if recipe.train.average_decay:
        return {"train.average": (1.0, "the moving average is of all updates")}
    if recipe.train.soup > 1:
        return {"train.average": (0.0, "the best measured weights are averaged in the place of the last ones")}
    number, unit = amount(length)
    steps = number if unit == "steps" else number * _per_epoch(facts, step_size)
    if steps >= MANY_UPDATES:
        return {"train.average": (0.5, f"of {steps:,.0f} updates, the weights of the second half are averaged")}
    return {
        "train.average": (0.0, f"{does(round(steps), 'update', 'is', 'are')} too few for an average to bring anything")
    }


def _per_epoch(facts: Facts, step_size: str) -> float:
    """Return the updates of an epoch."""
    number, unit = amount(step_size)
    rows = number if unit == "rows" else number / max(1.0, facts.mean_tokens)
    return max(1.0, math.ceil(facts.n_rows / rows))


def _step_size(recipe: Recipe, found: Choices) -> str:
    """Return what one update learns from: as the recipe says, else as chosen."""
    return str(found["train.step_size"][0] if recipe.train.step_size == "auto" else recipe.train.step_size)


def _length(recipe: Recipe, found: Choices) -> str:
    """Return how long training will be: as the recipe says, else as chosen."""
    return str(found["train.length"][0] if recipe.train.length == "auto" else recipe.train.length)


def _measuring(recipe: Recipe, facts: Facts, *, length: str, step_size: str) -> Choices:
    number, unit = amount(length)
    is_long = unit == "epochs" and number >= LONG_EPOCHS
    every = "0.25 epochs" if facts.n_rows > 10 * FEW_ROWS and not is_long else "1 epoch"
    if not facts.n_dev:
        often = (every, "not used: there are no dev rows")
        patience = (0, "no dev rows to stop by: every row is trained on, for as long as did well elsewhere")
    else:
        often = (every, "often enough to catch the best weights")
        if is_long:
            n, unit = amount(every if recipe.evaluate.every == "auto" else recipe.evaluate.every)
            n_epochs = n if unit == "epochs" else n / _per_epoch(facts, step_size)
            n_seen = max(1, math.ceil(number / 3 / n_epochs))
            patience = (n_seen, f"stop when {n_seen} measurements on {rows(facts.n_dev, 'dev')} show no gain")
        else:
            patience = (0, "a short training is best at its end, when the rate has fallen; the best weights are kept")
    return {
        "evaluate.every": often,
        "evaluate.patience": patience,
        "evaluate.metric": (facts.main_metric, "the task's main metric"),
    }


def _is_auto(recipe: Recipe, key: str) -> bool:
    section, field = key.split(".")
    return bool(getattr(getattr(recipe, section), field, None) == "auto")
