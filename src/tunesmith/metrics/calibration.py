"""Temperature scaling: one number that makes confidence match accuracy (Guo et al. 2017).

The temperature is fitted on rows that were not trained on; it changes no prediction, only the probabilities.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tunesmith.core.errors import DataError
from tunesmith.core.wording import count, does

Array = np.ndarray

COLDEST, HOTTEST = 0.05, 20.0
"""Range of temperatures that are tried."""
FEWEST_ROWS = 20
"""Fewer rows say too little about confidence."""


@dataclass(frozen=True, slots=True)
class TemperatureFit:
    """A temperature and how it came about.

    Attributes:
        temperature: above 1 makes probabilities more cautious, below 1 surer; 1 changes nothing.
        reason: one sentence, why it is what it is.
        log_loss_before: mean negative log-likelihood at temperature 1; None where nothing was measured.
        log_loss_after: the same at `temperature`.
    """

    temperature: float
    reason: str
    log_loss_before: float | None = None
    log_loss_after: float | None = None


def softmax(logits: Array) -> Array:
    """Return probabilities in float64 over the last axis."""
    from scipy.special import softmax as scipy_softmax

    return np.asarray(scipy_softmax(np.asarray(logits, dtype=np.float64), axis=-1))


def apply_temperature(logits: Array, temperature: float) -> Array:
    """Return the probabilities of logits divided by `temperature`; the most probable class stays the same.

    Raises:
        DataError: `temperature` is not a positive number.
    """
    if not (math.isfinite(temperature) and temperature > 0):
        raise DataError(f"a temperature must be a positive number, not {temperature}", fix="use 1 for no change")
    return softmax(np.asarray(logits, dtype=np.float64) / temperature)


def fit_temperature(logits: Array, gold: Array) -> float:
    """Return the temperature that `find_temperature` finds."""
    return find_temperature(logits, gold).temperature


def find_shared_temperature(logits: Array, gold: Array) -> TemperatureFit:
    """Find one temperature for labels that are each a yes or no, as `find_temperature` does for classes.

    Args:
        logits: shape (rows, labels), of rows that were not trained on.
        gold: whether each row has each label, likewise.
    """
    logits = np.asarray(logits, dtype=np.float64)
    yes_or_no = np.stack([np.zeros_like(logits), logits], axis=-1).reshape(-1, 2)
    return find_temperature(yes_or_no, np.asarray(gold).ravel().astype(int), noun="decision")


def find_temperature(logits: Array, gold: Array, *, noun: str = "row") -> TemperatureFit:
    """Find the temperature with the lowest log loss, between 0.05 and 20.

    It stays at 1 with fewer than 20 rows, without a single mistake (any colder temperature would then look
    better still, and the confidence would be made up), and where no temperature lowers the log loss.

    Args:
        logits: shape (rows, classes), of rows that were not trained on.
        gold: class indices, shape (rows,).
        noun: what the reason calls a row.

    Raises:
        DataError: shapes that do not fit, logits that are not finite, or classes out of range.
    """
    logits, gold = np.asarray(logits, dtype=np.float64), np.asarray(gold)
    _check(logits, gold)
    if len(gold) < FEWEST_ROWS:
        are = does(len(gold), noun, "is", "are")
        return TemperatureFit(1.0, f"{are} too few to fit a temperature (at least {FEWEST_ROWS})")
    before = _log_loss(logits, gold, 1.0)
    if bool((logits.argmax(axis=1) == gold).all()):
        return TemperatureFit(
            1.0, f"no mistake in {count(len(gold), noun)}: nothing to fit a temperature on", before, before
        )
    best = _lowest(logits, gold)
    after = _log_loss(logits, gold, best)
    if not after < before:
        return TemperatureFit(1.0, "no temperature lowers the log loss", before, before)
    return TemperatureFit(best, _describe(best, before, after), before, after)


def _check(logits: Array, gold: Array) -> None:
    if logits.ndim != 2 or gold.shape != (len(logits),):
        raise DataError(
            f"logits of shape {logits.shape} do not fit gold classes of shape {gold.shape}",
            fix="give one row of logits for each gold class",
        )
    if not np.isfinite(logits).all():
        raise DataError("logits must be finite numbers", fix="look for a loss that became NaN in training")
    if len(gold) and not (gold.min() >= 0 and gold.max() < logits.shape[1]):
        raise DataError("some rows have a label the model does not know", fix="leave these rows out")


def _log_loss(logits: Array, gold: Array, temperature: float) -> float:
    from scipy.special import log_softmax

    return float(-np.mean(log_softmax(logits / temperature, axis=1)[np.arange(len(gold)), gold]))


def _lowest(logits: Array, gold: Array) -> float:
    """The log loss is convex in 1 / temperature, so it has one valley over log temperature too."""
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda log_t: _log_loss(logits, gold, math.exp(log_t)),
        bounds=(math.log(COLDEST), math.log(HOTTEST)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return math.exp(found.x)


def _describe(temperature: float, before: float, after: float) -> str:
    mood = "surer than it was right" if temperature > 1 else "more cautious than it had to be"
    return f"the model was {mood}: log loss falls from {before:.3f} to {after:.3f}"
