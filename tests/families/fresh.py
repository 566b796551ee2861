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


def look(kind: str, folder: str, columns: dict[str, list[Any]]) -> dict[str, Any]:
    """Return what a saved model says of rows, and how far transformers' pipeline and single rows are from it."""
    predictor = Predictor.load(Path(folder), device="cpu")
    table = Table.of(columns)
    said = predictor.answers(table)
    alone = [predictor.answers(table.take([i]))[0] for i in range(len(table))]
    fits = [n <= predictor.tokenizer.max_tokens for n in predictor.task.lengths(table, predictor.tokenizer)]
    read = [columns[name] for name in predictor.task.columns.values()]
    items = [item for item, fit in zip(zip(*read, strict=True), fits, strict=True) if fit]
    return {
        "said": [one.record() for one in said],
        "alone": [one.record() for one in alone],
        "pipeline": float(COLUMNS[kind].differ(predictor, folder, [i[0] if len(i) == 1 else i for i in items])),
    }


if __name__ == "__main__":
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", "Recommended. pip install sacremoses")
    transformers.utils.logging.disable_progress_bar()
    asked = json.load(sys.stdin)
    found = []
    for one in asked:
        try:
            found.append(look(*one))
        except Exception as error:  # told as this cell's, the others go on
            found.append({"error": f"{type(error).__name__}: {error}"})
    sys.stdout.write("\n" + json.dumps(found) + "\n")
