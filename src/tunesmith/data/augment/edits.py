"""The edits: each takes words and gives others, and leaves words with a group alone.

Deletion, insertion, swap and substitution are those of EDA (Wei and Zou 2019, section 2), with words that are near in
a model's vector space in the place of WordNet's synonyms; typos are slips on a keyboard.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from tunesmith.data.augment.words import Word

Near = Callable[[str], Sequence[str]]
"""Gives words that could stand in a word's place, the nearest first; none for most."""
Edit = Callable[[list[Word], random.Random, float, Near], list[Word]]
"""Takes words, a source of chance, the share of the words to edit, and what is near a word."""
Pool = Mapping[object, Sequence[Sequence[Word]]]
"""Kind of things, such as a type of entities, to the things, each some words."""

TRIES = 8
"""Words that are looked at for each that is to have another near it: most have none."""
KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_SENTENCE_END = re.compile(r"[.!?…][\"')\]]*$")


def delete(words: list[Word], chance: random.Random, rate: float, near: Near) -> list[Word]:
    """Leave some words out, never all of them."""
    del near
    able = free(words)
    gone = set(chance.sample(able, min(number(words, rate), len(able), max(0, len(words) - 1))))
    return [word for i, word in enumerate(words) if i not in gone]


def insert(words: list[Word], chance: random.Random, rate: float, near: Near) -> list[Word]:
    """Put words near some of the text's anywhere into it, though never into the middle of a group."""
    found = list(words)
    able, gaps = free(words), [i for i in range(len(words) + 1) if not _inside(words, i)]
    for _ in range(number(words, rate)):
        others = _others(words, able, chance, near, most=1)
        if others and gaps:
            k = chance.randrange(len(gaps))
            found.insert(gaps[k], Word(others[0][1]))
            gaps[k + 1 :] = [gaps[k] + 1, *(gap + 1 for gap in gaps[k + 1 :])]
    return found


def swap(words: list[Word], chance: random.Random, rate: float, near: Near) -> list[Word]:
    """Let some words change places, two at a time."""
    del near
    found, able = list(words), free(words)
    for _ in range(number(words, rate) if len(able) > 1 else 0):
        i, j = chance.sample(able, 2)
        found[i], found[j] = replace(found[j], space=found[i].space), replace(found[i], space=found[j].space)
    return found


def substitute(words: list[Word], chance: random.Random, rate: float, near: Near) -> list[Word]:
    """Put words near them in the place of some."""
    found = list(words)
    for i, text in _others(words, free(words), chance, near, most=number(words, rate)):
        found[i] = replace(found[i], text=dressed(text, like=words[i].text))
    return found


def typos(words: list[Word], chance: random.Random, rate: float, near: Near) -> list[Word]:
    """Slip on the keyboard in some words: a neighbouring key, two letters in the wrong order, one lost or doubled."""
    del near
    found = list(words)
    able = [i for i in free(words) if sum(map(str.isalpha, words[i].text)) > 2]
    for i in chance.sample(able, min(number(words, rate), len(able))):
        found[i] = replace(found[i], text=_slip(words[i].text, chance))
    return found


def case(words: list[Word], chance: random.Random, rate: float, near: Near) -> list[Word]:
    """Write all in small letters, in capitals, or each word with one."""
    del near, rate
    how = chance.choice((str.lower, str.upper, _with_capital))
    return [word if word.group is not None else replace(word, text=how(word.text)) for word in words]


def _with_capital(text: str) -> str:
    """Return a word with its first letter large and the others small: those after an apostrophe, too."""
    start = next((i for i, character in enumerate(text) if character.isalpha()), 0)
    return text[:start] + text[start:].capitalize()


def shuffle(words: list[Word], chance: random.Random, rate: float, near: Near) -> list[Word]:
    """Bring sentences into another order; one that ends within a group goes on after it."""
    del rate, near
    sentences: list[list[Word]] = [[]]
    for i, word in enumerate(words):
        sentences[-1].append(word)
        if _SENTENCE_END.search(word.text) and not _inside(words, i + 1):
            sentences.append([])
    whole = [one for one in sentences if one]
    chance.shuffle(whole)
    return [word for one in whole for word in one]


