"""Schemes of tags, spans, words: what is repaired, and that the ways there and back agree."""

import itertools
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.data.locate import locate
from tunesmith.data.tagging import (
    Span,
    align,
    detect,
    in_characters,
    joined,
    of_spans,
    spell,
    split_tag,
    to_iob2,
    to_spans,
    trim,
    without_overlaps,
    words,
    words_in,
)

SCHEMES = ("iob1", "iob2", "bioes", "bilou", "bmes")
LABELS = st.sampled_from(["PER", "ORG", "B-cell", "a_b"])


@st.composite
def sentences(draw, labels=LABELS):
    """Spans of words that don't overlap, and the number of words."""
    spans, at = [], 0
    for _ in range(draw(st.integers(0, 6))):
        start = at + draw(st.integers(0, 3))
        at = start + draw(st.integers(1, 4))
        spans.append(Span(start, at, draw(labels)))
    return spans, at + draw(st.integers(0, 3))


@given(sentences())
def test_spans_become_tags_and_come_back(sentence):
    spans, n = sentence
    tags = of_spans(spans, n)
    assert len(tags) == n
    assert to_spans(tags) == spans


@given(sentences(), st.sampled_from(SCHEMES))
def test_every_scheme_is_read_without_repairs(sentence, scheme):
    tags = of_spans(*sentence)
    assert to_iob2(spell(tags, scheme), scheme) == (tags, [])


@given(sentences(st.just("")), st.sampled_from(SCHEMES))
def test_schemes_without_kinds_too(sentence, scheme):
    tags = of_spans(*sentence)
    assert set(tags) <= {"O", "B", "I"}
    assert to_iob2(spell(tags, scheme), scheme) == (tags, [])


@given(st.lists(st.sampled_from(["O", "o", "B-X", "I-X", "E-X", "S-X", "I-Y", "B-Y", "b-X", "X", "", "I", "-"])))
def test_whatever_comes_iob2_goes_out(tags):
    for scheme in (*SCHEMES, "plain"):
        clean, repairs = to_iob2(tags, scheme)
        assert len(clean) == len(tags)
        assert to_iob2(clean, "iob2") == (clean, [])
        assert of_spans(to_spans(clean), len(clean)) == clean
        assert all(repair.before == tags[repair.at] and repair.after == clean[repair.at] for repair in repairs)


@given(st.lists(sentences(), min_size=3, max_size=8), st.sampled_from(["iob2", "bioes", "bilou", "bmes"]))
@settings(deadline=None)
def test_detected_schemes_lose_no_span(all_sentences, scheme):
    written = [spell(of_spans(*sentence), scheme) for sentence in all_sentences]
    found = detect(written)
    read = [to_iob2(tags, found)[0] for tags in written]
    assert [to_spans(tags) for tags in read] == [spans for spans, _ in all_sentences]


@pytest.mark.parametrize(
    ("sequences", "scheme"),
    [
        ([["B-PER", "I-PER", "O"], ["B-LOC"]], "iob2"),
        ([["I-PER", "I-PER", "O", "I-LOC", "B-LOC"]], "iob1"),
        ([["I-PER", "O", "I-LOC"]], "iob1"),
        ([["B-PER", "E-PER", "O", "S-LOC"]], "bioes"),
        ([["B-PER", "I-PER", "L-PER", "O", "U-LOC"]], "bilou"),
        ([["B-PER", "M-PER", "E-PER", "O", "S-LOC"]], "bmes"),
        ([["DT", "NN", "VBZ", "O"]], "plain"),
        ([["PER", "PER", "O", "LOC"]], "plain"),
        ([["S", "V", "O"]], "plain"),
        ([["B", "I", "O"]], "iob2"),
        ([["O", "O"]], "iob2"),
        ([], "iob2"),
        ([["B-PER", "I-PER"]] * 20 + [["S-PER", "B-PER", "E-PER"]], "iob2"),
        ([["b-per", "i-per", "o"]], "iob2"),
    ],
)
def test_schemes_are_told_apart(sequences, scheme):
    assert detect(sequences) == scheme


