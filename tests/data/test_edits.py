"""Edits: reproducible, of the asked size, and never of what a label, an entity or an answer is about."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.augment.edits import EDITS, swap_groups
from tunesmith.data.augment.words import Word, cut, join, starts

TEXT = "The old film was good, and Maria loved it. We left late! Nobody minded the rain at all."
NEAR = {"good": ["great"], "film": ["movie"], "old": ["aged"]}


def near(word):
    return NEAR.get(word.lower(), [])


def edited(name, words, seed=0, rate=0.1):
    return EDITS[name](words, random.Random(seed), rate, near)


def grouped(text, *groups):
    words = cut(text)
    for n, (start, end) in enumerate(groups):
        words[start:end] = [Word(w.text, w.space, n, "X") for w in words[start:end]]
    return words


@given(st.text(alphabet="ab .\n\tü", max_size=40))
def test_a_text_comes_back_from_its_words(text):
    words = cut(text)
    assert join(words) == text.strip()
    assert [join(words)[at : at + len(w.text)] for w, at in zip(words, starts(words), strict=True)] == [
        w.text for w in words
    ]


@pytest.mark.parametrize("name", EDITS)
@given(seed=st.integers(0, 10_000), start=st.integers(0, 15), length=st.integers(1, 4))
def test_groups_stay_whole_and_side_by_side(name, seed, start, length):
    words = grouped(TEXT, (start, start + length))
    mine = [w.text for w in words if w.group == 0]
    found = edited(name, words, seed, rate=0.5)
    places = [i for i, w in enumerate(found) if w.group == 0]
    assert [found[i].text for i in places] == mine
    assert places == list(range(places[0], places[0] + len(places)))
    assert found == edited(name, words, seed, rate=0.5), "the same seed, the same edit"


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("text", ["", "x", "go.", "a b"])
def test_little_text_is_no_trouble(name, text):
    assert isinstance(join(edited(name, cut(text))), str)
    if text:
        assert edited(name, cut(text))


def test_deletion_swap_and_insertion_change_the_asked_share():
    words = cut(TEXT)
    assert len(edited("delete", words, rate=0.25)) == len(words) - round(0.25 * len(words))
    assert sorted(w.text for w in edited("swap", words)) == sorted(w.text for w in words)
    longer = edited("insert", words, rate=0.25)
    assert len(longer) == len(words) + round(0.25 * len(words))
    assert {w.text for w in longer} - {w.text for w in words} <= {"great", "movie", "aged"}


def test_a_word_in_the_place_of_another_wears_its_capitals_and_punctuation():
    found = join(edited("substitute", cut("GOOD, Film; (old)"), rate=1.0))
    for word in found.split():
        assert word in {"GOOD,", "GREAT,", "Film;", "Movie;", "(old)", "(aged)"}
    assert found != "GOOD, Film; (old)"


def test_typos_are_one_slip_each():
    for seed in range(60):
        before, after = cut("wonderful"), edited("typos", cut("wonderful"), seed)
        a, b = before[0].text, after[0].text
        assert a[0] == b[0]
        assert abs(len(a) - len(b)) <= 1


def test_sentences_change_places_whole():
    sentences = {"The old film was good, and Maria loved it.", "We left late!", "Nobody minded the rain at all."}
    orders = set()
    for seed in range(20):
        text = join(edited("shuffle", cut(TEXT), seed))
        orders.add(text)
        assert all(one in text for one in sentences)
    assert len(orders) == 6


def test_things_are_swapped_for_others_of_their_kind():
    words = grouped("We saw New York and Rome .", (2, 4), (5, 6))
    pool = {"X": [["Paris"], ["San", "Marino"]]}
    for seed in range(10):
        found = swap_groups(words, random.Random(seed), pool)
        assert [w.text for w in found if w.group is None] == ["We", "saw", "and", "."]
        assert {w.text for w in found if w.group is not None} <= {"Paris", "San", "Marino"}
    assert [w.text for w in swap_groups(words, random.Random(0), {})] == [w.text for w in words]
