"""The model folder: written whole, then opened again in a fresh process, which must give the same answers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from tunesmith.core.errors import RunError, Where
from tunesmith.core.files import replacing_folder
from tunesmith.inference.settings import ModelSettings
from tunesmith.models.classifier import quiet
from tunesmith.models.source import find
from tunesmith.models.targets import FOLDER as TARGET_FOLDER
from tunesmith.run.folder import Run
from tunesmith.run.manifest import versions
from tunesmith.workflow.assess import Answers
from tunesmith.workflow.session import Fitted

CHECKED_ROWS = 32
"""Rows whose answers the saved model must reproduce in a fresh process."""
TOLERANCE = 0.02
"""Largest difference of a probability: other batches, and bf16 against float32, round differently."""


def save_model(resolved: Any, fitted: Fitted, answers: Answers, *, run: Run) -> None:
    """Write `model/`: Hugging Face's files, and `tunesmith.json`; beside it `adapter/`, if few weights were learnt."""
    source, tuned = find(resolved.recipe.model), answers.tuned
    settings = ModelSettings(
        version=versions().get("tunesmith", ""),
        task=tuned.task.model_dump(mode="json"),
        clean=resolved.recipe.data.clean,
        max_tokens=resolved.tokenizer.max_tokens,
        temperature=tuned.facts.get("temperature", 1.0),
        base_model=source.name,
    )
    tuned.fold(fitted.model)
    with replacing_folder(run.model_folder) as folder:
        fitted.model.config.name_or_path = source.name
        with quiet():
            fitted.model.save_pretrained(folder)
        plain = resolved.tokenizer.plain
        plain.model_max_length = resolved.tokenizer.max_tokens
        plain.save_pretrained(folder)
        if resolved.tokenizer.target:
            resolved.tokenizer.target.plain.save_pretrained(folder / TARGET_FOLDER)
        settings.save(folder)
    if fitted.adapter:
        with replacing_folder(run.adapter_folder) as folder:
            fitted.adapter.save(folder, fitted.model)


def verify(resolved: Any, answers: Answers, *, run: Run) -> None:
    """Reload the saved model in a fresh process: it must reproduce this process's answers.

    Raises:
        RunError: it does not.
    """
    split = next((name for name in ("test", "dev") if name in answers.predictions), None)
    if split is None:
        return
    task, table = answers.tuned.task, resolved.encoded.tables[split]
    rows = table.take(range(min(CHECKED_ROWS, len(table))))
    said = answers_of_a_fresh_process(run, {column: list(rows[column]) for column in task.answered_from})
    again = [task.prediction.of(record) for record in said]
    difference = task.distance(again, answers.predictions[split][: len(rows)])
    if difference > TOLERANCE:
        raise _broken(run, f"the saved model does not reproduce its own predictions (difference {difference:.2g})")


def answers_of_a_fresh_process(run: Run, columns: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return the records of what the saved model says of rows.

    Raises:
        RunError: it can't be loaded.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tunesmith.inference.reload", str(run.model_folder)],
        input=json.dumps(columns),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise _broken(run, f"the saved model could not be loaded again: {done.stderr.strip().splitlines()[-1]}")
    found: list[dict[str, Any]] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def _broken(run: Run, message: str) -> RunError:
    where = Where(str(run.model_folder))
    return RunError(message, where=where, fix="please report this; the checkpoints are kept")
