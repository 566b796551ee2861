"""Measure a finished run on new labelled rows."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError, Problem, Where, did_you_mean
from tunesmith.core.ledger import Ledger
from tunesmith.core.notes import Note
from tunesmith.core.wording import count, does, setting
from tunesmith.data.augment.given import apart
from tunesmith.data.labels import label_name
from tunesmith.data.learnt import Learnt
from tunesmith.data.read import read
from tunesmith.data.reading import Reading
from tunesmith.data.spec import DataSpec
from tunesmith.data.table import Table, concat
from tunesmith.inference.predictor import Predictor
from tunesmith.inference.settings import load_settings
from tunesmith.metrics.scorer import measure
from tunesmith.run.folder import Run
from tunesmith.workflow.before import trained_on
from tunesmith.workflow.prepare import new_labels
from tunesmith.workflow.reading import reading_for
from tunesmith.workflow.resolve import set_aside


@dataclass(frozen=True)
class Measured:
    """Numbers on one set of rows.

    Attributes:
        metrics: as in `metrics.json`.
        ledger: rows that could not be measured, and why.
        n_read: rows in the file.
        table: the measured rows, as training would read them; `said` is the prediction of each.
    """

    metrics: dict[str, Any]
    table: Table
    said: list[Any]
    task: Any
    ledger: Ledger
    notes: list[Note]
    n_read: int


def evaluate(
    run: Run,
    paths: Sequence[str],
    *,
    text: str | None = None,
    label: str | None = None,
    resamples: int = 1000,
    settings: Sequence[str] = (),
) -> Measured:
    """Measure the run's model on labelled rows, which are read as the run's recipe says: see `reading_for`.

    Args:
        run: a finished run, or a model folder alone.
        paths: files or folders.
        text: column with the text; by default the one the model was trained on.
        label: column with the label, likewise; several with commas between them.
        resamples: draws for the intervals.
        settings: how to read the files, where that is not as in training.

    Raises:
        DataError: a column is missing or no row has a label the model knows.
    """
    spec, notes = reading_for(run, paths, settings=settings)
    reading = read(spec, task=load_settings(run.model_folder).task["kind"])
    measured = measure_rows(run, reading, spec=spec, named={"text": text, "label": label}, resamples=resamples)
    return replace(measured, notes=[*notes, *measured.notes])


def measure_rows(
    run: Run, reading: Reading, *, spec: DataSpec, named: Mapping[str, str | None], resamples: int
) -> Measured:
    """Measure the run's model on rows that were read already; see `evaluate`."""
    learnt = Learnt.load(run.learnt_path)
    predictor = Predictor.load(run.model_folder)
    given = apart({"test": concat(list(reading.tables.values()))})
    table = given.tables["test"]
    task = predictor.task.labelled(table, label=named.get("label"))
    trained = trained_columns(task)
    columns = find_columns(table, trained, {**named, **_targets(task, table, named.get("label"))})
    ledger, notes = Ledger([*reading.ledger, *given.ledger]), [*reading.notes, *given.notes]
    read_ = {trained[field]: column for field, column in columns.items()}
    more = {column: column for column in task.optional_columns if column in table.columns}
    ready = table.named({**more, **read_})
    ready = as_trained(ready, task, clean=predictor.clean, spec=spec, ledger=ledger, notes=notes)
    tables = {"test": ready}
    notes += set_aside(task, predictor.tokenizer, tables, ledger, needed="test")
    ready = tables["test"]
    said = predictor.answers(ready)
    metrics = measure(task.scorer(said, task.gold(ready)), resamples=resamples)
    if not run.recipe_path.is_file():
        notes.append(
            Note("info", "no recipe", "no recipe stands beside the model: labels are read as they are written")
        )
    notes += trained_on(learnt, ready, task)
    return Measured(metrics, ready, said, task, ledger, notes, sum(map(len, reading.tables.values())))


def trained_columns(task: Any) -> dict[str, str]:
    """Return the columns a model was trained on, by the option that names another: text, text_pair, label, label_2."""
    return {**task.columns, **dict(_by_option(task, task.target_columns))}


def _by_option(task: Any, columns: Sequence[str]) -> Iterator[tuple[str, str]]:
    for i, column in enumerate(columns, 1):
        yield (f"{task.target}_{i}" if i > 1 else task.target), column


def _targets(task: Any, table: Table, label: str | None) -> dict[str, str | None]:
    """Return which of the named columns stands for each that was learnt: the one of its name, else the next in order.

    Raises:
        DataError: other than as many are named.
    """
    wanted = task.target_columns
    if label is None or not wanted or (len(wanted) == 1 and _find(table, label)):
        return {}
    named = {_letters(name): name.strip() for name in label.split(",")}
    if len(named) != len(wanted):
        message = f"{count(len(named), 'column')} named, and the model learnt {len(wanted)}: {', '.join(wanted)}"
        fix = "name as many with --label, in this order, with commas between them"
        raise DataError(message, where=Where(table.files[0]), fix=fix)
    alike = {column: named.pop(_letters(column)) for column in wanted if _letters(column) in named}
    others = iter(named.values())
    found = [alike.get(column) or next(others) for column in wanted]
    return dict(_by_option(task, found))


