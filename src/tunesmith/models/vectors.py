"""The token vectors of a model's source: seen, and changed, on their way into its layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.models.padding import pools_last_position, to_the_left, to_the_right

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


def _told(model: nn.Module, read: Tensor, mask: Tensor) -> Tensor:
    """Return the token vectors a model reads as objectives see them: (batch, tokens, width), padded on the right.

    It may count tokens before texts, have the padding on the left, or all texts in one row without any.
    """
    vectors = read.transpose(0, 1) if _counts_tokens_first(model) else read
    if vectors.shape[:2] != mask.shape:
        apart = vectors.new_zeros(*mask.shape, vectors.shape[-1])
        return apart.masked_scatter(mask.bool()[..., None], vectors)
    return to_the_left(vectors, mask) if pools_last_position(model) else vectors


def _as_read(model: nn.Module, vectors: Tensor, mask: Tensor, *, like: Tensor) -> Tensor:
    """Return what `_told` gave as the model reads it, of the shape of `like`."""
    if pools_last_position(model):
        vectors = to_the_right(vectors, mask)
    vectors = vectors.transpose(0, 1) if _counts_tokens_first(model) else vectors
    return vectors if vectors.shape == like.shape else vectors[mask.bool()][None]


def _counts_tokens_first(model: nn.Module) -> bool:
    config: Any = getattr(model.config, "backbone", model.config)
    return config.model_type in TOKENS_FIRST


@contextmanager
def vectors_seen(model: nn.Module, seen: Seen, mask: Tensor) -> Iterator[None]:
    """Note the token vectors of the first forward pass in the `with`.

    Args:
        model: a plain one.
        seen: where they are noted.
        mask: of the batch it reads, 1 for tokens, shape (batch, tokens), padded on the right.
    """

    def note(_module: nn.Module, _inputs: Any, out: Tensor) -> Tensor | None:
        if seen.vectors is not None:
            return None
        # Frozen word vectors have no gradient of their own; the slope at the text is wanted all the same.
        seen.vectors = _told(model, out if out.requires_grad else out.detach().requires_grad_(), mask)
        seen.vectors.retain_grad()
        return _as_read(model, seen.vectors, mask, like=out)

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
def vectors_changed(model: nn.Module, change: Change | None, mask: Tensor) -> Iterator[None]:
    """Change the token vectors of the first forward pass in the `with`: a decoder that shares them sees its own."""
    if change is None:
        yield
        return
    left = [change]

    def put(_module: nn.Module, _inputs: Any, out: Tensor) -> Tensor | None:
        return _as_read(model, left.pop()(_told(model, out, mask)), mask, like=out) if left else None

    hook = source_embedding(model).register_forward_hook(put)
    try:
        yield
    finally:
        hook.remove()
