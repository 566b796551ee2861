"""What is said about labels can be pasted into a shell and does what it says."""

import shlex

import pytest

from tests.data.divided import divided
from tests.tiny import sentences, write_csv
from tunesmith.core.errors import DataError
from tunesmith.core.wording import count, rows, setting
from tunesmith.data.classes import check_classes, class_sizes
from tunesmith.data.labels import read_labels, unused_names
from tunesmith.data.read import read
from tunesmith.data.spec import DataSpec
from tunesmith.data.table import Table
from tunesmith.recipe.compose import compose
from tunesmith.workflow.prepare import prepare

HARD = ["a b", "it's", 'say "x"', "a: b", "{a}", "$HOME", "`ls`", "a, b", "true", "3", "#no", "é", "x!", "-", "~", "\t"]


@pytest.mark.parametrize("label", HARD)
def test_a_setting_survives_shell_and_yaml(label):
    typed = setting("data.label_map", {label: "other", "more": label})
    words = shlex.split(f"tunesmith train x.csv {typed}")
    assert words[:4] == ["tunesmith", "train", "x.csv", "--set"] and len(words) == 5
    recipe, _ = compose(file=None, overrides=[words[4]], arguments={})
    assert recipe.data.label_map == {label: "other", "more": label}


def test_plain_settings_stay_readable():
    assert setting("data.labels", "merge_case") == "--set data.labels=merge_case"
    assert setting("data.label_map", {"damagd_item": "damaged_item"}) == (
        "--set 'data.label_map={damagd_item: damaged_item}'"
    )


def table(tmp_path, labels):
    path = write_csv(tmp_path / "t.csv", [(f"text number {i} of some length", label) for i, label in enumerate(labels)])
    return read(DataSpec(path=(str(path),))).tables["train"]


def test_typos_are_mended_by_what_is_advised_in_the_spelling_of_the_file(tmp_path):
    found = table(tmp_path, ["Late Parcel"] * 40 + ["Broken Item"] * 40 + ["Late Parcl", "Brokn Item"])
    notes = check_classes(read_labels(found, column="label", spec=DataSpec()), file="t.csv", column="label")
    typos = [note for note in notes if note.topic == "likely typo"]
    assert {note.message for note in typos} == {
        '"Late Parcl" (1 row) is close to "Late Parcel" (40 rows)',
        '"Brokn Item" (1 row) is close to "Broken Item" (40 rows)',
    }
    (fix,) = [note.fix for note in typos if note.fix]
    spec = compose(file=None, overrides=[shlex.split(fix)[1]], arguments={})[0].data
    assert set(read_labels(found, column="label", spec=spec).values) == {"Late Parcel", "Broken Item"}


def test_a_label_map_that_matches_nothing_is_said(tmp_path):
    found = table(tmp_path, ["positive"] * 10 + ["negative"] * 10)
    spec = DataSpec(label_map={"postive": "positive", "NEGATIVE.": "negative"})
    (note,) = unused_names(found["label"], spec)
    assert note.level == "warning"
    assert note.message == 'no row has this label of data.label_map: "postive"'
    assert note.fix == 'postive: did you mean "positive"?'


def test_the_note_on_an_unused_label_map_reaches_the_user(tmp_path):
    path = write_csv(tmp_path / "t.csv", sentences(60))
    recipe, _ = compose(file=None, overrides=["data.label_map={poz: pos}"], arguments={"data.path": [str(path)]})
    assert "unused label map" in [note.topic for note in prepare(recipe).notes]


def test_labels_that_are_rewritten_or_merged_are_said(tmp_path):
    texts = sentences(60)
    texts[3:5] = [(texts[3][0], "poz"), (texts[4][0], texts[4][1].upper())]
    path = write_csv(tmp_path / "t.csv", texts)
    settings = ["data.label_map={poz: pos}", "data.labels=merge_case"]
    arguments = {"data.path": [str(path)]}
    (note,) = [note for note in prepare(compose(file=None, overrides=settings, arguments=arguments)[0]).notes
               if note.topic == "changed"]  # fmt: skip
    assert (note.level, note.n_rows, [place.row for place in note.places]) == ("info", 2, [5, 6])
    assert note.message == (
        f"2 places were changed: 1 label rewritten, 1 label spelling merged, first in {path}:5 ('poz' -> 'pos')"
    )
    plain = prepare(compose(file=None, overrides=[], arguments=arguments)[0])
    assert not any(note.topic == "changed" for note in plain.notes)


def labels_of(cells, **settings):
    return read_labels(Table.of({"label": cells}), column="label", spec=DataSpec(**settings))


def test_labels_that_read_alike_have_one_type():
    reading = labels_of([1, "1", 1, "0", 0, "0", True, "true", "true"])
    assert [(type(value), value) for value in reading.values] == [
        *[(int, 1)] * 3,
        *[(str, "0")] * 3,
        *[(str, "true")] * 3,
    ]
    assert [entry.detail for entry in reading.entries] == ["'1' -> 1", "0 -> '0'", "True -> 'true'"]


