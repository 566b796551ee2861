"""From which probability on a label is given: tuned on dev rows for the best F1.

With several labels a row, 0.5 is seldom the best: rare labels are better given from a lower probability on
(Lipton et al. 2014).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tunesmith.metrics.multilabel import check_indicators, check_probabilities
from tunesmith.metrics.scorer import check_rows
from tunesmith.metrics.scores import ratio

Array = np.ndarray

FEWEST = 5
"""A label that fewer rows have gets no threshold of its own: it would fit these few rows only."""


@dataclass(frozen=True)
class Thresholds:
    """What to give labels by.

    Attributes:
        values: a label is given to rows of at least this probability, one a label.
        reasons: why this value, one a label.
        shared: the one threshold that is best for all labels together.
    """

    values: list[float]
    reasons: list[str]
    shared: float


def best_thresholds(probabilities: Array, gold: Array) -> Thresholds:
    """Find the threshold of each label with the highest F1; halfway between the probabilities it lies between.

    A label of fewer than 5 rows takes the threshold with the highest micro F1 of all labels. Of equally good
    thresholds the nearest to 0.5 is taken. Without any label in the rows all are 0.5.

    Args:
        probabilities: shape (rows, labels).
        gold: whether each row has each label, bool or 0 and 1, likewise.

    Raises:
        DataError: no rows, shapes that do not fit, or values that are no probabilities or no indicators.
    """
    check_rows(len(probabilities), len(gold))
    shape = len(gold), np.shape(gold)[-1]
    probabilities, gold = check_probabilities(probabilities, shape), check_indicators(gold, shape)
    shared, _ = _best(probabilities.ravel(), gold.ravel())
    found = [_of_label(p, g, shared=shared) for p, g in zip(probabilities.T, gold.T, strict=True)]
    return Thresholds([value for value, _ in found], [reason for _, reason in found], shared)


def _of_label(probabilities: Array, gold: Array, *, shared: float) -> tuple[float, str]:
    n = int(gold.sum())
    if n < FEWEST:
        few = (
            f"only {n} of these rows have" if n > 1 else "only one of these rows has" if n else "none of these rows has"
        )
        return shared, f"{few} this label, so the threshold is the best one for all labels together"
    value, f1 = _best(probabilities, gold)
    before = _f1(probabilities >= 0.5, gold)
    return value, f"F1 {100 * f1:.1f}% on {n:,} rows with this label; at 0.5 it is {100 * before:.1f}%"


def _best(probabilities: Array, gold: Array) -> tuple[float, float]:
    """Return the threshold with the highest F1, and that F1; 0.5 where yes is never right."""
    if not gold.any():
        return 0.5, 0.0
    order = np.argsort(-probabilities, kind="stable")
    values, yes = probabilities[order], gold[order]
    f1 = 2 * np.cumsum(yes) / (np.arange(1, len(yes) + 1) + yes.sum())
    below = np.append(values[1:], 0.0)
    middle = (values + below) / 2
    distinct = np.append(values[1:] < values[:-1], True)
    cuts, f1 = np.where(middle > below, middle, values)[distinct], f1[distinct]
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    chosen = best[np.abs(cuts[best] - 0.5).argmin()]
    return float(cuts[chosen]), float(f1[chosen])


def _f1(predicted: Array, gold: Array) -> float:
    return float(ratio(2 * (predicted & gold).sum(), predicted.sum() + gold.sum(), empty=0.0))
