"""What the commands print: notes, the ledger, choices, numbers. Plain lines where the output is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tunesmith.core.hardware import is_main_process
from tunesmith.core.notes import Note
from tunesmith.core.wording import rows
from tunesmith.metrics.names import METRICS, shown
from tunesmith.run.report.numbers import ends, interval, primary_split

MARKS = {"info": "[dim]·[/dim]", "warning": "[yellow]![/yellow]", "error": "[red]x[/red]"}


def console(*, err: bool = False) -> Console:
    """Return a console as wide as the terminal; 110 columns where there is none, so that lines don't break oddly."""
    stream = sys.stderr if err else sys.stdout
    return Console(
        stderr=err,
        quiet=not is_main_process(),
        width=None if stream.isatty() else 110,
        highlight=False,
        soft_wrap=not stream.isatty(),
    )


def notes(out: Console, found: Iterable[Note], *, places: bool = False) -> None:
    """Print notes, warnings last so that they are read."""
    for note in sorted(found, key=lambda n: n.level != "info"):
        fix = f"  [dim]→ {escape(note.fix)}[/dim]" if note.fix else ""
        out.print(f"{MARKS[note.level]} {escape(note.message)}{fix}")
        if places and note.places:
            shown_rows = ", ".join(f"{place.row}" for place in note.places[:12])
            more = " …" if note.n_rows > 12 else ""
            word = "row" if len(note.places) == 1 else "rows"
            out.print(f"  [dim]{escape(note.places[0].file)}, {word} {shown_rows}{more}[/dim]")


def choices(out: Console, origins: Mapping[str, Any]) -> None:
    """Print what was chosen for the user, with the reason."""
    chosen = {key: o for key, o in origins.items() if o.origin == "chosen"}
    if not chosen:
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    for key, origin in chosen.items():
        table.add_row(escape(key), escape(str(origin.value)), f"[dim]{escape(origin.reason)}[/dim]")
    out.print("\n[bold]Chosen for this data[/bold] [dim](change with --set)[/dim]")
    out.print(table)


def numbers(out: Console, metrics: Mapping[str, Any]) -> None:
    """Print the metrics with intervals, the baselines beside; micro F1 only where it is not accuracy again."""
    split = primary_split(metrics)
    if not split:
        return
    measured = metrics["splits"][split]
    baselines = metrics.get("baselines", {})
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column(rows(measured["n_rows"], split))
    for column in ("model", "95% interval", *baselines):
        table.add_column(column, justify="right")
    for name, metric in METRICS.items():
        number = interval(measured, name)
        repeats = name == "micro_f1" and number.value == interval(measured, "accuracy").value
        if name in measured["values"] and not repeats:
            others = [shown(name, interval(b, name).value) for b in baselines.values()]
            table.add_row(metric.title, f"[bold]{shown(name, number.value)}[/bold]", ends(measured, name), *others)
    out.print(table)


def duration(seconds: float) -> str:
    """Return "45 s", "3 min 20 s" or "2 h 5 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def size(n_bytes: float) -> str:
    """Return bytes in MiB or GiB."""
    return f"{n_bytes / 2**30:.1f} GiB" if n_bytes >= 2**30 else f"{n_bytes / 2**20:.0f} MiB"