EDITS: dict[str, Edit] = {
    "delete": delete,
    "insert": insert,
    "swap": swap,
    "substitute": substitute,
    "typos": typos,
    "case": case,
    "shuffle": shuffle,
}


def swap_groups(words: list[Word], chance: random.Random, pool: Pool) -> list[Word]:
    """Put other things of their kind, from other rows, in the place of groups: another person for a person.

    Args:
        words: of a row.
        chance: what is drawn from.
        pool: kind to things, each some words.
    """
    found: list[Word] = []
    for group, part in groupby(words, key=lambda word: word.group):
        mine = list(part)
        if group is not None:
            new = [replace(word, group=group) for word in chance.choice(pool.get(mine[0].kind) or [mine])]
            mine = [*new[:-1], replace(new[-1], space=mine[-1].space)]
        found += mine
    return found


def free(words: Sequence[Word]) -> list[int]:
    """Return the places of the words that may be edited."""
    return [i for i, word in enumerate(words) if word.group is None]


def number(words: Sequence[Word], rate: float) -> int:
    """Return how many words to edit: a share of them, at least one."""
    return max(1, round(rate * len(words)))


def _inside(words: Sequence[Word], gap: int) -> bool:
    """Whether the gap before word `gap` lies in the middle of a group."""
    return 0 < gap < len(words) and words[gap].group is not None and words[gap].group == words[gap - 1].group


def _others(
    words: Sequence[Word], able: Sequence[int], chance: random.Random, near: Near, *, most: int
) -> list[tuple[int, str]]:
    """Return some of the `able` places, each with a word near the one there; fewer than `most` if tries find none."""
    found = list[tuple[int, str]]()
    for i in chance.sample(able, min(len(able), TRIES * most)):
        others = near(bare(words[i].text)) if len(found) < most else ()
        if others:
            found.append((i, chance.choice(list(others))))
    return found


_EDGES = ".,;:!?\"'()[]{}…«»“”\u2018\u2019-"


def bare(text: str) -> str:
    """Return a word without the punctuation around it."""
    return text.strip(_EDGES)


def in_the_dress_of(like: str, text: str) -> str:
    """Return a word with the punctuation of another."""
    at = like.index(bare(like))
    return like[:at] + text + like[at + len(bare(like)) :]


def dressed(text: str, *, like: str) -> str:
    """Return a word with the punctuation and the capitals of another."""
    old = bare(like)
    if old.isupper() and len(old) > 1:
        text = text.upper()
    elif old[:1].isupper():
        text = text[:1].upper() + text[1:]
    return in_the_dress_of(like, text)


def _slip(text: str, chance: random.Random) -> str:
    letters = [i for i, c in enumerate(text) if c.isalpha()]
    i = chance.choice(letters[1:])  # the first letter is rarely mistyped
    how = chance.randrange(4)
    if how == 0 and i + 1 < len(text) and text[i + 1].isalpha():
        return text[:i] + text[i + 1] + text[i] + text[i + 2 :]
    if how == 1:
        return text[:i] + text[i + 1 :]
    if how == 2:
        return text[:i] + text[i] + text[i:]
    return text[:i] + _neighbour(text[i], chance) + text[i + 1 :]


def _neighbour(letter: str, chance: random.Random) -> str:
    """Return a letter whose key touches that of `letter`; itself where that is not on the keyboard."""
    small = letter.lower()
    for r, row in enumerate(KEYS):
        c = row.find(small)
        if c >= 0:
            # Each row lies a little to the right of the one above it: S is under W and E, over Z and X.
            places = [(r, c - 1), (r, c + 1), (r - 1, c), (r - 1, c + 1), (r + 1, c - 1), (r + 1, c)]
            near = [KEYS[q][k] for q, k in places if 0 <= q < len(KEYS) and 0 <= k < len(KEYS[q])]
            found = chance.choice(near)
            return found.upper() if letter.isupper() else found
    return letter
