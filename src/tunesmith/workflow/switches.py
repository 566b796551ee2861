"""The techniques that `tunesmith ablate --all` tries, one switch each, with the value one would try first."""

from __future__ import annotations

from collections.abc import Sequence

from tunesmith.core.errors import RecipeError, Where, did_you_mean
from tunesmith.objectives import ObjectivesSpec

SWITCHES: dict[str, tuple[str, ...]] = {
    **{name: (f"objectives.{name}=true",) for name in ObjectivesSpec.model_fields},
    "eda": ("augment.copies=4",),
    **{
        name: ("augment.copies=1", f"augment.edits={name}")
        for name in ("typos", "case", "shuffle", "entities", "context")
    },
    "balance": ("augment.balance=true",),
    "freeze_backbone": ("train.freeze=backbone",),
    "freeze_embeddings": ("train.freeze=embeddings",),
    "head_first": ("train.head_first=1 epoch",),
    "gradual_unfreezing": ("train.unfreeze_every=0.5 epochs",),
    "one_rate": ("train.layer_decay=1.0",),
    "steep_rates": ("train.layer_decay=0.8",),
    "fast_head": ("train.head_lr_factor=5",),
    "cosine": ("train.schedule=cosine",),
    "constant": ("train.schedule=constant",),
    "one_cycle": ("train.schedule=one_cycle",),
    "slanted": ("train.schedule=slanted",),
    "lora": ("model.adapt.kind=lora",),
    "dora": ("model.adapt.kind=dora",),
    "ia3": ("model.adapt.kind=ia3",),
    "bitfit": ("model.adapt.kind=bitfit",),
    "adapter": ("model.adapt.kind=adapter",),
    "prompt": ("model.adapt.kind=prompt",),
    "prefix": ("model.adapt.kind=prefix",),
    "reinit": ("model.reinit_layers=1",),
    "drop_layers": ("model.drop_layers=0.2",),
    "more_dropout": ("model.dropout=0.2",),
    "no_dropout": ("model.dropout=0.0",),
    "weight_decay": ("train.weight_decay=0.1",),
    "decay_to_start": ("train.decay_to_start=10",),
    "mixout": ("train.mixout=0.5",),
    "label_smoothing": ("task.label_smoothing=0.1",),
    "average": ("train.average=0.5",),
    "moving_average": ("train.average=1.0", "train.average_decay=0.99"),
    "soup": ("train.soup=3",),
    "first_token": ("model.pooling=first",),
    "last_token": ("model.pooling=last",),
    "max_pooling": ("model.pooling=max",),
    "attention_pooling": ("model.pooling=attention",),
    "layer_mix": ("model.pooling=layers",),
    "head_layer": ("model.head_layers=1",),
    "probe": ("model.head_start=probe",),
    "random_weights": ("model.weights=random",),
}


def settings_of(switch: str) -> tuple[str, ...]:
    """Return what a switch sets: a known name, a setting ("train.mixout=0.3"), or several with " + " between them.

    Raises:
        RecipeError: it is neither.
    """
    found: list[str] = []
    parts = switch.split(" + ")
    if len(parts) > len({*parts}):
        raise RecipeError("the same stands twice", where=Where("--switch", value=switch), fix="leave one of them out")
    for part in parts:
        if part in SWITCHES:
            found += SWITCHES[part]
        elif "=" in part:
            found.append(part)
        else:
            apart = " + ".join(one.strip() for one in part.split("+"))
            near = f'did you mean "{apart}"?' if apart != part else ""
            fix = near or did_you_mean(part, list(SWITCHES)) or f"a setting such as train.mixout=0.3, or {listed()}"
            raise RecipeError("there is no such switch", where=Where("--switch", value=part), fix=fix)
    _refuse_double(switch, found)
    return tuple(found)


def _refuse_double(switch: str, settings: Sequence[str]) -> None:
    """Raise RecipeError if the parts of a switch set the same to different values: one of them would be lost."""
    values: dict[str, str] = {}
    for setting in settings:
        key, _, value = setting.partition("=")
        if (other := values.setdefault(key, value)) != value:
            message = f"{key} can't be both {other} and {value}"
            fix = f'name a switch for each, or write what is meant: --switch "{key}=..."'
            raise RecipeError(message, where=Where("--switch", value=switch), fix=fix)


def listed(names: Sequence[str] = tuple(SWITCHES)) -> str:
    """Return the known names in a row."""
    return ", ".join(names)
