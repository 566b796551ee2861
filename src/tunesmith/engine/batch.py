"""From examples to the tensors of one forward pass."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from tunesmith.tasks.base import Batch, Example, Task


def collate(examples: Sequence[Example], task: Task, *, pad_id: int, blank: bool = False) -> Batch:
    """Pad examples on the right to the longest; `blank` sets their weights to zero."""
    longest = max(len(example.ids) for example in examples)
    ids = torch.full((len(examples), longest), pad_id, dtype=torch.long)
    mask = torch.zeros((len(examples), longest), dtype=torch.long)
    for i, example in enumerate(examples):
        n = len(example.ids)
        ids[i, :n] = torch.as_tensor(example.ids, dtype=torch.long)
        mask[i, :n] = 1
    weights = torch.tensor([0.0 if blank else example.weight for example in examples])
    targets = [example.target for example in examples]
    return Batch(
        {"input_ids": ids, "attention_mask": mask},
        weights,
        None if targets[0] is None else task.stack(targets),
    )


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Return the batch with its tensors on `device`."""
    if device.type == "cpu":
        return batch
    inputs = {name: tensor.to(device, non_blocking=True) for name, tensor in batch.inputs.items()}
    targets = None if batch.targets is None else batch.targets.to(device, non_blocking=True)
    return Batch(inputs, batch.weights.to(device, non_blocking=True), targets)
