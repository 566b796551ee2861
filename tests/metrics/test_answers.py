"""Answers against the official SQuAD scripts, whose functions stand here as they were published."""

import collections
import json
import re
import string
import time
from functools import cache
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.metrics.agreement import ROWS, WITHIN, assert_agrees
from tests.metrics.resampling import assert_draws_equal, measured
from tunesmith.core.errors import DataError
from tunesmith.metrics.answers import AnswerScorer, best_threshold

# evaluate-v2.0.py


def normalize_answer(s):
    """Lower text and remove punctuation, articles and extra whitespace."""

    def remove_articles(text):
        regex = re.compile(r"\b(a|an|the)\b", re.UNICODE)
        return re.sub(regex, " ", text)

    def white_space_fix(text):
        return " ".join(text.split())

    def remove_punc(text):
        exclude = set(string.punctuation)
        return "".join(ch for ch in text if ch not in exclude)

    def lower(text):
        return text.lower()

    return white_space_fix(remove_articles(remove_punc(lower(s))))


def get_tokens(s):
    return normalize_answer(s).split() if s else []


def compute_exact(a_gold, a_pred):
    return int(normalize_answer(a_gold) == normalize_answer(a_pred))


def compute_f1(a_gold, a_pred):
    gold_toks = get_tokens(a_gold)
    pred_toks = get_tokens(a_pred)
    common = collections.Counter(gold_toks) & collections.Counter(pred_toks)
    num_same = sum(common.values())
    if len(gold_toks) == 0 or len(pred_toks) == 0:
        # If either is no-answer, then F1 is 1 if they agree, 0 otherwise
        return int(gold_toks == pred_toks)
    if num_same == 0:
        return 0
    precision = 1.0 * num_same / len(pred_toks)
    recall = 1.0 * num_same / len(gold_toks)
    return (2 * precision * recall) / (precision + recall)


def get_raw_scores(golds, preds):
    exact_scores, f1_scores = [], []
    for answers, a_pred in zip(golds, preds, strict=True):
        gold_answers = [a for a in answers if normalize_answer(a)]
        if not gold_answers:
            # For unanswerable questions, only correct answer is empty string
            gold_answers = [""]
        exact_scores.append(max(compute_exact(a, a_pred) for a in gold_answers))
        f1_scores.append(max(compute_f1(a, a_pred) for a in gold_answers))
    return exact_scores, f1_scores


def find_best_thresh(preds, scores, na_probs, qid_to_has_ans):
    num_no_ans = sum(1 for k in qid_to_has_ans if not qid_to_has_ans[k])
    cur_score = num_no_ans
    best_score = cur_score
    best_thresh = 0.0
    qid_list = sorted(na_probs, key=lambda k: na_probs[k])
    for qid in qid_list:
        if qid not in scores:
            continue
        if qid_to_has_ans[qid]:
            diff = scores[qid]
        elif preds[qid]:
            diff = -1
        else:
            diff = 0
        cur_score += diff
        if cur_score > best_score:
            best_score = cur_score
            best_thresh = na_probs[qid]
    return 100.0 * best_score / len(scores), best_thresh


# evaluate-v1.1.py (its normalize_answer is the same)


def f1_score_v1(prediction, ground_truth):
    prediction_tokens = normalize_answer(prediction).split()
    ground_truth_tokens = normalize_answer(ground_truth).split()
    common = collections.Counter(prediction_tokens) & collections.Counter(ground_truth_tokens)
    num_same = sum(common.values())
    if num_same == 0:
        return 0
    precision = 1.0 * num_same / len(prediction_tokens)
    recall = 1.0 * num_same / len(ground_truth_tokens)
    return (2 * precision * recall) / (precision + recall)


def evaluate_v1(golds, preds):
    exact = [max(normalize_answer(p) == normalize_answer(a) for a in g) for g, p in zip(golds, preds, strict=True)]
    f1 = [max(f1_score_v1(p, a) for a in g) for g, p in zip(golds, preds, strict=True)]
    return np.mean(exact), np.mean(f1)


