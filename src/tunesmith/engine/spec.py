"""The settings of training and of evaluation during training."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from tunesmith.core.spec import Spec

Auto = Literal["auto"]


def _amount(*units: str, word: str = "auto") -> AfterValidator:
    """Check text such as "3 epochs": a positive number and one of `units` (singular or plural), or the word."""
    names = "|".join(f"{unit}s?" for unit in units)

    def check(text: str) -> str:
        if text == word:
            return text
        match = re.fullmatch(rf"\s*(\d+(?:\.\d+)?)\s*({names})\s*", text)
        if not match or float(match[1]) <= 0:
            digits = re.search(r"[1-9]\d*", text)
            raise ValueError(
                f"is not a positive number of {' or '.join(f'{u}s' for u in units)}",
                f'write for example "{digits[0] if digits else 3} {units[0]}s"',
            )
        unit = match[2].rstrip("s") + "s"
        number = float(match[1])
        if unit != "epochs" and not number.is_integer():
            raise ValueError(f"{unit} come whole")
        return f"{number:g} {unit if number != 1 else unit.removesuffix('s')}"

    return AfterValidator(check)


Length = Annotated[str, _amount("epoch", "step")]
MaybeLength = Annotated[str, _amount("epoch", "step", word="none")]
StepSize = Annotated[str, _amount("row", "token")]


def amount(text: str) -> tuple[float, str]:
    """Split a checked amount: "3 epochs" gives (3.0, "epochs"), "1 epoch" gives (1.0, "epochs")."""
    number, unit = text.split()
    return float(number), unit.removesuffix("s") + "s"


class TrainSpec(Spec):
    """How the weights are updated."""

    length: Length = "auto"
    """How long to train: "3 epochs" or "500 steps"."""
    step_size: StepSize = "auto"
    """What one update learns from: "32 rows" or "4096 tokens" (padding counted), over all processes."""
    tokens_per_batch: PositiveInt | Auto = "auto"
    """Most tokens (padding counted) in one forward pass; a larger step is cut into several, gradients are added up."""
    lr: Annotated[float, Field(gt=0, le=1)] | Auto = "auto"
    """Peak learning rate of the top layer."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] | Auto = "auto"
    """Each layer below the top learns at this factor of the one above it (Howard and Ruder 2018, section 3.2)."""
    head_lr_factor: PositiveFloat | Auto = "auto"
    """The new head learns at `lr` times this; without effect where nothing in the model is new, as for fill-mask."""
    freeze: tuple[str, ...] = ()
    """What never learns: "backbone" (all but the head: feature extraction), "embeddings", "3 layers" (the lowest
    three), or patterns of the weights' names, such as "*.attention.*"."""
    head_first: MaybeLength = "none"
    """For so long ("1 epoch", "100 steps") only the head learns, then all."""
    unfreeze_every: MaybeLength = "none"
    """Gradual unfreezing: the head learns first, then every so often ("0.5 epochs") one more layer, the top one first
    (Howard and Ruder 2018, section 3.3)."""
    schedule: Literal["linear", "cosine", "constant", "one_cycle", "slanted"] = "linear"
    """Shape of the learning rate. linear, cosine and constant follow a warm-up; linear and cosine end at zero.
    one_cycle rises and falls along cosines, from 1/25 of the peak to nearly nothing (Smith and Topin 2019); slanted
    rises over a tenth and falls in a line to 1/32 (Howard and Ruder 2018, section 3.2)."""
    warmup_ratio: Annotated[float, Field(ge=0, lt=1)] = 0.06
    """Share of the steps over which the rate rises from zero; one_cycle and slanted have their own."""
    weight_decay: NonNegativeFloat = 0.01
    """Decoupled weight decay (Loshchilov and Hutter 2019); never on biases and norms."""
    decay_to_start: NonNegativeFloat = 0.0
    """Likewise decay, of all pre-trained weights, towards where they started (L2-SP; Li et al. 2018), in the place
    of `weight_decay`; 0: none."""
    mixout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the pre-trained linear weights that each step sees as they started (Lee et al. 2020); 0: none."""
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """AdamW: decay of the gradient average."""
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """AdamW: decay of the squared-gradient average."""
    clip_norm: NonNegativeFloat = 1.0
    """Largest gradient norm of a step; 0 for no clipping."""
    average: Annotated[float, Field(ge=0, le=1)] | Auto = "auto"
    """Share of the last updates whose weights are averaged into the final ones (Izmailov et al. 2018); 0: none. With
    dev rows the average is taken unless the best measured weights beat it by more than chance."""
    average_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """0: all averaged weights count alike; else an exponential moving average with this decay, such as 0.99."""
    soup: PositiveInt = 1
    """How many of the best measured weights the final ones are the mean of (Wortsman et al. 2022); 1: the best alone.
    The mean is taken unless the best alone beats it by more than chance."""
    precision: Literal["auto", "float32", "bf16"] = "auto"
    """bf16: autocast on GPUs that have it; weights stay float32. "auto" is bf16 there and float32 elsewhere."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute."""
    save_every: Length = "auto"
    """How often a checkpoint to resume from is written."""
    keep_checkpoints: PositiveInt = 1
    """How many checkpoints to resume from stay on disk until the run is done; the best weights are kept besides."""

    @model_validator(mode="after")
    def _one_mean(self) -> TrainSpec:
        """Raise ValueError if one way of averaging leaves another without effect."""
        if self.average_decay and self.average == 0:
            raise ValueError("average_decay has no effect while average is 0", "--set train.average=1")
        if self.soup > 1 and (self.average_decay or self.average not in ("auto", 0)):
            raise ValueError("soup and average are two means, of which one can be the final weights", "leave one out")
        return self


class EvaluateSpec(Spec):
    """When and how the model is measured."""

    every: Length = "auto"
    """How often the dev data is measured during training."""
    patience: NonNegativeInt | Auto = "auto"
    """Stop after this many measurements without a better one; 0: never stop early."""
    metric: str = "auto"
    """What "better" means; "auto" is the task's main metric."""
    resamples: PositiveInt = 1000
    """Bootstrap resamples behind each 95% interval."""
    baselines: bool = True
    """Also measure the majority class and TF-IDF + logistic regression on the same split."""
    calibrate: bool = True
    """Fit a temperature on the dev data, so that probabilities can be believed (Guo et al. 2017)."""
