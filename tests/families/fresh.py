"""`python -m tests.families.fresh`: what saved models give in a process that never trained anything.

Reads a JSON list of [task, run folder, rows] on standard input, writes a list of what `look` returns for each.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import transformers

from tests.families.columns import COLUMNS
from tunesmith.data.table import Table
from tunesmith.inference.predictor import Predictor

SHORT = 50
"""Characters of a text that every model of the matrix reads at once, so that there is one window."""


def look(kind: str, folder: str, columns: dict[str, list[Any]]) -> dict[str, Any]:
    """Return what a saved model says of rows, and how far transformers' pipeline and single rows are from it."""
    predictor = Predictor.load(Path(folder), device="cpu")
    table = Table.of(columns)
    said = predictor.answers(table)
    alone = [predictor.answers(table.take([i]))[0] for i in range(len(table))]
    short = [text for text in columns[predictor.task.text] if len(text) <= SHORT]
    return {
        "said": [one.record() for one in said],
        "alone": [one.record() for one in alone],
        "pipeline": float(COLUMNS[kind].differ(predictor, folder, short)),
    }


if __name__ == "__main__":
    warnings.simplefilter("error")
    transformers.utils.logging.disable_progress_bar()
    asked = json.load(sys.stdin)
    found = []
    for one in asked:
        try:
            found.append(look(*one))
        except Exception as error:  # told as this cell's, the others go on
            found.append({"error": f"{type(error).__name__}: {error}"})
    sys.stdout.write("\n" + json.dumps(found) + "\n")
