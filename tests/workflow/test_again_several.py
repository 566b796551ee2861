"""What may change when several trainings go on: where files are and what it costs, for all parts or for one."""

import json
import shutil

import pytest

import tunesmith as ts
from tests.tiny import sentences, tiny_bert, write_csv
from tunesmith.core.errors import DataError, RecipeError
from tunesmith.core.files import sha256
from tunesmith.recipe.several import compose_several
from tunesmith.run.folder import Run
from tunesmith.workflow import multitask, session, stages
from tunesmith.workflow.again import free_of, parts_again

SETTINGS = {
    "train.length": "4 steps", "train.save_every": "2 steps", "evaluate.resamples": 20, "evaluate.baselines": False,
}  # fmt: skip
PARTS = {"one": "one.csv", "two": "two.csv"}


def stopped(folder, monkeypatch, kind, *, at):
    """Return a run that broke off after so many updates of all parts, and leave the folder it was started in."""
    for i, file in enumerate(PARTS.values()):
        write_csv(folder / file, sentences(60, seed=i))
    tiny_bert(folder / "tiny")
    (folder / "recipe.yaml").write_text(json.dumps({kind: PARTS, "model": "./tiny"}))
    monkeypatch.chdir(folder)
    real, seen = session.train_steps, []

    def breaks(*args, **more):
        for report in real(*args, **more):
            seen.append(report.step)
            if len(seen) == at:
                raise KeyboardInterrupt
            yield report

    with monkeypatch.context() as patched:
        patched.setattr(session, "train_steps", breaks)
        with pytest.raises(KeyboardInterrupt):
            ts.train_several("recipe.yaml", out="run", settings=SETTINGS)
    return Run.open(folder / "run")


def interrupt(*_args, **_more):
    raise KeyboardInterrupt


def test_the_moved_file_of_one_task_is_named_for_it_alone(tmp_path, monkeypatch):
    run = stopped(tmp_path, monkeypatch, "tasks", at=5)
    (tmp_path / "there").mkdir()
    shutil.move("two.csv", "there/moved.csv")
    with pytest.raises(
        DataError, match=r"two\.csv: there is no such file any more.*--set tasks\.two\.data\.path=WHERE"
    ):
        multitask.resume(run)
    with pytest.raises(RecipeError, match=r"tasks\.two\.train\.lr: may not change"):
        multitask.resume(run, overrides=["tasks.two.data.path=there/moved.csv", "tasks.two.train.lr=0.5"])
    with pytest.raises(RecipeError, match=r"tasks\.two\.train\.device.*trained in one go.*--set train\.device=cpu"):
        multitask.resume(run, overrides=["tasks.two.data.path=there/moved.csv", "tasks.two.train.device=cpu"])
    with monkeypatch.context() as patched:
        patched.setattr(multitask, "_train", interrupt)
        with pytest.raises(KeyboardInterrupt):
            multitask.resume(run, overrides=["tasks.two.data=there/moved.csv", "train.tokens_per_batch=64"])
    monkeypatch.chdir(tmp_path / "there")
    assert multitask.resume(run).status == "done"
    files = {name: {row["file"] for row in ts.load(run.folder / name).run.predictions("test")} for name in PARTS}
    assert files == {"one": {"one.csv"}, "two": {"two.csv"}}
    again = compose_several(run.recipe_path).parts
    assert again["two"].recipe.data.path == (str(tmp_path / "there/moved.csv"),)
    assert [part.recipe.train.tokens_per_batch for part in again.values()] == [64, 64]


def test_a_stage_that_is_done_needs_its_file_no_more_and_a_moved_one_is_named_for_its_stage(tmp_path, monkeypatch):
    run = stopped(tmp_path, monkeypatch, "stages", at=7)
    (tmp_path / "there").mkdir()
    shutil.move("two.csv", "there/moved.csv")
    (tmp_path / "one.csv").unlink()
    with pytest.raises(
        DataError, match=r"two\.csv: there is no such file any more.*--set stages\.two\.data\.path=WHERE"
    ):
        stages.resume(run)
    with pytest.raises(RecipeError, match=r"stages\.two\.train\.lr: may not change"):
        stages.resume(run, overrides=["stages.two.train.lr=0.5"])
    with monkeypatch.context() as patched:
        patched.setattr("tunesmith.workflow.train.finish", interrupt)
        with pytest.raises(KeyboardInterrupt):
            stages.resume(run, overrides=["stages.two.data=there/moved.csv", "train.tokens_per_batch=64"])
    monkeypatch.chdir(tmp_path / "there")
    assert stages.resume(run).status == "done"
    assert {row["file"] for row in ts.load(run.folder / "2-two").run.predictions("test")} == {"two.csv"}
    assert "tokens_per_batch: 64" in (run.folder / "2-two/recipe.yaml").read_text()


