"""`python -m tunesmith.inference.reload MODEL_FOLDER`: probabilities of the texts on standard input, as JSON.

A run starts it in a fresh process, to see that the saved model gives what the trained one gave.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tunesmith.inference.predictor import Predictor


def main() -> None:
    """Read a JSON list of cleaned texts, write a JSON list of probability rows."""
    texts = json.load(sys.stdin)
    found = Predictor.load(Path(sys.argv[1]), device="cpu").probabilities(texts, cleaned=True)
    sys.stdout.write(json.dumps(found.tolist()) + "\n")


if __name__ == "__main__":
    main()
