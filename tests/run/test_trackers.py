"""Trackers, with the real MLflow and W&B where they are installed; nothing here needs a network."""

import json
import os
import signal
from importlib.util import find_spec
from pathlib import Path

import pytest

import tunesmith as ts
from tunesmith.core.errors import RecipeError
from tunesmith.recipe.compose import compose
from tunesmith.run import trackers
from tunesmith.run.folder import Run
from tunesmith.workflow import track
from tunesmith.workflow.session import Watch
from tunesmith.workflow.start import resume, start

QUICK = {"train.length": "6 steps", "data.split.dev": 0.2, "evaluate.resamples": 50, "evaluate.baselines": False}


def train(data, tiny, out, *, tell=lambda event: None, **settings):
    arguments = {"data.path": [str(data)], "model.source": str(tiny), **QUICK, **settings}
    return start(*compose(file=None, overrides=(), arguments=arguments), out=out, watch=Watch([tell]))


def at_step(step, act):
    def tell(event):
        if event["event"] == "step" and event["step"] == step:
            act()

    return tell


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def fail():
    raise ValueError("something broke")


class Recorder:
    """A tracker that keeps what it is told, and fails where it is asked to."""

    def __init__(self, *fails):
        self.fails, self.told = fails, []

    def tell(self, what):
        self.told.append(what)
        if what in self.fails:
            raise ConnectionError("http://me:secret@host does not answer")

    def on_start(self, run, *, step):
        self.tell("start")
        return "http://page"

    def on_step(self, run, event):
        self.tell("step")

    def on_evaluate(self, run, event):
        self.tell("evaluate")

    def on_end(self, run, *, ending):
        self.tell(ending)


@pytest.mark.parametrize("fails", [("start", "failed"), ("step", "evaluate", "done"), ("making",)])
def test_a_broken_tracker_is_named_once_and_training_goes_on(tiny, reviews, tmp_path, monkeypatch, fails):
    recorder = Recorder(*fails)

    def make(name, run):
        if "making" in fails:
            raise ImportError("no module named x")
        return recorder

    monkeypatch.setattr(track, "make_tracker", make)
    notes = []
    run = train(reviews, tiny, tmp_path / "run", tell=lambda e: notes.append(e["note"]) if "note" in e else None)
    assert run.status == "done"
    warnings = [note for note in notes if note.level == "warning"]
    assert len(warnings) == 1
    assert "training goes on" in warnings[0].message
    assert warnings[0] in run.notes
    assert "secret" not in run.report_path.read_text() + (run.folder / "notes.json").read_text()
    if "step" in fails:
        assert recorder.told.count("step") == 6
        assert recorder.told[-1] == "done"
    else:
        assert "step" not in recorder.told


def test_the_python_api_warns(tiny, reviews, tmp_path, monkeypatch):
    monkeypatch.setattr(track, "make_tracker", lambda name, run: Recorder("step"))
    with pytest.warns(UserWarning, match="tensorboard could not be told"):
        ts.train(reviews, model=str(tiny), out=tmp_path / "run", settings=QUICK)


@pytest.mark.parametrize("spec", [None, "a folder called wandb"])
def test_a_tracker_that_is_not_installed_stops_before_anything_is_written(tiny, reviews, tmp_path, monkeypatch, spec):
    namespace = type("Spec", (), {"origin": None})()
    monkeypatch.setattr(trackers, "find_spec", lambda name: spec and namespace)
    with pytest.raises(RecipeError, match="wandb is not installed") as raised:
        train(reviews, tiny, tmp_path / "run", track=["wandb"])
    assert "tunesmith[wandb]" in raised.value.problems[0].fix
    assert not (tmp_path / "run").exists()


def test_final_numbers_come_with_their_intervals(trained):
    found = trackers.final_scalars(trained.run)
    low, high = trained.intervals["macro_f1"]
    assert found["test/macro_f1"] == trained.metrics["macro_f1"]
    assert (found["test/macro_f1_low"], found["test/macro_f1_high"]) == (low, high)
    assert trackers.final_scalars(Run(Path("nowhere"))) == {}


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    """MLflow's client, on a folder of its own."""
    pytest.importorskip("mlflow", reason="MLflow is not installed: pip install 'tunesmith[mlflow]'")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    for name in trackers.SETTINGS["mlflow"]:
        monkeypatch.setenv(name, trackers.SETTINGS["mlflow"][name])
    import mlflow

    yield mlflow
    assert mlflow.active_run() is None


def only_run(mlflow):
    (found,) = mlflow.MlflowClient().search_runs(["0"])
    return found


