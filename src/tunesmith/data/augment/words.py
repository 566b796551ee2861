"""A text as words that can be edited, and those that can't."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tunesmith.data.clean import PUT_IN

_WORDS = re.compile(r"(\S+)(\s*)")


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a text.

    Attributes:
        text: itself, with punctuation that touches it.
        space: what stands between it and the next.
        group: words with the same number are one thing, such as an answer or an entity: they are left as they are, side
            by side; None for words that may be edited.
        kind: of the thing, such as an entity's type.
    """

    text: str
    space: str = " "
    group: int | None = None
    kind: Any = None


def cut(text: str) -> list[Word]:
    """Return the words of a text; those that cleaning put in, such as [URL], each have a group of their own."""
    found = [Word(match[1], match[2]) for match in _WORDS.finditer(text)]
    if not any(mark in text for mark in PUT_IN):
        return found
    return [
        replace(word, group=-1 - i) if any(mark in word.text for mark in PUT_IN) else word
        for i, word in enumerate(found)
    ]


def join(words: Sequence[Word]) -> str:
    """Return words as a text."""
    spaced = [word.text + (word.space or " ") for word in words[:-1]]
    return "".join([*spaced, *(word.text for word in words[-1:])])


def starts(words: Sequence[Word]) -> list[int]:
    """Return where each word begins in the text that `join` gives."""
    found, at = [], 0
    for word in words:
        found.append(at)
        at += len(word.text) + len(word.space or " ")
    return found


def alike(text: str) -> str:
    """Return a word without capitals and accents: as models that don't tell these apart have it."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in apart if not unicodedata.combining(c))
