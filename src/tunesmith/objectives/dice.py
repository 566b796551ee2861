"""Self-adjusting dice loss, for rare classes (Li et al. 2020, "Dice Loss for Data-imbalanced NLP Tasks")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field, PositiveFloat

from tunesmith.objectives.base import Shaping

if TYPE_CHECKING:
    from torch import Tensor

    from tunesmith.tasks.decisions import Decisions


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
        """Return dice losses in the place of cross-entropies; class weights stay, labels are not smoothed."""
        import torch.nn.functional as F

        from tunesmith.models.words import IGNORED

        targets = decisions.targets
        is_one = decisions.kind == "one"
        p, y = (decisions.right(), 1.0) if is_one else (decisions.logits.sigmoid(), targets)
        log_rest = decisions.log_wrong() if is_one else F.logsigmoid(-decisions.logits)
        pulled = (self.alpha * log_rest).exp() * p
        found: Tensor = 1 - (2 * pulled * y + self.smooth) / (pulled + y + self.smooth)
        weights = decisions.class_weights
        if is_one:
            if weights is not None:
                found = found * weights[targets.clamp(min=0)]
            return found * (targets != IGNORED)
        return found if weights is None else found * (1 + (weights - 1) * targets)
