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
SMOOTHING = 0.9
"""Of the running mean of the loss."""
REACH = 0.7
"""So many powers of ten of the rate, on either side, a slope is seen over: the losses of single steps say little."""
TOO_FAR = 3.0
"""The test ends where the smoothed loss is this many times its lowest."""


@dataclass(frozen=True)
class Found:
    """What a range test saw.

    Attributes:
        points: (rate, loss, smoothed loss) of each step.
        steepest: the rate around which the loss fell fastest, to one digit; None where it never fell.
        lowest: the rate at which the smoothed loss was lowest: beyond it training breaks.
    """

    points: Sequence[tuple[float, float, float]]
    steepest: float | None
    lowest: float


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
    points: list[tuple[float, float, float]] = []
    mean, least = 0.0, math.inf
    try:
        for report in train_steps(setup, plan):
            mean = SMOOTHING * mean + (1 - SMOOTHING) * report.loss
            smooth = mean / (1 - SMOOTHING**report.step)  # without the weight of the zero it starts from
            points.append((report.lr, report.loss, smooth))
            least = min(least, smooth)
            on_step(report.step)
            if smooth > TOO_FAR * least:
                break
    except DivergedError:
        if not points:
            raise
    return read(points)


def read(points: Sequence[tuple[float, float, float]]) -> Found:
    """Return where the loss fell fastest, as straight lines through parts of it see it, up to where it was lowest.

    The lines go through the losses themselves: the smoothed ones come after them, by a factor of about two in the rate.
    """
    import numpy as np

    losses, smooth = [one[1] for one in points], [one[2] for one in points]
    bottom = int(np.argmin(smooth))
    step = math.log10(points[1][0] / points[0][0]) if len(points) > 1 else REACH
    reach = max(1, round(REACH / step))
    found = (0.0, -1)
    for i in range(reach, min(bottom, len(points) - reach)):
        part = losses[i - reach : i + reach + 1]
        found = min(found, (float(np.polyfit(range(len(part)), part, 1)[0]), i))
    slope, at = found
    steepest = float(f"{points[at][0]:.0e}") if slope < 0 else None
    return Found(points, steepest, points[bottom][0])
