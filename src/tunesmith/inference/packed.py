"""A model folder in memory: its files as bytes, which pickle as they are, and the predictor they make when asked."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from tunesmith.inference.predictor import Predictor


class PackedModel:
    """The files of a model folder.

    Attributes:
        files: path inside the folder to content (safetensors, JSON, text; never a pickle).
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self._built: tuple[str, Predictor] | None = None

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Read a model folder written by a run."""
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        return cls({path.relative_to(folder).as_posix(): path.read_bytes() for path in paths})

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_built": None}

    def predictor(self, device: str = "auto") -> Predictor:
        """Return the model, ready to predict on `device`; built when first asked for."""
        if self._built is None or self._built[0] != device:
            from tunesmith.inference.predictor import Predictor

            with tempfile.TemporaryDirectory(prefix="tunesmith-", ignore_cleanup_errors=True) as folder:
                self._built = device, Predictor.load(self.write(Path(folder)), device=device)
        return self._built[1]

    def write(self, folder: Path) -> Path:
        """Write the files into `folder`, which is made where it is missing, and return it."""
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder
