"""What the losses of several tasks are multiplied by: fixed numbers, or such as are learnt beside the model.

The papers weigh losses that are added up in one update. Here each update has one task, whose weight learns at its turn,
from what was last seen of the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

Kind = Literal["fixed", "uncertainty", "grad_norm"]
SMOOTHING = 0.9
"""grad_norm: of the running means of losses and norms, which single updates scatter around."""
LEAST = 0.05
"""grad_norm: no weight falls below this."""


class Weighing(nn.Module):
    """One weight a task. All that changes is in parameters and buffers, so a checkpoint holds it."""

    def __init__(self, weights: Sequence[float], kind: Kind = "fixed", *, alpha: float = 1.0) -> None:
        """Start from `weights`, which "uncertainty" and "grad_norm" start from 1 instead.

        Args:
            weights: one a task.
            kind: how they learn.
            alpha: grad_norm: the exponent of how far a task lags behind.
        """
        super().__init__()
        n = len(weights)
        self.kind, self.alpha = kind, alpha
        start = {"fixed": torch.tensor(list(weights)), "uncertainty": torch.zeros(n), "grad_norm": torch.ones(n)}[kind]
        self.values = nn.ParameterList(nn.Parameter(one, requires_grad=kind != "fixed") for one in start.float())
        """fixed, grad_norm: the weights; uncertainty: the logarithm of each task's variance. A parameter each: one
        without a gradient is left alone by the optimizer, its momentum included."""
        for name in ("losses", "first", "norms"):
            self.register_buffer(name, torch.zeros(n if kind == "grad_norm" else 0))

    losses: Tensor
    first: Tensor
    norms: Tensor

    def weight(self, task: int) -> float:
        """Return what the loss of a task is multiplied by now."""
        value = float(self.values[task].detach())
        return float(torch.exp(torch.tensor(-value))) if self.kind == "uncertainty" else value

    def learn(self, task: int, loss: float, shared: Iterable[nn.Parameter]) -> None:
        """Give the task's value its gradient, from its loss (a mean, not yet weighed) and the gradients it left.

        Args:
            task: whose turn it is.
            loss: of this update.
            shared: the weights that all tasks learn; their gradients are of the loss as it was weighed.
        """
        if self.kind == "fixed":
            return
        slope: float | None = None
        if self.kind == "uncertainty":  # of exp(-s) * loss + s / 2
            slope = 0.5 - self.weight(task) * loss
        elif gradients := [p.grad for p in shared if p.grad is not None]:
            norm = float(torch.nn.utils.get_total_norm(gradients)) / max(self.weight(task), LEAST)
            slope = self._towards_balance(task, loss, norm)
        for k, value in enumerate(self.values):
            value.grad = torch.full_like(value, slope) if k == task and slope is not None else None

    def _towards_balance(self, task: int, loss: float, norm: float) -> float | None:
        """Return the slope of |weight * norm - wanted| (Chen et al. 2018, equation 2); None until all were seen."""
        if not self.first[task]:
            self.first[task] = self.losses[task] = max(loss, 1e-6)
            self.norms[task] = norm
        self.losses[task] = SMOOTHING * self.losses[task] + (1 - SMOOTHING) * loss
        self.norms[task] = SMOOTHING * self.norms[task] + (1 - SMOOTHING) * norm
        if not bool(self.first.all()):
            return None
        pulls = torch.stack([*self.values]).detach() * self.norms
        left = self.losses / self.first
        wanted = pulls.mean() * (left[task] / left.mean()) ** self.alpha
        return float(torch.sign(pulls[task] - wanted) * self.norms[task])

    def settle(self) -> None:
        """After an update: grad_norm's weights add up to the number of tasks."""
        if self.kind == "grad_norm":
            with torch.no_grad():
                found = torch.stack([*self.values]).clamp(min=LEAST)
                for value, one in zip(self.values, found * (len(found) / found.sum()), strict=True):
                    value.copy_(one)

    def group(self, rate: float) -> dict[str, Any] | None:
        """Return the optimizer's group of the weights, None where they don't learn."""
        if self.kind == "fixed":
            return None
        names = [f"weighing.values.{k}" for k in range(len(self.values))]
        return {"params": [*self.values], "names": names, "lr": rate, "peak_lr": rate, "weight_decay": 0.0}
