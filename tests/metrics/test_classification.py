"""Point values against scikit-learn, intervals against plain resampling, shape and speed."""

import itertools
import json
import time
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from tests.metrics.of_classes import measure
from tunesmith.core.errors import DataError
from tunesmith.metrics.bootstrap import resampled_weights
from tunesmith.metrics.classification import VALUES, ClassScorer

EXACT = 1e-12
# scikit-learn's own, about the reference values.
pytestmark = pytest.mark.filterwarnings("ignore:A single label was found:UserWarning")


def sklearn_values(probabilities, gold):
    """All values by scikit-learn; AUROC over the classes that occur, as `measure` documents."""
    predicted, k = probabilities.argmax(axis=1), probabilities.shape[1]
    values = {
        "accuracy": sk.accuracy_score(gold, predicted),
        "macro_f1": sk.f1_score(gold, predicted, average="macro", zero_division=0),
        "micro_f1": sk.f1_score(gold, predicted, average="micro", zero_division=0),
        "weighted_f1": sk.f1_score(gold, predicted, average="weighted", zero_division=0),
        "mcc": sk.matthews_corrcoef(gold, predicted),
        "log_loss": sk.log_loss(gold, probabilities, labels=range(k)),
        "ece": slow_ece(probabilities, gold),
    }
    present = np.unique(gold)
    if len(present) == 1:
        return {**values, "auroc": None}
    if k == 2:
        return {**values, "auroc": sk.roc_auc_score(gold, probabilities[:, 1])}
    areas = [sk.roc_auc_score(gold == c, probabilities[:, c]) for c in present]
    return {**values, "auroc": float(np.mean(areas))}


