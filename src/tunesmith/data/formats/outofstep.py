"""Where two texts that should agree line by line stop doing so."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

MOST_GAPS = 20
MOST_LINES = 200_000
CLEARLY = 3.0
"""How much better, in summed scores, the lines must fit with the gaps than with all of them at the end."""
SIGNS = re.compile(r"\d+|[^\W\d_]{4,}|[?!:;()\"%]")


def first_gap(lines: Sequence[str], others: Sequence[str]) -> int | None:
    """Return the index, in the longer text, of the first line without a counterpart; None if it can't be told.

    Lines are compared by their lengths, and by the numbers, names and signs that stand in both. The best way to leave
    out as many lines of the longer text as it has more is found exactly.
    """
    longer, shorter = (lines, others) if len(lines) > len(others) else (others, lines)
    more = len(longer) - len(shorter)
    if not 0 < more <= MOST_GAPS or not shorter or len(longer) * (more + 1) > MOST_LINES * 2:
        return None
    scale = math.log((sum(map(len, longer)) / len(longer) + 1) / (sum(map(len, shorter)) / len(shorter) + 1))
    signs, other_signs = [_signs(line) for line in longer], [_signs(line) for line in shorter]

    def score(i: int, j: int) -> float:
        ratio = math.log((len(longer[i]) + 5) / (len(shorter[j]) + 5)) - scale
        both = len(signs[i] & other_signs[j]) / max(1.0, math.sqrt(len(signs[i]) * len(other_signs[j])))
        return both - min(2.0, abs(ratio))

    gaps, gain = _best_gaps(len(shorter), more, score)
    return gaps[0] if gain > CLEARLY else None


def _signs(line: str) -> frozenset[str]:
    return frozenset(SIGNS.findall(line.casefold()))


def _best_gaps(n: int, more: int, score: Callable[[int, int], float]) -> tuple[list[int], float]:
    """Return which lines to leave out, and how much better that is than leaving out the last ones."""
    best = [0.0] + [-math.inf] * more
    came: list[list[int]] = []
    for j in range(n):
        # `best[k]`: lines 0..j-1 of the shorter text matched, k lines of the longer one left out so far.
        froms = list(range(more + 1))
        for k in range(1, more + 1):
            if best[k - 1] > best[k]:
                best[k], froms[k] = best[k - 1], froms[k - 1]
        best = [value + score(j + k, j) if value > -math.inf else value for k, value in enumerate(best)]
        came.append(froms)
    at_end = best[0]
    k = max(range(more + 1), key=best.__getitem__)
    gain = best[k] - at_end
    gaps = [n + left for left in range(k, more)]
    for j in range(n - 1, -1, -1):
        gaps = [j + left for left in range(came[j][k], k)] + gaps
        k = came[j][k]
    return gaps, gain
