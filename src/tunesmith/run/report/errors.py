"""The rows of which a model is surest and wrong, or furthest off: often these are labelled wrongly."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Any

from tunesmith.metrics.names import number
from tunesmith.run.folder import Run

N_ERRORS = 15


def worst_errors(run: Run, split: str) -> list[dict[str, Any]]:
    """Return file, row, text and what is `said` of the worst errors, the worst one first."""
    rows = ((_error(row), row) for row in run.predictions(split or "test") if row["gold"] is not None)
    wrong = [(error, row) for error, row in rows if error is not None]
    worst = heapq.nlargest(N_ERRORS, wrong, key=lambda pair: pair[0][0])
    return [{"file": row["file"], "row": row["row"], "text": _text(row), "said": said} for (_, said), row in worst]


def _error(row: Mapping[str, Any]) -> tuple[float, str] | None:
    """Return how bad an error is, and what it is; None where the answer is right or errors have no size."""
    said, gold = row["predicted"], row["gold"]
    if said == gold:
        return None
    if "confidence" in row:
        return row["confidence"], f"{row['confidence']:.0%} sure of “{said}”, labelled “{gold}”"
    if "probabilities" in row:
        return max(_decision(name, row) for name in {*said} ^ {*gold})
    if isinstance(said, int | float) and isinstance(gold, int | float):
        return abs(said - gold), f"{number(said)} said, labelled {number(gold)}"
    return None


def _decision(name: str, row: Mapping[str, Any]) -> tuple[float, str]:
    """Return how sure a wrong yes or no to one label is."""
    p, labels = row["probabilities"][name], ", ".join(row["gold"]) or "none"
    if name in row["predicted"]:
        return p, f"{p:.0%} sure of “{name}”, labelled “{labels}”"
    return 1 - p, f"{1 - p:.0%} sure that it is not “{name}”, labelled “{labels}”"


def _text(row: Mapping[str, Any]) -> str:
    return " / ".join(str(row[name]) for name in ("text", "text_pair") if row.get(name))