def slow_ece(probabilities, gold, n_bins=15):
    """Guo et al. 2017, equation 3, written out; a bin holds its upper edge."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == gold
    edges = np.linspace(0, 1, n_bins + 1)
    total = 0.0
    for low, high in itertools.pairwise(edges):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            total += inside.sum() / len(gold) * abs(right[inside].mean() - confidence[inside].mean())
    return total


def assert_equals_sklearn(probabilities, gold, *, labels=None):
    k = probabilities.shape[1]
    found = measure(probabilities, gold, labels or list(range(k)), resamples=5)
    reference = sklearn_values(probabilities, gold)
    assert list(found["values"]) == list(VALUES) and set(reference) == set(VALUES)
    for name, expected in reference.items():
        value = found["values"][name]["value"]
        assert value == (None if expected is None else pytest.approx(expected, abs=EXACT, rel=EXACT)), name
    predicted = probabilities.argmax(axis=1)
    table = sk.precision_recall_fscore_support(gold, predicted, labels=range(k), zero_division=np.nan)
    for c, row in enumerate(found["per_class"]):
        for name, column in zip(("precision", "recall", "f1"), table, strict=False):
            expected = None if np.isnan(column[c]) else pytest.approx(column[c], abs=EXACT)
            assert row[name]["value"] == expected, (c, name)
        assert row["support"] == table[3][c]
    assert found["confusion"] == sk.confusion_matrix(gold, predicted, labels=range(k)).tolist()
    return found


@pytest.mark.parametrize("n_classes", [2, 3, 7, 77])
@pytest.mark.parametrize("n_rows", [1, 2, 13, 2500])
@pytest.mark.parametrize("skill", [0.0, 2.0, 50.0])
def test_point_values_are_scikit_learns(made, n_rows, n_classes, skill):
    probabilities, gold = made(n_rows, n_classes, seed=n_rows, skill=skill)
    assert_equals_sklearn(probabilities, gold)


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 25), st.integers(2, 5), st.integers(0, 10_000), st.integers(1, 4))
def test_point_values_are_scikit_learns_with_ties_and_missing_classes(n_rows, n_classes, seed, levels):
    rng = np.random.default_rng(seed)
    # Few distinct scores: ties within a class, between classes, and in the top confidence.
    raw = rng.integers(1, levels + 1, size=(n_rows, n_classes)).astype(float)
    gold = rng.choice(rng.permutation(n_classes)[: rng.integers(1, n_classes + 1)], n_rows)
    assert_equals_sklearn(raw / raw.sum(axis=1, keepdims=True), gold)


def test_multi_class_auroc_is_scikit_learns_one_vs_rest(made):
    probabilities, gold = made(2500, 5)
    expected = sk.roc_auc_score(gold, probabilities, multi_class="ovr", average="macro")
    value = measure(probabilities, gold, list("abcde"), resamples=5)["values"]["auroc"]
    assert value["value"] == pytest.approx(expected, abs=EXACT)
    assert "note" not in value


def test_certain_and_wrong_is_clipped_like_scikit_learn():
    probabilities = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    found = assert_equals_sklearn(probabilities, np.array([1, 1, 0]))
    assert found["values"]["log_loss"]["value"] == pytest.approx(-np.log(np.finfo(float).eps) / 3)


def test_single_precision_probabilities_are_accepted(made):
    probabilities, gold = made(200, 4)
    found = measure(probabilities.astype(np.float32), gold, list("abcd"), resamples=50)
    assert found["values"]["accuracy"]["value"] == np.mean(probabilities.argmax(axis=1) == gold)


def test_one_class_in_gold_leaves_auroc_undefined_with_a_reason(made):
    probabilities, _ = made(20, 3)
    found = measure(probabilities, np.zeros(20, dtype=int), ["a", "b", "c"])
    assert found["values"]["auroc"] == {
        "value": None,
        "low": None,
        "high": None,
        "reason": "only one class occurs in these rows",
    }
    assert found["per_class"][1]["recall"]["reason"] == "no row has this label"


def test_auroc_over_the_classes_that_occur_says_so(made):
    probabilities, gold = made(60, 5)
    gold = gold % 3
    auroc = measure(probabilities, gold, list("abcde"))["values"]["auroc"]
    assert auroc["note"] == "mean over the 3 of 5 classes that occur in these rows"
    assert auroc["low"] <= auroc["value"] <= auroc["high"]


def test_a_class_that_is_never_predicted_has_no_precision():
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]])
    row = measure(probabilities, np.array([0, 0, 1]), ["no", "yes"])["per_class"][1]
    assert row["precision"]["value"] is None
    assert row["precision"]["reason"] == "this class is never predicted"
    assert (row["recall"]["value"], row["f1"]["value"], row["support"]) == (0.0, 0.0, 1)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_every_resample_is_scikit_learn_on_the_drawn_rows(made, n_classes):
    probabilities, gold = made(40, n_classes, skill=1.0)
    probabilities = np.round(probabilities, 1) + 1e-3  # ties
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    scores = ClassScorer(probabilities, gold, list(range(n_classes)))
    (weights,) = resampled_weights(40, resamples=30, seed=3)
    found = scores.at(weights)
    for column in range(30):
        rows = np.repeat(np.arange(40), weights[:, column].astype(int))
        expected = sklearn_values(probabilities[rows], gold[rows])
        for name in VALUES:
            assert found[name][column] == pytest.approx(expected[name], abs=1e-11), name


def test_intervals_are_what_plain_resampling_gives(made):
    probabilities, gold = made(300, 3, skill=1.0)
    found = measure(probabilities, gold, ["a", "b", "c"], resamples=2000)["values"]
    rng = np.random.default_rng(1)
    draws = [rng.integers(0, 300, 300) for _ in range(800)]
    predicted = probabilities.argmax(axis=1)
    for name, score in {
        "accuracy": lambda r: np.mean(predicted[r] == gold[r]),
        "macro_f1": lambda r: sk.f1_score(gold[r], predicted[r], average="macro"),
        "mcc": lambda r: sk.matthews_corrcoef(gold[r], predicted[r]),
        "auroc": lambda r: sk.roc_auc_score(gold[r], probabilities[r], multi_class="ovr"),
    }.items():
        low, high = np.percentile([score(rows) for rows in draws], [2.5, 97.5])
        width = high - low
        assert found[name]["low"] == pytest.approx(low, abs=0.15 * width), name
        assert found[name]["high"] == pytest.approx(high, abs=0.15 * width), name


def test_accuracy_intervals_hold_the_true_value_about_95_times_in_100(made):
    rng = np.random.default_rng(0)
    hits = 0
    for seed in range(200):
        right = rng.random(150) < 0.8
        probabilities = np.where(right[:, None], [0.2, 0.8], [0.8, 0.2])
        ends = measure(probabilities, np.ones(150, dtype=int), ["a", "b"], resamples=300, seed=seed)
        ends = ends["values"]["accuracy"]
        hits += ends["low"] <= 0.8 <= ends["high"]
    assert 180 <= hits <= 199


@pytest.mark.parametrize("shape", [(30, 2), (872, 2), (500, 12), (40, 20)])
def test_every_value_lies_in_its_interval(made, shape):
    found = measure(*made(*shape), range(shape[1]))
    entries = [*found["values"].values(), *(row[m] for row in found["per_class"] for m in ("precision", "f1"))]
    for entry in entries:
        if entry["value"] is not None:
            assert entry["low"] <= entry["value"] <= entry["high"]


def test_more_rows_make_narrower_intervals(made):
    widths = []
    for n_rows in (100, 400, 1600):
        ends = measure(*made(n_rows, 3), "abc")["values"]["macro_f1"]
        widths.append(ends["high"] - ends["low"])
    assert widths[0] > 1.5 * widths[1] > 2.25 * widths[2]


def test_the_same_seed_gives_the_same_numbers_and_another_one_others(made):
    probabilities, gold = made(100, 3)
    first, again = (measure(probabilities, gold, "abc", seed=4) for _ in range(2))
    assert first == again
    other = measure(probabilities, gold, "abc", seed=5)
    assert other["values"]["macro_f1"]["value"] == first["values"]["macro_f1"]["value"]
    assert other["values"]["macro_f1"]["low"] != first["values"]["macro_f1"]["low"]


def test_keys_and_order_are_stable_and_json_ready(made):
    found = measure(*made(50, 3), ["neg", True, 3.0])
    again = json.loads(json.dumps(found, allow_nan=False))
    assert list(again) == [
        "n_rows", "resamples", "values", "per_class", "confusion", "labels", "reliability",
    ]  # fmt: skip
    assert list(again["values"]) == list(VALUES)
    assert again["labels"] == ["neg", True, 3.0]
    assert [list(row) for row in again["per_class"]] == [["label", "precision", "recall", "f1", "support"]] * 3
    assert (again["n_rows"], again["resamples"]) == (50, 1000)


def test_reliability_bins_add_up_to_ece(made):
    probabilities, gold = made(1000, 3, sharpness=3.0)
    found = measure(probabilities, gold, "abc", resamples=5)
    bins = found["reliability"]
    assert len(bins) == 15 and sum(b["n"] for b in bins) == 1000
    gaps = [b["n"] * abs(b["confidence"] - b["accuracy"]) for b in bins if b["n"]]
    assert sum(gaps) / 1000 == pytest.approx(found["values"]["ece"]["value"], abs=EXACT)
    empty = bins[0]
    assert empty == {"low": 0.0, "high": pytest.approx(1 / 15), "n": 0, "confidence": None, "accuracy": None}


def test_macro_f1_matches_the_learning_curves(made):
    """Same classes as `quick_metrics` of the task: those in gold or predictions."""
    probabilities, gold = made(30, 9)
    gold = gold % 4
    expected = sk.f1_score(gold, probabilities.argmax(axis=1), average="macro", zero_division=0)
    value = measure(probabilities, gold, range(9), resamples=5)["values"]["macro_f1"]["value"]
    assert value == pytest.approx(expected, abs=EXACT)


@pytest.mark.parametrize(
    ("probabilities", "gold", "message"),
    [
        (np.zeros((0, 2)), np.zeros(0, dtype=int), "no rows"),
        (np.full((3, 2), 0.5), np.zeros(2, dtype=int), "do not fit"),
        (np.full((3, 3), 1 / 3), np.zeros(3, dtype=int), "do not fit"),
        (np.array([[0.5, 0.5], [np.nan, 0.5]]), np.zeros(2, dtype=int), "first at position 2"),
        (np.array([[0.5, 0.6]]), np.zeros(1, dtype=int), "no probabilities"),
        (np.array([[-0.5, 1.5]]), np.zeros(1, dtype=int), "no probabilities"),
        (np.full((2, 2), 0.5), np.array([0, -1]), "labels the model does not know in 1 of 2 rows"),
        (np.full((2, 2), 0.5), np.array([0, 2]), "does not know"),
        (np.full((2, 2), 0.5), np.array([0.0, 1.0]), "whole numbers"),
    ],
)
def test_what_cannot_be_measured_is_refused(probabilities, gold, message):
    with pytest.raises(DataError, match=message) as caught:
        measure(probabilities, gold, ["a", "b"])
    assert caught.value.problems[0].fix


def test_a_million_rows_take_fewer_resamples_and_say_so():
    right = np.random.default_rng(0).random(1_000_000) < 0.9
    probabilities = np.where(right[:, None], [0.1, 0.9], [0.9, 0.1])
    found = measure(probabilities, np.ones(len(right), dtype=int), ["a", "b"])
    assert found["resamples"] == 200
    ends = found["values"]["accuracy"]
    assert ends["high"] - ends["low"] == pytest.approx(2 * 1.96 * 0.3 / 1000, rel=0.2)


@pytest.mark.parametrize(("n_rows", "n_classes", "seconds"), [(872, 2, 1.5), (25_000, 4, 8.0)])
def test_a_thousand_resamples_are_fast(made, n_rows, n_classes, seconds):
    probabilities, gold = made(n_rows, n_classes)
    start = time.process_time()
    measure(probabilities, gold, range(n_classes))
    assert time.process_time() - start < seconds


def test_no_warning_leaves_degenerate_input():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = measure(np.array([[0.5, 0.5]]), np.array([1]), ["a", "b"])
    assert found["values"]["accuracy"] == {"value": 0.0, "low": 0.0, "high": 0.0}
