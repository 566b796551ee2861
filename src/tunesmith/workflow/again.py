"""What a resumed run needs of the run it goes on with: the same settings, and the same files under the same names.

Relative paths mean what they meant in the folder the run was started in, so a run can be resumed from anywhere.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError, Problem, RecipeError, RunError, Where
from tunesmith.core.spec import Spec
from tunesmith.data.table import Table
from tunesmith.models.source import EMBEDDED
from tunesmith.recipe.compose import compose
from tunesmith.recipe.origins import Origins, flat
from tunesmith.recipe.recipe import Recipe
from tunesmith.recipe.several import Several, compose_several
from tunesmith.run.folder import Run
from tunesmith.workflow.prepare import Prepared

FREE = (
    "data.path", "data.dev", "data.test", "data.unlabeled", "train.tokens_per_batch", "train.device",
    "train.save_every", "train.keep_checkpoints", "track",
)  # fmt: skip
"""What may change in a resumed run: where things are and what they cost. The files' content may not."""
PASS_SIZE = "train.tokens_per_batch"
FILES = ("path", "dev", "test", "unlabeled")


def refuse_other_result(run: Run, recipe: Recipe, *, part: str = "") -> None:
    """Raise RecipeError if a resumed run would not end as the run would have: see `refuse_changes`."""
    before, _ = compose(file=run.recipe_path, overrides=(), arguments={})
    refuse_changes(before, recipe, part=part)


def refuse_changes(before: Spec, recipe: Spec, *, part: str = "") -> None:
    """Raise RecipeError if two recipes differ in what is not `FREE`.

    Args:
        before: of the run as it was started.
        recipe: as it is to go on.
        part: what comes before the names of settings, where the run is one of several.

    Raises:
        RecipeError: with every setting that may not change now.
    """
    old, new = flat(before), flat(recipe)
    # Where texts of a pass are compared, its size is more than a cost.
    compares = isinstance(recipe, Recipe) and recipe.objectives.comparing
    free = [key for key in FREE if not (compares and key == PASS_SIZE)]
    changed = [key for key in new if new[key] != old.get(key) and key not in free]
    if changed:
        fix = f"a resumed run ends as it would have; only {', '.join(free)} may change"
        raise RecipeError.of(
            [
                Problem("may not change in a resumed run", Where(column=part + key, value=new[key]), fix)
                for key in changed
            ]
        )


def find_files(run: Run, recipe: Recipe, *, given: Collection[str] = (), part: str = "") -> Recipe:
    """Return the recipe with paths that lead to data and model from here.

    Args:
        run: says where it was started.
        recipe: of the run, or of one of several in it.
        given: settings that were given now, and stay.
        part: what comes before the names of settings, where there are several.

    Raises:
        DataError: a file is neither where the run was started nor here.
    """
    home = Path(run.manifest.get("started_in", "."))
    home = Path() if home == Path.cwd() else home
    problems: list[Problem] = []
    data = {}
    for name in FILES:
        paths: tuple[str, ...] = getattr(recipe.data, name)
        if f"data.{name}" not in given:
            problems += [_gone(path, f"{part}data.{name}") for path in paths if _there(path, home) is None]
            paths = tuple(_there(path, home) or path for path in paths)
        data[name] = paths
    if problems:
        raise DataError.of(problems)
    model = recipe.model
    if model.source not in EMBEDDED and home.is_absolute() and (home / model.source).is_dir():
        model = model.model_copy(update={"source": str(home / model.source)})
    if recipe.teacher and home.is_absolute() and (home / recipe.teacher).is_dir():
        recipe = recipe.taught_by(str(home / recipe.teacher))
    return recipe.model_copy(update={"data": recipe.data.model_copy(update=data), "model": model})


def keep_files(recipe: Recipe, *, given: Collection[str]) -> Recipe:
    """Return the recipe with the files that were named now absolute: the run was started elsewhere, maybe."""
    named = {name: getattr(recipe.data, name) for name in FILES if f"data.{name}" in given}
    data = {name: tuple(p if p == "-" else str(Path(p).absolute()) for p in paths) for name, paths in named.items()}
    return recipe.model_copy(update={"data": recipe.data.model_copy(update=data)})


def set_now(origins: Origins) -> list[str]:
    """Return the settings that were given with `--set`."""
    return [key for key, origin in origins.entries.items() if origin.origin == "--set"]


def parts_again(run: Run, overrides: Sequence[str]) -> Several:
    """Return the recipes of a run of several parts that goes on, with what is set now; files are named from here.

    Args:
        run: of the whole.
        overrides: "key=value" for all parts, "tasks.NAME.key=value" or "stages.NAME.key=value" for one.

    Raises:
        RecipeError: a part would not end as it would have.
    """
    before, now = compose_several(run.recipe_path), compose_several(run.recipe_path, overrides=overrides)
    for name, part in now.parts.items():
        refuse_changes(before.parts[name].recipe, part.recipe, part=f"{now.kind}.{name}.")
    refuse_changes(before.mix, now.mix, part="multitask.")
    return now.with_files({name: keep_files(p.recipe, given=set_now(p.origins)) for name, p in now.parts.items()})


def free_of(recipe: Recipe, origins: Origins) -> list[str]:
    """Return what is set now of a part that goes on, as "key=value"."""
    values = flat(recipe)
    return [f"{key}={json.dumps(values[key])}" for key in set_now(origins) if key in FREE]


def _there(path: str, home: Path) -> str | None:
    """Return where a file of the run is: in the folder the run was started in, else here; None if in neither."""
    if path == "-" or Path(path).is_absolute():
        return path if path == "-" or Path(path).exists() else None
    return next((str(p) for p in (home / path, Path(path)) if p.exists()), None)


def _gone(path: str, key: str) -> Problem:
    return Problem("there is no such file any more", Where(path), f"if it has moved, add --set {key}=WHERE")


def as_started(run: Run, prepared: Prepared) -> Prepared:
    """Return the data with its files named as when the run was started, wherever they are now.

    Raises:
        RunError: their content is another.
    """
    then, now = run.manifest.get("data", []), prepared.sources
    _refuse_changed(then, now)
    names = {new["file"]: old["file"] for new, old in zip(now, then, strict=True)}
    return replace(prepared, tables={split: _renamed(table, names) for split, table in prepared.tables.items()})


def _refuse_changed(then: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> None:
    """Raise RunError unless the same files are read, for the same splits and in the same order."""
    for one, other, message, fix in (
        (then, now, "the data changed since the run was started", "bring the old file back, or start a new run"),
        (now, then, "this was not read when the run was started", "take it away, or start a new run"),
    ):
        left = Counter(source["sha256"] for source in other)
        for source in one:
            left[source["sha256"]] -= 1
            if left[source["sha256"]] < 0:
                raise RunError(message, where=Where(source["file"]), fix=fix)
    for old, new in zip(then, now, strict=True):
        if (old["split"], old["sha256"]) != (new["split"], new["sha256"]):
            message = "the files are read in another order, or for another split, than when the run was started"
            said = ", ".join(f"{source['file']} ({source['split']})" for source in then)
            raise RunError(message, where=Where(new["file"]), fix=f"give them as they were: {said}")


def _renamed(table: Table, names: Mapping[str, str]) -> Table:
    return replace(table, files=tuple(_name(file, names) for file in table.files))


def _name(file: str, names: Mapping[str, str]) -> str:
    """Return what a file, or the folder it is in, was called."""
    for now, then in names.items():
        if file == now:
            return then
        if Path(now) in Path(file).parents:
            return str(then / Path(file).relative_to(now))
    return file
