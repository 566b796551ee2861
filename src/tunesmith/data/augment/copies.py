"""Copies of rows, edited many at a time: a model that edits reads them in batches."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tunesmith.data.augment.edits import Edit, Near
from tunesmith.data.augment.words import Word

TRIES = 4
"""Edits that are tried on a copy before it is given up: a text of one word can't be swapped."""
AT_ONCE = 2048
"""Copies that are edited together: enough for full batches of texts of similar length, little to hold in memory."""

Words = dict[str, list[Word]]
"""The words of a row, by column."""


@dataclass(slots=True)
class Copy:
    """A copy of a row on its way to a new one.

    Attributes:
        row: index of the row.
        words: of the row, then of the copy.
        chance: what all is drawn from that is drawn for it.
        edit: what was done to it; "" as long as nothing was.
    """

    row: int
    words: Words
    chance: random.Random
    edit: str = ""


Editor = Callable[[Sequence[Copy]], list[Words]]
"""Takes copies and gives the words each is to have; the same ones where it can't do anything."""


def one_by_one(edit: Edit, rate: float, near: Near) -> Editor:
    """Return an edit of one text as one of many copies."""

    def editor(copies: Sequence[Copy]) -> list[Words]:
        return [
            {column: edit(words, copy.chance, rate, near) for column, words in copy.words.items()} for copy in copies
        ]

    return editor


def edit_all(copies: Sequence[Copy], editors: Mapping[str, Editor], names: Sequence[str]) -> None:
    """Do one edit, drawn from `names`, to each copy; those that a few tries don't change keep `edit` empty."""
    left = list(copies)
    for _ in range(TRIES):
        drawn: dict[str, list[Copy]] = {}
        for copy in left:
            drawn.setdefault(copy.chance.choice(names), []).append(copy)
        for name, mine in drawn.items():
            for copy, words in zip(mine, editors[name](mine), strict=True):
                if _texts(words) != _texts(copy.words):
                    copy.words, copy.edit = words, name
        left = [copy for copy in left if not copy.edit]


def _texts(words: Words) -> list[list[str]]:
    return [[word.text for word in one] for one in words.values()]
