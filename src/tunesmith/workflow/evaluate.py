"""Measure a finished run on new labelled rows, or two and more runs on the same ones."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.core.errors import DataError, Problem, RunError, Where, did_you_mean
from tunesmith.core.ledger import Ledger
from tunesmith.core.notes import Note
from tunesmith.data.labels import label_name, read_labels
from tunesmith.data.read import Reading, read
from tunesmith.data.spec import DataSpec
from tunesmith.data.table import Table, concat
from tunesmith.inference.predictor import Predictor
from tunesmith.metrics.classification import measure
from tunesmith.metrics.compare import against_best
from tunesmith.recipe.compose import compose as compose_recipe
from tunesmith.run.folder import Run

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
    run: Run, paths: Sequence[str], *, text: str | None = None, label: str | None = None, resamples: int = 1000
) -> Measured:
    """Measure the run's model on labelled rows, whose labels are read as the run's recipe says.

    Args:
        run: a finished run, or a model folder alone.
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


def compare(
    runs: Sequence[Run],
    paths: Sequence[str] = (),
    *,
    metric: str | None = None,
    text: str | None = None,
    label: str | None = None,
) -> dict[str, Any]:
    """Compare runs on the same rows: `paths`, or the test rows they were all measured on.

    Returns:
        as `tunesmith.metrics.compare.against_best`, `rows` (name to the number of rows it knows) and `notes`.

    Raises:
        DataError: there are no rows that all of them predicted.
        RunError: a run is named twice.
    """
    names = names_of(runs)
    metric = metric or str(runs[0].metrics.get("main", "macro_f1"))
    if paths:
        reading = read(DataSpec(path=tuple(paths)))
        predicted = [_predicted_now(run, reading, text=text, label=label) for run in runs]
    else:
        predicted = _predicted_before(runs)
    named = dict(zip(names, predicted, strict=True))
    notes = [note for name, p in named.items() for note in p.said_of(name)]
    rows = {name: len(p.gold) for name, p in named.items()}
    return {**_on_shared(named, metric, fix=_NEW if paths else _OLD), "rows": rows, "notes": notes}


def _on_shared(named: Mapping[str, Predicted], metric: str, *, fix: str) -> dict[str, Any]:
    first, *others = named.values()
    labels = same_classes([first.classes, *(p.classes for p in others)])
    shared = [key for key, gold in first.gold.items() if all(p.gold.get(key) == gold for p in others)]
    if not shared:
        raise DataError("the runs have no row with the same label in common", fix=fix)
    gold = np.array([labels.index(first.gold[key]) for key in shared])
    found = {name: p.on(shared, labels) for name, p in named.items()}
    return against_best(found, gold, labels, metric=metric)


_OLD = "name a file to compare on: tunesmith compare RUN RUN --data FILE"
_NEW = "see data.label_map in their recipes"


def names_of(runs: Sequence[Run]) -> list[str]:
    """Return what to call the runs: their names, or their paths where two have the same name.

    Raises:
        RunError: a run is named twice.
    """
    folders = [run.folder.resolve() for run in runs]
    twice = next((run for i, run in enumerate(runs) if folders[i] in folders[:i]), None)
    if twice is not None:
        raise RunError("this run is named twice", where=Where(str(twice.folder)), fix="name two different runs")
    names = [run.name for run in runs]
    return [str(run.folder) if names.count(run.name) > 1 else run.name for run in runs]


@dataclass(frozen=True)
class Predicted:
    """What a run says of rows.

    Attributes:
        classes: names of its classes.
        gold: row to the name of its true class.
        probabilities: row to the probabilities, in the order of `classes`.
        notes: warnings about this run on these rows.
    """

    classes: tuple[str, ...]
    gold: dict[Hashable, str]
    probabilities: dict[Hashable, Sequence[float]]
    notes: Sequence[Note] = ()

    def said_of(self, name: str) -> list[Note]:
        """Return the notes with the run's name before them."""
        return [replace(note, message=f"{name}: {note.message}") for note in self.notes]

    def on(self, rows: Sequence[Hashable], classes: Sequence[str]) -> np.ndarray:
        """Return the probabilities of some rows, with the columns in the order of `classes`."""
        order = [self.classes.index(name) for name in classes]
        return np.array([self.probabilities[row] for row in rows])[:, order]


def _predicted_now(run: Run, reading: Reading, *, text: str | None, label: str | None) -> Predicted:
    measured = _measure(run, reading, text=text, label=label, resamples=1)
    classes = tuple(label_name(v) for v in measured.labels)
    gold: dict[Hashable, str] = {row: classes[g] for row, g in zip(measured.rows, measured.gold, strict=True)}
    probabilities: dict[Hashable, Sequence[float]] = dict(zip(measured.rows, measured.probabilities, strict=True))
    return Predicted(classes, gold, probabilities, measured.notes[len(reading.notes) :])


def _predicted_before(runs: Sequence[Run]) -> list[Predicted]:
    """Return what each run said of its test rows.

    A row is known by its place where all runs were measured on the same files, otherwise by its text.
    """
    rows = [list(run.predictions("test")) for run in runs]
    for run, mine in zip(runs, rows, strict=True):
        if not mine:
            raise DataError(
                "this run has no test predictions", where=Where(str(run.folder)), fix="name a file to compare on"
            )
    places = [_places(run, mine) for run, mine in zip(runs, rows, strict=True)]
    same_files = len({frozenset(file for file, _ in keys) for keys in places}) == 1
    return [_as_said(mine, keys if same_files else _texts(mine)) for mine, keys in zip(rows, places, strict=True)]


def _places(run: Run, rows: Sequence[Mapping[str, Any]]) -> list[tuple[tuple[str, str], int]]:
    sources = run.manifest.get("data", [])
    keys = {file: file_key(sources, file) for file in {row["file"] for row in rows}}
    return [(keys[row["file"]], row["row"]) for row in rows]


def _as_said(rows: Sequence[Mapping[str, Any]], keys: Sequence[Hashable]) -> Predicted:
    classes = tuple(rows[0]["probabilities"])
    golds = [label_name(row["gold"]) for row in rows]
    kept = [i for i, gold in enumerate(golds) if gold in classes]
    gold = {keys[i]: golds[i] for i in kept}
    return Predicted(classes, gold, {keys[i]: [rows[i]["probabilities"][c] for c in classes] for i in kept})


def _texts(rows: Sequence[Mapping[str, Any]]) -> list[Hashable]:
    """Return each row's text and how many rows before it have the same."""
    seen: Counter[str] = Counter()
    keys: list[Hashable] = []
    for row in rows:
        keys.append((row["text"], seen[row["text"]]))
        seen[row["text"]] += 1
    return keys


def file_key(sources: Sequence[Mapping[str, Any]], file: str) -> tuple[str, str]:
    """Return what one of the files read is known by, however its path was written: content and base name."""
    for source in sources:
        if source["file"] == file:
            return source["sha256"], Path(file).name
        if Path(source["file"]) in Path(file).parents:
            return source["sha256"], str(Path(file).relative_to(source["file"]))
    return "", file


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
