"""`tunesmith augment`."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table as Grid

from tunesmith.cli import show
from tunesmith.cli.progress import MakingDisplay
from tunesmith.core.wording import count
from tunesmith.data.augment.words import Word, join
from tunesmith.recipe.compose import compose


def augment(
    overrides: Sequence[str], *, arguments: Mapping[str, Any], copies: int, out: Path | None, n_shown: int
) -> None:
    """Make rows, show some beside what they were made from, and write all."""
    whole = {"data.split.test": 0.0, "data.split.dev": 0.0}
    recipe, _ = compose(file=None, overrides=overrides, arguments={**whole, "augment.copies": copies, **arguments})
    from tunesmith.workflow.augment import augment as make
    from tunesmith.workflow.editors import refuse_models
    from tunesmith.workflow.prepare import prepare
    from tunesmith.workflow.written import refuse_cells, refuse_file, write

    if out is not None:
        refuse_file(out)
    refuse_models(recipe.augment, recipe.model)
    console = show.console()
    prepared = prepare(recipe.without_models())
    task, table, read = prepared.task, prepared.tables["train"], prepared.reading.tables["train"]
    console.print(f"[bold]Data[/bold]  {escape(prepared.ledger.summary(prepared.n_read))}")
    show.notes(console, (note for note in prepared.notes if note.topic != "split"))  # all rows are training rows
    if out is not None:
        refuse_cells(table, out, task=task, read=read)
    with MakingDisplay(console) as display:
        found = make(
            table, task, recipe.augment, model=recipe.model, seed=recipe.seed, device=recipe.train.device, tell=display
        )
    if out is not None:
        write(found, out, task=task, read=read)
    show.notes(console, found.notes)
    grid = Grid(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 1, 0))
    for column in ("edit", "before", "after"):
        grid.add_column(column, overflow="fold")
    places = range(len(found.edits))
    for k in sorted(random.Random(recipe.seed).sample(places, min(n_shown, len(places)))):
        before, after = (table.row(found.sources[k]), found.table.row(found.n_old + k))
        grid.add_row(found.edits[k], *(escape(_told(task, row)) for row in (before, after)))
    console.print(grid)
    if out is not None:
        console.print(f"{count(len(found.table), 'row')}, old and new: {escape(str(out))}")


def _told(task: Any, row: dict[str, Any]) -> str:
    return "\n".join(_marked(words) for words in task.words(row).values())


def _marked(words: Sequence[Word]) -> str:
    """Return words as a text, what is one thing in brackets, and what kind of thing after it: "in [New York]LOC"."""
    told = []
    for group, each in itertools.groupby(words, key=lambda word: word.group):
        some = list(each)
        told += [join(some) if group is None else f"[{join(some)}]{some[-1].kind or ''}", some[-1].space or " "]
    return "".join(told).strip()
