"""Directions and sizes of noise on token vectors, shape (batch, tokens, width); each text is one vector."""

from __future__ import annotations

import torch
from torch import Tensor

TINY = 1e-12


def sizes(noise: Tensor) -> Tensor:
    """Return the Euclidean size of each text's noise, shape (batch, 1, 1)."""
    found: Tensor = noise.flatten(1).norm(dim=1)[:, None, None]
    return found


def unit(noise: Tensor) -> Tensor:
    """Return each text's noise with size 1; nothing stays nothing."""
    return noise / sizes(noise).clamp(min=TINY)


def within(noise: Tensor, radius: Tensor) -> Tensor:
    """Return each text's noise, made smaller where it is larger than `radius`, shape (batch, 1, 1)."""
    return noise * (radius / sizes(noise).clamp(min=TINY)).clamp(max=1)


def drawn(vectors: Tensor, mask: Tensor) -> Tensor:
    """Return normal noise for the tokens of `vectors`, 0 for padding."""
    return torch.randn_like(vectors) * mask
