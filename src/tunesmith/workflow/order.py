"""In which order the examples of a recipe are learnt from, and which of them together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tunesmith.engine.plan import Plan
from tunesmith.recipe.recipe import Recipe
from tunesmith.tasks.parts import Example


def make_plan(recipe: Recipe, examples: Sequence[Example], *, world: int = 1) -> Plan:
    """Return the plan of a resolved recipe."""
    return Plan(
        np.array([example.n_tokens for example in examples]),
        row_shares(examples),
        recipe.train.length,
        recipe.train.step_size,
        int(recipe.train.tokens_per_batch),
        recipe.seed,
        world,
    )


def row_shares(examples: Sequence[Example]) -> np.ndarray:
    """Return which part of its row each example is; what a step of "32 rows" is counted by."""
    rows = np.array([example.row for example in examples])
    shares: np.ndarray = 1 / np.bincount(rows)[rows]
    return shares