def inputs_of(row: Mapping[str, Any], task: Any) -> tuple[Hashable, ...]:
    """Return the texts of a line of `predictions/*.jsonl`, ready to be looked up."""
    return tuple(map(as_key, (row[field] for field in task.columns)))


def as_key(cell: Any) -> Hashable:
    """Return a cell of an input column as something that can be looked up; a list of words as a tuple."""
    return tuple(cell) if isinstance(cell, list) else cell


def as_trained(
    table: Table, task: Any, *, clean: Callable[[Any], str], spec: DataSpec, ledger: Ledger, notes: list[Note]
) -> Table:
    """Return the rows that have inputs and a target that the model knows, both as training would read them.

    The others go to the ledger; what else is to be said of them goes to the notes.
    """
    usable = task.usable(table, clean=clean, spec=spec, split="test")
    ledger.extend(usable.ledger)
    notes += usable.notes
    known = task.knows(usable.table)
    for i, is_known in enumerate(known):
        if not is_known:
            where, value = usable.table.where(i), usable.table[task.target_column][i]
            ledger.add("set aside", "label the model does not know", file=where.file, row=where.row,
                       detail=label_name(value))  # fmt: skip
    if not all(known):
        notes.append(_foreign(usable.table, task, known))
    if not any(known):
        raise DataError(
            "no row has a text and a label the model knows",
            where=Where(table.files[0], column=task.target_column),
            fix=f"the model knows: {', '.join(list(task.names)[:20])}",
        )
    kept: Table = usable.table.take(i for i, is_known in enumerate(known) if is_known)
    return kept


def _foreign(table: Table, task: Any, known: Sequence[bool]) -> Note:
    """Say which labels the model does not know."""
    cells = [table[task.target_column][i] for i, is_known in enumerate(known) if not is_known]
    names = new_labels(cells, task)
    shown = ", ".join(f'"{name}"' for name in names[:8]) + (" …" if len(names) > 8 else "")
    have = does(len(cells), "row", "has a label", "have labels")
    other = setting("data.label_map", {name: label_name(task.names[0]) for name in names[:1]})
    fix = f"if the model has other names for them, say which, for example {other}"
    return Note("warning", "unknown labels", f"{have} the model does not know: {shown}; not measured", fix)


def find_columns(table: Table, trained: Mapping[str, str], named: Mapping[str, str | None]) -> dict[str, str]:
    """Return the table's column for each field; case and punctuation in names do not count, as in training.

    Args:
        table: any table.
        trained: field of the task to the column the model was trained on.
        named: field to the column that was named instead.

    Raises:
        DataError: of all columns that are missing, and of fields that the task does not have.
    """
    others = [field for field, name in named.items() if name is not None and field not in trained]
    problems = [
        Problem(f"the model has no column for --{field}", Where(table.files[0]), f"its columns: {', '.join(trained)}")
        for field in others
    ]
    found = {}
    for field, usual in trained.items():
        name = named.get(field)
        column = _find(table, usual if name is None else name)
        if column is None:
            problems.append(_missing(table, field, usual, name))
        else:
            found[field] = column
    if problems:
        raise DataError.of(problems)
    return found


def _find(table: Table, name: str) -> str | None:
    if name in table.columns:
        return name
    alike = [column for column in table.columns if _letters(column) == _letters(name)]
    return alike[0] if len(alike) == 1 else None


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold()))


def _missing(table: Table, option: str, trained: str, named: str | None) -> Problem:
    here = f"columns here: {', '.join(table.columns)}"
    where = Where(table.files[0])
    if named is not None:
        return Problem(f'there is no column "{named}"', where, did_you_mean(named, list(table.columns)) or here)
    message = f'the model was trained on column "{trained}", which is not here'
    of_several = option.startswith("label_")
    how = f"name the one to use with --{option}" if option in ("text", "label") else "give that name to the one to use"
    how = "name all with --label, with commas between them" if of_several else how
    return Problem(message, where, f"{how}; {here}")


def file_key(sources: Sequence[Mapping[str, Any]], file: str) -> tuple[str, str]:
    """Return what one of the files read is known by, however its path was written: content and base name."""
    for source in sources:
        if source["file"] == file:
            return source["sha256"], Path(file).name
        if Path(source["file"]) in Path(file).parents:
            return source["sha256"], str(Path(file).relative_to(source["file"]))
    return "", file
