"""Edits: reproducible, of the asked size, and never of what a label, an entity or an answer is about."""

import random
from collections import Counter
from math import log
from string import ascii_lowercase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.augment.by_models import RoundTrip, in_context
from tunesmith.data.augment.copies import Copy
from tunesmith.data.augment.edits import EDITS, _neighbour, swap_groups
from tunesmith.data.augment.words import Word, alike, cut, join, starts
from tunesmith.data.tagged import split_words
from tunesmith.tasks.words import as_text, entity_tags, entity_words

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


def test_keys_that_touch():
    touching = {key: {_neighbour(key, random.Random(seed)) for seed in range(200)} for key in ascii_lowercase}
    assert "".join(sorted(touching["s"])) == "adewxz"
    assert "".join(sorted(touching["a"])) == "qswz"
    assert "".join(sorted(touching["p"])) == "lo"
    assert "".join(sorted(touching["m"])) == "jkn"
    assert all(key in touching[other] for key, others in touching.items() for other in others)
    assert _neighbour("S", random.Random(0)).isupper()
    assert _neighbour("é", random.Random(0)) == "é"


def test_as_many_words_as_asked_get_another():
    words = cut("good old film " * 10)
    for seed in range(20):
        found = edited("substitute", words, seed, rate=0.5)
        assert sum(a.text != b.text for a, b in zip(words, found, strict=True)) == 15


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
    pool = {"X": [[Word("Paris", "", 7, "X")], [Word("San", " ", 8, "X"), Word("Marino", "", 8, "X")]]}
    for seed in range(10):
        found = swap_groups(words, random.Random(seed), pool)
        assert [w.text for w in found if w.group is None] == ["We", "saw", "and", "."]
        assert {w.group for w in found} == {None, 0, 1} and join(found).endswith(" .")
        assert {w.text for w in found if w.group is not None} <= {"Paris", "San", "Marino"}
    assert [w.text for w in swap_groups(words, random.Random(0), {})] == [w.text for w in words]


class Guess:
    """Knows four words, and says of each gap what it is told to."""

    mask = "[MASK]"

    def __init__(self, likely=(("good", 0.6), ("fine", 0.3), ("late", 0.1))):
        self.likely = [(word, log(p)) for word, p in likely]
        self.read = []

    def knows(self, word):
        return alike(word) in {"good", "film", "late", "old"}

    def __call__(self, texts):
        self.read += texts
        return [[self.likely] * text.count(self.mask) for text in texts]


def copies(*rows, seed=0):
    return [Copy(i, {"text": words}, random.Random(seed + i)) for i, words in enumerate(rows)]


def in_gaps(guess, *rows, rate=1.0, seed=0):
    return [join(row["text"]) for row in in_context(copies(*rows, seed=seed), rate=rate, guess=guess)]


def test_words_that_could_be_guessed_are_guessed_all_texts_at_once():
    guess = Guess()
    found = in_gaps(guess, cut("(Good, old Béla saw 12 films"), cut("LATE!"), cut("unheard of"))
    assert guess.read == ["([MASK], [MASK] Béla saw 12 films", "[MASK]!"]
    assert found[0].split()[0] in {"(Fine,", "(Late,"}, "not the word that stood there"
    assert found[0].split()[2:] == ["Béla", "saw", "12", "films"]
    assert found[1] in {"GOOD!", "FINE!"}
    assert found[2] == "unheard of"


def test_a_word_is_drawn_by_its_probability_among_the_others():
    found = Counter(in_gaps(Guess(), *[cut("late")] * 4000))
    assert found["good"] / 4000 == pytest.approx(0.6 / 0.9, abs=0.02)
    assert found["fine"] / 4000 == pytest.approx(0.3 / 0.9, abs=0.02)
    assert in_gaps(Guess([("late", 1.0)]), cut("late")) == ["late"], "there is no other"


def test_no_word_of_a_group_is_guessed_nor_one_beside_a_gap_of_the_users():
    words = grouped("good old film was good", (0, 3))
    (found,) = in_context(copies(words), rate=1.0, guess=Guess())
    assert found["text"][:3] == words[:3]
    assert found["text"][4].text in {"fine", "late"}
    assert in_gaps(Guess(), cut("good [MASK] film")) == ["good [MASK] film"]
    assert in_gaps(Guess(), cut(TEXT), seed=3) == in_gaps(Guess(), cut(TEXT), seed=3)


