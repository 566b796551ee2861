"""The learning-rate range test: raise the rate from step to step and look where the loss falls fastest.

(Smith 2017, "Cyclical Learning Rates for Training Neural Networks", section 3.3.) The weights it trains are thrown
away.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tunesmith.core.errors import RunError
from tunesmith.engine.loop import train_steps
from tunesmith.workflow.build import make_setup
from tunesmith.workflow.order import make_plan
from tunesmith.workflow.resolve import Resolved

LOWEST, HIGHEST = 1e-7, 1e-1
SMOOTHING = 0.9
"""Of the running mean of the loss."""
TOO_FAR = 3.0
"""The test ends where the smoothed loss is this many times its lowest."""


@dataclass(frozen=True)
class Found:
    """What a range test saw.

    Attributes:
        points: (rate, loss, smoothed loss) of each step.
        steepest: the rate at which the smoothed loss fell fastest, to one digit; None where it never fell.
        lowest: the rate at which it was lowest: beyond it training breaks.
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
    except RunError:
        if not points:
            raise
    return read(points)


def read(points: Sequence[tuple[float, float, float]]) -> Found:
    """Return where the loss fell fastest, looked for up to where it was lowest."""
    smooth = [one[2] for one in points]
    bottom = min(range(len(points)), key=lambda i: smooth[i])
    slopes = [(smooth[i + 1] - smooth[i - 1], i) for i in range(1, bottom)]
    slope, at = min(slopes, default=(0.0, 0))
    steepest = float(f"{points[at][0]:.0e}") if slope < 0 else None
    return Found(points, steepest, points[bottom][0])
