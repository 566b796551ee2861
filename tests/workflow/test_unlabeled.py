"""Files of texts without labels: read and inspected as others are, kept apart from dev and test, and pinned."""

import json
import shutil

import pytest
from typer.testing import CliRunner

import tunesmith as ts
from tests.tiny import sentences, write_csv
from tests.workflow.small import ended_after, prepared, write_table
from tests.writers import write_jsonl
from tunesmith.cli.main import app
from tunesmith.core.errors import DataError, RecipeError, RunError
from tunesmith.workflow.start import resume

ON = {"objectives.consistency": True}
QUICK = {
    "train.length": "6 steps", "train.save_every": "2 steps", "evaluate.resamples": 20, "evaluate.baselines": False,
    "objectives.consistency.confidence": 0.0,
}  # fmt: skip


def rows(tmp_path, n=60):
    return write_csv(tmp_path / "rows.csv", sentences(n))


def read(tmp_path, *files, **settings):
    return prepared(rows(tmp_path), **{"data.unlabeled": [str(file) for file in files], **ON, **settings})


def said(found, topic="unlabeled"):
    return [note.message for note in found.notes if note.topic == topic]


def test_lines_of_text_are_a_text_each_whatever_the_column_is_called(tmp_path):
    file = tmp_path / "more.txt"
    file.write_text("so <b>lovely</b>\n\n  a dull   day \n")
    found = read(tmp_path, file)
    assert found.unlabeled.columns == {"text": ["so lovely", "a dull day"]}
    assert found.unlabeled.row_numbers == [1, 3]
    assert found.n_rows["unlabeled"] == 2
    assert said(found) == ["2 unlabeled rows are learnt from, too"]
    assert found.sources[-1]["split"] == "unlabeled"
    other = write_table(tmp_path / "reviews.csv", ("review", "stars"), sentences(60))
    settings = {"task.text": "review", "task.label": "stars", "data.unlabeled": [str(file)], **ON}
    assert prepared(other, **settings).unlabeled.columns == {"review": ["so lovely", "a dull day"]}


def test_several_files_of_any_format_are_read_without_their_labels(tmp_path):
    table = write_table(tmp_path / "more.csv", ("id", "text", "label"), [(1, "one text here", "odd"), (2, "two", "")])
    objects = write_jsonl(tmp_path / "more.jsonl", [{"text": "three"}, {"text": "four"}])
    found = read(tmp_path, table, objects)
    assert found.unlabeled.columns == {"text": ["one text here", "two", "three", "four"]}
    assert [found.unlabeled.where(i).row for i in range(4)] == [2, 3, 1, 2]


def test_pairs_need_both_columns(tmp_path):
    pairs = [
        (f"{a} one", f"{b} two", label) for (a, label), (b, _) in zip(sentences(60), sentences(60, seed=1), strict=True)
    ]
    data = write_table(tmp_path / "pairs.csv", ("premise", "hypothesis", "label"), pairs)
    more = write_table(tmp_path / "more.csv", ("hypothesis", "premise"), [("b", "a"), ("d", "c")])
    found = prepared(data, **{"data.unlabeled": [str(more)], **ON})
    assert found.unlabeled.columns == {"premise": ["a", "c"], "hypothesis": ["b", "d"]}
    lone = tmp_path / "more.txt"
    lone.write_text("a\nb\n")
    with pytest.raises(DataError, match=r'unlabeled data has no column "premise"') as raised:
        prepared(data, **{"data.unlabeled": [str(more), str(lone)], **ON})
    assert [p.where.file for p in raised.value.problems] == [str(lone)] * 2


def test_rows_that_are_lost_are_in_the_ledger_with_file_and_row(tmp_path):
    more = write_table(tmp_path / "more.csv", ("text",), [("a text",), ("<b></b>",), ("a text",), ("another",)])
    found = read(tmp_path, more)
    lost = [(e.reason, e.row, e.detail) for e in found.ledger if e.file == str(more)]
    assert lost == [("no text", 3, "unlabeled"), ("exact duplicate", 4, "")]
    assert found.n_read == 64
    assert "2 of 64 rows set aside" in found.ledger.summary(found.n_read)
    assert len(read(tmp_path, more, **{"data.duplicates": "keep"}).unlabeled) == 3
    empty = write_table(tmp_path / "empty.csv", ("text",), [("  ",), (" ",), ("<b></b>",)])
    with pytest.raises(DataError, match="no row has a text"):
        read(tmp_path, empty)


