"""The mean of the best measured weights ("model soup"; Wortsman et al. 2022, section 3, over one training's way)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tunesmith.core.files import replacing_folder
from tunesmith.engine.checkpoint import weights

FILE = "model.safetensors"


class Soup:
    """Keeps the weights of the best few measurements on disk.

    Attributes:
        kept: (how good, step) of each, the best first; a list of plain numbers, for a checkpoint's state.
    """

    def __init__(self, folder: Path, *, n: int, kept: Sequence[Sequence[float]] = ()) -> None:
        """Keep at most `n` in a folder; 1 or less: none."""
        self._folder, self._n = folder, n
        self.kept = [tuple(one) for one in kept]

    def after(self, step: int, good: float, model: nn.Module, *, is_main: bool = True) -> None:
        """Keep the weights after `step`, if they are among the best so far; the main process writes them."""
        if self._n < 2:
            return
        before = [one for one in self.kept if one[1] != step]
        self.kept = sorted([*before, (good, step)], key=lambda one: (-one[0], one[1]))[: self._n]
        if not is_main:
            return
        if any(one[1] == step for one in self.kept):
            with replacing_folder(self._place(step)) as new:
                save_file(weights(model), new / FILE)
        for _, other in before:
            if not any(one[1] == other for one in self.kept):
                shutil.rmtree(self._place(int(other)), ignore_errors=True)

    @contextmanager
    def tried(self, model: nn.Module) -> Iterator[None]:
        """Put the mean into the model inside the `with`; afterwards it has its own weights back."""
        own = {name: tensor.clone() for name, tensor in weights(model).items()}
        self.put(model)
        try:
            yield
        finally:
            for name, tensor in weights(model).items():
                tensor.copy_(own[name])

    def put(self, model: nn.Module) -> None:
        """Put the mean into the model."""
        mean: dict[str, Tensor] = {}
        for i, (_, step) in enumerate(self.kept, 1):
            for name, tensor in load_file(self._place(int(step)) / FILE).items():
                if tensor.is_floating_point():
                    mean[name] = tensor if i == 1 else mean[name].lerp_(tensor, 1 / i)
        for name, tensor in weights(model).items():
            if name in mean:
                tensor.copy_(mean[name])

    def _place(self, step: int) -> Path:
        return self._folder / f"good-{int(step):08d}"