HARD = 'The U.S. paid $5.5 million -- for a well-known "an-atom" model; café Zoë’s plan cost €1,000. A. An. THE end!'


@cache
def passages():
    """Return the texts of the sample of questions, as words, what is hard to normalise among them."""
    articles = json.loads((files("tunesmith.samples") / "questions.json").read_text(encoding="utf-8"))["data"]
    contexts = [paragraph["context"].split() for article in articles for paragraph in article["paragraphs"]]
    places = [sum(map(ord, context[0])) % len(context) for context in contexts]
    return [context[:n] + HARD.split() + context[n:] for context, n in zip(contexts, places, strict=True)]


def asked(n_rows, *, seed=0, unanswerable=0.3):
    """Return answers and right ones: stretches of texts, the answers often a bit shorter, longer or elsewhere."""
    rng = np.random.default_rng(seed)

    def stretch(start, length):
        return " ".join(words[max(0, start) : max(0, start) + max(0, length)])

    predicted, gold = [], []
    for _ in range(n_rows):
        words = passages()[rng.integers(len(passages()))]
        start, length = rng.integers(0, len(words)), rng.integers(1, 6)
        right = [stretch(start + i, length - i) for i in range(rng.integers(1, 4))]
        gold.append([] if rng.random() < unanswerable else right)
        near = stretch(start + rng.integers(-1, 2), length + rng.integers(-1, 2))
        predicted.append("" if rng.random() < 0.3 else right[0].upper() + "." if rng.random() < 0.3 else near)
    return predicted, gold


def official(predicted, gold):
    exact, f1 = map(np.array, get_raw_scores(gold, predicted))
    has = np.array([bool(right) for right in gold])
    return {
        "exact_match": exact.mean(),
        "answer_f1": f1.mean(),
        "has_answer_exact": exact[has].mean() if has.any() else np.nan,
        "has_answer_f1": f1[has].mean() if has.any() else np.nan,
        "no_answer_accuracy": f1[~has].mean() if not has.all() else np.nan,
    }


@pytest.mark.parametrize("seed", range(3))
def test_values_are_those_of_the_official_script(seed):
    predicted, gold = asked(2000, seed=seed)
    found = assert_agrees(AnswerScorer(predicted, gold), official(predicted, gold))
    assert 0.2 < found["values"]["exact_match"]["value"] < found["values"]["answer_f1"]["value"] < 0.9


def test_without_unanswerable_questions_they_are_version_1s_too():
    predicted, gold = asked(2000, unanswerable=0)
    # An answer of articles alone is the one place where the versions differ.
    gold = [[a for a in right if normalize_answer(a)] or ["Europe"] for right in gold]
    scorer = AnswerScorer(predicted, gold)
    assert scorer.names == ("exact_match", "answer_f1")
    assert_agrees(scorer, dict(zip(scorer.names, evaluate_v1(gold, predicted), strict=True)))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text("aAnthe .,-'”é\u00a0\n", max_size=12), st.lists(st.text("aAnthe .é-", max_size=8), max_size=3)
        ),
        min_size=1,
        max_size=6,
    )
)
def test_any_text_is_normalised_as_officially(rows):
    predicted, gold = [p for p, _ in rows], [g for _, g in rows]
    point = AnswerScorer(predicted, gold).at(np.ones((len(rows), 1)))
    for name, expected in official(predicted, gold).items():
        assert point[name][0] == pytest.approx(expected, abs=1e-12, nan_ok=True), name


def test_every_resample_is_the_script_on_the_drawn_rows():
    predicted, gold = asked(12, unanswerable=0.15)
    assert_draws_equal(
        AnswerScorer(predicted, gold), lambda rows: official([predicted[i] for i in rows], [gold[i] for i in rows])
    )


