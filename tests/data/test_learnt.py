"""Fingerprints of rows that were learnt."""

import numpy as np
import pytest

from tunesmith.core.errors import RunError
from tunesmith.data.learnt import Learnt, Rows


def rows(texts, answers, question="which"):
    return Rows(question, texts, [one if isinstance(one, tuple) else (one,) for one in answers])


def test_rows_are_known_by_their_text_and_answer():
    learnt = Learnt.of(rows(["A good film.", "bad", "bad"], ["pos", "neg", "neg"]))
    assert len(learnt.texts) == len(learnt.rows) == 2

    same, texts = learnt.known(rows(["a GOOD film", "bad", "new", "bad"], ["pos", "pos", "neg", ("pos", "neg")]))
    assert same == [0, 3]
    assert texts == [1]
    assert learnt.known(rows(["bad"], ["neg"], question="another")) == ([], [0])


def test_a_text_and_its_answer_are_not_taken_for_another_text():
    learnt = Learnt.of(rows(["b"], ["a"], question="c"))
    assert learnt.known(rows(["a"], ["b"], question="c")) == ([], [])
    assert Learnt.of_texts(["a"]).known(rows(["a"], [""])) == ([], [0])


def test_all_is_what_any_has_learnt():
    parts = [Learnt.of(rows("ab", "12")), Learnt(), Learnt.of(rows("bc", "23"))]
    every = Learnt.all_of(parts)
    assert every.known(rows("abcd", "1234")) == ([0, 1, 2], [])
    assert len(every.texts) == 3
    assert Learnt.all_of([]).known(rows("a", "1")) == ([], [])


def test_what_was_saved_is_read(tmp_path):
    path = tmp_path / "learnt.safetensors"
    for learnt in (Learnt.of(rows(["a", "\ud800"], [("x", "y"), "z"])), Learnt()):
        learnt.save(path)
        again = Learnt.load(path)
        assert again.texts.dtype == again.rows.dtype == np.uint64
        assert again.texts.tolist() == learnt.texts.tolist()
        assert again.rows.tolist() == learnt.rows.tolist()
    assert Learnt.load(tmp_path / "none").known(rows("a", "1")) == ([], [])


@pytest.mark.parametrize("content", [b"", b"{}", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_a_damaged_file_is_an_error_with_a_fix(tmp_path, content):
    path = tmp_path / "learnt.safetensors"
    path.write_bytes(content)
    with pytest.raises(RunError, match="damaged") as error:
        Learnt.load(path)
    assert "remove it" in error.value.problems[0].fix
