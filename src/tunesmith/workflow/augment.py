"""New training rows from old ones."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from tunesmith.core.errors import RecipeError, RunError, Where
from tunesmith.core.files import replacing
from tunesmith.core.notes import Note
from tunesmith.core.seed import derive
from tunesmith.core.wording import count, does
from tunesmith.data.augment.balance import even_copies
from tunesmith.data.augment.copies import AT_ONCE, Copy, edit_all
from tunesmith.data.augment.spec import AugmentSpec
from tunesmith.data.table import Table, concat
from tunesmith.models.spec import ModelSpec
from tunesmith.tasks.base import Task
from tunesmith.workflow.editors import Progress, Tell, make_editors, refuse_edits, refuse_models


@dataclass(frozen=True)
class Augmented:
    """Rows, old and new.

    Attributes:
        table: all rows, the new ones last.
        sources: for each new one the index of the row it was made from.
        edits: for each new one what was done.
        notes: what is to be said of them.
    """

    table: Table
    sources: Sequence[int]
    edits: Sequence[str]
    notes: Sequence[Note] = ()

    @property
    def n_old(self) -> int:
        """How many rows there were."""
        return len(self.table) - len(self.edits)

    @property
    def old(self) -> Table:
        """The rows that there were."""
        return self.table.take(range(self.n_old))


def nobody(event: dict[str, Any]) -> None:
    """Listen to nothing."""
    del event


def augment(
    table: Table,
    task: Task,
    spec: AugmentSpec,
    *,
    model: ModelSpec,
    seed: int,
    device: str = "auto",
    tell: Tell = nobody,
) -> Augmented:
    """Add edited copies of rows; the same seed makes the same ones.

    Args:
        table: training rows, as `Task.usable` gives them.
        task: says which words of a row may be edited.
        spec: how many, and which edits.
        model: its vocabulary says which words are near others, and it guesses words where no other model is named.
        seed: of the draws.
        device: where models that edit compute.
        tell: told how far it is.

    Raises:
        RecipeError: the task's rows can't be edited so, or not with these models; or none is made.
    """
    refuse_edits(task, spec)
    refuse_models(spec, model)
    numbers = _copies(table, task, spec)
    if not any(numbers):
        why = _balanced(task) if spec.balance else "no copies are asked for"
        name = "balance" if spec.balance else "copies"
        where = Where(table.files[0], column=f"augment.{name}", value=getattr(spec, name))
        raise RecipeError(f"no row is to be made: {why}", where=where, fix="--set augment.copies=1, or no augmentation")
    progress = Progress(tell, sum(numbers))
    progress.say()
    rows = (task.words(table.row(i)) for i in range(len(table)))
    editors = make_editors(rows, spec, model=model, device=device, seed=seed, progress=progress)
    every = _begun(table, task, numbers, seed=seed)
    made: list[dict[str, Any]] = []
    sources: list[int] = []
    names: list[str] = []
    while some := list(islice(every, AT_ONCE)):
        edit_all(some, editors.by_name, spec.edits)
        for copy in (one for one in some if one.edit):
            made.append(task.edited(table.row(copy.row), copy.words))
            sources.append(copy.row)
            names.append(copy.edit)
        progress.finish(len(some))
    notes = editors.notes(table)
    if not made:
        where = Where(table.files[0], column="augment.edits", value=", ".join(spec.edits))
        why = "; ".join(["no row is made: these edits change none", *(one.message for one in notes if one.n_rows)])
        raise RecipeError(why, where=where, fix="--set augment.edits=typos")
    return _with_rows(table, made, sources, names, notes)


def _with_rows(
    table: Table, made: Sequence[dict[str, Any]], sources: Sequence[int], edits: Sequence[str], notes: Sequence[Note]
) -> Augmented:
    """Return a table with new rows, and what was done first of the notes."""
    new = table.take(sources).replace(**{name: [row[name] for row in made] for name in table.columns})
    return Augmented(concat([table, new]), sources, edits, [note_of(len(table), edits), *notes])


def _begun(table: Table, task: Task, numbers: Sequence[int], *, seed: int) -> Iterator[Copy]:
    """Yield the copies of all rows, not edited yet."""
    for i, n in enumerate(numbers):
        words = task.words(table.row(i)) if n else {}
        yield from (Copy(i, words, random.Random(derive(seed, "augment", i, k))) for k in range(n))


def _copies(table: Table, task: Task, spec: AugmentSpec) -> list[int]:
    """Return how many copies are made of each row."""
    if not spec.balance:
        return [spec.copies] * len(table)
    several = task.decides == "any"
    labels = task.answers(table) if several else [(name,) for name in task.strata(table)]
    return [spec.copies + n for n in even_copies(labels, grown=1 + spec.copies)]


def _balanced(task: Task) -> str:
    """Say why no row is copied for the sake of balance."""
    several = task.decides == "any"
    return "no copies bring the labels nearer to each other" if several else "all classes have as many"


def class_counts(tables: Mapping[str, Table], task: Task) -> dict[str, dict[str, int]]:
    """Return name of a table to its rows of each class, or with each label, as they are balanced."""
    return task.summary(tables) or {name: {**Counter(task.strata(table))} for name, table in tables.items()}


def note_of_columns(table: Table, task: Task, read: Table) -> list[Note]:
    """Say which columns a file of the rows has in the place of those that were read."""
    held = task.to_file(table.row(0), read.row(0))
    old = [*task.columns.values(), *task.target_columns]
    if held.keys() >= {*old}:
        return []
    new = [name for name in held if name in old or name not in table.columns]
    written, instead = (" and ".join(f'"{name}"' for name in names) for names in (new, old))
    message = f"words and tags ({written}) are written in the place of {instead}; between words stands one space then"
    return [Note("info", "columns", message)]


def note_of(n_old: int, edits: Sequence[str]) -> Note:
    """Say how many rows were made of how many, and by what."""
    by = ", ".join(f"{name} {n:,}" for name, n in Counter(edits).most_common())
    made = does(len(edits), "training row", "was", "were")
    message = f"{made} made from {count(n_old, 'row')}" + (f" by edits: {by}" if by else "")
    return Note("info", "augmented", message, "see them with: tunesmith augment DATA OUT --show 20")


def keep(found: Augmented, path: Path) -> None:
    """Write the new rows for `kept`: models may be gone, or give others elsewhere, when training goes on."""
    table = found.table
    with replacing(path) as stream:
        for k, (i, edit) in enumerate(zip(found.sources, found.edits, strict=True)):
            old, new = table.row(i), table.row(found.n_old + k)
            changed = {name: value for name, value in new.items() if value != old[name]}
            stream.write(json.dumps({"row": i, "edit": edit, "changed": changed}, ensure_ascii=False) + "\n")


def kept(path: Path, table: Table) -> Augmented:
    """Return the rows that were made from a table when the run was started.

    Raises:
        RunError: the file is damaged, or of another table.
    """
    try:
        with path.open(encoding="utf-8") as stream:
            found = [json.loads(line) for line in stream]
        made = [table.row(one["row"]) | one["changed"] for one in found]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        message = "the rows that were made when the run was started do not fit the data any more"
        raise RunError(message, where=Where(str(path)), fix="bring the old files back, or start anew") from error
    return _with_rows(table, made, [one["row"] for one in found], [one["edit"] for one in found], [])
