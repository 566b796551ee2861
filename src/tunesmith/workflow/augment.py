"""New training rows from old ones: in memory before a training, or written out to be looked at."""

from __future__ import annotations

import csv
import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError, RecipeError, RunError, Where
from tunesmith.core.notes import Note
from tunesmith.core.seed import derive
from tunesmith.core.wording import count, does
from tunesmith.data.augment.edits import EDITS, Near, Pool, edited
from tunesmith.data.augment.spec import AugmentSpec
from tunesmith.data.augment.words import Word
from tunesmith.data.table import Table, concat
from tunesmith.models.spec import ModelSpec
from tunesmith.tasks.base import Task

MOST_COPIES = 10
"""Of a row, for the sake of balance."""
FROM, BY = "augmented_from", "augmented_by"
"""Columns of a file that is written out: the row that a row was made from, and the edit."""


@dataclass(frozen=True)
class Augmented:
    """Attributes: all rows, the new ones last; for each new one its source's index, and the edit that made it."""

    table: Table
    sources: Sequence[int]
    edits: Sequence[str]

    @property
    def n_old(self) -> int:
        """How many rows there were."""
        return len(self.table) - len(self.edits)


def augment(table: Table, task: Task, spec: AugmentSpec, *, model: ModelSpec, seed: int) -> Augmented:
    """Add edited copies of rows; the same seed makes the same ones.

    Args:
        table: training rows, as `Task.usable` gives them.
        task: says which words of a row may be edited.
        spec: how many, and which edits.
        model: its vocabulary says which words are near others.
        seed: of the draws.

    Raises:
        RecipeError: the task's rows can't be edited so.
    """
    refuse(task, spec)
    near = near_words(spec.edits, model)
    rows = [table.row(i) for i in range(len(table))]
    words = [task.words(row) for row in rows]
    pool = _pool(words)
    made: list[dict[str, Any]] = []
    sources, names = [], []
    for i, n in enumerate(_copies(task.strata(table), spec)):
        for k in range(n):
            chance = random.Random(derive(seed, "augment", i, k))
            found = edited(words[i], spec.edits, chance, rate=spec.rate, near=near, pool=pool)
            if found is not None:
                name, new = found
                made.append(task.edited(rows[i], new))
                sources.append(i)
                names.append(name)
    new_rows = table.take(sources).replace(**{name: [row[name] for row in made] for name in table.columns})
    return Augmented(concat([table, new_rows]) if made else table, sources, names)


def refuse(task: Task, spec: AugmentSpec) -> None:
    """Raise RecipeError where edits would make what is learnt wrong."""
    if not task.can_be_edited:
        where = Where(column="augment.copies", value=spec.copies)
        raise RecipeError(f"edited texts would teach {task.kind} their mistakes", where=where, fix="leave it out")
    if "entities" in spec.edits and task.kind != "token-classification":
        where = Where(column="augment.edits", value="entities")
        raise RecipeError(f"{task.kind} has no entities", where=where, fix=f"some of: {', '.join(EDITS)}")


def near_words(edits: Sequence[str], model: ModelSpec) -> Near:
    """Return what tells words near a word in a model's vocabulary; nothing, where no edit puts in words."""
    if not {"insert", "substitute"} & {*edits}:
        return lambda _word: ()
    from tunesmith.models.neighbours import Neighbours

    return Neighbours(model)


def _copies(strata: Sequence[str], spec: AugmentSpec) -> list[int]:
    """Return how many copies are made of each row."""
    sizes = Counter(strata)
    most = max(sizes.values(), default=0)
    seen: Counter[str] = Counter()
    found = []
    for name in strata:
        n = sizes[name]
        extra = min(MOST_COPIES * n, (most - n) * (1 + spec.copies)) if spec.balance else 0
        found.append(spec.copies + extra // n + (seen[name] < extra % n))
        seen[name] += 1
    return found


def _pool(rows: Sequence[dict[str, list[Word]]]) -> Pool:
    """Return the things of each kind in the rows."""
    found: dict[object, list[list[str]]] = {}
    for row in rows:
        for words in row.values():
            groups = dict.fromkeys(word.group for word in words if word.group is not None)
            for group in groups:
                mine = [word for word in words if word.group == group]
                found.setdefault(mine[0].kind, []).append([word.text for word in mine])
    return found


def note_of(found: Augmented) -> Note:
    """Say how many rows were made, and by what."""
    by = ", ".join(f"{name} {n:,}" for name, n in Counter(found.edits).most_common())
    made = does(len(found.edits), "training row", "was", "were")
    message = f"{made} made from {count(found.n_old, 'row')} by edits: {by}"
    return Note("info", "augmented", message, "see them with: tunesmith augment DATA OUT --show 20")


def write(found: Augmented, out: Path, *, columns: Sequence[str]) -> None:
    """Write all rows, with the columns `FROM` and `BY`, as CSV or JSON Lines, by the file's name.

    Args:
        found: what was made.
        out: a new file.
        columns: to be written.

    Raises:
        RunError: the file exists.
        DataError: its name says neither, or a cell holds what CSV can't.
    """
    if out.exists():
        raise RunError("this file exists already", where=Where(str(out)), fix="choose another name")
    if out.suffix not in (".csv", ".jsonl"):
        raise DataError("can write .csv and .jsonl", where=Where(str(out)), fix="choose one of these")
    table = found.table
    nested = next((name for name in columns for cell in table[name] if isinstance(cell, list | tuple | dict)), "")
    if nested and out.suffix == ".csv":
        fix = f"write {out.with_suffix('.jsonl').name}"
        raise DataError("a CSV can't hold lists", where=Where(str(out), column=nested), fix=fix)
    origins: list[tuple[int | str, str]] = [("", "")] * found.n_old
    origins += [(table.row_numbers[i], name) for i, name in zip(found.sources, found.edits, strict=True)]
    rows = [
        {**{name: table[name][i] for name in columns}, FROM: origins[i][0], BY: origins[i][1]}
        for i in range(len(table))
    ]
    with out.open("x", encoding="utf-8", newline="") as stream:
        if out.suffix == ".csv":
            writer = csv.DictWriter(stream, [*columns, FROM, BY])
            writer.writeheader()
            writer.writerows(rows)
        else:
            stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
