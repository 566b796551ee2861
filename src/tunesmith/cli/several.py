"""`tunesmith train` with a recipe of several tasks or stages."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tunesmith.cli import show
from tunesmith.cli.progress import TrainingDisplay
from tunesmith.cli.train import Talk, command_line, rehearse_one
from tunesmith.core.errors import RecipeError, Where
from tunesmith.core.hardware import is_main_process
from tunesmith.core.wording import count
from tunesmith.metrics.names import shown, titled
from tunesmith.recipe.several import compose_several
from tunesmith.run.folder import Run
from tunesmith.run.report.numbers import interval, primary_split

FOR_ALL = ("model.source", "preset", "seed")
"""What the command line may say of all parts at once."""


def train(
    file: Path, settings: Sequence[str], *, arguments: Mapping[str, Any], out: Path | None, dry_run: bool
) -> None:
    """Train several tasks together, or stages one after the other."""
    from tunesmith.workflow import ahead, multitask, stages
    from tunesmith.workflow.session import Watch

    for key, value in arguments.items():
        if key not in FOR_ALL:
            said = value[0] if isinstance(value, list) else value
            fix = f"write it into {file}, for the part that is meant"
            message = "the recipe has several parts, which name their own"
            raise RecipeError(message, where=Where(column=key, value=said), fix=fix)
    several = compose_several(file, overrides=settings, arguments=arguments)
    console = show.console()
    if dry_run and several.kind == "stages":
        stages.refuse(several, out)
        ahead.look_ahead(several, Watch([TalkOfParts(console)]))
        seconds = 0.0
        for name, recipe, origins in stages.as_if_begun(several):
            console.rule(escape(name), align="left", style="dim")
            has_teacher = recipe.teacher not in several.parts
            seconds += rehearse_one(console, (recipe, origins), out, has_teacher=has_teacher)
        about = f"about {show.duration(seconds)}"
        console.print(f"\n{count(len(several.parts), 'stage')}, {about} in all. Nothing was written.")
        return
    if dry_run:
        multitask.refuse(several, out)
        members = multitask.settled(several, Watch([TalkOfParts(console)]))
        n_steps, seconds = multitask.rehearse(members, several.mix)
        about = f"about {show.duration(seconds)} without measuring"
        console.print(f"{count(n_steps, 'update')} of {len(members)} tasks, {about}. Nothing was written.")
        return
    with_display(
        console,
        lambda watch: (multitask if several.kind == "tasks" else stages).start(
            several, out=out, watch=watch, command=command_line()
        ),
    )


def resume(run: Run, settings: Sequence[str]) -> None:
    """Go on with an interrupted run of several parts."""
    from tunesmith.workflow import multitask, stages

    whole = multitask if run.kind == "tasks" else stages
    with_display(show.console(), lambda watch: whole.resume(run, overrides=settings, watch=watch))


def with_display(console: Console, train: Any) -> None:
    """Train while showing how it goes, then print the result; exit with 130 if it was interrupted."""
    from tunesmith.workflow.session import Watch

    display = TrainingDisplay(console)
    try:
        run = train(Watch([display, TalkOfParts(console)]))
    finally:
        display.close()
    if is_main_process():
        ending(console, run)


class TalkOfParts(Talk):
    """Says which part it speaks of, too."""

    def __call__(self, event: dict[str, Any]) -> None:
        """Print one event, if it is one to speak of."""
        if event["event"] == "task":
            self._console.rule(escape(event["name"]), align="left", style="dim")
        super().__call__(event)


def ending(console: Console, run: Run) -> None:
    """Print the main number of each part and what to do next."""
    if run.status != "done":
        command = f"tunesmith train --resume {shlex.quote(str(run.folder))}"
        console.print(escape(f"\nStopped: {run.manifest['reason']}. Go on with:\n  {command}"), soft_wrap=True)
        raise typer.Exit(130)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("", "metric", "value", "95% interval", "run"):
        table.add_column(column)
    for name in run.part_names:
        part = Run.open(run.folder / name)
        main = part.metrics["main"]
        number = interval(part.metrics["splits"].get(primary_split(part.metrics)), main)
        between = f"{shown(main, number.low)} to {shown(main, number.high)}" if number.low is not None else ""
        value = "" if number.value is None else shown(main, number.value)
        table.add_row(escape(name), titled(main), value, between, escape(str(part.folder)))
    console.print()
    console.print(table)
    for name in run.part_names:
        said = Run.open(run.folder / name).metrics["verdict"]["sentences"]
        console.print(f"\n[bold]{escape(name)}[/bold]  {escape(' '.join(said))}")
    console.print("\nEach has a report and a model of its own. Next:")
    for name in run.part_names if run.kind == "tasks" else run.part_names[-1:]:
        folder = shlex.quote(str(run.folder / name))
        console.print(f"  tunesmith predict {escape(folder)} NEW.csv --out labelled.csv", soft_wrap=True)
