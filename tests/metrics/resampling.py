"""What every scorer must hold: each resample is the metric on the drawn rows, and numbers are ready for JSON."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from tunesmith.metrics.bootstrap import resampled_weights, unit_weights
from tunesmith.metrics.scorer import Scorer, measure


def assert_draws_equal(
    scorer: Scorer, reference: Callable[[np.ndarray], Mapping[str, float]], *, n: int = 30, within: float = 1e-9
) -> None:
    """Compare all rows as they are, and `n` resamples, with `reference` of the drawn rows' indices.

    NaN must meet NaN; a metric that the reference leaves out is not compared.
    """
    weights = np.hstack([unit_weights(len(scorer)), *resampled_weights(len(scorer), resamples=n, seed=3)])
    found = scorer.at(weights)
    for draw in range(weights.shape[1]):
        rows = np.repeat(np.arange(len(scorer)), weights[:, draw].astype(int))
        for name, expected in reference(rows).items():
            one = found[name][..., draw]
            assert one == pytest.approx(expected, abs=within, rel=within, nan_ok=True), (name, draw)
    for name in scorer.names:
        assert scorer.only(name, weights) == pytest.approx(found[name], nan_ok=True)


def measured(scorer: Scorer, *, resamples: int = 20) -> dict[str, Any]:
    """Measure, and check that names, intervals and JSON are in order."""
    found = measure(scorer, resamples=resamples)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert tuple(found["values"]) == scorer.names
    for entry in found["values"].values():
        assert entry["reason"] if entry["value"] is None else entry["low"] <= entry["value"] <= entry["high"]
    return found
