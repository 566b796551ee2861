"""The pre-trained part of a checkpoint, be it of a plain class or pooled by tunesmith's own (`models/pooled.py`)."""

from __future__ import annotations

from typing import Any

from safetensors import safe_open
from torch import Tensor
from transformers import AutoConfig

from tunesmith.core.errors import ModelError, Where
from tunesmith.models.pooled_config import PooledConfig
from tunesmith.models.source import Source
from tunesmith.models.spec import ModelSpec


def config_of(source: Source, spec: ModelSpec) -> Any:
    """Return the configuration of the pre-trained part, without a layer that pools (see `pooling_layer`)."""
    whole = whole_config(source, spec)
    if pooling_layer(source, whole):
        whole.num_hidden_layers -= 1
    return whole.backbone if isinstance(whole, PooledConfig) else whole


def pooling_layer(source: Source, config: Any) -> dict[str, Tensor]:
    """Return the weights of the layer that makes a BERT pool all tokens, and of its pooler; empty where it has none.

    Such a layer (`models/pooling.py`) is the top one, and its feed-forward part is zero: no trained layer's is. What is
    made of the model next must not keep it, since all token vectors are alike above it.
    """
    if config.model_type != "bert":
        return {}
    top = f"encoder.layer.{config.num_hidden_layers - 1}."
    found: dict[str, Tensor] = {}
    for file in source.folder.glob("*.safetensors"):
        with safe_open(file, framework="pt") as tensors:
            names = {name.removeprefix("bert."): name for name in tensors.keys()}  # noqa: SIM118
            part = f"{top}output.dense.weight"
            if part in names and not tensors.get_tensor(names[part]).any():
                mine = [name for name in names if name.startswith((top, "pooler."))]
                found |= {name.removeprefix(top): tensors.get_tensor(names[name]) for name in mine}
    return found


def pooled_of(source: Source, spec: ModelSpec) -> PooledConfig | None:
    """Return what is on top of a model of tunesmith's own class; None of any other."""
    whole = whole_config(source, spec)
    return whole if isinstance(whole, PooledConfig) else None


def part_names(source: Source, spec: ModelSpec) -> dict[str, str]:
    """Return patterns of names of the pre-trained part's weights, and what a plain class calls them; mostly none.

    Raises:
        ModelError: a plain class has parts that were not kept.
    """
    pooled = pooled_of(source, spec)
    if pooled is None:
        return {}
    if pooled.backbone.is_encoder_decoder:
        raise ModelError(
            "this model holds the encoder alone, since it was pooled",
            where=Where(str(source.folder)),
            fix="start from what it was made from, or pool it again, for example with --set model.pooling=mean",
        )
    return {r"^backbone\.": ""}


def whole_config(source: Source, spec: ModelSpec) -> Any:
    """Return the configuration that a checkpoint comes with."""
    return AutoConfig.from_pretrained(source.folder, trust_remote_code=spec.trust_remote_code)
