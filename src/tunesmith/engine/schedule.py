"""The learning rate as a function of progress, so that a resumed run needs no scheduler state."""

from __future__ import annotations

import math
from collections.abc import Callable

from tunesmith.engine.spec import TrainSpec


def lr_factor(spec: TrainSpec, progress: float) -> float:
    """Return what the peak rate is multiplied by at `progress` (0 = before the first step, 1 = after the last)."""
    if spec.schedule in _WHOLE:
        return _WHOLE[spec.schedule](progress)
    if progress < spec.warmup_ratio:
        return progress / spec.warmup_ratio
    left = (1 - progress) / (1 - spec.warmup_ratio)
    if spec.schedule == "linear":
        return left
    if spec.schedule == "cosine":
        return 0.5 * (1 - math.cos(math.pi * left))
    return 1.0


def _one_cycle(progress: float) -> float:
    """Rise over three tenths, then fall, along half cosines (Smith and Topin 2019; as in torch's OneCycleLR)."""
    low, last, peak = 1 / 25, 1 / 25e4, 0.3
    start, end, way = (low, 1.0, progress / peak) if progress < peak else (1.0, last, (progress - peak) / (1 - peak))
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * way))


def _slanted(progress: float) -> float:
    """Rise over a tenth, then fall, in lines between 1/32 and 1 (Howard and Ruder 2018, equation 3)."""
    cut, ratio = 0.1, 32
    p = progress / cut if progress < cut else 1 - (progress - cut) / (1 - cut)
    return (1 + p * (ratio - 1)) / ratio


_WHOLE: dict[str, Callable[[float], float]] = {"one_cycle": _one_cycle, "slanted": _slanted}
"""Schedules that bring their own warm-up."""
