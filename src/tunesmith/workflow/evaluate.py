"""Measure a finished run on new labelled rows, or two and more runs on the same ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunesmith.core.errors import DataError, Problem, Where, did_you_mean
from tunesmith.core.ledger import Ledger
from tunesmith.core.notes import Note
from tunesmith.data.labels import fold, label_name, read_labels
from tunesmith.data.read import Reading, read
from tunesmith.data.spec import DataSpec
from tunesmith.data.table import Table, concat
from tunesmith.inference.predictor import Predictor
from tunesmith.metrics.classification import measure
from tunesmith.metrics.compare import against_best
from tunesmith.recipe.compose import compose as compose_recipe
from tunesmith.run.folder import Run


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
    run: Run, paths: Sequence[str], *, text: str | None = None, label: str | None = None, resamples: int = 1000
) -> Measured:
    """Measure the run's model on labelled rows, whose labels are read as the run's recipe says.

    Args:
        run: a finished run.
        paths: files or folders.
        text: column with the text; by default the one the model was trained on.
        label: column with the label; likewise.
        resamples: draws for the intervals.

    Raises:
        DataError: a column is missing or no row has a label the model knows.
    """
    return _measure(run, read(DataSpec(path=tuple(paths))), text=text, label=label, resamples=resamples)


def _measure(run: Run, reading: Reading, *, text: str | None, label: str | None, resamples: int) -> Measured:
    predictor = Predictor.load(run.model_folder)
    task = predictor.task
    table = concat(list(reading.tables.values()))
    columns = find_columns(table, {"text": (task.text, text), "label": (task.label, label)})
    ledger = Ledger(reading.ledger)
    ready = as_trained(table, predictor, text=columns["text"], label=columns["label"], spec=_spec(run), ledger=ledger)
    probabilities = predictor.probabilities(ready.texts, cleaned=True)
    metrics = measure(probabilities, ready.gold, task.labels, resamples=resamples)
    return Measured(metrics, probabilities, ready.gold, task.labels, ledger, reading.notes, len(table), ready.rows)


def _spec(run: Run) -> DataSpec:
    """Return how the run read its data; the defaults where it has no recipe."""
    if not run.recipe_path.is_file():
        return DataSpec()
    recipe, _ = compose_recipe(file=run.recipe_path, overrides=(), arguments={})
    return recipe.data


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
    reading = read_labels(table, column=label, spec=spec.model_copy(update={"labels": "keep"}))
    ledger.extend(reading.entries)
    values = _merged(reading.values, task.labels) if spec.labels == "merge_case" else reading.values
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


def _merged(values: Sequence[Any], labels: Sequence[Any]) -> list[Any]:
    """Return labels with the spelling of the class that differs only in case, spaces or a final full stop."""
    spelling = {fold(known): known for known in reversed(labels)}
    return [value if value is None or value in labels else spelling.get(fold(value), value) for value in values]


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


def compare(
    runs: Sequence[Run],
    paths: Sequence[str] = (),
    *,
    metric: str | None = None,
    text: str | None = None,
    label: str | None = None,
) -> dict[str, Any]:
    """Compare runs on the same rows: `paths`, or the test rows they were all measured on.

    Raises:
        DataError: there are no rows that all of them predicted.
    """
    metric = metric or str(runs[0].metrics.get("main", "macro_f1"))
    if paths:
        reading = read(DataSpec(path=tuple(paths)))
        return _compare_new(runs, [_measure(r, reading, text=text, label=label, resamples=1) for r in runs], metric)
    return _compare_saved(runs, metric)


def _compare_new(runs: Sequence[Run], measured: Sequence[Measured], metric: str) -> dict[str, Any]:
    """Compare on the rows that every run can read; each reads labels by its own recipe."""
    labels = same_classes([m.labels for m in measured])
    gold_of = [dict(zip(m.rows, (label_name(m.labels[g]) for g in m.gold), strict=True)) for m in measured]
    shared = [row for row in gold_of[0] if len({gold.get(row) for gold in gold_of}) == 1]
    if not shared:
        raise DataError("the runs read no row with the same label", fix="see data.label_map in their recipes")
    gold = np.array([labels.index(gold_of[0][row]) for row in shared])
    found = {}
    for run, m in zip(runs, measured, strict=True):
        place = {row: i for i, row in enumerate(m.rows)}
        order = [[label_name(v) for v in m.labels].index(name) for name in labels]
        found[run.name] = m.probabilities[[place[row] for row in shared]][:, order]
    return against_best(found, gold, labels, metric=metric)


def same_classes(classes: Sequence[Sequence[Any]]) -> tuple[str, ...]:
    """Return the names of the classes, in the order of the first model.

    Raises:
        DataError: the models do not know the same ones.
    """
    named = [tuple(label_name(label) for label in labels) for labels in classes]
    if len({tuple(sorted(names)) for names in named}) > 1:
        raise DataError(
            "the runs do not know the same classes", fix="compare runs that were trained on the same labels"
        )
    return named[0]


def _compare_saved(runs: Sequence[Run], metric: str) -> dict[str, Any]:
    tables = []
    for run in runs:
        rows = {(row["file"], row["row"], row["text"]): row for row in run.predictions("test")}
        if not rows:
            raise DataError(
                "this run has no test predictions", where=Where(str(run.folder)), fix="name a file to compare on"
            )
        tables.append(rows)
    shared = [key for key in tables[0] if all(key in table for table in tables[1:])]
    if not shared:
        raise DataError(
            "the runs have no test row in common",
            fix="name a file to compare on: tunesmith compare RUN RUN --data FILE",
        )
    names = list(tables[0][shared[0]]["probabilities"])
    gold = np.array([names.index(label_name(tables[0][key]["gold"])) for key in shared])
    found = {
        run.name: np.array([[table[key]["probabilities"][name] for name in names] for key in shared])
        for run, table in zip(runs, tables, strict=True)
    }
    return against_best(found, gold, tuple(names), metric=metric)
