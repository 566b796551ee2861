"""Resampling weights, intervals and p-values."""

import numpy as np
import pytest

from tunesmith.metrics.bootstrap import affordable, interval, resampled_weights, two_sided_p


def test_weights_are_counts_of_rows_drawn_with_replacement():
    blocks = list(resampled_weights(50_000, resamples=20, seed=1))
    assert len(blocks) > 1
    weights = np.concatenate(blocks, axis=1)
    assert weights.shape == (50_000, 20)
    assert (weights.sum(axis=0) == 50_000).all()
    # A row's count is Poisson(1) for many rows: a share of 1 / e is never drawn.
    assert np.mean(weights == 0) == pytest.approx(np.exp(-1), abs=0.003)
    assert np.var(weights) == pytest.approx(1, abs=0.02)


def test_weights_depend_on_the_seed_only():
    first, again, other = (np.concatenate(list(resampled_weights(9, resamples=5, seed=s)), 1) for s in (0, 0, 1))
    assert (first == again).all() and (first != other).any()


def test_interval_is_the_middle_95_percent():
    draws = np.arange(1001) / 1000
    assert interval(0.5, draws) == pytest.approx((0.025, 0.975))


def test_undefined_draws_are_left_out():
    draws = np.array([0.1, np.nan, 0.3])
    assert interval(0.2, draws) == pytest.approx((0.105, 0.295))
    assert interval(float("nan"), draws) is None
    assert interval(0.2, np.array([np.nan])) is None


def test_the_value_is_always_inside():
    assert interval(0.9, np.array([0.1, 0.2])) == pytest.approx((0.1025, 0.9))


def test_centred_draws_lie_around_the_value_and_not_below_zero():
    low, high = interval(0.01, np.random.default_rng(0).normal(0.05, 0.01, 5000), centred=True)
    assert low == 0 and high == pytest.approx(0.01 + 1.96 * 0.01, abs=0.001)


def test_p_values_agree_with_the_interval():
    draws = np.random.default_rng(0).normal(2.5, 1, 4000)
    assert two_sided_p(draws) == pytest.approx(0.0124, abs=0.005)
    assert two_sided_p(-draws) == two_sided_p(draws)
    assert two_sided_p(np.ones(999)) == pytest.approx(0.002)
    assert two_sided_p(np.zeros(10)) == 1


def test_resamples_shrink_with_rows_and_their_cost_but_not_below_200():
    assert affordable(1000, n_rows=25_000, cost=2) == 1000
    assert affordable(1000, n_rows=500_000) == 400
    assert affordable(1000, n_rows=250_000, cost=2) == 400
    assert affordable(1000, n_rows=10**9) == 200
    assert affordable(50, n_rows=10**9) == 50