@pytest.mark.parametrize("key", ["data", "data.path"])
def test_a_stage_that_was_not_begun_starts_from_the_file_that_is_named_now(tmp_path, monkeypatch, key):
    run = stopped(tmp_path, monkeypatch, "stages", at=3)
    (tmp_path / "there").mkdir()
    shutil.move("two.csv", "there/moved.csv")
    write_csv(tmp_path / "moved.csv", sentences(50, seed=9))  # another file of the same name, where it was started
    monkeypatch.chdir(tmp_path / "there")
    assert stages.resume(run, overrides=[f"stages.two.{key}=moved.csv"]).status == "done"
    assert compose_several(run.recipe_path).parts["two"].recipe.data.path == (str(tmp_path / "there/moved.csv"),)
    (source,) = Run.open(run.folder / "2-two").manifest["data"]
    assert source["sha256"] == sha256(tmp_path / "there/moved.csv")


@pytest.fixture
def begun(tmp_path):
    """The whole of two tasks, as far as its recipe says."""
    run = Run.create(tmp_path / "run")
    run.save_recipe(json.dumps({"tasks": {"a": "a.csv", "b": "b.csv"}}))
    return run


def test_what_is_said_of_all_parts_is_said_of_each(begun, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parts = parts_again(begun, ["train.device=cpu", "tasks.b.data=x.csv"]).parts
    said = {name: free_of(part.recipe, part.origins) for name, part in parts.items()}
    assert said == {"a": ['train.device="cpu"'], "b": [f'data.path=["{tmp_path}/x.csv"]', 'train.device="cpu"']}


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("tasks.c.data.path=x.csv", "there is no 'c' among the tasks"),
        ("stages.a.data.path=x.csv", "there are no stages.*these are tasks"),
        ("multitask.patience=3", r"multitask\.patience: may not change"),
    ],
)
def test_what_is_of_no_part_is_refused(begun, override, said):
    with pytest.raises(RecipeError, match=said):
        parts_again(begun, [override])


def test_a_stage_with_settings_of_its_own_for_the_model_goes_on_from_the_one_before(tmp_path):
    own = {"mine": {"data": "two.csv", "model": {"dropout": 0.2}}, "last": {"data": "two.csv", "model": "./other"}}
    (tmp_path / "recipe.yaml").write_text(json.dumps({"stages": {"first": "one.csv", **own}, "model": "./tiny"}))
    several = compose_several(tmp_path / "recipe.yaml")
    run = Run.create(tmp_path / "run", command="", facts={})
    sources = [recipe.model.source for _, _, recipe, _ in stages._stages(run, several)]
    assert sources == ["./tiny", str(tmp_path / "run/1-first"), "./other"]


def test_a_model_of_the_command_line_stays_where_a_part_names_its_own(tmp_path):
    own = {"broad": "one.csv", "mine": {"data": "two.csv", "model": "other"}, "last": {"data": "two.csv"}}
    own["last"]["model"] = {"dropout": 0.1}
    (tmp_path / "recipe.yaml").write_text(json.dumps({"stages": own}))
    said = ["model.source=./tiny", "model.dropout=0.3"]
    several = compose_several(tmp_path / "recipe.yaml", overrides=said)
    (tmp_path / "again.yaml").write_text(several.text)
    again = compose_several(tmp_path / "again.yaml")
    for name, part in several.parts.items():
        assert part.recipe.model == again.parts[name].recipe.model
        assert (part.recipe.model.source, part.recipe.model.dropout) == ("./tiny", 0.3)
    assert "model.source" not in again.parts["broad"].own, "it goes on from the stage before"


def test_names_and_short_forms_of_parts(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(json.dumps({"tasks": {"v1.0": "one.csv", "b": "two.csv"}}))
    with pytest.raises(RecipeError, match="letters, digits, - and _ only"):
        compose_several(path)
    path.write_text(json.dumps({"tasks": {"a": "one.csv", "b": "two.csv"}}))
    found = compose_several(path, overrides=["tasks.a=new.csv"])
    assert found.parts["a"].recipe.data.path == ("new.csv",)


def test_a_stage_that_another_process_trains_is_not_removed(tmp_path):
    stage = Run.create(tmp_path / "stage")
    with stage.lock():
        assert stages._begun(stage) == "running"
    assert stages._begun(stage) == ""
    assert not stage.folder.exists()
