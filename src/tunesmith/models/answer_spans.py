"""Answers as spans of a context: the windows it is read in, where an answer is in them, and the best spans of all.

The score of a span is its start's logit plus its end's, minus those of "no answer here" (the first token; Devlin et al.
2019, section 4.3): the log-odds against its window holding no answer. So windows can be compared, whatever the scale of
their logits, and the odds of all spans of a context together with those of no answer, 1, are a distribution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

Array = np.ndarray

OVERLAP = 3
"""A window repeats one part in this many of the window before it."""


class Span(NamedTuple):
    """Attributes: first and last character (exclusive) in the context; log-odds against no answer."""

    start: int
    end: int
    score: float


class Window(NamedTuple):
    """What a window says of its tokens.

    Attributes:
        first: the window's first token in the context.
        starts: log-odds of an answer starting at each token, shape (tokens,).
        ends: likewise of its end.
    """

    first: int
    starts: Array
    ends: Array


@dataclass(frozen=True)
class ContextScores:
    """What the windows of one context say of its spans.

    Attributes:
        offsets: where each token is in the context, in characters, shape (tokens, 2).
        windows: all of the context, in order.
    """

    offsets: Array
    windows: Sequence[Window]

    def band(self, most_chars: int) -> Array:
        """Return the score of each span of at most so many characters, the highest that a window gives it.

        Returns:
            Shape (tokens, longest): of the span from token i to token i + j; -inf where there is none.
        """
        starts, ends = self.offsets.T
        n = len(starts)
        reach = np.searchsorted(ends, starts + most_chars, side="right") - np.arange(n)
        found = np.full((n, max(1, int(reach.max(initial=1)))), -np.inf, dtype=np.float32)
        for first, start, end in self.windows:
            for j in range(min(found.shape[1], len(start))):
                here = found[first : first + len(start) - j, j]
                np.maximum(here, start[: len(start) - j] + end[j:], out=here)
        last = np.minimum(np.arange(n)[:, None] + np.arange(found.shape[1]), n - 1)
        length = ends[last] - starts[:, None]
        empty = starts == ends
        found[(length <= 0) | (length > most_chars) | empty[:, None] | empty[last]] = -np.inf
        return found

    def best(self, n: int, *, most_chars: int) -> tuple[list[Span], float]:
        """Return the `n` best spans, best first, and the logarithm of the summed odds of all spans (-inf if none)."""
        band = self.band(most_chars)
        flat = band.ravel()
        top = np.argpartition(-flat, min(n, len(flat)) - 1)[:n] if len(flat) else np.zeros(0, dtype=np.int64)
        top = top[np.lexsort((top, -flat[top]))]
        spans = []
        for place in top[np.isfinite(flat[top])].tolist():
            i, j = divmod(place, band.shape[1])
            spans.append(Span(int(self.offsets[i, 0]), int(self.offsets[i + j, 1]), float(flat[place])))
        return spans, _log_sum(flat)


def window_starts(n: int, room: int) -> list[int]:
    """Return the first token of each window of `room` tokens over `n` tokens; the last one ends with the text."""
    starts = [0]
    while starts[-1] + room < n:
        starts.append(min(starts[-1] + max(1, room - room // OVERLAP), n - room))
    return starts


def tokens_of(offsets: Array, start: int, end: int) -> tuple[int, int] | None:
    """Return the first and the last token of the characters `start` to `end`; None if no token is of them."""
    first = int(np.searchsorted(offsets[:, 1], start, side="right"))
    last = int(np.searchsorted(offsets[:, 0], end, side="left")) - 1
    return (first, last) if first <= last else None


def _log_sum(scores: Array) -> float:
    top = scores.max(initial=-np.inf)
    return float(top + np.log(np.exp(scores.astype(np.float64) - top).sum())) if np.isfinite(top) else float("-inf")
