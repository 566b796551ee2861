"""The metrics of a classification, each with a 95% bootstrap interval, as plain values ready for JSON.

Point values are scikit-learn's on the same predictions. 1,000 resamples of 25,000 rows take 0.6 s
with 4 classes and 3 s with 77, on one core.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tunesmith.metrics.bootstrap import affordable, interval, resampled_weights, unit_weights
from tunesmith.metrics.predictions import Predictions
from tunesmith.metrics.scores import ECE_BINS, VALUES, Counts, Scores, confidence_bins

Array = np.ndarray

PER_CLASS = ("precision", "recall", "f1")
_UNDEFINED = {
    "auroc": "only one class occurs in these rows",
    "precision": "this class is never predicted",
    "recall": "no row has this label",
    "f1": "no row has this label and it is never predicted",
}


def measure(
    probabilities: Array, gold: Array, labels: Sequence[Any], *, resamples: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """Measure predictions.

    Args:
        probabilities: shape (rows, classes); the prediction is the most probable class.
        gold: class indices, shape (rows,).
        labels: the label value of each class, kept as it is.
        resamples: resamples behind each interval; fewer are taken above 200,000 rows or many classes (see
            `bootstrap`).
        seed: of the resampling.

    Returns:
        `n_rows`, `resamples`, `values` (name to value, low, high), `per_class`, `confusion` (gold by
        predicted), `labels`, `reliability` (15 bins of confidence). Macro F1 averages the classes that occur
        in gold or predictions, as scikit-learn does. AUROC with two classes takes the second as positive;
        with more, it is the mean of one-against-the-rest over the classes that occur, with a `note` if some
        do not. What is undefined is None, with a `reason`.

    Raises:
        DataError: no rows, shapes that do not fit, values that are no probabilities, or classes out of range.
    """
    predictions = Predictions.of(probabilities, gold, n_classes=len(labels))
    scores = Scores(predictions)
    n_resamples = affordable(resamples, n_rows=len(predictions), n_classes=len(labels))
    point, spread = _point_and_draws(scores, n_rows=len(predictions), resamples=n_resamples, seed=seed)
    return {
        "n_rows": len(predictions),
        "resamples": n_resamples,
        "values": _values(predictions, point, spread),
        "per_class": _per_class(predictions, labels, point, spread),
        "confusion": confusion(predictions),
        "labels": list(labels),
        "reliability": reliability(predictions),
    }


def confusion(predictions: Predictions) -> list[list[int]]:
    """Count rows by gold class (first index) and predicted class (second index)."""
    k = predictions.n_classes
    counts = np.bincount(predictions.gold * k + predictions.predicted, minlength=k * k)
    return [[int(n) for n in row] for row in counts.reshape(k, k)]


def reliability(predictions: Predictions) -> list[dict[str, Any]]:
    """Compare stated confidence with accuracy in 15 bins; both are None in an empty bin."""
    bins = confidence_bins(predictions.confidence)
    n = np.bincount(bins, minlength=ECE_BINS)
    stated = np.bincount(bins, weights=predictions.confidence, minlength=ECE_BINS)
    right = np.bincount(bins, weights=predictions.right, minlength=ECE_BINS)
    return [
        {
            "low": b / ECE_BINS,
            "high": (b + 1) / ECE_BINS,
            "n": int(n[b]),
            "confidence": float(stated[b] / n[b]) if n[b] else None,
            "accuracy": float(right[b] / n[b]) if n[b] else None,
        }
        for b in range(ECE_BINS)
    ]


def _point_and_draws(
    scores: Scores, *, n_rows: int, resamples: int, seed: int
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return all metrics on the rows as they are, and on each resample (last axis)."""
    point = _all_at(scores, unit_weights(n_rows))
    blocks = [_all_at(scores, w) for w in resampled_weights(n_rows, resamples=resamples, seed=seed)]
    return point, {name: np.concatenate([block[name] for block in blocks], axis=-1) for name in point}


def _all_at(scores: Scores, weights: Array) -> dict[str, Array]:
    counts: Counts = scores.counts(weights)
    per_class = {name: getattr(counts, name) for name in PER_CLASS}
    return {**scores.values(weights, counts), **per_class}


def _values(
    predictions: Predictions, point: Mapping[str, Array], spread: Mapping[str, Array]
) -> dict[str, dict[str, Any]]:
    values = {name: _described(name, float(point[name][0]), spread[name]) for name in VALUES}
    n_present = len(np.unique(predictions.gold))
    if 1 < n_present < predictions.n_classes:
        values["auroc"]["note"] = (
            f"mean over the {n_present} of {predictions.n_classes} classes that occur in these rows"
        )
    return values


def _per_class(
    predictions: Predictions, labels: Sequence[Any], point: Mapping[str, Array], spread: Mapping[str, Array]
) -> list[dict[str, Any]]:
    support = np.bincount(predictions.gold, minlength=predictions.n_classes)
    return [
        {
            "label": label,
            **{name: _described(name, float(point[name][c, 0]), spread[name][c]) for name in PER_CLASS},
            "support": int(support[c]),
        }
        for c, label in enumerate(labels)
    ]


def _described(name: str, value: float, draws: Array) -> dict[str, Any]:
    """Return value, low and high; all None, with the reason, where the metric is undefined."""
    if not math.isfinite(value):
        return {"value": None, "low": None, "high": None, "reason": _UNDEFINED[name]}
    low, high = interval(value, draws, centred=name == "ece") or (value, value)
    return {"value": value, "low": low, "high": high}
