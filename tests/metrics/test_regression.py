"""Predicted numbers against SciPy and scikit-learn."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from tests.metrics.agreement import ROWS, WITHIN, assert_agrees
from tests.metrics.resampling import assert_draws_equal, measured
from tunesmith.core.errors import DataError
from tunesmith.metrics.compare import paired
from tunesmith.metrics.regression import VALUES, RegressionScorer

NAMES = ("speed", "care", "price")


def numbers(n_rows, n_targets=1, *, seed=0, levels=0, noise=0.5):
    """Return predictions and right answers; `levels` rounds both, which makes ties."""
    rng = np.random.default_rng(seed)
    gold = rng.normal(size=(n_rows, n_targets)) * 10.0 ** np.arange(n_targets) + 100
    predicted = gold + noise * 10.0 ** np.arange(n_targets) * rng.standard_t(3, size=gold.shape)
    if levels:
        gold, predicted = (np.round(values / 20 * levels) for values in (gold, predicted))
    return predicted, gold


def reference(predicted, gold):
    """One target's values by SciPy and scikit-learn; NaN where one side is constant."""
    varies = [len(set(values.tolist())) > 1 for values in (predicted, gold)]
    return {
        "pearson": pearsonr(predicted, gold)[0] if all(varies) else np.nan,
        "spearman": spearmanr(predicted, gold)[0] if all(varies) else np.nan,
        "rmse": root_mean_squared_error(gold, predicted),
        "mae": mean_absolute_error(gold, predicted),
        "r2": r2_score(gold, predicted) if varies[1] else np.nan,
    }


def mean_reference(predicted, gold):
    each = [reference(*columns) for columns in zip(predicted.T, gold.T, strict=True)]
    return {name: np.nanmean([values[name] for values in each]) for name in VALUES}


@pytest.mark.parametrize("levels", [0, 2, 30])
@pytest.mark.parametrize("n_rows", [2, 30, 3000])
def test_values_are_scipys(n_rows, levels):
    predicted, gold = numbers(n_rows, levels=levels, seed=n_rows)
    found = measured(RegressionScorer(predicted[:, 0], gold[:, 0]))
    expected = reference(predicted[:, 0], gold[:, 0])
    assert set(expected) == set(found["values"])
    for name, value in expected.items():
        assert found["values"][name]["value"] == (None if np.isnan(value) else pytest.approx(value, abs=1e-10)), name
    assert "per_target" not in found


def test_several_targets_are_averaged_and_told_one_by_one():
    predicted, gold = numbers(ROWS, 3)
    found = assert_agrees(RegressionScorer(predicted, gold, NAMES), mean_reference(predicted, gold))
    assert [row["target"] for row in found["per_target"]] == list(NAMES)
    for t, row in enumerate(found["per_target"]):
        expected = reference(predicted[:, t], gold[:, t])
        assert {name: row[name]["value"] for name in VALUES} == pytest.approx(expected, abs=1e-10)
        assert all(row[name]["low"] < row[name]["value"] < row[name]["high"] for name in VALUES)
    assert r2_score(gold, predicted) == pytest.approx(found["values"]["r2"]["value"], **WITHIN)


@pytest.mark.parametrize("levels", [0, 1, 4])
@pytest.mark.parametrize("n_rows", [3, 40])
def test_every_resample_is_scipy_on_the_drawn_rows(n_rows, levels):
    predicted, gold = (values[:, 0] for values in numbers(n_rows, levels=levels))
    assert_draws_equal(RegressionScorer(predicted, gold), lambda rows: reference(predicted[rows], gold[rows]))


def test_every_resample_of_several_targets_is_the_mean():
    predicted, gold = numbers(30, 3)
    scorer = RegressionScorer(predicted, gold, NAMES)
    assert_draws_equal(scorer, lambda rows: mean_reference(predicted[rows], gold[rows]))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=2, max_size=12),
    st.sampled_from([1.0, 0.1, 1e-8, 1e9]),
    st.sampled_from([0.0, 1.0, 1e4]),
)
def test_any_ties_scales_and_offsets(rows, scale, offset):
    predicted, gold = np.array(rows, dtype=float).T * scale + offset * scale
    assert_draws_equal(
        RegressionScorer(predicted, gold), lambda rows: reference(predicted[rows], gold[rows]), n=4, within=1e-7
    )


