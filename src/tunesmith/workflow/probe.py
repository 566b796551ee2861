"""A head that starts right: logistic regression on the frozen model's text vectors, written into the head."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from tunesmith.core.errors import RecipeError, Where
from tunesmith.engine.infer import infer
from tunesmith.models.classifier import head_of
from tunesmith.tasks.base import Task
from tunesmith.tasks.parts import Batch, Example


def start_head(model: nn.Module, examples: Sequence[Example], *, task: Task, pad_id: int) -> None:
    """Fit a logistic regression on what the head receives, and let the head start as it.

    Raises:
        RecipeError: the task is not one class for each text.
    """
    from sklearn.linear_model import LogisticRegression

    if not isinstance(examples[0].target, int):
        where = Where(column="model.head_start", value="probe")
        raise RecipeError("only a head of classes of texts can start as a probe", where=where, fix="use random")
    vectors = head_features(model, examples, task=task, pad_id=pad_id)
    targets = np.array([example.target for example in examples])
    scale = float(vectors.std()) or 1.0
    weights = np.array([example.weight for example in examples])
    fitted = LogisticRegression(C=1.0, max_iter=300).fit(vectors / scale, targets, sample_weight=weights)
    coefficients, intercepts = _per_class(fitted, n_classes=head_of(model).out_features)
    head = head_of(model)
    with torch.no_grad():
        head.weight.copy_(torch.as_tensor(coefficients / scale, dtype=head.weight.dtype))
        if head.bias is not None:
            head.bias.copy_(torch.as_tensor(intercepts, dtype=head.weight.dtype))


def head_features(model: nn.Module, examples: Sequence[Example], *, task: Task, pad_id: int) -> np.ndarray:
    """Return what the last linear layer receives for each example, shape (examples, features)."""
    head = head_of(model)
    seen: list[np.ndarray] = []
    outputs: list[np.ndarray] = []

    class Reading(type(task)):  # type: ignore[misc]
        def run(self, model: nn.Module, batch: Batch) -> np.ndarray:
            model(**batch.inputs)
            found = seen.pop()
            if found.ndim == 2:
                return found
            last = batch.inputs["attention_mask"].sum(dim=1).cpu().numpy() - 1
            last_found: np.ndarray = found[np.arange(len(found)), last]  # of heads that are pooled after them (GPT-2)
            return last_found

    hook = head.register_forward_pre_hook(lambda _head, args: seen.append(args[0].detach().float().cpu().numpy()))
    try:
        outputs = infer(model, examples, task=Reading(**dict(task)), pad_id=pad_id)
    finally:
        hook.remove()
    return np.stack(outputs)


def _per_class(fitted: object, *, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return weights (classes, features) and biases of a logistic regression, for two classes as well."""
    coefficients, intercepts = fitted.coef_, fitted.intercept_  # type: ignore[attr-defined]
    if len(coefficients) == 1:
        coefficients = np.concatenate([-coefficients / 2, coefficients / 2])
        intercepts = np.concatenate([-intercepts / 2, intercepts / 2])
    classes = fitted.classes_  # type: ignore[attr-defined]
    weights = np.zeros((n_classes, coefficients.shape[1]))
    biases = np.full(n_classes, float(intercepts.min()))
    weights[classes], biases[classes] = coefficients, intercepts
    return weights, biases
