"""The settings of a training of several tasks."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from tunesmith.core.spec import Spec

HEEDED_BY = {
    "temperature": ("mixing", ("temperature",)),
    "alpha": ("weighting", ("grad_norm",)),
    "rate": ("weighting", ("uncertainty", "grad_norm")),
}
"""Settings of `MixSpec` that another has to have some value for."""


class MixSpec(Spec):
    """How several tasks share one training."""

    mixing: Literal["planned", "proportional", "temperature", "uniform", "annealed"] = "planned"
    """How often each task has its turn. planned: as many updates as it would have alone; the others share the sum of
    these out: in proportion to the training rows, to their 1/temperature-th power (Raffel et al. 2020, section 3.5.2),
    evenly, or from proportional to nearly even as training goes on (Stickland and Murray 2019)."""
    temperature: float = Field(default=2.0, ge=1)
    """temperature: 1 is proportional, a large one uniform."""
    weighting: Literal["fixed", "uncertainty", "grad_norm"] = "fixed"
    """What the losses are multiplied by. fixed: `weights`; uncertainty: learnt beside the model, less for a loss that
    stays high (Kendall et al. 2018, equation 10); grad_norm: so that no task pulls harder than the others, but for
    those that lag behind (GradNorm, Chen et al. 2018, section 3)."""
    weights: dict[str, NonNegativeFloat] = Field(default_factory=dict)
    """fixed: task name to weight; 1 where a task is not named."""
    alpha: NonNegativeFloat = 1.0
    """grad_norm: how strongly a task that lags behind is pulled (the paper's asymmetry)."""
    mean: Literal["arithmetic", "geometric", "lowest"] = "arithmetic"
    """What of the tasks' dev metrics training is judged by; of errors and losses, 1 / (1 + value) goes in."""
    measurements: PositiveInt = 10
    """How many times in a training all tasks are measured."""
    patience: NonNegativeInt = 0
    """Stop after so many measurements without a better mean; 0: never stop early."""
    rate: PositiveFloat = 0.01
    """uncertainty, grad_norm: how fast the weights learn."""

    @model_validator(mode="after")
    def _refuse_idle(self) -> MixSpec:
        """Raise ValueError if a setting is changed that has no effect on the mixing or the weighting."""
        if self.weights and self.weighting != "fixed":
            raise ValueError(f"weights have no effect where weighting is {self.weighting}", "leave one of them out")
        fields = type(self).model_fields
        for name, (of, values) in HEEDED_BY.items():
            if getattr(self, name) != fields[name].default and (value := getattr(self, of)) not in values:
                raise ValueError(f"{name} has no effect where {of} is {value}", f"--set multitask.{of}={values[0]}")
        return self
