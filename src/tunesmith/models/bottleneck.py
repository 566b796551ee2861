"""Parallel adapters: a narrow feed-forward beside each feed-forward of a model, which alone learns.

He et al. (2022, "Towards a Unified View of Parameter-Efficient Transfer Learning", section 4) find this form, parallel
to the feed-forward and scaled by s, better than the adapter in series of Houlsby et al. (2019):

    h = act(x W1 + b1) W2 + b2 + s act(x D + d) U

As act is the family's own activation, the sum is one feed-forward that is `rank` features wider, with the columns of D
beside those of W1 and the rows of s U below those of W2. So it is trained, and so it is merged: the saved model is of
the same class, its config counts the features. Gated feed-forwards get a gate of the same width. U starts at zero, D as
that of LoRA does: at first the model is unchanged.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from tunesmith.core.errors import ModelError, Where
from tunesmith.models.layers import ADDED
from tunesmith.models.spec import AdaptSpec

LAYOUTS: tuple[tuple[tuple[str, ...], str, int], ...] = (
    (("intermediate.dense",), "output.dense", 1),  # BERT and most encoders
    (("lin1",), "lin2", 1),  # DistilBERT
    (("ffn",), "ffn_output", 1),  # ALBERT
    (("layer_1",), "layer_2", 1),  # XLNet
    (("Wi",), "Wo", 2),  # ModernBERT: one product for the features and their gate
    (("c_fc",), "c_proj", 1),  # GPT-2
    (("dense_h_to_4h",), "dense_4h_to_h", 1),  # GPT-NeoX
    (("gate_proj", "up_proj"), "down_proj", 1),  # Llama, Qwen
    (("fc1",), "fc2", 1),  # BART, Marian, Pegasus
    (("wi",), "wo", 1),  # T5
    (("wi_0", "wi_1"), "wo", 1),  # T5 v1.1
)
"""What families call the layers into a feed-forward and the one out of it, and how many parts the first ones give."""
WIDTHS = ("intermediate_size", "hidden_dim", "d_ff", "d_inner", "encoder_ffn_dim", "decoder_ffn_dim", "n_inner")
"""What families call the number of features in their configs."""


class FeedForward(NamedTuple):
    """Attributes: names of the layers into it, and of the one out of it; parts; whether it is pre-trained."""

    into: tuple[str, ...]
    out: str
    parts: int
    is_pretrained: bool


class Wider(nn.Module):
    """A layer into a feed-forward, with learnt features beside its own; each part has its share of them."""

    def __init__(self, base: nn.Module, spec: AdaptSpec, parts: int) -> None:
        super().__init__()
        self.base, self.parts = base, parts
        n_in, _ = _shape(base)
        self.added = nn.Linear(n_in, parts * spec.rank, bias=base.bias is not None)
        self.dropout = nn.Dropout(spec.dropout)
        nn.init.kaiming_uniform_(self.added.weight, a=math.sqrt(5))
        if self.added.bias is not None:
            nn.init.zeros_(self.added.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features, shape (..., parts * (width + rank))."""
        return _side_by_side(self.base(x), self.added(self.dropout(x)), self.parts, dim=-1)

    def merged(self) -> nn.Module:
        """Return one plain layer."""
        return widened(self.base, self.added.weight, self.added.bias, self.parts)


class Narrower(nn.Module):
    """The layer out of a feed-forward that has learnt features besides its own."""

    def __init__(self, base: nn.Module, spec: AdaptSpec) -> None:
        super().__init__()
        self.base, self.rank, self.scale = base, spec.rank, spec.alpha / spec.rank
        _, n_out = _shape(base)
        self.added = nn.Linear(spec.rank, n_out, bias=False)
        nn.init.zeros_(self.added.weight)

    @property
    def weight(self) -> Tensor:
        """Of the pre-trained layer: T5 asks for its type."""
        found: Tensor = self.base.weight  # type: ignore[assignment]
        return found

    def forward(self, x: Tensor) -> Tensor:
        """Return what the pre-trained layer gives for its features, and the scaled rest for the others."""
        own, more = x[..., : -self.rank], x[..., -self.rank :]
        found: Tensor = self.base(own) + self.scale * self.added(more)
        return found

    def merged(self) -> nn.Module:
        """Return one plain layer."""
        return lengthened(self.base, self.scale * self.added.weight)


