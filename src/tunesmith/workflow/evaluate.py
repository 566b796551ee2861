"""Measure a finished run on new labelled rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.core.errors import DataError, Problem, Where, did_you_mean
from tunesmith.core.ledger import Ledger
from tunesmith.core.notes import Note
from tunesmith.data.labels import label_name, read_labels
from tunesmith.data.read import Reading, read
from tunesmith.data.spec import DataSpec
from tunesmith.data.table import Table, concat
from tunesmith.inference.predictor import Predictor
from tunesmith.metrics.classification import measure
from tunesmith.run.folder import Run
from tunesmith.workflow.reading import reading_for

REPEATED = "exact duplicate"
"""Why a row was set aside although its text was trained on."""
PLACES = 20


@dataclass(frozen=True)
class Measured:
    """Numbers on one set of rows.

    Attributes:
        metrics: as in `metrics.json`.
        ledger: rows that could not be measured, and why.
        n_read: rows in the file.
        rows: indices of the measured ones.
    """

    metrics: dict[str, Any]
    probabilities: np.ndarray
    gold: np.ndarray
    labels: tuple[Any, ...]
    ledger: Ledger
    notes: list[Note]
    n_read: int
    rows: list[int]


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
        label: column with the label; likewise.
        resamples: draws for the intervals.
        settings: how to read the files, where that is not as in training.

    Raises:
        DataError: a column is missing or no row has a label the model knows.
    """
    spec, notes = reading_for(run, paths, settings=settings)
    measured = measure_rows(run, read(spec), spec=spec, text=text, label=label, resamples=resamples)
    return replace(measured, notes=[*notes, *measured.notes])


def measure_rows(
    run: Run, reading: Reading, *, spec: DataSpec, text: str | None, label: str | None, resamples: int
) -> Measured:
    """Measure the run's model on rows that were read already; see `evaluate`."""
    predictor = Predictor.load(run.model_folder)
    task = predictor.task
    table = concat(list(reading.tables.values()))
    columns = find_columns(table, {"text": (task.text, text), "label": (task.label, label)})
    ledger = Ledger(reading.ledger)
    ready = as_trained(table, predictor, text=columns["text"], label=columns["label"], spec=spec, ledger=ledger)
    probabilities = predictor.probabilities(ready.texts, cleaned=True)
    metrics = measure(probabilities, ready.gold, task.labels, resamples=resamples)
    notes = [*reading.notes]
    if not run.recipe_path.is_file():
        notes.append(
            Note("info", "no recipe", "no recipe stands beside the model: labels are read as they are written")
        )
    if _letters(columns["text"]) == _letters(task.text):
        notes += _trained_on(run, reading, table.take(ready.rows), ready.texts)
    return Measured(metrics, probabilities, ready.gold, task.labels, ledger, notes, len(table), ready.rows)


def _trained_on(run: Run, reading: Reading, table: Table, texts: Sequence[str]) -> list[Note]:
    """Warn of rows of the run's own training files that it did not keep for dev or test, nor set aside."""
    sources = run.manifest.get("data", [])
    learnt = {source["sha256"] for source in sources if source["split"] == "train"}
    keys = {file: file_key(reading.sources, file) for file in table.files}
    if learnt.isdisjoint(digest for digest, _ in keys.values()):
        return []
    held = {row["text"] for split in ("dev", "test") for row in run.predictions(split)}
    gone = {(file_key(sources, e.file), e.row) for e in run.ledger if e.kind == "set aside" and e.reason != REPEATED}
    rows = []
    for i, text in enumerate(texts):
        where = table.where(i)
        if keys[where.file][0] in learnt and text not in held and (keys[where.file], where.row) not in gone:
            rows.append(i)
    if not rows:
        return []
    message = f"these are the rows the model was trained on: {len(rows):,} of {len(texts):,}; the numbers flatter it"
    fix = "measure on rows it has not seen; those on its own test rows are in its report"
    places = tuple(table.where(i) for i in rows[:PLACES])
    return [Note("warning", "training rows", message, fix, places, len(rows))]


@dataclass(frozen=True)
class Ready:
    """Rows that can be measured: their indices in the table, cleaned texts and class indices."""

    rows: list[int]
    texts: list[str]
    gold: np.ndarray


def as_trained(table: Table, predictor: Predictor, *, text: str, label: str, spec: DataSpec, ledger: Ledger) -> Ready:
    """Return the rows that have a text and a known label, both as training would read them.

    The others go to the ledger. With merge_case a label becomes the class that is spelt like it.
    """
    task = predictor.task
    reading = read_labels(table, column=label, spec=spec, classes=task.labels)
    ledger.extend(reading.entries)
    values = reading.values
    texts = [clean_text(value, predictor) for value in table[text]]
    gold = task.gold(Table.of({task.label: values}))
    rows = []
    for i, value in enumerate(values):
        unknown = "" if gold[i] >= 0 else "label the model does not know"
        reason = ("" if texts[i] else "no text") or reading.reasons[i] or unknown
        if reason:
            where = table.where(i)
            detail = label_name(value) if reason == unknown else ""
            ledger.add("set aside", reason, file=where.file, row=where.row, detail=detail)
        else:
            rows.append(i)
    if not rows:
        raise DataError(
            "no row has a text and a label the model knows",
            where=Where(table.files[0], column=label),
            fix=f"the model knows: {', '.join(task.names[:20])}",
        )
    return Ready(rows, [texts[i] for i in rows], gold[rows])


def clean_text(value: Any, predictor: Predictor) -> str:
    """Return a cell as the model reads it, "" where it holds no text."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return predictor.clean(str(value))


def find_columns(table: Table, wanted: Mapping[str, tuple[str, str | None]]) -> dict[str, str]:
    """Return the table's columns; case and punctuation in names do not count, as in training.

    Args:
        table: any table.
        wanted: "text" or "label" to the column the model was trained on and the one that was named instead.

    Raises:
        DataError: of all columns that are missing.
    """
    found, problems = {}, []
    for option, (trained, named) in wanted.items():
        column = _find(table, trained if named is None else named)
        if column is None:
            problems.append(_missing(table, option, trained, named))
        else:
            found[option] = column
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
    return Problem(message, where, f"name the one to use with --{option}; {here}")


def file_key(sources: Sequence[Mapping[str, Any]], file: str) -> tuple[str, str]:
    """Return what one of the files read is known by, however its path was written: content and base name."""
    for source in sources:
        if source["file"] == file:
            return source["sha256"], Path(file).name
        if Path(source["file"]) in Path(file).parents:
            return source["sha256"], str(Path(file).relative_to(source["file"]))
    return "", file
