"""Linear layers through oneDNN: on CPUs for which torch's own choice, MKL, is not tuned, twice as fast.

torch multiplies float32 matrices on x86 with MKL, which reaches about 200 GFLOP/s on two AVX-512 cores that are not
Intel's; oneDNN, which torch ships too, reaches 350 to 450 there. The operator used here is the one torch.compile
uses. Forward, input gradient and weight gradient are each one call; results agree to float32 rounding. On Intel's own
CPUs MKL is the faster by a tenth, and needs less memory: nothing is turned there.
"""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.core.hardware import is_intel

SMALLEST = 64 * 64
"""Weights with fewer elements than this gain nothing."""
FEW_SHAPES = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "128", "LRU_CACHE_CAPACITY": "16"}
"""How many compiled products oneDNN and torch each keep (1,024 by default), set where the user did not set it.

Every batch of another number of tokens needs products of its own; kept, they take hundreds of megabytes, and lying
between the activations they break up the memory freed around them. Both read the variables at their first product.
"""


class OneDNNLinear(nn.Linear):
    """`nn.Linear` for float32 on the CPU; for anything else it is torch's own."""

    def forward(self, input: Tensor) -> Tensor:
        """Return `input @ weight.T + bias`, shape (..., out_features)."""
        weight = self.weight
        plain = input.device.type == "cpu" and input.dtype == weight.dtype == torch.float32
        if not plain or input.numel() == 0 or torch.is_autocast_enabled("cpu"):
            return super().forward(input)
        learns = any(tensor is not None and tensor.requires_grad for tensor in (input, weight, self.bias))
        if torch.is_grad_enabled() and learns:
            found: Tensor = _Multiply.apply(input, weight, self.bias)  # type: ignore[no-untyped-call]
            return found
        return _multiply(input.contiguous(), weight, self.bias)


class _Multiply(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        # A strided input (the first token of each row) would fall into a reference kernel, 100 times slower.
        x = x.contiguous()
        ctx.save_for_backward(x, weight)
        return _multiply(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        for_x, for_weight, for_bias = ctx.needs_input_grad
        g = gradient.reshape(-1, gradient.shape[-1]).contiguous()
        return (
            _multiply(g, weight.t(), None).view(x.shape) if for_x else None,
            _multiply(g.t(), x.view(-1, x.shape[-1]).t(), None) if for_weight else None,
            g.sum(0) if for_bias else None,
        )


def _multiply(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    found: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return found


def use_onednn(model: nn.Module) -> None:
    """Turn every plain, large enough `nn.Linear` of a model on the CPU into a `OneDNNLinear`; parameters stay."""
    if not _is_available():
        return
    for variable, n_kept in FEW_SHAPES.items():
        os.environ.setdefault(variable, n_kept)
    for module in model.modules():
        if type(module) is nn.Linear and module.weight.numel() >= SMALLEST and module.weight.device.type == "cpu":
            module.__class__ = OneDNNLinear


def _is_available() -> bool:
    """Whether torch was built with oneDNN, for a CPU on which its float32 kernels are better than MKL's."""
    built_in = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    has_operator = built_in and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    return has_operator and torch.backends.cpu.get_cpu_capability().startswith("AVX512") and not is_intel()