def add_adapters(model: nn.Module, spec: AdaptSpec) -> None:
    """Put an adapter beside every pre-trained feed-forward.

    Raises:
        ModelError: none is found, or the config does not say how wide they are.
    """
    found = list(_feed_forwards(model))
    known = {width for config in _configs(model) for width in _widths(config).values()}
    wide = {_shape(model.get_submodule(one.into[0]))[1] // one.parts for one in found}
    if not found or not wide <= known:
        where = Where(column="model.adapt.kind", value=spec.kind)
        raise ModelError(
            "this family's feed-forwards can't be made wider", where=where, fix="--set model.adapt.kind=lora"
        )
    for one in found:
        if one.is_pretrained:
            for name in one.into:
                _put(model, name, Wider(model.get_submodule(name), spec, one.parts))
            _put(model, one.out, Narrower(model.get_submodule(one.out), spec))


def merge_adapters(model: nn.Module) -> None:
    """Make one feed-forward of each and its adapter; appended layers get as many features, all zero."""
    ranks = {module.rank for module in model.modules() if isinstance(module, Narrower)}
    if not ranks:
        return
    (rank,) = ranks
    for one in list(_feed_forwards(model)):
        for name in one.into:
            layer: Any = model.get_submodule(name)
            _put(model, name, layer.merged() if isinstance(layer, Wider) else _padded(layer, rank, one.parts))
        last: Any = model.get_submodule(one.out)
        zeros = torch.zeros(_shape(last)[1], rank) if not isinstance(last, Narrower) else None
        _put(model, one.out, last.merged() if zeros is None else lengthened(last, zeros))
    for config in _configs(model):
        for name, width in _widths(config).items():
            setattr(config, name, width + rank)


def widened(layer: Any, weight: Tensor, bias: Tensor | None, parts: int) -> nn.Module:
    """Give a linear layer more outputs, those of each part behind its own; `weight` has the shape (new, inputs)."""
    with torch.no_grad():
        is_turned, own = not isinstance(layer, nn.Linear), layer.weight
        more = weight.to(own)
        found = _side_by_side(own, more.T if is_turned else more, parts, dim=1 if is_turned else 0)
        layer.weight = nn.Parameter(found.contiguous(), requires_grad=own.requires_grad)
        if bias is not None:
            both = _side_by_side(layer.bias, bias.to(own), parts, dim=0)
            layer.bias = nn.Parameter(both, requires_grad=layer.bias.requires_grad)
    return _counted(layer)


def lengthened(layer: Any, weight: Tensor) -> nn.Module:
    """Give a linear layer more inputs, behind its own; `weight` has the shape (outputs, new)."""
    with torch.no_grad():
        is_turned, own = not isinstance(layer, nn.Linear), layer.weight
        more = weight.to(own)
        found = torch.cat([own, more.T if is_turned else more], dim=0 if is_turned else 1)
        layer.weight = nn.Parameter(found, requires_grad=own.requires_grad)
    return _counted(layer)


def _counted(layer: Any) -> nn.Module:
    """Return a layer whose fields say what its weight's shape is."""
    names = ("in_features", "out_features") if isinstance(layer, nn.Linear) else ("nx", "nf")
    for name, n in zip(names, _shape(layer), strict=True):
        setattr(layer, name, n)
    found: nn.Module = layer
    return found


def _padded(layer: Any, rank: int, parts: int) -> nn.Module:
    zeros = torch.zeros(parts * rank, _shape(layer)[0])
    return widened(layer, zeros, None if layer.bias is None else zeros[:, 0], parts)


def _side_by_side(own: Tensor, more: Tensor, parts: int, dim: int) -> Tensor:
    """Join two tensors along a dimension, part by part."""
    pairs = zip(own.chunk(parts, dim), more.chunk(parts, dim), strict=True)
    return torch.cat([one for pair in pairs for one in pair], dim)


def _shape(layer: Any) -> tuple[int, int]:
    """Return how many numbers a linear layer, with an adapter or without, takes and gives."""
    if isinstance(layer, Wider | Narrower):
        return _shape(layer.base)
    one, other = layer.weight.shape
    return (other, one) if isinstance(layer, nn.Linear) else (one, other)


def _is_linear(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Linear | Wider | Narrower) or type(layer).__name__ == "Conv1D"


def _feed_forwards(model: nn.Module) -> Iterator[FeedForward]:
    modules = dict(model.named_modules())
    for name, module in modules.items():
        for into, out, parts in LAYOUTS:
            names = [f"{name}.{part}" for part in (*into, out)]
            layers = [modules[one] for one in names if one in modules and _is_linear(modules[one])]
            if len(layers) == len(names) and _shape(layers[0])[1] == parts * _shape(layers[-1])[0]:
                yield FeedForward(tuple(names[:-1]), names[-1], parts, not hasattr(module, ADDED))


def _configs(model: nn.Module) -> list[Any]:
    """Return the configs that say how a model's parts are built."""
    found = {id(config): config for module in model.modules() if (config := getattr(module, "config", None))}
    return list(found.values())


def _widths(config: Any) -> dict[str, int]:
    """Return how wide a config says feed-forwards are, by the names it has for it."""
    found = {name: getattr(config, name) for name in WIDTHS if name in vars(config)}
    return {name: 4 * config.hidden_size if width is None else width for name, width in found.items()}


def _put(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, module)
