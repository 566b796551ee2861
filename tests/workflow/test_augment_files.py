"""Files of old and edited rows: read again they mean the same, and no edited row is measured or leaks."""

import csv
import json
import re

import pytest
from typer.testing import CliRunner

from tests.objectives.test_objectives import rows_of
from tests.tiny import sentences, write_csv
from tests.workflow.small import prepared, write_table
from tests.writers import write_jsonl
from tunesmith.cli.main import app
from tunesmith.core.errors import DataError, RunError
from tunesmith.data.augment.given import BY, EDITED, FROM, NO_SOURCE
from tunesmith.workflow import augment as making

WHOLE = {"data.split.test": 0.0, "data.split.dev": 0.0}


def augmented(data, out, *arguments):
    """Run the command; return what it printed, and the rows of the file."""
    said = CliRunner().invoke(app, ["augment", str(data), str(out), *arguments])
    if said.exception:
        raise said.exception
    lines = out.read_text().splitlines()
    return said.output, list(csv.DictReader(lines)) if out.suffix == ".csv" else [json.loads(line) for line in lines]


def content(table):
    return {name: list(values) for name, values in table.columns.items()}


def test_a_file_says_where_its_rows_are_from(tmp_path):
    data = write_csv(tmp_path / "rows.csv", sentences(40))
    said, rows = augmented(data, tmp_path / "more.csv", "--show", "3", "--set", "augment.edits=typos")
    assert "typos" in said
    new = [row for row in rows if row[BY]]
    assert {row[BY] for row in new} == {"typos"}
    assert len(new) >= 35
    by_place = {f"{data}:{i}": row for i, row in enumerate(csv.DictReader(data.read_text().splitlines()), 2)}
    for row in rows:
        assert row["label"] == by_place[row[FROM]]["label"]
        assert (row["text"] == by_place[row[FROM]]["text"]) == (not row[BY])


def test_what_an_edit_must_not_touch_is_shown(tmp_path):
    path = write_jsonl(tmp_path / "ner.jsonl", rows_of("token-classification"))
    said, _ = augmented(path, tmp_path / "more.jsonl", "--show", "30")
    assert re.search(r"\[[^\]]+\][A-Z]+", said)


def test_an_answer_is_shown_without_what_touches_it(tmp_path):
    rows = [
        {"question": f"where is {i} ?", "context": f"{i} boxes went to (New York.) It rains.",
         "answers": {"text": ["New York"], "answer_start": [len(f"{i} boxes went to (")]}}
        for i in range(20)
    ]  # fmt: skip
    path = write_jsonl(tmp_path / "qa.jsonl", rows)
    said, _ = augmented(path, tmp_path / "more.jsonl", "--show", "20", "--set", "augment.edits=swap")
    assert len(re.findall(r"\(\[New\s+York\]\.\)(?!\d)", said)) > 10
    assert not re.search(r"\]\d", said)


def test_rows_that_are_shown_are_not_promised_again(tmp_path):
    said, _ = augmented(write_csv(tmp_path / "rows.csv", sentences(40)), tmp_path / "more.csv")
    assert "training rows were made from 40 rows" in said
    assert "see them with" not in said


def test_the_rows_of_each_class_are_shown_before_and_after(tmp_path):
    rows = [(f"some good film number {i}", "pos") for i in range(40)]
    data = write_csv(tmp_path / "rows.csv", rows + [(f"a bad book {i} here", "neg") for i in range(9)])
    settings = ["--copies", "0", "--set", "augment.balance=true", "--set", "data.near_duplicates=off"]
    said, _ = augmented(data, tmp_path / "more.csv", *settings)
    assert re.search(r"class +before +after *\nneg +9 +40 *\npos +40 +40 *\n", said)
    said, _ = augmented(data, tmp_path / "most.csv", "--set", "augment.edits=swap")
    assert not re.search(r"class +before +after", said)


def test_what_is_not_written_is_said(tmp_path):
    data = write_csv(tmp_path / "rows.csv", [*sentences(40), ("no label at all", ""), ("", "pos"), sentences(40)[0]])
    said, _ = augmented(data, tmp_path / "more.csv")
    assert "3 of 43 rows set aside" in said
    assert "repeats another row exactly" in said
    assert "divided" not in said


@pytest.mark.parametrize(("name", "error"), [("have.csv", RunError), ("more.txt", DataError), ("more.csv", DataError)])
def test_a_file_that_cannot_be_written_is_refused_before_rows_are_made(name, error, tmp_path, monkeypatch):
    path = write_jsonl(tmp_path / "ner.jsonl", rows_of("token-classification"))
    (tmp_path / "have.csv").write_text("text")
    monkeypatch.setattr(making, "edit_all", lambda *_: pytest.fail("rows were made"))
    with pytest.raises(error):
        augmented(path, tmp_path / name, "--task", "ner", "--set", "augment.edits=swap")
    assert (tmp_path / "have.csv").read_text() == "text"


