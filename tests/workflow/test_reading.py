"""New files are read as the run's own were, unless they are of another kind or it is said otherwise."""

import csv
import io
import json
import shutil

import pytest
from typer.testing import CliRunner

import tunesmith as ts
from tests.tiny import sentences
from tunesmith.cli.main import app
from tunesmith.core.errors import DataError, RecipeError
from tunesmith.run.folder import Run
from tunesmith.tasks.question_answering import QuestionAnswering
from tunesmith.tasks.translation import Translation
from tunesmith.workflow.compare import compare
from tunesmith.workflow.evaluate import evaluate
from tunesmith.workflow.predict import Done
from tunesmith.workflow.reading import reading_for

FORM = {"data.encoding": "cp500", "data.delimiter": ";", "data.header": "no"}
"""An encoding of mainframes, which no guess finds."""
SETTINGS = [f"{key}={value}" for key, value in FORM.items()]


def written(path, rows):
    path.write_text("".join(f"{text};{label}\n" for text, label in rows), encoding="cp500")
    return path


def invoke(*args, **more):
    return CliRunner().invoke(app, [str(a) for a in args], catch_exceptions=False, **more)


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny):
    """A run on a file that can only be read as its recipe says."""
    folder = tmp_path_factory.mktemp("odd")
    data = written(folder / "odd.csv", sentences(60))
    quick = {"train.length": "6 steps", "evaluate.resamples": 20, "evaluate.baselines": False}
    named = {"text": "column1", "label": "column2"}
    return ts.train(data, model=str(tiny), out=folder / "run", **named, settings={**FORM, **quick}).run


def test_evaluate_reads_as_the_run_did_and_says_so(run, tmp_path):
    new = written(tmp_path / "new.csv", sentences(20, seed=3))
    found = evaluate(run, [str(new)], resamples=2)
    assert found.metrics["n_rows"] == 20
    assert found.notes[0].message == "read as in training: data.encoding=cp500, data.delimiter=;, data.header=no"
    plain = tmp_path / "plain.csv"
    plain.write_text("column1,column2\n" + "".join(f"{t},{v}\n" for t, v in sentences(20, seed=3)))
    again = evaluate(run, [str(plain)], resamples=2, settings=[f"{key}=auto" for key in FORM])
    assert again.metrics == found.metrics
    assert [note.topic for note in again.notes] == ["header"]


def test_a_file_of_another_kind_is_looked_at_anew(run, tmp_path):
    new = tmp_path / "new.jsonl"
    new.write_text("".join(f'{{"column1": "{t}", "column2": "{v}"}}\n' for t, v in sentences(20, seed=3)))
    found = evaluate(run, [str(new)], resamples=2)
    assert (found.metrics["n_rows"], found.notes) == (20, [])
    spec, _ = reading_for(run, [str(new)], settings=["data.encoding=utf-8"])
    assert (spec.encoding, spec.delimiter, spec.header) == ("utf-8", "auto", "auto")
    for same in ("more.CSV", "more.csv.gz", "-", str(tmp_path)):
        assert reading_for(run, [same])[0].encoding == "cp500"


def test_a_model_folder_alone_is_told_how_to_read(run, tmp_path):
    new = written(tmp_path / "new.csv", sentences(20, seed=3))
    (tmp_path / "model").symlink_to(run.model_folder)
    alone = Run.with_model(tmp_path / "model")
    assert evaluate(alone, [str(new)], resamples=2, settings=SETTINGS).metrics["n_rows"] == 20


def test_predict_reads_files_and_pipes_as_the_run_did(run, tmp_path):
    new, out = written(tmp_path / "new.csv", sentences(5, seed=3)), tmp_path / "out.csv"
    said = invoke("predict", run.folder, new, "--out", out).stderr
    assert "read as in training: data.encoding=cp500" in said
    rows = out.read_text().splitlines()
    assert rows[0].startswith("column1,column2,predicted,")
    assert len(rows) == 6
    assert invoke("predict", run.folder, "-", input=new.read_bytes()).stdout.splitlines() == rows


def test_compare_reads_for_each_run_as_it_did(run, trained, tmp_path):
    new = written(tmp_path / "new.csv", sentences(20, seed=3))
    named = {"text": "column1", "label": "column2"}
    found = compare([run, trained.run], [str(new)], settings=SETTINGS, **named)
    assert (found["n_rows"], found["notes"]) == (20, [])
    words = [word for setting in SETTINGS for word in ("--set", setting)]
    words += ["--text", "column1", "--label", "column2"]
    said = invoke("compare", run.folder, trained.folder, "--data", new, *words)
    assert "on the same 20 rows" in said.output


def test_what_training_settled_is_not_set_here(run):
    with pytest.raises(RecipeError) as raised:
        reading_for(run, ["a.csv"], settings=["data.clean=[lowercase]", "train.lr=1", "data.header=yes"])
    assert [problem.where.column for problem in raised.value.problems] == ["data.clean", "train.lr"]
    assert "data.encoding" in raised.value.problems[0].fix


