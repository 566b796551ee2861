"""The pre-trained part of a checkpoint, be it of a plain class or pooled by tunesmith's own (`models/pooled.py`)."""

from __future__ import annotations

from typing import Any

from transformers import AutoConfig

from tunesmith.core.errors import ModelError, Where
from tunesmith.models.pooled_config import PooledConfig
from tunesmith.models.source import Source
from tunesmith.models.spec import ModelSpec


def config_of(source: Source, spec: ModelSpec) -> Any:
    """Return the configuration of the pre-trained part."""
    whole = _whole(source, spec)
    return whole.backbone if isinstance(whole, PooledConfig) else whole


def pooled_of(source: Source, spec: ModelSpec) -> PooledConfig | None:
    """Return what is on top of a model of tunesmith's own class; None of any other."""
    whole = _whole(source, spec)
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


def _whole(source: Source, spec: ModelSpec) -> Any:
    return AutoConfig.from_pretrained(source.folder, trust_remote_code=spec.trust_remote_code)
