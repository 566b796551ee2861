"""Ctrl-C at any moment ends with one line that says what is there and how to go on."""

import signal

import pytest
from typer.testing import CliRunner

from tests.tiny import sentences, write_csv
from tunesmith.cli.main import app
from tunesmith.run.folder import Run
from tunesmith.workflow import fit, session


def interrupt(*_args, **_more):
    raise KeyboardInterrupt


def invoke(*args):
    return CliRunner().invoke(app, [str(a) for a in args], catch_exceptions=False)


def train(tiny, reviews, out, *settings):
    quick = ("train.length=6 steps", "evaluate.resamples=20", "evaluate.baselines=false", *settings)
    return invoke("train", reviews, "--model", tiny, "--out", out, *(w for s in quick for w in ("--set", s)))


def stopped(done):
    """Return the line that an interrupted command ends with."""
    assert done.exit_code == 130
    (line,) = [line for line in done.stderr.splitlines() if line]
    return line


@pytest.mark.parametrize("where", ["start.prepare", "start.resolve", "start.refuse_early"])
def test_before_the_run_folder_nothing_is_written(tiny, reviews, tmp_path, monkeypatch, where):
    monkeypatch.setattr(f"tunesmith.workflow.{where}", interrupt)
    assert stopped(train(tiny, reviews, tmp_path / "run")) == "Stopped: nothing was written"
    assert not (tmp_path / "run").exists()


def test_while_measuring_the_last_checkpoint_is_named(tiny, reviews, tmp_path, monkeypatch):
    out = tmp_path / "my run"
    with monkeypatch.context() as patched:
        patched.setattr("tunesmith.workflow.train.finish", interrupt)
        line = stopped(train(tiny, reviews, out, "train.save_every=2 steps"))
    assert line == f"Stopped: go on after step 4 with: tunesmith train --resume '{out}'"
    assert Run.open(out).status == "interrupted"
    done = invoke("train", "--resume", out)
    assert "going on after step 4 of 6" in done.output
    assert Run.open(out).status == "done"


def test_without_a_checkpoint_it_begins_anew(tiny, reviews, tmp_path, monkeypatch):
    out = tmp_path / "run"
    monkeypatch.setattr("tunesmith.workflow.train.fit", interrupt)
    line = stopped(train(tiny, reviews, out))
    assert line == f"Stopped: no checkpoint was written yet; begin anew with: tunesmith train --resume {out}"


def test_while_the_report_is_written_the_run_is_done(tiny, reviews, tmp_path, monkeypatch):
    out = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr("tunesmith.workflow.finish.write_report", interrupt)
        assert stopped(train(tiny, reviews, out)) == f"Stopped: all is done but the report: tunesmith report {out}"
    assert invoke("report", out).exit_code == 0
    assert Run.open(out).report_path.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_ctrl_c_is_acknowledged_at_once(capfd, number):
    with fit.interruptible() as asked:
        assert not asked.is_set()
        signal.raise_signal(number)
        said = capfd.readouterr().err.strip()
        assert said == "stopping after this step, then saving; press Ctrl-C again to stop without saving"
        signal.raise_signal(signal.SIGTERM)
        assert asked.is_set() and not capfd.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_second_ctrl_c_in_training_stops_at_once(tiny, reviews, tmp_path, monkeypatch):
    real = session.train_steps

    def impatient(*args, **more):
        for report in real(*args, **more):
            if report.step == 5:
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)
            yield report

    monkeypatch.setattr(session, "train_steps", impatient)
    out = tmp_path / "run"
    line = stopped(train(tiny, reviews, out, "train.save_every=3 steps"))
    assert line == f"Stopped: go on after step 3 with: tunesmith train --resume {out}"


def test_a_prediction_says_where_its_rows_are(trained, tmp_path, monkeypatch):
    data, out = write_csv(tmp_path / "new.csv", sentences(30)), tmp_path / "said.csv"
    monkeypatch.setattr("tunesmith.workflow.predict.CHUNK_ROWS", 10)
    real = trained.predictor.__class__.answers
    seen = []

    def impatient(*args, **more):
        seen.append(1)
        return interrupt() if len(seen) == 3 else real(*args, **more)

    with monkeypatch.context() as patched:
        patched.setattr("tunesmith.inference.predictor.Predictor.answers", impatient)
        line = stopped(invoke("predict", trained.folder, data, "--out", out))
    assert line == f"Stopped: what is done stands in {out}.part; the same command goes on with it"
    assert len((tmp_path / "said.csv.part").read_text().splitlines()) == 21
    assert "30 rows labelled" in invoke("predict", trained.folder, data, "--out", out).stderr
    monkeypatch.setattr("tunesmith.inference.predictor.Predictor.load", interrupt)
    other = tmp_path / "other.csv"
    assert stopped(invoke("predict", trained.folder, data, "--out", other)) == "Stopped: nothing was written"
