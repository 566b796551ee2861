"""A head that starts right: logistic regression on the frozen model's text vectors, written into the head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from tunesmith.core.errors import RecipeError, Where
from tunesmith.engine.infer import infer
from tunesmith.metrics.baselines import best_c, fit_logistic
from tunesmith.models.classifier import head_of
from tunesmith.models.vectors import of_texts
from tunesmith.tasks.base import Task
from tunesmith.tasks.parts import Batch, Example

Array = np.ndarray


GRID = (0.001, 0.003, 0.01, 0.03, 0.1)
"""Inverse strengths of the penalty. A probe that knows all training rows by heart leaves the rest nothing to learn."""
MIDDLE = GRID[len(GRID) // 2]
SEARCH_CELLS = 40_000
"""Up to this many rows x classes the strength comes from cross-validation, above it is the middle one."""
MISSING_BIAS = -20.0


class Probe(NamedTuple):
    """A logistic regression on vectors as they are (standardising is folded into the weights).

    Attributes:
        weights: shape (classes, width); `softmax(vectors @ weights.T + bias)` are the probabilities.
        bias: shape (classes,); -20 for a class without rows.
        c: inverse strength of the L2 penalty that was used.
    """

    weights: Array
    bias: Array
    c: float


def start_head(model: nn.Module, examples: Sequence[Example], *, task: Task, pad_id: int, seed: int = 0) -> None:
    """Fit a logistic regression on what the head receives, and let the head start as it.

    (LP-FT: Kumar et al. 2022, "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution".)

    Raises:
        RecipeError: the task is not one class for each text.
    """
    if not isinstance(examples[0].target, int):
        where = Where(column="model.head_start", value="probe")
        raise RecipeError("only a head of classes of texts can start as a probe", where=where, fix="use random")
    head = head_of(model)
    vectors = head_features(model, examples, task=task, pad_id=pad_id)
    rows, first, row_of = np.unique([example.row for example in examples], return_index=True, return_inverse=True)
    whole = np.zeros((len(rows), vectors.shape[1]))
    np.add.at(whole, row_of, vectors / np.bincount(row_of)[row_of, None])  # windows of a long text: their mean
    labels = np.array([examples[i].target for i in first])
    found = fit_probe(whole, labels, n_classes=head.out_features, bias=head.bias is not None, seed=seed)
    with torch.no_grad():
        head.weight.copy_(torch.as_tensor(found.weights, dtype=head.weight.dtype))
        if head.bias is not None:
            head.bias.copy_(torch.as_tensor(found.bias, dtype=head.weight.dtype))


def fit_probe(vectors: Array, labels: Array, *, n_classes: int, bias: bool = True, seed: int = 0) -> Probe:
    """Return a logistic regression on vectors, standardised; its penalty comes from cross-validation.

    Args:
        vectors: shape (rows, width), at least one row.
        labels: class indices, shape (rows,).
        n_classes: how many classes there are.
        bias: whether there is one; without, vectors are scaled and not shifted.
        seed: of the folds.
    """
    rows = np.asarray(vectors, dtype=np.float64)
    mean, scale = rows.mean(axis=0) * bias, rows.std(axis=0)
    scale[scale < 1e-12] = 1.0
    rows = (rows - mean) / scale
    found, offsets = np.zeros((n_classes, rows.shape[1])), np.full(n_classes, MISSING_BIAS)
    present = np.unique(labels)
    if len(present) == 1:
        offsets[present] = 0.0
        return Probe(found, offsets, MIDDLE)
    is_cheap = len(labels) * len(present) <= SEARCH_CELLS
    c = best_c(rows, labels, grid=GRID if is_cheap else (MIDDLE,), bias=bias, seed=seed)
    model = fit_logistic(rows, labels, c=c, bias=bias)
    # With two classes there is one row, for the second: half of it up and half of it down says the same.
    halves = np.array([[-0.5], [0.5]]) if len(present) == 2 else np.eye(len(present))
    found[present] = halves @ model.coef_ / scale
    offsets[present] = halves @ np.broadcast_to(model.intercept_, len(model.coef_)) - found[present] @ mean
    return Probe(found, offsets, c)


def head_features(model: nn.Module, examples: Sequence[Example], *, task: Task, pad_id: int) -> Array:
    """Return what the last linear layer receives for each example, shape (examples, features)."""
    head = head_of(model)
    seen: list[torch.Tensor] = []
    outputs: list[Array] = []

    class Reading(type(task)):  # type: ignore[misc]
        def run(self, model: nn.Module, batch: Batch) -> Array:
            model(**batch.inputs)
            found: Array = of_texts(seen.pop(), batch.inputs["attention_mask"]).float().cpu().numpy()
            return found

    hook = head.register_forward_pre_hook(lambda _head, args: seen.append(args[0].detach()))
    try:
        outputs = infer(model, examples, task=Reading(**dict(task)), pad_id=pad_id)
    finally:
        hook.remove()
    return np.stack(outputs)
