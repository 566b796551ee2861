"""Adversarial training on token vectors: FGM, PGD and FreeLB. Learn what noise in the worst direction would break.

Noise is measured in lengths of the text's token vectors (their root mean square), which differ from model to model: T5
begins them with a standard deviation of 1, BERT of 0.02. (Miyato et al. 2017, section 3, give vectors a length of 16,
on average, and move a text by 5.)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from tunesmith.objectives.base import Adding, Objective, Pass

if TYPE_CHECKING:
    from torch import Tensor

    from tunesmith.objectives.base import Change


class Fgm(Adding):
    """Fast gradient method: also learn from the text moved by `radius` up the slope of its loss.

    (Miyato et al. 2017, "Adversarial Training Methods for Semi-Supervised Text Classification", equation 5.) The slope
    is that of the pass that is learnt from anyway: it costs one more pass.
    """

    name: ClassVar[str] = "fgm"
    sees_vectors: ClassVar[bool] = True

    radius: NonNegativeFloat = 0.3
    """How far the token vectors of a text are moved, all together (epsilon), in lengths of one."""

    def after(self, p: Pass) -> Iterator[Tensor]:
        """Yield the loss of the moved texts."""
        from tunesmith.objectives.noise import unit

        noise = self.radius * p.token_size * unit(p.slope)
        yield self.weight * p.loss_of(p.again(lambda vectors: vectors + noise))


class Pgd(Adding):
    """Projected gradient descent: as FGM, in several smaller steps, each up the slope where the last one led.

    (Madry et al. 2018; section 2.1.) Costs `steps` more passes, and learns from the last. All have the dropout of the
    first, so that each step goes up the same slope.
    """

    name: ClassVar[str] = "pgd"
    sees_vectors: ClassVar[bool] = True
    repeats: ClassVar[bool] = True

    radius: NonNegativeFloat = 0.3
    """How far a text is moved at most (epsilon), in lengths of a token vector."""
    step: PositiveFloat = 0.15
    """How far in one step (alpha), likewise."""
    steps: PositiveInt = 3
    """How many steps."""

    def after(self, p: Pass) -> Iterator[Tensor]:
        """Yield the loss where the last step led."""
        import torch

        from tunesmith.objectives.noise import unit, within

        size = p.token_size
        step, radius = self.step * size, self.radius * size
        noise = within(step * unit(p.slope), radius)
        for _ in range(self.steps - 1):
            noise = noise.detach().requires_grad_()
            loss = p.loss_of(p.repeat(moved(noise)))
            (slope,) = torch.autograd.grad(loss, noise)
            noise = within(noise.detach() + step * unit(slope * p.mask), radius)
        yield self.weight * p.loss_of(p.repeat(moved(noise)))


class FreeLb(Objective):
    """FreeLB: the mean loss over the steps of an ascent, whose slopes come free with what is learnt on the way.

    (Zhu et al. 2020, "FreeLB: Enhanced Adversarial Training for Natural Language Understanding", algorithm 1, beginning
    at the text itself.) The first step is the pass that is learnt from anyway; costs `steps` - 1 more, with its dropout
    (section 3.3). One step, or a radius of 0, is plain training.
    """

    name: ClassVar[str] = "freelb"
    sees_vectors: ClassVar[bool] = True
    repeats: ClassVar[bool] = True

    radius: NonNegativeFloat = 0.3
    """How far a text is moved at most (epsilon), in lengths of a token vector."""
    step: PositiveFloat = 0.15
    """How far in one step (alpha), likewise."""
    steps: PositiveInt = 3
    """How many passes are learnt from, the text's own the first (K)."""

    @property
    def passes(self) -> int:
        """All but the text's own."""
        return self.steps - 1

    def after(self, p: Pass) -> Iterator[Tensor]:
        """Yield the losses on the way up."""
        import torch

        from tunesmith.objectives.noise import unit, within

        size = p.token_size
        step, radius = self.step * size, self.radius * size
        noise, slope = torch.zeros_like(p.slope), p.slope
        for _ in range(self.steps - 1):
            noise = within(noise + step * unit(slope), radius).detach().requires_grad_()
            yield p.part * p.loss_of(p.repeat(moved(noise)))
            assert noise.grad is not None
            slope, noise = noise.grad * p.mask, noise.detach()


def moved(noise: Tensor) -> Change:
    """Return the change that adds noise to token vectors."""
    return lambda vectors: vectors + noise
