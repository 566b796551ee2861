import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.divided import divided
from tests.tiny import sentences
from tunesmith.core.errors import DataError, RecipeError
from tunesmith.core.ledger import Ledger
from tunesmith.data.classes import check_classes
from tunesmith.data.clean import STEPS, Cleaner
from tunesmith.data.columns import choose_columns
from tunesmith.data.findings import inspect
from tunesmith.data.fixed import write_fixed
from tunesmith.data.labels import label_name, order, read_labels
from tunesmith.data.spec import DataSpec, SplitSpec
from tunesmith.data.table import Table
from tunesmith.tasks.text_classification import TextClassification

DEFAULT = Cleaner(DataSpec().clean)


@pytest.mark.parametrize(
    ("dirty", "clean"),
    [
        ("<p>good<br />film</p>", "good film"),
        ("salt &amp; pepper &lt;3", "salt & pepper <3"),
        ("a < b and c > d <3 <unk>", "a < b and c > d <3 <unk>"),
        ("cafÃ© donâ€™t", "café don’t"),
        ("a\u00a0b\u200bc\u202e\ufeff\x07 d", "a bc d"),
        ("  two \n lines\t", "two lines"),
        ("<a href='x'>link</a>", "link"),
        ("<!-- gone -->kept", "kept"),
    ],
)
def test_default_cleaning(dirty, clean):
    assert DEFAULT(dirty) == clean


def test_masks():
    clean = Cleaner(("mask_urls", "mask_emails", "mask_users"))
    assert clean("see https://x.org/a?b=1, @joe or me@example.com") == "see [URL], [USER] or [EMAIL]"


pieces = st.lists(
    st.sampled_from(
        ["<br>", "&amp;", "&lt;", "b>", "<", "<p ", " ", "Ã©", "\u200b", "é", "x", "@joe", "http://a.b", "\x00", ">"]
    )
    | st.text(max_size=4),
    max_size=12,
).map("".join)


@settings(max_examples=300, deadline=None)
@given(pieces)
def test_default_cleaning_is_idempotent(text):
    once = DEFAULT(text)
    assert DEFAULT(once) == once


def test_unknown_steps_are_refused():
    with pytest.raises(RecipeError, match="unknown cleaning step") as raised:
        Cleaner(("strip_htm",))
    assert "strip_html" in raised.value.problems[0].fix


def table_of(n, *, seed=0):
    rows = [(f"{t} {i}", v) for i, (t, v) in enumerate(sentences(n, seed=seed))]
    return Table.of({"text": [t for t, _ in rows], "label": [v for _, v in rows]}, file="a.csv")


def sides(table, **more):
    division = divided(table, spec=SplitSpec(**more))
    return {table["text"][i]: name for name, rows in division.parts.items() for i in rows}


def test_split_is_stratified_deterministic_and_complete():
    table = table_of(1000)
    found = sides(table)
    assert len(found) == 1000
    assert found == sides(table)
    test = [t for t, name in found.items() if name == "test"]
    assert len(test) == pytest.approx(200, rel=0.12)
    labels = dict(zip(table["text"], table["label"], strict=True))
    assert np.mean([labels[t] == "pos" for t in test]) == pytest.approx(0.5, abs=0.06)
    assert found != sides(table, seed=1)


def test_adding_rows_leaves_the_others_where_they_are():
    small, large = table_of(1000), table_of(1100)
    before, after = sides(small, test=0.2, dev=0.1), sides(large, test=0.2, dev=0.1)
    moved = sum(after[t] != name for t, name in before.items())
    assert moved <= 10


