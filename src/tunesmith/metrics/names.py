"""The metrics by name: what they are called, what they mean, which way is better. One line a metric.

The order is the one in which they are shown.
"""

from __future__ import annotations

from typing import NamedTuple


class Metric(NamedTuple):
    """A metric.

    Attributes:
        title: in a table.
        said: in a sentence.
        meaning: in a few words.
        is_share: from 0 to 1, shown in percent; differences are points.
        lower_is_better: an error or a loss.
    """

    title: str
    said: str
    meaning: str
    is_share: bool = True
    lower_is_better: bool = False

    @property
    def on_scale(self) -> bool:
        """Whether it lies between 0 and 1 (or, rarely, -1 and 1), so that it can be drawn."""
        return self.is_share or not self.lower_is_better


METRICS = {
    "accuracy": Metric("Accuracy", "accuracy", "share of rows with the right label"),
    "macro_f1": Metric("Macro F1", "macro F1", "F1 of each class, every class counting alike"),
    "micro_f1": Metric("Micro F1", "micro F1", "F1 over all decisions; equals accuracy here"),
    "weighted_f1": Metric("Weighted F1", "weighted F1", "F1 of each class, weighted by its rows"),
    "mcc": Metric("Matthews correlation", "MCC", "1 is perfect, 0 is chance, also with uneven classes", False),
    "auroc": Metric("AUROC", "AUROC", "how well the right class is ranked first; 0.5 is chance", False),
    "log_loss": Metric("Log loss", "log loss", "how surprised the model is; lower is better", False, True),
    "ece": Metric(
        "Calibration error (ECE)", "calibration error", "how far probabilities are from reality; lower is better",
        lower_is_better=True,
    ),
}  # fmt: skip


def titled(name: str) -> str:
    """Return what a metric is called in a table."""
    return METRICS[name].title if name in METRICS else name


def lower_is_better(name: str) -> bool:
    """Whether a smaller value is better."""
    return name in METRICS and METRICS[name].lower_is_better


def is_share(name: str) -> bool:
    """Whether the value is shown in percent; so are the numbers of a class, such as its "f1"."""
    return METRICS[name].is_share if name in METRICS else name in {"f1", "precision", "recall"}


def shown(name: str, value: float | None) -> str:
    """Return a value as people read it: shares in percent, the others with three digits, "-" for none."""
    if value is None:
        return "-"
    return f"{100 * value:.1f}%" if is_share(name) else f"{value:.3f}"
