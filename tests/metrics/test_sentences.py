"""Where sentences end."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.metrics.sentences import split_sentences


@pytest.mark.parametrize(
    "sentences",
    [
        ["One.", "Two!", "Three?"],
        ["He asked: why?!", "Nobody knew.", "..."],
        ["Dr. Smith met Mrs. Jones, e.g. in St. Albans.", "They talked."],
        ["J. R. R. Tolkien was born in 1892.", "He wrote."],
        ["The U.S. Senate met at 3.30 p.m. in Washington.", "It voted."],
        ["She costs $5.50 a day.", "That is v. 2.0.1 of it."],
        ['"Stop."', "He did."],
        ["She said “Go.”", "He went."],
        ["(It rained.)", "We left."],
        ["1. Cut the onions.", "2. Fry them."],
        ["It was 1987.", "The ferry was late."],
        ["Wait... what is it?", "Nothing."],
        ["He is taller than I.", "She is not."],
        ["¿Qué pasa?", "¡Nada!"],
        ["Das gilt z.B. für Kinder.", "Und für Dr. Meier."],
        ["A dog - the one on Main St. - barked etc.", "Then it slept."],
        ["See Fig. 3 and Smith et al. (2020) for more.", "No. 5 is alive."],
        ["No end here"],
    ],
)
def test_sentences_end_where_people_end_them(sentences):
    assert split_sentences(" ".join(sentences)) == sentences


def test_scripts_without_spaces():
    assert split_sentences("今天下雨。我们走吧！好吗？好") == ["今天下雨。", "我们走吧！", "好吗？", "好"]
    assert split_sentences("「行こう。」と言った。") == ["「行こう。」", "と言った。"]


def test_lines():
    assert split_sentences("A headline\n\nthe text goes on\nfor a while.\n- a point\n- another") == [
        "A headline", "the text goes on\nfor a while.", "- a point", "- another",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", " \n ", "\n\n"])
def test_nothing_has_no_sentence(text):
    assert split_sentences(text) == []


@given(st.text(st.sampled_from("ab AB.!?\n\"'()1é。"), max_size=40))
def test_nothing_is_lost_or_added(text):
    sentences = split_sentences(text)
    assert "".join("".join(sentences).split()) == "".join(text.split())
    assert all(sentence and sentence == sentence.strip() for sentence in sentences)


@pytest.mark.parametrize(
    "text", ["." * 100_000, "\n" * 100_000, " " * 100_000, "e.g. " * 20_000, '."' * 50_000, "\n " * 50_000]
)
def test_strange_texts_take_no_time(text):
    start = time.process_time()
    split_sentences(f"a{text}b")
    assert time.process_time() - start < 1
