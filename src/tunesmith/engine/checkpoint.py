"""Checkpoints to resume from, and the best weights so far: safetensors and JSON, each folder whole or absent."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tunesmith.core.errors import RunError, Where
from tunesmith.core.files import read_json, recover_folder, remove_leftovers, replacing_folder, write_json

BEST = "best"
AVERAGE = "average.safetensors"


def save(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    step: int,
    state: dict[str, Any],
    average: Mapping[str, Tensor] | None = None,
) -> Path:
    """Write `folder/step-N` with weights, optimizer state, `state` (plain JSON values) and the weights' average."""
    target = folder / f"step-{step:08d}"
    with replacing_folder(target) as new:
        save_file(weights(model), new / "model.safetensors")
        save_file(_optimizer_tensors(optimizer), new / "optimizer.safetensors")
        if average:
            save_file(dict(average), new / AVERAGE)
        write_json(new / "state.json", {**state, "step": step})
    return target


def save_best(folder: Path, model: nn.Module, *, step: int) -> None:
    """Write `folder/best`: the weights alone."""
    with replacing_folder(folder / BEST) as new:
        save_file(weights(model), new / "model.safetensors")
        write_json(new / "state.json", {"step": step})


def load_best(folder: Path, model: nn.Module) -> None:
    """Put the best weights back into `model`."""
    load_weights(model, folder / BEST / "model.safetensors")


def latest(folder: Path) -> Path | None:
    """Return the newest complete checkpoint, or None; clears what a killed process left half-written."""
    if not folder.is_dir():
        return None
    remove_leftovers(folder)
    for old in folder.glob(".*.old"):
        recover_folder(folder / old.name.removeprefix(".").removesuffix(".old"))
    found = sorted(path for path in folder.glob("step-*") if (path / "state.json").is_file())
    return found[-1] if found else None


def step_of(path: Path) -> int:
    """Return the step after which a checkpoint was written."""
    return int(path.name.removeprefix("step-"))


def load(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Restore weights and optimizer state; return the JSON state, "step" included."""
    load_weights(model, path / "model.safetensors")
    tensors = load_file(path / "optimizer.safetensors")
    for group in optimizer.param_groups:
        for name, parameter in zip(group["names"], group["params"], strict=True):
            kept = {
                key: tensors[f"{key}.{name}"] for key in ("step", "exp_avg", "exp_avg_sq") if f"{key}.{name}" in tensors
            }
            if kept:
                step = kept["step"] if parameter.device.type == "cpu" else kept["step"].to(parameter.device)
                optimizer.state[parameter] = {
                    "step": step,
                    "exp_avg": kept["exp_avg"].to(parameter.device),
                    "exp_avg_sq": kept["exp_avg_sq"].to(parameter.device),
                }
    state: dict[str, Any] = read_json(path / "state.json")
    return state


def load_average(path: Path) -> dict[str, Tensor]:
    """Return the weights' average of a checkpoint; empty where there is none yet."""
    return load_file(path / AVERAGE) if (path / AVERAGE).is_file() else {}


def keep_newest(folder: Path, n: int) -> None:
    """Remove all but the newest `n` resumable checkpoints."""
    for path in sorted(folder.glob("step-*"))[:-n]:
        shutil.rmtree(path)


def weights(model: nn.Module) -> dict[str, Tensor]:
    """Return parameters and saved buffers by name, each shared tensor once, ready for safetensors."""
    persistent = set(model.state_dict(keep_vars=True))
    named = [*model.named_parameters(), *((n, b) for n, b in model.named_buffers() if n in persistent)]
    return {name: tensor.detach().contiguous() for name, tensor in named}


def load_weights(model: nn.Module, file: Path) -> None:
    """Copy weights written by `weights` into `model`.

    Raises:
        RunError: a tensor is missing or has another shape.
    """
    tensors = load_file(file)
    with torch.no_grad():
        for name, mine in weights(model).items():
            saved = tensors.get(name)
            if saved is None or saved.shape != mine.shape:
                raise RunError(
                    f"the checkpoint does not fit the model: {name}",
                    where=Where(str(file)),
                    fix="resume with the recipe the run was started with",
                )
            mine.copy_(saved)


def _optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for group in optimizer.param_groups:
        for name, parameter in zip(group["names"], group["params"], strict=True):
            for key, value in optimizer.state.get(parameter, {}).items():
                found[f"{key}.{name}"] = value.detach().contiguous()
    return found
