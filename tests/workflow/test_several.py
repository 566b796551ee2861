"""Recipes of several trainings, end to end: tasks over one backbone, and stages."""

import json
import re
import signal

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

import tunesmith as ts
from tests.tagged import rows, tiny_tagger, write_conll
from tests.tiny import write_csv
from tunesmith.cli.main import app
from tunesmith.core.errors import DataError, ModelError, RecipeError, RunError
from tunesmith.models.source import find
from tunesmith.models.spec import ModelSpec
from tunesmith.recipe.several import compose_several
from tunesmith.run.folder import Run
from tunesmith.workflow import multitask, session
from tunesmith.workflow.session import Watch

QUICK = {
    "train.length": "4 steps", "train.save_every": "2 steps", "evaluate.resamples": 20, "evaluate.baselines": False,
    "data.split.dev": 0.2,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two data sets whose words one tiny model knows."""
    found = tmp_path_factory.mktemp("several")
    tiny_tagger(found / "tiny")
    texts = [
        (" ".join(word for word, _ in row), "many" if sum(tag != "O" for _, tag in row) > 4 else "few")
        for row in rows(90, seed=4)
    ]
    write_csv(found / "mood.csv", texts)
    write_conll(found / "names.conll", rows(60))
    return found


def write(folder, name="both.yaml", *, kind="tasks", parts=None, **more):
    parts = parts or {"mood": str(folder / "mood.csv"), "names": str(folder / "names.conll")}
    path = folder / name
    path.write_text(json.dumps({kind: parts, "model": str(folder / "tiny"), **more}))  # JSON is YAML
    return path


@pytest.fixture(scope="module")
def both(folder, tmp_path_factory):
    """Trained by the command; what it wrote, and what it said."""
    settings = {**QUICK, "train.length": "auto", "evaluate.baselines": True}
    out = tmp_path_factory.mktemp("runs") / "both"
    recipe = write(folder, multitask={"measurements": 3})
    more = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    done = CliRunner().invoke(app, ["train", "-c", str(recipe), "--out", str(out), *more])
    assert done.exit_code == 0, done.output
    return {name: ts.load(out / name) for name in ("mood", "names")}, out, done.output


def test_each_task_ends_as_a_run_with_a_model_of_its_own(both, folder):
    found, out, _ = both
    assert found["mood"].predict(["the film ."])[0].label in {"many", "few"}
    assert hasattr(found["names"].predict(["Anna saw Berlin ."])[0], "entities")
    for one in found.values():
        assert one.run.status == "done"
        assert one.report.exists()
        assert not one.run.checkpoints_folder.exists()
        assert any("trained together with" in note.message for note in one.run.notes)
    kinds = {name: json.loads((out / name / "model/config.json").read_text())["architectures"] for name in found}
    assert kinds == {"mood": ["BertForSequenceClassification"], "names": ["BertForTokenClassification"]}
    one, other = (load_file(out / name / "model/model.safetensors") for name in found)
    same = [name for name in one.keys() & other.keys() if torch.equal(one[name], other[name])]
    start = load_file(folder / "tiny/model.safetensors")
    moved = "bert.encoder.layer.0.attention.self.value.weight"
    assert moved in same
    assert not torch.equal(one[moved], start.get(moved, start.get(moved.removeprefix("bert."))))


def test_both_are_measured_on_the_way_and_the_log_says_whose_turn_it_was(both):
    found, out, _ = both
    events = list(Run.open(out).events())
    steps = [event for event in events if event["event"] == "step"]
    assert {event["task"] for event in steps} == {"mood", "names"}
    measured = [event for event in events if event["event"] == "evaluate"]
    assert 3 <= len(measured) <= 4
    values = measured[-1]["metrics"]
    names = [name for name in values if name != "mean"]
    assert [name.split()[0] for name in sorted(names)] == ["mood", "names"]
    assert values["mean"] == pytest.approx(sum(values[name] for name in names) / 2)
    for name, one in found.items():
        mine = list(one.run.events())
        assert {event["task"] for event in mine if event["event"] == "step"} == {name}
        last = [event for event in mine if event["event"] == "evaluate"][-1]
        assert last["metrics"][next(n for n in names if n.startswith(name)).split()[1]] in values.values()
    lengths = {name: one.run.origins["train.length"] for name, one in found.items()}
    assert sum(int(origin["value"].split()[0]) for origin in lengths.values()) == len(steps)
    assert all(origin["reason"] == f"its turns, of {len(steps)} updates of all tasks" for origin in lengths.values())


def test_what_one_training_has_once_is_chosen_for_the_task_with_most_rows(both):
    found, _, _ = both
    assert found["mood"].run.manifest["rows"]["train"] > found["names"].run.manifest["rows"]["train"]
    rate = found["names"].run.origins["train.lr"]
    assert rate["reason"] == 'as for "mood", which has most rows'
    assert rate["value"] == found["mood"].run.origins["train.lr"]["value"]


def test_interrupted_it_ends_as_it_would_have_and_only_as_a_whole(folder, tmp_path, monkeypatch):
    mix = {"weighting": "grad_norm", "mixing": "annealed", "mean": "lowest"}
    recipe = write(folder, "annealed.yaml", multitask=mix)
    settings = {**QUICK, "train.average": 0.5, "objectives.rdrop": True}
    whole = ts.train_several(recipe, out=tmp_path / "whole", settings=settings)
    real = session.train_steps

    def interrupted(*args, **more):
        for report in real(*args, **more):
            yield report
            if report.step == 3:
                signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(session, "train_steps", interrupted)
        with pytest.raises(KeyboardInterrupt, match="resume_several"):
            ts.train_several(recipe, out=tmp_path / "parts", settings=settings)
    assert Run.open(tmp_path / "parts").status == "stopped"
    for started in ("parts", "parts/mood"):
        with pytest.raises(RunError, match=r"no model yet.*fix: tunesmith train --resume .*parts$"):
            ts.load(tmp_path / started)
    with pytest.raises(RunError, match=r"a part of parts, which goes on as a whole.*--resume .*parts$"):
        ts.resume(tmp_path / "parts/mood")
    parts = ts.resume_several(tmp_path / "parts")
    for name in ("mood", "names"):
        one, other = (load_file(run[name].folder / "model/model.safetensors") for run in (whole, parts))
        assert all(torch.equal(one[key], other[key]) for key in one)
    logs = [[(e["step"], e.get("task"), e.get("loss")) for e in Run(tmp_path / n).events()] for n in ("whole", "parts")]
    assert logs[0] == logs[1]


def test_techniques_work_on_what_is_shared(folder, tmp_path):
    mood = {"data": str(folder / "mood.csv"), "model": {"pooling": "max"}}
    mood |= {"objectives": {"consistency": {"ratio": 1}}, "augment": {"copies": 1, "edits": "swap"}}
    recipe = write(folder, "lora.yaml", parts={"mood": mood, "names": str(folder / "names.conll")})
    settings = {**QUICK, "model.adapt.kind": "lora", "train.decay_to_start": 1.0, "train.unfreeze_every": "1 steps"}
    found = ts.train_several(recipe, out=tmp_path / "run", settings=settings)
    one, other = (load_file(found[name].folder / "model/model.safetensors") for name in ("mood", "names"))
    start = load_file(folder / "tiny/model.safetensors")
    part = "encoder.layer.1.attention.self.value.weight"
    assert torch.allclose(one[f"backbone.{part}"], other[f"bert.{part}"])
    assert not torch.equal(other[f"bert.{part}"], start[part])
    assert found["mood"].predict(["the film ."])[0].label in {"many", "few"}
    assert (found["names"].folder / "adapter/adapter_model.safetensors").exists()


def test_the_command_names_the_models_and_what_it_can_not_do(both, folder):
    _, run, output = both
    assert "Entity F1" in output
    assert str(run / "names") in output.replace("\n", "")
    with pytest.raises(RunError, match=r"a model for each of its tasks.*name one of them: .*mood, .*names"):
        ts.load(run)
    for command in (["--resume", str(run)], ["--resume", str(run / "mood")]):
        with pytest.raises(RunError, match="this run is done already"):
            CliRunner().invoke(app, ["train", *command], catch_exceptions=False)
    recipe = write(folder, "cli.yaml")
    with pytest.raises(RecipeError, match=r"data\.path: the recipe has several parts, which name their own"):
        CliRunner().invoke(app, ["train", "more.csv", "-c", str(recipe)], catch_exceptions=False)
    settings = [part for key, value in QUICK.items() for part in ("--set", f"{key}={value}")]
    dry = CliRunner().invoke(app, ["train", "-c", str(recipe), "--dry-run", *settings])
    assert re.search(r"8 updates of 2 tasks, about .* without measuring. Nothing was written.", dry.output)
    written = CliRunner().invoke(app, ["report", str(run)])
    assert written.output.split() == [str(run / name / "report.html") for name in ("mood", "names")]
    with pytest.raises(ModelError, match=r"a model for each of its tasks.*mood, .*names"):
        ts.train(folder / "mood.csv", model=str(run))
    assert all(ts.load(run / name).run.metrics["verdict"]["sentences"][0][:30] in output for name in ("mood", "names"))


def test_the_recipe_of_the_whole_holds_what_was_set(both, tmp_path):
    _, run, _ = both
    again = compose_several(run / "recipe.yaml")
    assert {part.recipe.evaluate.resamples for part in again.parts.values()} == {QUICK["evaluate.resamples"]}
    assert again.mix.measurements == 3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"parts": {"mood": "mood.csv"}}, "there are less than two"),
        ({"parts": {"a b": "x.csv", "c": "y.csv"}}, "a name has letters"),
        ({"parts": {"Checkpoints": "x.csv", "c": "y.csv"}}, "a run keeps something else"),
        ({"parts": {"recipe.yaml": "x.csv", "c": "y.csv"}}, "a name has letters"),
        ({"parts": {"a": 3, "c": "y.csv"}}, r"tasks\.a.*is no recipe.*write a: FILE"),
        ({"multitask": {"weights": {"moot": 2}}}, r"there is no such task.*moot.*mood"),
        ({"multitask": {"weights": {"mood": 2}, "weighting": "grad_norm"}}, "weights have no effect"),
        ({"multitask": {"mixing": "even"}}, r"multitask\.mixing"),
        ({"multitask": {"mixin": "uniform"}}, r"multitask\.mixin"),
        ({"stages": {}}, "either tasks or stages"),
        ({"multitaks": {}}, r'multitaks.*unknown setting.*did you mean "multitask"'),
        ({"kind": "stages", "multitask": {"mixing": "uniform"}}, "stages are not mixed"),
        ({"parts": {"a": {"data": "x", "train": {"lr": "fast"}}, "c": {"data": "y", "seed": -1}}}, "(?s)lr.*seed"),
    ],
)  # fmt: skip
def test_mistakes_in_the_recipe_are_told_at_once(folder, tmp_path, change, said):
    with pytest.raises(RecipeError, match=said):
        compose_several(write(folder, "wrong.yaml", **change))


def test_settings_hold_for_all_or_for_one(folder):
    recipe = write(folder, "set.yaml", train={"lr": 1e-4})
    found = compose_several(
        recipe, overrides=["tasks.names.train.lr=0.002", "train.clip_norm=2", "multitask.patience=3"]
    )
    assert [part.recipe.train.lr for part in found.parts.values()] == [1e-4, 0.002]
    assert [part.recipe.train.clip_norm for part in found.parts.values()] == [2, 2]
    assert found.mix.patience == 3


@pytest.mark.parametrize("short", ["mood.csv", ["mood.csv"]])
def test_a_setting_of_a_part_that_names_its_data_only_stands_beside_it(folder, short):
    recipe = write(folder, "short.yaml", parts={"mood": short, "names": str(folder / "names.conll")})
    found = compose_several(recipe, overrides=["tasks.mood.train.lr=0.002"]).parts["mood"]
    assert (found.recipe.data.path, found.recipe.train.lr) == (("mood.csv",), 0.002)
    assert found.origins.entries["data.path"].origin == "file"


@pytest.mark.parametrize("kind", ["tasks", "stages"])
def test_the_recipe_of_the_whole_gives_the_same_again(folder, tmp_path, kind):
    mine = {"data": str(folder / "names.conll"), "train": {"lr": 0.5}}
    recipe = write(folder, "again.yaml", kind=kind, parts={"mood": str(folder / "mood.csv"), "names": mine})
    overrides = ["train.lr=0.002", f"{kind}.names.seed=7"]
    first = compose_several(recipe, overrides=overrides, arguments={"model.source": "minilm", "preset": "fast"})
    (tmp_path / "recipe.yaml").write_text(first.text)
    again = compose_several(tmp_path / "recipe.yaml")
    assert [part.recipe for part in again.parts.values()] == [part.recipe for part in first.parts.values()]
    assert [part.recipe.train.lr for part in again.parts.values()] == [0.002, 0.002]
    assert not any({"model", "model.source"} & part.own for part in again.parts.values())


def test_a_setting_of_a_part_that_there_is_not_is_refused(folder):
    with pytest.raises(RecipeError, match=r"there is no 'nams' among the tasks.*did you mean \"names\""):
        compose_several(write(folder, "set.yaml"), overrides=["tasks.nams.train.lr=0.002"])
    with pytest.raises(RecipeError, match=r"this recipe has tasks.*train_several"):
        ts.train(recipe=write(folder, "set.yaml"))


def test_data_of_a_later_stage_that_can_not_be_used_is_told_before_the_first_is_trained(folder, tmp_path):
    parts = {
        "broad": str(folder / "names.conll"),
        "mine": {"data": str(folder / "mood.csv"), "task": {"label": "labl"}},
    }
    recipe = write(folder, "late.yaml", kind="stages", parts=parts)
    with pytest.raises(DataError, match=r'there is no column "labl".*did you mean "label"'):
        ts.train_several(recipe, out=tmp_path / "run", settings=QUICK)
    assert not (tmp_path / "run").exists()


def test_what_is_wrong_with_any_part_is_told_before_anything_is_read(folder, tmp_path):
    parts = {"a": str(folder / "mood.csv"), "b": str(folder / "gone.csv"), "c": str(folder / "lost.csv")}
    for kind in ("tasks", "stages"):
        with pytest.raises(DataError, match=r"(?s)gone\.csv.*lost\.csv"):
            ts.train_several(write(folder, "gone.yaml", kind=kind, parts=parts), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_tasks_that_start_from_other_weights_are_refused(folder, tmp_path):
    mine = {"data": str(folder / "names.conll"), "model": {"source": str(folder / "tiny"), "weights": "random"}}
    recipe = write(folder, "other.yaml", parts={"mood": str(folder / "mood.csv"), "names": mine})
    with pytest.raises(RecipeError, match=r"tasks\.names\.model\.weights.*share one backbone.*random"):
        ts.train_several(recipe, out=tmp_path / "run", settings=QUICK)


@pytest.mark.parametrize(("dev", "said"), [(0.2, []), (0.0, ["multitask.patience", "train.soup"])])
def test_settings_that_need_dev_rows_have_none_only_where_no_task_has(folder, dev, said):
    parts = {"mood": {"data": {"path": str(folder / "mood.csv"), "split": {"dev": dev}}}}
    parts["names"] = {"data": {"path": str(folder / "names.conll"), "split": {"dev": 0.0}}}
    recipe = write(folder, "dev.yaml", parts=parts, train={"soup": 3}, multitask={"patience": 2})
    for one in multitask.settled(compose_several(recipe), Watch()):
        assert [note.message.split()[0] for note in one.resolved.notes if note.topic == "no effect"] == said


@pytest.fixture(scope="module")
def staged(folder, tmp_path_factory):
    parts = {"broad": str(folder / "names.conll"), "mine": {"data": str(folder / "mood.csv"), "seed": 1}}
    recipe = write(folder, "stages.yaml", kind="stages", parts=parts)
    out = tmp_path_factory.mktemp("stages") / "run"
    return ts.train_several(recipe, out=out, settings=QUICK), out, recipe


def test_a_stage_starts_from_the_model_of_the_one_before(staged, folder):
    found, out, _ = staged
    assert list(found) == ["1-broad", "2-mine"]
    source = found["2-mine"].run.origins["model.source"]
    assert (source["value"], source["reason"]) == (str(out / "1-broad"), "the stage before")
    settings = {**QUICK, "seed": 1}
    alone = ts.train(folder / "mood.csv", model=str(out / "1-broad"), out=out / "alone", settings=settings)
    one, other = (load_file(run.folder / "model/model.safetensors") for run in (alone, found["2-mine"]))
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert ts.load(out).folder == out / "2-mine"
    assert find(ModelSpec(source=str(out))).folder == out / "2-mine/model"


def test_stages_that_are_done_are_not_trained_again(staged, tmp_path, monkeypatch):
    found, _, recipe = staged
    real, count = session.train_steps, []

    def breaks(*args, **more):
        count.append(1)
        for report in real(*args, **more):
            if len(count) == 2 and report.step > 2:
                raise KeyboardInterrupt
            yield report

    with monkeypatch.context() as patched:
        patched.setattr(session, "train_steps", breaks)
        with pytest.raises(KeyboardInterrupt):
            ts.train_several(recipe, out=tmp_path / "run", settings=QUICK)
    first = (tmp_path / "run/1-broad/manifest.json").read_text()
    again = ts.resume_several(tmp_path / "run")
    assert (tmp_path / "run/1-broad/manifest.json").read_text() == first
    one, other = (load_file(run["2-mine"].folder / "model/model.safetensors") for run in (found, again))
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert Run.open(tmp_path / "run").status == "done"
