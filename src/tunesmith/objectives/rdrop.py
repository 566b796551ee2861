"""R-Drop: two passes with different dropout are to agree (Liang et al. 2021, NeurIPS)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import NonNegativeFloat

from tunesmith.objectives.base import Adding, Pass

if TYPE_CHECKING:
    from torch import Tensor


class RDrop(Adding):
    """Learn the mean loss of two passes, and the mean of their divergences in both directions.

    (Half of equation 4, which adds the two losses: its alpha is twice the weight.) Costs a second pass. The paper's
    alphas, 0.1 to 5, are weights of 0.05 to 2.5.
    """

    name: ClassVar[str] = "rdrop"

    weight: NonNegativeFloat = 1.0
    """What the divergence is multiplied by (half of alpha)."""

    @property
    def passes(self) -> int:
        """The second one."""
        return 1

    def beside(self, p: Pass) -> Tensor | None:
        """Return the second pass's part of the loss, and half of the divergences in both directions."""
        again = p.again()
        one, other = p.decisions(), p.decisions(again)
        both = one.divergences(other) + other.divergences(one)
        return p.part * p.loss_of(again) + self.weight * 0.5 * (both * one.weights).sum()
