"""The bootstrap: how differently a number could have come out on other rows (Efron 1979).

A resample is a weight for each row (how often it was drawn). Every metric here is a function of such weights,
so the value itself (all weights 1) and its resamples go through the same code, and all metrics see the same
resamples.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from tunesmith.core.seed import derive

Array = np.ndarray

LEVEL = 0.95
"""Share of resamples inside an interval."""
MOST_DRAWS = 200_000_000
"""Rows drawn in all; above it (200,000 rows at 1,000 resamples) fewer resamples are taken. About 4 s."""
LEAST_RESAMPLES = 200
"""Never fewer than this (unless fewer were asked for)."""
_BLOCK = 400_000
"""Weights made at a time, 3 MB: they stay in the processor's cache."""


def affordable(resamples: int, *, n_rows: int, cost: float = 1.0) -> int:
    """Return how many of the wanted resamples are taken for this many rows, each costing `cost` times the usual."""
    return min(resamples, max(LEAST_RESAMPLES, int(MOST_DRAWS / (n_rows * max(1.0, cost)))))


def unit_weights(n_rows: int) -> Array:
    """Return the weights of the rows as they are, shape (rows, 1)."""
    return np.ones((n_rows, 1))


def resampled_weights(n_rows: int, *, resamples: int, seed: int) -> Iterator[Array]:
    """Yield blocks of row weights, shape (rows, some resamples); each column adds up to `n_rows`.

    Args:
        n_rows: rows in the data, at least 1.
        resamples: columns in all.
        seed: the same seed and number of rows give the same weights, so two models can be compared on them.
    """
    rng = np.random.default_rng(derive(seed, "bootstrap"))
    width = max(1, _BLOCK // n_rows)
    for start in range(0, resamples, width):
        columns = min(width, resamples - start)
        rows = rng.integers(0, n_rows, size=(n_rows, columns))
        cells = rows * columns + np.arange(columns)
        counts = np.bincount(cells.ravel(), minlength=n_rows * columns)
        yield counts.reshape(n_rows, columns).astype(np.float64)


def interval(value: float, draws: Array, *, centred: bool = False) -> tuple[float, float] | None:
    """Return the percentile interval of a value (Efron and Tibshirani 1993, chapter 13).

    It always holds the value.

    Args:
        value: the metric on the rows as they are.
        draws: the metric on each resample; NaN where it is undefined (these are left out).
        centred: shift the draws so that their mean is the value. For a metric that is biased upwards on
            resamples (ECE: repeated rows look like miscalibration), whose plain interval would lie beside the
            value.

    Returns:
        Low and high end; None if the value or all draws are undefined.
    """
    finite = draws[np.isfinite(draws)]
    if not math.isfinite(value) or not len(finite):
        return None
    if centred:
        finite = np.maximum(0, finite - (finite.mean() - value))
    tail = 50 * (1 - LEVEL)
    low, high = np.percentile(finite, [tail, 100 - tail])
    return min(float(low), value), max(float(high), value)


def two_sided_p(differences: Array) -> float:
    """Return a p-value from resampled differences: twice the share on the rarer side of zero.

    From 2 / (resamples + 1) to 1; below 0.05 exactly where the 95% percentile interval leaves zero out (to
    within one resample).
    """
    finite = differences[np.isfinite(differences)]
    rarest = min(int((finite <= 0).sum()), int((finite >= 0).sum()))
    return min(1.0, 2 * (rarest + 1) / (len(finite) + 1))
