"""Mixup: learn from texts between two texts, with an answer between theirs (Zhang et al. 2018; Guo et al. 2019)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from pydantic import PositiveFloat

from tunesmith.objectives.base import Adding, Pass, meaningless
from tunesmith.tasks.base import Task

if TYPE_CHECKING:
    from torch import Tensor


class Mixup(Adding):
    """Also learn from each text mixed with another of its batch, token vector by token vector (wordMixup).

    The shorter text goes on with zeros. Costs one more pass. What a text is mixed with depends on
    `train.tokens_per_batch`. An encoder-decoder's encoder reads the mixed text, its decoder the first one.
    """

    name: ClassVar[str] = "mixup"
    compares: ClassVar[bool] = True
    sees_vectors: ClassVar[bool] = True

    alpha: PositiveFloat = 0.4
    """The share of the first text is drawn from Beta(alpha, alpha): small for near 0 or 1, 1 for anything."""

    def refuse(self, task: Task) -> None:
        """Raise RecipeError where the answer is not one of the whole text."""
        if not task.pools:
            raise meaningless(self.name, task)

    def after(self, p: Pass) -> Iterator[Tensor]:
        """Yield the loss of the mixed texts under both answers, each by its share."""
        import torch

        order = torch.randperm(len(p.batch.weights), device=p.batch.weights.device)
        share = float(torch.distributions.Beta(self.alpha, self.alpha).sample())
        ids, mask = (p.batch.inputs[name] for name in ("input_ids", "attention_mask"))
        both = torch.maximum(mask, mask[order])
        # A decoder looks in the ids for where a text ends: what the second text has more are tokens there, any ones.
        ids = torch.where(both > mask, ids[:, :1], ids)
        inputs = {**p.batch.inputs, "input_ids": ids, "attention_mask": both}
        other = replace(p.batch, targets=p.batch.targets[order], weights=p.batch.weights[order])
        mixed = p.again(lambda v: mix(share, v * p.mask, order), batch=replace(p.batch, inputs=inputs))
        yield self.weight * (share * p.loss_of(mixed) + (1 - share) * p.loss_of(mixed, other))


def mix(share: float, vectors: Tensor, order: Tensor) -> Tensor:
    """Return texts mixed with those in another order."""
    return share * vectors + (1 - share) * vectors[order]
