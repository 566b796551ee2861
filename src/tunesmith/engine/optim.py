"""AdamW with one group per depth: deeper layers learn slower, biases and norms do not decay."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from tunesmith.engine.spec import TrainSpec
from tunesmith.models.layers import NEW, within_layers

FACTORS = ("norm", "ia3_l")
"""In names of weights that multiply and begin at 1: decay would take them to 0."""


def depths(model: nn.Module, *, head: nn.Module | None = None, frozen: bool = False) -> dict[str, int]:
    """Return how far below the head each trained parameter is: 0 for the head, 1 for the top layer and so on.

    Embeddings are one below the lowest layer; anything between the layers and the head (a pooler, an added layer that
    pools) counts as top, and to the head if the checkpoint does not hold it, as the first of two layers of RoBERTa's
    head. The layers of an encoder
    and of its decoder are counted each from their own top. A layer used many times (ALBERT) is on top.

    Args:
        model: a plain one.
        head: its new part; None: it has none.
        frozen: count what does not learn as well.
    """
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad or frozen}
    matches = {name: match for name, match in within_layers(model).items() if name in trained}
    n_layers: dict[str, int] = {}
    for within in matches.values():
        stack = within.string[: within.start(1)]
        n_layers[stack] = max(n_layers.get(stack, 0), int(within[1]) + 1)
    lowest = max(n_layers.values(), default=0) + 1
    in_head = {id(p) for p in head.parameters()} if head is not None else set()
    in_embeddings = embedding_ids(model)
    found = {}
    for name, parameter in trained.items():
        is_new = head is not None and hasattr(parameter, NEW) and name not in matches
        if id(parameter) in in_head or is_new:
            found[name] = 0
        elif match := matches.get(name):
            found[name] = n_layers[name[: match.start(1)]] - int(match[1])
        else:
            found[name] = lowest if id(parameter) in in_embeddings else 1
    return found


def embedding_ids(model: nn.Module) -> set[int]:
    """Return the ids of parameters that turn tokens and positions into vectors, and of what is named after them."""
    output = getattr(model, "get_output_embeddings", lambda: None)()
    tables = {id(p) for module in model.modules() if isinstance(module, nn.Embedding) for p in module.parameters()}
    named = {id(p) for name, p in model.named_parameters() if "emb" in name}
    return tables | (named - {id(p) for p in (output.parameters() if output is not None else ())})


def make_optimizer(model: nn.Module, spec: TrainSpec, *, head: nn.Module | None = None) -> torch.optim.AdamW:
    """Return fused AdamW over the trained parameters; each group keeps its own peak rate under "peak_lr"."""
    groups = list(_groups(model, spec, head))
    return torch.optim.AdamW(groups, betas=(spec.beta1, spec.beta2), fused=True)


def make_joint_optimizer(
    models: Sequence[nn.Module],
    specs: Sequence[TrainSpec],
    heads: Sequence[nn.Module | None],
    *,
    more: Sequence[dict[str, Any]] = (),
) -> torch.optim.AdamW:
    """Return one optimizer over the weights of several models; those that they share learn as the first one wants.

    Args:
        models: plain ones.
        specs: of each.
        heads: of each; see `depths`.
        more: further groups.
    """
    groups: list[dict[str, Any]] = list(more)
    seen: set[int] = set()
    for k, (model, spec, head) in enumerate(zip(models, specs, heads, strict=True)):
        for group in _groups(model, spec, head):
            new = [(f"tasks.{k}.{n}", p) for n, p in zip(group["names"], group["params"], strict=True)
                   if id(p) not in seen]  # fmt: skip
            if new:
                seen |= {id(p) for _, p in new}
                groups.append({**group, "params": [p for _, p in new], "names": [n for n, _ in new]})
    return torch.optim.AdamW(groups, betas=(specs[0].beta1, specs[0].beta2), fused=True)


def set_lr(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set every group's rate to `factor` times its peak."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * factor


def new_ids(model: nn.Module, head: nn.Module | None) -> set[int]:
    """Return the ids of parameters that no checkpoint holds: of the head, and of layers that were drawn anew."""
    in_head = {id(p) for p in head.parameters()} if head is not None else set()
    return in_head | {id(p) for p in model.parameters() if hasattr(p, NEW)}


def _groups(model: nn.Module, spec: TrainSpec, head: nn.Module | None) -> Iterator[dict[str, Any]]:
    depth_of, new = depths(model, head=head), new_ids(model, head)
    parts: dict[tuple[int, bool], list[tuple[str, nn.Parameter]]] = {}
    for name, parameter in model.named_parameters():
        if name in depth_of:
            is_weight = parameter.ndim > 1 and not name.endswith("bias")
            is_factor = any(one in name.lower() for one in FACTORS)
            is_held = spec.decay_to_start > 0 and id(parameter) not in new
            decays = is_weight and not is_factor and not is_held
            parts.setdefault((depth_of[name], decays), []).append((name, parameter))
    for (depth, decays), members in sorted(parts.items(), key=lambda part: part[0]):
        peak = _peak(spec, depth)
        yield {
            "params": [parameter for _, parameter in members],
            "names": [name for name, _ in members],
            "lr": peak,
            "peak_lr": peak,
            "weight_decay": spec.weight_decay if decays else 0.0,
        }


def _peak(spec: TrainSpec, depth: int) -> float:
    """The peak rate `depth` layers below the head."""
    lr, decay, head = float(spec.lr), float(spec.layer_decay), float(spec.head_lr_factor)
    return lr * head if depth == 0 else lr * decay ** (depth - 1)
