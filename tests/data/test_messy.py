"""Every messy file ends in a correct run with a true ledger, or in one clear line with a fix."""

import pytest

from tunesmith.core.errors import TunesmithError
from tunesmith.recipe.compose import compose
from tunesmith.workflow.prepare import prepare

# file: (rows read, rows set aside by reason) or the words of the error
EXPECTED = {
    "01_bom_utf8.csv": (400, {}),
    "02_latin1_semicolon_crlf.csv": (120, {"exact duplicate": 108}),
    "03_cp1252_smart_quotes.csv": (300, {}),
    "04_quoted_newlines.csv": (300, {}),
    "05_no_header_label_first.tsv": (300, {"too many fields": 3, "no text": 1}),
    "06_missing_labels.csv": (400, {"no label": 50}),
    "07_label_variants.csv": (500, {}),
    "08_duplicates_conflicts_test.csv": (110, {}),
    "08_duplicates_conflicts_train.csv": (430, {"exact duplicate": 80}),
    "09_rare_classes.csv": (395, {}),
    "10_empty_and_very_long.csv": (60, {"no text": 3}),
    "11_unicode_trouble.csv": (200, {}),
    "12_unnamed_index_many_columns.csv": (300, {}),
    "13_json_array_flat.json": (150, {}),
    "13_json_array_nested.json": "not clear which column is the label .* fix: say --label",
    "14_broken_lines.jsonl": (200, {"broken line": 3, "no label": 4, "no text": 1}),
    "15_not_gzip.csv.gz": (50, {}),
    "15_truncated.csv.gz": "damaged or cut off",
    "16_nul_bytes.csv": (100, {}),
    "16_utf16.csv": (100, {}),
    "17_ner_broken.conll": (201, {"exact duplicate": 6}),
    "18_squad_bad_offsets.json": (
        105,
        {"answer not in the context": 9, "is_impossible contradicts the answers": 4, "no context": 1},
    ),
    "19_multilabel_mixed_separators.csv": (300, {}),
    "20_regression_messy_scores.csv": (300, {"no number": 2, "exact duplicate": 1}),
    "21_misaligned.de": "one side of parallel text",
    "21_misaligned.en": "one side of parallel text",
    "22_sorted_by_label.csv": (400, {}),
    "23_label_leak.csv": (300, {}),
    "24_grouped_rows.csv": (300, {}),
    "25_one_column.csv": 'only one column, "text"',
    "26_header_only.csv": "a header and no rows",
    "27_empty.csv": "the file is empty",
    "raw_glue_mrpc_dev.tsv": "not clear which column is the text",
}
SAID = {
    "02_latin1_semicolon_crlf.csv": "latin-1",
    "03_cp1252_smart_quotes.csv": "cp1252",
    "07_label_variants.csv": "differ only in case",
    "08_duplicates_conflicts_train.csv": "different labels",
    "09_rare_classes.csv": "press",
    "12_unnamed_index_many_columns.csv": '"Rating" gives the label away',
    "16_nul_bytes.csv": "NUL bytes",
    "19_multilabel_mixed_separators.csv": '11 empty cells in "labels": read as none of the labels',
    "20_regression_messy_scores.csv": 'text columns "sentence1" and "sentence2", a pair',
    "22_sorted_by_label.csv": "sorted by label",
    "23_label_leak.csv": "how the texts begin gives the label away",
    "24_grouped_rows.csv": "--group",
}


def prepared(path, **more):
    recipe, _ = compose(file=None, overrides=[], arguments={"data.path": [str(path)], **more})
    return prepare(recipe)


def test_no_file_is_forgotten(data_folder):
    assert {p.name for p in (data_folder / "messy").iterdir()} == set(EXPECTED)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_messy_file(data_folder, name):
    path, expected = data_folder / "messy" / name, EXPECTED[name]
    if isinstance(expected, str):
        with pytest.raises(TunesmithError, match=expected) as raised:
            prepared(path)
        assert len(raised.value.problems) == 1
        assert raised.value.problems[0].fix
        return
    n_read, set_aside = expected
    found = prepared(path)
    assert found.n_read == n_read
    assert found.ledger.counts("set aside") == set_aside
    assert sum(found.n_rows.values()) == n_read - sum(set_aside.values())
    said = " ".join(f"{note.message} {note.fix}" for note in found.notes)
    assert SAID.get(name, "") in said


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("19_multilabel_mixed_separators", "multi-label-classification"),
        ("20_regression_messy_scores", "text-regression"),
    ],
)
def test_the_task_is_seen(data_folder, name, task):
    path = data_folder / "messy" / f"{name}.csv"
    found = prepared(path)
    assert found.kind[0].kind == task
    assert found.kind[1]
    with pytest.raises(TunesmithError, match=r"several labels in one cell|looks like a score") as raised:
        prepared(path, **{"task.kind": "text-classification"})
    assert f"--task {task}" in raised.value.problems[0].fix


def test_quotes_off_gives_all_rows(data_folder):
    path = data_folder / "messy" / "raw_glue_mrpc_dev.tsv"
    found = prepared(path, **{"task.text": "#1 String", "task.label": "Quality"})
    assert found.n_read == 408


def test_variants_merge_with_consent(data_folder):
    path = data_folder / "messy" / "07_label_variants.csv"
    merged = prepared(path, **{"data.labels": "merge_case"})
    assert len(merged.task.labels) < len(prepared(path).task.labels)
    assert merged.ledger.counts("changed")["label spelling merged"] > 0


def test_train_rows_of_the_test_file_are_not_trained_on(data_folder):
    folder = data_folder / "messy"
    test = str(folder / "08_duplicates_conflicts_test.csv")
    found = prepared(folder / "08_duplicates_conflicts_train.csv", **{"data.test": [test]})
    assert found.ledger.counts("set aside")["also in test"] >= 30
    assert found.n_rows["test"] == 110


def test_groups_stay_on_one_side(data_folder):
    found = prepared(data_folder / "messy" / "24_grouped_rows.csv", **{"data.split.group": "author"})
    sides = {name: set(table["author"]) for name, table in found.tables.items()}
    assert not sides["train"] & sides["test"]
    assert sum(found.n_rows.values()) == 300
