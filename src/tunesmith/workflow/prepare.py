"""From the user's files to cleaned, checked, split rows: the same for `train`, `check` and `--dry-run`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tunesmith.core.errors import DataError, Problem, Where, shorten
from tunesmith.core.ledger import Ledger
from tunesmith.core.notes import Note
from tunesmith.core.wording import does
from tunesmith.data.augment.given import Apart, apart, plain
from tunesmith.data.findings import PLACES, UNLABELED, Inspected, inspect, inspect_edited
from tunesmith.data.labels import label_name
from tunesmith.data.learnt import Learnt
from tunesmith.data.read import for_task, read
from tunesmith.data.reading import Reading
from tunesmith.data.spec import DataSpec
from tunesmith.data.split import divide
from tunesmith.data.table import Table, concat
from tunesmith.data.unlabeled import Unlabeled, read_unlabeled
from tunesmith.recipe.recipe import Recipe
from tunesmith.run.folder import Run
from tunesmith.tasks.base import Task
from tunesmith.tasks.infer import infer
from tunesmith.workflow.augment import Augmented, augment, kept, nobody
from tunesmith.workflow.before import learnt_before, rows_of, seen_before
from tunesmith.workflow.editors import Tell
from tunesmith.workflow.teach import Taught, answers, kept_answers, unasked

UNKNOWN = "label not in training"


@dataclass(frozen=True)
class Prepared:
    """Rows ready to be encoded.

    Attributes:
        task: with its columns named and its classes learnt.
        kind: the task as it stands in the recipe, or was seen in the data; and what showed it, "" if it was named.
        tables: "train" and, where there are any, "dev" and "test": cleaned text, usable labels.
        ledger: every row that is not there, or not as it was written.
        notes: what was found and chosen.
        sources: the files read, for the manifest.
        n_read: rows read from all files.
        reading: the rows as they were read.
        unlabeled: texts without labels, cleaned, where there are any that are learnt from.
        made: the training rows with those made from them, where any were.
        taught: what a teacher gives for the texts without labels, or else for the training rows; None without one.
        learnt: what is learnt from, and what was learnt before by the runs that this training builds on.
    """

    task: Any
    kind: tuple[Task, str]
    tables: dict[str, Table]
    ledger: Ledger
    notes: list[Note]
    sources: list[dict[str, Any]]
    n_read: int
    reading: Reading
    unlabeled: Table | None = None
    made: Augmented | None = None
    taught: Taught | None = None
    learnt: Learnt = field(default_factory=Learnt)

    @property
    def written(self) -> Table:
        """The training rows without those that were made from them."""
        return self.made.old if self.made else self.tables["train"]

    @property
    def row_of(self) -> list[int]:
        """For each training row the one that it was made from; itself for those that were not made."""
        made = list(self.made.sources) if self.made else []
        return [*range(len(self.tables["train"]) - len(made)), *made]

    @property
    def n_rows(self) -> dict[str, int]:
        """Rows of each split, and of those without labels."""
        unlabeled = {} if self.unlabeled is None else {UNLABELED: self.unlabeled}
        return {name: len(table) for name, table in (self.tables | unlabeled).items()}


def prepare(recipe: Recipe, *, tell: Tell = nobody, begun: Run | None = None, asks: bool = True) -> Prepared:
    """Read, choose columns, clean, check and split the data a recipe names; make the rows it wants, ask its teacher.

    Args:
        recipe: names the data.
        tell: told how far the making of rows is.
        begun: an interrupted run of it; what models made and answered then, they don't again.
        asks: whether the teacher is asked; if not, it is as if it answered 0 to everything.

    Raises:
        DataError: the data can't be used; says where and what to do.
    """
    named = "kind" in recipe.task.model_fields_set
    reading = read(recipe.data, task=recipe.task.kind if named else None)
    kind = seen_in(reading, recipe)
    if not named and {str(getattr(recipe.task, name, "auto")) for name in ("text", "label")} == {"auto"}:
        reading = for_task(reading, kind[0].kind)
    n_read = sum(map(len, reading.tables.values())) + sum(reading.ledger.counts("set aside").values())
    given = apart(reading.tables)
    task: Any
    task, notes = kind[0].choose_columns(given.tables["train"])
    _need_columns(given.tables, task)
    found = inspect(given.tables, task=task, spec=recipe.data)
    if recipe.data.split.group:
        found.tables["train"][recipe.data.split.group]  # a wrong name is an error before anything starts
    division = divide(
        found.tables["train"],
        texts=task.key(found.tables["train"]),
        together=task.together(found.tables["train"]),
        classes=task.strata(found.tables["train"]),
        spec=recipe.data.split,
        copies=found.copies,
        have_dev="dev" in found.tables,
        have_test="test" in found.tables,
    )
    tables = {**found.tables, **{name: found.tables["train"].take(rows) for name, rows in division.parts.items()}}
    more_found = _with_edited(given, tables, found.repeats, task=task, spec=recipe.data)
    task = task.learn(tables["train"])
    ledger = Ledger([*reading.ledger, *found.ledger, *given.ledger, *more_found.ledger])
    notes = [
        *reading.notes,
        *notes,
        *_lost(ledger, n_read, recipe.data),
        *_changed(ledger),
        *found.notes,
        *division.notes,
        *given.notes,
        *more_found.notes,
        *_unknown(task, tables, ledger),
    ]
    notes += _unmeasured(task, tables["test"]) if "test" in division.parts and "test" in tables else []
    more = _unlabeled(recipe, task, tables)
    ledger = Ledger([entry for entry in ledger if not (entry.reason == "no label" and entry.file in more.files)])
    ledger.extend(more.ledger)
    notes += more.notes
    before = learnt_before(recipe)
    notes += seen_before(before, tables, task)
    learnt = Learnt.all_of([Learnt.of(rows_of(task, tables["train"])), *before.values()])
    if more.table is not None:
        learnt = Learnt.all_of([learnt, Learnt.of_texts(task.key(more.table))])
    made = _made(recipe, task, tables["train"], tell, begun)
    if made:
        tables["train"] = made.table
        task = task.learn(made.table) if recipe.augment.balance else task  # as many of each class as there are now
        notes += made.notes
    texts = tables["train"] if more.table is None else more.table
    taught = _taught(recipe, task, texts, tell, begun) if asks else unasked(recipe, task, texts)
    sources, n_read = [*reading.sources, *more.sources], n_read + more.n_read
    return Prepared(task, kind, tables, ledger, notes, sources, n_read, reading, more.table, made, taught, learnt)


def seen_in(reading: Reading, recipe: Recipe) -> tuple[Task, str]:
    """Return the task as it stands in the recipe, or was seen in the data; and what showed it, "" if it was named."""
    if "kind" in recipe.task.model_fields_set:
        return recipe.task, ""
    return infer(plain(reading.tables["train"]), reading.forms, like=recipe.task)


def _with_edited(
    given: Apart, tables: dict[str, Table], repeats: Mapping[str, str], *, task: Any, spec: DataSpec
) -> Inspected:
    """Add the rows that were edited before, and whose sources are learnt from, to the training rows."""
    edited = given.at_home(tables, repeats)
    if not len(edited):
        return Inspected({})
    found = inspect_edited(edited, tables, task=task, spec=spec)
    tables["train"] = concat([tables["train"], found.tables["train"]])
    return found


def _unlabeled(recipe: Recipe, task: Any, tables: dict[str, Table]) -> Unlabeled:
    """Read the texts without labels where they are learnt from; say so where there are none, or nothing learns."""
    learns = recipe.objectives.consistency is not None
    if learns and not recipe.data.unlabeled:
        message = "objectives.consistency learns from the training rows' own texts"
        fix = "to learn from texts without labels: --set data.unlabeled=more.csv"
        return Unlabeled(notes=[Note("info", UNLABELED, message, fix)])
    if recipe.data.unlabeled and not learns:
        message = "data.unlabeled is not read here: objectives.consistency alone learns from it"
        return Unlabeled(notes=[Note("info", UNLABELED, message)])
    if not recipe.data.unlabeled or not task.pools:  # a task it has no meaning for is refused later, with all others
        return Unlabeled()
    return read_unlabeled(recipe.data, tables, task=task)


def _made(recipe: Recipe, task: Any, table: Table, tell: Tell, begun: Run | None) -> Augmented | None:
    """Return the training rows with those that are made from them; None where none are wanted."""
    if not recipe.augment.is_on:
        return None
    if begun and begun.made_path.exists():
        return kept(begun.made_path, table)
    device = recipe.train.device
    return augment(table, task, recipe.augment, model=recipe.model, seed=recipe.seed, device=device, tell=tell)


def _taught(recipe: Recipe, task: Any, table: Table, tell: Tell, begun: Run | None) -> Taught | None:
    """Return what the teacher gives for texts; None without one, or where the task has no use for it."""
    if not recipe.teacher or not task.pools:
        return None
    if begun and begun.taught_path.exists():
        return kept_answers(begun.taught_path, task.key(table))
    return answers(recipe.teacher, table, task, device=recipe.train.device, tell=tell)


def _lost(ledger: Ledger, n_read: int, spec: DataSpec) -> list[Note]:
    """Warn where most rows can't be used, copies of others apart: these are hardly the right columns.

    Rows without a label that are named as texts without labels are not lost.
    """
    known = {"no label"} if set(spec.path) & set(spec.unlabeled) else set()
    reasons = {r: n for r, n in ledger.counts("set aside").items() if r.startswith("no ") and r not in known}
    n = sum(reasons.values())
    if n <= n_read / 2:
        return []
    said = ", ".join(f"{n:,} {reason}" for reason, n in reasons.items())
    message = f"most rows are not used: {said} of {n_read:,}"
    fix = "see whether these are the right columns: --text and --label name others"
    return [Note("warning", "most rows lost", message, fix, n_rows=n)]


def _changed(ledger: Ledger) -> list[Note]:
    """Say what is not used as it was written: how often, why, and the first case."""
    entries = [entry for entry in ledger if entry.kind == "changed"]
    if not entries:
        return []
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in ledger.counts("changed").items())
    places = tuple(Where(entry.file, entry.row) for entry in entries[:PLACES])
    detail = f" ({shorten(entries[0].detail)[1:-1]})" if entries[0].detail else ""
    message = f"{does(len(entries), 'place', 'was', 'were')} changed: {reasons}, first in {places[0]}{detail}"
    return [Note("info", "changed", message, "", places, len(entries))]


def _unknown(task: Any, tables: dict[str, Table], ledger: Ledger) -> list[Note]:
    """Set dev and test rows aside whose target no training row has; say so."""
    notes = []
    for split in [name for name in ("dev", "test") if name in tables]:
        table, known = tables[split], task.knows(tables[split])
        rows = [i for i, is_known in enumerate(known) if not is_known]
        for i in rows:
            where = table.where(i)
            ledger.add("set aside", UNKNOWN, file=where.file, row=where.row, detail=split)
        if len(rows) == len(table):
            del tables[split]
        elif rows:
            tables[split] = table.take(i for i, is_known in enumerate(known) if is_known)
        if rows:
            new = new_labels((table[task.target_column][i] for i in rows), task)
            have = does(len(rows), f"{split} row", "has a label", "have labels")
            message = f"{have} no training row has: {', '.join(new[:8])}"
            notes.append(Note("warning", "unknown labels", message, n_rows=len(rows)))
    return notes


def _unmeasured(task: Any, test: Table) -> list[Note]:
    """Say which classes the test rows lack."""
    lost = [name for name, n in task.summary({"test": test}).get("test", {}).items() if not n]
    shown = ", ".join(f'"{name}"' for name in lost[:8])
    message = f"too few rows to be measured: {shown}{' …' if len(lost) > 8 else ''}"
    return [Note("warning", "classes without test rows", message)] if lost else []


def new_labels(cells: Iterable[Any], task: Any) -> list[str]:
    """Return the labels, one a cell or several, that a task has not learnt."""
    names = {label_name(name) for cell in cells for name in (cell if isinstance(cell, list | tuple) else (cell,))}
    return sorted(names - set(getattr(task, "names", ())))


def _need_columns(tables: Mapping[str, Table], task: Any) -> None:
    """Raise one DataError if the dev or test data lack a column."""
    problems = []
    for split, table in tables.items():
        for column in (*task.columns.values(), *task.target_columns):
            if column not in table.columns:
                fix = f"columns there: {', '.join(table.columns)}"
                problems.append(Problem(f'the {split} data has no column "{column}"', Where(table.files[0]), fix))
    if problems:
        raise DataError.of(problems)
