"""Focal loss: what is decided well already counts less (Lin et al. 2017, "Focal Loss for Dense Object Detection")."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import NonNegativeFloat

from tunesmith.objectives.base import Shaping

if TYPE_CHECKING:
    from torch import Tensor

    from tunesmith.tasks.decisions import Decisions


class Focal(Shaping):
    """Multiply each loss by (1 - p) ** gamma, p being the probability of what is right (equation 4)."""

    name: ClassVar[str] = "focal"

    gamma: NonNegativeFloat = 2.0
    """How much less easy decisions count; 0: no less."""

    def shaped(self, decisions: Decisions, losses: Tensor) -> Tensor:
        """Return the losses times what is left to learn."""
        return losses * (self.gamma * decisions.log_wrong()).exp()
