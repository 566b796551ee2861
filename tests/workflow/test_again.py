"""A run is resumed from anywhere: its relative paths mean what they meant where it was started."""

import shutil

import pytest

import tunesmith as ts
from tests.tiny import sentences, write_csv
from tunesmith.core.errors import DataError, RunError
from tunesmith.run.folder import Run
from tunesmith.workflow import session
from tunesmith.workflow.start import resume

SETTINGS = {
    "train.length": "6 steps", "train.save_every": "2 steps", "evaluate.resamples": 20, "evaluate.baselines": False,
}  # fmt: skip


@pytest.fixture
def stopped(tiny, tmp_path, monkeypatch):
    """A run on `rows.csv` and `tiny`, relative to the folder `here`, that broke off after step 5."""
    home = tmp_path / "here"
    shutil.copytree(tiny, home / "tiny")
    write_csv(home / "rows.csv", sentences(60))
    monkeypatch.chdir(home)
    real = session.train_steps

    def breaks(*args, **more):
        for report in real(*args, **more):
            if report.step == 5:
                raise KeyboardInterrupt
            yield report

    with monkeypatch.context() as patched:
        patched.setattr(session, "train_steps", breaks)
        with pytest.raises(KeyboardInterrupt, match="go on after step 4 with: tunesmith train --resume run"):
            ts.train("rows.csv", model="./tiny", out="run", settings=SETTINGS)
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "there")
    return home / "run"


def test_from_another_folder_it_ends_as_it_would_have(stopped, monkeypatch):
    write_csv(stopped.parent.parent / "there" / "rows.csv", sentences(5))  # another file of the same name
    run = resume(stopped)
    monkeypatch.chdir(stopped.parent)
    whole = ts.train("rows.csv", model="./tiny", out="whole", settings=SETTINGS).run
    assert run.status == "done"
    assert [*run.predictions("test")] == [*whole.predictions("test")]
    assert {row["file"] for row in run.predictions("test")} == {"rows.csv"}
    assert str(stopped.parent) not in run.report_path.read_text()


def test_a_file_that_is_gone_is_named_with_the_setting_that_says_where_it_is(stopped, tmp_path, monkeypatch):
    (stopped.parent / "rows.csv").rename("moved.csv")
    with pytest.raises(DataError, match=r"rows\.csv: there is no such file any more.*--set data\.path=WHERE"):
        resume(stopped)
    with monkeypatch.context() as patched:
        patched.setattr("tunesmith.workflow.train.finish", interrupt)
        with pytest.raises(KeyboardInterrupt):
            resume(stopped, overrides=["data.path=moved.csv"])
    monkeypatch.chdir(tmp_path)
    run = resume(stopped)
    assert {row["file"] for row in run.predictions("test")} == {"rows.csv"}


def interrupt(*_args, **_more):
    raise KeyboardInterrupt


def test_another_content_is_refused(stopped):
    write_csv(stopped.parent / "rows.csv", sentences(61))
    with pytest.raises(RunError, match="the data changed"):
        resume(stopped)


def test_a_run_that_does_not_say_where_it_was_started_looks_here(stopped, monkeypatch):
    run = Run.open(stopped)
    run.save_manifest({key: value for key, value in run.manifest.items() if key != "started_in"})
    with pytest.raises(DataError, match="no such file any more"):
        resume(stopped)
    monkeypatch.chdir(stopped.parent)
    assert resume(stopped).status == "done"


def test_folders_of_classes_keep_their_names(tiny, tmp_path, monkeypatch):
    for i, (text, label) in enumerate(sentences(40)):
        (tmp_path / "here" / "rows" / label).mkdir(parents=True, exist_ok=True)
        (tmp_path / "here" / "rows" / label / f"{i}.txt").write_text(text)
    monkeypatch.chdir(tmp_path / "here")
    run = ts.train("rows", model=str(tiny), out="run", settings=SETTINGS).run
    files = {row["file"] for row in run.predictions("test")}
    run.mark("stopped")
    monkeypatch.chdir(tmp_path)
    again = resume(tmp_path / "here" / "run")
    assert {row["file"] for row in again.predictions("test")} == files
    assert all(file.startswith("rows/") for file in files)
