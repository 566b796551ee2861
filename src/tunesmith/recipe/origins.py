"""A recipe put together from everywhere, and for each of its settings where the value came from and why.

Precedence, the last one wins: default, preset, file, argument, `--set`. What is still "auto" then is chosen from the
data, through `Origins.choose`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tunesmith.core.errors import RecipeError
from tunesmith.recipe.hints import has, inside
from tunesmith.recipe.keys import Key, dotted, nearest, parse
from tunesmith.recipe.layers import Layer, Merged, OriginName, flatten, merge, put
from tunesmith.recipe.load import load_layer
from tunesmith.recipe.mistakes import mistake_problems, problems_of, without_repeats
from tunesmith.recipe.override import argument_layer, override_layer
from tunesmith.recipe.presets import PRESETS
from tunesmith.recipe.recipe import SHAPED, Recipe
from tunesmith.recipe.write import flow

_OPEN = ("auto", (), None)


@dataclass(frozen=True, slots=True)
class Origin:
    """A setting's value, the place it came from, and why; `reason` is the line of a file, or a sentence."""

    value: Any
    origin: OriginName
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """One row of the table of settings; `value` as it would stand in a recipe."""

    key: str
    value: str
    origin: OriginName
    reason: str


class Origins(Mapping[str, Origin]):
    """Dotted key to origin, for every setting of one recipe, in the recipe's order. Immutable."""

    def __init__(self, origins: Mapping[str, Origin]) -> None:
        self._origins = dict(origins)

    def __getitem__(self, key: str) -> Origin:
        return self._origins[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._origins)

    def __len__(self) -> int:
        return len(self._origins)

    def choose(self, recipe: Recipe, choices: Mapping[str, tuple[object, str]]) -> tuple[Recipe, Origins]:
        """Return the recipe with settings that were left open filled in, and the origins that say so.

        Args:
            recipe: the recipe these origins belong to.
            choices: dotted key to (value, reason).

        Raises:
            ValueError: a choice would replace what the user set, names no setting, or is no valid value (a bug).
        """
        values = recipe.model_dump()
        for name, (value, _) in choices.items():
            known = self._origins.get(name)
            if known and known.value not in _OPEN and known.origin not in ("default", "preset", "chosen"):
                raise ValueError(f"{name} was set by the user ({known.origin}); it is not ours to choose")
            if trouble := put(values, parse(name) or (name,), value):
                raise ValueError(trouble)
        chosen = Recipe.model_validate(values)
        return chosen, self._renewed(chosen, {name: reason for name, (_, reason) in choices.items()})

    def to_json(self) -> dict[str, dict[str, Any]]:
        """Return what `origins.json` holds: dotted key to value, origin and reason."""
        return {
            key: {"value": origin.value, "origin": origin.origin, "reason": origin.reason}
            for key, origin in self._origins.items()
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Mapping[str, Any]]) -> Origins:
        """Read what `to_json` returned, after its way through a file (lists instead of tuples)."""
        return cls({key: Origin(**{**origin, "value": _frozen(origin["value"])}) for key, origin in values.items()})

    def _renewed(self, recipe: Recipe, reasons: Mapping[str, str]) -> Origins:
        chosen = {parse(name) or (name,): reason for name, reason in reasons.items()}
        renewed = {}
        for key, value in settings(recipe):
            reason = nearest(chosen, key)
            known = self._origins.get(dotted(key), Origin(value, "default"))
            renewed[dotted(key)] = known if reason is None else Origin(value, "chosen", reason)
        return Origins(renewed)


def compose(
    *, file: Path | None = None, overrides: Sequence[str] = (), arguments: Mapping[str, object] | None = None
) -> tuple[Recipe, Origins]:
    """Put a recipe together.

    Args:
        file: YAML or JSON recipe, or a run folder.
        overrides: `--set` arguments, "train.lr=3e-5"; a later one wins.
        arguments: dotted key ("task.text", "seed", "data") to value; None means "not given".

    Raises:
        RecipeError: with all mistakes of all places.
    """
    layers = [load_layer(file)] if file else []
    for name, value in (arguments or {}).items():
        if value is not None:
            layers.append(argument_layer(name, value, merge(layers).values))
    for text in overrides:
        layers.append(override_layer(text, merge(layers).values))
    merged = merge([_preset_layer(merge(layers)), *layers])
    recipe = _validated(merged)
    return recipe, Origins({dotted(key): _origin(key, value, merged) for key, value in settings(recipe)})


def settings(recipe: Recipe) -> Iterator[tuple[Key, Any]]:
    """Yield every setting of a recipe with its value, sections and lists of sections opened up."""
    for key, value in flatten(Recipe, recipe.model_dump()):
        if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
            for index, item in enumerate(value):
                yield from (((*key, index, name), _frozen(inner)) for name, inner in item.items())
        else:
            yield key, _frozen(value)


def explain(origins: Mapping[str, Origin]) -> list[Explanation]:
    """Return the table of settings, for `--dry-run` and the report."""
    return [Explanation(key, flow(one.value), one.origin, one.reason) for key, one in origins.items()]


def _preset_layer(above: Merged) -> Layer:
    """Return the settings of the preset that the layers above name; a wrong name is left to validation."""
    name = above.values.get("preset", "balanced")
    leaves = PRESETS[name].settings if name in PRESETS else {}
    keys = {parse(key) or (key,): value for key, value in leaves.items()}
    return Layer("preset", keys, reasons={key: f"preset {name}" for key in keys})


def _validated(merged: Merged) -> Recipe:
    problems = [*merged.problems, *mistake_problems(merged, Recipe)]
    try:
        recipe = Recipe.model_validate(merged.values, context=SHAPED)
    except ValidationError as error:
        raise RecipeError.of(without_repeats([*problems, *problems_of(error, merged, Recipe)])) from None
    if problems:
        raise RecipeError.of(without_repeats(problems))
    return recipe


def _origin(key: Key, value: object, merged: Merged) -> Origin:
    layer = nearest(merged.sources, key)
    values: object = merged.values
    for part in key:
        if layer is None or not has(values, part):
            return Origin(value, "default")
        values = inside(values, part)
    return Origin(value, layer.origin, layer.reason(key)) if layer else Origin(value, "default")


def _frozen(value: object) -> object:
    return tuple(_frozen(item) for item in value) if isinstance(value, list | tuple) else value
