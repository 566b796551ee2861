"""Words with one tag each: values are scikit-learn's on all words together."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, classification_report, f1_score

from tunesmith.core.errors import DataError
from tunesmith.metrics.bootstrap import unit_weights
from tunesmith.metrics.scorer import measure
from tunesmith.metrics.tags import TagScorer

TAGS = np.array(["NN", "VB", "DT", "IN", "."])


def random_rows(n, *, seed=0):
    rng = np.random.default_rng(seed)
    gold = [list(TAGS[rng.integers(0, 4, size=rng.integers(0, 9))]) for _ in range(n)]
    said = [[str(rng.choice(TAGS)) if rng.random() < 0.3 else tag for tag in row] for row in gold]
    return said, gold


def test_values_are_those_of_scikit_learn():
    said, gold = random_rows(200)
    flat_said, flat_gold = ([tag for row in rows for tag in row] for rows in (said, gold))
    found = measure(TagScorer(said, gold), resamples=50)
    values = {name: entry["value"] for name, entry in found["values"].items()}
    wanted_f1 = f1_score(flat_gold, flat_said, average="macro", zero_division=0)
    wanted = {"word_accuracy": accuracy_score(flat_gold, flat_said), "macro_f1": wanted_f1}
    assert values == pytest.approx(wanted, abs=1e-12)
    report = classification_report(flat_gold, flat_said, output_dict=True, zero_division=np.nan)
    assert [entry["label"] for entry in found["per_class"]] == sorted(TAGS)
    for entry in found["per_class"]:
        theirs = report[entry["label"]]
        assert entry["support"] == theirs["support"]
        if entry["support"]:
            ours = [entry[name]["value"] for name in ("precision", "recall", "f1")]
            assert ours == pytest.approx([theirs["precision"], theirs["recall"], theirs["f1-score"]])


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
