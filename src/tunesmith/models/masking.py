"""Which tokens a masked language model has to guess: whole words, drawn by a seed.

15% of the tokens; of these 80% are masked, 10% are another token, 10% stay (Devlin et al. 2019, section 3.1). All
tokens of a word are chosen together (whole word masking, released with BERT in May 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

Array = np.ndarray

FIXED = -1
"""The word of tokens that are never chosen: special ones, and those that another window has in its middle."""
LONGEST_WORD = 12
"""A word of more tokens than this is none: its script has no spaces, and its tokens are chosen one by one."""
IGNORED = -100
"""Target of tokens that are not to be guessed."""
MASKED, REPLACED = 0.8, 0.1


class Masked(NamedTuple):
    """Attributes: what the model reads; the right token where it has to guess, else IGNORED; how many these are."""

    ids: Array
    targets: Array
    n: int


def word_numbers(words: Sequence[int | None]) -> Array:
    """Return a number for the word of each token, another for each word, shape (tokens,).

    Args:
        words: of each token, as the tokenizer counts them; None for none.
    """
    plain = np.array([FIXED if word is None else word for word in words], dtype=np.int64)
    if not len(plain):
        return plain
    ends = np.flatnonzero(np.diff(plain)) + 1
    sizes = np.diff([0, *ends, len(plain)])
    alone = np.repeat(sizes > LONGEST_WORD, sizes)
    starts = np.concatenate([[True], np.diff(plain) != 0]) | alone
    return np.where(plain == FIXED, FIXED, np.cumsum(starts) - 1)


def mask(ids: Array, words: Array, *, share: float, mask_id: int, others: Array, seed: int) -> Masked:
    """Choose whole words until `share` of the tokens that may be chosen is reached, at least one; a pure function.

    Args:
        ids: of one text with its special tokens, shape (tokens,).
        words: number of each token's word, FIXED for tokens that are never chosen, shape (tokens,).
        share: of the tokens, between 0 and 1.
        mask_id: of the mask token.
        others: ids that may stand in a token's place.
        seed: of all that is drawn.
    """
    rng = np.random.default_rng(seed)
    names, counts = np.unique(words[words != FIXED], return_counts=True)
    if not len(names):
        return Masked(ids, np.full(len(ids), IGNORED), 0)
    order = rng.permutation(len(names))
    wanted = max(1, round(share * int(counts.sum())))
    n_words = int(np.searchsorted(np.cumsum(counts[order]), wanted)) + 1
    chosen = np.isin(words, names[order[:n_words]])
    draw = rng.random(len(ids))
    shown = np.where(draw < MASKED, mask_id, np.where(draw < MASKED + REPLACED, rng.choice(others, len(ids)), ids))
    return Masked(np.where(chosen, shown, ids), np.where(chosen, ids, IGNORED), int(chosen.sum()))
