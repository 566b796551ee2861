"""Recipes of several trainings in one file: tasks that are learnt together, or stages one after the other.

    tasks:                        stages:
      topic: news.csv               broad: many_reviews.csv
      entities: mails.conll         mine: my_reviews.csv
    multitask:                    train:
      mixing: temperature           lr: 1e-4

What stands outside holds for all of them; each may have any setting of its own.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from tunesmith.core.errors import Problem, RecipeError, Where, did_you_mean
from tunesmith.engine.mix_spec import MixSpec
from tunesmith.recipe.compose import SET, compose_tree, is_inside, leaves, parse_override, put, read
from tunesmith.recipe.origins import Origins
from tunesmith.recipe.problems import problems_of
from tunesmith.recipe.recipe import Recipe
from tunesmith.recipe.write import dump

Kind = Literal["tasks", "stages"]
KINDS: tuple[Kind, ...] = ("tasks", "stages")
SOURCE = "model.source"
MIX = "multitask"
RESERVED = ("adapter", "checkpoints", "model", "predictions", "tensorboard")
"""What a run calls its own folders: those of its parts lie beside them."""


@dataclass(frozen=True)
class Part:
    """One of several trainings.

    Attributes:
        own: the settings that were given for it alone.
    """

    recipe: Recipe
    origins: Origins
    own: frozenset[str]


@dataclass(frozen=True)
class Several:
    """Several trainings, by name in the order of the file; `tree` holds all that was said of them."""

    kind: Kind
    parts: Mapping[str, Part]
    mix: MixSpec
    tree: Mapping[str, Any]

    @property
    def text(self) -> str:
        """A recipe of all that was said."""
        return dump(self.tree)

    def with_files(self, recipes: Mapping[str, Recipe]) -> Several:
        """Return them with the data of other recipes, by the names of the parts, where that is elsewhere."""
        tree, parts = copy.deepcopy(dict(self.tree)), {}
        for name, part in self.parts.items():
            now = recipes[name].data
            for key, value in now:
                if value != getattr(part.recipe.data, key):
                    put(tree, f"{self.kind}.{name}.data.{key}", value)
            parts[name] = replace(part, recipe=recipes[name])
        return replace(self, parts=parts, tree=tree)


def kind_of(file: Path | None) -> Kind | None:
    """Return what a recipe file holds several of; None for the recipe of one training."""
    tree = {} if file is None else read(file)[0]
    return next((kind for kind in KINDS if kind in tree), None)


def compose_several(
    file: Path, *, overrides: Sequence[str] = (), arguments: Mapping[str, Any] | None = None
) -> Several:
    """Return the recipes of a file that has `tasks` or `stages`.

    Args:
        file: the recipes.
        overrides: "key=value" for all of them, "tasks.NAME.key=value" for one, "multitask.key=value".
        arguments: dotted key to value, for all of them.

    Raises:
        RecipeError: with every mistake that was found.
    """
    tree, places = read(file)
    kind: Kind = "stages" if "stages" in tree else "tasks"
    _refuse(tree.get(kind), kind, tree, places, str(file))
    _write_out(tree[kind], kind, places)
    shared: list[str] = []
    for text in overrides:
        key, value = parse_override(text)
        if key.split(".")[0] in (*KINDS, MIX):
            _refuse_other_part(key, tree)
            put(tree, key, value)
            places = {place: where for place, where in places.items() if not is_inside(place, key)}
            places[key] = Where(SET + text)
        else:
            shared.append(text)
    _write_out(tree[kind], kind, places)
    mix, parts = tree.pop(MIX, {}), tree.pop(kind)
    problems: list[Problem] = []
    found: dict[str, Part] = {}
    for name, own in parts.items():
        try:
            part, at = _merged(own, f"{kind}.{name}", tree, places)
            composed = compose_tree(part, at, overrides=shared, arguments=arguments or {})
            found[name] = Part(*composed, frozenset(name for name, _ in leaves(own)))
        except RecipeError as error:
            problems += [problem for problem in error.problems if problem not in problems]
    problems += [] if problems else list(_mistakes_of(mix, list(parts), kind, places))
    if problems:
        raise RecipeError.of(problems)
    said = [*leaves(arguments or {}), *map(parse_override, shared)]
    whole = {**_all_of(tree, kind, parts, said), **({MIX: mix} if mix else {})}
    return Several(kind, found, MixSpec.model_validate(mix), whole)


def _all_of(tree: dict[str, Any], kind: str, parts: Mapping[str, Any], said: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a recipe that also holds what the command line said of all parts, which goes before what they say.

    But for the model, which goes before what those parts say of it that do: of stages, only those name one that are to
    start from it.
    """
    whole = {**copy.deepcopy(tree), kind: {name: copy.deepcopy(own) for name, own in parts.items()}}
    for key, value in said:
        of_model = key.split(".")[0] == "model"
        targets = [part for part in whole[kind].values() if not of_model or _says(part, key)]
        for target in [whole, *targets] if of_model else targets:
            put(target, key, value)
    return whole


