"""How numbers are said in sentences: percent, points, probabilities; the same words everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tunesmith.data.labels import label_name

_NAMES = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "micro_f1": "micro F1",
    "weighted_f1": "weighted F1",
    "mcc": "MCC",
    "auroc": "AUROC",
    "log_loss": "log loss",
    "ece": "calibration error",
}
_IN_PERCENT = frozenset({"accuracy", "macro_f1", "micro_f1", "weighted_f1", "f1", "ece"})


def metric_name(metric: str) -> str:
    """Return a metric's name in a sentence."""
    return _NAMES.get(metric, metric.replace("_", " "))


def amount(metric: str, value: float) -> str:
    """Say a metric's value: "91.2%", or "0.823" for metrics that are no shares."""
    return f"{100 * value:.1f}%" if metric in _IN_PERCENT else f"{value:.3f}"


def bare(metric: str, difference: float) -> str:
    """Say a difference's size without its unit: "2.1" (points) or "0.034"."""
    shown = f"{100 * difference:.1f}" if metric in _IN_PERCENT else f"{difference:.3f}"
    return shown.removeprefix("-") if float(shown) == 0 else shown


def difference(metric: str, value: float) -> str:
    """Say a difference in a metric: "2.1 points of macro F1", "0.034 of log loss"."""
    unit = " points" if metric in _IN_PERCENT else ""
    return f"{bare(metric, value)}{unit} of {metric_name(metric)}"


def points(value: float) -> str:
    """Say a difference of shares: "2.1 points"."""
    return f"{bare('accuracy', value)} points"


def p_value(p: float) -> str:
    """Say a p-value: "p = 0.012" or "p < 0.001"."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2f}" if p >= 0.1 else f"p = {p:.3f}"


def quoted(label: Any) -> str:
    """Say a label: its text in double quotes."""
    return f'"{label_name(label)}"'


def listed(words: Sequence[str], *, most: int = 3) -> str:
    """Join words: "a", "a and b", "a, b and c", "a, b, c and 4 more"."""
    shown = list(words[:most])
    if len(words) > most:
        shown.append(f"{len(words) - most} more")
    return shown[0] if len(shown) == 1 else ", ".join(shown[:-1]) + " and " + shown[-1]
