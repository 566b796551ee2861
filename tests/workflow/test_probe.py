"""Heads that start as logistic regression: its weights, for vectors as they are."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from tunesmith.workflow.probe import fit_probe


def vectors(n_rows, n_classes, *, width=24, seed=0):
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(n_classes, width))
    gold = rng.integers(0, n_classes, n_rows)
    # Columns of very different size and offset, as standardising must undo.
    return (centres[gold] + rng.normal(size=(n_rows, width))) * np.logspace(-2, 2, width) + 7, gold


def said(probe, rows):
    return softmax(rows @ probe.weights.T + probe.bias, axis=1)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("n_classes", [2, 5])
def test_it_is_scikit_learns_logistic_regression_on_standardised_vectors(n_classes, bias):
    (train, labels), (test, gold) = vectors(300, n_classes), vectors(200, n_classes, seed=1)
    found = fit_probe(train, labels, n_classes=n_classes, bias=bias)
    mean, scale = train.mean(axis=0) * bias, train.std(axis=0)
    model = LogisticRegression(C=found.c, max_iter=1000, fit_intercept=bias).fit((train - mean) / scale, labels)
    assert found.weights.shape == (n_classes, 24) and found.bias.shape == (n_classes,)
    assert bias or not found.bias.any()
    assert said(found, test) == pytest.approx(model.predict_proba((test - mean) / scale), abs=1e-6)
    assert np.mean(said(found, test).argmax(axis=1) == gold) > 0.9


def test_the_penalty_follows_the_data():
    easy, labels = vectors(400, 3)
    noise = np.random.default_rng(0).normal(size=(400, 24))
    assert fit_probe(noise, labels, n_classes=3).c < fit_probe(easy, labels, n_classes=3).c


def test_constant_columns_and_missing_classes_are_fine():
    train, labels = vectors(60, 2)
    train[:, 3] = 5.0
    found = fit_probe(train, labels * 2, n_classes=4)
    assert np.isfinite(found.weights).all() and np.isfinite(found.bias).all()
    assert said(found, train)[:, [1, 3]].max() < 1e-6
    assert np.mean(said(found, train).argmax(axis=1) == labels * 2) > 0.9


def test_one_class_of_vectors_is_answered_with_that_class():
    train, _ = vectors(10, 2)
    found = fit_probe(train, np.ones(10, dtype=int), n_classes=3)
    assert (said(found, train).argmax(axis=1) == 1).all()


def test_one_row_a_class_is_enough_to_start():
    train, labels = np.eye(4), np.arange(4)
    assert (said(fit_probe(train, labels, n_classes=4), train).argmax(axis=1) == labels).all()
