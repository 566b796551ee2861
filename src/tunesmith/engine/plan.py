"""Which examples each step learns from: a pure function of lengths, settings, seed and step.

Nothing here is drawn at run time, so a run can start at any step, on any number of processes, and see what an
uninterrupted run would have seen. Examples of similar length share a step: padding falls from about 60% of the
tokens (random batches of short texts) to 2-4%.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from tunesmith.core.seed import derive
from tunesmith.engine.spec import amount

Indices = np.ndarray

STEPS_SORTED_TOGETHER = 48
"""Examples of this many steps are sorted by length together: more means less padding and less mixing."""
LENGTH_JITTER = 0.05
"""Lengths are multiplied by 1 +- this before sorting, so that neighbours change from epoch to epoch."""
KEPT = 2
"""Passes over the data whose steps are remembered: this one and the next."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one process does in one step.

    Attributes:
        batches: example indices of each forward pass; at least one.
        blank: the step had no example for this process; it repeats one, with weight zero.
    """

    batches: tuple[Indices, ...]
    blank: bool = False


@dataclass(frozen=True, eq=False)
class Plan:
    """All steps of a training.

    Attributes:
        lengths: tokens of each example.
        weights: each example's share of its row, which steps of so many rows count.
        length: "3 epochs" or "500 steps".
        step_size: "32 rows" or "4096 tokens" for each step, over all processes.
        tokens_per_batch: most tokens, padding counted, in one forward pass of one process.
        seed: changes the order.
        world: number of processes.
    """

    lengths: Indices
    weights: Indices
    length: str
    step_size: str
    tokens_per_batch: int
    seed: int
    world: int = 1
    _starts: list[int] = field(init=False, repr=False)
    _epochs: dict[int, list[Indices]] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_starts", self._epoch_starts())

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, step: int) -> tuple[Share, ...]:
        """Return one `Share` per process for step `step` (from 0)."""
        epoch, offset = self._find(step)
        members = self.epoch(epoch)[offset]
        return tuple(self._share(members, rank) for rank in range(self.world))

    def turn(self, step: int) -> int:
        """Return which of several tasks a step learns from: the only one (see `MixedPlan`)."""
        del step
        return 0

    def epochs(self, turn: int) -> float:
        """Return how many passes over the data there are, of the task whose turn is given (see `MixedPlan`)."""
        del turn
        return self.epoch_of(len(self))

    def epoch_of(self, step: int) -> float:
        """Return how many passes over the data are complete after `step` steps."""
        if step >= len(self):
            return self._n_epochs()
        epoch, offset = self._find(step)
        return epoch + offset / len(self.epoch(epoch))

    def epoch(self, epoch: int) -> list[Indices]:
        """Return the steps of one pass over the data: every example that has a weight exactly once."""
        if epoch not in self._epochs:
            while len(self._epochs) >= KEPT:
                del self._epochs[next(iter(self._epochs))]
            self._epochs[epoch] = self._drawn(epoch)
        return self._epochs[epoch]

    def _drawn(self, epoch: int) -> list[Indices]:
        rng = np.random.default_rng(derive(self.seed, "plan", epoch))
        order = rng.permutation(len(self.lengths))
        order = order[self.weights[order] > 0]
        jitter = rng.uniform(1 - LENGTH_JITTER, 1 + LENGTH_JITTER, len(self.lengths))
        steps = [
            step
            for chunk in self._chunks(order)
            for step in self._cut(chunk[np.argsort(-self.lengths[chunk] * jitter[chunk], kind="stable")])
        ]
        return [steps[i] for i in rng.permutation(len(steps))]

    def _chunks(self, order: Indices) -> Iterator[Indices]:
        """Cut a shuffled order into stretches that are sorted by length, each worth some whole steps."""
        size, unit = amount(self.step_size)
        cost = self.weights if unit == "rows" else self.lengths
        ends = np.floor(np.cumsum(cost[order]) / (size * STEPS_SORTED_TOGETHER) - 1e-9)
        yield from np.split(order, np.flatnonzero(np.diff(ends)) + 1)

    def _cut(self, ordered: Indices) -> list[Indices]:
        """Cut examples, ordered by length, into steps of the wanted size."""
        size, unit = amount(self.step_size)
        if unit == "tokens":
            return pack(self.lengths, ordered, tokens=int(size))
        ends = np.ceil(np.cumsum(self.weights[ordered]) / size - 1e-6)
        return np.split(ordered, np.flatnonzero(np.diff(ends)) + 1)

    def _share(self, members: Indices, rank: int) -> Share:
        """Deal a step's examples, longest first, to the processes in turn."""
        by_length = members[np.argsort(-self.lengths[members], kind="stable")]
        mine = by_length[rank :: self.world]
        if not len(mine):
            return Share((by_length[:1],), blank=True)
        return Share(tuple(pack(self.lengths, mine, tokens=self.tokens_per_batch)))

    def _n_epochs(self) -> float:
        number, unit = amount(self.length)
        if unit == "epochs":
            return number
        last = len(self._starts) - 2
        return last + (self._starts[-1] - self._starts[last]) / max(1, len(self.epoch(last)))

    def _epoch_starts(self) -> list[int]:
        """Return the first step of each epoch, and the end."""
        number, unit = amount(self.length)
        most = number if unit == "steps" else float("inf")
        epochs = number if unit == "epochs" else float("inf")
        starts, epoch = [0], 0
        while epoch < epochs and starts[-1] < most:
            n = len(self.epoch(epoch))
            if epochs - epoch < 1:
                n = max(1, round(n * (epochs - epoch)))
            starts.append(int(min(starts[-1] + n, most)))
            epoch += 1
        return starts

    def _find(self, step: int) -> tuple[int, int]:
        if not 0 <= step < len(self):
            raise IndexError(f"step {step} of a plan with {len(self)} steps")
        epoch = int(np.searchsorted(self._starts, step, side="right")) - 1
        return epoch, step - self._starts[epoch]


def pack(lengths: Indices, ordered: Indices, *, tokens: int) -> list[Indices]:
    """Cut examples, ordered longest first, into runs of at most `tokens` tokens, padding counted.

    An example longer than `tokens` makes a run of its own.
    """
    runs: list[Indices] = []
    start = 0
    while start < len(ordered):
        longest = max(1, int(lengths[ordered[start]]))
        # Jitter may put a longer example later: the longest so far decides what padding costs.
        reach = np.maximum.accumulate(lengths[ordered[start : start + max(1, tokens // longest)]])
        cost = reach * np.arange(1, len(reach) + 1)
        end = start + max(1, int(np.searchsorted(cost, tokens, side="right")))
        runs.append(ordered[start:end])
        start = end
    return runs


def pack_all(lengths: Sequence[int], *, tokens: int) -> list[Indices]:
    """Cut all examples into batches, longest first (so that running out of memory shows at once)."""
    array = np.asarray(lengths, dtype=np.int64)
    return pack(array, np.argsort(-array, kind="stable"), tokens=tokens)
