"""Words and tokens: which token stands for a word, and which words a window of a long text answers for."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any, NamedTuple

IGNORED = -100
"""Target of tokens that carry no loss."""
OVERLAP = 4
"""A window repeats one part in this many of the window before it, so that each word has text on both sides."""


_BYTES, _SPACE = "Ġ", "▁"
"""What byte-level and SentencePiece vocabularies put before a token that begins a word."""
_MARKED = 0.1
"""Share of a vocabulary that has such a mark, at least, where there is one."""


class WordWindow(NamedTuple):
    """A part of a text that is read at once.

    Attributes:
        start: its first token in the text; `end` is the one after its last.
        words: indices of the words it answers for, in order; every word with a token has exactly one window.
        tokens: for each of them its first token, counted from `start`.
    """

    start: int
    end: int
    words: list[int]
    tokens: list[int]


def first_tokens(offsets: Sequence[tuple[int, int]], places: Sequence[tuple[int, int]]) -> dict[int, int]:
    """Return word to its first token, of the words that have one; words written without a gap may share a token.

    Args:
        offsets: where in the text each token is, in order.
        places: where each word is, likewise.
    """
    found: dict[int, int] = {}
    token = 0
    for word, (start, end) in enumerate(places):
        while token < len(offsets) and offsets[token][1] <= start:
            token += 1
        if token < len(offsets) and max(start, offsets[token][0]) < min(end, offsets[token][1]):
            found[word] = token
    return found


def word_windows(first: dict[int, int], n_tokens: int, *, room: int) -> list[WordWindow]:
    """Return overlapping windows over a text; a word belongs to the one that cuts farthest from it.

    Args:
        first: word to its first token.
        n_tokens: of the text, special tokens not counted.
        room: most tokens in a window, likewise.
    """
    starts = [0]
    while starts[-1] + room < n_tokens:
        starts.append(min(starts[-1] + room - room // OVERLAP, n_tokens - room))
    owner = {word: _widest(token, starts, room, n_tokens) for word, token in first.items()}
    windows = []
    for w, start in enumerate(starts):
        words = [word for word in first if owner[word] == w]
        windows.append(WordWindow(start, min(start + room, n_tokens), words, [first[word] - start for word in words]))
    return windows


def _widest(token: int, starts: Sequence[int], room: int, n_tokens: int) -> int:
    """Return the window in which a token is farthest from a cut; the ends of the text are no cuts."""

    def margin(start: int) -> int:
        left = token - start if start else n_tokens
        right = start + room - 1 - token if start + room < n_tokens else n_tokens
        return min(left, right)

    return max(range(len(starts)), key=lambda w: margin(starts[w]))


def whole_words(plain: Any) -> list[str]:
    """Return for each token of a tokenizer the word that it is, "" for parts of words and what is no word."""
    tokens: list[str] = plain.convert_ids_to_tokens(list(range(len(plain))))
    special = set(plain.all_special_tokens)
    mark = next((m for m in (_BYTES, _SPACE) if sum(t.startswith(m) for t in tokens) > _MARKED * len(tokens)), "")
    found = ["" if token in special or not token.startswith(mark) else token[len(mark) :] for token in tokens]
    if mark == _BYTES:
        found = [plain.decode([i]).strip() if name else "" for i, name in enumerate(found)]
    return [name if _is_word(name) else "" for name in found]


def _is_word(text: str) -> bool:
    """Whether a text is letters, with the marks that some scripts write beside them."""
    return all(c.isalpha() or unicodedata.category(c) in ("Mn", "Mc") for c in text) and text[:1].isalpha()
