"""Which weights learn: some never, some only from a later step on. What does not learn costs no gradient.

Gradual unfreezing (Howard and Ruder 2018, section 3.3) begins with the head and lets one more layer learn every so
often, the top one first, so that a new head's first, large gradients do not wash out what lies below it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from torch import nn

from tunesmith.core.errors import RecipeError, Where
from tunesmith.engine.optim import depths, embedding_ids
from tunesmith.engine.spec import TrainSpec, amount
from tunesmith.models.layers import NEW, within_layers

if TYPE_CHECKING:
    from tunesmith.engine.mixture import MixedPlan
    from tunesmith.engine.plan import Plan

NONE = "none"
LAYERS = re.compile(r"(\d+) layers?")
EXAMPLES = "backbone, embeddings, 3 layers, or a pattern of names such as *.attention.*"


def freeze(model: nn.Module, wanted: Sequence[str], *, head: nn.Module | None, adapted: bool = False) -> None:
    """Let parts of a model learn nothing; see `TrainSpec.freeze`. What does not learn anyway may be named, too.

    Args:
        model: the plain one.
        wanted: the parts.
        head: what is new in the model.
        adapted: few weights learn in the place of all.

    Raises:
        RecipeError: there is no such part, or nothing is left to learn, or nothing of the adaptation.
    """
    depth_of = _depths(model, head, frozen=True)
    parameters = dict(model.named_parameters())
    in_embeddings = embedding_ids(model)
    tables = {name for name in depth_of if id(parameters[name]) in in_embeddings and depth_of[name] > 0}
    layer_of = {name: int(match[1]) for name, match in within_layers(model).items()}
    n_layers = 1 + max(layer_of.values(), default=-1)
    for one in wanted:
        if (count := LAYERS.fullmatch(one)) and int(count[1]) > n_layers > 0:
            where, fix = Where(column="train.freeze", value=one), f"freeze {n_layers} layers at most"
            raise RecipeError(f"a stack of this model has {n_layers} layers", where=where, fix=fix)
        chosen = list(filter(_matcher(one, depth_of, layer_of, tables), depth_of))
        if not chosen:
            raise RecipeError(
                "the model has no such part", where=Where(column="train.freeze", value=one), fix=f"one of: {EXAMPLES}"
            )
        for name in chosen:
            parameters[name].requires_grad_(False)
    left = {depth_of[name] for name, parameter in parameters.items() if parameter.requires_grad}
    where = Where(column="train.freeze", value=", ".join(wanted))
    if wanted and not left:
        raise RecipeError("nothing is left to learn", where=where, fix="freeze less")
    if wanted and adapted and left == {0}:
        raise RecipeError("only the head is left to learn", where=where, fix="use --set model.adapt.kind=none")


def _depths(model: nn.Module, head: nn.Module | None, *, frozen: bool = False) -> dict[str, int]:
    """Return how far below the head each weight is; what the checkpoint does not hold learns as the head does.

    So do the first of two layers of a head, which RoBERTa and DistilBERT have, and layers that were drawn anew.
    """
    parameters = dict(model.named_parameters())
    found = depths(model, head=head, frozen=frozen)
    return {name: 0 if head is not None and hasattr(parameters[name], NEW) else n for name, n in found.items()}


def _matcher(
    wanted: str, depth_of: Mapping[str, int], layer_of: Mapping[str, int], tables: Collection[str]
) -> Callable[[str], bool]:
    """Return what tells whether a weight belongs to a part; `tables` are those of the embeddings."""
    if wanted == "backbone":
        return lambda name: depth_of[name] > 0
    if wanted == "embeddings":
        return lambda name: name in tables and name not in layer_of
    if count := LAYERS.fullmatch(wanted):
        n = int(count[1])
        return lambda name: layer_of.get(name, n) < n and depth_of[name] > 0
    return lambda name: fnmatchcase(name, wanted)


class Thaw:
    """Lets deeper and deeper weights learn as training goes on; at a step it is a function of that step."""

    def __init__(
        self, model: nn.Module, spec: TrainSpec, *, head: nn.Module | None, own: Collection[str] | None = None
    ) -> None:
        """See `TrainSpec.head_first` and `TrainSpec.unfreeze_every`; before its first step all learns.

        Args:
            model: the plain one.
            spec: what learns first.
            head: see `_depths`.
            own: what learns at the turns of one of several tasks, which share weights; None where there is one task.

        Raises:
            RecipeError: the head is to learn first, and nothing in the model is new.
        """
        self._first, self._every = spec.head_first, spec.unfreeze_every
        if self._first != NONE and head is None:
            where = Where(column="train.head_first", value=self._first)
            raise RecipeError("no part of this model is new", where=where, fix="leave it out")
        if self._first == NONE and head is not None:
            self._first = self._every
        parameters, depth_of = dict(model.named_parameters()), _depths(model, head)
        if self._every != NONE and head is not None and not any(depth_of.values()):
            where = Where(column="train.unfreeze_every", value=self._every)
            raise RecipeError("all below the head is frozen for good", where=where, fix="leave out train.freeze")
        self._takes_turns = own is not None
        never = {*depth_of}.difference(depth_of if own is None else own)
        self._depths = [(parameters[name], math.inf if name in never else n) for name, n in depth_of.items()]
        self._lowest = max(depth_of.values(), default=0)

    @property
    def is_on(self) -> bool:
        """Whether what learns changes from step to step."""
        return self._takes_turns or self._first != NONE or self._every != NONE

    def depth(self, step: int, plan: Plan | MixedPlan) -> int:
        """Return how many layers below the head learn in a step (from 0); see `optim.depths`."""
        epochs = plan.epochs(plan.turn(step))
        first = in_steps(self._first, plan, epochs) if self._first != NONE else 0
        if step < first:
            return 0
        return 1 + (step - first) // in_steps(self._every, plan, epochs) if self._every != NONE else self._lowest

    def before(self, step: int, plan: Plan | MixedPlan) -> None:
        """Let learn what is to learn in a step."""
        if self.is_on:
            reached = self.depth(step, plan)
            for parameter, depth in self._depths:
                parameter.requires_grad_(depth <= reached)


def in_steps(length: str, plan: Plan | MixedPlan, epochs: float) -> int:
    """Return an amount of epochs or steps in whole steps, at least one; a plan's steps are so many epochs."""
    number, unit = amount(length)
    per_epoch = len(plan) / epochs
    return max(1, round(number if unit == "steps" else number * per_epoch))
