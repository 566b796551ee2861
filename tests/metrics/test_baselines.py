"""Baselines: strong on real text, deterministic, and sane where there is little or nothing to learn from."""

import csv
import gzip
import io
import time

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier

from tunesmith.core.errors import DataError
from tunesmith.metrics import tfidf
from tunesmith.metrics.baselines import majority, tfidf_logistic
from tunesmith.metrics.baselines_values import shared_threshold

GOOD = ["a lovely warm film", "lovely acting, warm story", "what a lovely evening", "warm and lovely"]
BAD = ["a dull cold film", "dull acting, cold story", "what a dull evening", "cold and dull"]


def read(path, *, n=None, labels=("negative", "positive")):
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))[:n]
    return [row["text"] for row in rows], np.array([labels.index(row["label"]) for row in rows])


def test_majority_is_the_class_frequencies():
    train = np.array([0, 2, 2, 0, 2])
    found = majority(train, 3, n_classes=4)
    assert found == pytest.approx(np.tile([0.4, 0.0, 0.6, 0.0], (3, 1)))
    prior = DummyClassifier(strategy="prior").fit(np.zeros((5, 1)), train).predict_proba(np.zeros((3, 1)))
    assert found[:, [0, 2]] == pytest.approx(prior)


def test_words_are_learnt_from_a_handful_of_rows():
    found = tfidf_logistic(GOOD + BAD, np.array([1] * 4 + [0] * 4), ["lovely and warm", "cold, dull"], n_classes=2)
    assert found.argmax(axis=1).tolist() == [1, 0]
    assert found.sum(axis=1) == pytest.approx(1)


def test_the_same_input_gives_the_same_probabilities():
    labels = np.array([1] * 4 + [0] * 4)
    one, two = (tfidf_logistic(GOOD + BAD, labels, GOOD, n_classes=2, seed=3) for _ in range(2))
    assert (one == two).all()


def test_a_class_without_training_rows_gets_no_probability():
    labels = np.array([3] * 4 + [1] * 4)
    found = tfidf_logistic(GOOD + BAD, labels, ["lovely"], n_classes=5)
    assert found.shape == (1, 5) and found[0, [0, 2, 4]].tolist() == [0, 0, 0]
    assert found[0, 3] > found[0, 1]


def test_classes_of_one_row_and_more_classes_than_folds_are_fine():
    texts = [f"{word} thing" for word in ("red", "orange", "yellow", "green", "blue", "black")]
    found = tfidf_logistic(texts, np.arange(6), texts, n_classes=6)
    assert (found.argmax(axis=1) == np.arange(6)).all()


@pytest.mark.parametrize("texts", [["", "", ""], ["  ", "\n", "\t"], ["!!", "...", "?"]])
def test_texts_without_a_word_still_give_probabilities(texts):
    found = tfidf_logistic(texts, np.array([0, 1, 1]), ["!", "word", ""], n_classes=2)
    assert found.shape == (3, 2) and np.isfinite(found).all()
    assert found[2].argmax() == 1


def test_where_no_text_has_any_character_the_class_frequencies_answer():
    found = tfidf_logistic(["", "", ""], np.array([0, 1, 1]), ["a word"], n_classes=2)
    assert found == pytest.approx(np.array([[1 / 3, 2 / 3]]))


def test_one_class_only_is_answered_with_that_class():
    found = tfidf_logistic(GOOD, np.ones(4, dtype=int), BAD, n_classes=3)
    assert found.tolist() == [[0, 1, 0]] * 4


def test_no_test_rows_give_no_probabilities():
    found = tfidf_logistic(GOOD + BAD, np.array([1] * 4 + [0] * 4), [], n_classes=2)
    assert found.shape == (0, 2)


def test_scripts_without_spaces_are_cut_into_characters():
    good, bad = (
        ["这部电影非常好看我很喜欢", "好看的故事喜欢", "演员好看喜欢"],
        ["这部电影太难看我很讨厌", "难看的故事讨厌", "演员难看讨厌"],
    )
    found = tfidf_logistic(good + bad, np.array([1] * 3 + [0] * 3), ["喜欢这个故事", "讨厌这个演员"], n_classes=2)
    assert found.argmax(axis=1).tolist() == [1, 0]


def test_too_much_text_is_sampled_and_still_learnt(monkeypatch):
    monkeypatch.setattr(tfidf, "CHARACTERS_AT_MOST", 3000)
    texts, labels = (GOOD + BAD) * 60, np.array(([1] * 4 + [0] * 4) * 60)
    kept = tfidf._affordable_rows(texts, seed=0)
    assert 0.8 * 3000 < sum(len(texts[i]) for i in kept) <= 3000
    found = tfidf_logistic(texts, labels, ["lovely and warm", "cold, dull"], n_classes=2)
    assert found.argmax(axis=1).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("texts", "labels", "message"),
    [
        ([], [], "at least one training row"),
        (["a", "b"], [0], "2 training rows but 1 label  fix"),
        (["a", "b"], [0, 2], "none of the classes"),
        (["a", "b"], [0, -1], "none of the classes"),
    ],
)
def test_training_rows_that_cannot_be_used_are_refused(texts, labels, message):
    with pytest.raises(DataError, match=message):
        tfidf_logistic(texts, np.array(labels, dtype=int), ["x"], n_classes=2)


def test_it_is_strong_on_real_sentences(data_folder):
    train, labels = read(data_folder / "sst2" / "train_sentences.csv")
    test, gold = read(data_folder / "sst2" / "test.csv")
    found = tfidf_logistic(train, labels, test, n_classes=2)
    assert np.mean(found.argmax(axis=1) == gold) > 0.82


def test_long_reviews_stay_cheap(data_folder):
    train, labels = read(data_folder / "imdb" / "train.csv.gz", n=3000)
    test, gold = read(data_folder / "imdb" / "test.csv.gz", n=500)
    start = time.process_time()
    found = tfidf_logistic(train, labels, test, n_classes=2)
    # 25,000 reviews may take 60 s: an eighth of them a quarter of that, at most.
    assert time.process_time() - start < 15
    assert np.mean(found.argmax(axis=1) == gold) > 0.83


def test_labels_that_words_do_not_tell_are_given_from_a_lower_probability_on():
    rng = np.random.default_rng(0)
    words = [rng.choice(["sun", "rain", "wind", "snow", "fog", "heat"], 3) for _ in range(120)]
    texts = [" ".join(one) for one in words]
    told = np.array([["sun" in one, "rain" in one] for one in words])
    by_chance = rng.random((120, 2)) < 0.1
    assert shared_threshold(texts, told, range(120)) == shared_threshold(texts, told, range(120)) > 0.3
    assert shared_threshold(texts, by_chance, range(120)) < 0.2
    assert shared_threshold(texts[:4], told[:4], range(4)) == 0.5, "too few"
    assert shared_threshold(texts, np.zeros((120, 2)), range(120)) == 0.5, "no labels"


def test_copies_of_a_row_tell_nothing_of_it():
    """A threshold of rows by chance stays low, though each is there again among the rows it was made from."""
    rng = np.random.default_rng(0)
    texts = [f"name{i} place{i} thing{i}" for i in range(120)]
    by_chance = rng.random((120, 2)) < 0.1
    copies = [f"{text} too" for text in texts]
    row_of = [*range(120), *range(120), *range(120)]
    found = shared_threshold([*texts, *copies, *copies], np.tile(by_chance, (3, 1)), row_of)
    assert found < 0.2
    known = shared_threshold([*texts, *copies, *copies], np.tile(by_chance, (3, 1)), range(360))
    assert known > 0.25 > found, "as if each row were one of its own"
