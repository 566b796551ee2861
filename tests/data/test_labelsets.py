"""Reading several labels a row: what separates them, what is empty, what is not taken for a list."""

import pytest

from tunesmith.core.errors import DataError
from tunesmith.data.labelsets import are_flags, find_separators, listing, lists_labels, parts_of, read_flags, read_sets
from tunesmith.data.spec import DataSpec
from tunesmith.data.table import Table
from tunesmith.tasks import TASKS

TASK = TASKS["multi-label-classification"]


@pytest.mark.parametrize(
    ("cell", "parts"),
    [
        ("a|b", ["a", "b"]),
        (" a ; b;;", ["a", "b"]),
        ("a|a", ["a"]),
        ("a", ["a"]),
        (["a", "b", "a", None], ["a", "b"]),
        (("a",), ["a"]),
        ("['a', 'b']", ["a", "b"]),
        ('["a", "b c"]', ["a", "b c"]),
        ("[]", []),
        ([], []),
        ([1, 2], ["1", "2"]),
        ("[a", ["[a"]),
        (3, ["3"]),
    ],
)
def test_parts_of_a_cell(cell, parts):
    assert parts_of(cell, "|;") == parts


@pytest.mark.parametrize(
    ("cells", "marks"),
    [
        (["a|b", "a", "b", "b|c", "c"], "|"),
        (["a, b", "b, c", "a, c"], ","),
        (["Sci/Tech", "World", "Sports", "Sci/Tech"], ""),
        (["Food, drink|Travel", "Food, drink", "Travel|Art", "Art"], "|"),
        (["a / b", "a;b", "['a', 'b']", "a", "b"], ";/"),
        (["Smith, John", "Miller, Ann", "Smith, John"], ""),
        (["good", "bad"], ""),
    ],
)
def test_what_separates_labels(cells, marks):
    assert find_separators(cells) == marks


@pytest.mark.parametrize(
    ("cells", "are_lists"),
    [
        (["a|b", "b|c", "a|c", "a"] * 5, True),
        ([["a", "b"], ["b"], ["a", "b"], []] * 5, True),
        ([["a"], ["b"]] * 10, False),  # lists of one are one label each
        (["Sci/Tech", "World"] * 10, False),
        (["a|b", *["a", "b"] * 200], False),  # a slip
        ([f"word{i}, other{i}, more{i}" for i in range(20)], False),
        ([{"a": 1}, {"b": 1}] * 10, False),
        (["4,5", "5,4", "4,4", "5,0", "4", "5"] * 5, False),  # decimal commas
        (["4 / 5", "5 / 5", "4", "5"] * 5, False),
        (["4|5", "5|4", "4", "5"] * 5, True),
    ],
)
def test_which_columns_list_labels(cells, are_lists):
    assert bool(listing(cells)) is are_lists
    texts = [f"text number {i} of some length" for i in range(len(cells))]
    found = TASK.recognises(Table.of({"text": texts, "label": cells}), text="auto", label="auto")
    assert bool(found) is are_lists


def test_tags_for_words_are_no_labels_of_texts():
    table = Table.of({"text": ["Ann lives here"] * 20, "labels": [["PER", "O", "O"]] * 20})
    assert TASK.recognises(table, text="auto", label="auto") == ""


def sets(cells, **more):
    settings = {"separators": "|", "empty": "none", "spec": DataSpec(), **more}
    return read_sets(Table.of({"labels": cells}), column="labels", **settings)


def test_empty_cells_say_none_or_nothing():
    cells = ["a|b", "", None, "[]", float("nan"), "n/a", {"a": 1}]
    found = sets(cells)
    assert found.values == [("a", "b"), (), (), (), (), None, None]
    assert found.reasons == ["", "", "", "", "", "no label", "label is not a list or a text"]
    assert found.n_empty == 3
    found = sets(cells, empty="missing")
    assert found.values == [("a", "b"), None, None, (), None, None, None]
    assert found.n_empty == 0


def test_empty_cells_beside_lists_are_missing():
    assert lists_labels([["a"], [], None])
    assert not lists_labels(["a|b", "", "['a']"])
    table = Table.of({"text": [f"some text {i}" for i in range(30)], "labels": [["a", "b"], ["a"], None] * 10})
    task, _ = TASK().choose_columns(table)
    assert (task.empty, task.separator) == ("missing", "none")


def test_spellings_and_the_map_are_of_single_labels():
    spec = DataSpec(labels="merge_case", label_map={"aa": "a"})
    found = sets(["a|B", "AA", "b", "A|b"], spec=spec)
    assert found.values == [("a", "b"), ("a",), ("b",), ("a", "b")]
    assert {entry.row for entry in found.entries} == {1, 2, 4}
    assert sets(["A"], spec=spec, classes=["A"]).values == [("A",)]


def test_flags_are_read_however_they_are_written():
    columns = {"a": ["1", "true", "Yes", 1, 0.0, "", "2"], "b": ["0", "false", "no", False, "1", "1", "0"]}
    found = read_flags(Table.of(columns), columns=["a", "b"], spec=DataSpec())
    assert found.values == [("a",), ("a",), ("a",), ("a",), ("b",), None, None]
    assert found.reasons[5:] == ["no label", "not 0 or 1"]
    assert are_flags([1, 0, ""]) and are_flags(["yes", "no"])
    assert not are_flags([1, 1]) and not are_flags([0, 1, 2])


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ({"toxic": [0, 1] * 20, "insult": [0, 0, 0, 1] * 10}, "toxic, insult"),
        ({"id": list(range(40)), "toxic": [0, 1] * 20, "insult": [1, 0] * 20}, "toxic, insult"),
        ({"toxic": [0, 1] * 20}, ""),
        ({"toxic": [0, 1] * 20, "insult": [0, 1] * 20, "label": ["a", "b"] * 20}, ""),
        ({"toxic": [0, 1] * 20, "insult": [0, 1] * 20, "source": ["web", "mail"] * 20}, ""),
    ],
)
def test_columns_of_flags(columns, found):
    table = Table.of({"text": [f"text number {i} of some length" for i in range(40)], **columns})
    said = TASK.recognises(table, text="auto", label="auto")
    assert said == (f"2 columns of 0 and 1: {found}" if found else "")
    if found:
        assert TASK().choose_columns(table)[0].label == found


def test_what_cannot_be_learnt_is_refused():
    texts = [f"text number {i} of some length" for i in range(30)]
    for cells, words in (
        ([[]] * 30, "no row has a label"),
        (["a"] * 30, "every row has the label"),
    ):
        table = Table.of({"text": texts, "labels": cells})
        task, _ = TASK(label="labels").choose_columns(table)
        with pytest.raises(DataError, match=words):
            task.usable(table, clean=str, spec=DataSpec(), split="train")
    table = Table.of({"text": texts, "a, b": texts})
    with pytest.raises(DataError, match="comma"):
        TASK(label="a, b").choose_columns(table)
