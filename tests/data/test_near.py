import random
import re
import subprocess
import sys
import time
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.divided import divided
from tunesmith.data import near
from tunesmith.data.findings import inspect
from tunesmith.data.near import find_copies, text_key
from tunesmith.data.spec import DataSpec, SplitSpec
from tunesmith.data.table import Table
from tunesmith.tasks.text_classification import TextClassification

PARCEL = "the parcel came two days late and the box was open but everything inside was fine and nothing broke"
LONG = PARCEL.split()
WORDS = [f"word{i}" for i in range(400)]


def text_of(seed, n=20):
    return " ".join(random.Random(seed).choices(WORDS, k=n))


def edited(text, place, word):
    words = text.split()
    words[place] = word
    return " ".join(words)


def coupled(*texts):
    return find_copies(texts).couples(texts)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (" ".join(LONG), " ".join(LONG).replace("late", "early"), True),
        (" ".join(LONG), " ".join(LONG[:12]), True),  # cut off
        (" ".join(LONG), " ".join(LONG[:12])[:-2] + " …", True),  # cut off inside a word
        (" ".join(LONG), " ".join(LONG[:5]), False),  # a common beginning
        (" ".join(LONG), " ".join(reversed(LONG)), False),
        ("Good film!", "good  FILM", True),
        ("good film", "bad film", False),
        ("I did not like this film", "I did like this film", False),
        ("invoice 123", "invoice 124", False),
        ("please send the invoice 123 to my new home again", "please send the invoice 124 to my new home again", True),
        (
            "so true what they say about the new bridge https://t.co/a1B2",
            "so true what they say about the new bridge https://t.co/Zz9/other?x=1",
            True,
        ),
        ("這家餐廳的服務非常好我們明天還會再來吃飯", "這家飯店的服務真不好我們以後不會再來吃飯", False),
        ("這家餐廳的服務非常好我們明天還會再來吃飯", "這家餐廳的服務非常好我們明天還會再來喝飯", True),
        ("!!!", "???", False),
        ("काम", "कीम", False),  # vowel signs are no punctuation
        ("काम हो गया!", "काम  हो गया", True),
        ("ดีมาก", "ดี้มาก", False),
        ("", " ", False),
    ],
)
def test_what_is_a_near_copy(one, other, same):
    assert bool(coupled(one, other)) == same


@given(st.text(alphabet=st.characters(exclude_categories=("Mn", "Mc", "Me", "Cs"))))
def test_what_texts_without_marks_share_stays_what_it_was(text):
    """Rows are divided by it."""
    assert text_key(text) == (re.sub(r"[\W_]+", " ", text.casefold()).strip() or text)


def test_every_mark_belongs_to_its_letter():
    marks = [chr(code) for code in range(sys.maxunicode) if unicodedata.category(chr(code)).startswith("M")]
    lost = {mark for mark in marks if mark not in text_key(f"a{mark}b") and mark == mark.casefold()}
    assert {unicodedata.name(mark).rpartition("-")[0] for mark in lost} == {"VARIATION SELECTOR"}
    assert text_key("gern \u2764\ufe0f") == "gern"


def test_nothing_and_one_text():
    assert coupled() == []
    assert coupled(" ".join(LONG)) == []
    assert find_copies([]).neighbours() == {}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(alphabet="ab !", max_size=40), max_size=12), st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter_and_folded_texts_are_always_copies(texts, mixer):
    mixed = list(texts)
    mixer.shuffle(mixed)
    ours, theirs = find_copies(texts), find_copies(mixed)
    assert ours.number == theirs.number
    assert np.array_equal(ours.pairs, theirs.pairs)
    assert all((ours.number[a] == ours.number[b]) == (text_key(a) == text_key(b)) for a in texts for b in texts)


def test_every_pair_is_as_alike_as_measured_and_few_are_missed():
    r = random.Random(3)
    texts = [text_of(i, r.randint(8, 40)) for i in range(400)]
    texts += [edited(t, r.randrange(len(t.split())), r.choice(WORDS)) for t in texts]
    found = find_copies(texts)
    sets = {found.number[t]: {*t.split(), *zip(t.split(), t.split()[1:], strict=False)} for t in texts}
    true = {
        (a, b) for a in sets for b in sets if a < b and len(sets[a] & sets[b]) >= near.SAME * len(sets[a] | sets[b])
    }
    pairs = {(a, b) for a, b in found.pairs.tolist()}
    assert pairs <= true
    assert len(pairs) >= 0.97 * len(true) > 200


