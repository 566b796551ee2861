"""Consistency training on unlabeled texts: answers are to stay under edits of words (UDA; Xie et al. 2020, NeurIPS)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import AfterValidator, Field, NonNegativeFloat, PositiveInt

from tunesmith.data.augment.spec import EDA, WordEdit, not_empty
from tunesmith.objectives.base import Adding, Pass, meaningless
from tunesmith.tasks.base import Task

if TYPE_CHECKING:
    from torch import Tensor

    from tunesmith.tasks.decisions import Decisions


class Consistency(Adding):
    """Learn that a text with edited words has the answer that the model gives to the text itself.

    (Xie et al. 2020, "Unsupervised Data Augmentation for Consistency Training", equation 1 and section 2.4: sharpened
    answers, of which no gradient is taken, and a mask of unsure ones; masked texts count in the mean as 0.) The
    divergence is KL(sharpened || edited), the paper's cross-entropy without its constant part; of labels, each is
    sharpened and masked alone; of numbers, which have no probability, it is the squared difference. The texts are those
    of `data.unlabeled`, else the training rows' own. Costs 2 * `ratio` passes, half of them without gradients.

    With a `teacher`, the answers are those of another model that was trained before, given once, to the whole texts:
    self-training with noise (Xie et al. 2020, "Self-training with Noisy Student", algorithm 1), and where the teacher
    is larger, distillation into a smaller model (Hinton et al. 2015, section 2). Costs `ratio` passes.
    """

    name: ClassVar[str] = "consistency"

    weight: NonNegativeFloat = 1.0
    """What its term is multiplied by (lambda)."""
    ratio: PositiveInt = 3
    """Unlabeled texts for each labelled one in a step, or for each window of a long one."""
    temperature: Annotated[float, Field(gt=0, le=1)] = 0.4
    """How far answers are sharpened before they are learnt: 1 not at all, near 0 to all or nothing (tau)."""
    confidence: Annotated[float, Field(ge=0, lt=1)] = 0.8
    """Answers of no more than this probability are not learnt (beta); 0: all are."""
    teacher: str = ""
    """A run, or a stage before, whose answers are learnt in the place of the model's own."""
    edits: Annotated[tuple[WordEdit, ...], AfterValidator(not_empty)] = EDA
    """The noise: one of these edits of words for each text and step, drawn anew."""
    rate: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Share of a text's words that an edit changes, at least one word."""

    def refuse(self, task: Task) -> None:
        """Raise RecipeError where the answer is not one of the whole text."""
        if not task.pools:
            raise meaningless(self.name, task)

    def after(self, p: Pass) -> Iterator[Tensor]:
        """Yield the divergences of some unlabeled texts after others."""
        import torch

        assert p.twins is not None
        for still, edited in p.twins:
            taught = still.taught
            if taught is None:
                with torch.no_grad():
                    taught = p.task.decisions(p.again(batch=still), still).logits
            found = p.task.decisions(p.again(batch=edited), edited)
            yield self.weight * self.term(replace(found, logits=taught), found)

    def term(self, answers: Decisions, edited: Decisions) -> Tensor:
        """Return how far answers to edited texts are from those to the texts themselves, weighted and summed."""
        apart = self.sharpened(answers).apart(edited)
        return edited.total(apart * self.sure(answers))

    def sharpened(self, answers: Decisions) -> Decisions:
        """Return answers at the temperature that they are learnt at."""
        return answers if answers.kind == "number" else replace(answers, logits=answers.logits / self.temperature)

    def sure(self, answers: Decisions) -> Tensor:
        """Return 1 for answers that are learnt, else 0: of the shape of `Decisions.losses`."""
        import torch

        if answers.kind == "number":
            return torch.ones_like(answers.logits)
        if answers.kind == "one":
            return (answers.logits.softmax(dim=1).amax(dim=1) > self.confidence).float()
        return (answers.logits.abs().sigmoid() > self.confidence).float()
