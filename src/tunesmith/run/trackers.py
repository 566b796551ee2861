"""Trackers: TensorBoard always, MLflow and Weights & Biases where the recipe names them.

A tracker may raise whatever it likes: `workflow/track.py` sees to it that training goes on. Numbers and small files
are sent, the model is not: it stays in the run folder, whose place the tracker is told.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, Literal, Protocol
from uuid import uuid4

from tunesmith.core.errors import RecipeError, Where
from tunesmith.run.folder import Run
from tunesmith.run.report.numbers import primary_split

Ending = Literal["done", "stopped", "failed"]
FILES = ("report.html", "recipe.yaml", "metrics.json")
"""What a tracker gets of the run folder."""
SETTINGS = {
    "mlflow": {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    },
    "wandb": {
        "WANDB_ERROR_REPORTING": "false",
        "WANDB_CONSOLE": "off",
        "WANDB_INIT_TIMEOUT": "30",
        "WANDB_FINISH_TIMEOUT": "120",
    },
}
"""Environment variables that are set unless the user has set them: no reports to the trackers' makers, nothing between
our lines on the screen, and seconds instead of minutes of waiting for a server that is not there."""
SECONDS_BETWEEN_SENDS = 1.0
"""At least; see `MLflow`."""
PARAMETER_LENGTH = 500
"""Older MLflow servers take no longer value; the recipe is sent whole as a file."""


class Hook(Protocol):
    """Somebody who watches a run and changes nothing."""

    def on_start(self, run: Run, *, step: int) -> str:
        """Training starts, or goes on, after `step` updates; return the page that shows it, "" if there is none."""

    def on_step(self, run: Run, event: dict[str, Any]) -> None:
        """One update was made; `event` is its line in the log."""

    def on_evaluate(self, run: Run, event: dict[str, Any]) -> None:
        """A split was measured."""

    def on_end(self, run: Run, *, ending: Ending) -> None:
        """The run is done, was stopped (it can go on), or failed; also told after a start that failed half-way."""


def refuse_missing(names: Sequence[str]) -> None:
    """Raise RecipeError if one of the named trackers is not installed."""
    for name in names:
        spec = find_spec(name)
        if spec is None or spec.origin is None:  # a plain folder of that name, such as W&B's own, is no package
            raise RecipeError(
                f"{name} is not installed", where=Where(column="track"), fix=f"pip install 'tunesmith[{name}]'"
            )


def make_tracker(name: str, run: Run) -> Hook:
    """Return the tracker called "tensorboard", "mlflow" or "wandb"."""
    for variable, value in SETTINGS.get(name, {}).items():
        os.environ.setdefault(variable, value)
    made: dict[str, type[Any]] = {"tensorboard": TensorBoard, "mlflow": MLflow, "wandb": WandB}
    hook: Hook = made[name](run)
    return hook


def scalars(event: dict[str, Any]) -> dict[str, float]:
    """Return an event's numbers under the names trackers show them by."""
    if event["event"] == "step":
        return {f"train/{k}": event[k] for k in ("loss", "lr", "grad_norm") if event.get(k) is not None}
    named = {f"{event['split']}/{k}": v for k, v in event["metrics"].items()}
    return {**named, f"{event['split']}/loss": event["loss"]}


def final_scalars(run: Run) -> dict[str, float]:
    """Return a done run's headline numbers and the ends of their 95% intervals: what people compare runs by."""
    metrics = run.metrics
    split = primary_split(metrics)
    measured = metrics["splits"][split]["values"] if split else {}
    parts = {"": "value", "_low": "low", "_high": "high"}
    found = {f"{split}/{name}{end}": v.get(part) for name, v in measured.items() for end, part in parts.items()}
    return {name: value for name, value in found.items() if value is not None}


class TensorBoard:
    """Writes event files into the run; on resume, points after the checkpoint are dropped."""

    def __init__(self, run: Run) -> None:
        self._folder = str(run.tensorboard_folder)
        self._writer: Any = None

    def on_start(self, run: Run, *, step: int) -> str:
        """Open the event file."""
        from torch.utils.tensorboard import SummaryWriter

        del run
        self._writer = SummaryWriter(self._folder, purge_step=step + 1 if step else None)
        return ""

    def on_step(self, run: Run, event: dict[str, Any]) -> None:
        """Write the step's numbers."""
        del run
        self._write(scalars(event), step=event["step"])

    def on_evaluate(self, run: Run, event: dict[str, Any]) -> None:
        """Write the measured numbers."""
        self.on_step(run, event)

    def on_end(self, run: Run, *, ending: Ending) -> None:
        """Write the final numbers and close the event file."""
        if self._writer is not None:
            if ending == "done":
                self._write(final_scalars(run), step=run.manifest["step"])
            self._writer.close()

    def _write(self, values: dict[str, float], *, step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)