def test_exact_spellings_of_a_label_map_come_first():
    found = labels_of(["Pos", "pos", "POS", "neg"], label_map={"Pos": "a", "pos": "b"})
    assert found.values[:2] == ["a", "b"]


def test_a_label_that_is_mapped_to_nothing_is_none():
    found = labels_of(["x", "pos", " "], label_map={"x": ""}, missing=())
    assert found.values == [None, "pos", None]
    assert found.reasons == ["no label", "", "no label"]


def test_words_that_are_read_as_no_label_and_may_be_a_class_are_said():
    cells = ["favor"] * 20 + ["against"] * 20 + ["none"] * 20
    notes = check_classes(labels_of(cells), file="a.csv", column="label")
    assert [(note.topic, note.n_rows) for note in notes] == [("words for no label", 20)]
    assert "--set data.missing=[]" in notes[0].fix
    assert labels_of(cells, missing=()).values == cells
    assert not check_classes(labels_of([*cells[:40], "none"]), file="a.csv", column="label")
    with pytest.raises(DataError, match=r'every row has the label "yes"(.|\n)*"none" is one'):
        check_classes(labels_of(["yes", "none"] * 20), file="a.csv", column="label")


def test_one_row_is_one_row():
    assert (rows(1), rows(2), rows(1821, "test"), count(1, "text")) == ("1 row", "2 rows", "1,821 test rows", "1 text")


@pytest.mark.parametrize(("n", "said"), [(1, "1 test row: too few"), (10, " test rows: too few"), (60, "up to +-1")])
def test_few_test_rows_are_said_in_words_that_mean_something(n, said):
    from tunesmith.data.spec import SplitSpec
    from tunesmith.data.table import Table

    columns = {"text": [f"text {i}" for i in range(5 * n)], "label": ["a"] * 5 * n}
    found = divided(Table.of(columns), spec=SplitSpec(test=0.2))
    assert any(said in note.message for note in found.notes)


def test_findings_about_one_row(tmp_path):
    rows_ = [*sentences(60), sentences(1)[0], ("a text of its own", "pos"), ("a text of its own", "neg")]
    path = write_csv(tmp_path / "t.csv", rows_)
    recipe, _ = compose(file=None, overrides=[], arguments={"data.path": [str(path)]})
    said = " / ".join(note.message for note in prepare(recipe).notes)
    assert "1 row repeats another row exactly" in said
    assert "1 text stands with different labels (2 rows, kept)" in said


@pytest.mark.parametrize("values", [[f"{i % 30 / 7:.2f}" for i in range(300)], [i % 30 / 7 for i in range(300)]])
def test_scores_are_not_taken_for_classes(values):
    table = Table.of({"label": values})
    with pytest.raises(DataError, match="looks like a score"):
        check_classes(read_labels(table, column="label", spec=DataSpec()), file="a.csv", column="label")


def test_half_stars_are_classes():
    table = Table.of({"label": [f"{i % 10 / 2 + 0.5:g}" for i in range(300)]})
    assert check_classes(read_labels(table, column="label", spec=DataSpec()), file="a.csv", column="label") == []


def test_a_rare_beginning_of_a_label_is_taken_for_it_and_not_for_a_small_class(tmp_path):
    labels = ["Positive"] * 80 + ["positive "] * 5 + ["POS"] * 13 + ["Negative"] * 70 + ["NEG"] * 12
    found = table(tmp_path, labels)
    notes = check_classes(read_labels(found, column="label", spec=DataSpec()), file="t.csv", column="label")
    assert [note.message for note in notes if note.topic == "likely typo"] == [
        '"POS" (13 rows) is close to "Positive" (85 rows)',
        '"NEG" (12 rows) is close to "Negative" (70 rows)',
    ]
    assert class_sizes(labels) == {"Positive": 85, "Negative": 70}, "weights for typos would be no advice"


def test_classes_that_begin_alike_are_no_slips():
    assert class_sizes(["art"] * 10 + ["articles"] * 30 + ["artists"] * 30)["art"] == 10, "two begin so"
    assert class_sizes(["app"] * 20 + ["apple"] * 30)["app"] == 20, "too many for a slip"


def test_weights_of_classes_count_the_rows_that_balance_them(tmp_path):
    rows = [(text, "rare" if i % 6 == 0 else "usual") for i, (text, _) in enumerate(sentences(120))]
    path = write_csv(tmp_path / "rows.csv", rows)
    settings = ["augment.balance=true", "task.class_weights=balanced"]
    prepared = prepare(compose(file=None, overrides=settings, arguments={"data.path": [str(path)]})[0])
    counts = [list(prepared.tables["train"]["label"]).count(name) for name in prepared.task.names]
    assert list(prepared.task.class_counts) == counts
    assert max(counts) < 1.3 * min(counts)
