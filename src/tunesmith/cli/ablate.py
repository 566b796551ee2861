"""`tunesmith ablate`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from tunesmith.cli import show
from tunesmith.cli.train import command_line
from tunesmith.core.errors import Problem, RecipeError, Where
from tunesmith.core.wording import count
from tunesmith.metrics.names import titled
from tunesmith.recipe.compose import compose
from tunesmith.recipe.recipe import Recipe
from tunesmith.recipe.several import kind_of
from tunesmith.run.folder import RUNS


def ablate(
    file: Path | None,
    overrides: Sequence[str],
    switches: Sequence[str],
    *,
    everything: bool,
    seeds: str,
    arguments: Mapping[str, Any],
    out: Path | None,
) -> None:
    """Train with and without each switch, print what each gains and costs."""
    from tunesmith.workflow.switches import SWITCHES, listed, settings_of

    if not switches and not everything:
        fix = f"--all, or --switch with a setting such as train.mixout=0.3, or with one of: {listed()}"
        raise RecipeError("no switch is named", where=Where("--switch"), fix=fix)
    if kind := kind_of(file):
        where, fix = Where(str(file), column=kind), "write a recipe of one of them, and name that"
        raise RecipeError("an ablation is of one training, not of several", where=where, fix=fix)
    each = _seeds(seeds)
    recipe, _ = compose(file=file, overrides=overrides, arguments=arguments)
    problems: list[Problem] = []
    turned: list[Recipe] = []
    for name in switches:  # what is tried because all are may have no meaning here, and is then skipped
        try:
            turned.append(compose(file=file, overrides=[*overrides, *settings_of(name)], arguments=arguments)[0])
        except RecipeError as error:
            problems += [problem for problem in error.problems if problem not in problems]
    if problems:
        raise RecipeError.of(problems)
    named = {name: settings_of(name) for name in (*switches, *(SWITCHES if everything else ()))}
    from tunesmith.workflow.ablate import ablate as measure
    from tunesmith.workflow.start import data_stem, refuse_all, refuse_early

    refuse_all(*(partial(refuse_early, each) for each in (recipe, *turned)))
    folder = out or RUNS / f"{data_stem(recipe.data.path)}-ablation"
    console = show.console()
    with Trials(console, n=(len(named) + 1) * len(each)) as trials:
        found = measure(recipe, named, seeds=each, out=folder, tell=trials, command=command_line())
    _print(console, found)
    console.print(f"\nruns     {escape(str(folder / 'runs'))}")
    console.print(f"report   {escape(str(folder / 'report.html'))}   [dim](open it in a browser)[/dim]")
    if not found["tried"]:
        raise typer.Exit(1)


def _seeds(text: str) -> list[int]:
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        fix = "write whole numbers with commas between them: --seeds 0,1,2"
        raise RecipeError("is no list of seeds", where=Where("--seeds", value=text), fix=fix) from None
    if min(found) < 0:
        raise RecipeError("a seed is 0 or more", where=Where("--seeds", value=text), fix="for example --seeds 0,1,2")
    if len(found) > len({*found}):
        raise RecipeError("a seed stands twice", where=Where("--seeds", value=text), fix="leave one of them out")
    return found


class Trials:
    """A bar over the trainings, with time left; plain lines where there is no terminal."""

    def __init__(self, console: Console, *, n: int) -> None:
        self._console, self._n, self._done, self._trained = console, n, 0, 0
        self._skipped: set[str] = set()
        self._began = time.monotonic()
        columns = (TextColumn("trained"), BarColumn(), TextColumn("{task.completed}/{task.total}  {task.description}"))
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task("", total=n)

    def __enter__(self) -> Trials:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, trial: Any, what: str) -> None:
        """Show how a trial goes."""
        name = f"{trial.variant}, seed {trial.seed}"
        if what == "training":
            self._trained += 1
            if not self._console.is_terminal:
                self._console.print(escape(f"{self._done + 1}/{self._n}  {name}{self._left()}"))
        else:
            self._done += 1
            if what != "done" and trial.variant not in self._skipped:
                self._skipped.add(trial.variant)
                self._console.print(f"[yellow]skipped[/yellow]  {escape(trial.variant)}: {escape(what)}")
        self._bar.update(self._task, completed=self._done, description=escape(name + self._left()))

    def _left(self) -> str:
        finished = max(0, self._trained - 1)
        if not finished:
            return ""
        each = (time.monotonic() - self._began) / finished
        return f"  {show.duration(each * (self._n - self._done))} left"


def _print(console: Console, found: Mapping[str, Any]) -> None:
    from tunesmith.run.report.ablation import HOW, between, of_baseline, sentence, signed

    metric = found["metric"]
    seeds = count(len(found["seeds"]), "seed")
    console.print(f"\nThe recipe as it is: {titled(metric)} {of_baseline(found)}, the mean of {seeds}")
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("switch", "gain", "95% interval", "verdict", "time", "memory"):
        table.add_column(column)
    for name, one in found["switches"].items():
        costs = (f"x {one['times_seconds']:.2f}", f"x {one['times_memory']:.2f}")
        table.add_row(escape(name), signed(metric, one["value"]), between(metric, one), one["verdict"], *costs)
    if found["switches"]:
        console.print(table)
    console.print(escape(sentence(found)))
    if found["switches"]:
        console.print(f"[dim]{escape(HOW)}[/dim]")
