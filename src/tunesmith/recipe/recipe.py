"""A recipe is the sum of what is learned, from what, how and how it is measured."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import NonNegativeInt, SerializeAsAny, field_validator, model_validator

from tunesmith.core.spec import Spec
from tunesmith.data.augment.spec import AugmentSpec
from tunesmith.data.spec import DataSpec
from tunesmith.engine.spec import EvaluateSpec, TrainSpec
from tunesmith.models.spec import ModelSpec
from tunesmith.objectives import ObjectivesSpec
from tunesmith.tasks import TASKS
from tunesmith.tasks.base import Task

DEFAULT_TASK = "text-classification"


class Recipe(Spec):
    """All settings of one run."""

    data: DataSpec = DataSpec()
    """What is read and how it is made ready."""
    task: SerializeAsAny[Task] = None  # type: ignore[assignment]
    """What is learned; where no kind is named, it is seen in the data."""
    augment: AugmentSpec = AugmentSpec()
    """New training rows from old ones; dev and test rows are never touched."""
    model: ModelSpec = ModelSpec()
    """What it starts from."""
    objectives: ObjectivesSpec = ObjectivesSpec()
    """What shapes the loss beside the task; any of them work together."""
    train: TrainSpec = TrainSpec()
    """How the weights are updated."""
    evaluate: EvaluateSpec = EvaluateSpec()
    """When and how it is measured."""
    preset: Literal["fast", "balanced", "best"] = "balanced"
    """What the automatic choices lean to: half the updates, the usual, or half as many again."""
    track: tuple[Literal["mlflow", "wandb"], ...] = ()
    """Trackers told about the run besides TensorBoard, which always is."""
    seed: NonNegativeInt = 0
    """Of everything random: order, dropout, the new head."""

    @property
    def teacher(self) -> str:
        """The run whose answers are learnt; "" where there is none."""
        return self.objectives.consistency.teacher if self.objectives.consistency else ""

    def taught_by(self, teacher: str) -> Self:
        """Return the same with another teacher, or with "" none."""
        assert self.objectives.consistency is not None
        consistency = self.objectives.consistency.model_copy(update={"teacher": teacher})
        return self.model_copy(update={"objectives": self.objectives.model_copy(update={"consistency": consistency})})

    def without_models(self) -> Self:
        """Return what reads the same data, and makes no rows and asks no teacher."""
        bare = self.model_copy(update={"augment": AugmentSpec()})
        return bare.taught_by("") if self.teacher else bare

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        values = {**values}
        if isinstance(values.get("data"), str | list | tuple):
            values["data"] = {"path": values["data"]}
        if isinstance(values.get("model"), str):
            values["model"] = {"source": values["model"]}
        values["task"] = _task_of(values.get("task"))
        return values

    @field_validator("task", mode="before")
    @classmethod
    def _build_task(cls, value: Any) -> Any:
        if isinstance(value, Task):
            return value
        return TASKS[value.get("kind", DEFAULT_TASK)].model_validate(value)


def _task_of(value: Any) -> Any:
    """Return a task or its fields, with "kind" in its full name where it is named."""
    if isinstance(value, Task):
        return value
    if value is None or isinstance(value, str):
        value = {"kind": value} if value else {}
    if isinstance(value, dict) and "kind" in value:
        return {**value, "kind": TASKS.canonical(str(value["kind"]))}
    return value
