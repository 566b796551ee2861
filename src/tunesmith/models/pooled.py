"""A classifier of tunesmith's own class: any pre-trained model, a way to pool its token vectors, a head.

It is for what no class of transformers can express; see ADR 8. It is saved as `config.json` and safetensors like any
other model, and opens in every tool of transformers once tunesmith is imported (`models/register.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoModel, AutoModelForSequenceClassification, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import SequenceClassifierOutput

from tunesmith.models.layers import NEW
from tunesmith.models.pooled_config import PooledConfig

GAIN = 100.0
"""Layers are weighted by the parameter times this: Adam moves every weight by the same amount, and these have to move
far."""
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"tanh": torch.tanh, "gelu": F.gelu}


class Pooling(nn.Module):
    """Makes one vector of a text's token vectors; tokens that only fill a row never count.

    Attributes:
        query: of "attention", what is looked for in the tokens (Yang et al. 2016, section 2.2, with the token vectors
            as keys), shape (width,); all tokens weigh the same at first.
        shares, scale: of "layers", the logits of each layer's weight over `GAIN`, and what their sum is multiplied by
            (ELMo's scalar mix; Peters et al. 2018, equation 1).
    """

    def __init__(self, kind: str, *, width: int, n_layers: int) -> None:
        super().__init__()
        self.kind = kind
        if kind == "attention":
            self.query = nn.Parameter(torch.zeros(width))
        if kind == "layers":
            self.shares = nn.Parameter(torch.zeros(n_layers))
            self.scale = nn.Parameter(torch.ones(()))

    def reset(self) -> None:
        """Start anew."""
        for name, parameter in self.named_parameters():
            init.constant_(parameter, float(name == "scale"))

    def forward(self, layers: Sequence[Tensor], there: Tensor) -> Tensor:
        """Return a vector for each text, shape (batch, width).

        Args:
            layers: token vectors of the embedding and of each layer, where "layers" asks for them, else of the last
                layer alone; each of shape (batch, tokens, width).
            there: which positions hold tokens, the first ones of each row, bool of shape (batch, tokens).
        """
        top = layers[-1]
        if self.kind == "first":
            return top[:, 0]
        if self.kind == "last":
            return top[torch.arange(len(top), device=top.device), there.sum(dim=1) - 1]
        if self.kind == "max":
            return top.masked_fill(~there[..., None], float("-inf")).amax(dim=1)
        if self.kind == "attention":
            weights = (top @ self.query).masked_fill(~there, float("-inf")).softmax(dim=1)
            return (weights[..., None] * top).sum(dim=1)
        if self.kind == "layers":
            means = torch.stack([mean(layer, there) for layer in layers])
            mixed: Tensor = self.scale * torch.tensordot((GAIN * self.shares).softmax(dim=0), means, dims=1)
            return mixed
        return mean(top, there)


def mean(vectors: Tensor, there: Tensor) -> Tensor:
    """Return the mean of the token vectors of each text, shape (batch, width)."""
    return vectors.masked_fill(~there[..., None], 0.0).sum(dim=1) / there.sum(dim=1, keepdim=True)


class PooledForSequenceClassification(PreTrainedModel):  # type: ignore[misc]
    """A pre-trained model, pooled, with a head of hidden layers and an output for each label."""

    config_class = PooledConfig
    base_model_prefix = "backbone"
    _supports_sdpa = _supports_flash_attn = _supports_attention_backend = True

    def __init__(self, config: PooledConfig, backbone: PreTrainedModel | None = None) -> None:
        """Put a head on `backbone`; None makes one from the configuration, to be filled from a checkpoint."""
        super().__init__(config)
        self.backbone = bare(AutoModel.from_config(config.backbone)) if backbone is None else backbone
        width: int = config.backbone.hidden_size
        self.pooling = Pooling(config.pooling, width=width, n_layers=1 + config.backbone.num_hidden_layers)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(config.head_layers))
        self.dropout = nn.Dropout(config.head_dropout)
        self.output = nn.Linear(width, config.num_labels)
        for part in (self.pooling, self.hidden):
            setattr(part, NEW, True)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, Pooling):
            module.reset()
        elif any(module is own for own in (self.output, *self.hidden)):
            super()._init_weights(module)
        else:
            self.backbone._init_weights(module)

    def get_input_embeddings(self) -> nn.Module:
        """Return what turns tokens into vectors."""
        found: nn.Module = self.backbone.get_input_embeddings()
        return found

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, **more: Tensor
    ) -> SequenceClassifierOutput:
        """Return logits of shape (batch, labels).

        Args:
            input_ids: shape (batch, tokens), filled on either side.
            attention_mask: 1 where there are tokens, likewise; None: everywhere.
            more: inputs of the pre-trained model, of the same shape.
        """
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        inputs = to_the_left({"input_ids": input_ids, "attention_mask": mask, **more}, mask)
        every = self.config.pooling == "layers"
        out = self.backbone(**inputs, output_hidden_states=every, return_dict=True)
        layers = out.hidden_states if every else (out.last_hidden_state,)
        vector = self.pooling(layers, inputs["attention_mask"].bool())
        for layer in self.hidden:
            vector = ACTIVATIONS[self.config.head_activation](layer(self.dropout(vector)))
        return SequenceClassifierOutput(logits=self.output(self.dropout(vector)))


def bare(model: PreTrainedModel) -> PreTrainedModel:
    """Return what gives token vectors: of an encoder-decoder the encoder; without what is made of the first token."""
    if model.config.is_encoder_decoder:
        model = model.get_encoder()
    if getattr(model, "pooler", None) is not None:
        model.pooler = None
    return model


def to_the_left(inputs: dict[str, Tensor], mask: Tensor) -> dict[str, Tensor]:
    """Move each row's tokens to its beginning; inputs of shape (batch, tokens).

    So positions are counted from the first token, whichever side a tokenizer fills.
    """
    first = mask.long().argmax(dim=1, keepdim=True)
    places = (torch.arange(mask.shape[1], device=mask.device) + first) % mask.shape[1]
    return {name: value.gather(1, places) for name, value in inputs.items()}


AutoModelForSequenceClassification.register(PooledConfig, PooledForSequenceClassification, exist_ok=True)
