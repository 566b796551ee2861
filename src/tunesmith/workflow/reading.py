"""How new files are read for a run: as its own files were, where they are of the same kind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tunesmith.core.errors import Problem, RecipeError, Where
from tunesmith.core.notes import Note
from tunesmith.data.sources import suffix_of
from tunesmith.data.spec import DataSpec
from tunesmith.recipe.compose import compose
from tunesmith.run.folder import Run

FORM = ("format", "encoding", "delimiter", "quoting", "header", "sheet")
"""Settings of how a file is written; they hold for files of the same kind only."""
LABELS = ("missing", "labels", "label_map")


def reading_for(run: Run, paths: Sequence[str], *, settings: Sequence[str] = ()) -> tuple[DataSpec, list[Note]]:
    """Return how to read `paths` for a run (the defaults where it has no recipe), and what is to be said of it.

    Args:
        run: a run, or a model folder alone.
        paths: files or folders.
        settings: "data.encoding=cp1252" and the like, which go before the run's.

    Raises:
        RecipeError: a setting that is none of `FORM` and `LABELS`.
    """
    file = run.recipe_path if run.recipe_path.is_file() else None
    recipe, origins = compose(file=file, overrides=settings, arguments={})
    given = {key for key, origin in origins.entries.items() if origin.origin == "--set"}
    _refuse_others(given)
    own, usual = recipe.data, DataSpec()
    taken_over = [name for name in FORM if f"data.{name}" not in given and getattr(own, name) != getattr(usual, name)]
    if taken_over and not _same_kind(run, own, paths):
        own = own.model_copy(update={name: getattr(usual, name) for name in taken_over})
        taken_over = []
    return own.model_copy(update={"path": tuple(paths), "dev": (), "test": (), "unlabeled": ()}), _notes(
        own, taken_over
    )


def form_of(spec: DataSpec) -> tuple[str, ...]:
    """Return the settings that decide which rows a file has."""
    return tuple(getattr(spec, name) for name in FORM)


def _refuse_others(given: set[str]) -> None:
    allowed = [f"data.{name}" for name in (*FORM, *LABELS)]
    fix = f"what can be set here: {', '.join(allowed)}"
    problems = [
        Problem("is settled by the training", Where(column=key), fix) for key in sorted(given) if key not in allowed
    ]
    if problems:
        raise RecipeError.of(problems)


def _same_kind(run: Run, own: DataSpec, paths: Sequence[str]) -> bool:
    """Whether files end as the run's own do; what has no end of its own (standard input, a folder) does."""
    mine = [*own.path, *own.dev, *own.test, *(source["file"] for source in run.manifest.get("data", []))]
    return {suffix_of(p) for p in paths if p != "-" and not Path(p).is_dir()} <= {suffix_of(p) for p in mine}


def _notes(spec: DataSpec, taken_over: Sequence[str]) -> list[Note]:
    if not taken_over:
        return []
    said = ", ".join(f"data.{name}={getattr(spec, name)}" for name in taken_over)
    fix = f"--set data.{taken_over[0]}=auto if that is wrong here"
    return [Note("info", "reading", f"read as in training: {said}", fix)]
