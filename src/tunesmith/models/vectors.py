"""The token vectors of a model's source: seen, and changed, on their way into its layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

Change = Callable[[Tensor], Tensor]
TOKENS_FIRST = ("xlnet",)
"""Families whose token vectors have the shape (tokens, batch, width) inside the model."""


@dataclass
class Seen:
    """What went into a forward pass.

    Attributes:
        vectors: of the source's tokens, shape (batch, tokens, width), in the graph; their gradient is kept.
        features: what the watched head received, likewise, shape (batch, width), or that of each token.
    """

    vectors: Tensor | None = None
    features: Tensor | None = None


def source_embedding(model: nn.Module) -> nn.Module:
    """Return the module that turns the tokens a model reads into vectors."""
    reader: Any = model
    if model.config.is_encoder_decoder:  # type: ignore[union-attr]
        reader = model.get_encoder()  # type: ignore[operator]
    found: nn.Module = reader.get_input_embeddings()
    return found


def _turned(model: nn.Module, vectors: Tensor) -> Tensor:
    """Return token vectors with the other of their first two axes first, in families that count tokens before texts."""
    config: Any = getattr(model.config, "backbone", model.config)
    return vectors.transpose(0, 1) if config.model_type in TOKENS_FIRST else vectors


@contextmanager
def vectors_seen(model: nn.Module, seen: Seen) -> Iterator[None]:
    """Note the token vectors of the first forward pass in the `with`."""

    def note(_module: nn.Module, _inputs: Any, out: Tensor) -> Tensor | None:
        if seen.vectors is not None:
            return None
        # Frozen word vectors have no gradient of their own; the slope at the text is wanted all the same.
        seen.vectors = _turned(model, out if out.requires_grad else out.detach().requires_grad_())
        seen.vectors.retain_grad()
        return _turned(model, seen.vectors)

    hook = source_embedding(model).register_forward_hook(note)
    try:
        yield
    finally:
        hook.remove()


def of_texts(features: Tensor, mask: Tensor) -> Tensor:
    """Return one vector a text of what a head's last layer received, shape (batch, features).

    The own heads of decoders score every token, and only then choose the last one.

    Args:
        features: shape (batch, features), or (batch, tokens, features).
        mask: 1 for tokens, 0 for padding on the right, shape (batch, tokens).
    """
    if features.ndim == 2:
        return features
    return features[torch.arange(len(features), device=features.device), mask.sum(dim=1) - 1]


@contextmanager
def features_seen(head: nn.Module, seen: Seen) -> Iterator[None]:
    """Note what the last linear layer of a head receives in the `with`."""

    def note(_module: nn.Module, inputs: Any) -> None:
        seen.features = inputs[0]

    last = [module for module in head.modules() if isinstance(module, nn.Linear)][-1]
    hook = last.register_forward_pre_hook(note)
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def vectors_changed(model: nn.Module, change: Change | None) -> Iterator[None]:
    """Change the token vectors of the first forward pass in the `with`: a decoder that shares them sees its own."""
    if change is None:
        yield
        return
    left = [change]

    def put(_module: nn.Module, _inputs: Any, out: Tensor) -> Tensor | None:
        return _turned(model, left.pop()(_turned(model, out))) if left else None

    hook = source_embedding(model).register_forward_hook(put)
    try:
        yield
    finally:
        hook.remove()
