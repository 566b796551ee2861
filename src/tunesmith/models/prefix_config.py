"""What `config.json` says of a model with learnt prefixes; see `models/prefix.py`."""

from __future__ import annotations

from functools import cache
from typing import Any

from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig

from tunesmith.models.register import PREFIXED

FAMILY = "prefixed"
"""Where it says which family the model is of; its `model_type` is `PREFIXED`."""
Prefixes = dict[str, list[int]]
"""The name of each attention that has a prefix, and the shape of its keys: (heads, tokens, width of a head)."""


class PrefixedConfig(PreTrainedConfig):  # type: ignore[misc]
    """What opens such a `config.json`: as a configuration of the family's own class, with `prefixes`."""

    model_type = PREFIXED

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **more: Any) -> Any:
        """Return the configuration of the family, as transformers returns those it knows."""
        # Who has a configuration is about to look for its class.
        from tunesmith.models.prefix import register_classes

        plain = CONFIG_MAPPING[config_dict[FAMILY]]
        register_classes(plain)
        return prefixed_config(plain).from_dict(config_dict, **more)


@cache
def prefixed_config(plain: Any) -> Any:
    """Return a family's class of configurations, with `prefixes`.

    In memory it is of the family, whatever looks at `model_type`; written down it is not, so that a program that knows
    no prefixes can't open the model without them.
    """

    def __init__(self: Any, *args: Any, prefixes: Prefixes | None = None, **more: Any) -> None:
        plain.__init__(self, *args, **more)
        self.prefixes = prefixes or {}

    def from_dict(cls: Any, config_dict: dict[str, Any], /, **more: Any) -> Any:
        own = {**config_dict, "model_type": config_dict.get(FAMILY, config_dict.get("model_type"))}
        own.pop(FAMILY, None)
        return super(made, cls).from_dict(own, **more)

    def to_dict(self: Any) -> dict[str, Any]:
        found: dict[str, Any] = plain.to_dict(self)
        return {**found, "model_type": PREFIXED, FAMILY: found["model_type"]}

    own = {"__init__": __init__, "from_dict": classmethod(from_dict), "to_dict": to_dict}
    made: Any = type(f"Prefixed{plain.__name__}", (plain,), own)
    return made


AutoConfig.register(PREFIXED, PrefixedConfig, exist_ok=True)
