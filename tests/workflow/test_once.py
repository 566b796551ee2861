"""Settings of which a training of several tasks has one are refused where a task has one of its own."""

import json

import pytest

from tunesmith.core.errors import RecipeError
from tunesmith.recipe.several import compose_several
from tunesmith.workflow.once import refuse_own


def several(folder, *overrides, **more):
    tasks = {"mood": "mood.csv", "names": "names.conll"}
    (folder / "recipe.yaml").write_text(json.dumps({"tasks": tasks, "model": "tiny", **more}))
    return compose_several(folder / "recipe.yaml", overrides=overrides)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("model.source=other", r"share one backbone.*--set model\.source=other"),
        ("model.weights=random", "share one backbone"),
        ("model.adapt.kind=lora", r"share one backbone.*or for all: --set model\.adapt\.kind=lora"),
        ("model.reinit_layers=1", "share one backbone"),
        ("train.soup=3", r"trained in one go.*or for all: --set train\.soup=3"),
        ("train.average=0", "trained in one go"),
        ("train.average_decay=0.99", "trained in one go"),
        ("train.precision=bf16", "trained in one go"),
        ("train.device=cpu", "trained in one go"),
        ("train.save_every=3 steps", "trained in one go"),
        ("train.beta2=0.98", "trained in one go"),
        ("track=mlflow", "trained in one go"),
        ("evaluate.patience=3", r"measured together.*--set multitask\.patience=3"),
        ("evaluate.every=5 steps", r"measured together.*--set multitask\.measurements=10"),
    ],
)
@pytest.mark.parametrize("name", ["mood", "names"])
def test_a_task_has_no_setting_of_its_own_of_what_there_is_once(tmp_path, name, setting, said):
    key = setting.split("=")[0].replace(".", r"\.")
    with pytest.raises(RecipeError, match=rf"(?s)tasks\.{name}\.{key}: .*{said}") as raised:
        refuse_own(several(tmp_path, f"tasks.{name}.{setting}"))
    assert len(raised.value.problems) == 1


def refused(tasks):
    """Return what is refused."""
    try:
        refuse_own(tasks)
    except RecipeError as error:
        return error.problems
    return []


@pytest.mark.parametrize(
    "setting", ["train.lr=1e-3", "train.freeze=backbone", "model.pooling=max", "train.clip_norm=2"]
)
def test_what_works_for_one_task_is_let_be(tmp_path, setting):
    assert not refused(several(tmp_path, f"tasks.names.{setting}"))


def test_all_tasks_may_have_it_alike(tmp_path):
    assert not refused(several(tmp_path, "train.soup=3", "model.adapt.kind=lora", "train.length=9 steps"))
    assert not refused(several(tmp_path, "tasks.mood.train.soup=3", "tasks.names.train.soup=3"))


def test_all_that_is_wrong_is_told_at_once(tmp_path):
    assert len(refused(several(tmp_path, "tasks.mood.model.reinit_layers=1", "tasks.names.train.soup=3"))) == 2


def test_what_multitask_has_in_the_place_of_all_tasks_is_told_once(tmp_path):
    with pytest.raises(RecipeError, match=r"evaluate\.patience: .*multitask\.patience=3") as raised:
        refuse_own(several(tmp_path, evaluate={"patience": 3}))
    assert len(raised.value.problems) == 1
    refuse_own(several(tmp_path, evaluate={"patience": 3}, multitask={"patience": 3}))


def test_a_length_of_its_own_takes_turns_that_are_planned(tmp_path):
    refuse_own(several(tmp_path, "tasks.mood.train.length=9 steps"))
    with pytest.raises(RecipeError, match=r"tasks\.mood\.train\.length.*multitask\.mixing: uniform shares"):
        refuse_own(several(tmp_path, "tasks.mood.train.length=9 steps", "multitask.mixing=uniform"))
