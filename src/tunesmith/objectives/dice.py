"""Self-adjusting dice loss, for rare classes (Li et al. 2020, "Dice Loss for Data-imbalanced NLP Tasks")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field, PositiveFloat

from tunesmith.objectives.base import Shaping

if TYPE_CHECKING:
    from torch import Tensor

    from tunesmith.tasks.decisions import Decisions


TINY = 1e-6
"""What is left of a class's probability to 1 is no smaller, where labels are smoothed."""


class Dice(Shaping):
    """Learn an overlap instead of a likelihood: 1 - (2 w p y + s) / (w p + y + s) with w = (1 - p) ** alpha.

    (Equation 10.) Of several classes only the right one is looked at, y being 1. Its loss is smallest at p = 1 / (1 +
    alpha): with alpha 1, the equation as it is printed, at one half, where of two classes none is learnt.
    """

    name: ClassVar[str] = "dice"

    alpha: Annotated[float, Field(ge=0, le=1)] = 0.01
    """How much less easy decisions count; more than 0.1 keeps a model from being sure."""
    smooth: PositiveFloat = 1.0
    """What is added above and below, so that a label that is not there can be learnt as well."""

    def shaped(self, decisions: Decisions, losses: Tensor) -> Tensor:
        """Return dice losses in the place of cross-entropies; weights of classes and smoothing of labels stay."""
        import torch.nn.functional as F

        targets, weights = decisions.targets, decisions.class_weights
        if decisions.kind == "one":
            return self._of_classes(decisions)
        found = self._of(decisions.logits.sigmoid(), F.logsigmoid(-decisions.logits), targets)
        return found if weights is None else found * (1 + (weights - 1) * targets)

    def _of_classes(self, decisions: Decisions) -> Tensor:
        """Return the loss of the right class, and where labels are smoothed their share of the mean of all classes'."""
        import torch

        from tunesmith.models.words import IGNORED

        targets, weights, smoothing = decisions.targets, decisions.class_weights, decisions.smoothing
        found = self._of(decisions.right(), decisions.log_wrong(), 1.0)
        if weights is not None:
            found = found * weights[targets.clamp(min=0)]
        if smoothing:
            p = decisions.logits.softmax(dim=1)
            each = self._of(p, torch.log1p(-p.clamp(max=1 - TINY)), 1.0)
            each = each if weights is None else each * weights
            found = (1 - smoothing) * found + smoothing * each.mean(dim=1)
        return found * (targets != IGNORED)

    def _of(self, p: Tensor, log_rest: Tensor, y: Tensor | float) -> Tensor:
        """Return the loss of probabilities, of which the logarithms of what is left to 1 are given."""
        pulled = (self.alpha * log_rest).exp() * p
        found: Tensor = 1 - (2 * pulled * y + self.smooth) / (pulled + y + self.smooth)
        return found
