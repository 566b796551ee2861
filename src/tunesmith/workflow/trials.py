"""The folder of an ablation: whose trials it holds, and that all of them are of one recipe and the same files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from tunesmith.core.errors import RecipeError, RunError, Where
from tunesmith.core.files import read_json, sha256, write_json, write_text
from tunesmith.data.augment.spec import AugmentSpec
from tunesmith.data.spec import DataSpec
from tunesmith.recipe.compose import compose
from tunesmith.recipe.recipe import Recipe
from tunesmith.recipe.write import to_yaml
from tunesmith.run.folder import Run
from tunesmith.run.manifest import new_manifest
from tunesmith.workflow.prepare import prepare

BASELINE = "baseline"
RECIPE = "recipe.yaml"


def slug(name: str) -> str:
    """Return a variant's name as a folder's; where it can't be one as it is, a digest tells it from others."""
    plain = "".join(c if c.isalnum() or c in "._-" else "_" for c in name)[:80]
    return plain if plain == name else f"{plain[:60]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def claim(out: Path, recipe: Recipe, *, command: str = "") -> Run:
    """Make the folder, or make sure that it is of the same recipe.

    Raises:
        RunError: it holds something else.
    """
    text = to_yaml(recipe)
    if not (out / RECIPE).exists():
        if out.exists() and any(out.iterdir()):
            raise RunError("this folder holds something else", where=Where(str(out)), fix="choose another --out")
        out.mkdir(parents=True, exist_ok=True)
        write_text(out / RECIPE, text)
    elif (out / RECIPE).read_text(encoding="utf-8") != text:
        fix = "choose another --out, or repeat the command it was begun with"
        raise RunError("this folder holds the trials of another recipe", where=Where(str(out)), fix=fix)
    run = Run(out)
    run.save_manifest({**new_manifest(out.resolve().name, command=command), **run.manifest, "trials": []})
    run.mark("running")
    return run


def refuse_unmeasured(recipe: Recipe) -> None:
    """Raise RecipeError if there are no rows to measure on."""
    if "-" in recipe.data.path:
        fix = "write it to a file, and name that"
        raise RecipeError("standard input can't be read by every trial", where=Where(column="data.path"), fix=fix)
    if "test" not in prepare(recipe.model_copy(update={"augment": AugmentSpec()})).tables:
        where = Where(column="data.split.test", value=recipe.data.split.test)
        fix = "name a file with --test FILE, or spare some: --set data.split.test=0.2"
        raise RecipeError("there are no test rows to measure trials on", where=where, fix=fix)


def refuse_changed(out: Path, variants: Mapping[str, Sequence[str]]) -> None:
    """Keep what each variant is trained with and on; refuse to go on where that changed since a trial of it began.

    Args:
        out: the folder.
        variants: name to settings.

    Raises:
        RunError: a name has other settings now, or a file another content.
    """
    for name, settings in variants.items():
        path = out / "trials" / f"{slug(name)}.json"
        files = _files(out / RECIPE, settings)
        if not path.exists():
            write_json(path, {"settings": [*settings], "files": files})
        kept = read_json(path)
        if kept["settings"] != [*settings]:
            message = f"the trials of {name} in this folder have other settings"
            raise RunError(message, where=Where(str(out), value=kept["settings"]), fix="choose another --out")
        if changed := [file for file in kept["files"] | files if kept["files"].get(file) != files.get(file)]:
            fix = "bring the old file back, or choose another --out"
            raise RunError("the data changed since the trials began", where=Where(changed[0]), fix=fix)


def _files(recipe: Path, settings: Sequence[str]) -> dict[str, str]:
    """Return the SHA-256 of every file that a trial reads; of none where it can't be trained."""
    try:
        found = compose(file=recipe, overrides=settings, arguments={})[0].data
    except RecipeError:
        return {}
    return {str(file): sha256(file) for file in _named(found)}


def _named(data: DataSpec) -> list[Path]:
    paths = map(Path, (*data.path, *data.dev, *data.test, *data.unlabeled))
    found = [file for path in paths for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    return [file for file in found if file.is_file()]
