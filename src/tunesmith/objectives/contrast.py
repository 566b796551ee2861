"""Supervised contrastive learning: texts of one class are to be alike, and unlike all others (Khosla et al. 2020)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field, PositiveFloat

from tunesmith.objectives.base import Adding, Pass, meaningless
from tunesmith.tasks.base import Task

if TYPE_CHECKING:
    from torch import Tensor


class Contrast(Adding):
    """Mix the loss with a contrastive one over the texts that are read at once.

    (Gunel et al. 2021, "Supervised Contrastive Learning for Pre-trained Language Model Fine-tuning", equations 1 and
    2; there the weight is 0.9 and the temperature 0.3 in most settings.) What a text is compared with depends on
    `train.step_size` and `train.tokens_per_batch`.
    """

    name: ClassVar[str] = "contrast"
    compares: ClassVar[bool] = True
    sees_features: ClassVar[bool] = True

    weight: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of the contrastive loss; the rest is the task's (lambda)."""
    temperature: PositiveFloat = 0.3
    """Below 1 the nearest texts count more (tau)."""

    @property
    def share(self) -> float:
        """The rest is the task's."""
        return 1 - self.weight

    def refuse(self, task: Task) -> None:
        """Raise RecipeError where a text has no class, or no vector of its own."""
        if not (task.pools and task.decides == "one"):
            raise meaningless(self.name, task)

    def beside(self, p: Pass) -> Tensor | None:
        """Return how much less alike each text is to those of its class than it could be."""
        import torch
        import torch.nn.functional as F

        assert p.features is not None
        vectors = F.normalize(p.features.float(), dim=1)
        with torch.autocast(vectors.device.type, enabled=False):  # a product in bf16 is 1% off, over the temperature
            alike = vectors @ vectors.T / self.temperature
        itself = torch.eye(len(alike), dtype=torch.bool, device=alike.device)
        share = alike.masked_fill(itself, float("-inf")).log_softmax(dim=1).masked_fill(itself, 0.0)
        same = (p.batch.targets[:, None] == p.batch.targets[None]) & ~itself
        each = -(share * same).sum(dim=1) / same.sum(dim=1).clamp(min=1)
        found: Tensor = self.weight * (each * p.batch.weights).sum()
        return found
