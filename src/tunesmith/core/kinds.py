"""What kind of training a run folder holds, as its manifest says: where its model is, and how it goes on."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from tunesmith.core.errors import RunError, Where

Kind = Literal["run", "tasks", "stages", "ablation"]


def kind_of(manifest: Mapping[str, Any]) -> Kind:
    """Return what was trained: one recipe, tasks together, stages after one another, or the trials of an ablation."""
    kinds: dict[str, Kind] = {"tasks": "tasks", "stages": "stages", "trials": "ablation"}
    return next((kind for field, kind in kinds.items() if field in manifest), "run")


def going_on(folder: Path, manifest: Mapping[str, Any]) -> str:
    """Return how a training that is not done goes on."""
    if kind_of(manifest) == "ablation":
        return "repeat the command that it was begun with: what is done is not trained again"
    whole = folder.parent if "part_of" in manifest else folder
    return f"tunesmith train --resume {shlex.quote(str(whole))}"


def refuse_to_resume(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Raise RunError where a folder does not hold one training, whole by itself, that can be gone on with."""
    kind, fix = kind_of(manifest), going_on(folder, manifest)
    if kind == "ablation":
        raise RunError("this is an ablation, which is not resumed so", where=Where(str(folder)), fix=fix)
    if kind != "run":
        fix = f"use tunesmith.resume_several, or {fix}"
        raise RunError(f"this run has {kind}, which go on together", where=Where(str(folder)), fix=fix)
    if whole := manifest.get("part_of"):
        raise RunError(f"this is a part of {whole}, which goes on as a whole", where=Where(str(folder)), fix=fix)


def with_the_model(folder: Path, manifest: Mapping[str, Any]) -> Path:
    """Return the run whose model is meant by a folder: it itself, or its last stage.

    Raises:
        RunError: it has several models, or none of its own.
    """
    kind, is_done = kind_of(manifest), manifest.get("status") == "done"
    if kind == "ablation":
        named = [str(folder / name) for name in manifest["trials"]] or [str(folder / "runs")]
        fix = f"name runs in it: {' '.join(named[:1] + named[-1:])}"
        raise RunError("this is an ablation, which has no model of its own", where=Where(str(folder)), fix=fix)
    if kind == "tasks" and is_done:
        fix = f"name one of them: {', '.join(str(folder / name) for name in manifest['tasks'])}"
        raise RunError("this run has a model for each of its tasks", where=Where(str(folder)), fix=fix)
    return folder / manifest["stages"][-1] if kind == "stages" and is_done else folder
