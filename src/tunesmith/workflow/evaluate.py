"""Measure a finished run on new labelled rows, or two and more runs on the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.core.errors import DataError, Where, did_you_mean
from tunesmith.core.ledger import Ledger
from tunesmith.core.notes import Note
from tunesmith.data.labels import label_name
from tunesmith.data.read import read
from tunesmith.data.spec import DataSpec
from tunesmith.data.table import Table, concat
from tunesmith.inference.predictor import Predictor
from tunesmith.metrics.classification import measure
from tunesmith.metrics.compare import against_best
from tunesmith.run.folder import Run


@dataclass(frozen=True)
class Measured:
    """Numbers on one set of rows.

    Attributes:
        metrics: as in `metrics.json`.
        ledger: rows that could not be measured, and why.
        n_read: rows in the file.
    """

    metrics: dict[str, Any]
    probabilities: np.ndarray
    gold: np.ndarray
    labels: tuple[Any, ...]
    ledger: Ledger
    notes: list[Note]
    n_read: int


def evaluate(run: Run, paths: Sequence[str], *, resamples: int = 1000) -> Measured:
    """Measure the run's model on labelled rows.

    Raises:
        DataError: a column is missing or no row has a label the model knows.
    """
    predictor = Predictor.load(run.model_folder)
    reading = read(DataSpec(path=tuple(paths)))
    table = concat(list(reading.tables.values()))
    ledger = Ledger(reading.ledger)
    kept, gold = usable(table, predictor, ledger)
    texts = [str(table[predictor.task.text][i]) for i in kept]
    probabilities = predictor.probabilities(texts)
    metrics = measure(probabilities, gold, predictor.task.labels, resamples=resamples)
    return Measured(metrics, probabilities, gold, predictor.task.labels, ledger, reading.notes, len(table))


def usable(table: Table, predictor: Predictor, ledger: Ledger) -> tuple[list[int], np.ndarray]:
    """Return the rows that have a text and a known label, and their class indices; the others go to the ledger."""
    task = predictor.task
    need_columns(table, [task.text, task.label])
    gold = task.gold(table)
    kept = []
    for i, (text, label) in enumerate(zip(table[task.text], table[task.label], strict=True)):
        where = table.where(i)
        if text is None or not predictor.clean(str(text)):
            ledger.add("set aside", "no text", file=where.file, row=where.row)
        elif gold[i] < 0:
            reason = "no label" if label in (None, "") else "label the model does not know"
            ledger.add(
                "set aside", reason, file=where.file, row=where.row, detail="" if label is None else label_name(label)
            )
        else:
            kept.append(i)
    if not kept:
        raise DataError(
            "no row has a text and a label the model knows",
            where=Where(table.files[0], column=task.label),
            fix=f"the model knows: {', '.join(task.names[:20])}",
        )
    return kept, gold[kept]


def need_columns(table: Table, columns: Sequence[str]) -> None:
    """Raise one DataError for all columns the model needs and the table lacks."""
    from tunesmith.core.errors import Problem

    names = list(table.columns)
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise DataError.of(
            Problem(
                f'the model was trained on column "{column}", which is not here',
                Where(table.files[0]),
                did_you_mean(column, names) or f"rename a column; there are: {', '.join(names)}",
            )
            for column in missing
        )


def compare(runs: Sequence[Run], paths: Sequence[str] = (), *, metric: str | None = None) -> dict[str, Any]:
    """Compare runs on the same rows: `paths`, or the test rows they were all measured on.

    Raises:
        DataError: there are no rows that all of them predicted.
    """
    metric = metric or str(runs[0].metrics.get("main", "macro_f1"))
    if paths:
        measured = [evaluate(run, paths, resamples=1) for run in runs]
        first = measured[0]
        found = {run.name: align(m, first) for run, m in zip(runs, measured, strict=True)}
        return against_best(found, first.gold, first.labels, metric=metric)
    return _compare_saved(runs, metric)


def align(measured: Measured, to: Measured) -> np.ndarray:
    """Return probabilities with the columns in the order of `to`'s classes."""
    names = [label_name(v) for v in measured.labels]
    wanted = [label_name(v) for v in to.labels]
    if sorted(names) != sorted(wanted) or not len(measured.gold) == len(to.gold):
        raise DataError(
            "the runs do not know the same classes", fix="compare runs that were trained on the same labels"
        )
    order = [names.index(name) for name in wanted]
    aligned: np.ndarray = measured.probabilities[:, order]
    return aligned


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


def name_of(path: Path) -> str:
    """Return what to call a run folder."""
    return path.resolve().name
