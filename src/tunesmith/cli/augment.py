"""`tunesmith augment`."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table as Grid

from tunesmith.cli import show
from tunesmith.cli.progress import MakingDisplay
from tunesmith.core.wording import count
from tunesmith.data.augment.words import Word, join
from tunesmith.recipe.compose import compose

if TYPE_CHECKING:
    from tunesmith.workflow.augment import Augmented

MOST_CLASSES = 40
"""That are listed."""


def augment(
    overrides: Sequence[str], *, arguments: Mapping[str, Any], copies: int, out: Path | None, n_shown: int
) -> None:
    """Make rows, show some beside what they were made from, and write all."""
    whole = {"data.split.test": 0.0, "data.split.dev": 0.0}
    recipe, _ = compose(file=None, overrides=overrides, arguments={**whole, "augment.copies": copies, **arguments})
    from tunesmith.workflow.augment import augment as make
    from tunesmith.workflow.augment import class_counts, note_of_columns
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
        show.notes(console, note_of_columns(table, task, read))
    show.notes(console, (replace(note, fix="") if note.topic == "augmented" else note for note in found.notes))
    if recipe.augment.balance:
        console.print(_classes(task, class_counts({"before": table, "after": found.table}, task)))
    places = range(len(found.edits))
    console.print(_rows(task, found, sorted(random.Random(recipe.seed).sample(places, min(n_shown, len(places))))))
    if out is not None:
        console.print(f"{count(len(found.table), 'row')}, old and new: {escape(str(out))}")


def _classes(task: Any, counts: Mapping[str, Mapping[str, int]]) -> Grid:
    """Return the rows of each class, or with each label, before and after."""
    grid = Grid(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    grid.add_column(task.counted[1].lower())
    for name in counts:
        grid.add_column(name, justify="right")
    for name in list(counts["before"])[:MOST_CLASSES]:
        grid.add_row(escape(name), *(f"{some.get(name, 0):,}" for some in counts.values()))
    return grid


def _rows(task: Any, found: Augmented, places: Sequence[int]) -> Grid:
    """Return some of the rows that were made, each beside the one it was made from."""
    grid = Grid(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 1, 0))
    for column in ("edit", "before", "after"):
        grid.add_column(column, overflow="fold")
    for k in places:
        rows = (found.table.row(i) for i in (found.sources[k], found.n_old + k))
        grid.add_row(found.edits[k], *(escape(_told(task, row)) for row in rows))
    return grid


def _told(task: Any, row: dict[str, Any]) -> str:
    cell = row.get(task.target_column)
    answers = [one["text"] for one in cell if isinstance(one, dict)] if isinstance(cell, list | tuple) else []
    return "\n".join(_marked(words, answers) for words in task.words(row).values())


def _marked(words: Sequence[Word], answers: Sequence[str]) -> str:
    """Return words as a text, what is one thing in brackets, and what type of entity it is: "in [New York]LOC"."""
    told = []
    for group, each in itertools.groupby(words, key=lambda word: word.group):
        some = list(each)
        told += [join(some) if group is None else _bracketed(some, answers), some[-1].space or " "]
    return "".join(told).strip()


def _bracketed(words: Sequence[Word], answers: Sequence[str]) -> str:
    """Return one thing in brackets; of an answer's words what touches it, such as a full stop, stays outside."""
    text, kind = join(words), words[-1].kind
    if isinstance(kind, str):
        return f"[{text}]{kind}"
    places = [(text.index(one), text.index(one) + len(one)) for one in answers if one in text]
    start, end = min((at for at, _ in places), default=0), max((at for _, at in places), default=len(text))
    return f"{text[:start]}[{text[start:end]}]{text[end:]}"
