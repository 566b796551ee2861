"""How often rows are copied so that classes, or labels of which a row may have several, have as many rows."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence

MOST_COPIES = 10
"""Of a row, for the sake of balance."""
STEPS = 8
"""In how many steps, about, a row's like goes as far as it can alone: others are looked at after each."""

Group = tuple[str, ...]
"""The labels of rows that have the same ones."""


def even_copies(labels: Sequence[Sequence[str]], *, grown: int = 1) -> list[int]:
    """Return how many copies of each row bring the labels near to the most frequent one; the same for the same rows.

    One copy after the other is of the rows that bring the sum of squared differences to it down most, so those whose
    other labels are frequent come last; it ends where all would bring it up.

    Args:
        labels: of each row; those without any are not copied.
        grown: how many there will be of each row without these copies.
    """
    places: dict[Group, list[int]] = {}
    for i, names in enumerate(labels):
        places.setdefault(tuple(sorted({*names})), []).append(i)
    counts = Counter({name: 0 for group in places for name in group})
    for group, rows in places.items():
        counts.update(dict.fromkeys(group, grown * len(rows)))
    made = _made({group: len(rows) for group, rows in places.items()}, counts)
    found = [0] * len(labels)
    for group, rows in places.items():
        each, others = divmod(made[group], len(rows))
        for k, i in enumerate(rows):
            found[i] = each + (k < others)
    return found


def _made(sizes: Mapping[Group, int], counts: Mapping[str, int]) -> Counter[Group]:
    """Return how many copies are made of each group's rows; none where they would take the labels further apart.

    Args:
        sizes: rows of each group.
        counts: of each label.
    """
    most = max(counts.values(), default=0)
    lack = {name: most - n for name, n in counts.items()}
    made: Counter[Group] = Counter()
    best = [(-_gain(group, lack), k, group) for k, group in enumerate(sizes)]  # what a copy brings only ever falls
    heapq.heapify(best)
    while best and best[0][0] < 0:
        said, k, group = best[0]
        gain, room = _gain(group, lack), MOST_COPIES * sizes[group] - made[group]
        if not room:
            heapq.heappop(best)
        elif gain < -said:
            heapq.heapreplace(best, (-gain, k, group))
        else:
            n = _step(group, lack, gain, room)
            made[group] += n
            lack.update({name: lack[name] - n for name in group})
    now = {name: most - n for name, n in lack.items()}
    return made if _spread(now) <= _spread(counts) else Counter()


def _gain(group: Group, lack: Mapping[str, int]) -> int:
    """Return by how much a copy brings down the sum of squares of what labels lack."""
    return sum(2 * lack[name] - 1 for name in group)


def _step(group: Group, lack: Mapping[str, int], gain: int, room: int) -> int:
    """Return how many copies are made before other groups are looked at: no label gets more than it lacks by it."""
    return max(1, min(room, gain // (STEPS * len(group)), *(lack[name] for name in group if lack[name] > 0)))


def _spread(counts: Mapping[str, int]) -> float:
    """Return how many times more rows the most frequent label has than the rarest."""
    return max(counts.values(), default=0) / min(counts.values(), default=1)
