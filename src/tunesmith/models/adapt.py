"""Few weights learn in the place of all: LoRA, DoRA, (IA)3 by the library peft, BitFit, adapters, prompts, prefixes.

What is learnt beside the pre-trained weights is merged into them when training ends: the saved model is a plain one,
which any tool opens; only prefixes stay (`models/prefix.py`). What peft's layers learnt is kept as well
(`models/adapter.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from tunesmith.core.errors import ModelError, RecipeError, Where
from tunesmith.models.bottleneck import add_adapters, merge_adapters
from tunesmith.models.layers import NEW, is_linear, stacks
from tunesmith.models.prefix import NAME as PREFIX
from tunesmith.models.prompt import learn_prompt
from tunesmith.models.spec import AdaptSpec

BY_PEFT = ("lora", "dora", "ia3")


def adapt(model: nn.Module, spec: AdaptSpec, *, head: nn.Module | None, prompt: Sequence[int] = ()) -> None:
    """Freeze a model but for its head and all else that is new, and add the few weights that learn.

    Args:
        model: just built.
        spec: which weights.
        head: what is new in the model.
        prompt: ids of the tokens before every text.

    Raises:
        TunesmithError: peft is missing, or the model has no parts of the kind or of the names that are given.
    """
    if spec.kind == "none":
        return
    new = {id(parameter) for parameter in head.parameters()} if head is not None else set()
    new |= {id(parameter) for parameter in model.parameters() if hasattr(parameter, NEW)}
    learns = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    if spec.kind in BY_PEFT:
        _inject(model, spec, _targets(model, spec, new))
    elif spec.targets != "auto":
        where = Where(column="model.adapt.targets", value=", ".join(spec.targets))
        raise RecipeError(f"{spec.kind} has none", where=where, fix="leave it out, or use --set model.adapt.kind=lora")
    if spec.kind == "adapter":
        add_adapters(model, spec)
    for name, parameter in model.named_parameters():
        is_bias = spec.kind == "bitfit" and name.endswith("bias") and name in learns
        is_new = id(parameter) in new and name in learns
        parameter.requires_grad_(is_new or is_bias or _is_added(name))
    if spec.kind == "prompt":
        learn_prompt(model, prompt)
    if not any(p.requires_grad and id(p) not in new for p in model.parameters()):
        where = Where(column="model.adapt.kind", value=spec.kind)
        message = f"{spec.kind} finds nothing to learn in this family"
        raise ModelError(message, where=where, fix="--set model.adapt.kind=lora")


def _is_added(name: str) -> bool:
    return any(part in name for part in ("lora_", ".ia3_", ".added.", f".{PREFIX}."))


def _targets(model: nn.Module, spec: AdaptSpec, new: set[int]) -> list[str]:
    """Return the names of the linear layers that get weights beside them.

    Raises:
        TunesmithError: there are none, or not all of the names that are given.
    """
    inside = {id(module) for layers in stacks(model).values() for layer in layers for module in layer.modules()}
    linear = {
        name: module
        for name, module in model.named_modules()
        if is_linear(module) and id(module) in inside and id(module.weight) not in new
    }
    if not linear:
        where = Where(column="model.adapt.kind", value=spec.kind)
        raise ModelError("no layers are found in this family", where=where, fix="--set model.adapt.kind=adapter")
    if spec.targets == "auto":
        return list(linear)
    there = {name.rpartition(".")[2] for name in linear}
    if other := [name for name in spec.targets if name not in there and name not in linear]:
        where = Where(column="model.adapt.targets", value=", ".join(other))
        fix = f"some of: {', '.join(sorted(there))}"
        raise RecipeError("the model has no such linear layers", where=where, fix=fix)
    return [name for name in linear if name.rpartition(".")[2] in spec.targets or name in spec.targets]


def _inject(model: nn.Module, spec: AdaptSpec, targets: list[str]) -> None:
    try:
        import peft
    except ImportError:
        where = Where(column="model.adapt.kind", value=spec.kind)
        raise RecipeError("this needs a library, peft", where=where, fix="pip install 'tunesmith[peft]'") from None
    is_turned = any(type(model.get_submodule(name)).__name__ == "Conv1D" for name in targets)
    settings: Any
    if spec.kind == "ia3":
        forward = [name for name in targets if _feeds_forward(name, model.get_submodule(name))]
        settings = peft.IA3Config(target_modules=targets, feedforward_modules=forward, fan_in_fan_out=is_turned)
    else:
        _refuse_full_rank(model, spec, targets)
        settings = peft.LoraConfig(
            r=spec.rank,
            lora_alpha=spec.alpha,
            lora_dropout=spec.dropout,
            target_modules=targets,
            use_dora=spec.kind == "dora",
            fan_in_fan_out=is_turned,
        )
    peft.inject_adapter_in_model(settings, model)


def _refuse_full_rank(model: nn.Module, spec: AdaptSpec, targets: list[str]) -> None:
    """Raise RecipeError if no change that is asked for is of a lower rank than the weights it is added to."""
    layers: list[Any] = [model.get_submodule(name) for name in targets]
    most = max(min(layer.weight.shape) for layer in layers)
    if spec.rank >= most:
        where = Where(column="model.adapt.rank", value=str(spec.rank))
        message = f"a change of rank {most:,} to the model's layers is a full one"
        raise RecipeError(message, where=where, fix="--set model.adapt.rank=8")


def _feeds_forward(name: str, module: Any) -> bool:
    """Whether a layer makes wide vectors narrow: (IA)3 scales what it receives, not what it gives.

    So do keys and values that several queries share, but of these (IA)3 scales what is given (section 3.3).
    """
    if any(part in name.lower() for part in ("attn", "attention")):
        return False
    shape = module.weight.shape if isinstance(module, nn.Linear) else module.weight.shape[::-1]
    return bool(shape[1] > shape[0])


def merge(model: nn.Module) -> None:
    """Bring what was added into the weights it was added to, and take it out: the model is plain again."""
    for name in [name for name, module in model.named_modules() if hasattr(module, "get_base_layer")]:
        module: Any = model.get_submodule(name)
        module.merge()
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, module.get_base_layer())
    vars(model).pop("peft_config", None)
    merge_adapters(model)
