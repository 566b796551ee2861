"""How short rows are filled up, so that a model gives a row of a batch what it gives the row alone.

Batches are filled on the right. Classes that pool the last token (GPT-2, Llama, ...) look for it by the id that fills,
which their config has to name. XLNet pools the last position whatever it holds: its rows are moved to the right end.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from tunesmith.models.tokenize import Tokenizer


def agree_on_padding(model: PreTrainedModel, tokenizer: Tokenizer) -> None:
    """Make a classifier, and every tool that opens it with its tokenizer, fill short rows in the same way."""
    model.config.pad_token_id = tokenizer.pad_id
    side = "left" if pools_last_position(model) else "right"
    tokenizer.plain.padding_side = tokenizer.plain.init_kwargs["padding_side"] = side
    fill_left_where_needed(model)


def fill_left_where_needed(model: PreTrainedModel) -> None:
    """Let a model that pools the last position find the last token there, in batches filled on the right."""
    if pools_last_position(model):
        model.register_forward_pre_hook(_to_the_right, with_kwargs=True)


def pools_last_position(model: nn.Module) -> bool:
    """Whether the text's vector is what stands at the last position, be it a token or not."""
    return getattr(getattr(model, "sequence_summary", None), "summary_type", "") == "last"


def _to_the_right(_model: nn.Module, args: Any, inputs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Move each row's tokens to the end of the row; inputs of shape (batch, tokens)."""
    mask: Tensor = inputs["attention_mask"]
    return args, {name: to_the_right(value, mask) for name, value in inputs.items()}


def to_the_right(values: Tensor, mask: Tensor) -> Tensor:
    """Return what stands for tokens with each row's padding at its beginning, shape (batch, tokens, ...)."""
    return _moved(values, mask.sum(dim=1, keepdim=True) - mask.shape[1])


def to_the_left(values: Tensor, mask: Tensor) -> Tensor:
    """Return what `to_the_right` gave as it was; the mask is that of rows filled on the right."""
    return _moved(values, mask.shape[1] - mask.sum(dim=1, keepdim=True))


def _moved(values: Tensor, by: Tensor) -> Tensor:
    places = (torch.arange(values.shape[1], device=values.device) + by) % values.shape[1]
    return values[torch.arange(len(values), device=values.device)[:, None], places]