def _says(own: Mapping[str, Any], key: str) -> bool:
    """Whether the settings of a part name a key, or what it is in or holds."""
    named = [SOURCE if name == "model" else name for name, _ in leaves(own)]
    return any(name == key or is_inside(name, key) or is_inside(key, name) for name in named)


def _refuse_other_part(key: str, tree: Mapping[str, Any]) -> None:
    """Raise RecipeError if a setting is of a part that there is not."""
    kind, _, rest = key.partition(".")
    other = next(one for one in KINDS if one in tree)
    if kind in KINDS and kind != other:
        raise RecipeError(f"there are no {kind}", where=Where(SET + key), fix=f"leave it out: these are {other}")
    parts, name = list(tree[other]), rest.split(".")[0]
    if kind in KINDS and name not in parts:
        fix = did_you_mean(name, parts) or f"one of: {', '.join(parts)}"
        raise RecipeError(f"there is no {name!r} among the {kind}", where=Where(f"--set {key}"), fix=fix)


def _refuse(parts: Any, kind: str, tree: Mapping[str, Any], places: Mapping[str, Where], file: str) -> None:
    """Raise RecipeError unless there are at least two parts with names that folders can have."""
    where = places.get(kind, Where(file))
    where = Where(where.file, where.row, kind)
    known = [*Recipe.model_fields, *KINDS, MIX]
    for name in tree:
        if name not in known:
            place = places.get(name, where)
            fix = did_you_mean(name, known) or f"settings here: {', '.join(known)}"
            raise RecipeError("unknown setting", where=Where(place.file, place.row, name), fix=fix)
    if all(other in tree for other in KINDS):
        raise RecipeError("a recipe has either tasks or stages", where=where, fix="write two recipes")
    if not isinstance(parts, dict) or len(parts) < 2:
        fix = f"write two or more under {kind}, for example  first: a.csv  and  second: b.csv"
        raise RecipeError("there are less than two", where=where, fix=fix)
    for name in parts:
        if not re.fullmatch(r"[\w-]+", name):
            place = places.get(f"{kind}.{name}", where)
            message = "a name has letters, digits, - and _ only"
            raise RecipeError(message, where=Where(place.file, place.row, f"{kind}.{name}"), fix="choose another name")
        if name.casefold() in RESERVED:
            place, message = places.get(f"{kind}.{name}", where), "a run keeps something else under this name"
            raise RecipeError(message, where=Where(place.file, place.row, f"{kind}.{name}"), fix="choose another name")


def _merged(
    own: Any, key: str, shared: Mapping[str, Any], places: Mapping[str, Where]
) -> tuple[dict[str, Any], dict[str, Where]]:
    """Return the settings of one part, the shared ones included, and where each stands."""
    place = places.get(key, Where())
    if not isinstance(own, dict):
        fix = f"write {key.rpartition('.')[2]}: FILE"
        raise RecipeError("is no recipe", where=Where(place.file, place.row, key, own), fix=fix)
    tree = copy.deepcopy(dict(shared))
    for name, value in leaves(own):
        put(tree, name, value)
    outside = {k: where for k, where in places.items() if k.split(".")[0] not in (*KINDS, MIX)}
    inside = {k.removeprefix(f"{key}."): where for k, where in places.items() if k.startswith(f"{key}.")}
    return tree, outside | (inside or {"data": place})


def _write_out(parts: dict[str, Any], kind: str, places: dict[str, Where]) -> None:
    """Write out the parts whose short form names their data only, so that settings can stand beside it."""
    for name, own in parts.items():
        if isinstance(own, str | list):
            parts[name] = {"data": own}
            places[f"{kind}.{name}.data"] = places.get(f"{kind}.{name}", Where())


def _mistakes_of(mix: Any, names: Sequence[str], kind: str, places: Mapping[str, Where]) -> Iterator[Problem]:
    place = places.get(MIX, Where())
    if mix and kind == "stages":
        yield Problem("stages are not mixed", Where(place.file, place.row, MIX), f"remove {MIX}, or write tasks")
        return
    try:
        spec = MixSpec.model_validate(mix)
    except ValidationError as error:
        inside = {k.removeprefix(f"{MIX}."): where for k, where in places.items() if k.startswith(f"{MIX}.")}
        for found in problems_of(error, model=MixSpec, places=inside):
            where = found.where
            key = f"{MIX}.{where.column}".rstrip(".")
            yield Problem(found.message, Where(where.file, where.row, key, where.value), found.fix)
        return
    for name in spec.weights:
        if name not in names:
            where = Where(place.file, place.row, f"{MIX}.weights", name)
            yield Problem("there is no such task", where, did_you_mean(name, names) or f"one of: {', '.join(names)}")
