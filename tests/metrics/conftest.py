"""Made-up predictions of known quality."""

from collections.abc import Callable

import numpy as np
import pytest

Made = tuple[np.ndarray, np.ndarray]


def make(n_rows: int, n_classes: int, *, seed: int = 0, skill: float = 2.0, sharpness: float = 1.0) -> Made:
    """Return probabilities and gold classes; with sharpness 1 and Gaussian scores they are about calibrated."""
    rng = np.random.default_rng(seed)
    gold = rng.integers(0, n_classes, n_rows)
    logits = rng.normal(size=(n_rows, n_classes))
    logits[np.arange(n_rows), gold] += skill
    logits *= sharpness
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True), gold


@pytest.fixture
def made() -> Callable[..., Made]:
    return make
