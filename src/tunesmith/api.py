"""The Python API: what the command line does, as two functions and one object."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.core.errors import RecipeError, RunError, Where
from tunesmith.core.seed import generators_kept
from tunesmith.recipe.compose import compose
from tunesmith.run.folder import Run

if TYPE_CHECKING:
    from tunesmith.inference.predictor import Predictor

PathLike = str | Path


class TunedModel:
    """A finished run: its numbers, and its model ready to predict. The model is loaded when first used.

    From a model folder alone it can only predict: `metrics`, `intervals` and `report` raise a RunError.
    """

    def __init__(self, run: Run) -> None:
        self.run = run

    @property
    def folder(self) -> Path:
        """The run folder (the model folder where there is no run)."""
        return self.run.folder

    @property
    def metrics(self) -> dict[str, float | None]:
        """The point values on the test rows (on the dev rows if there is no test): name to value."""
        splits = self._run_with("metrics").metrics.get("splits", {})
        values = splits.get("test", splits.get("dev", {})).get("values", {})
        return {name: entry["value"] for name, entry in values.items()}

    @property
    def intervals(self) -> dict[str, tuple[float | None, float | None]]:
        """The 95% intervals of `metrics`: name to (low, high)."""
        splits = self._run_with("metrics").metrics.get("splits", {})
        values = splits.get("test", splits.get("dev", {})).get("values", {})
        return {name: (entry["low"], entry["high"]) for name, entry in values.items()}

    @property
    def report(self) -> Path:
        """The report, one HTML file."""
        return self._run_with("report").report_path

    @cached_property
    def predictor(self) -> Predictor:
        """The model, loaded."""
        from tunesmith.inference.predictor import Predictor

        return Predictor.load(self.run.model_folder)

    def predict(self, items: Sequence[Any]) -> list[Any]:
        """Return one prediction for each text: for a classifier an object with label, confidence and probabilities.

        Where the model reads several texts a row, an item is a tuple of them, or a mapping by column name. An empty
        text is answered like any other; `tunesmith predict` leaves the cells of such rows empty.

        Raises:
            DataError: `items` is one item and no list.
        """
        return self.predictor.predict(items)

    def _run_with(self, part: str) -> Run:
        if self.run.is_bare:
            raise RunError(
                f"this is a model folder without its run, so it has no {part}",
                where=Where(str(self.folder)),
                fix="load the run folder, or measure the model anew: tunesmith evaluate FOLDER DATA",
            )
        return self.run

    def __repr__(self) -> str:
        return f"TunedModel({str(self.folder)!r})"


def train(
    data: PathLike | Sequence[PathLike] | None = None,
    *,
    recipe: PathLike | None = None,
    text: str | None = None,
    label: str | None = None,
    model: str | None = None,
    preset: str | None = None,
    out: PathLike | None = None,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
) -> TunedModel:
    """Fine-tune a model and return the finished run.

    Args:
        data: file, files or folder; may be left out where `recipe` names it.
        recipe: a YAML file; the other arguments go before it.
        text: column with the text; found by itself if left out.
        label: column with the label; found by itself if left out.
        model: "minilm", a folder, or a hub id.
        preset: "fast", "balanced" or "best".
        out: run folder; by default the next free `runs/NAME-N`.
        seed: of everything random.
        settings: any other setting by its dotted name, for example {"train.lr": 3e-5}.

    Raises:
        TunesmithError: the data or the settings cannot be used; `error.problems` lists all that is wrong.
        KeyboardInterrupt: training was interrupted; `tunesmith.resume` goes on with it.
    """
    from tunesmith.recipe.several import kind_of
    from tunesmith.workflow.session import Watch
    from tunesmith.workflow.start import start

    if kind := kind_of(None if recipe is None else Path(recipe)):
        raise RecipeError(f"this recipe has {kind}", where=Where(str(recipe)), fix="use tunesmith.train_several")
    paths = None if data is None else [str(p) for p in ([data] if isinstance(data, str | Path) else data)]
    named = {
        "data.path": paths,
        "task.text": text,
        "task.label": label,
        "model.source": model,
        "preset": preset,
        "seed": seed,
        **(settings or {}),
    }
    arguments = {key: value for key, value in named.items() if value is not None}
    made, origins = compose(file=None if recipe is None else Path(recipe), overrides=(), arguments=arguments)
    with generators_kept():
        return _whole(start(made, origins, out=None if out is None else Path(out), watch=Watch([_warn])))


def resume(run: PathLike) -> TunedModel:
    """Go on with an interrupted run from its newest checkpoint and return it finished.

    The result is what the uninterrupted run would have been.

    Raises:
        RunError: it is not a run, it is done already, or its data changed.
        KeyboardInterrupt: training was interrupted again.
    """
    from tunesmith.workflow.session import Watch
    from tunesmith.workflow.start import resume as go_on

    with generators_kept():
        return _whole(go_on(Path(run), watch=Watch([_warn])))


def train_several(
    recipe: PathLike, *, out: PathLike | None = None, settings: Mapping[str, Any] | None = None
) -> dict[str, TunedModel]:
    """Train the tasks of a recipe together over one backbone, or its stages one after the other; see the guide.

    Args:
        recipe: a YAML file with `tasks` or `stages`.
        out: folder of the whole; by default the next free `runs/multitask-N` or `runs/stages-N`.
        settings: further settings by their dotted name, for all parts: {"train.lr": 3e-5}.

    Returns:
        The finished run of each part, by its name; of stages, the last one is the result.

    Raises:
        TunesmithError: the data or the settings cannot be used; `error.problems` lists all that is wrong.
        KeyboardInterrupt: training was interrupted; `tunesmith.resume_several` goes on with it.
    """
    from tunesmith.recipe.several import compose_several
    from tunesmith.workflow import multitask, stages
    from tunesmith.workflow.session import Watch

    several = compose_several(Path(recipe), arguments=settings or {})
    whole = multitask if several.kind == "tasks" else stages
    with generators_kept():
        return _parts(whole.start(several, out=None if out is None else Path(out), watch=Watch([_warn])))


def resume_several(run: PathLike) -> dict[str, TunedModel]:
    """Go on with an interrupted training of several tasks or stages.

    Raises:
        RunError: it is not such a run, it is done already, or its data changed.
        KeyboardInterrupt: training was interrupted again.
    """
    from tunesmith.workflow import multitask, stages
    from tunesmith.workflow.session import Watch

    opened = Run.open(run)
    if not opened.part_names:
        raise RunError("this run has no parts", where=Where(str(run)), fix="use tunesmith.resume")
    whole = multitask if opened.kind == "tasks" else stages
    with generators_kept():
        return _parts(whole.resume(opened, watch=Watch([_warn])))


def load(run: PathLike) -> TunedModel:
    """Open a finished run, or a model folder alone, which can predict but has no numbers.

    Raises:
        RunError: it is neither, or the run has no model yet.
    """
    return TunedModel(Run.with_model(Path(run)))


def _whole(run: Run) -> TunedModel:
    """Return a finished run; one that Ctrl-C ended in good order ends its caller, too."""
    if run.status != "done":
        raise KeyboardInterrupt(f'{run.manifest["reason"]}; tunesmith.resume("{run.folder}") goes on')
    return TunedModel(run)


def _parts(run: Run) -> dict[str, TunedModel]:
    """Return the parts of a finished run."""
    if run.status != "done":
        raise KeyboardInterrupt(f'{run.manifest["reason"]}; tunesmith.resume_several("{run.folder}") goes on')
    return {name: TunedModel(Run.open(run.folder / name)) for name in run.part_names}


def _warn(event: dict[str, Any]) -> None:
    if event["event"] == "note" and event["note"].level == "warning":
        warnings.warn(event["note"].message, stacklevel=2)