def test_texts_go_there_and_back_once_unless_they_may_come_back_in_another_form():
    sent = []

    def translate(texts):
        sent.append(list(texts))
        return [None if len(text) > 8 else text.upper() for text in texts]

    rows = copies(cut("a b"), cut("far too long"), cut("c"))
    rows.append(Copy(0, rows[0].words, random.Random(9)))
    once, often = RoundTrip(translate, varies=False), RoundTrip(translate, varies=True)
    assert [join(row["text"]) for row in once(rows)] == ["A B", "far too long", "C", "a b"]
    assert [join(row["text"]) for row in often(rows)] == ["A B", "far too long", "C", "A B"]
    assert sent == [["a b", "far too long", "c"], ["a b", "far too long", "c", "a b"]]
    assert (once.too_long, once.again, often.again) == ({1}, {0}, set())
    assert once(rows[1:2]) == [rows[1].words]
    assert len(sent) == 2, "what is too long is not sent again"
    trip = RoundTrip(list, varies=False)
    same = copies(cut("a b"))
    assert trip(same) == trip(same) == [same[0].words]
    assert not trip.again, "no other copy was wanted: the only one came back as it was"


def test_one_side_that_is_too_long_leaves_the_whole_row_alone():
    trip = RoundTrip(lambda texts: [None if text == "long" else text + "!" for text in texts], varies=False)
    pair = Copy(0, {"one": cut("short"), "two": cut("long")}, random.Random(0))
    empty = Copy(1, {"one": cut("short"), "two": []}, random.Random(0))
    found = trip([pair, empty])
    assert found[0] == pair.words
    assert [join(words) for words in found[1].values()] == ["short!", "!"]


def test_case_has_three_ways():
    words, chance = cut("It's (NEW) in McAllen, 4th \u00e9tage"), random.Random(0)
    found = {join(EDITS["case"](words, chance, 0.1, None)) for _ in range(40)}
    assert found == {
        "it's (new) in mcallen, 4th \u00e9tage",
        "IT'S (NEW) IN MCALLEN, 4TH \u00c9TAGE",
        "It's (New) In Mcallen, 4Th \u00c9tage",
    }


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("seed", range(20))
def test_what_cleaning_put_in_stays(name, seed):
    words = cut("please see [URL], and ask [USER] or mail [EMAIL]. It is urgent.")
    found = join(EDITS[name](words, random.Random(seed), 0.9, lambda word: [f"{word}s"]))
    assert all(mark in found for mark in ("[URL],", "[USER]", "[EMAIL]."))


def test_words_are_put_into_every_gap_that_is_open():
    words = [Word("a"), Word("b", " ", 0), Word("c", " ", 0), Word("d")]
    drawn = [EDITS["insert"](words, random.Random(seed), 0.5, lambda _: ["x"]) for seed in range(400)]
    parts = ["", "a", "b c", "d"]  # two words go before the first, or behind any of these
    wanted = {
        " ".join([*parts[: i + 1], "x", *parts[i + 1 : j + 1], "x", *parts[j + 1 :]])
        for i in range(4)
        for j in range(i, 4)
    }
    assert {" ".join(word.text for word in one) for one in drawn} == {one.strip() for one in wanted}


@pytest.mark.parametrize(
    "tags", [["O", "O", "B", "I", "O", "B"], ["B-PER", "I-PER", "B-PER", "O", "B-LOC", "O"], ["O"] * 6]
)
def test_tags_come_back_from_words(tags):
    words = entity_words(["We", "met", "Anna", "Berg", "and", "Ben"], tags)
    assert entity_tags(words) == tags
    assert len({word.group for word in words} - {None}) == sum(tag[0] == "B" for tag in tags)


TOUCHING = "Mail J. O'Neil at $3.50, don't wait: a-b@c.de (Anna's)."
THAI, CHINESE = "\u0e09\u0e31\u0e19\u0e44\u0e1b\u0e01\u0e23\u0e38\u0e07\u0e40\u0e17\u0e1e", "我昨天去了北京大学。"


@pytest.mark.parametrize("text", [TOUCHING, THAI, CHINESE, "two  spaces\tand\nlines"])
def test_words_of_a_text_keep_what_stands_between_them(text):
    words = entity_words(text, ["O"] * len(split_words(text)))
    assert as_text(words) == text
    for name in ("delete", "swap", "typos", "insert"):
        for seed in range(20):
            found = EDITS[name](words, random.Random(seed), 0.3, lambda _: ["new"])
            written = as_text(found)
            assert written is None or split_words(written) == [word.text for word in found]
            assert written is not None or name == "typos"


def test_edited_text_is_written_as_text():
    words = entity_words(TOUCHING, ["O"] * len(split_words(TOUCHING)))
    assert (
        as_text([word for word in words if word.text != "J"])
        == "Mail . O'Neil at $3.50, don't wait: a-b@c.de (Anna's)."
    )
    apostrophes = [word for word in words if word.text != "'"]
    assert as_text(apostrophes) == "Mail J. O Neil at $3.50, don t wait: a-b@c.de (Anna s)."
    assert as_text([Word("e-mail")]) is None, "three words"
