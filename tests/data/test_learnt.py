"""Fingerprints of rows that were learnt."""

import numpy as np
import pytest

from tunesmith.core.errors import RunError
from tunesmith.data.learnt import Learnt


def test_rows_are_known_by_their_text_and_answer():
    learnt = Learnt.of(["A good film.", "bad", "bad"], ["pos", "neg", "neg"])
    assert len(learnt.texts) == len(learnt.rows) == 2

    same, texts = learnt.known(["a GOOD film", "bad", "new", "a good film"], ["pos", "pos", "neg", ("pos",)])
    assert same == [0]
    assert texts == [1, 3]


def test_a_text_and_its_answer_are_not_taken_for_another_text():
    learnt = Learnt.of(["a\nb"], ["c"])
    assert learnt.known(["a"], ["b\nc"]) == ([], [])


def test_all_is_what_any_has_learnt():
    parts = [Learnt.of(["a", "b"], [1, 2]), Learnt(), Learnt.of(["b", "c"], [2, 3])]
    every = Learnt.all_of(parts)
    assert every.known(["a", "b", "c", "d"], [1, 2, 3, 4]) == ([0, 1, 2], [])
    assert len(every.texts) == 3
    assert Learnt.all_of([]).known(["a"], [1]) == ([], [])


def test_what_was_saved_is_read(tmp_path):
    path = tmp_path / "learnt.safetensors"
    for learnt in (Learnt.of(["a", "\ud800"], [("x", 1), 0.5]), Learnt()):
        learnt.save(path)
        again = Learnt.load(path)
        assert again.texts.dtype == again.rows.dtype == np.uint64
        assert again.texts.tolist() == learnt.texts.tolist()
        assert again.rows.tolist() == learnt.rows.tolist()
    assert Learnt.load(tmp_path / "none").known(["a"], [1]) == ([], [])


@pytest.mark.parametrize("content", [b"", b"{}", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_a_damaged_file_is_an_error_with_a_fix(tmp_path, content):
    path = tmp_path / "learnt.safetensors"
    path.write_bytes(content)
    with pytest.raises(RunError, match="damaged") as error:
        Learnt.load(path)
    assert "remove it" in error.value.problems[0].fix
