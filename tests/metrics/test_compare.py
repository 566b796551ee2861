"""Paired comparison: agreement with plain resampling and with the textbook tests, directions, sentences."""

import json
import math

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.metrics import f1_score, log_loss

from tests.metrics.of_classes import against_best, paired
from tunesmith.core.errors import DataError
from tunesmith.metrics.classification import VALUES
from tunesmith.metrics.compare import _sentence, mcnemar, simultaneous_p

LABELS = ["a", "b", "c"]


@pytest.fixture
def three(made):
    """Gold classes and three models of falling quality: good, nearly as good, poor."""
    good, gold = made(800, 3, skill=3.0)
    noise = np.random.default_rng(1).dirichlet([1, 1, 1], 800)
    return gold, {"good": good, "near": 0.85 * good + 0.15 * noise, "poor": 0.4 * good + 0.6 * noise}


def test_difference_and_interval_are_what_plain_paired_resampling_gives(three):
    gold, runs = three
    found = paired(runs["poor"], runs["good"], gold, LABELS, resamples=2000)
    a, b = runs["poor"].argmax(axis=1), runs["good"].argmax(axis=1)
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(600):
        rows = rng.integers(0, 800, 800)
        draws.append(f1_score(gold[rows], b[rows], average="macro") - f1_score(gold[rows], a[rows], average="macro"))
    assert found["a_value"] == pytest.approx(f1_score(gold, a, average="macro"), abs=1e-12)
    assert found["value"] == pytest.approx(found["b_value"] - found["a_value"], abs=1e-12)
    low, high = np.percentile(draws, [2.5, 97.5])
    assert (found["low"], found["high"]) == pytest.approx((low, high), abs=0.2 * (high - low))
    assert found["better"] == "b" and found["p"] < 0.01


def test_pairing_makes_the_interval_narrower_than_two_separate_ones(three, made):
    gold, runs = three
    near = paired(runs["near"], runs["good"], gold, LABELS)
    unrelated, _ = made(800, 3, seed=9, skill=0.0)
    far = paired(unrelated, runs["good"], gold, LABELS)
    assert near["high"] - near["low"] < 0.5 * (far["high"] - far["low"])


def test_swapping_the_models_turns_everything_round(three):
    gold, runs = three
    one = paired(runs["poor"], runs["good"], gold, LABELS)
    other = paired(runs["good"], runs["poor"], gold, LABELS)
    assert other["value"] == -one["value"]
    assert (other["low"], other["high"]) == pytest.approx((-one["high"], -one["low"]))
    assert (one["better"], other["better"]) == ("b", "a")
    assert other["mcnemar"]["only_a_right"] == one["mcnemar"]["only_b_right"]
    assert one["p"] == other["p"]


@pytest.mark.parametrize("metric", VALUES)
def test_better_means_better_for_every_metric(three, metric):
    gold, runs = three
    found = paired(runs["poor"], runs["good"], gold, LABELS, metric=metric, names=("poor", "good"))
    assert found["better"] == "b"
    lower = metric in ("log_loss", "ece")
    assert (found["value"] < 0) == lower
    assert found["sentence"].startswith("good is better than poor by ")
    json.dumps(found, allow_nan=False)


def test_log_loss_difference_is_scikit_learns(three):
    gold, runs = three
    found = paired(runs["poor"], runs["good"], gold, LABELS, metric="log_loss")
    assert found["value"] == pytest.approx(log_loss(gold, runs["good"]) - log_loss(gold, runs["poor"]), abs=1e-12)


def test_sentences_say_what_was_found(three):
    gold, runs = three
    clear = paired(runs["poor"], runs["good"], gold, LABELS, names=("run-1", "run-2"))
    points = 100 * clear["value"]
    low, high = 100 * clear["low"], 100 * clear["high"]
    assert clear["sentence"] == (
        f"run-2 is better than run-1 by {points:.1f} points of macro F1 (95% interval {low:.1f} to {high:.1f}); "
        "McNemar p < 0.001."
    )
    unclear = paired(runs["near"], runs["good"], gold, LABELS)
    assert unclear["better"] == "unclear" and unclear["p"] > 0.05
    assert unclear["sentence"].startswith("No ") and "clear" in unclear["sentence"]


