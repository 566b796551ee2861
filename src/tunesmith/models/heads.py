"""What becomes of the head that a checkpoint comes with: it is gone on with where its outputs mean the same.

An output means what the config calls it. Without this a head of as many outputs would start with each of them standing
for something else, in the order of the alphabet.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from tunesmith.core.notes import Note
from tunesmith.core.wording import count
from tunesmith.data.labels import fold
from tunesmith.models.layers import NEW, draw_anew
from tunesmith.models.opening import pooled_of, whole_config
from tunesmith.models.pooling import needs_own_class
from tunesmith.models.source import Source
from tunesmith.models.spec import ModelSpec

SCALE = "tunesmith_scale"
"""Where a config holds mean and deviation of each number, which the head was given (`classifier.scale_outputs`)."""
_MADE_UP = re.compile(r"LABEL_\d+")
"""What transformers calls an output that nobody named."""
SHOWN = 6


def names_of(source: Source, spec: ModelSpec) -> tuple[str, ...]:
    """Return what a checkpoint calls its outputs, in their order; empty where nobody named them."""
    labels: dict[int, str] = whole_config(source, spec).id2label or {}
    names = tuple(str(labels[index]) for index in sorted(labels))
    return () if all(map(_MADE_UP.fullmatch, names)) else names


def order_of(before: Sequence[str], now: Sequence[str]) -> list[int] | None:
    """Return where each name of `now` stands in `before`, in any case; None where they are not the same names."""
    spelt: tuple[Callable[[str], str], ...] = (str, fold)
    for same in spelt:
        mine, theirs = list(map(same, now)), list(map(same, before))
        if sorted(mine) == sorted(theirs) and len({*mine}) == len(mine):
            return [theirs.index(name) for name in mine]
    return None


def is_new(head: nn.Module, spec: ModelSpec) -> bool:
    """Whether a head's weights are not the checkpoint's."""
    return spec.weights == "random" or any(hasattr(parameter, NEW) for parameter in head.parameters())


def rename_outputs(model: PreTrainedModel, head: nn.Linear, before: Sequence[str], now: Sequence[str]) -> None:
    """Let the outputs of a checkpoint's head stand for `now`: they move to their places, for other names all are new.

    Args:
        model: that has the head.
        head: its last layer.
        before: what the checkpoint calls its outputs; where nobody named them, they are taken as they come.
        now: what they are to be.
    """
    if not before:
        return
    order = order_of(before, now)
    if order is None:
        draw_anew(model, head)
    elif any(a > b for a, b in pairwise(order)):
        with torch.no_grad():
            for parameter in head.parameters():
                parameter.copy_(parameter[order])


def scale_of(source: Source, spec: ModelSpec, names: Sequence[str]) -> list[list[float]] | None:
    """Return mean and deviation of each number that a checkpoint gives, by `names`; None where it does not say."""
    known: list[list[float]] | None = getattr(whole_config(source, spec), SCALE, None)
    order = order_of(names_of(source, spec), names)
    return None if known is None or order is None else [known[place] for place in order]


def announce(source: Source, spec: ModelSpec, names: Sequence[str], *, auto_class: str) -> list[Note]:
    """Return what is to be said of a head whose outputs are not called as the data calls them."""
    config = whole_config(source, spec)
    if not _has_head(config, auto_class):
        return []
    before = names_of(source, spec)
    if before and order_of(before, names) is None:
        message = f"{source.name} is for {_listed(before)}: its head begins anew, for {_listed(names)}"
        return [Note("info", "new head", message)]
    is_kept = pooled_of(source, spec) is not None or not needs_own_class(source, spec)
    if before or not is_kept or len(config.id2label) != len(names) or spec.weights == "random":
        return []
    message = f"{source.name} has no names for its outputs: they are taken for {_listed(names)}, in this order"
    return [Note("info", "head", message)]


def _has_head(config: Any, auto_class: str) -> bool:
    return any(str(name).endswith(auto_class.removeprefix("AutoModel")) for name in config.architectures or ())


def _listed(names: Sequence[str]) -> str:
    more = [count(len(names) - SHOWN, "other")] if len(names) > SHOWN else []
    return ", ".join([*names[:SHOWN], *more])
