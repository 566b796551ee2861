"""Rows as examples of labelled words, and back: which token answers for a word, in which window of a long text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

from tunesmith.data import tagging
from tunesmith.data.augment.words import Word
from tunesmith.data.tagged import split_words, words_of
from tunesmith.data.tagging import join_tag, split_tag
from tunesmith.models.words import IGNORED, first_tokens, word_windows
from tunesmith.tasks.parts import Example, padded

if TYPE_CHECKING:
    from torch import Tensor

    from tunesmith.models.chain import Lattice
    from tunesmith.models.tokenize import Tokenizer

UNREAD = -20.0
"""Log-probability of any tag but the first for a word that has no token."""


class Target(NamedTuple):
    """What should come out of one window: tag indices.

    Attributes:
        before: of the word before its words; the number of tags where the text begins.
        after: of the word after them; the number of tags where the text ends.
        tags: of each token, `IGNORED` where it carries no loss.
    """

    before: int
    after: int
    tags: list[int]


class Place(NamedTuple):
    """Where a window's words are: their indices, the token of each, and how many words the row has."""

    words: list[int]
    tokens: list[int]
    n_words: int


def word_examples(
    row: int,
    encoded: tuple[list[int], list[tuple[int, int]]],
    places: Sequence[tuple[int, int]],
    tags: Sequence[int] | None,
    *,
    tokenizer: Tokenizer,
    n_tags: int,
) -> list[Example]:
    """Return the windows of one row; an example's weight is the number of tokens that carry loss.

    Args:
        row: its index.
        encoded: token ids of its text, special tokens left out, and where each is in the text.
        places: where its words are in the text.
        tags: of its words; None where they are to be found.
        tokenizer: gives the room of a window and what stands around it.
        n_tags: how many tags there are.
    """
    (ids, offsets), frame = encoded, tokenizer.frames[0]
    examples = []
    for window in word_windows(first_tokens(offsets, places), len(ids), room=tokenizer.room()):
        piece = frame.filled(ids[window.start : window.end])
        place = Place(window.words, [token + len(frame.ids[0]) for token in window.tokens], len(places))
        target = None if tags is None else _target(place, tags, n_tokens=len(piece.ids), n_tags=n_tags)
        examples.append(Example(piece.ids, row, target, len(set(place.tokens)), piece.extras, place))
    return examples


def _target(place: Place, tags: Sequence[int], *, n_tokens: int, n_tags: int) -> Target:
    """Return the target of a window; where words share a token, the first of them is learnt."""
    of_tokens = [IGNORED] * n_tokens
    for word, token in zip(reversed(place.words), reversed(place.tokens), strict=True):
        of_tokens[token] = tags[word]
    if not place.words:
        return Target(n_tags, n_tags, of_tokens)
    around = (n_tags, *tags, n_tags)
    return Target(around[place.words[0]], around[place.words[-1] + 2], of_tokens)


def stack_targets(targets: Sequence[Target]) -> Tensor:
    """Return targets of shape (batch, 2 + tokens): before, after, and of each token."""
    import torch

    edges = torch.tensor([(target.before, target.after) for target in targets])
    return torch.cat([edges, padded([target.tags for target in targets], IGNORED)], dim=1)


def join_windows(examples: Sequence[Example], outputs: Sequence[Lattice], *, n_rows: int, n_tags: int) -> list[Lattice]:
    """Return the scores of each row's words from those of its windows' tokens.

    A word without a token (a control character) is given the first tag.
    """
    import numpy as np

    from tunesmith.models.chain import Lattice

    rows: list[Any] = [None] * n_rows
    for example, found in zip(examples, outputs, strict=True):
        words, tokens, n_words = example.place
        if rows[example.row] is None:
            each = np.full((n_words, n_tags), UNREAD)
            each[:, 0] = 0.0
            rows[example.row] = Lattice(each, found.steps)
        rows[example.row].each[words] = found.each[tokens]
    return rows


def entity_words(cell: Any, tags: Sequence[str]) -> list[Word]:
    """Return words with IOB2 tags as words that can be edited: those of an entity have a group, its type as kind.

    Args:
        cell: a list of words, or a text: what stands between its words is kept.
        tags: one for each word.
    """
    text, places = words_of(cell)
    ends = [start for start, _ in places[1:]] + [places[-1][1]] if places else []
    found, group = [], -1
    for (start, end), following, tag in zip(places, ends, tags, strict=True):
        place, kind = split_tag(tag)
        group += place == "B"
        word = Word(text[start:end], text[end:following])
        found.append(word if place == "O" else replace(word, group=group, kind=kind))
    return found


def as_text(words: Sequence[Word]) -> str | None:
    """Return edited words of a text as a text, each with what stood behind it; None where it would have other words.

    Words that touched others, as punctuation and characters of Chinese do, stay so where they don't run together.
    """
    found = ""
    for word, following in zip_longest(words, words[1:]):
        runs_on = following and not word.space and len(tagging.words(word.text + following.text)) != 2
        found += word.text + (" " if runs_on else word.space)
    found = found.rstrip()
    return found if split_words(found) == [word.text for word in words] else None


def entity_tags(words: Sequence[Word]) -> list[str]:
    """Return the IOB2 tags of edited words; see `entity_words`."""
    tags = []
    for i, word in enumerate(words):
        goes_on = i > 0 and word.group is not None and words[i - 1].group == word.group
        tags.append("O" if word.group is None else join_tag("I" if goes_on else "B", word.kind))
    return tags
