"""Sequences of tags: which may follow which, which is the most probable one, how probable each tag is.

Steps are scores of one tag following another, shape (tags + 1, tags + 1): the last row is the beginning of a text, the
last column its end. All scores are logarithms and need not be normalised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

Array = np.ndarray

FORBIDDEN = -1e4
"""Score of a step that can't be; finite, so that sums and gradients stay numbers."""


class Lattice(NamedTuple):
    """The scores of all sequences of tags of a text.

    Attributes:
        each: log-probability of each tag for each word by itself, shape (words, tags).
        steps: shape (tags + 1, tags + 1).
    """

    each: Array
    steps: Array


@lru_cache(maxsize=8)
def allowed(labels: tuple[str, ...], may_follow: Callable[[str, str], bool]) -> Array:
    """Return the steps that say only what can be: 0 where a tag may follow another, else `FORBIDDEN`.

    The beginning of a text is taken as "O"; any tag may end it.
    """
    steps = np.zeros((len(labels) + 1, len(labels) + 1))
    for i, before in enumerate((*labels, "O")):
        for j, after in enumerate(labels):
            steps[i, j] = 0.0 if may_follow(before, after) else FORBIDDEN
    steps.setflags(write=False)
    return steps


def viterbi(lattice: Lattice) -> Array:
    """Return the most probable sequence of tag indices, shape (words,) (Viterbi 1967)."""
    each, steps = lattice
    if not len(each):
        return np.zeros(0, dtype=np.int64)
    best = each[0] + steps[-1, :-1]
    back = np.zeros(each.shape, dtype=np.int64)
    for i in range(1, len(each)):
        ways = best[:, None] + steps[:-1, :-1]
        back[i] = ways.argmax(axis=0)
        best = ways.max(axis=0) + each[i]
    path = [int((best + steps[:-1, -1]).argmax())]
    for i in range(len(each) - 1, 0, -1):
        path.append(int(back[i, path[-1]]))
    return np.array(path[::-1])


def marginals(lattice: Lattice) -> Array:
    """Return the log-probability of each word's tags over all sequences, shape (words, tags) (forward-backward)."""
    each, steps = lattice
    if not len(each):
        return each
    total = _forward(each, steps) + _forward(each[::-1], steps.T)[::-1] - each
    top = total.max(axis=1, keepdims=True)
    return np.asarray(total - top - np.log(np.exp(total - top).sum(axis=1, keepdims=True)))


def word_losses(lattices: Sequence[Lattice], gold: Sequence[Sequence[str]], labels: Sequence[str]) -> list[float]:
    """Return minus the log-probability of each word's tag; words with a tag that is not among `labels` are left out."""
    index = {tag: i for i, tag in enumerate(labels)}
    return [
        -float(logp[index[tag]])
        for lattice, tags in zip(lattices, gold, strict=True)
        for logp, tag in zip(marginals(lattice), tags, strict=True)
        if tag in index
    ]


def _forward(each: Array, steps: Array) -> Array:
    """Return for each word and tag the summed score of all sequences up to it."""
    found = np.empty(each.shape)
    found[0] = each[0] + steps[-1, :-1]
    for i in range(1, len(each)):
        ways = found[i - 1][:, None] + steps[:-1, :-1]
        top = ways.max(axis=0)
        found[i] = top + np.log(np.exp(ways - top).sum(axis=0)) + each[i]
    return found
