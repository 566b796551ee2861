"""`python -m tunesmith.inference.reload MODEL_FOLDER`: answers to the rows on standard input, as JSON.

A run starts it in a fresh process, to see that the saved model gives what the trained one gave.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tunesmith.data.table import Table
from tunesmith.inference.predictor import Predictor


def main() -> None:
    """Read a JSON object of columns of cleaned texts, write a JSON list of predictions."""
    table = Table.of(json.load(sys.stdin))
    said = Predictor.load(Path(sys.argv[1]), device="cpu").answers(table)
    sys.stdout.write(json.dumps([prediction.record() for prediction in said]) + "\n")


if __name__ == "__main__":
    main()
