"""`tunesmith train` and `tunesmith demo`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape

from tunesmith.cli import show
from tunesmith.cli.progress import MakingDisplay, TrainingDisplay
from tunesmith.core.errors import RunError
from tunesmith.core.hardware import is_main_process
from tunesmith.core.wording import count, setting
from tunesmith.recipe.compose import compose
from tunesmith.recipe.several import kind_of
from tunesmith.run import usage
from tunesmith.run.folder import RUNS, Run
from tunesmith.samples import find_sample


def train(
    recipe: Path | None,
    settings: Sequence[str],
    *,
    arguments: Mapping[str, Any],
    out: Path | None,
    dry_run: bool,
    more: Sequence[str] = (),
) -> None:
    """Train, or with `dry_run` only rehearse it; `more`: further commands to suggest at the end."""
    if kind_of(recipe):
        from tunesmith.cli import several

        assert recipe is not None
        several.train(recipe, settings, arguments=arguments, out=out, dry_run=dry_run)
        return
    composed = compose(file=recipe, overrides=settings, arguments=arguments)
    from tunesmith.workflow import start
    from tunesmith.workflow.session import Watch

    console = show.console()
    if dry_run:
        start.refuse_early(composed[0], out)
        rehearse_one(console, composed, out)
        console.print("Nothing was written.")
        return
    display = TrainingDisplay(console)
    try:
        run = start.start(*composed, out=out, watch=Watch([display, Talk(console)]), command=command_line())
    finally:
        display.close()
    ending(console, run, more=more)


def resume(folder: Path, settings: Sequence[str], *, dry_run: bool = False) -> None:
    """Go on with an interrupted run."""
    if dry_run:
        raise RunError("a dry run is of a new run, not of one that is resumed", fix="leave out --dry-run or --resume")
    if (interrupted := Run.open(folder)).part_names:
        from tunesmith.cli import several

        several.resume(interrupted, settings)
        return
    from tunesmith.workflow import start
    from tunesmith.workflow.session import Watch

    console = show.console()
    display = TrainingDisplay(console)
    try:
        run = start.resume(folder, overrides=settings, watch=Watch([display]))
    finally:
        display.close()
    ending(console, run)


def demo(name: str, *, out: Path | None) -> None:
    """Train on a sample that comes with the package."""
    file, settings, question = find_sample(name)
    with as_file(files("tunesmith.samples") / file) as sample:
        arguments = {"data.path": [str(sample)], **settings}
        words = " ".join(setting(key, value) for key, value in settings.items())
        show.console().print(
            escape(f"The sample is {sample}" + (f", trained with {words}" if words else "")), soft_wrap=True
        )
        more = [f"echo {shlex.quote(question)} | tunesmith predict {{run}} -"] if question else []
        train(None, [], arguments=arguments, out=out, dry_run=False, more=more)


class Talk:
    """A listener that says what was found and chosen before training starts."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __call__(self, event: dict[str, Any]) -> None:
        """Print one event, if it is one to speak of."""
        if event["event"] == "prepared":
            prepared = event["prepared"]
            self._console.print(f"\n[bold]Data[/bold]  {escape(prepared.ledger.summary(prepared.n_read))}")
            show.notes(self._console, prepared.notes)
        elif event["event"] == "resolved":
            show.notes(self._console, event["resolved"].notes)
            show.choices(self._console, event["resolved"].origins.entries)
            self._console.print()
        elif event["event"] == "run":
            self._console.print(f"run folder: {escape(str(event['run'].folder))}")


