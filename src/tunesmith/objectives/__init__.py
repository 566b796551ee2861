"""What shapes the loss: one file or class each, one line here. Any of them work together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator

from tunesmith.core.spec import Spec
from tunesmith.objectives.adversarial import Fgm, FreeLb, Pgd
from tunesmith.objectives.asymmetric import Asymmetric
from tunesmith.objectives.base import Objective
from tunesmith.objectives.class_balanced import ClassBalanced
from tunesmith.objectives.consistency import Consistency
from tunesmith.objectives.contrast import Contrast
from tunesmith.objectives.dice import Dice
from tunesmith.objectives.focal import Focal
from tunesmith.objectives.mixup import Mixup
from tunesmith.objectives.rdrop import RDrop
from tunesmith.objectives.smoothness import Smart, Vat
from tunesmith.tasks.base import Task


def _switched(value: Any) -> Any:
    """Read true as an objective with its defaults, false as none."""
    if isinstance(value, bool):
        return {} if value else None
    if isinstance(value, str | int | float):
        raise ValueError("is neither true nor false, nor settings of its own", "write true")
    return value


Switch = BeforeValidator(_switched)


class ObjectivesSpec(Spec):
    """The objectives that are switched on: `true`, or some of an objective's settings, switch one on."""

    dice: Annotated[Dice | None, Switch] = None
    """Learn an overlap instead of a likelihood, for rare classes (Li et al. 2020)."""
    asymmetric: Annotated[Asymmetric | None, Switch] = None
    """For many labels of which few are there (Ridnik et al. 2021)."""
    focal: Annotated[Focal | None, Switch] = None
    """What is decided well already counts less (Lin et al. 2017)."""
    class_balanced: Annotated[ClassBalanced | None, Switch] = None
    """Rare classes count more (Cui et al. 2019)."""
    rdrop: Annotated[RDrop | None, Switch] = None
    """Two passes with different dropout are to agree (Liang et al. 2021)."""
    fgm: Annotated[Fgm | None, Switch] = None
    """Adversarial training, one step (Miyato et al. 2017)."""
    pgd: Annotated[Pgd | None, Switch] = None
    """Adversarial training, several steps (Madry et al. 2018)."""
    freelb: Annotated[FreeLb | None, Switch] = None
    """Adversarial training, learning on the way (Zhu et al. 2020)."""
    vat: Annotated[Vat | None, Switch] = None
    """Virtual adversarial training: answers stay under the worst small noise (Miyato et al. 2018)."""
    smart: Annotated[Smart | None, Switch] = None
    """SMART's smoothness: likewise, with little noise and in both directions (Jiang et al. 2020)."""
    contrast: Annotated[Contrast | None, Switch] = None
    """Supervised contrastive learning (Gunel et al. 2021)."""
    mixup: Annotated[Mixup | None, Switch] = None
    """Learn from texts between two texts (Guo et al. 2019)."""
    consistency: Annotated[Consistency | None, Switch] = None
    """Consistency training on texts without labels (UDA; Xie et al. 2020)."""

    @property
    def on(self) -> list[Objective]:
        """What is switched on; what shapes losses in the order in which it does."""
        return [one for name in type(self).model_fields if (one := getattr(self, name)) is not None]

    @property
    def comparing(self) -> list[str]:
        """The names of those that are on and compare the texts of a pass."""
        return [one.name for one in self.on if one.compares]

    @property
    def noise(self) -> tuple[str, ...]:
        """The edits of words that `consistency` makes; none where it is off."""
        return self.consistency.edits if self.consistency else ()

    def active(self, task: Task) -> Sequence[Objective]:
        """Return what is `on`, made ready for a task.

        Raises:
            RecipeError: with all that have no meaning for the task.
        """
        from tunesmith.core.errors import RecipeError

        errors = []
        for one in self.on:
            try:
                one.refuse(task)
            except RecipeError as error:
                errors.append(error)
        if errors:
            raise RecipeError.of([problem for error in errors for problem in error.problems])
        return [one.fitted(task) for one in self.on]
