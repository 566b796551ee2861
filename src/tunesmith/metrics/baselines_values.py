"""Simple methods for numbers and for several labels a row: the mean, label frequencies, TF-IDF with linear models.

Each learns from the same rows as the model it is compared with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tunesmith.core.errors import DataError
from tunesmith.core.seed import derive
from tunesmith.metrics.baselines import fit_logistic
from tunesmith.metrics.tfidf import tfidf
from tunesmith.metrics.thresholds import best_thresholds

Array = np.ndarray

ALPHAS = (0.1, 0.3, 1.0, 3.0, 10.0)
"""Strengths of the ridge penalty; the best was among them for film ratings and for similarity of sentences."""
SEARCH_ROWS = 10_000
"""At most this many rows choose among them."""
N_FOLDS = 5
THRESHOLD_ROWS = 2000
"""So many rows say well enough how hard labels are to tell."""
LABEL_C = 3.0
"""Inverse penalty of a label's logistic regression: near the best of GoEmotions from 1,000 to 43,000 rows."""


def mean_values(train_values: Array, n_rows: int) -> Array:
    """Answer every row with the mean of the training rows.

    Args:
        train_values: numbers of at least one row, shape (train rows, targets).
        n_rows: how many rows to answer.

    Returns:
        Shape (rows, targets).
    """
    tiled: Array = np.tile(_checked(train_values).mean(axis=0), (n_rows, 1))
    return tiled


def tfidf_ridge(train_texts: Sequence[str], train_values: Array, test_texts: Sequence[str], *, seed: int = 0) -> Array:
    """Predict numbers from words by ridge regression, its strength cross-validated.

    No answer leaves the range of the training rows. Where the training texts hold no word the mean is the answer.

    Args:
        train_texts: at least one.
        train_values: shape (train rows, targets).
        test_texts: any number.
        seed: of the folds.

    Returns:
        Shape (test rows, targets).

    Raises:
        DataError: no training rows, or numbers of texts and values that differ.
    """
    values = _checked(train_values, n_texts=len(train_texts))
    words = tfidf(train_texts, test_texts, n_outputs=values.shape[1], seed=seed)
    values = values[words.rows]
    if words.is_empty or not len(test_texts):
        return mean_values(values, len(test_texts))
    alpha = _best_alpha(words.train, values, seed=seed)
    guess = _ridge(words.train, values, words.test, alpha=alpha)
    return np.asarray(np.clip(guess, values.min(axis=0), values.max(axis=0)))


def label_shares(train_gold: Array, n_rows: int) -> Array:
    """Give every row each label with the label's share of the training rows.

    Args:
        train_gold: whether each row has each label, at least one row, shape (train rows, labels).
        n_rows: how many rows to answer.

    Returns:
        Probabilities, shape (rows, labels).
    """
    return mean_values(train_gold, n_rows)


def tfidf_labels(train_texts: Sequence[str], train_gold: Array, test_texts: Sequence[str], *, seed: int = 0) -> Array:
    """Predict each label from words by its own logistic regression (one against the rest).

    A label that all or no training rows have, and every label where the training texts hold no word, gets its share.

    Args:
        train_texts: at least one.
        train_gold: whether each row has each label, shape (train rows, labels).
        test_texts: any number.
        seed: of the sample above 100 million characters.

    Returns:
        Probabilities, shape (test rows, labels).

    Raises:
        DataError: no training rows, or numbers of texts and rows that differ.
    """
    gold = _checked(train_gold, n_texts=len(train_texts)).astype(bool)
    words = tfidf(train_texts, test_texts, n_outputs=gold.shape[1], seed=seed)
    gold = gold[words.rows]
    probabilities = label_shares(gold, len(test_texts))
    if words.is_empty or not len(test_texts):
        return probabilities
    for label in np.flatnonzero(gold.any(axis=0) & ~gold.all(axis=0)):
        model = fit_logistic(words.train, gold[:, label], c=LABEL_C)
        probabilities[:, label] = model.predict_proba(words.test)[:, 1]
    return probabilities