@pytest.mark.parametrize(
    ("tags", "scheme", "clean", "reasons"),
    [
        (["O", "I-X", "I-X"], "iob2", ["O", "B-X", "I-X"], ["I- without B-"]),
        (["B-Y", "I-X"], "iob2", ["B-Y", "B-X"], ["I- after another label"]),
        (["B-X", "E-X", "S-X"], "iob2", ["B-X", "I-X", "B-X"], ["stray E- or S-"] * 2),
        (["E-X", "O", "I-X"], "bioes", ["B-X", "O", "B-X"], ["E- without B-", "I- without B-"]),
        (["S-X", "I-X"], "bioes", ["B-X", "B-X"], ["I- without B-"]),
        (["I-X", "B-X", "I-X", "I-Y"], "iob1", ["B-X", "B-X", "I-X", "B-Y"], []),
        (["PER", "PER", "O"], "iob2", ["B-PER", "I-PER", "O"], ["tag without B- or I-"] * 2),
        (["b-X", "I-X", "o"], "iob2", ["B-X", "I-X", "O"], ["tag in small letters"] * 2),
        (["PER", "PER", "ORG", "O"], "plain", ["B-PER", "I-PER", "B-ORG", "O"], []),
        (["B_X", "I_X"], "iob2", ["B-X", "I-X"], []),
    ],
)
def test_what_is_certain_is_repaired_and_said(tags, scheme, clean, reasons):
    found, repairs = to_iob2(tags, scheme)
    assert found == clean
    assert [repair.reason for repair in repairs] == reasons


def test_labels_may_hold_hyphens():
    assert split_tag("B-cell-line") == ("B", "cell-line")
    assert split_tag("MISC") == ("", "MISC")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Don't pay 3.5€!", ["Don", "'", "t", "pay", "3", ".", "5", "€", "!"]),
        ("snake_case", ["snake", "_", "case"]),
        ("  two  \n words\t", ["two", "words"]),
        ("北京abc大学", ["北", "京", "abc", "大", "学"]),
        ("東京タワー", ["東", "京", "タ", "ワ", "ー"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("naïve cafe\u0301s", ["naïve", "cafe\u0301s"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("ที่นี่", ["ที่", "นี่"]),
        ("שָׁלוֹם", ["שָׁלוֹם"]),
        ("می‌خواهم", ["می‌خواهم"]),
        ("", []),
    ],
)
def test_words(text, found):
    assert [text[start:end] for start, end in words(text)] == found


@given(st.text())
def test_words_hold_everything_but_white_space(text):
    places = words(text)
    assert all(0 <= start < end <= len(text) for start, end in places)
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(places))
    rest = "".join(
        text[end:start]
        for end, start in zip([0, *(p[1] for p in places)], [*(p[0] for p in places), len(text)], strict=True)
    )
    assert not rest.strip()
    for start, end in places:
        assert end - start == 1 or all(
            c.isalnum() or unicodedata.category(c)[0] == "M" or c in "\u200c\u200d" for c in text[start + 1 : end]
        )


@given(st.lists(st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1, max_size=5), max_size=8))
def test_joined_words_are_found_again(tokens):
    text, places = joined(tokens)
    assert [text[start:end] for start, end in places] == tokens
    assert words_in(text, tokens) == places


def test_words_that_are_not_those_of_the_text():
    assert words_in("one two", ["one"]) is None
    assert words_in("one two", ["one", "three"]) is None
    assert words_in("one two", ["two"]) is None
    assert words_in("onetwo", ["one", "two"]) == [(0, 3), (3, 6)]


@given(st.text(alphabet="ab .-"), st.data())
def test_spans_of_whole_words_come_back_as_they_were(text, data):
    places = words(text)
    spans, at = [], 0
    while at < len(places) and data.draw(st.booleans()):
        end = data.draw(st.integers(at + 1, len(places)))
        spans.append(Span(places[at][0], places[end - 1][1], data.draw(LABELS)))
        at = end
    found, repairs = align(spans, places, text)
    assert repairs == []
    assert in_characters(found, places) == spans