def test_sketches_are_the_same_in_every_process():
    code = (
        "from tests.data.test_near import *\n"
        "texts = [edited(text_of(i % 40), i // 40, 'x') for i in range(160)]\n"
        "print(find_copies(texts).pairs.tolist())"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(said) == 1
    assert len(said.pop()) > 100


def test_thousands_of_texts_from_one_template_take_linear_time():
    texts = [f"dear customer {i} " + " ".join(LONG) for i in range(8000)]
    start = time.process_time()
    found = find_copies(texts)
    assert time.process_time() - start < 20
    assert len(found.neighbours()) == 8000
    assert len(found.pairs) < 8000 * near.BANDS * (near.CROWD_STEPS + 1)


def test_too_much_text_is_said(monkeypatch):
    monkeypatch.setattr(near, "MOST_HASHES", 30)
    table = Table.of({"text": [" ".join(LONG), "A day.", "a day"], "label": ["a", "b", "b"]}, file="a.csv")
    found = inspect({"train": table}, task=TextClassification(text="text", label="label"), spec=DataSpec())
    assert not found.copies.complete
    assert any("too much text" in note.message for note in found.notes)
    assert found.copies.couples(table["text"]) == [(1, 2)]


def families(n, size):
    """Rows of `n` families of near copies."""
    return [edited(text_of(f, 30), k, "changed") for k in range(size) for f in range(n)]


def parts_of(texts, **more):
    table = Table.of({"text": texts, "label": ["a", "b"] * (len(texts) // 2)})
    found = divided(table, spec=SplitSpec(**more), copies=find_copies(texts))
    return {texts[i]: name for name, rows in found.parts.items() for i in rows}, found.notes


def test_near_copies_stay_in_one_split():
    sides, notes = parts_of(families(100, 4), test=0.2, dev=0.1)
    assert len(sides) == 400
    for f in range(100):
        assert len({sides[t] for t in families(100, 4)[f::100]}) == 1
    assert set(sides.values()) == {"train", "dev", "test"}
    assert any("near copies stay together" in note.message for note in notes)


def test_added_rows_move_only_what_they_join():
    before, _ = parts_of([text_of(i, 30) for i in range(600)], test=0.2, dev=0.1)
    more = [edited(text_of(i, 30), 3, "changed") for i in range(40)] + [text_of(i, 30) for i in range(600, 620)]
    after, _ = parts_of([*before, *more], test=0.2, dev=0.1)
    moved = [t for t in before if before[t] != after[t]]
    joined = {text_of(i, 30) for i in range(40)}
    assert len([t for t in moved if t not in joined]) <= 6  # at the border, as ever


def test_a_template_does_not_join_everything():
    texts = [f"dear customer {i} " + " ".join(LONG) for i in range(100)] + [text_of(i) for i in range(100)]
    sides, notes = parts_of(texts, test=0.2)
    assert 25 <= sum(name == "test" for name in sides.values()) <= 55
    assert [note.n_rows for note in notes if note.topic == "many near copies"] == [100]


def tables():
    train = [text_of(0), text_of(1), text_of(2), edited(text_of(0), 5, "x"), text_of(3), text_of(4), "so good"]
    test = [text_of(1).upper(), edited(text_of(2), 9, "y"), text_of(9), "so bad"]
    return {
        "train": Table.of({"text": train, "label": ["a", "b", "a", "b", "a", "b", "a"]}, file="a.csv"),
        "test": Table.of({"text": test, "label": ["b", "a", "b", "a"]}, file="t.csv"),
    }


def notes_and_reasons(**more):
    found = inspect(tables(), task=TextClassification(text="text", label="label"), spec=DataSpec(**more))
    return {note.topic: note for note in found.notes}, {e.row: e.reason for e in found.ledger}


def test_findings_name_near_copies_their_labels_and_leaks():
    notes, reasons = notes_and_reasons()
    assert reasons == {2: "also in test"}
    assert [place.row for place in notes["near duplicates"].places] == [1, 4]
    assert [place.value for place in notes["near copies with different labels"].places] == ["a", "b"]
    assert notes["leak"].n_rows == notes["near leak"].n_rows == 1
    assert "a.csv:3 and t.csv:2" in notes["near leak"].message
    assert "drop_near" in notes["near leak"].fix


def test_near_leaks_are_dropped_on_request_and_not_looked_for_when_off():
    assert notes_and_reasons(leaks="drop_near")[1] == {2: "also in test", 3: "near copy in test"}
    notes, reasons = notes_and_reasons(near_duplicates="off", leaks="keep")
    assert reasons == {}
    assert set(notes) & {"near duplicates", "near leak", "near copies with different labels", "leak"} == {"leak"}
