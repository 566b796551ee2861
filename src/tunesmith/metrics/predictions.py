"""Predictions and the right answers for the same rows, checked once so that every metric can trust them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tunesmith.core.errors import DataError
from tunesmith.core.wording import rows

Array = np.ndarray

SUM_TOLERANCE = 1e-3
"""How far a row's probabilities may be from adding up to 1 (half-precision outputs are that coarse)."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """Class probabilities of some rows beside their gold classes; make one with `Predictions.of`.

    Attributes:
        probabilities: float64, shape (rows, classes).
        gold: class indices, shape (rows,).
    """

    probabilities: Array
    gold: Array

    @classmethod
    def of(cls, probabilities: Array, gold: Array, *, n_classes: int) -> Predictions:
        """Check shapes and ranges.

        Raises:
            DataError: no rows, shapes that do not fit, values that are no probabilities, or classes out of
                range.
        """
        probabilities = np.asarray(probabilities, dtype=np.float64)
        gold = np.asarray(gold)
        _check_shapes(probabilities, gold, n_classes)
        _check_probabilities(probabilities)
        _check_gold(gold, n_classes)
        return cls(probabilities, gold.astype(np.int64))

    def __len__(self) -> int:
        return len(self.gold)

    @property
    def n_classes(self) -> int:
        """How many classes the model knows."""
        return int(self.probabilities.shape[1])

    @cached_property
    def predicted(self) -> Array:
        """The most probable class of each row, the first one where several tie; shape (rows,)."""
        return np.asarray(self.probabilities.argmax(axis=1))

    @cached_property
    def right(self) -> Array:
        """Whether each row's prediction is its gold class; bool, shape (rows,)."""
        return np.asarray(self.predicted == self.gold)

    @cached_property
    def confidence(self) -> Array:
        """The probability of the predicted class, shape (rows,)."""
        return np.asarray(self.probabilities.max(axis=1))


def _check_shapes(probabilities: Array, gold: Array, n_classes: int) -> None:
    if n_classes < 2:
        raise DataError("a classification needs at least two classes", fix="give rows of two or more classes")
    if gold.ndim != 1 or len(gold) == 0:
        raise DataError("there are no rows to measure", fix="give at least one labeled row")
    if probabilities.shape != (len(gold), n_classes):
        raise DataError(
            f"probabilities of shape {probabilities.shape} do not fit {rows(len(gold))}, {n_classes} classes",
            fix="give one probability for each row and class",
        )


def _check_probabilities(probabilities: Array) -> None:
    off = ~np.isfinite(probabilities).all(axis=1)
    off |= ((probabilities < 0) | (probabilities > 1 + SUM_TOLERANCE)).any(axis=1)
    off |= np.abs(probabilities.sum(axis=1) - 1) > SUM_TOLERANCE
    if off.any():
        raise DataError(
            f"values that are no probabilities in {int(off.sum()):,} of {rows(len(off))}, "
            f"the first at position {int(off.argmax()) + 1:,}",
            fix="give finite values from 0 to 1 that add up to 1 in each row",
        )


def _check_gold(gold: Array, n_classes: int) -> None:
    if not np.issubdtype(gold.dtype, np.integer):
        raise DataError("gold classes must be whole numbers", fix="give the index of each row's class")
    unknown = (gold < 0) | (gold >= n_classes)
    if unknown.any():
        raise DataError(
            f"labels the model does not know in {int(unknown.sum()):,} of {rows(len(gold))}",
            fix="leave these rows out, or train with rows of that label",
        )
