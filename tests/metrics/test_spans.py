"""Entities against seqeval."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import accuracy_score, f1_score, precision_score, recall_score
from seqeval.metrics.sequence_labeling import precision_recall_fscore_support
from seqeval.scheme import IOB2

from tests.metrics.agreement import ROWS, assert_agrees, assert_classes_agree
from tests.metrics.resampling import assert_draws_equal, measured
from tunesmith.core.errors import DataError
from tunesmith.metrics.compare import paired
from tunesmith.metrics.spans import SpanScorer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")

TAGS = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-x-y", "I-x-y"]


def tagged(n_rows, *, seed=0, noise=0.15, n_words=12, tags=TAGS, proper=False):
    """Return predicted and gold tags: words about one in three in an entity, some of them then changed."""
    rng = np.random.default_rng(seed)
    gold = [rng.choice(tags, rng.integers(0, n_words + 1), p=shares(tags)).tolist() for _ in range(n_rows)]
    predicted = [[str(rng.choice(tags)) if rng.random() < noise else tag for tag in row] for row in gold]
    return (mended(predicted), mended(gold)) if proper else (predicted, gold)


def shares(tags):
    """Return probabilities, those of O as much as those of all others."""
    p = np.ones(len(tags))
    p[0] = len(tags) - 1
    return p / p.sum()


def mended(rows):
    """Begin every entity with B-."""
    found = []
    for row in rows:
        before, new = "O", []
        for tag in row:
            new.append("B" + tag[1:] if tag[0] == "I" and before[1:] != tag[1:] else tag)
            before = tag
        found.append(new)
    return found


def seqeval_values(predicted, gold):
    """All values by seqeval, NaN instead of its 0 where nothing can be divided by."""
    each = precision_recall_fscore_support(gold, predicted, average=None, zero_division=0)
    n_found = sum(row_starts(row) for row in predicted)
    n_gold = sum(row_starts(row) for row in gold)
    p, r, f, _ = precision_recall_fscore_support(gold, predicted, average="micro", zero_division=0)
    return {
        "entity_precision": p if n_found else np.nan,
        "entity_recall": r if n_gold else np.nan,
        "entity_f1": f if n_found + n_gold else np.nan,
        "macro_f1": np.mean(each[2]) if len(each[2]) else np.nan,
        "word_accuracy": accuracy_score(gold, predicted) if sum(map(len, gold)) else np.nan,
    }


def row_starts(row):
    return sum(tag != "O" for tag in row)  # an entity for certain, if any


STRICT = {"strict_f1": f1_score, "strict_precision": precision_score, "strict_recall": recall_score}


def strict(predicted, gold):
    return {name: f(gold, predicted, mode="strict", scheme=IOB2, zero_division=0) for name, f in STRICT.items()}


@pytest.mark.parametrize("noise", [0.05, 0.15, 0.4])
def test_values_are_seqevals_on_thousands_of_sentences(noise):
    predicted, gold = tagged(ROWS, noise=noise)
    expected = {**seqeval_values(predicted, gold), **strict(predicted, gold)}
    found = assert_agrees(SpanScorer(predicted, gold), expected)
    table = precision_recall_fscore_support(gold, predicted, average=None)
    assert_classes_agree(found, dict(zip(["ORG", "PER", "x-y"], zip(*table, strict=True), strict=True)))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(st.tuples(st.sampled_from(TAGS), st.sampled_from(TAGS)), max_size=8), min_size=1, max_size=8))
def test_values_are_seqevals_on_any_tags(rows):
    gold, predicted = [[a for a, _ in row] for row in rows], [[b for _, b in row] for row in rows]
    point = SpanScorer(predicted, gold).at(np.ones((len(rows), 1)))
    for name, expected in seqeval_values(predicted, gold).items():
        assert point[name][0] == pytest.approx(expected, abs=1e-12, nan_ok=True), name
    for name, expected in strict(predicted, gold).items():
        assert np.nan_to_num(point[name][0]) == pytest.approx(expected, abs=1e-12), name


def test_every_resample_is_seqeval_on_the_drawn_rows():
    predicted, gold = tagged(25, n_words=5)
    assert_draws_equal(
        SpanScorer(predicted, gold),
        lambda rows: seqeval_values([predicted[i] for i in rows], [gold[i] for i in rows]),
    )


def test_a_draw_without_entities_has_no_value():
    predicted, gold = [["O"], ["B-a"], ["O", "O"]], [["O"], ["B-a"], ["O", "B-b"]]
    assert_draws_equal(
        SpanScorer(predicted, gold), lambda rows: seqeval_values([predicted[i] for i in rows], [gold[i] for i in rows])
    )


def test_the_strict_values_are_always_shown_and_differ_where_an_entity_begins_with_i():
    predicted, gold = tagged(50, proper=True)
    proper = measured(SpanScorer(predicted, gold))["values"]
    for name in ("f1", "precision", "recall"):
        assert proper[f"strict_{name}"] == proper[f"entity_{name}"]
    other = SpanScorer([["I" + tag[1:] if tag != "O" else tag for tag in row] for row in predicted], gold)
    values = measured(other)["values"]
    assert values["strict_precision"]["reason"] == "no entity was found that begins with B-"
    assert (values["strict_f1"]["value"], values["strict_recall"]["value"]) == (0, 0)
    assert values["entity_recall"]["value"] > 0
    found = paired(other, SpanScorer(predicted, gold), metric="strict_f1", resamples=50)
    assert found["better"] == "b"


def test_right_rows_have_all_entities_and_no_more():
    gold = [["B-a", "I-a"], ["B-a", "O"], ["O", "O"], ["O"], [], ["B-a"]]
    predicted = [["I-a", "I-a"], ["B-a", "B-a"], ["O", "O"], ["B-a"], [], ["B-b"]]
    assert SpanScorer(predicted, gold).right.tolist() == [True, False, True, False, True, False]


def test_rows_without_any_entity_say_why_there_is_no_value():
    found = measured(SpanScorer([["O", "O"]], [["O", "O"]]))
    assert found["values"]["entity_f1"]["reason"] == "these rows have no entity, and none was found"
    assert found["values"]["word_accuracy"]["value"] == 1.0
    assert found["per_class"] == []
    found = measured(SpanScorer([["O", "B-a"]], [["O", "O"]]))
    assert found["values"]["entity_recall"]["reason"] == "these rows have no entity"
    assert (found["values"]["entity_precision"]["value"], found["values"]["entity_f1"]["value"]) == (0, 0)
    assert found["per_class"][0]["recall"]["reason"] == "no entity has this type"
    assert measured(SpanScorer([[]], [[]]))["values"]["word_accuracy"]["reason"] == "these rows have no word"


def test_one_row():
    found = measured(SpanScorer([["B-a", "O"]], [["B-a", "B-a"]]))
    assert found["values"]["entity_f1"] == {"value": 2 / 3, "low": 2 / 3, "high": 2 / 3}


@pytest.mark.parametrize(
    ("predicted", "gold", "message"),
    [
        ([], [], "no rows"),
        ([["O"]], [["O"], ["O"]], "1 predictions do not fit 2 rows"),
        ([["O"], ["O", "O"]], [["O"], ["O"]], "2 predicted tags do not fit the 1 words at position 2"),
        ([["S-a"]], [["O"]], '"S-a" is not one of IOB2'),
        ([["O"]], [["PER"]], '"PER" is not one of IOB2'),
        ([["O"]], [[""]], "not one of IOB2"),
    ],
)
def test_what_cannot_be_measured_is_refused(predicted, gold, message):
    with pytest.raises(DataError, match=message) as caught:
        SpanScorer(predicted, gold)
    assert caught.value.problems[0].fix


def test_a_thousand_resamples_are_fast():
    predicted, gold = tagged(5000, n_words=40)
    start = time.process_time()
    measured(SpanScorer(predicted, gold), resamples=1000)
    assert time.process_time() - start < 3
