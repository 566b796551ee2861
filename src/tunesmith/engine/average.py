"""The mean of the weights over the last part of training (Polyak and Juditsky 1992; Izmailov et al. 2018, SWA).

Steps scatter around a good place while the rate is still high; their mean is closer to it. It costs a copy of the
trained weights and one addition now and then.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

MOST_TAKEN = 400
"""Weights of about so many steps are averaged; more change nothing."""


class WeightAverage:
    """A running mean of a model's trained weights, taken after some of the last steps.

    Attributes:
        n: how many steps' weights are in it.
        tensors: the mean of each trained parameter, by name; empty before the first.
    """

    def __init__(self, model: nn.Module, *, n_steps: int, share: float, decay: float = 0.0) -> None:
        """Take in the last `share` of `n_steps` steps of `model` (which is the plain one, not wrapped).

        Args:
            model: all that learns now, or will, is averaged.
            n_steps: of the whole training.
            share: of the steps.
            decay: 0 for a plain mean; else what is left of it after each step, a moving average.
        """
        self.n = 0
        self._least = 1 - decay if decay else 0.0
        self._names = [name for name, p in model.named_parameters() if p.requires_grad]
        self.tensors: dict[str, Tensor] = {}
        self._model = model
        self._first = n_steps - round(n_steps * share) + 1
        self._every = 1 if decay else max(1, (n_steps - self._first + 1) // MOST_TAKEN)

    def after(self, step: int) -> None:
        """Take in the weights after `step` (from 1), if it is one of those that count."""
        if step >= self._first and (step - self._first) % self._every == 0:
            self.n += 1
            for name, weight in self._trained():
                mean = self.tensors.setdefault(name, torch.zeros_like(weight))
                mean.add_(weight - mean, alpha=max(1 / self.n, self._least))

    def restore(self, n: int, tensors: dict[str, Tensor]) -> None:
        """Go on from a mean that was saved."""
        self.n = n
        devices = {name: weight.device for name, weight in self._trained()}
        self.tensors = {name: tensor.to(devices[name]) for name, tensor in tensors.items()}

    @contextmanager
    def tried(self) -> Iterator[None]:
        """Put the mean into the model inside the `with`; afterwards the model has its own weights back."""
        own = {name: weight.clone() for name, weight in self._trained()}
        self.put()
        try:
            yield
        finally:
            _copy(self._trained(), own)

    def put(self) -> None:
        """Put the mean into the model."""
        _copy(self._trained(), self.tensors)

    def _trained(self) -> Iterator[tuple[str, Tensor]]:
        parameters = dict(self._model.named_parameters())
        return ((name, parameters[name].detach()) for name in self._names)


def _copy(weights: Iterator[tuple[str, Tensor]], new: dict[str, Tensor]) -> None:
    for name, weight in weights:
        weight.copy_(new[name])