def ending(console: Console, run: Run, *, more: Sequence[str] = ()) -> None:
    """Print the result and what to do next, first what `more` says of {run}; exit with 130 if it was interrupted."""
    if not is_main_process():
        return
    if run.status != "done":
        command = f"tunesmith train --resume {shlex.quote(str(run.folder))}"
        console.print(escape(f"\nStopped: {run.manifest['reason']}. Go on with:\n  {command}"), soft_wrap=True)
        raise typer.Exit(130)
    _result(console, run)
    seconds = run.manifest.get("seconds", {})
    console.print(f"\nrun      {escape(str(run.folder))}   [dim]({show.duration(seconds.get('total', 0))})[/dim]")
    console.print(f"report   {escape(str(run.report_path))}   [dim](open it in a browser)[/dim]")
    form = "Hugging Face format, opens after import tunesmith" if usage.is_own(run) else "plain Hugging Face format"
    console.print(f"model    {escape(str(run.model_folder))}   [dim]({form})[/dim]")
    console.print("\nNext:")
    folder = shlex.quote(str(run.folder))
    for command in (
        *(command.format(run=folder) for command in more),
        f"tunesmith predict {folder} NEW.csv --out labelled.csv",
        f"tunesmith evaluate {folder} OTHER_LABELLED.csv",
    ):
        console.print(f"  {escape(command)}", soft_wrap=True)


def _result(console: Console, run: Run) -> None:
    """Print how training ended, the numbers and the verdict."""
    metrics = run.metrics
    ended = how_training_ended(run)
    if ended:
        console.print(ended)
    console.print()
    show.numbers(console, metrics)
    console.print()
    for sentence in metrics["verdict"]["sentences"]:
        console.print(escape(sentence))
    for step in metrics["verdict"]["try_next"]:
        console.print(f"[dim]try next:[/dim] {escape(step)}")


def how_training_ended(run: Run) -> str:
    """Say that patience ended training, and which weights were kept where these are not the last ones."""
    manifest = run.manifest
    step, best = manifest.get("step"), manifest.get("best_step")
    if not step or not best:
        return ""
    kept = f"the weights of step {best:,} were kept"
    if manifest.get("averaged"):
        ended = "Training stopped early" if manifest.get("reason") == "patience" else "Trained to the end"
        return f"{ended}; the weights of {count(manifest['averaged'], 'step')} were averaged."
    if manifest.get("reason") != "patience":
        return f"Trained to the end; {kept}, the best on dev rows." if best != step else ""
    epochs = max((event["epoch"] for event in run.events() if event["event"] == "step"), default=0)
    of = epochs * manifest["steps"] / step
    patience = run.origins.get("evaluate.patience", {}).get("value", 0)
    return f"Training stopped at epoch {epochs:.3g} of {of:.3g}: no gain in {count(patience, 'measurement')}; {kept}."


def command_line() -> str:
    """Return the command as it was typed, quoted so that it can be typed again."""
    return shlex.join(["tunesmith", *sys.argv[1:]])


def rehearse_one(console: Console, composed: Any, out: Path | None, *, has_teacher: bool = True) -> float:
    """Check one training, time a few updates, and say what it will take; return the seconds.

    Its teacher is not asked; with `has_teacher` false, it is still to be trained.
    """
    from tunesmith.workflow.prepare import prepare
    from tunesmith.workflow.rehearse import rehearse
    from tunesmith.workflow.resolve import resolve
    from tunesmith.workflow.teach import refuse_unfit

    talk = Talk(console)
    with MakingDisplay(console) as display:
        prepared = prepare(composed[0], tell=display, asks=False)
    if has_teacher:
        refuse_unfit(composed[0], prepared.task)
    talk({"event": "prepared", "prepared": prepared})
    resolved = resolve(*composed, prepared=prepared)
    talk({"event": "resolved", "resolved": resolved})
    estimate = rehearse(resolved, out=out or RUNS)
    needs = f"memory {show.size(estimate.memory_bytes)}; disk {show.size(estimate.disk_bytes)}"
    console.print(
        f"{count(estimate.steps, 'update')}, about {show.duration(estimate.seconds)}; {needs} "
        f"({show.size(estimate.free_disk_bytes)} free)."
    )
    return estimate.seconds
