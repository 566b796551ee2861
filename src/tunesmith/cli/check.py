"""`tunesmith check` and `tunesmith init`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from rich.markup import escape
from rich.table import Table

from tunesmith.cli import show
from tunesmith.cli.progress import MakingDisplay
from tunesmith.core.errors import DataError, Where
from tunesmith.core.files import write_text
from tunesmith.recipe.compose import compose
from tunesmith.recipe.write import template

MOST_ENTRIES = 20
OPTIONS = {"task.kind": "--task", "task.text": "--text", "task.label": "--label", "data.split.group": "--group"}


def check(arguments: Mapping[str, Any], settings: Sequence[str], *, fix: Path | None) -> None:
    """Print what is to be said about the data; with `fix`, write a cleaned copy."""
    recipe, _ = compose(file=None, overrides=settings, arguments=arguments)
    from tunesmith.data.findings import inspect
    from tunesmith.data.fixed import write_fixed
    from tunesmith.workflow.lengths import measure_lengths
    from tunesmith.workflow.prepare import prepare
    from tunesmith.workflow.teach import refuse_unfit

    console = show.console()
    with MakingDisplay(console) as display:
        prepared = prepare(recipe, tell=display, asks=False)
    refuse_unfit(recipe, prepared.task)
    if fix is not None and prepared.task.reads_words:
        where = Where(str(fix))
        raise DataError("a cleaned copy is only written of texts and labels", where=where, fix="tunesmith convert")
    console.print(f"[bold]{escape(prepared.ledger.summary(prepared.n_read))}[/bold]")
    task, seen = prepared.kind
    console.print(f"task: {task.kind}" + (f" ({escape(seen)})" if seen else ""))
    lengths = measure_lengths(recipe, prepared)
    _set_aside(console, prepared)
    _classes(console, prepared)
    show.notes(console, [*prepared.notes, *lengths], places=True)
    if fix is not None:
        task = prepared.task
        found = inspect(prepared.reading.tables, task=task, spec=recipe.data)
        columns = list(task.columns.values())
        for path in write_fixed(found.tables, prepared.reading.tables, ledger=prepared.ledger, texts=columns, out=fix):
            console.print(f"wrote {escape(str(path))}")
        if len(found.tables) == 1:
            arguments = {**arguments, "data.path": [str(fix)]}
    if any(note.level == "error" for note in lengths):
        raise typer.Exit(2)
    console.print(f"\nNext:\n  {escape(train_command(arguments, settings))}", soft_wrap=True)


def train_command(arguments: Mapping[str, Any], settings: Sequence[str]) -> str:
    """Return the command that trains on the data as it was looked at."""
    named = [(option, arguments[key]) for key, option in OPTIONS.items() if key in arguments]
    given = [word for pair in [*named, *(("--set", one) for one in settings)] for word in pair]
    return shlex.join(["tunesmith", "train", *arguments["data.path"], *given])


def init(data: list[str], *, out: Path | None) -> None:
    """Print or write a commented recipe."""
    recipe, _ = compose(file=None, overrides=[], arguments={"data.path": data})
    if out is None:
        typer.echo(template(recipe), nl=False)
        return
    if out.exists():
        raise DataError("the file is there already", where=Where(str(out)), fix="choose another --out")
    write_text(out, template(recipe))
    typer.echo(f"wrote {out}; run it with: tunesmith train -c {out}")


def _set_aside(console: Any, prepared: Any) -> None:
    entries = [entry for entry in prepared.ledger if entry.kind == "set aside"]
    if not entries:
        return
    first = f"first {MOST_ENTRIES} of {len(entries):,}" if len(entries) > MOST_ENTRIES else f"{len(entries):,} in all"
    console.print(f"set aside, {first}:")
    for entry in entries[:MOST_ENTRIES]:
        detail = "" if entry.detail in {"", "train"} else f"  {escape(entry.detail)}"
        console.print(f"  [dim]{escape(entry.file)}:{entry.row}[/dim]  {escape(entry.reason)}{detail}")
    if len(entries) > MOST_ENTRIES:
        console.print(f"  [dim]… and {len(entries) - MOST_ENTRIES:,} more: all are in ledger.jsonl of a run[/dim]")


def _classes(console: Any, prepared: Any) -> None:
    summary = prepared.task.summary(prepared.tables)
    if not summary:
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column(prepared.task.counted[1].lower())
    for split in summary:
        table.add_column(split, justify="right")
    for name in list(summary["train"])[:40]:
        shown = name if name == name.strip() else f'"{name}"'
        table.add_row(escape(shown), *(f"{counts.get(name, 0):,}" for counts in summary.values()))
    console.print(table)
