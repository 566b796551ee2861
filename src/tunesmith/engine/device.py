"""All of Accelerate in one place: where to compute, in which precision, with how many processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState, PartialState
from torch import Tensor, nn

from tunesmith.core.errors import RecipeError, Where
from tunesmith.core.hardware import n_processes
from tunesmith.engine.spec import TrainSpec

T = TypeVar("T")
PATIENCE = timedelta(days=1)
"""How long processes wait for the main one, which measures and saves a stage alone; torch's own 10 minutes with NCCL,
30 with gloo, can be too short for that. Where a process dies, the launcher ends the others at once."""


class Device:
    """Where one process of a training computes; started alone or by `torchrun` / `accelerate launch`."""

    def __init__(self, spec: TrainSpec) -> None:
        refuse_missing_device(spec)
        AcceleratorState._reset_state()
        GradientState._reset_state()
        if PartialState(timeout=PATIENCE).num_processes == 1:
            PartialState._reset_state()
        self._accelerator = Accelerator(cpu=spec.device == "cpu", mixed_precision=_precision(spec))

    @property
    def torch_device(self) -> torch.device:
        """The torch device of this process."""
        return torch.device(self._accelerator.device)

    @property
    def world(self) -> int:
        """Number of processes."""
        return int(self._accelerator.num_processes)

    @property
    def rank(self) -> int:
        """Number of this process, from 0."""
        return int(self._accelerator.process_index)

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and talks to the user."""
        return bool(self._accelerator.is_main_process)

    @property
    def precision(self) -> str:
        """The word "bf16" or "float32"."""
        return "bf16" if self._accelerator.mixed_precision == "bf16" else "float32"

    def prepare(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[nn.Module, Any]:
        """Move model and optimizer to the device and wrap them for several processes."""
        prepared: tuple[nn.Module, Any] = self._accelerator.prepare(model, optimizer)
        return prepared

    def prepare_all(self, models: Sequence[nn.Module], optimizer: torch.optim.Optimizer) -> tuple[list[nn.Module], Any]:
        """Likewise, for several models that one optimizer updates."""
        *prepared, wrapped = self._accelerator.prepare(*models, optimizer)
        return prepared, wrapped

    def plain(self, model: nn.Module) -> nn.Module:
        """Return the model without the wrapping of `prepare`."""
        unwrapped: nn.Module = self._accelerator.unwrap_model(model)
        return unwrapped

    @contextmanager
    def forward(self, model: nn.Module, *, sync: bool) -> Iterator[None]:
        """Autocast; gradients are exchanged between processes only where `sync` is true."""
        with self._accelerator.autocast():
            if sync:
                yield
            else:
                with self._accelerator.no_sync(model):
                    yield

    def backward(self, loss: Tensor) -> None:
        """Add this loss's gradients."""
        self._accelerator.backward(loss)

    def exchange(self, model: nn.Module) -> None:
        """Replace gradients by their mean over all processes, where backward passes did not (`sync` was false)."""
        if self.world == 1:
            return
        for parameter in model.parameters():
            if parameter.requires_grad:  # the same ones on every process, whether or not its rows touched them
                mine = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                parameter.grad = self._accelerator.reduce(mine, reduction="mean")

    def clip(self, model: nn.Module, norm: float) -> Tensor:
        """Scale gradients down to `norm` (0: only measure); return the norm before, a scalar tensor."""
        limit = norm if norm > 0 else float("inf")
        total: Tensor = self._accelerator.clip_grad_norm_(model.parameters(), limit)
        return total

    def add_up(self, value: Tensor) -> Tensor:
        """Return the sum over all processes."""
        if self.world == 1:
            return value
        total: Tensor = self._accelerator.reduce(value, reduction="sum")
        return total

    def any(self, said: bool) -> bool:
        """Whether any process says so; every process is told the same."""
        return said if self.world == 1 else bool(self.add_up(torch.tensor(float(said), device=self.torch_device)) > 0)

    def gather(self, values: list[Any]) -> list[Any]:
        """Return the lists of all processes, joined in rank order."""
        if self.world == 1:
            return values
        from accelerate.utils import gather_object

        return list(gather_object(values))

    def wait(self) -> None:
        """Wait until every process is here."""
        self._accelerator.wait_for_everyone()


def from_main(make: Callable[[], T], *, on_cpu: bool) -> T:
    """Return what `make` gives in the main process, in every process."""
    if n_processes() == 1:
        return make()
    from accelerate.utils import broadcast_object_list

    state = PartialState(cpu=on_cpu, timeout=PATIENCE)
    values = [make() if state.is_main_process else None]
    broadcast_object_list(values)
    found: Any = values[0]
    return cast(T, found)


def pick(name: str) -> torch.device:
    """Return the device to predict on: "auto" is the GPU where there is one."""
    if name != "auto":
        return torch.device(name)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _precision(spec: TrainSpec) -> str:
    if spec.precision == "auto":
        on_gpu = spec.device != "cpu" and torch.cuda.is_available() and torch.cuda.is_bf16_supported()
        return "bf16" if on_gpu else "no"
    return "bf16" if spec.precision == "bf16" else "no"


def refuse_missing_device(spec: TrainSpec) -> None:
    """Raise RecipeError if this machine lacks the device that `train.device` names."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(spec.device, True):
        raise RecipeError(
            f'this machine has no "{spec.device}" device',
            where=Where(column="train.device"),
            fix="use --set train.device=auto",
        )