class MLflow:
    """Logs to the MLflow server or database that MLflow itself is set up for; a resumed run goes on in its MLflow run.

    Numbers are collected and sent together; between two sendings is 20 times as long as the last one took, so a slow
    or dead server costs training little. What could not be sent is tried again.
    """

    def __init__(self, run: Run) -> None:
        import mlflow

        del run
        self._mlflow = mlflow
        self._id = ""
        self._waiting: list[Any] = []
        self._next = 0.0

    def on_start(self, run: Run, *, step: int) -> str:
        """Open an MLflow run with the recipe as parameters, or go on with the one this run had."""
        del step
        known = remembered(run, "mlflow")
        name = None if known else run.name
        self._id = self._mlflow.start_run(run_id=known, run_name=name, nested=True).info.run_id
        if not known:
            remember(run, "mlflow", self._id)
            self._mlflow.log_params({k: str(o["value"])[:PARAMETER_LENGTH] for k, o in run.origins.items()})
            self._mlflow.set_tag("tunesmith.folder", str(run.folder.resolve()))
        return ""

    def on_step(self, run: Run, event: dict[str, Any]) -> None:
        """Keep the step's numbers, and send what is kept if it is time."""
        del run
        self._keep(scalars(event), step=event["step"])
        if time.monotonic() >= self._next:
            self._send()

    def on_evaluate(self, run: Run, event: dict[str, Any]) -> None:
        """Keep the measured numbers."""
        self.on_step(run, event)

    def on_end(self, run: Run, *, ending: Ending) -> None:
        """Send the rest, the final numbers and the files; close the MLflow run."""
        if not self._id:
            return
        try:
            if ending == "done":
                self._keep(final_scalars(run), step=run.manifest["step"])
            self._send()
            for path in (run.folder / name for name in FILES):
                if path.exists():
                    self._mlflow.log_artifact(str(path))
        finally:
            self._mlflow.end_run({"done": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}[ending])

    def _keep(self, values: dict[str, float], *, step: int) -> None:
        now = int(time.time() * 1000)
        names = {key: re.sub(r"[^\w./ -]", "_", key) for key in values}
        self._waiting += [self._mlflow.entities.Metric(names[k], float(v), now, step) for k, v in values.items()]

    def _send(self) -> None:
        began = time.monotonic()
        try:
            self._mlflow.MlflowClient().log_batch(self._id, metrics=self._waiting)
            self._waiting = []
        finally:
            took = time.monotonic() - began
            self._next = began + took + max(SECONDS_BETWEEN_SENDS, 20 * took)


class WandB:
    """Logs to Weights & Biases; a resumed run goes on under the same id."""

    def __init__(self, run: Run) -> None:
        import wandb

        del run
        self._wandb = wandb
        self._run: Any = None

    def on_start(self, run: Run, *, step: int) -> str:
        """Open or continue the W&B run. The name alone is no id: there may be a reviews-1 in every folder."""
        del step
        known = remembered(run, "wandb") or uuid4().hex[:12]
        self._run = self._wandb.init(
            project=os.environ.get("WANDB_PROJECT", "tunesmith"),
            name=run.name,
            id=known,
            resume="allow",
            reinit="create_new",
            config={**{k: o["value"] for k, o in run.origins.items()}, "folder": str(run.folder.resolve())},
            settings=self._wandb.Settings(silent=True),
        )
        remember(run, "wandb", known)
        return "" if self._run.offline else str(self._run.url)

    def on_step(self, run: Run, event: dict[str, Any]) -> None:
        """Log the step's numbers; W&B has those of repeated steps already."""
        del run
        if event["step"] >= self._run.step:
            self._run.log(scalars(event), step=event["step"])

    def on_evaluate(self, run: Run, event: dict[str, Any]) -> None:
        """Log the measured numbers."""
        self.on_step(run, event)

    def on_end(self, run: Run, *, ending: Ending) -> None:
        """Send the final numbers and the files; close the W&B run."""
        if self._run is None:
            return
        try:
            if ending == "done":
                self._run.summary.update(final_scalars(run))
            for path in (run.folder / name for name in FILES):
                if path.exists():
                    copy = shutil.copy(path, self._run.dir)
                    self._run.save(copy, base_path=self._run.dir, policy="now")
        finally:
            self._run.finish(exit_code={"done": 0, "stopped": 255, "failed": 1}[ending])


def remembered(run: Run, tracker: str) -> str | None:
    """Return what the tracker calls this run, if it was told before."""
    found: str | None = run.manifest.get("tracked_as", {}).get(tracker)
    return found


def remember(run: Run, tracker: str, name: str) -> None:
    """Write down what the tracker calls this run, so that a resumed run goes on there."""
    run.update_manifest({"tracked_as": {**run.manifest.get("tracked_as", {}), tracker: name}})