def test_nothing_is_right_only_where_there_is_no_answer():
    scorer = AnswerScorer(["", "", "Paris", "the Paris!"], [[], ["Paris"], [], ["Rome", "paris"]])
    assert scorer.right.tolist() == [True, False, False, True]
    values = measured(scorer)["values"]
    assert values["no_answer_accuracy"]["value"] == values["has_answer_exact"]["value"] == 0.5


def test_only_unanswerable_questions_and_one_row():
    found = measured(AnswerScorer([""], [[]]))
    assert list(found["values"]) == ["exact_match", "answer_f1"]
    assert found["values"]["answer_f1"] == {"value": 1.0, "low": 1.0, "high": 1.0}


@pytest.mark.parametrize("seed", range(3))
def test_the_best_threshold_is_the_official_one(seed):
    rng = np.random.default_rng(seed)
    predicted, gold = asked(ROWS, seed=seed)
    # Where an answer is nothing but articles, the script's threshold is not quite best for its own scores.
    predicted = [text if normalize_answer(text) else "Europe" for text in predicted]
    gold = [right and ([a for a in right if normalize_answer(a)] or ["Europe"]) for right in gold]
    exact, f1 = get_raw_scores(gold, predicted)
    has = np.array([bool(right) for right in gold])
    null = np.where(has, rng.beta(2, 4, ROWS), rng.beta(4, 2, ROWS))
    for scores in (exact, f1):
        named = [dict(enumerate(values)) for values in (predicted, scores, null.tolist(), has.tolist())]
        percent, value = find_best_thresh(*named)
        found = best_threshold(null, scores, has)
        assert (100 * found.score, found.value) == pytest.approx((percent, value), **WITHIN)
        # And applying it gives that score.
        said = ["" if n > found.value else text for n, text in zip(null, predicted, strict=True)]
        assert np.mean(get_raw_scores(gold, said)[scores is f1]) == pytest.approx(found.score, **WITHIN)


def test_the_middle_between_two_null_scores_does_as_well():
    found = best_threshold([-9.0, -8.0, 2.0, 3.0], [1.0, 1.0, 0.0, 0.0], [True, True, False, False])
    assert found == (-8.0, 1.0, 2.0)
    assert found.middle == -3.0
    assert best_threshold([0.1, 0.2], [1.0, 1.0], [True, True]).middle == 0.2


def test_rows_that_no_threshold_tells_apart_are_taken_together():
    found = best_threshold([0.5, 0.5, 0.5], [1.0, 1.0, 0.0], [True, True, False])
    assert (found.value, found.score) == (0.5, 2 / 3)
    found = best_threshold([0.5, 0.5, 0.5], [1.0, 0.0, 0.0], [True, False, False])
    assert found.value < 0.5 and found.score == 2 / 3


def test_negative_null_scores_can_mean_that_nothing_is_answered():
    found = best_threshold([-3.0, -2.0], [0.0, 0.0], [False, False])
    assert found.value < -3 and found.score == 1


@pytest.mark.parametrize(
    ("predicted", "gold", "message"), [([], [], "no rows"), (["a"], [["a"], ["b"]], "1 predictions do not fit 2 rows")]
)
def test_what_cannot_be_measured_is_refused(predicted, gold, message):
    with pytest.raises(DataError, match=message):
        AnswerScorer(predicted, gold)


def test_thresholds_of_other_shapes_are_refused():
    with pytest.raises(DataError, match="no rows"):
        best_threshold([], [], [])
    with pytest.raises(DataError, match="do not fit"):
        best_threshold([1.0], [1.0], [True, False])
    with pytest.raises(DataError, match="do not fit"):
        best_threshold([np.nan], [1.0], [True])


def test_a_thousand_resamples_are_fast():
    predicted, gold = asked(5000)
    start = time.process_time()
    measured(AnswerScorer(predicted, gold), resamples=1000)
    assert time.process_time() - start < 3