def test_a_gain_that_the_count_of_right_rows_does_not_show_is_said_with_that(three):
    gold, runs = three
    pair = paired(runs["poor"], runs["good"], gold, LABELS) | {"mcnemar": {"p": 0.12}}
    said = _sentence(pair, same_answers=False)
    assert said.endswith("; how many rows each has right may differ by chance (McNemar p = 0.12).")


def test_the_same_answers_are_said_to_be_the_same(three):
    gold, runs = three
    found = paired(runs["good"], runs["good"] ** 2 / (runs["good"] ** 2).sum(axis=1, keepdims=True), gold, LABELS)
    assert (found["value"], found["low"], found["high"], found["p"]) == (0.0, 0.0, 0.0, 1.0)
    assert found["mcnemar"]["p"] == 1.0
    assert found["sentence"] == "A and B give the same answers on 800 rows."


def test_an_undefined_metric_is_none_and_said(three):
    _, runs = three
    found = paired(runs["poor"], runs["good"], np.zeros(800, dtype=int), LABELS, metric="auroc")
    assert (found["value"], found["low"], found["p"], found["better"]) == (None, None, None, "unclear")
    assert "AUROC is undefined" in found["sentence"]


def test_equal_models_are_rarely_called_different(made):
    wrong = 0
    for seed in range(60):
        gold = np.zeros(200, dtype=int)
        right = np.random.default_rng(seed).random((2, 200)) < 0.8
        a, b = (np.where(r[:, None], [0.8, 0.2], [0.2, 0.8]) for r in right)
        wrong += paired(a, b, gold, ["x", "y"], metric="accuracy", resamples=400)["better"] != "unclear"
    assert wrong <= 8


@pytest.mark.parametrize(("b", "c"), [(0, 0), (1, 0), (5, 5), (4, 12), (0, 24)])
def test_mcnemar_is_exact_for_few_rows(b, c):
    found = mcnemar(*_right(b, c))
    n = b + c
    assert found["method"] == "exact" and found["statistic"] is None
    assert found["p"] == pytest.approx(min(1.0, 2 * binom.cdf(min(b, c), n, 0.5)))
    assert (found["only_a_right"], found["only_b_right"]) == (b, c)


@pytest.mark.parametrize(("b", "c"), [(10, 15), (121, 59), (30, 30)])
def test_mcnemar_is_chi_square_with_correction_for_many_rows(b, c):
    found = mcnemar(*_right(b, c))
    statistic = max(0, abs(b - c) - 1) ** 2 / (b + c)
    assert found["method"] == "chi-square"
    assert found["statistic"] == pytest.approx(statistic)
    assert found["p"] == pytest.approx(math.erfc(math.sqrt(statistic / 2)))


def test_mcnemar_on_the_book_example():
    # Agresti, Categorical Data Analysis: 150 and 86 rows; z squared with correction is 16.82.
    found = mcnemar(*_right(150, 86))
    assert found["statistic"] == pytest.approx(16.818, abs=0.001)
    assert found["p"] == pytest.approx(4.1e-5, rel=0.02)


def _right(only_a, only_b):
    a = np.array([True] * only_a + [False] * only_b + [True] * 30 + [False] * 7)
    b = np.array([False] * only_a + [True] * only_b + [True] * 30 + [False] * 7)
    return a, b


def test_the_farthest_pair_of_each_resample_decides():
    """By hand: b - a is 2, its draws scatter by 1; c - a is 1, by 2; what is farthest in each resample is compared."""
    draws = {
        "a": (0.0, np.zeros(4)),
        "b": (2.0, np.array([1.0, 3.0, 1.0, 3.0])),
        "c": (1.0, np.array([3.0, 3.0, -1.0, -1.0])),
    }
    found = simultaneous_p(draws)
    # in deviations: |b-a| 1 1 1 1, |c-a| 1 1 1 1, |c-b| of 3 1 -1 -3 about -1 and by sqrt(5): 3 1 1 3 / sqrt(5)
    farthest = np.maximum(1, np.array([3, 1, 1, 3]) / 5**0.5)
    assert found["a", "b"] == (1 + sum(farthest >= 2)) / 5 == 1 / 5
    assert found["a", "c"] == (1 + sum(farthest >= 0.5)) / 5 == 1
    assert found["b", "c"] == (1 + sum(farthest >= 1 / 5**0.5)) / 5 == 1


