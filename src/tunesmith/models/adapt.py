"""Few weights learn in the place of all: LoRA, DoRA, (IA)3 by the library peft, and BitFit.

What is learnt beside the pre-trained weights is multiplied into them when training ends: the saved model is a plain
one, as large and as fast as any other.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from tunesmith.core.errors import RecipeError, Where
from tunesmith.models.layers import stacks
from tunesmith.models.spec import AdaptSpec


def adapt(model: nn.Module, spec: AdaptSpec, *, head: nn.Module | None) -> None:
    """Freeze a model but for its head, and add the few weights that learn.

    Raises:
        RecipeError: peft is missing, or the model has no part of the names that are given.
    """
    if spec.kind == "none":
        return
    new = {id(parameter) for parameter in head.parameters()} if head is not None else set()
    learns = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    targets = [] if spec.kind == "bitfit" else _targets(model, spec, new)
    if spec.kind != "bitfit":
        _inject(model, spec, targets)
    for name, parameter in model.named_parameters():
        is_bias = spec.kind == "bitfit" and name.endswith("bias") and name in learns
        is_new = id(parameter) in new and name in learns
        parameter.requires_grad_(is_new or is_bias or _is_added(name))


def _is_added(name: str) -> bool:
    return "lora_" in name or ".ia3_" in name


def _targets(model: nn.Module, spec: AdaptSpec, new: set[int]) -> list[str]:
    """Return the names of the linear layers that get weights beside them."""
    inside = {id(module) for layers in stacks(model).values() for layer in layers for module in layer.modules()}
    linear = {
        name: module
        for name, module in model.named_modules()
        if _is_linear(module) and id(module) in inside and id(module.weight) not in new
    }
    if spec.targets == "auto":
        return list(linear)
    found = [name for name in linear if name.rpartition(".")[2] in spec.targets or name in spec.targets]
    if not found:
        there = ", ".join(sorted({name.rpartition(".")[2] for name in linear}))
        where = Where(column="model.adapt.targets", value=", ".join(spec.targets))
        raise RecipeError("the model has no such linear layers", where=where, fix=f"some of: {there}")
    return found


def _is_linear(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D"


def _inject(model: nn.Module, spec: AdaptSpec, targets: list[str]) -> None:
    try:
        import peft
    except ImportError:
        where = Where(column="model.adapt.kind", value=spec.kind)
        raise RecipeError("this needs a library, peft", where=where, fix="pip install 'tunesmith[peft]'") from None
    is_turned = any(type(model.get_submodule(name)).__name__ == "Conv1D" for name in targets)
    settings: Any
    if spec.kind == "ia3":
        forward = [name for name in targets if _feeds_forward(model.get_submodule(name))]
        settings = peft.IA3Config(target_modules=targets, feedforward_modules=forward, fan_in_fan_out=is_turned)
    else:
        settings = peft.LoraConfig(
            r=spec.rank,
            lora_alpha=spec.alpha,
            lora_dropout=spec.dropout,
            target_modules=targets,
            use_dora=spec.kind == "dora",
            fan_in_fan_out=is_turned,
        )
    peft.inject_adapter_in_model(settings, model)


def _feeds_forward(module: Any) -> bool:
    """Whether a layer makes wide vectors narrow: (IA)3 scales what it receives, not what it gives."""
    shape = module.weight.shape if isinstance(module, nn.Linear) else module.weight.shape[::-1]
    return bool(shape[1] > shape[0])


def merge(model: nn.Module) -> None:
    """Multiply what was added into the weights it was added to, and take it out: the model is plain again."""
    for name in [name for name, module in model.named_modules() if hasattr(module, "get_base_layer")]:
        module: Any = model.get_submodule(name)
        module.merge()
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, module.get_base_layer())