@pytest.mark.parametrize(
    "kind",
    ["text-classification", "text-regression", "multi-label-classification", "translation", "summarization",
     "token-classification", "question-answering"],
)  # fmt: skip
def test_a_file_can_be_read_again(kind, tmp_path):
    data = write_jsonl(tmp_path / "rows.jsonl", rows_of("translation" if kind == "summarization" else kind))
    settings = ["--task", kind, "--set", "augment.edits=[swap, typos]", "--set", "data.duplicates=keep"]
    _, rows = augmented(data, tmp_path / "more.jsonl", *settings)
    arguments = {"task.kind": kind, "data.duplicates": "keep", **WHOLE}
    old, new = (prepared(path, **arguments) for path in (data, tmp_path / "more.jsonl"))
    n = len(old.tables["train"])
    assert content(new.tables["train"].take(range(n))) == content(old.tables["train"])
    assert len(new.tables["train"]) == len(rows) > n
    assert list(new.ledger) == list(old.ledger) == []
    names = [row[FROM] for row in rows[n:]]
    place = {f"{data}:{number}": i for i, number in enumerate(old.tables["train"].row_numbers)}
    if kind not in ("token-classification", "question-answering"):
        answers = [table.task.answers(table.tables["train"]) for table in (old, new)]
        assert [answers[1][n + k] for k in range(len(names))] == [answers[0][place[name]] for name in names]


TABLES = {
    "text-regression": ("text", "score", ["4,5 / 5", "2 / 5", "3.5 / 5"]),
    "multi-label-classification": ("text", "labels", ["a|b", "b", "a"]),
    "translation": ("source", "target", ["Guten Tag", "Auf Wiedersehen", "Danke sehr"]),
}


@pytest.mark.parametrize("kind", TABLES)
def test_targets_are_written_as_they_stood(kind, tmp_path):
    text, label, cells = TABLES[kind]
    rows = [(f"{first} {i}", cells[i % 3]) for i, (first, _) in enumerate(sentences(30))]
    data = write_table(tmp_path / "rows.csv", (text, label), rows)
    _, found = augmented(data, tmp_path / "more.csv", "--task", kind, "--set", "augment.edits=swap")
    assert {row[label] for row in found} == {*cells}
    again = prepared(tmp_path / "more.csv", **{"task.kind": kind, **WHOLE})
    assert len(again.tables["train"]) == len(found) == 60


def test_spans_are_written_as_tags(tmp_path):
    rows = [{"text": f"Anna Berg saw {i} towns near Rome.", "label": [[0, 9, "PER"]], "id": i} for i in range(20)]
    data = write_jsonl(tmp_path / "rows.jsonl", rows)
    said, found = augmented(data, tmp_path / "more.jsonl", "--set", "augment.edits=swap")
    assert '("tokens" and "tags") are written in the place of "text" and "spans"; between' in said
    again, _ = augmented(tmp_path / "more.jsonl", tmp_path / "most.jsonl", "--set", "augment.edits=swap")
    assert "in the place of" not in again
    table = prepared(tmp_path / "more.jsonl", **WHOLE).tables["train"]
    assert len(table) == len(found) == 40
    assert [row["id"] for row in found] == [*range(20)] * 2
    for words, tags in zip(table["tokens"], table["tags"], strict=True):
        assert [word for word, tag in zip(words, tags, strict=True) if tag != "O"] == ["Anna", "Berg"]


def test_of_several_references_each_is_a_row(tmp_path):
    rows = [{"source": f"{text} {i}", "target": f"T{i}", "references": [f"U{i}"]} for i, (text, _) in
            enumerate(sentences(20))]  # fmt: skip
    data = write_jsonl(tmp_path / "rows.jsonl", rows)
    _, found = augmented(data, tmp_path / "more.csv", "--task", "translation", "--set", "augment.edits=swap")
    assert sorted(row["target"] for row in found if not row[BY]) == sorted(f"{t}{i}" for t in "TU" for i in range(20))
    assert list(found[0]) == ["source", "target", FROM, BY]
    again = prepared(tmp_path / "more.csv", **{"task.kind": "translation", **WHOLE})
    assert len(again.tables["train"]) == 80


@pytest.mark.parametrize("more", [{}, {"data.split.dev": 0.2}])
def test_edited_rows_are_learnt_from_where_their_sources_are(more, tmp_path):
    data = write_csv(tmp_path / "rows.csv", sentences(120))
    _, rows = augmented(data, tmp_path / "more.csv", "--copies", "2")
    old, new = prepared(data, **more), prepared(tmp_path / "more.csv", **more)
    for split in {*old.tables} - {"train"}:
        assert content(new.tables[split]) == content(old.tables[split])
    n = len(old.tables["train"])
    assert content(new.tables["train"].take(range(n))) == content(old.tables["train"])
    learnt = {rows[number - 2][FROM] for number in new.tables["train"].row_numbers}
    assert learnt == {f"{data}:{number}" for number in old.tables["train"].row_numbers}
    gone = [entry for entry in new.ledger if entry.reason == NO_SOURCE]
    assert len(gone) + len(new.tables["train"]) + len(rows) // 3 - n == len(rows)
    (note,) = (note for note in new.notes if note.topic == "edited rows")
    assert f"{len(new.tables['train']) - n} edited rows" in note.message
    assert f"{len(gone)} others are set aside" in note.message


