"""Small readings of `metrics.json` that the report, the card and the list of runs share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Interval(NamedTuple):
    """A value with its 95% interval; all None where it was not measured."""

    value: float | None
    low: float | None
    high: float | None


def primary_split(metrics: Mapping[str, Any]) -> str:
    """Return where the headline number is from: "test", else "dev", else ""."""
    return next((name for name in ("test", "dev") if name in metrics.get("splits", {})), "")


def interval(measured: Mapping[str, Any] | None, name: str) -> Interval:
    """Return one value of a split's METRICS."""
    entry = (measured or {}).get("values", {}).get(name) or {}
    return Interval(entry.get("value"), entry.get("low"), entry.get("high"))


TITLES = {
    "accuracy": "Accuracy",
    "macro_f1": "Macro F1",
    "micro_f1": "Micro F1",
    "weighted_f1": "Weighted F1",
    "mcc": "Matthews correlation",
    "auroc": "AUROC",
    "log_loss": "Log loss",
    "ece": "Calibration error (ECE)",
}
EXPLAINED = {
    "accuracy": "share of rows with the right label",
    "macro_f1": "F1 of each class, every class counting alike",
    "micro_f1": "F1 over all decisions; equals accuracy here",
    "weighted_f1": "F1 of each class, weighted by its rows",
    "mcc": "1 is perfect, 0 is chance, also with uneven classes",
    "auroc": "how well the right class is ranked first; 0.5 is chance",
    "log_loss": "how surprised the model is; lower is better",
    "ece": "how far probabilities are from reality; lower is better",
}
SHARES = {"accuracy", "macro_f1", "micro_f1", "weighted_f1", "ece"}


def shown(name: str, value: float | None) -> str:
    """Return a metric as people read it: shares in percent, the others with three digits."""
    if value is None:
        return "-"
    return f"{100 * value:.1f}%" if name in SHARES else f"{value:.3f}"
