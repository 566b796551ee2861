"""The code that opens a saved model, for the model card and the report."""

from __future__ import annotations

import json
from typing import Any

from tunesmith.core.files import read_json
from tunesmith.models.register import POOLED, PREFIXED
from tunesmith.run.folder import Run

IMPORT = {
    POOLED: "import tunesmith  # transformers learns here how this model pools its tokens\n",
    PREFIXED: "import tunesmith  # transformers learns here of the learnt prefixes of this model\n",
}


def usage(run: Run, task: Any, folder: str) -> str:
    """Return Python code that opens a run's model with transformers where it is in `folder`."""
    code: str = task.usage.replace("FOLDER", json.dumps(folder, ensure_ascii=False))
    return IMPORT.get(model_type(run), "") + code


def is_own(run: Run) -> bool:
    """Whether transformers opens a run's model only where tunesmith is imported."""
    return model_type(run) in IMPORT


def model_type(run: Run) -> str:
    """Return what a run's `config.json` says its model is; "" where there is none yet."""
    config = run.model_folder / "config.json"
    return str(read_json(config).get("model_type", "")) if config.is_file() else ""
