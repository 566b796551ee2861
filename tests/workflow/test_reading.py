"""New files are read as the run's own were, unless they are of another kind or it is said otherwise."""

import pytest
from typer.testing import CliRunner

import tunesmith as ts
from tests.tiny import sentences
from tunesmith.cli.main import app
from tunesmith.core.errors import RecipeError
from tunesmith.run.folder import Run
from tunesmith.workflow.compare import compare
from tunesmith.workflow.evaluate import evaluate
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
