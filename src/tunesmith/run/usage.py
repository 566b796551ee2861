"""The code that opens a saved model, for the model card and the report."""

from __future__ import annotations

import json
from typing import Any

from tunesmith.core.files import read_json
from tunesmith.models.register import MODEL_TYPE
from tunesmith.run.folder import Run

IMPORT = "import tunesmith  # transformers learns here how this model pools its tokens\n"


def usage(run: Run, task: Any, folder: str) -> str:
    """Return Python code that opens a run's model with transformers where it is in `folder`."""
    config = run.model_folder / "config.json"
    is_own = config.is_file() and read_json(config).get("model_type") == MODEL_TYPE
    code: str = task.usage.replace("FOLDER", json.dumps(folder, ensure_ascii=False))
    return (IMPORT if is_own else "") + code
