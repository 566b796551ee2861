"""Class-balanced loss: rare classes count more, by how much their rows cover (Cui et al. 2019, CVPR)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import Field, PrivateAttr

from tunesmith.objectives.base import Shaping, meaningless
from tunesmith.tasks.base import Task

if TYPE_CHECKING:
    from torch import Tensor

    from tunesmith.tasks.decisions import Decisions


class ClassBalanced(Shaping):
    """Multiply the losses of a class of n rows by (1 - beta) / (1 - beta ** n), scaled to a mean of 1 (equation 2)."""

    name: ClassVar[str] = "class_balanced"

    beta: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """How fast more rows of a class stop adding anything new: 0 for at once (classes count alike as they are), near 1
    for hardly (a class counts by 1 over its rows)."""
    _counts: tuple[int, ...] = PrivateAttr(())

    def refuse(self, task: Task) -> None:
        """Raise RecipeError where nothing is known of how many rows a class has."""
        super().refuse(task)
        if not getattr(task, "class_counts", ()):
            raise meaningless(self.name, task)

    def fitted(self, task: Task) -> Self:
        """Return the objective knowing the rows of each class."""
        found = self.model_copy()
        found._counts = tuple(getattr(task, "class_counts", ()))
        return found

    def factors(self) -> list[float]:
        """Return what the losses of each class are multiplied by."""
        raw = [(1 - self.beta) / (1 - self.beta ** max(1, n)) for n in self._counts]
        return [len(raw) * one / sum(raw) for one in raw]

    def shaped(self, decisions: Decisions, losses: Tensor) -> Tensor:
        """Return the losses times the factor of the class that is right; of labels, of each label."""
        factors = losses.new_tensor(self.factors())
        return losses * (factors[decisions.targets.clamp(min=0)] if decisions.kind == "one" else factors)
