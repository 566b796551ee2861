"""From examples to the tensors of one forward pass."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from tunesmith.tasks.base import Task
from tunesmith.tasks.parts import Batch, Example, padded


def collate(examples: Sequence[Example], task: Task, *, pad_id: int, blank: bool = False) -> Batch:
    """Pad examples on the right to the longest; `blank` sets their weights to zero."""
    ids = padded([example.ids for example in examples], pad_id)
    mask = padded([[1] * len(example.ids) for example in examples], 0)
    extras = {name: padded([example.extras[name] for example in examples], 0) for name in examples[0].extras}
    weights = torch.tensor([0.0 if blank else example.weight for example in examples])
    targets = [example.target for example in examples]
    return Batch(
        {"input_ids": ids, "attention_mask": mask, **extras},
        weights,
        None if targets[0] is None else task.stack(targets),
        None if examples[0].taught is None else torch.tensor([example.taught for example in examples]),
    )


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Return the batch with its tensors on `device`."""
    if device.type == "cpu":
        return batch
    inputs = {name: tensor.to(device, non_blocking=True) for name, tensor in batch.inputs.items()}
    targets = None if batch.targets is None else batch.targets.to(device, non_blocking=True)
    taught = None if batch.taught is None else batch.taught.to(device, non_blocking=True)
    return Batch(inputs, batch.weights.to(device, non_blocking=True), targets, taught)