@pytest.fixture(scope="module")
def renamed(trained, tmp_path_factory):
    """A model whose texts were in a column called "remark"."""
    folder = tmp_path_factory.mktemp("renamed") / "model"
    shutil.copytree(trained.run.model_folder, folder)
    settings = json.loads((folder / "tunesmith.json").read_text())
    settings["task"]["text"] = "remark"
    (folder / "tunesmith.json").write_text(json.dumps(settings))
    return folder


def labelled(model, content, *words):
    """Return the texts that a pipe was read as, and what was said."""
    done = invoke("predict", model, "-", *words, input=content)
    return [row["remark"] for row in csv.DictReader(io.StringIO(done.stdout))], done.stderr


LINES = [
    ["one lonely text"],
    ["a lovely film", "bad"],
    ["Review: good, text", "bad"],
    ["one, lonely, text"],
    ['he said "no", twice', "and; then: left", "well, well, well"],
    ['"Great', "bad"],
    ["Kommentar", "sehr gut"],
    ["a\tb", "é à la carte"],
]


@pytest.mark.parametrize("texts", LINES)
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_lines_of_text_are_all_predicted(renamed, texts, end):
    found, said = labelled(renamed, ((end or "\n").join(texts) + end).encode())
    assert found == texts
    said = [line for line in said.splitlines() if "standard input" in line]
    assert len(said) == 1
    assert 'has no column "remark": each line is read as a text, the first one too' in said[0]
    assert "data.header=yes" in said[0]


def test_texts_in_quotes_are_rows(renamed):
    found, _ = labelled(renamed, b'sehr gut\n"two, or\nmore ""lines"""\nbad\n')
    assert found == ["sehr gut", 'two, or\nmore "lines"', "bad"]


def test_a_file_of_lines_goes_on_where_it_was(renamed, tmp_path, monkeypatch):
    monkeypatch.setattr("tunesmith.workflow.predict.CHUNK_ROWS", 2)
    data, out = tmp_path / "lines.csv", tmp_path / "out.csv"
    data.write_text("".join(f"text {i}, or so{', or so' * (i % 3)}\n" for i in range(7)))
    said = invoke("predict", renamed, data, "--out", out).stderr
    assert "7 rows labelled" in said
    assert said.count("each line is read") == 1


@pytest.mark.parametrize(("header", "words"), [("remark", ()), ("Remark!", ()), ("Kommentar", ("--text", "Kommentar"))])
def test_a_column_that_is_named_is_a_header(renamed, header, words):
    done = invoke("predict", renamed, "-", *words, input=f"{header}\ngood film\nbad\n")
    assert len(done.stdout.splitlines()) == 3
    assert done.stdout.startswith(f"{header},predicted,")
    assert not done.stderr


@pytest.mark.parametrize(
    ("content", "read"),
    [
        ("text\ngood film\n", "text"),
        ("id,message\n1,good film\n", "message"),
        ('{"id": 1, "message": "good film"}\n', "message"),
        ('{"said": "good film"}\n', "said"),
    ],
)
def test_the_only_column_it_can_be_is_taken_and_said(renamed, content, read):
    done = invoke("predict", renamed, "-", input=content)
    assert len(done.stdout.splitlines()) == 2
    assert f'there is no column "remark", as in training: the texts are read from "{read}"' in done.stderr


def test_a_header_may_be_said_to_be_one(renamed):
    done = invoke("predict", renamed, "-", "--set", "data.header=yes", input="Kommentar\nsehr gut\n")
    assert [line.split(",")[0] for line in done.stdout.splitlines()] == ["Kommentar", "sehr gut"]
    assert 'read from "Kommentar"' in done.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("text,message\na,b\nc,d\n", "which is not here"),
        ("id,what\n1,good film\n2,bad film\n", "which is not here"),
        ("remark\n", "a header and no rows"),
        ("id,remark\n", "a header and no rows"),
    ],
)
def test_what_is_unclear_or_empty_is_refused(renamed, content, said):
    with pytest.raises(DataError, match=said):
        invoke("predict", renamed, "-", input=content)


def test_another_form_than_the_output_has_is_said(trained, tmp_path):
    data = tmp_path / "new.csv"
    data.write_text("id;text\n1;süß\n2;gut\n3;schlecht\n", encoding="cp1252")
    said = invoke("predict", trained.folder, data, "--out", tmp_path / "out.csv").stderr
    assert 'is latin-1 and has ";" between columns; written as UTF-8 with commas' in " ".join(said.split())
    said = invoke("predict", trained.folder, data, "--out", tmp_path / "out.jsonl").stderr
    assert "; written as UTF-8" in said and "commas" not in said


def test_rows_without_text_are_counted(trained, tmp_path):
    data = tmp_path / "new.csv"
    data.write_text("text,id\ngood,1\n,2\nbad,3\n  ,4\nbad,5\n")
    said = invoke("predict", trained.folder, data, "--out", tmp_path / "out.csv").stderr
    assert said.startswith("3 of 5 rows labelled; 2 have no text: ")
    assert Done(21, 1).said(Translation()) == "20 of 21 rows translated; 1 has no text"
    assert Done(1, 1).said(QuestionAnswering()) == "0 of 1 row answered; 1 has no question or context"
