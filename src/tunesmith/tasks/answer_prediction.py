"""What is said to one question."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from tunesmith.models.answer_spans import Span
from tunesmith.tasks.parts import Prediction


@dataclass(frozen=True)
class AnswerPrediction(Prediction):
    """The answer to one question.

    Attributes:
        text: a piece of the context; "" where there is no answer.
        start: its first character in the context; None where there is no answer.
        end: the one after its last, likewise.
        score: its probability.
        null_score: log-odds of there being no answer against the best one; above the task's `null_threshold`, none is
            given.
        n_best: "text", "start", "end" and "score" of the likeliest answers, best first; "" is one of them where the
            training data had unanswerable questions.
    """

    answer: ClassVar[str] = "text"
    text: str
    start: int | None
    end: int | None
    score: float
    null_score: float
    n_best: list[dict[str, Any]]

    def cells(self) -> dict[str, Any]:
        """Return the answer, where it is, its probability, and the likeliest answers."""
        where = {"start": self.start, "end": self.end, "score": round(self.score, 6)}
        best = [{**one, "score": round(one["score"], 6)} for one in self.n_best]
        return {"predicted": self.text, **where, "n_best": best}


def answer_of(span: Span, context: str, total: float) -> dict[str, Any]:
    """Return a span as an answer, without white space around it; `total` is the logarithm of all answers' odds."""
    text = context[span.start : span.end]
    start = span.start + len(text) - len(text.lstrip())
    return {
        "text": text.strip(),
        "start": start,
        "end": start + len(text.strip()),
        "score": math.exp(span.score - total),
    }


def apart(one: AnswerPrediction, other: AnswerPrediction) -> float:
    """Return the largest difference in probability of the two answers given; one that is not listed has none."""
    shares = [{(a["start"], a["end"]): float(a["score"]) for a in prediction.n_best} for prediction in (one, other)]
    given = ((one.start, one.end), (other.start, other.end))
    return max(abs(shares[0].get(place, 0.0) - shares[1].get(place, 0.0)) for place in given)
