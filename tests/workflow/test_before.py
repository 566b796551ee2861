"""Rows that are measured by and were learnt before: by the run that a training starts from, a teacher, another task."""

import json

import pytest

import tunesmith as ts
from tests.tiny import sentences, tiny_bert, write_csv
from tests.workflow.small import prepared
from tunesmith.data.learnt import Learnt
from tunesmith.data.table import Table
from tunesmith.recipe.several import compose_several
from tunesmith.tasks.translation import Translation
from tunesmith.workflow.before import TOPIC, rows_of

QUICK = {"train.length": "2 steps", "evaluate.resamples": 20, "evaluate.baselines": False}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model, rows, and a run that has learnt most of them."""
    found = tmp_path_factory.mktemp("before")
    tiny_bert(found / "tiny")
    write_csv(found / "rows.csv", sentences(60))
    ts.train(found / "rows.csv", model=str(found / "tiny"), out=found / "first", settings=QUICK)
    return found


def told(found):
    return [(note.level, note.n_rows, note.message) for note in found.notes if note.topic == TOPIC]


@pytest.mark.parametrize("name", ["first", "first/model"])
def test_test_rows_that_the_model_has_learnt_are_said(folder, name):
    source = str(folder / name)
    found = prepared(folder / "rows.csv", **{"model.source": source, "data.split.seed": 1})
    before = prepared(folder / "rows.csv", **{"model.source": str(folder / "tiny")})
    learnt = set(before.tables["train"]["text"])
    n = sum(text in learnt for text in found.tables["test"]["text"])
    assert 0 < n < len(found.tables["test"])
    ((level, n_rows, message),) = told(found)
    assert (level, n_rows) == ("warning", n)
    who = f"the model it starts from ({source})"
    assert message == f"{n} of {len(found.tables['test'])} test rows are learnt by {who}: the numbers on them flatter"
    assert told(before) == []


def test_the_same_rows_are_divided_alike_and_nothing_is_said(folder):
    assert told(prepared(folder / "rows.csv", **{"model.source": str(folder / "first")})) == []


def test_texts_that_were_read_with_another_answer_are_said_and_no_more(folder):
    turned = {"pos": "neg", "neg": "pos"}
    other = write_csv(folder / "turned.csv", [(text, turned[label]) for text, label in sentences(60)])
    found = prepared(other, **{"model.source": str(folder / "first"), "data.split.seed": 1})
    assert [level for level, _, _ in told(found)] == ["info"]
    assert "for another answer, or none" in told(found)[0][2]


def test_what_a_teacher_has_learnt_is_said(folder):
    teacher = str(folder / "first")
    more = {"objectives.consistency.teacher": teacher, "model.source": str(folder / "tiny"), "data.split.seed": 1}
    ((level, _, message),) = told(prepared(folder / "rows.csv", **more))
    assert level == "warning"
    assert f"are learnt by its teacher ({teacher})" in message


def test_a_run_that_is_both_is_said_once(folder):
    first = str(folder / "first")
    more = {"objectives.consistency.teacher": first, "model.source": first, "data.split.seed": 1}
    found = prepared(folder / "rows.csv", **more)
    ((_, _, message),) = told(found)
    assert "the model it starts from" in message


def test_an_architecture_alone_has_learnt_nothing(folder):
    more = {"model.source": str(folder / "first"), "model.weights": "random", "data.split.seed": 1}
    found = prepared(folder / "rows.csv", **more)
    assert told(found) == []
    assert found.learnt.known(rows_of(found.task, found.tables["test"])) == ([], [])


def test_a_run_in_the_users_home_is_found(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    assert len(told(prepared(folder / "rows.csv", **{"model.source": "~/first", "data.split.seed": 1}))) == 1
    monkeypatch.chdir(folder / "first/model")
    assert len(told(prepared(folder / "rows.csv", **{"model.source": ".", "data.split.seed": 1}))) == 1


def test_texts_without_labels_are_remembered_as_read(folder):
    more = {"data.unlabeled": [str(folder / "rows.csv")], "objectives.consistency": True}
    rows = write_csv(folder / "few.csv", sentences(40, seed=7))
    found = prepared(rows, **{"model.source": str(folder / "tiny"), **more})
    every = prepared(folder / "rows.csv", **{"model.source": str(folder / "tiny")})
    learnt, read = found.learnt.known(rows_of(every.task, every.tables["train"]))
    assert (learnt, len(read)) == ([], len(every.tables["train"]))


def test_labels_are_the_same_in_every_format(folder):
    """0 and 1 are text in a CSV and numbers in JSON."""
    numbered = [(text, int(label == "pos")) for text, label in sentences(60)]
    (folder / "rows.jsonl").write_text("\n".join(json.dumps({"text": t, "label": n}) for t, n in numbered))
    one, other = (
        prepared(path, **{"model.source": str(folder / "tiny")})
        for path in (write_csv(folder / "numbered.csv", numbered), folder / "rows.jsonl")
    )
    n = len(one.tables["train"])
    assert one.learnt.known(rows_of(other.task, other.tables["train"])) == (list(range(n)), [])


def test_another_question_about_the_same_texts_is_another_row(folder):
    """The answers of two columns are alike by chance."""
    path = write_csv(folder / "asked.csv", sentences(60), header=("text", "rude"))
    found = prepared(path, **{"model.source": str(folder / "first"), "data.split.seed": 1})
    assert [level for level, _, _ in told(found)] == ["info"]


def test_one_of_several_right_translations_is_enough():
    task = Translation(text="en", label="de")
    one = Table.of({"en": ["a dog"], "de": [("ein Hund",)]})
    more = Table.of({"en": ["a dog", "a dog"], "de": [("der Hund", "Ein Hund"), ("eine Katze",)]})
    assert Learnt.of(rows_of(task, one)).known(rows_of(task, more)) == ([0], [1])


def test_what_was_learnt_further_back_is_not_forgotten(folder, tmp_path):
    write_csv(tmp_path / "new.csv", sentences(40, seed=5))
    ts.train(tmp_path / "new.csv", model=str(folder / "first"), out=tmp_path / "second", settings=QUICK)
    found = prepared(folder / "rows.csv", **{"model.source": str(tmp_path / "second"), "data.split.seed": 1})
    assert [level for level, _, _ in told(found)] == ["warning"]


def test_stages_say_it_in_the_run_and_its_report(folder, tmp_path):
    recipe = tmp_path / "stages.yaml"
    files = f"data: {folder / 'rows.csv'}\nmodel: {folder / 'tiny'}\n"
    recipe.write_text(files + "stages:\n  first: {}\n  second:\n    data.split.seed: 1\n")
    runs = ts.train_several(recipe, out=tmp_path / "run", settings=QUICK)
    assert TOPIC not in {note.topic for note in runs["1-first"].run.notes}
    (note,) = (note for note in runs["2-second"].run.notes if note.topic == TOPIC)
    assert "are learnt by the model it starts from" in note.message
    assert "the numbers on them flatter" in runs["2-second"].run.report_path.read_text(encoding="utf-8")


def test_rows_that_another_task_learns_are_said(folder, tmp_path):
    """One file for both tasks, divided otherwise: over one backbone each learns what the other is measured by."""
    recipe = tmp_path / "tasks.yaml"
    mixed = f"data: {folder / 'rows.csv'}\nmodel: {folder / 'tiny'}\n"
    recipe.write_text(mixed + "tasks:\n  one: {data: {split: {test: 0.2}}}\n  two: {data: {split: {test: 0.4}}}\n")
    assert list(compose_several(recipe).parts) == ["one", "two"]
    runs = ts.train_several(recipe, out=tmp_path / "run", settings=QUICK)
    said = {name: [note.message for note in run.run.notes if note.topic == TOPIC] for name, run in runs.items()}
    n = {name: run.run.manifest["rows"] for name, run in runs.items()}
    assert n["one"]["test"] < n["two"]["test"]
    assert said["two"], said
    assert 'are learnt by task "one" on the same backbone: the numbers' in said["two"][0]
    assert not any("one" in message for message in said["one"])
    assert len({run.run.learnt_path.read_bytes() for run in runs.values()}) == 1, "each is what both have learnt"


def test_what_the_start_has_learnt_is_not_laid_on_another_task(folder, tmp_path):
    """Both tasks start from a run that knows the rows of one of them."""
    write_csv(tmp_path / "new.csv", sentences(40, seed=5))
    recipe = tmp_path / "tasks.yaml"
    recipe.write_text(
        f"model: {folder / 'first'}\ntasks:\n"
        f"  known: {{data: {{path: {folder / 'rows.csv'}, split: {{seed: 1}}}}}}\n"
        f"  new: {{data: {{path: {tmp_path / 'new.csv'}}}}}\n"
    )
    runs = ts.train_several(recipe, out=tmp_path / "run", settings=QUICK)
    (said,) = (note.message for note in runs["known"].run.notes if note.topic == TOPIC)
    assert "the model it starts from" in said
