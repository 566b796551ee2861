"""What is said of one text that may have any number of labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from tunesmith.tasks.parts import Prediction


@dataclass(frozen=True)
class LabelsPrediction(Prediction):
    """The labels of one text.

    Attributes:
        labels: those given, in the order of the model's outputs; may be none.
        probabilities: every label's, each from 0 to 1; they don't add up to 1.
    """

    answer: ClassVar[str] = "labels"
    labels: list[str]
    probabilities: dict[str, float]

    def cells(self) -> dict[str, Any]:
        """Return the labels, and the probability of each."""
        return {"predicted": self.labels, **{f"p_{name}": round(p, 6) for name, p in self.probabilities.items()}}
