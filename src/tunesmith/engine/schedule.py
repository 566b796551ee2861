"""The learning rate as a function of progress, so that a resumed run needs no scheduler state."""

from __future__ import annotations

import math

from tunesmith.engine.spec import TrainSpec


def lr_factor(spec: TrainSpec, progress: float) -> float:
    """Return what the peak rate is multiplied by at `progress` (0 = before the first step, 1 = after the last)."""
    if progress < spec.warmup_ratio:
        return progress / spec.warmup_ratio
    left = (1 - progress) / (1 - spec.warmup_ratio)
    if spec.schedule == "linear":
        return left
    if spec.schedule == "cosine":
        return 0.5 * (1 - math.cos(math.pi * left))
    return 1.0
