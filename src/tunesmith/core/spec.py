"""The base of all settings: frozen pydantic models that refuse unknown keys."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Spec(BaseModel):
    """Settings: immutable, no unknown keys, field docstrings used as descriptions (by `tunesmith init` too)."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        protected_namespaces=(),
        arbitrary_types_allowed=False,
    )