def label_thresholds(train_texts: Sequence[str], train_gold: Array, *, seed: int = 0) -> Array:
    """Find from which probability on `tfidf_labels` gives each label: the best for a fifth of the rows, held back.

    Args:
        train_texts: at least one.
        train_gold: whether each row has each label, shape (train rows, labels).
        seed: of which rows are held back.

    Returns:
        Thresholds, shape (labels,); 0.5 each where there are fewer than 5 rows.
    """
    gold = _checked(train_gold, n_texts=len(train_texts)).astype(bool)
    if len(gold) < N_FOLDS:
        return np.full(gold.shape[1], 0.5)
    order = np.random.default_rng(derive(seed, "label thresholds")).permutation(len(gold))
    held, inside = order[::N_FOLDS], np.setdiff1d(order, order[::N_FOLDS])
    texts = [[train_texts[i] for i in rows] for rows in (inside, held)]
    probabilities = tfidf_labels(texts[0], gold[inside], texts[1], seed=seed)
    return np.array(best_thresholds(probabilities, gold[held]).values)


def shared_threshold(texts: Sequence[str], gold: Array, row_of: Sequence[int], *, seed: int = 0) -> float:
    """Find from which probability on labels are best given, the same for all, where no rows are spared to see it.

    The best threshold for F1 is half of the F1 that can be had (Lipton et al. 2014, theorem 1): it falls with how hard
    labels are to tell, and rare ones are. How hard they are is seen in what `tfidf_labels` says of training rows that
    were held back from it in turn.

    Args:
        texts: of training rows.
        gold: whether each row has each label, shape (rows, labels).
        row_of: for each row the one that it was made from; itself for others. What was made from a row that is held
            back is, too, but nothing is measured on it.
        seed: of the folds.

    Returns:
        The threshold with the highest micro F1; 0.5 where there are fewer than 5 rows or no labels.
    """
    gold = _checked(gold, n_texts=len(texts)).astype(bool)
    source = np.asarray(row_of)
    written, made = (np.flatnonzero(mine) for mine in (source == np.arange(len(gold)), source != np.arange(len(gold))))
    order = np.random.default_rng(derive(seed, "shared threshold")).permutation(written)[:THRESHOLD_ROWS]
    if len(order) < N_FOLDS:
        return 0.5
    probabilities = np.zeros((len(order), gold.shape[1]))
    for k in range(N_FOLDS):
        held = np.arange(len(order)) % N_FOLDS == k
        inside = np.concatenate([order[~held], made[np.isin(source[made], order[~held])]])
        parts = [[texts[i] for i in mine] for mine in (inside, order[held])]
        probabilities[held] = tfidf_labels(parts[0], gold[inside], parts[1], seed=seed)
    return best_thresholds(probabilities, gold[order]).shared


def _checked(values: Array, *, n_texts: int | None = None) -> Array:
    values = np.asarray(values, dtype=np.float64)
    if not len(values):
        raise DataError("a baseline needs at least one training row", fix="give labeled training rows")
    if n_texts is not None and n_texts != len(values):
        raise DataError(f"{n_texts:,} training rows but {len(values):,} answers", fix="give one answer for each row")
    return values


def _best_alpha(features: Any, values: Array, *, seed: int) -> float:
    """Return the penalty with the lowest cross-validated squared error, every target counting alike."""
    order = np.random.default_rng(derive(seed, "ridge folds")).permutation(len(values))[:SEARCH_ROWS]
    folds, scale = np.arange(len(order)) % N_FOLDS, np.maximum(values.std(axis=0), 1e-12)
    if len(order) < N_FOLDS:
        return ALPHAS[len(ALPHAS) // 2]

    def error(alpha: float) -> float:
        total = 0.0
        for fold in range(N_FOLDS):
            inside, held = order[folds != fold], order[folds == fold]
            guess = _ridge(features[inside], values[inside], features[held], alpha=alpha)
            total += float((((guess - values[held]) / scale) ** 2).sum())
        return total

    return min(ALPHAS, key=error)


def _ridge(features: Any, values: Array, test: Any, *, alpha: float) -> Array:
    from sklearn.linear_model import Ridge

    predicted = Ridge(alpha=alpha).fit(features, values).predict(test)
    return np.asarray(predicted).reshape(-1, values.shape[1])
