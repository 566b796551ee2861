"""R-Drop: two passes with different dropout are to agree (Liang et al. 2021, NeurIPS)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import NonNegativeFloat

from tunesmith.objectives.base import Adding, Pass

if TYPE_CHECKING:
    from torch import Tensor


class RDrop(Adding):
    """Learn the mean loss of two passes, and their symmetric divergence (equation 4).

    Costs a second pass. A weight of 1 suits most tasks of the paper, 0.1 to 5 are its range; 0 is off.
    """

    name: ClassVar[str] = "rdrop"

    weight: NonNegativeFloat = 1.0
    """What the divergence is multiplied by (alpha)."""

    @property
    def share(self) -> float:
        """Half of the loss is that of the second pass."""
        return 0.5

    def beside(self, p: Pass) -> Tensor | None:
        """Return half of the second pass's loss, and half of the divergences in both directions."""
        again = p.again()
        one, other = p.decisions(), p.decisions(again)
        both = one.divergences(other) + other.divergences(one)
        return 0.5 * p.loss_of(again) + self.weight * 0.5 * (both * one.weights).sum()
