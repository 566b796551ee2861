"""The token vectors of a model's source: seen, and changed, on their way into its layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

Change = Callable[[Tensor], Tensor]


@dataclass
class Seen:
    """What went into a forward pass.

    Attributes:
        vectors: of the source's tokens, shape (batch, tokens, width), in the graph; their gradient is kept.
        features: what the watched head received, likewise, shape (batch, width).
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


@contextmanager
def vectors_seen(model: nn.Module, seen: Seen) -> Iterator[None]:
    """Note the token vectors of the first forward pass in the `with`."""

    def note(_module: nn.Module, _inputs: Any, out: Tensor) -> Tensor | None:
        if seen.vectors is not None:
            return None
        # Frozen word vectors have no gradient of their own; the slope at the text is wanted all the same.
        changed = None if out.requires_grad else out.detach().requires_grad_()
        seen.vectors = out if changed is None else changed
        seen.vectors.retain_grad()
        return changed

    hook = source_embedding(model).register_forward_hook(note)
    try:
        yield
    finally:
        hook.remove()


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
    hook = source_embedding(model).register_forward_hook(lambda _m, _i, out: left.pop()(out) if left else None)
    try:
        yield
    finally:
        hook.remove()
