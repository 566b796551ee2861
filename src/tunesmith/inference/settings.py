"""What a model folder knows beyond Hugging Face's files: task, classes, cleaning, windows, temperature."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunesmith.core.errors import ModelError, Where
from tunesmith.core.files import read_json, write_json
from tunesmith.core.spec import Spec
from tunesmith.tasks import TASKS

NAME = "tunesmith.json"
FORMAT = 1


class ModelSettings(Spec):
    """The content of `tunesmith.json`."""

    format: int = FORMAT
    version: str = ""
    """The tunesmith that wrote it."""
    task: dict[str, Any]
    """The task's fields, columns and classes resolved."""
    clean: tuple[str, ...]
    """Cleaning steps, applied to every text before the tokenizer."""
    max_tokens: int
    """Most tokens in one window, special tokens counted."""
    temperature: float = 1.0
    """What the logits were divided by to calibrate them (Guo et al. 2017). It is in the head's weights already, so
    that every tool that opens the model gives calibrated probabilities."""
    base_model: str = ""
    """What it was fine-tuned from."""

    def build_task(self) -> Any:
        """Return the task these settings describe."""
        return TASKS[self.task["kind"]](**self.task)

    def save(self, folder: Path) -> None:
        """Write `tunesmith.json` into `folder`."""
        write_json(folder / NAME, self.model_dump(mode="json"))


def load_settings(folder: Path) -> ModelSettings:
    """Read `tunesmith.json`.

    Raises:
        ModelError: it is missing or newer than this version can read.
    """
    if not (folder / NAME).is_file():
        raise _no_model(folder)
    content = read_json(folder / NAME)
    if content.get("format", 0) > FORMAT:
        raise ModelError(
            "this model was written by a newer tunesmith", where=Where(str(folder)), fix="pip install -U tunesmith"
        )
    return ModelSettings(**content)


def _no_model(folder: Path) -> ModelError:
    where = Where(str(folder))
    if folder.name == "model" and (folder.parent / "manifest.json").is_file():
        return ModelError("this run has no model yet", where=where, fix=f"tunesmith train --resume {folder.parent}")
    fix = f"name a finished run, or a model folder that tunesmith wrote (it holds {NAME})"
    return ModelError("there is no model of tunesmith's in this folder", where=where, fix=fix)
