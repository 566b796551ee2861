"""Words with one tag each: values are scikit-learn's on all words together."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support

from tests.metrics.agreement import assert_agrees, assert_classes_agree
from tunesmith.core.errors import DataError
from tunesmith.metrics.bootstrap import unit_weights
from tunesmith.metrics.scorer import measure
from tunesmith.metrics.tags import TagScorer

TAGS = np.array(["NN", "DT", "IN", "JJ", "VB", "NNS", "RB", "PRP$", "``", ",", ".", "O", "B", "FW"])


def random_rows(n, *, seed=0):
    """Return predicted and right tags: a few of them often, others seldom, the last one never right."""
    rng = np.random.default_rng(seed)
    often = 0.7 ** np.arange(len(TAGS) - 1)
    gold = [TAGS[rng.choice(len(often), rng.integers(0, 25), p=often / often.sum())].tolist() for _ in range(n)]
    said = [[str(rng.choice(TAGS)) if rng.random() < 0.3 else tag for tag in row] for row in gold]
    return said, gold


def test_values_are_those_of_scikit_learn():
    said, gold = random_rows(3000)
    flat_said, flat_gold = ([tag for row in rows for tag in row] for rows in (said, gold))
    macro_f1 = f1_score(flat_gold, flat_said, average="macro", zero_division=0)
    expected = {"word_accuracy": accuracy_score(flat_gold, flat_said), "macro_f1": macro_f1}
    found = assert_agrees(TagScorer(said, gold), expected)
    table = precision_recall_fscore_support(flat_gold, flat_said, labels=sorted(TAGS), zero_division=np.nan)
    assert_classes_agree(found, dict(zip(sorted(TAGS), zip(*table, strict=True), strict=True)))
    assert len(flat_gold) > 30_000 and 0 in table[3]


def test_weights_are_copies_of_rows():
    said, gold = random_rows(20, seed=2)
    weights = np.random.default_rng(0).integers(0, 4, size=20)
    copies = TagScorer(
        *[[row for row, n in zip(rows, weights, strict=True) for _ in range(n)] for rows in (said, gold)]
    )
    mine = TagScorer(said, gold).at(weights[:, None].astype(float))
    theirs = copies.at(unit_weights(len(copies)))
    assert {name: mine[name][0] for name in TagScorer.names} == pytest.approx(
        {name: theirs[name][0] for name in TagScorer.names}
    )


def test_a_row_is_right_if_all_its_words_are():
    assert list(TagScorer([["A", "B"], ["A", "B"], []], [["A", "B"], ["A", "A"], []]).right) == [True, False, True]


def test_rows_without_words_have_no_value_and_a_reason():
    found = measure(TagScorer([[]], [[]]), resamples=5)["values"]
    assert found["word_accuracy"]["value"] is None
    assert found["word_accuracy"]["reason"] == "these rows have no word"


def test_rows_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="2 predicted tags do not fit the 1 words at position 1"):
        TagScorer([["A", "B"]], [["A"]])
