"""The layers of a model, whatever its family calls them; and two things that are done to whole layers."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from tunesmith.core.errors import ModelError, Where

LAYER = re.compile(r"(?:^|\.)(?:layer|layers|h|block|blocks)\.(\d+)\.")
"""What families call one of their layers in a weight's name: `layer` BERT, `layers` Llama and BART, `h` GPT-2, `block`
T5."""
ADDED = "is_added"
"""Marks a layer that is no pre-trained one."""
NEW = "is_new"
"""Marks a weight that the checkpoint does not hold: it learns also where few weights do."""


def stacks(model: nn.Module) -> dict[str, list[nn.Module]]:
    """Return the pre-trained layers of each stack, by its name, the lowest layer first."""
    found: dict[str, list[nn.Module]] = {}
    for name, module in model.named_modules():
        match = LAYER.search(f"{name}.")
        if match and match.end() == len(name) + 1 and not hasattr(module, ADDED):
            found.setdefault(name[: match.start(1)], []).append(module)
    return found


def within_layers(model: nn.Module) -> dict[str, re.Match[str]]:
    """Return for each weight of a pre-trained layer the part of its name that says which; those added have none."""
    added = tuple(f"{name}." for name, module in model.named_modules() if hasattr(module, ADDED))
    names = (name for name, _ in model.named_parameters() if not name.startswith(added))
    return {name: match for name in names if (match := LAYER.search(name))}


def is_linear(module: nn.Module) -> bool:
    """Whether a module is a linear layer: torch's, or GPT-2's, whose weights are turned."""
    return isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D"


def _stacks_for(model: nn.Module, setting: str, value: float) -> list[list[nn.Module]]:
    """Return the layers of each stack, for a setting that is on.

    Raises:
        ModelError: there are none, as in ALBERT, which uses one layer many times.
    """
    found = list(stacks(model).values())
    if not found:
        where = Where(column=f"model.{setting}", value=value)
        raise ModelError("no layers are found in this family", where=where, fix=f"--set model.{setting}=0")
    return found


def reinit_top(model: PreTrainedModel, n: int, *, pooler: bool = False) -> None:
    """Give the top `n` layers of each stack new random weights (Zhang et al. 2021, section 4.2).

    With `pooler` likewise what is made of the top layer's first token, if the model has that.

    Raises:
        ModelError: there are fewer.
    """
    for layers in _stacks_for(model, "reinit_layers", n) if n else ():
        if n > len(layers):
            where = Where(column="model.reinit_layers", value=n)
            raise ModelError(f"a stack of this model has {len(layers)} layers", where=where, fix="choose fewer")
        for layer in layers[-n:]:
            draw_anew(model, layer)
    above = getattr(model.base_model, "pooler", None)
    if n and pooler and above is not None:
        draw_anew(model, above)


def draw_anew(model: PreTrainedModel, part: nn.Module) -> None:
    """Give a part of a model new random weights, as its family draws them, maybe by what the part is in."""
    for tensor in (*part.parameters(), *part.buffers()):
        # transformers marks what a checkpoint filled, and initialises no such tensor again.
        tensor._is_hf_initialized = False  # type: ignore[attr-defined]
        setattr(tensor, NEW, True)
    part.apply(model._init_weights)
    around = [
        module for module in model.modules() if module is not part and any(one is part for one in module.modules())
    ]
    for module in reversed(around):
        model._init_weights(module)


def drop_layers(model: nn.Module, probability: float) -> None:
    """Let each layer be left out of a pass of training, the higher the more often, the top one with `probability`.

    (Stochastic depth, Huang et al. 2016, with its linear rule; as LayerDrop, Fan et al. 2020, without a change of
    scale.) A layer is left out for the whole batch.

    Raises:
        ModelError: the model has no layers that can be told apart.
    """
    for layers in _stacks_for(model, "drop_layers", probability) if probability else ():
        for i, layer in enumerate(layers, 1):
            hook = partial(_maybe_left_out, probability=probability * i / len(layers))
            layer.register_forward_hook(hook, with_kwargs=True)


def _maybe_left_out(
    module: nn.Module, args: tuple[Any, ...], inputs: dict[str, Any], out: Any, *, probability: float
) -> Any:
    if not module.training or float(torch.rand(())) >= probability:
        return None
    came: Tensor = args[0] if args else inputs["hidden_states"]
    return came if isinstance(out, Tensor) else (came, *out[1:])
