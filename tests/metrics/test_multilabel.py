"""Several labels a row against scikit-learn, and thresholds against trying all of them."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from tests.metrics.resampling import assert_draws_equal, measured
from tunesmith.core.errors import DataError
from tunesmith.metrics.multilabel import MultiLabelScorer
from tunesmith.metrics.thresholds import best_thresholds


def labelled(n_rows, n_labels, *, seed=0, digits=None, share=0.3):
    """Return probabilities that know something, decisions at 0.4, and right answers; rare labels come last."""
    rng = np.random.default_rng(seed)
    gold = rng.random((n_rows, n_labels)) < share * np.linspace(1, 0.05, n_labels)
    probabilities = 1 / (1 + np.exp(-rng.normal(size=gold.shape) - 3 * gold + 1.5))
    probabilities = probabilities if digits is None else np.round(probabilities, digits)
    return probabilities, probabilities >= 0.4, gold


def scorer(probabilities, predicted, gold):
    labels = [f"l{i}" for i in range(gold.shape[1])]
    return MultiLabelScorer(probabilities, predicted, gold, labels, [0.4] * len(labels))


def sklearn_values(probabilities, predicted, gold):
    """All values by scikit-learn, whose means leave out what is undefined if they are told to."""
    occur, used = gold.any(axis=0), gold.any() or predicted.any()
    f1 = {a: sk.f1_score(gold, predicted, average=a, zero_division=np.nan) for a in ("micro", "macro", "weighted")}
    each = [sk.average_precision_score(gold[:, c], probabilities[:, c]) for c in np.flatnonzero(occur)]
    return {
        "micro_f1": f1["micro"] if used else np.nan,
        "macro_f1": f1["macro"] if used else np.nan,
        "weighted_f1": f1["weighted"] if occur.any() else np.nan,
        "samples_f1": sk.f1_score(gold, predicted, average="samples", zero_division=1),
        "subset_accuracy": sk.accuracy_score(gold, predicted),
        "hamming_loss": sk.hamming_loss(gold, predicted),
        "mean_average_precision": np.mean(each) if each else np.nan,
        "micro_average_precision": sk.average_precision_score(gold.ravel(), probabilities.ravel())
        if occur.any()
        else np.nan,
        "label_ranking": sk.label_ranking_average_precision_score(gold, probabilities),
    }


@pytest.mark.parametrize("digits", [None, 1, 3])
@pytest.mark.parametrize("shape", [(2000, 28), (2000, 8), (30, 3), (7, 40)])
def test_values_are_scikit_learns(shape, digits):
    parts = labelled(*shape, digits=digits)
    found, reference = measured(scorer(*parts), resamples=5), sklearn_values(*parts)
    assert set(reference) == set(found["values"])
    for name, expected in reference.items():
        assert found["values"][name]["value"] == pytest.approx(expected, abs=1e-12, rel=1e-12), name
    table = sk.precision_recall_fscore_support(parts[2], parts[1], average=None, zero_division=np.nan)
    for c, row in enumerate(found["per_class"]):
        assert list(row) == ["label", "precision", "recall", "f1", "support", "threshold"]
        for name, column in zip(("precision", "recall", "f1"), table, strict=False):
            assert row[name]["value"] == (None if np.isnan(column[c]) else pytest.approx(column[c], abs=1e-12))
        assert (row["label"], row["support"], row["threshold"]) == (f"l{c}", table[3][c], 0.4)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 9), st.integers(2, 4), st.integers(0, 10_000), st.integers(1, 4), st.sampled_from([0.0, 0.1, 0.6])
)
def test_values_are_scikit_learns_with_ties_and_missing_labels(n_rows, n_labels, seed, levels, share):
    rng = np.random.default_rng(seed)
    probabilities = rng.integers(0, levels + 1, (n_rows, n_labels)) / levels
    predicted, gold = rng.random((2, n_rows, n_labels)) < share
    point = scorer(probabilities, predicted, gold).at(np.ones((n_rows, 1)))
    for name, expected in sklearn_values(probabilities, predicted, gold).items():
        assert point[name][0] == pytest.approx(expected, abs=1e-12, nan_ok=True), name


@pytest.mark.parametrize("digits", [None, 1])
def test_every_resample_is_scikit_learn_on_the_drawn_rows(digits):
    parts = labelled(25, 4, digits=digits)
    assert_draws_equal(scorer(*parts), lambda rows: sklearn_values(*(part[rows] for part in parts)))


def test_a_label_that_occurs_nowhere_is_left_out_with_a_note():
    probabilities, predicted, gold = labelled(50, 3)
    gold[:, 1] = predicted[:, 1] = False
    found = measured(scorer(probabilities, predicted, gold))
    note = "mean over the 2 of 3 labels that occur in these rows"
    assert found["values"]["mean_average_precision"]["note"] == note
    assert found["per_class"][1]["f1"]["reason"] == "no row has this label and it is never predicted"


def test_rows_without_labels_are_right_where_none_is_given():
    nothing = np.zeros((2, 2), dtype=bool)
    found = scorer(np.full((2, 2), 0.1), [[0, 0], [1, 0]], nothing)
    assert found.right.tolist() == [True, False]
    values = measured(found)["values"]
    assert values["samples_f1"]["value"] == values["subset_accuracy"]["value"] == 0.5
    assert values["micro_average_precision"]["reason"] == "no row has a label"
    assert values["micro_f1"]["value"] == 0
    values = measured(scorer(np.full((2, 2), 0.1), nothing, nothing))["values"]
    assert values["macro_f1"]["reason"] == "no row has a label and none is predicted"


def test_one_row():
    values = measured(scorer(np.array([[0.9, 0.2, 0.6]]), np.array([[1, 0, 1]]), np.array([[1, 0, 0]])))["values"]
    assert values["samples_f1"] == {"value": 2 / 3, "low": 2 / 3, "high": 2 / 3}
    assert values["label_ranking"]["value"] == 1


@pytest.mark.parametrize(
    ("probabilities", "predicted", "gold", "message"),
    [
        (np.zeros((0, 2)), np.zeros((0, 2)), np.zeros((0, 2)), "no rows"),
        (np.zeros((1, 2)), np.zeros((1, 2)), np.zeros((2, 2)), "1 predictions do not fit 2 rows"),
        (np.zeros((2, 3)), np.zeros((2, 2)), np.zeros((2, 2)), "probabilities of shape"),
        (np.zeros((2, 2)), np.zeros((2, 3)), np.zeros((2, 2)), "decisions of shape"),
        (np.full((2, 2), 1.1), np.zeros((2, 2)), np.zeros((2, 2)), "no probabilities"),
        (np.full((2, 2), np.nan), np.zeros((2, 2)), np.zeros((2, 2)), "no probabilities"),
        (np.zeros((2, 2)), np.full((2, 2), 2), np.zeros((2, 2)), "yes or no"),
    ],
)
def test_what_cannot_be_measured_is_refused(probabilities, predicted, gold, message):
    with pytest.raises(DataError, match=message) as caught:
        scorer(probabilities, predicted, gold)
    assert caught.value.problems[0].fix


def test_thresholds_must_fit_the_labels():
    with pytest.raises(DataError, match="labels and thresholds"):
        MultiLabelScorer(np.zeros((1, 2)), np.zeros((1, 2)), np.zeros((1, 2)), ["a", "b"], [0.5])


def test_a_thousand_resamples_are_fast():
    parts = labelled(5000, 28, share=0.15)
    start = time.process_time()
    measured(scorer(*parts), resamples=1000)
    assert time.process_time() - start < 3


def f1_from(threshold, probabilities, gold):
    predicted = probabilities >= threshold
    return 2 * (predicted & gold).sum() / max(1, predicted.sum() + gold.sum())


@pytest.mark.parametrize("digits", [None, 1])
@pytest.mark.parametrize("seed", range(4))
def test_thresholds_are_the_best_of_all(seed, digits):
    probabilities, _, gold = labelled(80, 5, seed=seed, digits=digits, share=0.6)
    found = best_thresholds(probabilities, gold)
    for c, (p, right) in enumerate(zip(probabilities.T, gold.T, strict=True)):
        reached = f1_from(found.values[c], p, right)
        assert reached == pytest.approx(sk.f1_score(right, p >= found.values[c], zero_division=0))
        if right.sum() >= 5:
            assert reached == pytest.approx(max(f1_from(t, p, right) for t in np.unique(p)))
            assert f"F1 {100 * reached:.1f}% on {right.sum()} rows" in found.reasons[c]
        else:
            assert found.values[c] == found.shared
    most = max(f1_from(t, probabilities, gold) for t in np.unique(probabilities))
    assert f1_from(found.shared, probabilities, gold) == pytest.approx(most)


def test_a_label_of_few_rows_takes_the_threshold_of_all():
    probabilities, _, gold = labelled(200, 3)
    for n, said in ((4, "only 4 of these rows have"), (1, "only one of these rows has"), (0, "none of these rows has")):
        gold[:, 2] = np.arange(200) < n
        found = best_thresholds(probabilities, gold)
        assert found.values[2] == found.shared and found.reasons[2].startswith(said)


def test_thresholds_lie_between_probabilities_and_near_a_half():
    gold = np.array([[1]] * 5 + [[0]] * 5)
    found = best_thresholds(np.array([[0.9]] * 5 + [[0.3]] * 5), gold)
    assert found.values == [pytest.approx(0.6)]
    # One probability for all rows: the label goes to all of them or to none.
    assert best_thresholds(np.full((10, 1), 0.9), np.ones((10, 1))).values == [0.45]
    assert best_thresholds(np.zeros((10, 1)), gold).values == [0.0]
    assert best_thresholds(np.ones((10, 1)), np.zeros((10, 1))).values == [0.5]
    near = np.nextafter(0.7, 1)
    found = best_thresholds(np.array([[near]] * 5 + [[0.7]] * 5), gold)
    assert found.values == [near]


def test_thresholds_of_other_shapes_are_refused():
    with pytest.raises(DataError, match="do not fit"):
        best_thresholds(np.zeros((2, 3)), np.zeros((2, 2)))
    with pytest.raises(DataError, match="no rows"):
        best_thresholds(np.zeros((0, 3)), np.zeros((0, 3)))
