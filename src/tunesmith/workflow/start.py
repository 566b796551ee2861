"""Begin a new training, or go on with an interrupted one."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from tunesmith.core import hardware
from tunesmith.core.errors import Problem, RunError, TunesmithError, Where
from tunesmith.core.kinds import refuse_to_resume
from tunesmith.data.read import refuse_missing_files
from tunesmith.engine import checkpoint
from tunesmith.engine.device import from_main, refuse_missing_device
from tunesmith.engine.loop import Setup
from tunesmith.models.source import find
from tunesmith.recipe.compose import compose
from tunesmith.recipe.origins import Origins
from tunesmith.recipe.recipe import Recipe
from tunesmith.recipe.write import to_yaml
from tunesmith.run.folder import Run
from tunesmith.run.trackers import refuse_missing
from tunesmith.workflow.again import as_started, find_files, keep_files, refuse_other_result, set_now
from tunesmith.workflow.augment import keep
from tunesmith.workflow.build import make_setup
from tunesmith.workflow.editors import BY_MODELS, refuse_models, refuse_unseen
from tunesmith.workflow.prepare import Prepared, prepare
from tunesmith.workflow.resolve import Resolved, resolve
from tunesmith.workflow.session import Watch
from tunesmith.workflow.teach import keep_answers, refuse_teacher
from tunesmith.workflow.track import tracking
from tunesmith.workflow.train import train


def start(
    recipe: Recipe, origins: Origins, *, out: Path | None = None, watch: Watch | None = None, command: str = ""
) -> Run:
    """Prepare the data, choose what is open, make the run folder, train.

    Nothing is written before the data and the settings are known to be usable.

    Raises:
        TunesmithError: what the user can mend.
    """
    watch = watch or Watch()
    refuse_early(recipe, out)
    watch.tell({"event": "phase", "name": "reading"})
    prepared = prepare(recipe, tell=watch.tell)
    watch.tell({"event": "prepared", "prepared": prepared})
    resolved = resolve(recipe, origins, prepared=prepared)
    watch.tell({"event": "resolved", "resolved": resolved})
    setup = make_setup(resolved)

    def create() -> Run:
        facts = {"hardware": asdict(hardware.look()), "data": prepared.sources, "seed": recipe.seed}
        facts["started_in"] = str(Path.cwd())
        run = Run.create(out, name_hint=data_stem(recipe.data.path), command=command, facts=facts)
        with interrupts_explained(run):
            write_inputs(run, prepared, resolved)
        return run

    run = from_main(create, on_cpu=recipe.train.device == "cpu")
    _train(resolved, prepared, setup, run=run, watch=watch)
    return run


def resume(folder: Path, *, overrides: Sequence[str] = (), watch: Watch | None = None) -> Run:
    """Go on with a run that was interrupted, from its newest checkpoint.

    The result is what the uninterrupted run would have been, on the same device and number of processes.

    Raises:
        RunError: the run is done, or its data changed.
    """
    watch = watch or Watch()
    run = Run.open(folder)
    refuse_done(run)
    refuse_to_resume(folder, run.manifest)
    prepared, resolved = reopen(run, overrides=overrides, watch=watch)
    _train(resolved, prepared, make_setup(resolved), run=run, watch=watch)
    return run


def refuse_done(run: Run) -> None:
    """Raise RunError if a run is done."""
    if run.status == "done":
        reports = [Run(run.folder / name).report_path for name in run.part_names] or [run.report_path]
        fix = f"see {' and '.join(map(str, reports))}, or start a new run"
        raise RunError("this run is done already", where=Where(str(run.folder)), fix=fix)


def reopen(run: Run, *, overrides: Sequence[str], watch: Watch, part: str = "") -> tuple[Prepared, Resolved]:
    """Read the data of an interrupted run again, and settle what it had settled.

    Args:
        run: was interrupted.
        overrides: settings that are given now.
        watch: told what happens.
        part: what comes before the names of its settings, where it is one of several.

    Raises:
        TunesmithError: it would not go on as it was.
    """
    recipe, origins = compose(file=run.recipe_path, overrides=overrides, arguments={})
    refuse_other_result(run, recipe, part=part)
    given = set_now(origins)
    found = find_files(run, recipe, given=given, part=part)
    refuse_early(found, begun=run)
    prepared = as_started(run, prepare(found, tell=watch.tell, begun=run))
    if overrides and hardware.is_main_process():
        run.save_recipe(to_yaml(keep_files(recipe, given=given)))
    watch.tell({"event": "prepared", "prepared": prepared})
    recipe = recipe.model_copy(update={"model": found.model})
    resolved = resolve(recipe, origins, prepared=prepared, alone=not part)
    watch.tell({"event": "resolved", "resolved": resolved})
    return prepared, resolved


def _train(resolved: Resolved, prepared: Prepared, setup: Setup, *, run: Run, watch: Watch) -> None:
    with interrupts_explained(run):
        watch.tell({"event": "run", "run": run})
        with tracking(run, resolved.recipe, watch) as tracked:
            train(resolved, prepared, setup, run=run, watch=tracked)


@contextmanager
def interrupts_explained(run: Run) -> Iterator[None]:
    """Give a KeyboardInterrupt (a second Ctrl-C, or one outside of the training loop) what `left_by` says."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(left_by(run)) from error


