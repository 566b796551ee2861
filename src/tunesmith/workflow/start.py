"""Begin a new training, or go on with an interrupted one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tunesmith.core import hardware
from tunesmith.core.errors import RunError, Where
from tunesmith.engine.device import from_main
from tunesmith.recipe.compose import compose
from tunesmith.recipe.origins import Origins
from tunesmith.recipe.recipe import Recipe
from tunesmith.recipe.write import to_yaml
from tunesmith.run.folder import Run
from tunesmith.workflow.fit import Watch
from tunesmith.workflow.prepare import Prepared, prepare
from tunesmith.workflow.track import tracking
from tunesmith.workflow.train import Resolved, data_stem, resolve, train


def start(
    recipe: Recipe, origins: Origins, *, out: Path | None = None, watch: Watch | None = None, command: str = ""
) -> Run:
    """Prepare the data, choose what is open, make the run folder, train.

    Nothing is written before the data and the settings are known to be usable.

    Raises:
        TunesmithError: what the user can mend.
    """
    watch = watch or Watch()
    watch.tell({"event": "phase", "name": "reading"})
    prepared = prepare(recipe)
    watch.tell({"event": "prepared", "prepared": prepared})
    resolved = resolve(recipe, origins, prepared=prepared)
    watch.tell({"event": "resolved", "resolved": resolved})

    def create() -> Run:
        facts = {"hardware": asdict(hardware.look()), "data": prepared.sources, "seed": recipe.seed}
        run = Run.create(out, name_hint=data_stem(recipe.data.path), command=command, facts=facts)
        write_inputs(run, prepared, resolved)
        return run

    run = from_main(create, on_cpu=recipe.train.device == "cpu")
    watch.tell({"event": "run", "run": run})
    with tracking(run, resolved.recipe, watch) as tracked:
        train(resolved, prepared, run=run, watch=tracked)
    return run


def resume(folder: Path, *, overrides: Sequence[str] = (), watch: Watch | None = None) -> Run:
    """Go on with a run that was interrupted, from its newest checkpoint.

    The result is what the uninterrupted run would have been, on the same device and number of processes.

    Raises:
        RunError: the run is done, or its data changed.
    """
    watch = watch or Watch()
    run = Run.open(folder)
    if run.status == "done":
        raise RunError(
            "this run is done already", where=Where(str(folder)), fix="see its report.html, or start a new run"
        )
    recipe, origins = compose(file=run.recipe_path, overrides=overrides, arguments={})
    prepared = prepare(recipe)
    refuse_changed_data(run, prepared)
    watch.tell({"event": "prepared", "prepared": prepared})
    resolved = resolve(recipe, origins, prepared=prepared)
    watch.tell({"event": "resolved", "resolved": resolved})
    watch.tell({"event": "run", "run": run})
    with tracking(run, resolved.recipe, watch) as tracked:
        train(resolved, prepared, run=run, watch=tracked)
    return run


def write_inputs(run: Run, prepared: Prepared, resolved: Resolved) -> None:
    """Write what is known before training: recipe, origins, ledger, notes."""
    run.save_recipe(to_yaml(resolved.recipe))
    run.save_origins(resolved.origins.as_dict())
    run.save_ledger(prepared.ledger)
    run.save_notes(prepared.notes)


def refuse_changed_data(run: Run, prepared: Prepared) -> None:
    """Raise RunError if a data file is not what the run was started with."""
    now = {source["file"]: source["sha256"] for source in prepared.sources}
    for source in run.manifest.get("data", []):
        if now.get(source["file"]) != source["sha256"]:
            raise RunError(
                "the data changed since the run was started",
                where=Where(source["file"]),
                fix="bring the old file back, or start a new run",
            )
