"""Texts that are copies of one another but for a few words: edited, sent again with another link, cut off.

A text is taken as the set of its words and of its pairs of neighbouring words. Two texts are near copies when these
sets overlap enough (Jaccard similarity), or when one of them is how the other begins. Candidates come from MinHash
sketches (Broder 1997, "On the resemblance and containment of documents") put into bands (locality-sensitive hashing,
Indyk and Motwani 1998); every candidate is then measured on the sets themselves, so a sketch can miss a pair (about 1
in 80 at the threshold, more in a family of dozens) but never invents one. Nothing is random: equal texts give equal
pairs, in any order of the rows.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.seed import derive
from tunesmith.data.clean import EMAIL, URL, USER

Ints = NDArray[np.int64]
Hashes = NDArray[np.uint32]

SAME = 0.7
"""Share of words and word pairs that near copies have in common: about one changed word in nine."""
MIN_WORDS = 8
"""Shorter texts are near copies only if they are equal but for case, spaces and punctuation: common phrases would
match by chance, and one word more or less turns their meaning. A number is a word like any other."""
CUT_WORDS = 10
"""From here on, a text that another one begins with is a cut-off copy of it."""
MOST_HASHES = 30_000_000
"""About 750,000 texts of 20 words; of more data only folded texts are compared, and it is said."""
BANDS, BAND_ROWS = 24, 5
"""A pair at the threshold is missed with a probability of (1 - 0.7 ** 5) ** 24, about 1 in 80."""
CROWD, CROWD_STEPS = 32, 2
"""In a bucket of more than so many texts, each is compared with the first and the next few only: time stays linear."""
CHUNK = 1 << 18
NOT_WORD = re.compile(r"[\W_]+")
WITH_MARKS = re.compile(
    "[\u0300-\u036f\u0483-\u1dff\u20d0-\u20ff\u2cef-\u2dff\u302a-\u309f\ua66f-\uabff\ufb1e\ufe20-\ufe2f\U00010000-\U0001efff]"
)
"""Where scripts are whose vowel signs and accents stand beside their letters; not what makes signs emoji."""
UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")


@cache
def _not_word_nor_mark() -> re.Pattern[str]:
    """Return what matches all but letters, digits and the marks that belong to them, which re calls punctuation."""
    found = map(chr, range(0x300, 0x20000))
    marks = "".join(one for one in found if WITH_MARKS.match(one) and unicodedata.category(one).startswith("M"))
    return re.compile(rf"[^\w{marks}]+|_")


def text_key(text: str) -> str:
    """Return what texts share that differ in case, spaces and punctuation only: letters and digits."""
    apart = _not_word_nor_mark() if WITH_MARKS.search(text) else NOT_WORD
    return " ".join(apart.sub(" ", text.casefold()).split()) or text


@dataclass(frozen=True)
class Copies:
    """Which texts are near copies.

    Attributes:
        number: text to the number of its folded form (`text_key`).
        pairs: numbers of two different folded forms that are near copies, a row a pair.
        complete: False when there were too many words to look for near copies.
    """

    number: dict[str, int]
    pairs: Ints
    complete: bool = True

    def neighbours(self) -> dict[int, set[int]]:
        """Return for each number that has any the numbers of its near copies."""
        found: dict[int, set[int]] = defaultdict(set)
        for a, b in self.pairs.tolist():
            found[a].add(b)
            found[b].add(a)
        return dict(found)

    def couples(self, texts: Sequence[str]) -> list[tuple[int, int]]:
        """Return places in `texts` (smaller first) of different texts that are copies; of equal ones the first place.

        Texts with the same folded form are each linked to the first of them, not to one another.
        """
        first: dict[int, int] = {}
        place: dict[str, int] = {}
        for i, text in enumerate(texts):
            place.setdefault(text, i)
        found = [(first.setdefault(self.number[text], i), i) for text, i in place.items()]
        found += [(first[a], first[b]) for a, b in self.pairs.tolist() if a in first and b in first]
        return sorted({(min(pair), max(pair)) for pair in found if pair[0] != pair[1]})


def find_copies(texts: Iterable[str], *, near: bool = True) -> Copies:
    """Find copies among `texts`; time and memory grow with the number of words, whatever the words are.

    Without `near`, only texts that are equal but for case, spaces and punctuation are found.
    """
    forms: dict[str, list[str]] = defaultdict(list)
    for text in dict.fromkeys(texts):
        forms[text_key(text)].append(text)
    keys = sorted(forms)
    number = {text: i for i, key in enumerate(keys) for text in forms[key]}
    none = np.zeros((0, 2), np.int64)
    if not near:
        return Copies(number, none)
    words, sizes = _words((key, min(forms[key])) for key in keys)
    if 2 * len(words) > MOST_HASHES:
        return Copies(number, none, complete=False)
    long = np.flatnonzero(sizes >= MIN_WORDS)
    alike = long[_alike(*_hashes(words, sizes))] if len(long) > 1 else none
    return Copies(number, np.unique(np.concatenate([alike, _cut_off(keys, sizes)]), axis=0))


class _Ids(dict[str, int]):
    """Word to a 32-bit number, the same in every process."""

    def __missing__(self, word: str) -> int:
        self[word] = number = zlib.crc32(word.encode("utf-8", "surrogatepass"))
        return number


def _words(texts: Iterable[tuple[str, str]]) -> tuple[Hashes, Ints]:
    """Return all words of all texts as numbers, and how many each text has; links and names count as one word."""
    ids, found, sizes = _Ids(), array("I"), []
    for key, text in texts:
        if "@" in text or "www." in text or "://" in text:
            key = text_key(USER.sub(" user ", EMAIL.sub(" email ", URL.sub(" url ", text))))  # noqa: PLW2901
        if not key.isascii():
            key = UNSPACED.sub(r" \g<0> ", key)  # noqa: PLW2901
        words = key.split()
        found.extend(map(ids.__getitem__, words))
        sizes.append(len(words))
    return np.frombuffer(found, np.uint32) if found else np.zeros(0, np.uint32), np.array(sizes, np.int64)


def _hashes(words: Hashes, sizes: Ints) -> tuple[Hashes, Ints]:
    """Return words and word pairs of the texts of at least `MIN_WORDS` words as hashes, and where each text starts.

    Every word is followed by its pair with the next word; the last word of a text stands twice, which sets ignore.
    """
    words, sizes = words[np.repeat(sizes >= MIN_WORDS, sizes)], sizes[sizes >= MIN_WORDS]
    starts = 2 * np.concatenate([[0], np.cumsum(sizes)])
    found = np.empty(2 * len(words), np.uint32)
    found[0::2] = _mix(words)
    found[1:-1:2] = _mix(words[:-1] * np.uint32(0x9E3779B1) ^ found[2::2])
    found[starts[1:] - 1] = found[starts[1:] - 2]
    return found, starts


def _mix(values: Hashes) -> Hashes:
    """Spread 32-bit numbers evenly (the final steps of MurmurHash3)."""
    values = (values ^ (values >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    values = (values ^ (values >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return values ^ (values >> np.uint32(16))


def _alike(hashes: Hashes, starts: Ints) -> Ints:
    """Return the pairs of texts whose sets overlap by at least `SAME`; one band's candidates are held at a time."""
    n = len(starts) - 1
    found = np.zeros(0, np.int64)
    for band in range(BANDS):
        codes = _together(_band(hashes, starts, band))
        codes = codes[~np.isin(codes, found, assume_unique=True)]
        pairs = np.stack([codes // n, codes % n], axis=1)
        found = np.concatenate([found, codes[_similarity(pairs, hashes, starts) >= SAME]])
    return np.stack([found // n, found % n], axis=1)


def _band(hashes: Hashes, starts: Ints, band: int) -> NDArray[np.uint64]:
    """Return one number a text that two texts share with probability (similarity ** BAND_ROWS)."""
    found = np.zeros(len(starts) - 1, np.uint64)
    for row in range(BAND_ROWS):
        seed = derive("near", band, row)
        flip, factor = np.uint32(seed & 0xFFFFFFFF), np.uint32((seed >> 31) | 1)
        for a, b in _chunks(starts):
            part = (hashes[starts[a] : starts[b]] ^ flip) * factor
            least = np.minimum.reduceat(part, starts[a:b] - starts[a])
            found[a:b] = (found[a:b] ^ least) * np.uint64(0x9E3779B97F4A7C15)
            found[a:b] ^= found[a:b] >> np.uint64(29)
    return found


def _chunks(starts: Ints) -> Iterable[tuple[int, int]]:
    """Yield ranges of texts with about `CHUNK` hashes together."""
    cuts = np.searchsorted(starts, np.arange(CHUNK, starts[-1], CHUNK))
    bounds = np.unique(np.concatenate([[0], cuts, [len(starts) - 1]]))
    return pairwise(bounds.tolist())


def _together(values: NDArray[np.uint64]) -> Ints:
    """Return codes (i * n + j, i < j) of texts with the same value; of a crowd, neighbours and the first only."""
    n = len(values)
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    length = np.diff(np.append(first, n))
    crowd = np.repeat(length > CROWD, length)
    leader = np.repeat(first, length)
    found = [order[leader[crowd]] * n + order[np.flatnonzero(crowd)]]
    for step in range(1, min(CROWD, int(length.max()))):
        at = np.flatnonzero((leader[step:] == leader[:-step]) & (~crowd[step:] | (step <= CROWD_STEPS)))
        found.append(order[at] * n + order[at + step])
    codes = np.concatenate(found)
    return _distinct(codes[codes // n != codes % n])


def _distinct(values: NDArray[Any]) -> NDArray[Any]:
    """Return the sorted different values (`np.unique` uses a hash table, which is many times as slow on these)."""
    values = np.sort(values)
    return values[np.concatenate([[True], values[1:] != values[:-1]])] if len(values) else values


def _similarity(pairs: Ints, hashes: Hashes, starts: Ints) -> NDArray[np.float64]:
    """Return the exact Jaccard similarity of each pair's sets."""
    found = np.zeros(len(pairs))
    sizes = np.diff(starts)[pairs].sum(axis=1)
    for a, b in _chunks(np.concatenate([[0], np.cumsum(sizes)])):
        left, right = (_sets(pairs[a:b, side], hashes, starts) for side in (0, 1))
        either = _distinct(np.concatenate([left, right]))
        n_left, n_right, n_either = (np.bincount(x >> np.uint64(32), minlength=b - a) for x in (left, right, either))
        found[a:b] = (n_left + n_right - n_either) / n_either
    return found


def _sets(texts: Ints, hashes: Hashes, starts: Ints) -> NDArray[np.uint64]:
    """Return each text's distinct hashes, marked in the upper half with its place in `texts`."""
    sizes = starts[texts + 1] - starts[texts]
    offsets = np.cumsum(sizes) - sizes
    at = np.arange(sizes.sum()) + np.repeat(starts[texts] - offsets, sizes)
    place = np.repeat(np.arange(len(texts), dtype=np.uint64) << np.uint64(32), sizes)
    return _distinct(place | hashes[at])


def _cut_off(keys: Sequence[str], sizes: Ints) -> Ints:
    """Return the pairs of which one is how the other begins; `keys` are sorted, so these stand close together."""
    found: list[tuple[int, int]] = []
    open_: list[int] = []
    for i, key in enumerate(keys):
        while open_ and not key.startswith(keys[open_[-1]]):
            open_.pop()
        found += [(j, i) for j in open_[-CROWD_STEPS:]]
        if sizes[i] >= CUT_WORDS:
            open_.append(i)
    return np.array(found, np.int64).reshape(-1, 2)
