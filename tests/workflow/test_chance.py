"""How much worse averaged weights may look on dev rows before the best single ones are kept."""

import numpy as np
import pytest

from tunesmith.workflow.session import chance


def test_the_chance_of_a_share_is_that_of_its_rows():
    assert chance(0.8, 100, is_error=False) == pytest.approx(0.04)


def test_the_chance_of_an_error_grows_with_it_and_not_with_its_unit():
    drawn = np.random.default_rng(0).normal(size=(4000, 200))
    seen = float(np.sqrt((drawn**2).mean(axis=1)).std())
    assert chance(1.0, 200, is_error=True) == pytest.approx(seen, rel=0.05)
    assert chance(0.01, 200, is_error=True) == pytest.approx(chance(10, 200, is_error=True) / 1000)