def test_a_far_outlier_that_is_not_drawn_does_no_harm():
    predicted, gold = (values[:, 0] for values in numbers(20))
    predicted[3], gold[3] = 1e12, -1e12
    weights = np.ones((20, 1))
    weights[3] = 0
    rest = np.delete(np.arange(20), 3)
    found = RegressionScorer(predicted, gold).at(weights)
    for name, expected in reference(predicted[rest], gold[rest]).items():
        assert found[name][0] == pytest.approx(expected, abs=1e-10), name


def test_constant_answers_have_no_correlation_and_say_why():
    found = measured(RegressionScorer([1.0, 2.0, 3.0], [0.1, 0.1, 0.1]))["values"]
    assert found["pearson"]["reason"] == found["spearman"]["reason"] == RegressionScorer.undefined["pearson"]
    assert found["r2"]["reason"] == "the right answers are all equal"
    assert found["mae"]["value"] == pytest.approx(1.9)
    found = measured(RegressionScorer([0.1, 0.1, 0.1], [1.0, 2.0, 3.0]))["values"]
    assert found["pearson"]["value"] is None and found["r2"]["value"] < 0


def test_one_row():
    found = measured(RegressionScorer([1.0], [3.0]))["values"]
    assert (found["rmse"]["value"], found["mae"]["value"], found["r2"]["value"]) == (2, 2, None)


def test_a_target_without_a_value_is_left_out_with_a_note():
    predicted, gold = numbers(50, 3)
    gold[:, 1] = 7.0
    found = measured(RegressionScorer(predicted, gold, NAMES))
    assert found["values"]["spearman"]["note"] == "mean over the 2 of 3 targets that have a value"
    assert "note" not in found["values"]["rmse"]
    assert found["values"]["spearman"]["value"] == pytest.approx(
        np.mean([spearmanr(predicted[:, t], gold[:, t])[0] for t in (0, 2)])
    )
    assert found["per_target"][1]["r2"] == {
        "value": None, "low": None, "high": None, "reason": "the right answers are all equal",
    }  # fmt: skip


def test_two_models_are_compared_on_the_same_resamples():
    good, gold = numbers(300, noise=0.2)
    bad, _ = numbers(300, noise=1.0)
    models = [RegressionScorer(predicted[:, 0], gold[:, 0]) for predicted in (bad, good)]
    for metric in ("spearman", "rmse"):
        found = paired(*models, metric=metric, resamples=200)
        assert found["better"] == "b" and found["mcnemar"] is None


@pytest.mark.parametrize(
    ("predicted", "gold", "targets", "message"),
    [
        ([], [], ["a"], "no rows"),
        ([1.0], [1.0, 2.0], ["a"], "1 predictions do not fit 2 rows"),
        ([1.0, np.nan], [1.0, 2.0], ["a"], "1 of 2 rows, the first at position 2"),
        ([1.0, 2.0], [1.0, np.inf], ["a"], "no numbers"),
        ([[1.0, 2.0]], [[1.0, 2.0]], ["a"], r"shape \(1, 2\) do not fit 1 targets"),
        ([1.0], [1.0], ["a", "b"], "do not fit 2 targets"),
    ],
)
def test_what_cannot_be_measured_is_refused(predicted, gold, targets, message):
    with pytest.raises(DataError, match=message):
        RegressionScorer(predicted, gold, targets)


def test_a_thousand_resamples_are_fast():
    predicted, gold = numbers(5000, levels=100)
    start = time.process_time()
    measured(RegressionScorer(predicted, gold), resamples=1000)
    assert time.process_time() - start < 3
