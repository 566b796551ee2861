"""How numbers are said in sentences: percent, points, probabilities; the same words everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tunesmith.data.labels import label_name
from tunesmith.metrics.names import METRICS, is_share, number, shown


def metric_name(metric: str) -> str:
    """Return a metric's name in a sentence."""
    return METRICS[metric].said if metric in METRICS else metric.replace("_", " ")


def amount(metric: str, value: float) -> str:
    """Say a metric's value: "91.2%", "27.3" for BLEU and its like, or "0.823" for metrics that are no shares."""
    return shown(metric, value)


def bare(metric: str, difference: float) -> str:
    """Say a difference's size without its unit: "2.1" (points) or "0.034"."""
    said = f"{100 * difference:.1f}" if is_share(metric) else number(difference)
    return said.removeprefix("-") if not said.strip("-0.") else said


def difference(metric: str, value: float) -> str:
    """Say a difference in a metric: "2.1 points of macro F1", "0.034 of log loss"."""
    unit = " points" if is_share(metric) else ""
    return f"{bare(metric, value)}{unit} of {metric_name(metric)}"


def width(metric: str, value: float) -> str:
    """Say a size on a metric's scale without its name: "2.1 points" or "0.034"."""
    return f"{bare(metric, value)}{' points' if is_share(metric) else ''}"


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
    said = list(words[:most])
    if len(words) > most:
        said.append(f"{len(words) - most} more")
    return said[0] if len(said) == 1 else ", ".join(said[:-1]) + " and " + said[-1]
