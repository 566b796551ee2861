"""Smoothness: answers are not to change under small noise on the token vectors. No label is looked at.

Noise is measured by the text's own token vectors, as in `adversarial`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from pydantic import PositiveFloat, PositiveInt

from tunesmith.objectives.adversarial import moved
from tunesmith.objectives.base import Adding, Pass

if TYPE_CHECKING:
    from torch import Tensor


class Vat(Adding):
    """Virtual adversarial training: the answer is to stay under the noise of size `radius` that changes it most.

    (Miyato et al. 2017, equations 6 and 7; the direction by one power iteration, Miyato et al. 2018, section 3.3.)
    All passes have the same dropout: without noise their answers are the same, as the iteration supposes. Costs
    `steps` + 1 passes.
    """

    name: ClassVar[str] = "vat"
    sees_vectors: ClassVar[bool] = True
    repeats: ClassVar[bool] = True

    radius: PositiveFloat = 0.3
    """How far a text is moved (epsilon), in lengths of a token vector."""
    probe: PositiveFloat = 1e-2
    """How far it is moved to find the direction (xi), likewise."""
    steps: PositiveInt = 1
    """How often the direction is made better."""

    def after(self, p: Pass) -> Iterator[Tensor]:
        """Yield the divergence under the worst noise."""
        import torch

        from tunesmith.objectives.noise import drawn, unit

        assert p.vectors is not None
        own, size = p.decisions().detached(), p.token_size
        direction = unit(drawn(p.vectors.detach(), p.mask))
        for _ in range(self.steps):
            noise = (self.probe * size * direction).requires_grad_()
            away = (own.divergences(p.decisions(p.repeat(moved(noise)))) * own.weights).sum()
            (slope,) = torch.autograd.grad(away, noise)
            direction = unit(slope * p.mask)
        far = p.decisions(p.repeat(moved(self.radius * size * direction)))
        yield self.weight * (own.divergences(far) * own.weights).sum()


class Smart(Adding):
    """SMART's smoothness: the answer is to stay within a small cube around the token vectors, in both directions.

    (Jiang et al. 2020, "SMART: Robust and Efficient Fine-Tuning", section 3.1.) Each pass draws its own dropout, which
    the answer is to stay under, too. Costs `steps` + 1 passes.
    """

    name: ClassVar[str] = "smart"
    sees_vectors: ClassVar[bool] = True

    start: PositiveFloat = 2e-4
    """Standard deviation of the noise the ascent begins with (sigma), in sizes of a token vector's numbers."""
    step: PositiveFloat = 2e-2
    """How far the noise moves in one step (eta), likewise."""
    radius: PositiveFloat = 1.0
    """How far any number in a token vector is moved at most (epsilon), likewise."""
    steps: PositiveInt = 1
    """Steps of the ascent."""

    def beside(self, p: Pass) -> Tensor | None:
        """Return the symmetric divergence at the end of the ascent; the gradient flows into both passes."""
        import torch

        from tunesmith.objectives.noise import TINY, drawn

        assert p.vectors is not None
        own = p.decisions()
        still = own.detached()
        size = p.token_size / p.vectors.shape[-1] ** 0.5
        noise = self.start * size * drawn(p.vectors.detach(), p.mask)
        for _ in range(self.steps):
            noise = noise.detach().requires_grad_()
            there = p.decisions(p.again(moved(noise)))
            (slope,) = torch.autograd.grad((still.divergences(there) * own.weights).sum(), noise)
            slope = slope * p.mask
            steepest = slope.abs().amax(dim=(1, 2), keepdim=True).clamp(min=TINY)
            noise = noise.detach() + self.step * size * slope / steepest
            noise = noise.clamp(-self.radius * size, self.radius * size)
        far = p.decisions(p.again(moved(noise)))
        both = own.divergences(far) + far.divergences(own)
        return self.weight * (both * own.weights).sum()