def coins(shares, *, n_rows=200, seed=0):
    """Return right or wrong answers of models that are right so often, each by chance."""
    rng = np.random.default_rng(seed)
    right = {f"r{i}": rng.random(n_rows) < share for i, share in enumerate(shares)}
    answers = {name: np.where(one[:, None], [0.9, 0.1], [0.1, 0.9]) for name, one in right.items()}
    return against_best(answers, np.zeros(n_rows, dtype=int), ["x", "y"], metric="accuracy")


def test_a_far_better_model_is_told_from_any_number_of_others():
    found = coins([0.95, *[0.5] * 40], n_rows=400)
    assert found["best"] == "r0"
    assert all(pair["better"] == "b" for pair in found["pairs"])


def test_the_best_of_many_equals_is_seldom_called_better():
    """At 0.05 a difference is called in one of twenty tries; with the best of ten uncorrected it was in one of six."""
    called = [any(pair["better"] == "b" for pair in coins([0.8] * 10, seed=seed)["pairs"]) for seed in range(40)]
    assert sum(called) <= 5


def test_several_runs_are_compared_with_the_best(three):
    gold, runs = three
    found = against_best(runs, gold, labels := LABELS)
    names = [entry["name"] for entry in found["ranking"]]
    assert found["best"] == names[0] and names[-1] == "poor"
    values = [entry["value"] for entry in found["ranking"]]
    assert values == sorted(values, reverse=True)
    assert [pair["a"] for pair in found["pairs"]] == names[1:]
    assert all(pair["b"] == found["best"] for pair in found["pairs"])
    alone = paired(runs["poor"], runs[found["best"]], gold, labels)
    last = found["pairs"][-1]
    assert (last["value"], last["low"], last["p"]) == (alone["value"], alone["low"], alone["p"])
    assert last["p_corrected"] >= alone["p"]
    assert last["mcnemar"]["p_corrected"] == pytest.approx(min(1, 3 * last["mcnemar"]["p"]))
    assert last["better"] == "b"
    assert f"clearly better than poor, not clearly than {names[1]}." in found["sentence"]
    json.dumps(found, allow_nan=False)


def test_the_lowest_log_loss_is_the_best(three):
    gold, runs = three
    found = against_best(runs, gold, LABELS, metric="log_loss")
    assert found["ranking"][-1]["name"] == "poor"
    assert found["pairs"][-1]["better"] == "b"


def test_correction_can_take_a_difference_back(made):
    """One comparison among many that is only just below 0.05 is no longer called sure."""
    gold = np.zeros(400, dtype=int)
    runs = {}
    for name, n_right in {"best": 320, **{f"r{i}": 298 for i in range(6)}}.items():
        right = np.random.default_rng(len(runs)).permutation(400) < n_right
        runs[name] = np.where(right[:, None], [0.9, 0.1], [0.1, 0.9])
    found = against_best(runs, gold, ["x", "y"], metric="accuracy")
    taken_back = [p for p in found["pairs"] if p["p"] < 0.05 <= p["p_corrected"]]
    assert taken_back
    for pair in taken_back:
        assert pair["better"] == "unclear"
        assert pair["sentence"].endswith("corrected for the best of 7, so not sure.")


def test_mistakes_of_the_caller_are_named(three):
    gold, runs = three
    with pytest.raises(DataError, match="unknown metric") as caught:
        paired(runs["good"], runs["poor"], gold, LABELS, metric="macro-f1")
    assert caught.value.problems[0].fix == 'did you mean "macro_f1"?'
    with pytest.raises(DataError, match='both models are called "x"'):
        paired(runs["good"], runs["poor"], gold, LABELS, names=("x", "x"))
    with pytest.raises(DataError, match="do not fit"):
        paired(runs["good"][:5], runs["poor"], gold, LABELS)
    with pytest.raises(DataError, match="at least two models"):
        against_best({"good": runs["good"]}, gold, LABELS)
    with pytest.raises(DataError, match="undefined"):
        against_best(runs, np.zeros(800, dtype=int), LABELS, metric="auroc")
