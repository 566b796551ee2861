"""What an objective is: something that shapes the loss beside the task, and may be switched on with any other.

It reads a forward pass and may run the model again; it never calls backward and never edits weights. So objectives
commute: the loss is the sum of the task's and of all their terms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import NonNegativeFloat

from tunesmith.core.errors import RecipeError, Where
from tunesmith.core.spec import Spec
from tunesmith.tasks.base import Task
from tunesmith.tasks.parts import Batch

if TYPE_CHECKING:
    from torch import Tensor

    from tunesmith.tasks.decisions import Decisions

    Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Pass:
    """One batch after its forward pass, in training mode.

    Attributes:
        task: what is learnt.
        batch: what was read.
        out: what the model gave; in the graph before its loss is learnt from, then only to be looked at.
        vectors: the token vectors of the source, shape (batch, tokens, width); likewise.
        features: what the head received, shape (batch, width), where an objective `sees_features`.
        again: runs the model once more, with new dropout, on this or another batch; a change is applied to its token
            vectors.
        repeat: likewise on this batch, with the dropout it had; for an objective that `repeats`.
        loss_of: the loss of an output as it is learnt, objectives that shape it included: a sum over items.
        part: what the task's loss in each of the passes that it is the mean of is multiplied by.
        twins: pairs of batches of unlabeled texts, as they are and with noise, made one by one; None where an objective
            that wants them is not switched on.
    """

    task: Task
    batch: Batch
    out: Any
    vectors: Tensor | None
    features: Tensor | None
    again: Callable[..., Any]
    repeat: Callable[[Change], Any]
    loss_of: Callable[..., Tensor]
    part: float = 1.0
    twins: Iterable[tuple[Batch, Batch]] | None = None

    @property
    def slope(self) -> Tensor:
        """The gradient of what was learnt from this pass with respect to `vectors`, once it was; 0 for padding."""
        assert self.vectors is not None
        assert self.vectors.grad is not None
        return self.vectors.grad * self.mask

    @property
    def mask(self) -> Tensor:
        """1 for tokens, 0 for padding, shape (batch, tokens, 1)."""
        found: Tensor = self.batch.inputs["attention_mask"][..., None]
        return found

    @property
    def token_size(self) -> Tensor:
        """The root mean square length of each text's token vectors, shape (batch, 1, 1): what noise is measured by."""
        assert self.vectors is not None
        squares = self.vectors.detach().float().square().sum(dim=-1, keepdim=True) * self.mask
        found: Tensor = (squares.sum(dim=1, keepdim=True) / self.mask.sum(dim=1, keepdim=True)).sqrt()
        return found

    def decisions(self, out: Any | None = None) -> Decisions:
        """Return what this pass decides, or another over the same batch."""
        return self.task.decisions(self.out if out is None else out, self.batch)


class Objective(Spec):
    """Base of all objectives: settings as fields, and one or more of the three ways to shape what is learnt."""

    name: ClassVar[str]
    """What its setting, its errors and its line in the log are called."""
    sees_vectors: ClassVar[bool] = False
    """Whether it needs the token vectors, or their slope."""
    sees_features: ClassVar[bool] = False
    """Whether it needs what the head receives."""
    repeats: ClassVar[bool] = False
    """Whether it needs the same dropout in several passes."""
    compares: ClassVar[bool] = False
    """Whether it learns from several texts of a pass together, so that what it learns depends on which are read at
    once."""

    def refuse(self, task: Task) -> None:
        """Raise RecipeError where it has no meaning for a task."""

    def fitted(self, task: Task) -> Self:
        """Return the objective knowing what it takes from a task that has seen its training rows."""
        del task
        return self

    @property
    def share(self) -> float:
        """What the task's own loss is multiplied by, over all its passes, for the sake of this objective."""
        return 1.0

    @property
    def passes(self) -> int:
        """In how many more passes it learns the task's own loss, which is the mean over them and the text's own."""
        return 0

    def shaped(self, decisions: Decisions, losses: Tensor) -> Tensor:
        """Return the losses of decisions, shaped; see `Decisions.losses`."""
        del decisions
        return losses

    def beside(self, p: Pass) -> Tensor | None:
        """Return a term that is learnt in one go with the task's loss: it may depend on `p.out` and `p.features`."""
        del p
        return None

    def after(self, p: Pass) -> Iterator[Tensor]:
        """Yield terms, sums over items, each of which is learnt from before the next is asked for.

        `p.slope` is known then, and what is left of the graph of `p.out` can't be learnt from.
        """
        del p
        yield from ()


class Adding(Objective):
    """An objective that adds a term."""

    weight: NonNegativeFloat = 1.0
    """What its term is multiplied by."""


class Shaping(Objective):
    """An objective that changes the losses of decisions, and adds no term."""

    kinds: ClassVar[tuple[str, ...]] = ("one", "any")
    """The kinds of decisions it can shape."""

    def refuse(self, task: Task) -> None:
        """Raise RecipeError where a task decides nothing of the kind, or learns whole sequences."""
        if task.decides not in self.kinds:
            raise self.meaningless(task)
        if getattr(task, "crf", False):
            where = Where(column=f"objectives.{self.name}")
            message = "a CRF learns whole sequences of tags, whose loss is not made of those of single tags"
            raise RecipeError(message, where=where, fix="--set task.crf=false")

    def meaningless(self, task: Task) -> RecipeError:
        """Return what is to be said where the task has no such decisions."""
        return meaningless(self.name, task)


def meaningless(name: str, task: Task) -> RecipeError:
    """Return the error that says that an objective has no meaning for a task."""
    where = Where(column=f"objectives.{name}")
    return RecipeError(f"has no meaning for {task.kind}", where=where, fix=f"leave out objectives.{name}")
