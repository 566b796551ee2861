"""Forward passes without gradients: used by evaluation during training and by prediction alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from tunesmith.engine.batch import collate, to_device
from tunesmith.engine.plan import pack_all
from tunesmith.tasks.base import Task
from tunesmith.tasks.parts import Batch, Example

TOKENS_PER_BATCH = 4096
"""Padded tokens in one forward pass on a CPU; more gains nothing there."""


def infer(
    model: nn.Module,
    examples: Sequence[Example],
    *,
    task: Task,
    pad_id: int,
    run: Callable[[nn.Module, Batch], Any] | None = None,
    tokens_per_batch: int = TOKENS_PER_BATCH,
    on_batch: Callable[[int], None] | None = None,
) -> list[Any]:
    """Return what `run`, by default the task's own, keeps of each example, in the examples' order.

    Batches are made of examples of similar length, longest first. `on_batch` is told how many examples were done.
    The model's training mode is restored.
    """
    outputs: list[Any] = [None] * len(examples)
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        tokens = min(tokens_per_batch, task.tokens_per_pass)
        for indices in pack_all([example.n_tokens for example in examples], tokens=tokens):
            batch = to_device(collate([examples[i] for i in indices], task, pad_id=pad_id), device)
            found = (run or task.run)(model, batch)
            for i, output in zip(indices, found, strict=True):
                outputs[i] = output
            if on_batch:
                on_batch(len(indices))
    model.train(was_training)
    return outputs
