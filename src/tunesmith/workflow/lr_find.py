"""The learning-rate range test: raise the rate from step to step and look where the loss falls fastest.

(Smith 2017, "Cyclical Learning Rates for Training Neural Networks", section 3.3.) The weights it trains are thrown
away.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tunesmith.engine.loop import DivergedError, train_steps
from tunesmith.workflow.build import make_setup
from tunesmith.workflow.order import make_plan
from tunesmith.workflow.resolve import Resolved

LOWEST, HIGHEST = 1e-7, 1e-1
WIDTH = 0.25
"""Of the mean of the losses around a rate, in powers of ten: the deviation of a normal curve."""
HIGH = 1.5
"""Losses this many times those at the start say that training breaks there; how much higher they are says no more."""
CLEAR = 3.0
"""A fall of so many standard errors is no chance, with the lowest of a hundred means taken."""
REACH = 0.7
"""So many powers of ten of the rate, on either side, a slope is seen over: the losses of single steps say little."""
TOO_FAR = 3.0
"""The test ends where the mean of the losses so far is this many times its lowest."""


@dataclass(frozen=True)
class Found:
    """What a range test saw.

    Attributes:
        points: (rate, loss, smoothed loss) of each step.
        steepest: the rate around which the loss fell fastest, to one digit; None where it never fell.
        lowest: the rate at which the smoothed loss was lowest: beyond it training breaks.
        fall: from the loss of the first steps to the lowest smoothed one.
        noise: the standard deviation of single steps' losses, at rates too low to learn.
        is_clear: whether the fall is more than noise makes.
    """

    points: Sequence[tuple[float, float, float]]
    steepest: float | None
    lowest: float
    fall: float
    noise: float
    is_clear: bool


def find_rate(resolved: Resolved, *, steps: int = 100, on_step: Callable[[int], None] = lambda _: None) -> Found:
    """Train `steps` updates with a rate that rises from 1e-7 to 0.1; no file is written.

    Args:
        resolved: what is trained.
        steps: fewer where the loss rises out of sight before.
        on_step: told how many are done.
    """

    def rate(progress: float) -> float:
        return float(LOWEST * (HIGHEST / LOWEST) ** progress)

    peak = float(resolved.recipe.train.lr)
    setup = replace(make_setup(resolved), schedule=lambda progress: rate(progress) / peak)
    plan = replace(make_plan(resolved.recipe, setup.examples), length=f"{steps} steps")
    points: list[tuple[float, float]] = []
    mean, least, keep = 0.0, math.inf, math.exp(-math.log10(HIGHEST / LOWEST) / steps / WIDTH)
    try:
        for report in train_steps(setup, plan):
            mean = keep * mean + (1 - keep) * report.loss
            smooth = mean / (1 - keep**report.step)  # without the weight of the zero it starts from
            points.append((report.lr, report.loss))
            least = min(least, smooth)
            on_step(report.step)
            if smooth > TOO_FAR * least:
                break
    except DivergedError:
        if not points:
            raise
    return read(points)


def read(points: Sequence[tuple[float, float]]) -> Found:
    """Return where the loss fell fastest, where it was lowest, and whether that is more than chance.

    Args:
        points: (rate, loss) of each step, by rising rate.
    """
    import numpy as np

    rates, losses = (np.array(part) for part in zip(*points, strict=True))
    powers = np.log10(rates)
    step = float(powers[1] - powers[0]) if len(powers) > 1 else REACH
    reach = max(1, round(REACH / step))
    before = losses[: 2 * reach + 1]
    weights = np.exp(-(((powers[:, None] - powers) / WIDTH) ** 2) / 2)  # to either side: a fall stays where it is
    weights /= weights.sum(axis=1, keepdims=True)
    capped = np.minimum(losses, HIGH * np.median(before))
    smooth = weights @ capped
    bottom = int(smooth.argmin())
    at = _steepest(capped.tolist(), reach, bottom)
    fall = float(before.mean() - smooth[bottom])
    noise = float(np.diff(before).std() / math.sqrt(2)) if len(before) > 1 else 0.0
    error = noise * math.sqrt(1 / len(before) + float((weights[bottom] ** 2).sum()))
    return Found(
        points=list(zip(rates.tolist(), losses.tolist(), smooth.tolist(), strict=True)),
        steepest=None if at is None else float(f"{rates[at]:.0e}"),
        lowest=float(rates[bottom]),
        fall=fall,
        noise=noise,
        is_clear=fall > CLEAR * error,
    )


def _steepest(losses: Sequence[float], reach: int, end: int) -> int | None:
    """Return the step before `end` around which a straight line through `reach` losses on either side falls fastest."""
    import numpy as np

    found: tuple[float, int | None] = (0.0, None)
    for i in range(reach, min(end, len(losses) - reach)):
        part = losses[i - reach : i + reach + 1]
        found = min(found, (float(np.polyfit(range(len(part)), part, 1)[0]), i), key=lambda one: one[0])
    return found[1]