def test_mlflow_gets_parameters_numbers_and_files(mlflow, tiny, reviews, tmp_path, capfd):
    long = {f"wrong {i}": "pos" for i in range(100)}
    run = train(reviews, tiny, tmp_path / "run", track=["mlflow"], **{"data.label_map": long})
    assert not capfd.readouterr().out
    found = only_run(mlflow)
    assert found.info.status == "FINISHED"
    assert found.info.run_id == run.manifest["tracked_as"]["mlflow"]
    assert set(found.data.params) == set(run.origins)
    assert found.data.params["train.length"] == "6 steps"
    assert found.data.metrics["test/macro_f1"] == run.metrics["splits"]["test"]["values"]["macro_f1"]["value"]
    assert {"test/macro_f1_low", "test/macro_f1_high", "dev/macro_f1"} <= set(found.data.metrics)
    history = mlflow.MlflowClient().get_metric_history(found.info.run_id, "train/loss")
    losses = {e["step"]: e["loss"] for e in run.events() if e["event"] == "step"}
    assert {m.step: m.value for m in history} == losses
    files = {f.path for f in mlflow.MlflowClient().list_artifacts(found.info.run_id)}
    assert files == set(trackers.FILES)


def test_an_interrupted_run_goes_on_in_the_same_mlflow_run(mlflow, tiny, reviews, tmp_path):
    train(reviews, tiny, tmp_path / "run", tell=at_step(3, interrupt), track=["mlflow"])
    stopped = only_run(mlflow)
    assert stopped.info.status == "KILLED"
    assert resume(tmp_path / "run").status == "done"
    found = only_run(mlflow)
    assert (found.info.status, found.info.run_id) == ("FINISHED", stopped.info.run_id)
    history = mlflow.MlflowClient().get_metric_history(found.info.run_id, "train/loss")
    assert [m.step for m in history] == [1, 2, 3, 4, 5, 6]


def test_a_run_that_breaks_is_failed_in_mlflow(mlflow, tiny, reviews, tmp_path):
    with pytest.raises(ValueError, match="something broke"):
        train(reviews, tiny, tmp_path / "run", tell=at_step(2, fail), track=["mlflow"])
    assert only_run(mlflow).info.status == "FAILED"


def test_a_run_of_the_users_own_stays_open(mlflow, tiny, reviews, tmp_path):
    with mlflow.start_run() as outer:
        run = train(reviews, tiny, tmp_path / "run", track=["mlflow"])
        assert mlflow.active_run().info.run_id == outer.info.run_id
    inner = mlflow.MlflowClient().get_run(run.manifest["tracked_as"]["mlflow"])
    assert inner.data.tags["mlflow.parentRunId"] == outer.info.run_id


def test_a_server_that_comes_back_gets_everything(mlflow, tiny, reviews, tmp_path, monkeypatch):
    real, calls = mlflow.MlflowClient.log_batch, []

    def now_and_then(self, run_id, metrics=(), **more):
        calls.append(len(metrics))
        if 1 < len(calls) < 4:
            raise ConnectionError("away")
        return real(self, run_id, metrics=metrics, **more)

    monkeypatch.setattr(mlflow.MlflowClient, "log_batch", now_and_then)
    monkeypatch.setattr(trackers, "SECONDS_BETWEEN_SENDS", 0.0)
    warned = []
    run = train(reviews, tiny, tmp_path / "run", track=["mlflow"], tell=lambda e: warned.append(e.get("note")))
    assert run.status == "done"
    assert len([note for note in warned if note]) == 1
    history = mlflow.MlflowClient().get_metric_history(only_run(mlflow).info.run_id, "train/loss")
    assert [m.step for m in history] == [1, 2, 3, 4, 5, 6]


def test_training_goes_on_without_an_mlflow_server(mlflow, tiny, reviews, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    run = train(reviews, tiny, tmp_path / "run", track=["mlflow"])
    assert run.status == "done"
    assert [note.topic for note in run.notes].count("tracker") == 1


@pytest.mark.skipif(find_spec("wandb") is None, reason="W&B is not installed: pip install 'tunesmith[wandb]'")
def test_wandb_offline(tiny, reviews, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    for name, value in trackers.SETTINGS["wandb"].items():
        monkeypatch.setenv(name, value)
    train(reviews, tiny, tmp_path / "run", tell=at_step(3, interrupt), track=["wandb"])
    known = Run(tmp_path / "run").manifest["tracked_as"]["wandb"]
    run = resume(tmp_path / "run")
    assert not capfd.readouterr().out
    assert not [note for note in run.notes if note.topic == "tracker"]
    folders = sorted((tmp_path / "wandb").glob("offline-run-*"))
    assert [folder.name.rpartition("-")[2] for folder in folders] == [known, known]
    assert {f.name for f in (folders[-1] / "files").iterdir()} >= set(trackers.FILES)
    assert json.loads((folders[-1] / "files" / "metrics.json").read_text()) == run.metrics
