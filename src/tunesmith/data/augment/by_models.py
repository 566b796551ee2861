"""Edits that a model makes: other words in context, and texts that were translated there and back.

Words in context are those of Kobayashi (2018, "Contextual Augmentation", section 2.2) without his conditioning on the
label: a language model that sees both sides of a word says what could stand in its place, and one is drawn by its
probability. Translation there and back is that of Sennrich et al. (2016, "Improving Neural Machine Translation Models
with Monolingual Data") as Yu et al. (2018, QANet, section 3) paraphrase training texts with it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from tunesmith.data.augment.copies import Copy, Words
from tunesmith.data.augment.edits import bare, dressed, free, in_the_dress_of, number
from tunesmith.data.augment.words import Word, alike, cut, join

Guesses = list[tuple[str, float]]
"""Words for one place, and the logarithm of each one's probability up to a constant, the likeliest first."""


class Guesser(Protocol):
    """Says which words fit into gaps."""

    mask: str
    """What stands for a gap."""

    def knows(self, word: str) -> bool:
        """Whether it could have guessed a word."""

    def __call__(self, texts: Sequence[str]) -> list[list[Guesses]]:
        """Return what fits into each gap of each text."""


def in_context(copies: Sequence[Copy], *, rate: float, guess: Guesser) -> list[Words]:
    """Put words that fit there in the place of some.

    Only words that could have been guessed are replaced: names, numbers and slips mostly stay, and so does text of a
    script that is written without spaces.

    Args:
        copies: all that have this edit.
        rate: share of a text's words.
        guess: the model.
    """
    found = [dict(copy.words) for copy in copies]
    gaps = [
        (row, column, places, copy.chance)
        for row, copy in zip(found, copies, strict=True)
        for column, words in row.items()
        if (places := _gaps(words, copy.chance, rate, guess))
    ]
    texts = [_with_gaps(row[column], places, guess.mask) for row, column, places, _ in gaps]
    for (row, column, places, chance), guesses in zip(gaps, guess(texts) if texts else [], strict=True):
        words = list(row[column])
        for i, likely in zip(places, guesses, strict=True):
            words[i] = replace(words[i], text=_drawn(likely, chance, like=words[i].text))
        row[column] = words
    return found


def _gaps(words: Sequence[Word], chance: random.Random, rate: float, guess: Guesser) -> list[int]:
    """Return the places of the words to replace, in order; none in a text that holds a gap of its own."""
    if any(guess.mask in word.text for word in words):
        return []
    able = [i for i in free(words) if guess.knows(bare(words[i].text))]
    return sorted(chance.sample(able, min(number(words, rate), len(able))))


def _with_gaps(words: Sequence[Word], places: Sequence[int], mask: str) -> str:
    texts = list(words)
    for i in places:
        texts[i] = replace(words[i], text=in_the_dress_of(words[i].text, mask))
    return join(texts)


def _drawn(likely: Guesses, chance: random.Random, *, like: str) -> str:
    """Return a word by its probability, but not the one that stood there, unless there is no other."""
    others = [(word, score) for word, score in likely if alike(word) != alike(bare(like))]
    if not others:
        return like
    most = max(score for _, score in others)
    weights = [math.exp(score - most) for _, score in others]
    return dressed(chance.choices([word for word, _ in others], weights)[0], like=like)


class RoundTrip:
    """Puts what comes back from a translation there and back in the place of whole texts.

    Attributes:
        too_long: rows that were left alone, since a text is longer than what is read or written on the way.
        again: rows of which another copy was wanted than the only one there is.
    """

    def __init__(self, translate: Callable[[Sequence[str]], list[str | None]], *, varies: bool) -> None:
        """Keep the way.

        Args:
            translate: gives each text as it comes back, None for one that is too long.
            varies: whether a text may come back in another form the next time.
        """
        self._translate, self._varies = translate, varies
        self._tried: dict[int, Copy] = {}
        self.too_long: set[int] = set()
        self.again: set[int] = set()

    def __call__(self, copies: Sequence[Copy]) -> list[Words]:
        """Return the words of each copy."""
        sent = [i for i, copy in enumerate(copies) if self._is_wanted(copy)]
        texts = [join(words) for i in sent for words in copies[i].words.values()]
        back = iter(self._translate(texts) if texts else [])
        found = [copy.words for copy in copies]
        for i in sent:
            came = {column: next(back) for column in copies[i].words}
            if None in came.values():
                self.too_long.add(copies[i].row)
            else:
                found[i] = {column: cut(text or "") or copies[i].words[column] for column, text in came.items()}
        return found

    def _is_wanted(self, copy: Copy) -> bool:
        if copy.row in self.too_long:
            return False
        if self._varies or copy.row not in self._tried:
            self._tried[copy.row] = copy
            return True
        if self._tried[copy.row] is not copy:  # that one is asked for again where it came back as it was
            self.again.add(copy.row)
        return False
