"""What a fine-tuned model must beat: class frequencies, and logistic regression on TF-IDF.

Each is trained on the same rows as the model and gives probabilities of shape (rows, classes). They are meant
to be strong, so that beating them means something. TF-IDF on one core: 4,000 news items and 7,600 to classify
6 s, 9,000 short texts of 77 classes 12 s, 25,000 film reviews (33 million characters) and as many again 22 s.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from tunesmith.core.errors import DataError
from tunesmith.core.seed import derive
from tunesmith.core.wording import count
from tunesmith.metrics.tfidf import tfidf

Array = np.ndarray

TFIDF_SEARCH_ROWS = 1000
"""Up to this many rows C comes from cross-validation, above it is 10 (near the best of every set
measured)."""
TFIDF_GRID = (1.0, 10.0, 100.0)
N_FOLDS = 5


def majority(train_labels: Array, n_rows: int, *, n_classes: int) -> Array:
    """Answer every row with the class frequencies of the training rows, so with their most frequent class.

    Args:
        train_labels: class indices, at least one.
        n_rows: how many rows to answer.
        n_classes: how many classes there are; those without training rows get probability 0.
    """
    counts = np.bincount(_checked(train_labels, n_classes), minlength=n_classes)
    return np.tile(counts / counts.sum(), (n_rows, 1))


def tfidf_logistic(
    train_texts: Sequence[str],
    train_labels: Array,
    test_texts: Sequence[str],
    *,
    n_classes: int,
    seed: int = 0,
) -> Array:
    """Classify by words, word pairs and (for short data) parts of words, with logistic regression.

    Term frequencies are logarithmic, C is cross-validated up to 1,000 rows. Where the training texts hold no
    word at all, or one class only, nothing can be learnt from words: the class frequencies are the answer.
    Classes without training rows get probability 0.

    Args:
        train_texts: at least one.
        train_labels: class indices, shape (train rows,).
        test_texts: any number.
        n_classes: how many classes there are.
        seed: of the folds, and of the sample above 100 million characters.

    Returns:
        Probabilities, shape (test rows, classes).

    Raises:
        DataError: no training rows, numbers of texts and labels that differ, or classes out of range.
    """
    labels = _checked(train_labels, n_classes, n_items=len(train_texts))
    words = tfidf(train_texts, test_texts, n_outputs=n_classes, seed=seed)
    labels = labels[words.rows]
    if words.is_empty or len(np.unique(labels)) == 1:
        return majority(labels, len(test_texts), n_classes=n_classes)
    grid = TFIDF_GRID if len(labels) <= TFIDF_SEARCH_ROWS else (10.0,)
    model = fit_logistic(words.train, labels, c=best_c(words.train, labels, grid=grid, seed=seed))
    return _spread_out(model, words.test, n_classes=n_classes)


def _checked(labels: Array, n_classes: int, *, n_items: int | None = None) -> Array:
    labels = np.asarray(labels, dtype=np.int64)
    if not len(labels):
        raise DataError("a baseline needs at least one training row", fix="give labeled training rows")
    if n_items is not None and n_items != len(labels):
        raise DataError(
            f"{count(n_items, 'training row')} but {count(len(labels), 'label')}", fix="give one label for each row"
        )
    if labels.min() < 0 or labels.max() >= n_classes:
        raise DataError("some training labels are none of the classes", fix="leave these rows out")
    return labels


def fit_logistic(features: Any, labels: Array, *, c: float, bias: bool = True) -> Any:
    """Return scikit-learn's logistic regression of two classes or more; `c` is the inverse of its L2 penalty."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        # After a thousand steps the last digits still move: good enough to compare with.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=c, max_iter=1000, fit_intercept=bias).fit(features, labels)


def _spread_out(model: Any, features: Any, *, n_classes: int) -> Array:
    """Return probabilities over all classes, 0 for those the model never saw."""
    probabilities = np.zeros((features.shape[0], n_classes))
    if features.shape[0]:
        probabilities[:, model.classes_] = model.predict_proba(features)
    return probabilities


def best_c(features: Any, labels: Array, *, grid: Sequence[float], seed: int, bias: bool = True) -> float:
    """Return the C with the lowest cross-validated log loss; the grid's middle where no fold can be made."""
    folds = _folds(labels, seed=seed)
    usable = [fold for fold in range(N_FOLDS) if len(np.unique(labels[folds != fold])) > 1 and (folds == fold).any()]
    if len(grid) == 1 or not usable:
        return grid[len(grid) // 2]
    return min(grid, key=lambda c: _cross_validated_loss(features, labels, c=c, bias=bias, folds=folds, usable=usable))


def _cross_validated_loss(
    features: Any, labels: Array, *, c: float, bias: bool, folds: Array, usable: Sequence[int]
) -> float:
    """Return the log loss, summed over the rows of the usable folds."""
    total = 0.0
    for fold in usable:
        inside = folds != fold
        model = fit_logistic(features[inside], labels[inside], c=c, bias=bias)
        guess = _spread_out(model, features[~inside], n_classes=int(labels.max()) + 1)
        gold = guess[np.arange(len(guess)), labels[~inside]]
        total -= float(np.log(np.maximum(gold, 1e-15)).sum())
    return total


def _folds(labels: Array, *, seed: int) -> Array:
    """Deal the rows of each class to the folds in turn; classes may be smaller than the folds."""
    order = np.random.default_rng(derive(seed, "folds")).permutation(len(labels))
    by_class = order[np.argsort(labels[order], kind="stable")]
    folds = np.empty(len(labels), dtype=np.int64)
    folds[by_class] = np.arange(len(labels)) % N_FOLDS
    return folds