def test_texts_of_dev_and_test_rows_are_never_learnt_from(tmp_path):
    copy = shutil.copy(rows(tmp_path), tmp_path / "copy.csv")
    found = read(tmp_path, copy, **{"data.split.dev": 0.2, "data.split.test": 0.2})
    assert sorted(found.unlabeled["text"]) == sorted(found.tables["train"]["text"])
    n = {split: len(found.tables[split]) for split in ("dev", "test")}
    assert found.ledger.counts("set aside") == {f"also in {split}": n[split] for split in n}
    assert [note.n_rows for note in found.notes if note.topic == "leak"] == [n["test"], n["dev"]]
    assert "unlabeled rows also stand in the test data (not trained on)" in said(found, "leak")[0]
    kept = read(tmp_path, copy, **{"data.leaks": "keep"})
    assert len(kept.unlabeled) == 60
    assert "(kept)" in said(kept, "leak")[0]


def test_near_copies_of_test_rows_are_told_and_dropped_on_request(tmp_path):
    long = "the good film was long and then they saw a bright day so warm"
    test = write_csv(tmp_path / "test.csv", [(long, "pos"), ("a bad day", "neg")])
    more = tmp_path / "more.txt"
    more.write_text(f"{long} too\nanother text\n")
    settings = {"data.test": [str(test)]}
    found = read(tmp_path, more, **settings)
    assert said(found, "near leak") == [
        f"1 unlabeled row is a near copy of the test data (kept), for example {more}:1 and {test}:2"
    ]
    assert list(read(tmp_path, more, **settings, **{"data.leaks": "drop_near"}).unlabeled["text"]) == ["another text"]


def test_rows_of_the_same_file_without_a_label_are_not_called_lost(tmp_path):
    data = write_csv(
        tmp_path / "rows.csv", [(text, label if i < 20 else "") for i, (text, label) in enumerate(sentences(60))]
    )
    whole = {"data.split.dev": 0.0, "data.split.test": 0.0}
    assert len(said(prepared(data, **whole), "most rows lost")) == 1
    found = prepared(data, **whole, **{"data.unlabeled": [str(data)], **ON})
    assert said(found, "most rows lost") == []
    assert (len(found.tables["train"]), len(found.unlabeled)) == (20, 60)
    assert found.ledger.summary(found.n_read) == "all 60 rows used"


def test_test_rows_of_the_same_file_are_no_leaks(tmp_path):
    data = write_csv(
        tmp_path / "rows.csv", [(text, label if i < 30 else "") for i, (text, label) in enumerate(sentences(60))]
    )
    found = prepared(data, **{"data.split.test": 0.2, "data.unlabeled": [str(data)], **ON})
    n_test = len(found.tables["test"])
    assert (len(found.tables["train"]), len(found.unlabeled)) == (30 - n_test, 60 - n_test)
    assert not {*found.unlabeled["text"]} & {*found.tables["test"]["text"]}
    assert said(found, "leak") == []
    assert found.ledger.summary(found.n_read) == "all 60 rows used"


def test_files_that_are_not_there_are_told_early(tmp_path):
    settings = {**ON, "data.unlabeled": [str(tmp_path / "no.txt")]}
    with pytest.raises(DataError, match=r"no\.txt: there is no such file"):
        ts.train(str(rows(tmp_path)), settings=settings)


def test_without_texts_the_training_rows_are_learnt_from_and_without_the_objective_nothing(tmp_path):
    found = prepared(rows(tmp_path), **ON)
    assert found.unlabeled is None
    assert said(found) == ["objectives.consistency learns from the training rows' own texts"]
    file = tmp_path / "more.txt"
    file.write_text("a text\n")
    found = prepared(rows(tmp_path), **{"data.unlabeled": [str(file)]})
    assert found.unlabeled is None
    assert said(found) == ["data.unlabeled is not read here: objectives.consistency alone learns from it"]
    assert [source["split"] for source in found.sources] == ["train"]


