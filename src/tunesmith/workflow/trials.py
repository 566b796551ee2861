"""The folder of an ablation: whose trials it holds, and that all of them are of one recipe and the same files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tunesmith.core.errors import RecipeError, RunError, Where
from tunesmith.core.files import read_json, sha256, write_json
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
    """Make the folder, or make sure that it is of the same recipe, and leave it as it is.

    Raises:
        RunError: it holds something else.
    """
    run, text = Run(out), to_yaml(recipe)
    if not (out / "manifest.json").is_file():
        _refuse_other(out, out.exists() and (out.is_file() or any(out.iterdir())))
        out.mkdir(parents=True, exist_ok=True)
        run.save_manifest({**new_manifest(out.resolve().name, command=command), "trials": []})
    _refuse_other(out, Run.open(out).kind != "ablation")
    if run.recipe_text not in ("", text):
        fix = "choose another --out, or repeat the command it was begun with"
        raise RunError("this folder holds the trials of another recipe", where=Where(str(out)), fix=fix)
    if not run.recipe_text:
        run.save_recipe(text)
    return run


def _refuse_other(out: Path, holds_other: bool) -> None:
    if holds_other:
        raise RunError("this folder holds something else", where=Where(str(out)), fix="choose another --out")


def refuse_unmeasured(recipe: Recipe) -> None:
    """Raise RecipeError if there are no rows to measure on."""
    if "-" in recipe.data.path:
        fix = "write it to a file, and name that"
        raise RecipeError("standard input can't be read by every trial", where=Where(column="data.path"), fix=fix)
    if "test" not in prepare(recipe.without_models()).tables:
        where = Where(column="data.split.test", value=recipe.data.split.test)
        fix = "name a file with --test FILE, or spare some: --set data.split.test=0.2"
        raise RecipeError("there are no test rows to measure trials on", where=where, fix=fix)


Facts = dict[str, dict[str, Any]]
"""What each variant is trained with and on, by its name: its "settings", and the SHA-256 of its "files"."""


def facts(out: Path, variants: Mapping[str, Sequence[str]]) -> Facts:
    """Return what variants are trained with and on now.

    Args:
        out: the folder.
        variants: name to settings.
    """
    digest = cache(sha256)  # most variants have the same files
    return {
        name: {"settings": [*settings], "files": {str(file): digest(file) for file in _files(out / RECIPE, settings)}}
        for name, settings in variants.items()
    }


def note(out: Path, found: Facts) -> None:
    """Keep what each variant is trained with and on, where none of its trials was begun before."""
    for name, now in found.items():
        if not _place(out, name).exists():
            write_json(_place(out, name), now)


def refuse_changed(out: Path, found: Facts) -> None:
    """Raise RunError if a variant has other settings now than its trials in this folder, or a file another content."""
    for name, now in found.items():
        kept = read_json(_place(out, name)) if _place(out, name).exists() else now
        if kept["settings"] != now["settings"]:
            message = f"the trials of {name} in this folder have other settings"
            raise RunError(message, where=Where(str(out), value=kept["settings"]), fix="choose another --out")
        files, before = now["files"], kept["files"]
        if changed := [file for file in before | files if before.get(file) != files.get(file)]:
            fix = "bring the old file back, or choose another --out"
            raise RunError("the data changed since the trials began", where=Where(changed[0]), fix=fix)


def _place(out: Path, name: str) -> Path:
    return out / "trials" / f"{slug(name)}.json"


def _files(recipe: Path, settings: Sequence[str]) -> list[Path]:
    """Return the files that a trial reads; none where it can't be trained."""
    try:
        data = compose(file=recipe, overrides=settings, arguments={})[0].data
    except RecipeError:
        return []
    paths = map(Path, (*data.path, *data.dev, *data.test, *data.unlabeled))
    found = [file for path in paths for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    return [file for file in found if file.is_file()]
