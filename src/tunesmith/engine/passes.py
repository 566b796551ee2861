"""One batch: its forward pass, what the objectives make of it, and its gradients.

The task's loss and what is learnt beside it go backward together; then each objective that wants the slope of that, or
several passes, has its terms learnt from one by one, so that no more than two graphs are held at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.core.seed import noise_of
from tunesmith.engine.device import Device
from tunesmith.models.vectors import Seen, features_seen, of_texts, vectors_changed, vectors_seen
from tunesmith.objectives.base import Objective, Pass
from tunesmith.tasks.base import Task
from tunesmith.tasks.parts import Batch

Terms = Iterator[tuple[str, Tensor]]


class Learner:
    """Runs a model on batches and adds up their gradients.

    Attributes:
        task: what is learnt.
        objectives: what else shapes the loss.
        part: the share of the task's own loss in what is learnt.
    """

    def __init__(self, task: Task, objectives: Sequence[Objective], model: nn.Module, *, device: Device) -> None:
        self.task, self.objectives = task, objectives
        self._model, self._device = model, device
        self._plain: Any = device.plain(model)
        self._repeats = any(one.repeats for one in objectives)
        self._shaping = [one for one in objectives if type(one).shaped is not Objective.shaped]
        self.part = math.prod(one.share for one in objectives) / (1 + sum(one.passes for one in objectives))

    def learn(self, batch: Batch, *, scale: float, twins: Iterable[tuple[Batch, Batch]] | None = None) -> Terms:
        """Add the gradients of a batch, times `scale`; yield the names and sums of what was learnt, without graph.

        The first is "loss": the task's own, as it is shaped.
        """
        p = replace(self._pass(batch), twins=twins)
        loss = self._loss(p.out, batch)
        total = self.part * loss
        yield "loss", loss.detach()
        for one in self.objectives:
            term = one.beside(p)
            if term is not None:
                total = total + term
                yield one.name, term.detach()
        self._device.backward(total * scale)
        for one in self.objectives:
            for term in one.after(p):
                self._device.backward(term * scale)
                yield one.name, term.detach()

    def _pass(self, batch: Batch) -> Pass:
        seen, seed = Seen(), int(torch.randint(2**62, ())) if self._repeats else None
        mask = batch.inputs["attention_mask"]
        with ExitStack() as watched:
            if seed is not None:
                watched.enter_context(noise_of(seed))
            if any(one.sees_vectors for one in self.objectives):
                watched.enter_context(vectors_seen(self._plain, seen, mask))
            if any(one.sees_features for one in self.objectives):
                head = self.task.head(self._plain)
                assert head is not None
                watched.enter_context(features_seen(head, seen))
            out = self.task.forward(self._model, batch)

        def again(change: Any = None, *, batch: Batch = batch) -> Any:
            with vectors_changed(self._plain, change, batch.inputs["attention_mask"]):
                return self.task.forward(self._model, batch)

        def repeat(change: Any) -> Any:
            assert seed is not None
            with noise_of(seed):
                return again(change)

        def loss_of(out: Any, batch: Batch = batch) -> Tensor:
            return self._loss(out, batch)

        features = None if seen.features is None else of_texts(seen.features, mask)
        return Pass(self.task, batch, out, seen.vectors, features, again, repeat, loss_of, self.part)

    def _loss(self, out: Any, batch: Batch) -> Tensor:
        if not self._shaping:
            return self.task.loss(out, batch)
        found = self.task.decisions(out, batch)
        losses = found.losses()
        for one in self._shaping:
            losses = one.shaped(found, losses)
        return found.total(losses)