def test_a_task_that_answers_for_no_whole_text_is_refused(tmp_path, tiny):
    data = write_jsonl(tmp_path / "tags.jsonl", [{"tokens": ["a", "b"], "tags": ["B-X", "O"]}] * 30)
    more = tmp_path / "more.txt"
    more.write_text("a text\n")
    settings = {**ON, "data.unlabeled": [str(more)], "task.kind": "token-classification", "data.duplicates": "keep"}
    with pytest.raises(RecipeError, match=r"objectives\.consistency.*has no meaning for token-classification"):
        ts.train(str(data), model=str(tiny), settings=settings)


def test_a_run_counts_them_and_is_resumed_with_them_only(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    rows(tmp_path)
    more = tmp_path / "here" / "more.txt"
    more.write_text("\n".join(text for text, _ in sentences(50, seed=9)))
    settings = {**QUICK, "data.unlabeled": "here/more.txt"}
    whole = ts.train("rows.csv", model=str(tiny), out="whole", settings=settings).run
    assert whole.manifest["rows"]["unlabeled"] == 50
    assert whole.manifest["rows"]["read"] == 110
    assert "50 unlabeled" in whole.report_path.read_text()
    assert "50 unlabeled" in (whole.model_folder / "README.md").read_text()
    steps = [event for event in whole.events() if event["event"] == "step"]
    assert min(event["terms"]["consistency"] for event in steps) > 0

    with ended_after(3, monkeypatch), pytest.raises(KeyboardInterrupt):
        ts.train("rows.csv", model=str(tiny), out="part", settings=settings)
    shutil.move(more, tmp_path / "moved.txt")
    with pytest.raises(DataError, match=r"here/more\.txt: there is no such file any more.*--set data\.unlabeled=WHERE"):
        resume(tmp_path / "part")
    (tmp_path / "moved.txt").write_text("another content\n")
    with pytest.raises(RunError, match="the data changed"):
        resume(tmp_path / "part", overrides=["data.unlabeled=moved.txt"])
    (tmp_path / "moved.txt").write_text("\n".join(text for text, _ in sentences(50, seed=9)))
    part = resume(tmp_path / "part", overrides=["data.unlabeled=moved.txt"])
    assert [*part.predictions("test")] == [*whole.predictions("test")]
    assert [e["terms"] for e in part.events() if e["event"] == "step"] == [event["terms"] for event in steps]


def test_check_looks_at_them_too(tmp_path):
    more = tmp_path / "more.txt"
    more.write_text("a text\na text\nanother\n")
    arguments = [
        "check",
        str(rows(tmp_path)),
        "--set",
        f"data.unlabeled={more}",
        "--set",
        "objectives.consistency=true",
    ]
    said_ = CliRunner().invoke(app, arguments)
    assert said_.exit_code == 0, said_.output
    assert "1 of 63 rows set aside: 1 exact duplicate" in said_.output
    assert "2 unlabeled rows are learnt from, too" in said_.output


def test_a_folder_beside_those_of_classes_is_named(tmp_path):
    for i, (text, label) in enumerate([*sentences(40), ("a text without a label", "unsup")]):
        (tmp_path / "films" / label).mkdir(parents=True, exist_ok=True)
        (tmp_path / "films" / label / f"{i}.txt").write_text(text)
    found = prepared(tmp_path / "films")
    (note,) = [note for note in found.notes if note.topic == "unlabeled"]
    assert note.fix.endswith(f"--set data.unlabeled={tmp_path / 'films' / 'unsup'}")
    found = prepared(tmp_path / "films", **{"data.unlabeled": [str(tmp_path / "films" / "unsup")], **ON})
    assert list(found.unlabeled["text"]) == ["a text without a label"]


def test_a_file_that_nothing_learns_from_leaves_the_same_run(tiny, tmp_path):
    more = tmp_path / "more.txt"
    more.write_text("a text\n")
    settings = {key: value for key, value in QUICK.items() if not key.startswith("objectives")}
    path = str(rows(tmp_path))
    one = ts.train(path, model=str(tiny), out=tmp_path / "one", settings=settings).run
    other = ts.train(
        path, model=str(tiny), out=tmp_path / "other", settings={**settings, "data.unlabeled": str(more)}
    ).run
    assert [*one.predictions("test")] == [*other.predictions("test")]
    assert (
        json.loads((one.folder / "metrics.json").read_text())["splits"]
        == (json.loads((other.folder / "metrics.json").read_text())["splits"])
    )