def test_a_row_stands_for_those_that_were_dropped_as_its_like(tmp_path):
    """The data has moved, so names in the file are spelt as no path is now; old rows stand in both files."""
    data = write_csv(tmp_path / "rows.csv", sentences(60))
    augmented(data, tmp_path / "more.csv", "--set", "augment.edits=swap")
    (tmp_path / "moved").mkdir()
    paths = [str(path.rename(tmp_path / "moved" / path.name)) for path in (data, tmp_path / "more.csv")]
    found = prepared(paths[0], **{"data.path": paths, **WHOLE})
    assert len(found.tables["train"]) == 120
    assert NO_SOURCE not in found.ledger.counts("set aside")


def test_no_edited_row_of_a_test_file_is_measured_or_learnt_from(tmp_path):
    data, extra = write_csv(tmp_path / "rows.csv", sentences(60)), write_csv(tmp_path / "x.csv", sentences(30, seed=9))
    augmented(data, tmp_path / "more.csv")
    _, rows = augmented(extra, tmp_path / "test.csv")
    with (tmp_path / "more.csv").open("a") as stream:
        csv.writer(stream).writerows(row.values() for row in rows if row[BY])
    found = prepared(tmp_path / "more.csv", **{"data.test": [str(tmp_path / "test.csv")]})
    assert list(found.tables["test"]["text"]) == [text for text, _ in sentences(30, seed=9)]
    counts = found.ledger.counts("set aside")
    assert counts[EDITED] == counts[NO_SOURCE] == 30
    assert len(found.tables["train"]) == 120


def test_an_edited_row_that_says_what_a_test_row_says_is_not_learnt_from(tmp_path):
    data = write_csv(tmp_path / "rows.csv", sentences(80))
    augmented(data, tmp_path / "more.csv")
    held = prepared(data).tables["test"]
    home = prepared(data).tables["train"]
    with (tmp_path / "more.csv").open("a") as stream:
        csv.writer(stream).writerow((held["text"][0], held["label"][0], str(home.where(0)), "swap"))
    found = prepared(tmp_path / "more.csv")
    assert found.ledger.counts("set aside")["also in test"] == 1
    assert held["text"][0] not in found.tables["train"]["text"]


def test_rows_are_edited_again_and_keep_their_source(tmp_path):
    data = write_csv(tmp_path / "rows.csv", sentences(40))
    augmented(data, tmp_path / "more.csv", "--set", "augment.edits=swap")
    _, rows = augmented(tmp_path / "more.csv", tmp_path / "most.csv", "--set", "augment.edits=typos")
    assert {row[BY] for row in rows} == {"", "swap", "typos", "swap + typos"}
    assert all(row[FROM].startswith(f"{data}:") for row in rows)
    assert content(prepared(tmp_path / "most.csv").tables["test"]) == content(prepared(data).tables["test"])


def test_edited_rows_of_one_class_are_learnt_from_and_labels_are_looked_at_once(tmp_path):
    texts = sentences(60)
    data = write_csv(
        tmp_path / "rows.csv", [(text, label.upper() if i < 5 else label) for i, (text, label) in enumerate(texts)]
    )
    _, rows = augmented(data, tmp_path / "more.csv")
    kept = [row for row in rows if not row[BY] or row["label"] == "pos"]
    write_table(tmp_path / "new.csv", list(rows[0]), [row.values() for row in kept])
    found = prepared(tmp_path / "new.csv")
    n = [len(prepared(path).tables["train"]) for path in (data, tmp_path / "new.csv")]
    assert n[0] < n[1]
    assert len([note for note in found.notes if note.topic == "label variants"]) == 1


def test_edited_rows_alone_are_refused(tmp_path):
    data = write_csv(tmp_path / "rows.csv", sentences(40))
    _, rows = augmented(data, tmp_path / "more.csv")
    write_table(tmp_path / "new.csv", list(rows[0]), [row.values() for row in rows if row[BY]])
    with pytest.raises(DataError, match="all rows of the train data are edited ones"):
        prepared(tmp_path / "new.csv")


def test_edited_rows_are_no_unlabeled_texts(tmp_path):
    data = write_csv(tmp_path / "rows.csv", sentences(60))
    augmented(data, tmp_path / "more.csv")
    found = prepared(data, **{"data.unlabeled": [str(tmp_path / "more.csv")], "objectives.consistency": True})
    assert found.ledger.counts("set aside")[EDITED] == 60
    assert {*found.unlabeled["text"]} <= {text for text, _ in sentences(60)}
