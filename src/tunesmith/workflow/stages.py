"""Stages: one training after the other, each from the model of the one before (intermediate-task transfer).

(Phang et al. 2018, "Sentence Encoders on STILTs"; Gururangan et al. 2020 for going on with language first.) Each stage
is a run of its own in the folder of the whole; what is done stays done.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from tunesmith.core.errors import RecipeError, Where, did_you_mean
from tunesmith.core.hardware import is_main_process
from tunesmith.data.augment.spec import AugmentSpec
from tunesmith.data.read import refuse_missing_files
from tunesmith.engine import checkpoint
from tunesmith.engine.device import from_main, refuse_missing_device
from tunesmith.models.spec import ModelSpec
from tunesmith.recipe.origins import Origins
from tunesmith.recipe.recipe import Recipe
from tunesmith.recipe.several import Several
from tunesmith.run.folder import Run
from tunesmith.run.trackers import refuse_missing
from tunesmith.workflow import start as one
from tunesmith.workflow.again import find_files, free_of, parts_again
from tunesmith.workflow.ahead import look_ahead, names_model, refuse_all_of
from tunesmith.workflow.editors import BY_MODELS
from tunesmith.workflow.session import Watch
from tunesmith.workflow.teach import SETTING, refuse_teacher
from tunesmith.workflow.train import failures_noted


def start(several: Several, *, out: Path | None = None, watch: Watch | None = None, command: str = "") -> Run:
    """Train all stages; return the run of the whole, whose stages lie in its folder.

    Raises:
        TunesmithError: what the user can mend; what of it can be seen before, before the first stage.
    """
    refuse(several, out)
    watch = watch or Watch()
    look_ahead(several, watch)
    recipe = next(iter(several.parts.values())).recipe

    def create() -> Run:
        facts = {"stages": folders(several), "seed": recipe.seed, "started_in": str(Path.cwd())}
        run = Run.create(out, name_hint="stages", command=command, facts=facts)
        run.save_recipe(several.text)
        return run

    run = from_main(create, on_cpu=recipe.train.device == "cpu")
    _go(run, several, watch)
    return run


def resume(run: Run, *, overrides: Sequence[str] = (), watch: Watch | None = None) -> Run:
    """Go on with the first stage that is not done.

    Args:
        run: of the whole.
        overrides: "key=value" for all stages, "stages.NAME.key=value" for one.
        watch: told what happens.

    Raises:
        RecipeError: it would not end as it would have.
        RunError: the run is done, or its data changed.
    """
    one.refuse_done(run)
    several = parts_again(run, overrides)
    if overrides and is_main_process():
        run.save_recipe(several.text)
    _go(run, several, watch or Watch())
    return run


def folders(several: Several) -> list[str]:
    """Return the names of the stages' folders, in their order."""
    return [f"{i}-{name}" for i, name in enumerate(several.parts, 1)]


def refuse(several: Several, out: Path | None = None) -> None:
    """Raise what is known to be wrong before any data is read."""
    first, *others = several.parts.items()
    checks: list[Callable[[], object]] = [partial(one.refuse_early, first[1].recipe, out)]
    for name, part in others:
        checks += [
            partial(refuse_missing_files, part.recipe.data),
            partial(refuse_missing_device, part.recipe.train),
            partial(refuse_missing, part.recipe.track),
        ]
        alone = part.recipe
        if _taught_within(several, name) or not Path(alone.teacher).expanduser().exists():
            checks.append(partial(_refuse_other_teacher, several, name))
            alone = alone.taught_by("")
        check = one.refuse_model if names_model(part) else refuse_teacher
        checks.append(partial(refuse_all_of, name, partial(check, alone)))
    one.refuse_all(*checks)


def as_if_begun(several: Several) -> Iterator[tuple[str, Recipe, Origins]]:
    """Yield name, recipe and origins of each stage as it can be rehearsed before any is trained.

    Those that start from the stage before start from what this starts from, which is as large; rows that models make
    are left out where such a model may be one that is still to be trained.
    """
    first: ModelSpec | None = None
    for name, part in several.parts.items():
        recipe, origins = part.recipe, part.origins
        if first is None or names_model(part):
            first = recipe.model
        else:
            recipe, origins = origins.choose(recipe, {"model.source": (first.source, "the stage before")})
            if BY_MODELS.intersection(recipe.augment.edits):
                recipe = recipe.model_copy(update={"augment": AugmentSpec()})
        yield name, recipe, origins


def _refuse_other_teacher(several: Several, name: str) -> None:
    """Raise RecipeError if what is to teach a stage is no stage before it."""
    teacher, names = several.parts[name].recipe.teacher, list(several.parts)
    before = names[: names.index(name)]
    if teacher not in before:
        message = (
            "this stage is none before it" if teacher in names else "there is no such stage before, and no such run"
        )
        where = Where(column=f"stages.{name}.{SETTING}", value=teacher)
        raise RecipeError(message, where=where, fix=did_you_mean(teacher, before) or f"one of: {', '.join(before)}")


def _taught_within(several: Several, name: str) -> bool:
    """Whether the teacher of a stage is one before it."""
    names = list(several.parts)
    return several.parts[name].recipe.teacher in names[: names.index(name)]


def _go(run: Run, several: Several, watch: Watch) -> None:
    """Train the stages that are not done.

    The main process alone writes, and says how a stage stands: it measures and saves while others are done already.
    """
    if not is_main_process():
        _train_each(run, several, watch)
        return
    with run.lock(), failures_noted(run):
        run.mark("running")
        left = _train_each(run, several, watch)
        run.mark("stopped" if left else "done", reason=left)


def _train_each(run: Run, several: Several, watch: Watch) -> str:
    """Train one stage after the other; return why the last one begun is not done, or ""."""
    for stage, folder, named, origins in _stages(run, several):
        watch.tell({"event": "task", "name": stage})
        mine, on_cpu = Run(folder), named.train.device == "cpu"
        begun = from_main(partial(_begun, mine), on_cpu=on_cpu)
        if begun == "done":
            continue
        recipe = find_files(run, named, part=f"stages.{stage}.")
        if begun:
            one.resume(folder, overrides=free_of(named, origins), watch=watch)
        else:
            one.start(recipe, origins, out=folder, watch=watch)
        if left := from_main(partial(_left, mine, stage), on_cpu=on_cpu):
            return left
    return ""


def _begun(run: Run) -> str:
    """Return the status of a stage that can be gone on with; "" of one that is begun anew, whose folder is removed."""
    if not (run.folder / "manifest.json").is_file():
        return ""
    keeps = run.taught_path.exists() or checkpoint.latest(run.checkpoints_folder) is not None
    if run.status not in ("done", "running") and not keeps:
        shutil.rmtree(run.folder)
        return ""
    return run.status


def _left(run: Run, stage: str) -> str:
    """Return why a stage is not done; "" of one that is."""
    return "" if run.status == "done" else f'stage "{stage}" was {run.manifest["reason"]}'


def _stages(run: Run, several: Several) -> Iterator[tuple[str, Path, Recipe, Origins]]:
    """Yield name, folder, recipe and origins of each stage; it starts from the one before, unless it names a model."""
    before: Path | None = None
    for (name, part), folder in zip(several.parts.items(), folders(several), strict=True):
        recipe, origins = part.recipe, part.origins
        if before is not None and not names_model(part):
            recipe, origins = origins.choose(recipe, {"model.source": (str(before), "the stage before")})
        before = run.folder / folder
        if _taught_within(several, name):
            recipe = recipe.taught_by(str(run.folder / folders(several)[list(several.parts).index(recipe.teacher)]))
        yield name, before, recipe, origins
