"""The parts of classification metrics as functions of row weights: exact on the rows, fast on a thousand resamples.

Everything is a product of a sparse matrix (classes, bins or ranks x rows) with the weights (rows x
resamples), so 1,000 resamples of 25,000 rows cost less than a second a metric, AUROC included (its ranks are
sorted only once).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tunesmith.metrics.predictions import Predictions

Array = np.ndarray
Sparse = Any

ECE_BINS = 15
"""Equal-width bins of the top confidence (Guo et al. 2017, section 2)."""


@dataclass(frozen=True)
class Counts:
    """Weighted counts of each class, each of shape (classes, resamples).

    Attributes:
        hits: rows of the class that were predicted as such.
        support: rows of the class.
        predicted: rows predicted as the class.
    """

    hits: Array
    support: Array
    predicted: Array

    @property
    def precision(self) -> Array:
        """Share of the predictions that are right; NaN for a class that is never predicted."""
        return ratio(self.hits, self.predicted)

    @property
    def recall(self) -> Array:
        """Share of the rows that are found; NaN for a class without rows."""
        return ratio(self.hits, self.support)

    @property
    def f1(self) -> Array:
        """Harmonic mean of precision and recall; NaN for a class that neither has rows nor is predicted."""
        return ratio(2 * self.hits, self.support + self.predicted)


def accuracy(counts: Counts) -> Array:
    """Share of right rows; with one label a row this is also micro F1."""
    return np.asarray(counts.hits.sum(axis=0) / counts.support.sum(axis=0))


def weighted_f1(counts: Counts) -> Array:
    """Mean F1 of the classes, weighted by their rows."""
    return np.asarray(np.nansum(counts.f1 * counts.support, axis=0) / counts.support.sum(axis=0))


def mcc(counts: Counts) -> Array:
    """Matthews correlation of several classes (Gorodkin 2004); 0 where gold or predictions are constant."""
    n = counts.support.sum(axis=0)
    covariance = counts.hits.sum(axis=0) * n - (counts.support * counts.predicted).sum(axis=0)
    spread = (n**2 - (counts.predicted**2).sum(axis=0)) * (n**2 - (counts.support**2).sum(axis=0))
    return np.asarray(np.nan_to_num(ratio(covariance, np.sqrt(spread)), nan=0.0))


def log_losses(predictions: Predictions) -> Array:
    """Return each row's -log probability of its gold class, shape (rows,); clipped as scikit-learn does."""
    eps = np.finfo(np.float64).eps
    gold = predictions.probabilities[np.arange(len(predictions)), predictions.gold]
    return np.asarray(-np.log(np.clip(gold, eps, 1 - eps)))


def confidence_bins(confidence: Array) -> Array:
    """Return each row's bin 0..14; bins hold their upper edge, as in Guo et al. 2017."""
    edges = np.linspace(0, 1, ECE_BINS + 1)
    return np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, ECE_BINS - 1)


class Ranks:
    """The rows ordered by their score for one class, for the area under its ROC curve against the rest.

    Only rows scored at least as high as the lowest-scored row of the class matter: the area is 1 minus the
    share of (row of the class, other row) pairs in the wrong order. Neighbours that no pair tells apart are
    counted together.
    """

    def __init__(self, scores: Array, of_class: Array) -> None:
        order = np.argsort(-scores, kind="stable")
        kept = order[: np.count_nonzero(scores >= scores[of_class].min(initial=np.inf))]
        runs = _runs(scores[kept], of_class[kept])
        n_runs = int(runs.max(initial=-1)) + 1
        mine = of_class[kept]
        self._mine = _placed(runs[mine], kept[mine], (n_runs, len(scores)))
        self._others = _placed(runs[~mine], kept[~mine], (n_runs, len(scores)))

    def auroc(self, weights: Array) -> Array:
        """Return the area under each column of weights, ties counted half; NaN without rows on both sides."""
        mine, others = self._mine @ weights, self._others @ weights
        above = np.cumsum(others, axis=0) - others
        wrong = (mine * (above + others / 2)).sum(axis=0)
        n_mine = mine.sum(axis=0)
        return 1 - ratio(wrong, n_mine * (weights.sum(axis=0) - n_mine))


def ratio(part: Array, whole: Array) -> Array:
    """Divide; NaN where `whole` is not positive."""
    return np.asarray(np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0))


def mean_defined(values: Array) -> Array:
    """Average over the first axis without the NaNs; NaN where nothing is left."""
    defined = np.isfinite(values)
    return ratio(np.where(defined, values, 0.0).sum(axis=0), defined.sum(axis=0))


def all_ranks(predictions: Predictions) -> list[Ranks]:
    """Two classes need the second's ranks only: the first's area is the same."""
    classes = [1] if predictions.n_classes == 2 else range(predictions.n_classes)
    return [Ranks(predictions.probabilities[:, c], predictions.gold == c) for c in classes]


def _runs(scores: Array, of_class: Array) -> Array:
    """Number stretches of rows, ordered by score, that hold ties only, or rows of one side only."""
    if not len(scores):
        return np.zeros(0, dtype=np.int64)
    tie = np.cumsum(np.diff(scores, prepend=scores[0]) != 0)
    share = np.bincount(tie, weights=of_class) / np.bincount(tie)
    new = np.diff(share, prepend=-1.0) != 0
    new |= (share > 0) & (share < 1)
    return np.asarray((np.cumsum(new) - 1)[tie])


def groups(of_rows: Array, n_groups: int, *, values: Array | None = None) -> Sparse:
    """Return the matrix (groups, rows) that adds up the rows' values, 1 each by default, by group."""
    return _placed(of_rows, np.arange(len(of_rows)), (n_groups, len(of_rows)), values=values)


def _placed(rows: Array, columns: Array, shape: tuple[int, int], *, values: Array | None = None) -> Sparse:
    from scipy.sparse import csr_matrix

    return csr_matrix((np.ones(len(rows)) if values is None else values, (rows, columns)), shape=shape)
