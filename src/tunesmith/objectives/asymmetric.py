"""Asymmetric loss, for many labels of which few are there (Ridnik et al. 2021, ICCV)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field, NonNegativeFloat

from tunesmith.objectives.base import Shaping

if TYPE_CHECKING:
    from torch import Tensor

    from tunesmith.tasks.decisions import Decisions


TINY = 1e-8
"""Shifted probabilities are no smaller: their powers may be steep at 0."""


class Asymmetric(Shaping):
    """Let labels that are not there count less the better they are known, and not at all once they are known well.

    (Equations 5 and 7.) What another objective has made of the losses stays: the factors are the same.
    """

    name: ClassVar[str] = "asymmetric"
    kinds: ClassVar[tuple[str, ...]] = ("any",)

    gamma_there: NonNegativeFloat = 0.0
    """How much less easy labels count that are there (gamma+)."""
    gamma_absent: NonNegativeFloat = 4.0
    """How much less easy labels count that are not (gamma-)."""
    margin: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """An absent label of no more than this probability is known well."""

    def shaped(self, decisions: Decisions, losses: Tensor) -> Tensor:
        """Return each label's loss, shape (n, labels)."""
        import torch
        import torch.nn.functional as F

        there = losses * (self.gamma_there * decisions.log_wrong()).exp()
        shifted = (decisions.logits.sigmoid() - self.margin).clamp(min=TINY)
        log_rest = F.logsigmoid(-decisions.logits)
        log_shifted = torch.logaddexp(log_rest, losses.new_tensor(self.margin).log()).clamp(max=0)
        absent = losses * shifted**self.gamma_absent * log_shifted / log_rest.clamp(max=-TINY)
        return there * decisions.targets + absent * (1 - decisions.targets)
