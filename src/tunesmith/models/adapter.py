"""What was learnt beside the weights of a source, kept in peft's format: a few megabytes that fit on the source.

The base it fits on is what transformers makes of the source and the `config.json` beside the adapter: the family's own
class with a fresh head. Whatever differs from that base, or is not in the source, is kept whole: the head, a layer that
was appended, layers that started anew.
"""

from __future__ import annotations

import copy
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import save_file
from torch import Tensor, nn

from tunesmith.models.classifier import quiet
from tunesmith.models.source import Source
from tunesmith.models.spec import ModelSpec

FILE = "adapter_model.safetensors"
PREFIX = "base_model.model."
"""What peft puts before the names of a model's weights."""
MOST = 0.5
"""Share of the model's weights: an adapter that holds more stands beside nothing, and is none."""


@dataclass(frozen=True)
class Adapter:
    """What was learnt beside the weights of a source.

    Attributes:
        settings: peft's, of the layers that have weights beside them.
        tensors: these weights, by peft's names.
    """

    settings: Any
    tensors: dict[str, Tensor]

    def save(self, folder: Path, model: nn.Module) -> None:
        """Write `adapter_config.json`, the weights, and the `config.json` of the base.

        Args:
            folder: which is there.
            model: the merged one, as it is saved; it gives what is kept whole.
        """
        found = {PREFIX + name: tensor for name, tensor in self.tensors.items()}
        for name in self.settings.modules_to_save:
            inside = model.get_submodule(name).state_dict()
            found |= {f"{PREFIX}{name}.{key}": tensor.detach().clone() for key, tensor in inside.items()}
        save_file({name: tensor.cpu().contiguous() for name, tensor in found.items()}, folder / FILE, {"format": "pt"})
        self.settings.save_pretrained(folder)
        model.config.save_pretrained(folder)  # type: ignore[operator, union-attr]


def take(model: Any, source: Source, spec: ModelSpec, *, auto_class: str) -> Adapter | None:
    """Return what a model with peft's layers in it has learnt, before they are merged.

    None where little is left of the source: with random weights, and where two encoders were made into one model.

    Args:
        model: as it was trained.
        source: of its weights.
        spec: how it was built.
        auto_class: of transformers, which opens the base.
    """
    settings = copy.deepcopy(model.peft_config["default"])
    whole = _differing(model, _base(model, source, spec, auto_class))
    targets = sorted(name for name in settings.target_modules if not _is_inside(name, whole))
    n_kept = sum(_size(model.get_submodule(name)) for name in whole)
    if n_kept > MOST * _size(model) or not targets:
        return None
    from peft import get_peft_model_state_dict

    found = get_peft_model_state_dict(model, save_embedding_layers=False)
    tensors = {name: tensor.detach().clone() for name, tensor in found.items() if not _is_inside(name, whole)}
    is_local = Path(spec.source).expanduser().is_dir()
    settings.base_model_name_or_path = str(source.folder.absolute()) if is_local else source.name
    settings.target_modules, settings.modules_to_save, settings.inference_mode = targets, sorted(whole), True
    if getattr(settings, "feedforward_modules", None):
        settings.feedforward_modules = sorted(name for name in settings.feedforward_modules if name in targets)
    return Adapter(settings, tensors)


def _base(model: Any, source: Source, spec: ModelSpec, auto_class: str) -> Any:
    """Return what transformers opens with the model's config; weights that the source lacks are random."""
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return getattr(transformers, auto_class).from_pretrained(
            source.folder,
            config=copy.deepcopy(model.config),
            use_safetensors=True,
            trust_remote_code=spec.trust_remote_code,
            ignore_mismatched_sizes=True,
        )


def _differing(model: nn.Module, base: nn.Module) -> set[str]:
    """Return the names of the smallest modules that hold all weights that are not the base's."""
    mine = {
        name.replace(".base_layer.", "."): parameter.detach().cpu()
        for name, parameter in model.named_parameters(remove_duplicate=False)
    }
    found = set()
    for name, weight in base.named_parameters(remove_duplicate=False):
        if name in mine and not torch.equal(mine[name], weight.detach().to(mine[name].dtype)):
            found.add(name.rpartition(".")[0])
    return {name for name in found if not _is_inside(name, found - {name})}


def _is_inside(name: str, modules: Collection[str]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
