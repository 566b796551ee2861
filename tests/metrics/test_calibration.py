"""Temperature scaling finds the best temperature, and leaves well alone where there is nothing to find."""

import numpy as np
import pytest
from scipy.special import log_softmax

from tests.metrics.of_classes import measure
from tunesmith.core.errors import DataError
from tunesmith.metrics.calibration import (
    apply_temperature,
    find_shared_temperature,
    find_temperature,
    fit_temperature,
    softmax,
)


def calibrated(n_rows, n_classes, *, seed=0):
    """Logits whose softmax is the true probability of each class, and gold classes drawn from it."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n_rows, n_classes)) * 2
    cumulative = softmax(logits).cumsum(axis=1)
    gold = (rng.random((n_rows, 1)) > cumulative).sum(axis=1).clip(max=n_classes - 1)
    return logits, gold


def log_loss(logits, gold, temperature):
    return -log_softmax(logits / temperature, axis=1)[np.arange(len(gold)), gold].mean()


def test_softmax_is_float64_and_safe():
    found = softmax(np.array([[1000.0, 0.0], [0.0, 0.0]], dtype=np.float32))
    assert found.dtype == np.float64
    assert found == pytest.approx(np.array([[1.0, 0.0], [0.5, 0.5]]))


@pytest.mark.parametrize("factor", [0.4, 1.0, 2.5])
@pytest.mark.parametrize("n_classes", [2, 5])
def test_a_known_temperature_is_found_again(factor, n_classes):
    logits, gold = calibrated(8000, n_classes)
    assert fit_temperature(logits * factor, gold) == pytest.approx(factor, rel=0.07)


@pytest.mark.parametrize("seed", range(5))
def test_no_other_temperature_is_better(seed):
    logits, gold = calibrated(60, 3, seed=seed)
    fit = find_temperature(logits * 3, gold)
    grid = np.exp(np.linspace(np.log(0.05), np.log(20), 2000))
    best = min(log_loss(logits * 3, gold, t) for t in grid)
    assert fit.log_loss_after <= best + 1e-9
    assert fit.log_loss_after == pytest.approx(log_loss(logits * 3, gold, fit.temperature))
    assert fit.log_loss_before == pytest.approx(log_loss(logits * 3, gold, 1.0))


def test_scaling_mends_overconfidence_on_other_rows_and_changes_no_prediction():
    logits, gold = calibrated(4000, 4)
    dev, test = logits[:2000] * 3, logits[2000:] * 3
    temperature = fit_temperature(dev, gold[:2000])
    before, after = softmax(test), apply_temperature(test, temperature)
    assert (before.argmax(axis=1) == after.argmax(axis=1)).all()
    ece = [measure(p, gold[2000:], range(4), resamples=5)["values"]["ece"]["value"] for p in (before, after)]
    assert ece[0] > 0.15 and ece[1] < 0.04


def test_too_few_rows_leave_it_at_one():
    logits, gold = calibrated(19, 2)
    fit = find_temperature(logits, gold)
    assert fit.temperature == 1.0 and "19 rows are too few" in fit.reason
    assert fit.log_loss_before is None


def test_without_a_mistake_it_stays_at_one_instead_of_inventing_certainty():
    logits, _ = calibrated(50, 3)
    fit = find_temperature(logits, logits.argmax(axis=1))
    assert fit.temperature == 1.0 and "no mistake in 50 rows" in fit.reason


def test_scores_that_say_nothing_end_at_the_hottest():
    logits, gold = calibrated(4000, 2)
    fit = find_temperature(-logits, gold)
    assert fit.temperature == pytest.approx(20, rel=0.01)
    assert fit.log_loss_after < fit.log_loss_before


def test_equal_logits_leave_it_at_one():
    fit = find_temperature(np.zeros((40, 2)), np.arange(40) % 2)
    assert fit.temperature == 1.0 and fit.reason == "no temperature lowers the log loss"


def test_the_reason_tells_the_direction():
    logits, gold = calibrated(2000, 3)
    assert "surer than it was right" in find_temperature(logits * 3, gold).reason
    assert "more cautious" in find_temperature(logits / 3, gold).reason


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_impossible_temperatures_are_refused(temperature):
    with pytest.raises(DataError, match="positive number"):
        apply_temperature(np.zeros((1, 2)), temperature)


def test_input_that_does_not_fit_is_refused():
    logits, gold = calibrated(30, 3)
    with pytest.raises(DataError, match="do not fit"):
        fit_temperature(logits[:5], gold)
    with pytest.raises(DataError, match="does not know"):
        fit_temperature(logits, np.where(gold == 0, -1, gold))
    logits[3, 1] = np.nan
    with pytest.raises(DataError, match="finite"):
        fit_temperature(logits, gold)


def test_labels_share_a_temperature():
    rng = np.random.default_rng(0)
    logits = rng.normal(-1, 2, (4000, 3))
    gold = rng.random(logits.shape) < 1 / (1 + np.exp(-logits))
    fit = find_shared_temperature(logits * 3, gold)
    assert fit.temperature == pytest.approx(3, rel=0.05)
    assert fit.log_loss_after < fit.log_loss_before
    assert find_shared_temperature(logits[:4], gold[:4]).reason.startswith("12 decisions are too few")
