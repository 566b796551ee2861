"""Compare two and more runs on the same rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tunesmith.core.errors import DataError, RunError, Where
from tunesmith.core.notes import Note
from tunesmith.data.labels import label_name
from tunesmith.data.read import read
from tunesmith.data.reading import Reading
from tunesmith.data.spec import DataSpec
from tunesmith.inference.settings import load_settings
from tunesmith.metrics.compare import against_best
from tunesmith.metrics.scorer import Scorer
from tunesmith.run.folder import Run
from tunesmith.workflow.evaluate import file_key, inputs_of, measure_rows
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
        kind = load_settings(runs[0].model_folder).task["kind"]
        readings = _read_each([spec for spec, _ in specs], task=kind)
        named = {"text": text, "label": label}
        predicted = [
            _predicted_now(run, reading, spec=spec, notes=notes, named=named)
            for run, reading, (spec, notes) in zip(runs, readings, specs, strict=True)
        ]
    else:
        predicted = said_on_test(runs)
    by_name = dict(zip(names, predicted, strict=True))
    notes = [note for name, p in by_name.items() for note in p.said_of(name)]
    rows = {name: len(p.gold) for name, p in by_name.items()}
    found = against_best(scorers_on_shared(by_name, fix=_NEW if paths else _OLD), metric=metric)
    return {**found, "rows": rows, "notes": notes}


def scorers_on_shared(named: Mapping[str, Predicted], *, fix: str = "") -> dict[str, Scorer]:
    """Return each run's answers, ready to be measured, on the rows that all of them know with the same right answer.

    Raises:
        DataError: there are none.
    """
    first, *others = named.values()
    refuse_unlike([p.task for p in named.values()])
    shared = [key for key in first.gold if all(first.agrees(p, key) for p in others)]
    if not shared:
        raise DataError("the runs have no row with the same label in common", fix=fix)
    gold = [first.gold[key] for key in shared]
    return {name: first.task.scorer([p.said[key] for key in shared], gold) for name, p in named.items()}


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
        task: the run's.
        gold: row to its right answer.
        said: row to the prediction.
        notes: warnings about this run on these rows.
    """

    task: Any
    gold: dict[Hashable, Any]
    said: dict[Hashable, Any]
    notes: Sequence[Note] = ()

    def agrees(self, other: Predicted, row: Hashable) -> bool:
        """Whether both know the row, with the same right answer."""
        return row in other.gold and label_name(self.gold[row]) == label_name(other.gold[row])

    def said_of(self, name: str) -> list[Note]:
        """Return the notes with the run's name before them."""
        return [replace(note, message=f"{name}: {note.message}") for note in self.notes]


def _read_each(specs: Sequence[DataSpec], *, task: str) -> list[Reading]:
    """Read the rows for each run; once where all runs read them alike."""
    first = read(specs[0], task=task)
    return [first if form_of(spec) == form_of(specs[0]) else read(spec, task=task) for spec in specs]


def _predicted_now(
    run: Run, reading: Reading, *, spec: DataSpec, notes: Sequence[Note], named: Mapping[str, str | None]
) -> Predicted:
    measured = measure_rows(run, reading, spec=spec, named=named, resamples=1)
    places = [measured.table.where(i) for i in range(len(measured.table))]
    keys: list[Hashable] = [(where.file, where.row) for where in places]
    gold = dict(zip(keys, measured.task.gold(measured.table), strict=True))
    said = dict(zip(keys, measured.said, strict=True))
    return Predicted(measured.task, gold, said, [*notes, *measured.notes[len(reading.notes) :]])


def said_on_test(runs: Sequence[Run]) -> list[Predicted]:
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
    tasks = [load_settings(run.model_folder).build_task() for run in runs]
    return [
        _as_said(task, mine, keys if same_files else _texts(task, mine))
        for task, mine, keys in zip(tasks, rows, places, strict=True)
    ]


def _places(run: Run, rows: Sequence[Mapping[str, Any]]) -> list[tuple[tuple[str, str], int]]:
    sources = run.manifest.get("data", [])
    keys = {file: file_key(sources, file) for file in {row["file"] for row in rows}}
    return [(keys[row["file"]], row["row"]) for row in rows]


def _as_said(task: Any, rows: Sequence[Mapping[str, Any]], keys: Sequence[Hashable]) -> Predicted:
    gold = {key: row["gold"] for key, row in zip(keys, rows, strict=True)}
    return Predicted(task, gold, {key: task.prediction.of(row) for key, row in zip(keys, rows, strict=True)})


def _texts(task: Any, rows: Sequence[Mapping[str, Any]]) -> list[Hashable]:
    """Return each row's texts and how many rows before it have the same."""
    seen: Counter[Hashable] = Counter()
    keys: list[Hashable] = []
    for row in rows:
        texts = inputs_of(row, task)
        keys.append((texts, seen[texts]))
        seen[texts] += 1
    return keys


def refuse_unlike(tasks: Sequence[Any]) -> None:
    """Raise DataError if the runs do not answer the same question."""
    if not all(tasks[0].is_like(task) for task in tasks[1:]):
        raise DataError(
            "the runs do not know the same classes", fix="compare runs that were trained on the same labels"
        )