def left_by(run: Run) -> str:
    """Say what a run that ended at once has left, and the command that goes on with it."""
    folder = shlex.quote(str(run.folder))
    if run.status == "done":
        return f"all is done but the report: tunesmith report {folder}"
    if not run.recipe_path.exists():
        return f"nothing but the folder {folder} was made"
    saved = checkpoint.latest(run.checkpoints_folder)
    if saved is None:
        return f"no checkpoint was written yet; begin anew with: tunesmith train --resume {folder}"
    return f"go on after step {checkpoint.step_of(saved):,} with: tunesmith train --resume {folder}"


def write_inputs(run: Run, prepared: Prepared, resolved: Resolved) -> None:
    """Write what is known before training: what models made and answered, recipe, origins, ledger, notes."""
    if prepared.made and BY_MODELS.intersection(resolved.recipe.augment.edits):
        keep(prepared.made, run.made_path)
    if prepared.taught is not None:
        keep_answers(prepared.taught, run.taught_path)
    prepared.learnt.save(run.learnt_path)
    run.save_recipe(to_yaml(resolved.recipe))
    run.save_origins(resolved.origins.as_dict())
    run.save_ledger(prepared.ledger)
    run.save_notes([*prepared.notes, *resolved.notes])


def refuse_early(recipe: Recipe, out: Path | None = None, *, begun: Run | None = None) -> None:
    """Raise what would go wrong after the data is read, before it is: no data, no such model, device, tracker, folder.

    Args:
        recipe: of the training.
        out: the run folder that was named.
        begun: an interrupted run of it, which may hold what other models made and answered.

    Raises:
        TunesmithError: with all that was found.
    """
    refuse_all(
        lambda: refuse_missing_files(recipe.data),
        lambda: refuse_model(recipe, begun=begun),
        lambda: refuse_missing_device(recipe.train),
        lambda: refuse_missing(recipe.track),
        lambda: None if out is None else Run.refuse_taken(out),
    )


def refuse_model(recipe: Recipe, *, begun: Run | None = None) -> None:
    """Raise what is wrong with the model that is named, and with those that make rows or teach; see `refuse_early`."""
    refuse_all(
        lambda: find(recipe.model),
        lambda: None if begun and begun.made_path.exists() else refuse_models(recipe.augment, recipe.model),
        lambda: None if begun and begun.taught_path.exists() else refuse_teacher(recipe),
        lambda: refuse_unseen(recipe.augment, recipe.objectives.noise, recipe.model),
    )


def refuse_all(*checks: Callable[[], object]) -> None:
    """Run all checks; raise all that they raise as one error."""
    errors: list[TunesmithError] = []
    problems: list[Problem] = []
    for check in checks:
        try:
            check()
        except TunesmithError as error:
            errors.append(error)
            problems += [problem for problem in error.problems if problem not in problems]
    if errors:
        raise type(errors[0]).of(problems)


def data_stem(paths: Sequence[str]) -> str:
    """Return what a run on these files is called."""
    return Path(paths[0]).name.split(".")[0] if paths and paths[0] != "-" else "run"
