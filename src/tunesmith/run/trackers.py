"""Trackers: TensorBoard always, MLflow and Weights & Biases where the recipe names them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, Protocol

from tunesmith.core.errors import RecipeError, Where
from tunesmith.run.folder import Run


class Hook(Protocol):
    """Somebody who watches a run and changes nothing."""

    def on_start(self, run: Run, *, step: int) -> None:
        """Training starts, or goes on, after `step` updates."""

    def on_step(self, run: Run, event: dict[str, Any]) -> None:
        """One update was made; `event` is its line in the log."""

    def on_evaluate(self, run: Run, event: dict[str, Any]) -> None:
        """A split was measured."""

    def on_end(self, run: Run) -> None:
        """Training ended, for whatever reason."""


def make_trackers(names: Sequence[str], *, run: Run) -> list[Hook]:
    """Return TensorBoard and the named trackers.

    Raises:
        RecipeError: one of them is not installed.
    """
    packages = {"mlflow": "mlflow", "wandb": "wandb"}
    for name in names:
        if find_spec(packages[name]) is None:
            raise RecipeError(
                f"{name} is not installed", where=Where(column="track"), fix=f"pip install 'tunesmith[{name}]'"
            )
    made: dict[str, type[Any]] = {"mlflow": MLflow, "wandb": WandB}
    return [TensorBoard(run), *(made[name](run) for name in names)]


def scalars(event: dict[str, Any]) -> dict[str, float]:
    """Return an event's numbers under the names trackers show them by."""
    if event["event"] == "step":
        return {f"train/{k}": event[k] for k in ("loss", "lr", "grad_norm") if event.get(k) is not None}
    named = {f"{event['split']}/{k}": v for k, v in event["metrics"].items()}
    return {**named, f"{event['split']}/loss": event["loss"]}


class TensorBoard:
    """Writes event files into the run; on resume, points after the checkpoint are dropped."""

    def __init__(self, run: Run) -> None:
        self._folder = str(run.tensorboard_folder)
        self._writer: Any = None

    def on_start(self, run: Run, *, step: int) -> None:
        """Open the event file."""
        from torch.utils.tensorboard import SummaryWriter

        del run
        self._writer = SummaryWriter(self._folder, purge_step=step + 1 if step else None)

    def on_step(self, run: Run, event: dict[str, Any]) -> None:
        """Write the step's numbers."""
        del run
        for name, value in scalars(event).items():
            self._writer.add_scalar(name, value, event["step"])

    def on_evaluate(self, run: Run, event: dict[str, Any]) -> None:
        """Write the measured numbers."""
        self.on_step(run, event)

    def on_end(self, run: Run) -> None:
        """Close the event file."""
        del run
        if self._writer is not None:
            self._writer.close()


class MLflow:
    """Logs to the MLflow server or folder that MLflow itself is set up for."""

    def __init__(self, run: Run) -> None:
        import mlflow

        self._mlflow = mlflow
        self._name = run.name

    def on_start(self, run: Run, *, step: int) -> None:
        """Open an MLflow run with the recipe as parameters."""
        del step
        self._mlflow.start_run(run_name=self._name)
        self._mlflow.log_params({key: str(o["value"])[:500] for key, o in run.origins.items()})

    def on_step(self, run: Run, event: dict[str, Any]) -> None:
        """Log the step's numbers."""
        del run
        self._mlflow.log_metrics(scalars(event), step=event["step"])

    def on_evaluate(self, run: Run, event: dict[str, Any]) -> None:
        """Log the measured numbers."""
        self.on_step(run, event)

    def on_end(self, run: Run) -> None:
        """Close the MLflow run."""
        del run
        self._mlflow.end_run()


class WandB:
    """Logs to Weights & Biases; a resumed run goes on under the same id."""

    def __init__(self, run: Run) -> None:
        import wandb

        self._wandb = wandb
        self._name = run.name

    def on_start(self, run: Run, *, step: int) -> None:
        """Open or continue the W&B run."""
        del step
        config = {key: o["value"] for key, o in run.origins.items()}
        self._wandb.init(project="tunesmith", name=self._name, id=self._name, resume="allow", config=config)

    def on_step(self, run: Run, event: dict[str, Any]) -> None:
        """Log the step's numbers."""
        del run
        self._wandb.log(scalars(event), step=event["step"])

    def on_evaluate(self, run: Run, event: dict[str, Any]) -> None:
        """Log the measured numbers."""
        self.on_step(run, event)

    def on_end(self, run: Run) -> None:
        """Close the W&B run."""
        del run
        self._wandb.finish()
