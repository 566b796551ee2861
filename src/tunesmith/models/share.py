"""Several models with one backbone: the weights they have in common become the same tensors.

What models of one checkpoint have in common is found by name below the backbone, whatever their classes call it; heads,
and what else a task adds, stay each model's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from tunesmith.models.layers import ADDED, LAYER


def share(models: Sequence[nn.Module], heads: Sequence[nn.Module | None], *, drawn: bool = False) -> list[nn.Parameter]:
    """Let all models have the weights of the first one that has them; return those that at least two have.

    Args:
        models: as they were built; changed in place.
        heads: the new part of each, which is not shared.
        drawn: whether all weights were drawn anew: embeddings that are the same are then not known by their values.
    """
    first: dict[str, nn.Parameter] = {}
    common: dict[int, nn.Parameter] = {}
    for model, head in zip(models, heads, strict=True):
        own, base = _own(model, head), backbone(model)
        vectors = {id(p) for m in base.modules() if isinstance(m, nn.Embedding) for p in m.parameters()}
        new: dict[int, nn.Parameter] = {}
        for name, parameter in base.named_parameters():
            known = first.setdefault(name, parameter) if id(parameter) not in own else parameter
            of_layers = bool(LAYER.search(name)) or (drawn and id(parameter) in vectors)
            if known is not parameter and _started_alike(known, parameter, of_layers=of_layers):
                known.requires_grad_(known.requires_grad or parameter.requires_grad)
                new[id(parameter)] = known
                common[id(known)] = known
        _replace(model, new)
    return list(common.values())


def _started_alike(one: nn.Parameter, other: nn.Parameter, *, of_layers: bool) -> bool:
    """Whether two weights of one name are the same; in layers they are, though they may have been drawn anew."""
    return one.shape == other.shape and (of_layers or torch.equal(one, other))


def backbone(model: Any) -> nn.Module:
    """Return the part of a model that its checkpoint was made for, without what a class of transformers adds."""
    if hasattr(model, "encoder") and model.config.model_type == "encoder-decoder":
        found: nn.Module = model.encoder
        return found
    base: nn.Module = model.base_model
    return base


def _own(model: nn.Module, head: nn.Module | None) -> set[int]:
    """Return the ids of the weights that a task has for itself: those of its head and of layers that were added."""
    parts = [head] if head is not None else []
    parts += [module for module in model.modules() if hasattr(module, ADDED)]
    return {id(parameter) for part in parts for parameter in part.parameters()}


def _replace(model: nn.Module, new: Mapping[int, nn.Parameter]) -> None:
    """Put other parameters in the place of some, wherever a model uses these."""
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None and id(parameter) in new:
                module._parameters[name] = new[id(parameter)]
