"""Scikit-learn's own checks of an estimator.

They feed matrices of numbers, so they run on a classifier that first spells each row of numbers as words. Nothing
else differs: the words go through `TextClassifier` like any text.
"""

import numpy as np
import pytest
from sklearn.exceptions import SkipTestWarning
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks
from sklearn.utils.validation import check_is_fitted, validate_data

from tests.tiny import BAD, GOOD, OTHER
from tunesmith.sklearn import TextClassifier

WORDS = [*GOOD, *BAD, *OTHER]
LEVELS = 11


class NumbersAsWords(TextClassifier):
    def fit(self, X, y):
        X = validate_data(self, X)
        super().fit(spell(X), y)
        self.n_features_in_ = X.shape[1]
        return self

    def predict_proba(self, X):
        check_is_fitted(self)
        return super().predict_proba(spell(validate_data(self, X, reset=False)))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = False
        tags.input_tags.two_d_array = True
        tags.input_tags.string = False
        return tags


def spell(X):
    """One word for each number: which column it stands in, and how large it is in half units."""
    middle = LEVELS // 2
    levels = np.clip(np.round(2 * X), -middle, middle).astype(int) + middle
    return [" ".join(WORDS[(level + LEVELS * i) % len(WORDS)] for i, level in enumerate(row)) for row in levels]


def expected(_):
    return {"check_class_weight_classifiers": 'class_weight is None or "balanced"; the check passes a weight a class'}


SPELLING = NumbersAsWords(length="3 epochs", lr=3e-3, settings={"train.layer_decay": 1.0})


@parametrize_with_checks([SPELLING], expected_failed_checks=expected, xfail_strict=True)
def test_numbers_spelled_as_words(estimator, check, tiny):
    check(estimator.set_params(model=str(tiny)))


def test_tags_say_texts(tiny):
    tags = TextClassifier().__sklearn_tags__()
    assert tags.input_tags.string
    assert tags.input_tags.one_d_array
    assert not tags.input_tags.two_d_array
    assert tags.target_tags.required
    assert tags.classifier_tags.multi_class
    with pytest.warns(SkipTestWarning, match="requires input"):  # scikit-learn has no texts to check with
        check_estimator(TextClassifier(str(tiny)))
