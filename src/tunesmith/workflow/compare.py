"""Compare two and more runs on the same rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tunesmith.core.errors import DataError, RunError, Where
from tunesmith.core.notes import Note
from tunesmith.data.labels import label_name
from tunesmith.data.read import Reading, read
from tunesmith.data.spec import DataSpec
from tunesmith.data.table import concat
from tunesmith.metrics.compare import against_best
from tunesmith.run.folder import Run
from tunesmith.workflow.evaluate import file_key, measure_rows
from tunesmith.workflow.reading import form_of, reading_for


def compare(
    runs: Sequence[Run],
    paths: Sequence[str] = (),
    *,
    metric: str | None = None,
    text: str | None = None,
    label: str | None = None,
    settings: Sequence[str] = (),
) -> dict[str, Any]:
    """Compare runs on the same rows: `paths`, read as each run's recipe says, or the test rows of all of them.

    Returns:
        as `tunesmith.metrics.compare.against_best`, `rows` (name to the number of rows it knows) and `notes`.

    Raises:
        DataError: there are no rows that all of them predicted.
        RunError: a run is named twice.
    """
    names = names_of(runs)
    metric = metric or str(runs[0].metrics.get("main", "macro_f1"))
    if paths:
        specs = [reading_for(run, paths, settings=settings) for run in runs]
        readings = _read_each([spec for spec, _ in specs])
        predicted = [
            _predicted_now(run, reading, spec=spec, said=said, text=text, label=label)
            for run, reading, (spec, said) in zip(runs, readings, specs, strict=True)
        ]
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


def _read_each(specs: Sequence[DataSpec]) -> list[Reading]:
    """Read the rows for each run; once where all runs read them alike."""
    first = read(specs[0])
    return [first if form_of(spec) == form_of(specs[0]) else read(spec) for spec in specs]


def _predicted_now(
    run: Run, reading: Reading, *, spec: DataSpec, said: Sequence[Note], text: str | None, label: str | None
) -> Predicted:
    measured = measure_rows(run, reading, spec=spec, text=text, label=label, resamples=1)
    table = concat(list(reading.tables.values()))
    keys: list[Hashable] = [(where.file, where.row) for where in map(table.where, measured.rows)]
    classes = tuple(label_name(v) for v in measured.labels)
    gold = {key: classes[g] for key, g in zip(keys, measured.gold, strict=True)}
    probabilities: dict[Hashable, Sequence[float]] = dict(zip(keys, measured.probabilities, strict=True))
    return Predicted(classes, gold, probabilities, [*said, *measured.notes[len(reading.notes) :]])


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
