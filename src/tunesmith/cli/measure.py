"""`tunesmith evaluate`, `predict`, `compare` and `runs`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import typer
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from tunesmith.cli import show
from tunesmith.core.errors import RunError
from tunesmith.core.notes import Note
from tunesmith.core.wording import rows
from tunesmith.metrics.names import shown, titled
from tunesmith.run.folder import Run
from tunesmith.run.listing import list_runs


def evaluate(
    folder: Path, data: Sequence[str], *, text: str | None, label: str | None, settings: Sequence[str]
) -> None:
    """Measure a run's model on labelled rows and print the numbers."""
    run = Run.with_model(folder)
    from tunesmith.workflow.evaluate import evaluate as measure

    measured = measure(run, data, text=text, label=label, settings=settings)
    console = show.console()
    show.notes(console, measured.notes)
    console.print(escape(measured.ledger.summary(measured.n_read)))
    show.numbers(console, {"splits": {"test": measured.metrics}})


def predict(folder: Path, data: str, *, out: Path | None, text: str | None, settings: Sequence[str]) -> None:
    """Label a file with the model of a run, or of a model folder."""
    run = Run.with_model(folder)
    from tunesmith.workflow.predict import format_of, left_by

    if out is not None:
        format_of(out)  # refused before the model is loaded
    try:
        said = _predict(run, data, out=out, text=text, settings=settings)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(left_by(data, out)) from None
    if out is not None:
        show.console(err=True).print(f"{said}: {escape(str(out))}")


def _predict(run: Run, data: str, *, out: Path | None, text: str | None, settings: Sequence[str]) -> str:
    """Label a file, with a count of the rows on the screen; return what was done."""
    from tunesmith.inference.predictor import Predictor
    from tunesmith.workflow.predict import predict_file
    from tunesmith.workflow.reading import reading_for

    console = show.console(err=True)
    spec, notes = reading_for(run, [data], settings=settings)
    show.notes(console, notes)
    predictor = Predictor.load(run.model_folder)

    def tell(note: Note) -> None:
        show.notes(console, [note])

    columns = (SpinnerColumn(), TextColumn("rows: {task.completed:,}"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("predicting", total=None)
        on_rows = partial(progress.advance, task)
        done = predict_file(predictor, data, out=out, text=text, spec=spec, on_rows=on_rows, tell=tell)
    return done.said(predictor.task)


def compare(
    folders: Sequence[Path],
    data: Sequence[str],
    *,
    metric: str | None,
    text: str | None,
    label: str | None,
    settings: Sequence[str],
) -> None:
    """Print which run is better."""
    if len(folders) < 2:
        raise RunError("a comparison needs two runs", fix="tunesmith compare RUN RUN")
    runs = [Run.with_model(folder) for folder in folders]
    if not data and (text or label or settings):
        raise RunError("--text, --label and --set are about --data", fix="leave them out, or name a file with --data")
    from tunesmith.workflow.compare import compare as measure

    found = measure(runs, data, metric=metric, text=text, label=label, settings=settings)
    console = show.console()
    show.notes(console, found["notes"])
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("run", titled(found["metric"]), "95% interval"):
        table.add_column(column)
    for entry in found["ranking"]:
        low, high = shown(found["metric"], entry["low"]), shown(found["metric"], entry["high"])
        table.add_row(escape(entry["name"]), shown(found["metric"], entry["value"]), f"{low} to {high}")
    console.print(table)
    console.print(f"[dim]{escape(compared_on(found))}[/dim]")
    for pair in found["pairs"]:
        console.print(escape(pair["sentence"]))


def compared_on(found: Mapping[str, Any]) -> str:
    """Return on how many rows runs were compared, and what share of each run's rows that is."""
    n = found["n_rows"]
    if set(found["rows"].values()) == {n}:
        return f"on the same {rows(n)}"
    shares = ", ".join(f"{n / mine:.0%} of the {mine:,} of {name}" for name, mine in found["rows"].items())
    return f"on the {rows(n)} they share: {shares}"


def runs(folder: Path) -> None:
    """Print a table of the runs in a folder."""
    console = show.console()
    found = list_runs(folder)
    if not found:
        console.print(f"no runs in {escape(str(folder))}; tunesmith train DATA makes one")
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("run", "status", "model", "metric", "value", "95% interval", "rows", "time", "created"):
        table.add_column(column)
    for row in found:
        value = shown(row.metric, row.value)
        low_high = f"{shown(row.metric, row.low)} to {shown(row.metric, row.high)}" if row.value is not None else ""
        seconds = show.duration(row.seconds) if row.seconds is not None else ""
        n = f"{row.n_train:,}" if row.n_train is not None else ""
        cells = (str(row.folder), row.status, row.model, row.metric, value, low_high, n, seconds, row.created[:16])
        table.add_row(*(escape(cell) for cell in cells))
    console.print(table)


def report(folder: Path) -> None:
    """Write the report of a run anew, or those of its parts, and print where they are."""
    from tunesmith.run.report import write_report
    from tunesmith.run.report.ablation import write_again

    run = Run.open(folder)
    if run.kind == "ablation":
        typer.echo(write_again(run))
        return
    for one in [Run.open(run.folder / name) for name in run.part_names] or [run]:
        typer.echo(write_report(one))
