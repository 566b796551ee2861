"""What is on disk: one row a run, for `tunesmith runs`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.core.errors import RunError
from tunesmith.run.folder import RUNS, Run
from tunesmith.run.report.numbers import interval, primary_split


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run at a glance; numbers are None where they were not measured.

    Attributes:
        status: the run's status; "interrupted" for a killed one, "damaged" for one that cannot be read.
        model: what it started from; of what holds several trainings, which kind that is.
        created: ISO 8601, UTC.
        split: where the main metric was measured: "test", else "dev", else "".
        n_train: rows trained on.
        seconds: of the whole run.
    """

    name: str
    folder: Path
    status: str
    created: str = ""
    model: str = ""
    metric: str = ""
    split: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n_train: int | None = None
    seconds: float | None = None


def list_runs(folder: Path = RUNS) -> list[RunRow]:
    """Return the runs directly inside `folder`, newest first, each with its tasks or stages below it.

    There are none if there is no such folder.
    """
    found = [_row(path.parent) for path in folder.glob("*/manifest.json")]
    found = sorted(found, key=lambda row: (row.created, row.name), reverse=True)
    return [each for row in found for each in (row, *_parts(row))]


def _parts(row: RunRow) -> list[RunRow]:
    names = [] if row.status == "damaged" else Run(row.folder).part_names
    return [_row(row.folder / name) for name in names if (row.folder / name / "manifest.json").is_file()]


def _row(folder: Path) -> RunRow:
    try:
        run = Run.open(folder)
        return _read(run, run.manifest, run.metrics)
    except RunError:
        return RunRow(folder.name, folder, "damaged")


def _read(run: Run, manifest: dict[str, Any], metrics: dict[str, Any]) -> RunRow:
    split = primary_split(metrics)
    main = interval(metrics.get("splits", {}).get(split), metrics.get("main", ""))
    return RunRow(
        name=run.name,
        folder=run.folder,
        status=run.status,
        created=manifest.get("created", ""),
        model=str(run.origins.get("model.source", {}).get("value", "")) if run.kind == "run" else f"({run.kind})",
        metric=metrics.get("main", "") if split else "",
        split=split,
        value=main.value,
        low=main.low,
        high=main.high,
        n_train=manifest.get("rows", {}).get("train"),
        seconds=manifest.get("seconds", {}).get("total"),
    )
