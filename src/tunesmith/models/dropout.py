"""Dropout: how large it is in which part of a model; and from random bytes, which on a CPU is twice as fast.

`torch.nn.Dropout` draws one Bernoulli number for each element, a sixth of a training step of a small model. Here one
random bit pattern serves eight elements. An element is dropped where its random byte is below 256 p, rounded; the scale
is that of the rounded probability, so the expectation is exact. p = 0.1 becomes 26/256 = 0.1016.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from tunesmith.core.errors import ModelError, Where
from tunesmith.models.spec import ModelSpec

DROPOUTS = (
    "hidden_dropout_prob",  # BERT and most encoders
    "dropout",  # DistilBERT, XLNet, BART
    *("hidden_dropout", "embedding_dropout", "mlp_dropout"),  # GPT-NeoX, ModernBERT
    *("resid_pdrop", "embd_pdrop"),  # GPT-2
    "dropout_rate",  # T5
)
"""What families call the dropout of hidden layers and embeddings; XLNet's and T5's is that of attention, too."""
ATTENTION_DROPOUTS = (
    "attention_probs_dropout_prob",  # BERT and most encoders
    "attention_dropout",  # DistilBERT, ModernBERT, GPT-NeoX, BART, Llama
    "attn_pdrop",  # GPT-2
)
"""What families call the dropout of what attention weighs."""


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


def set_dropout(config: Any, spec: ModelSpec) -> None:
    """Write the wanted dropout of layers and attention into `config`, under whatever names the family gives it.

    Raises:
        ModelError: the family has none, or attention is to have its own, and has none.
    """
    if config.model_type == "encoder-decoder":
        for part in (config.encoder, config.decoder):
            set_dropout(part, spec)
        return
    of_attention = [name for name in ATTENTION_DROPOUTS if hasattr(config, name)]
    if spec.attention_dropout != "auto" and not of_attention:
        where = Where(column="model.attention_dropout", value=spec.attention_dropout)
        message = f'attention of "{config.model_type}" has no dropout of its own'
        raise ModelError(message, where=where, fix="--set model.attention_dropout=auto")
    wanted = {name: spec.dropout for name in DROPOUTS if hasattr(config, name)}
    wanted |= dict.fromkeys(of_attention, spec.dropout if spec.attention_dropout == "auto" else spec.attention_dropout)
    if spec.dropout != "auto" and not wanted:
        where = Where(column="model.dropout", value=spec.dropout)
        raise ModelError(f'"{config.model_type}" has no dropout', where=where, fix="--set model.dropout=auto")
    for name, value in wanted.items():
        if value != "auto":
            setattr(config, name, float(value))


def set_head_dropout(model: PreTrainedModel, probability: float) -> None:
    """Set the dropout of all that is on top of the pre-trained layers.

    Raises:
        ModelError: there is none.
    """
    found = _head_dropouts(model)
    if not found:
        raise ModelError(f'the head of "{model.config.model_type}" has no dropout', fix="leave out model.head_dropout")
    for dropout in found.values():
        dropout.p = probability


def keep_head_dropout(model: PreTrainedModel, as_saved: PreTrainedModel) -> None:
    """Give the head the dropout it has in another model: many families have one setting for it and hidden layers."""
    own = _head_dropouts(model)
    for name, dropout in _head_dropouts(as_saved).items():
        own[name].p = dropout.p


def _head_dropouts(model: PreTrainedModel) -> dict[str, nn.Dropout]:
    """Return the dropouts on top of the pre-trained layers, by name."""
    inner = f"{model.base_model_prefix}."
    return {name: m for name, m in model.named_modules() if type(m) is nn.Dropout and not name.startswith(inner)}
