"""What the metrics of all tasks share: they are functions of row weights.

So values, intervals and comparisons are one piece of code.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from tunesmith.metrics.bootstrap import affordable, interval, resampled_weights, unit_weights

Array = np.ndarray


class Scorer(ABC):
    """Fixed predictions beside their right answers, ready to be measured under any weights of the rows.

    Attributes:
        names: the metrics, in the order in which they are shown.
        undefined: why a metric may have no value, by its name.
        cost: of a row in one resample, relative to a row of a plain classification.
    """

    names: tuple[str, ...]
    undefined: ClassVar[Mapping[str, str]] = {}
    cost: float = 1.0

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of rows."""

    @abstractmethod
    def at(self, weights: Array) -> dict[str, Array]:
        """Return all values under row weights of shape (rows, draws).

        The metrics in `names` have shape (draws,); more detailed values (of each class) may have axes before it.
        """

    def only(self, name: str, weights: Array) -> Array:
        """Return one metric, shape (draws,)."""
        return self.at(weights)[name]

    def details(self, point: Mapping[str, Array], spread: Mapping[str, Array]) -> dict[str, Any]:
        """Return what is told besides the values; `point` and `spread` are `at` on the rows and on the resamples."""
        del point, spread
        return {}

    @property
    def right(self) -> Array | None:
        """Whether each row's answer is right, bool of shape (rows,); None where answers are more or less right."""
        return None

    @property
    def said(self) -> Any:
        """What was answered, comparable by `==` as a whole."""
        return None

    def described(self, name: str, value: float, draws: Array) -> dict[str, Any]:
        """Return value, low and high; all None, with the reason, where the metric is undefined."""
        if not math.isfinite(value):
            return {"value": None, "low": None, "high": None, "reason": self.undefined.get(name, "undefined here")}
        low, high = interval(value, draws, centred=name == "ece") or (value, value)
        return {"value": value, "low": low, "high": high}


def measure(scorer: Scorer, *, resamples: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Measure predictions, each metric with its 95% bootstrap interval, as plain values ready for JSON.

    Args:
        scorer: of one row or more.
        resamples: behind each interval; fewer are taken of very many rows (see `bootstrap.affordable`).
        seed: of the resampling.

    Returns:
        `n_rows`, `resamples`, `values` (name to value, low, high; None with a `reason` where undefined), and what
        the scorer tells besides.
    """
    n_resamples = affordable(resamples, n_rows=len(scorer), cost=scorer.cost)
    point = scorer.at(unit_weights(len(scorer)))
    blocks = [scorer.at(w) for w in resampled_weights(len(scorer), resamples=n_resamples, seed=seed)]
    spread = {name: np.concatenate([block[name] for block in blocks], axis=-1) for name in point}
    return {
        "n_rows": len(scorer),
        "resamples": n_resamples,
        "values": {name: scorer.described(name, float(point[name][0]), spread[name]) for name in scorer.names},
        **scorer.details(point, spread),
    }
