"""What `config.json` says of a classifier of tunesmith's own class; see `models/pooled.py`."""

from __future__ import annotations

from typing import Any, ClassVar

from transformers import AutoConfig, PreTrainedConfig

from tunesmith.models.register import POOLED


class PooledConfig(PreTrainedConfig):  # type: ignore[misc]
    """The configuration of the pre-trained part, and what is on top of it."""

    model_type = POOLED
    sub_configs: ClassVar[dict[str, Any]] = {"backbone": AutoConfig}

    def __init__(
        self,
        backbone: Any = None,
        pooling: str = "mean",
        head_layers: int = 0,
        head_activation: str = "tanh",
        head_dropout: float = 0.1,
        **more: Any,
    ) -> None:
        """Take the settings of `ModelSpec`, and what every configuration of transformers has."""
        # Who has a configuration is about to look for its class.
        import tunesmith.models.pooled  # noqa: F401

        self.backbone = AutoConfig.for_model(**backbone) if isinstance(backbone, dict) else backbone
        self.pooling = pooling
        self.head_layers = head_layers
        self.head_activation = head_activation
        self.head_dropout = head_dropout
        super().__init__(**more)


AutoConfig.register(POOLED, PooledConfig, exist_ok=True)