@given(st.text(alphabet="abc .\n"), st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20), LABELS)))
def test_any_spans_become_spans_of_words_that_do_not_overlap(text, raw):
    spans = [Span(*one) for one in raw if one[0] < one[1] <= len(text)]
    places = words(text)
    found, repairs = align(spans, places, text)
    assert all(one.end <= other.start for one, other in itertools.pairwise(found))
    assert len(found) + sum("left out" in repair.reason for repair in repairs) == len(spans)
    tags = of_spans(found, len(places))
    assert to_spans(tags) == found


@pytest.mark.parametrize(
    ("span", "text", "words_of", "reason"),
    [
        (Span(0, 6, "X"), "Berlin is", "Berlin", None),
        (Span(0, 7, "X"), "Berlin is", "Berlin", "span trimmed"),
        (Span(2, 6, "X"), "Berlin is", "Berlin", "span widened to whole words"),
        (Span(6, 7, "X"), "Berlin is", None, "span without a word left out"),
        (Span(4, 8, "X"), "New York City", "York", None),
        (Span(1, 6, "X"), "New York City", "New York", "span widened to whole words"),
    ],
)
def test_spans_are_brought_to_whole_words(span, text, words_of, reason):
    found, repairs = align([span], words(text), text)
    assert [repair.reason for repair in repairs] == ([reason] if reason else [])
    shown = [text[one.start : one.end] for one in in_characters(found, words(text))]
    assert shown == ([words_of] if words_of else [])


def test_the_longest_of_overlapping_spans_is_kept():
    text = "University of New York"
    spans = [Span(14, 22, "LOC"), Span(0, 22, "ORG"), Span(0, 10, "X"), Span(0, 22, "Y")]
    found, repairs = align(spans, words(text), text)
    assert found == [Span(0, 4, "ORG")]
    assert [repair.reason for repair in repairs] == ["overlapping span left out"] * 3
    assert "'New York' LOC" in {repair.before for repair in repairs}
    assert without_overlaps([Span(0, 2, "a"), Span(1, 3, "b"), Span(3, 4, "c")])[0] == [
        Span(0, 2, "a"),
        Span(3, 4, "c"),
    ]


def test_trim_of_nothing_but_white_space():
    assert trim(Span(1, 3, "X"), "a  b") == Span(3, 3, "X")


CONTEXT = "In 1789, on page 17, Anna met Bob.\nAnna left in 17 days."


@pytest.mark.parametrize(
    ("quote", "start", "found"),
    [
        ("Bob", 30, "Bob"),
        ("Bob", 27, "Bob"),
        ("Bob", -1, "Bob"),
        ("Bob", None, "Bob"),
        ("bob", 30, "Bob"),
        ("Anna", 24, (21, 25)),
        ("Anna", 36, (35, 39)),
        ("Anna", -1, None),
        ("Anna", 28, None),
        ("17", 15, (17, 19)),
        ("Carl", 5, None),
        ("Bob. Anna", 3, "Bob.\nAnna"),
        (" ", 2, None),
        ("", 2, None),
    ],
)
def test_quotes_are_found_where_there_is_one_certain_place(quote, start, found):
    place = locate(quote, CONTEXT, start)
    if isinstance(found, str):
        assert place is not None
        assert CONTEXT[place[0] : place[1]] == found
    else:
        assert place == found


def test_offsets_counted_in_another_way():
    text = "😀😀 Anna\r\n😀 met Anna"
    assert locate("Anna", text, 5) == (3, 7)  # UTF-16 units
    assert locate("Anna", text, 9) == (3, 7)  # bytes
    assert locate("Anna", "x Anna\r\ny Anna\r\nAnna", 14) == (16, 20)  # line ends of one character


@given(st.text(alphabet="ab ", max_size=30), st.text(alphabet="ab ", min_size=1, max_size=4), st.integers(-2, 30))
def test_what_is_located_is_the_quote(text, quote, start):
    place = locate(quote, text, start)
    if place is not None:
        assert text[place[0] : place[1]].split() == quote.split()
    if text.count(quote) == 1 and quote.strip():
        assert place is not None