def test_equal_texts_and_groups_stay_together():
    table = Table.of(
        {
            "text": [f"Some text {i // 2}{'!' * (i % 2)}" for i in range(200)],
            "label": ["a", "a", "b", "b"] * 50,
            "who": [f"w{i // 10}" for i in range(200)],
        }
    )
    for group, key in ((None, lambda i: i // 2), ("who", lambda i: i // 10)):
        parts = divided(table, spec=SplitSpec(group=group, dev=0.2)).parts
        owners = [{key(i) for i in rows} for rows in parts.values()]
        assert len(owners) == 3
        assert sum(map(len, owners)) == len(set.union(*owners))


@pytest.mark.parametrize("nothing", [None, "", math.nan])
def test_rows_without_a_group_are_divided_like_others(nothing):
    rows = {"text": [f"Some text {i}" for i in range(400)], "label": ["a", "b"] * 200}
    parts = divided(
        Table.of({**rows, "who": [nothing if i % 2 else f"w{i // 10}" for i in range(400)]}),
        spec=SplitSpec(group="who", dev=0.2),
    ).parts
    assert 25 <= sum(i % 2 for i in parts["test"]) <= 55
    assert 25 <= sum(i % 2 for i in parts["dev"]) <= 55
    assert max(i for i in parts["test"] if i % 2) > 300
    alone = divided(Table.of(rows), spec=SplitSpec(dev=0.2)).parts
    same = sum(i in alone["test"] for i in parts["test"] if i % 2)
    assert same > 0.7 * sum(i % 2 for i in parts["test"])


def test_what_the_user_brought_is_not_made_again():
    found = divided(table_of(1000), spec=SplitSpec(), have_dev=True, have_test=True)
    assert list(found.parts) == ["train"]


def test_every_class_that_can_is_measured_and_trained():
    labels = ["a"] * 60 + ["b"] * 3 + ["c"]
    table = Table.of({"text": [f"text number {i}" for i in range(64)], "label": labels})
    parts = divided(table, spec=SplitSpec(test=0.2)).parts
    trained = {labels[i] for i in parts["train"]}
    assert trained == {"a", "b", "c"}
    assert {labels[i] for i in parts["test"]} >= {"a", "b"}


def test_labels_keep_their_form_and_order():
    assert order([10, 2, 1]) == (1, 2, 10)
    assert order(["b", "A", "a"]) == ("A", "a", "b")
    assert [label_name(v) for v in (True, 1, 1.0, "x ")] == ["true", "1", "1.0", "x "]


def test_missing_and_listed_labels():
    table = Table.of({"l": ["x", "", "N/A", None, ["y"], ["x", "y"], float("nan"), " none "]})
    found = read_labels(table, column="l", spec=DataSpec())
    assert found.values == ["x", None, None, None, "y", None, None, None]
    assert found.reasons[5] == "several labels"


def test_variants_and_typos_are_said_and_mapped_with_consent():
    values = ["positive"] * 60 + ["Positive", "positive "] + ["negative"] * 40 + ["postive"]
    table = Table.of({"l": values})
    found = read_labels(table, column="l", spec=DataSpec())
    topics = [note.topic for note in check_classes(found, file="a.csv", column="l")]
    assert topics.count("label variants") == 1
    assert "likely typo" in topics
    merged = read_labels(table, column="l", spec=DataSpec(labels="merge_case", label_map={"postive": "positive"}))
    assert set(merged.values) == {"positive", "negative"}
    assert len(merged.entries) == 3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["x"] * 30, "every row has the label"),
        ([str(i / 10) for i in range(40)], "regression"),
        ([f"id-{i}" for i in range(40)], "an id or a free text"),
        ([None] * 5, "no row has a label"),
        (["joy", "anger"] * 10 + ["joy, anger"] * 5, "several labels in one cell"),
    ],
)
def test_columns_that_are_no_class_label(values, message):
    table = Table.of({"l": values}, file="a.csv")
    with pytest.raises(DataError, match=message):
        check_classes(read_labels(table, column="l", spec=DataSpec()), file="a.csv", column="l")


def test_columns_are_found_named_or_asked_for():
    texts = [t for t, _ in sentences(40)]
    labels = [v for _, v in sentences(40)]
    found = choose_columns(
        Table.of({"id": list(range(40)), "Review Text": texts, "stars": labels}), text=None, label=None
    )
    assert (found.text, found.label) == ("Review Text", "stars")
    other = Table.of({"foo": texts, "bar": labels})
    assert choose_columns(other, text=None, label=None).label == "bar"
    assert choose_columns(other, text="FOO", label="bar").text == "foo"
    with pytest.raises(DataError, match="no column") as raised:
        choose_columns(other, text="fooo", label=None)
    assert "foo" in raised.value.problems[0].fix
    with pytest.raises(DataError, match="not clear which column is the text"):
        choose_columns(Table.of({"s1": texts, "s2": texts[::-1], "label": labels}), text=None, label=None)


def test_findings_put_every_lost_row_into_the_ledger(tmp_path):
    rows = [
        ("good day", "a"),
        ("good day", "a"),
        ("bad day", "b"),
        ("bad day", "a"),
        (" ", "a"),
        ("x y z", ""),
        ("in test", "b"),
        ("dull", "b"),
    ]
    tables = {
        "train": Table.of({"text": [t for t, _ in rows], "label": [v for _, v in rows]}, file="a.csv"),
        "test": Table.of({"text": ["In  test!"], "label": ["b"]}, file="t.csv"),
    }
    found = inspect(tables, task=TextClassification(text="text", label="label"), spec=DataSpec(conflicts="drop"))
    reasons = {(e.row, e.reason) for e in found.ledger if e.kind == "set aside"}
    assert reasons == {
        (2, "exact duplicate"), (3, "conflicting label"), (4, "conflicting label"), (5, "no text"), (6, "no label"),
        (7, "also in test"),
    }  # fmt: skip
    assert list(found.tables["train"]["text"]) == ["good day", "dull"]
    out = tmp_path / "clean.csv"
    written = write_fixed(found.tables, tables, ledger=found.ledger, texts=["text"], out=out)
    assert len(written) == 3
    assert len(written[-1].read_text().splitlines()) >= 6
    with pytest.raises(DataError, match="there already"):
        write_fixed(found.tables, tables, ledger=Ledger(), texts=["text"], out=out)


def test_every_step_is_listed_with_its_meaning():
    assert all(step.__doc__ for step in STEPS.values())


def test_merged_spellings_are_those_of_the_training_rows():
    spec = DataSpec(labels="merge_case")
    tables = {
        "test": Table.of({"t": ["good one", "bad one", "fine one"], "l": ["POSITIVE", "negative", "POSITIVE"]}),
        "train": Table.of({"t": ["warm", "cold", "mild"], "l": ["Positive", "negative", "Positive"]}),
    }
    found = inspect(tables, task=TextClassification(text="t", label="l"), spec=spec)
    assert list(found.tables["test"]["l"]) == ["Positive", "negative", "Positive"]
    assert not any(note.topic == "unknown labels" for note in found.notes)


def test_addresses_are_found_in_long_runs_of_letters_at_once():
    run = "ab-" * 40_000
    clean = Cleaner(("mask_emails",))
    assert clean(f"{run} write to a.b+c@example.org or {run}@example.org") == f"{run} write to [EMAIL] or [EMAIL]"
