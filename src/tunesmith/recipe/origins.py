"""Where each value of a recipe came from, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from tunesmith.core.spec import Spec
from tunesmith.recipe.recipe import Recipe
from tunesmith.tasks.base import Task

WHOLE = {"data.path": "data", "model.source": "model", "task.kind": "task"}
"""Settings that can be written short, as the value of their section."""

Kind = Literal["default", "file", "argument", "--set", "chosen"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Attributes: the value; who gave it; why (only for chosen ones)."""

    value: Any
    origin: Kind
    reason: str = ""


@dataclass(frozen=True)
class Origins:
    """Dotted key to origin, for every setting of a recipe."""

    entries: Mapping[str, Origin]

    def choose(self, recipe: Recipe, choices: Mapping[str, tuple[Any, str]]) -> tuple[Recipe, Origins]:
        """Return the recipe with `choices` (dotted key to value and reason) put in, and their origins."""
        sections: dict[str, dict[str, Any]] = {}
        for key, (value, _) in choices.items():
            section, _, field = key.partition(".")
            sections.setdefault(section, {})[field] = value
        updates = {
            name: type(part := getattr(recipe, name)).model_validate({**part.model_dump(), **fields})
            for name, fields in sections.items()
        }
        chosen = {key: Origin(value, "chosen", reason) for key, (value, reason) in choices.items()}
        return recipe.model_copy(update=updates), Origins({**self.entries, **chosen})

    def retask(self, recipe: Recipe, task: Task, reason: str) -> tuple[Recipe, Origins]:
        """Return the recipe with the task that was seen in the data, and the origins of its settings."""
        recipe = recipe.model_copy(update={"task": task})
        before = {key: origin for key, origin in self.entries.items() if origin.origin != "default"}
        entries = {key: before.get(key, Origin(value, "default")) for key, value in flat(recipe).items()}
        return recipe, Origins({**entries, "task.kind": Origin(task.kind, "chosen", reason)})

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """Return plain JSON values."""
        return {key: asdict(origin) for key, origin in self.entries.items()}


def flat(spec: Spec, prefix: str = "") -> dict[str, Any]:
    """Return dotted key to value for all settings; lists and mappings stay whole."""
    found: dict[str, Any] = {}
    for name in type(spec).model_fields:
        value = getattr(spec, name)
        if isinstance(value, Spec):
            found.update(flat(value, f"{prefix}{name}."))
        else:
            found[prefix + name] = list(value) if isinstance(value, tuple) else value
    return found


def trace(recipe: Recipe, given: Mapping[str, Kind]) -> Origins:
    """Return the origins of a recipe whose user gave the dotted keys `given`; all others are defaults."""
    return Origins({key: Origin(value, _kind(key, given)) for key, value in flat(recipe).items()})


def _kind(key: str, given: Mapping[str, Kind]) -> Kind:
    if key in given:
        return given[key]
    switch = key.rpartition(".")[0]
    if switch.startswith("objectives.") and switch in given:
        return given[switch]  # "rdrop: true" stands for all settings of it
    inside = [given[k] for k in given if k.startswith((f"{key}.", f"{key}[")) or k == WHOLE.get(key)]
    return inside[-1] if inside else "default"
