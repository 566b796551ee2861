"""Weights that are held to where they started: decay towards the pre-trained weights (L2-SP), and Mixout.

Fine-tuning on few rows can carry weights far from a start that was good. L2-SP pulls them back a little in each step
(Li et al. 2018, "Explicit Inductive Bias for Transfer Learning", section 3); Mixout lets each pass see some of them as
they started (Lee et al. 2020, equation 5), as dropout lets it see some of them as zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from tunesmith.core.errors import RecipeError, Where
from tunesmith.core.seed import derive
from tunesmith.engine.optim import new_ids
from tunesmith.engine.spec import TrainSpec
from tunesmith.models.layers import is_linear


class Anchor:
    """Where the trained weights started, all but the new ones: of the head, and of layers that were drawn anew."""

    def __init__(self, model: nn.Module, spec: TrainSpec, *, head: nn.Module | None) -> None:
        """Keep a copy of the weights of `model`, the plain one, where a setting needs it.

        Raises:
            RecipeError: a setting asks for it, and no weight of the kind learns.
        """
        self._decay, self._p = spec.decay_to_start, spec.mixout
        self._start: dict[str, Tensor] = {}
        self._model = model
        new = new_ids(model, head)
        if self._decay or self._p:
            named = model.named_parameters()
            self._start = {n: p.detach().clone() for n, p in named if p.requires_grad and id(p) not in new}
        linear = {id(m.weight) for m in model.modules() if is_linear(m)}
        linear -= {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}  # tied: word vectors as well
        self._mixed = [n for n, p in model.named_parameters() if n in self._start and id(p) in linear and self._p]
        if self._decay and not self._start:
            where = Where(column="train.decay_to_start", value=self._decay)
            raise RecipeError("no pre-trained weight learns", where=where, fix="--set train.decay_to_start=0")
        if self._p and not self._mixed:
            where = Where(column="train.mixout", value=self._p)
            raise RecipeError("no pre-trained linear layer learns", where=where, fix="--set train.mixout=0")

    @contextmanager
    def mixed(self, *, seed: int, step: int) -> Iterator[None]:
        """Put some pre-trained weights back inside the `with`, others further out, so that the mean is unchanged.

        The gradients that are found inside become those of the weights as they are outside.
        """
        if not self._mixed:
            yield
            return
        parameters = dict(self._model.named_parameters())
        own = {name: parameters[name].detach().clone() for name in self._mixed}
        draw = torch.Generator().manual_seed(derive(seed, "mixout", step))  # the same on every process
        kept = {}
        for name, weight in own.items():
            mask = torch.rand(weight.shape, generator=draw).to(weight.device) >= self._p
            kept[name] = mask / (1 - self._p)
            start = self._start[name]
            parameters[name].data.copy_(start + (weight - start) * kept[name])
        try:
            yield
            for name, factor in kept.items():
                if parameters[name].grad is not None:
                    parameters[name].grad.mul_(factor)  # type: ignore[union-attr]
        finally:
            for name, weight in own.items():
                parameters[name].data.copy_(weight)

    def pull(self, optimizer: torch.optim.Optimizer) -> None:
        """Move each weight that was updated back towards its start, by its rate times the decay."""
        if not self._decay:
            return
        named = dict(self._model.named_parameters())
        starts = {id(named[name]): start for name, start in self._start.items()}
        with torch.no_grad():
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    if id(parameter) in starts and parameter.grad is not None:
                        parameter.lerp_(starts[id(parameter)], min(1.0, group["lr"] * self._decay))
