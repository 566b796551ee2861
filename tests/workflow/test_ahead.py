"""What is wrong with a later stage is told before the first one is trained."""

import json

import pytest

import tunesmith as ts
from tests.objectives.test_objectives import rows_of
from tests.tiny import tiny_bert
from tests.writers import write_jsonl
from tunesmith.core.errors import RecipeError, TunesmithError
from tunesmith.data.augment.given import BY, FROM
from tunesmith.recipe.several import compose_several
from tunesmith.workflow.ahead import look_ahead
from tunesmith.workflow.session import Watch
from tunesmith.workflow.stages import refuse

KINDS = ("text-classification", "text-regression", "token-classification", "translation", "fill-mask")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("ahead")
    tiny_bert(found / "tiny")
    for kind in KINDS:
        write_jsonl(found / f"{kind}.jsonl", rows_of(kind, 40))
    return found


def write(folder, **stages):
    """Write a recipe of stages: a kind of task, and maybe settings of its own."""
    parts = {}
    for name, (kind, more) in stages.items():
        data = {"path": str(folder / f"{kind}.jsonl"), "near_duplicates": "off", "duplicates": "keep"}
        parts[name] = {"data": data, "task": {"kind": kind}, **more}
    path = folder / "recipe.yaml"
    path.write_text(json.dumps({"stages": parts, "model": str(folder / "tiny")}))
    return path


PREFIX = {"model": {"adapt": {"kind": "prefix"}}}
CONTEXT = {"augment": {"copies": 1, "edits": "context"}}
CASE = {"augment": {"copies": 1, "edits": "case"}}
CLASSES = ("text-classification", {})
WRONG = [
    (CLASSES, ("text-classification", {"objectives": {"asymmetric": True}}),
     r"stages\.b\.objectives\.asymmetric: has no meaning for text-classification"),
    (CLASSES, ("text-classification", {"augment": {"copies": 1, "edits": "entities"}}),
     r"stages\.b\.augment\.edits: text-classification has no entities"),
    (CLASSES, ("fill-mask", {"augment": {"copies": 1}}), r"stages\.b\.augment\.copies"),
    (CLASSES, ("text-classification", {"augment": {"copies": 1, "edits": "translate"}}),
     r"stages\.b\.augment\.translators: .*--set 'stages\.b\.augment\.translators"),
    (CLASSES, ("text-classification", {"evaluate": {"metric": "bogus"}}), r"stages\.b\.evaluate\.metric"),
    (CLASSES, ("token-classification", {"model": {"pooling": "mean"}}), r"stages\.b\.model\.pooling"),
    (("text-classification", PREFIX), ("text-regression", PREFIX),
     r'stages\.b\.model\.adapt\.kind: .*prefixes in stage "a".*--set stages\.b\.model\.adapt\.kind=lora'),
    (("translation", {}), CLASSES,
     r'stages\.b\.task\.kind: stage "a" makes .*before "a".*--set stages\.b\.model\.source='),
    (("translation", {}), ("fill-mask", {}), r"stages\.b\.task\.kind"),
    (("text-regression", {}), ("text-classification", CONTEXT),
     r'stages\.b\.augment\.model: the model of stage "a" can\'t fill masks.*--set stages\.b\.augment\.model='),
    (CLASSES, ("text-classification", CASE),
     r"stages\.b\.augment\.edits: .*reads capitals as small letters.*--set stages\.b\.augment\.edits="),
    (CLASSES, ("text-classification", {"model": "./typo"}), r"typo stages\.b: there is no such model folder"),
    (CLASSES, ("text-classification", {"augment": {"copies": 1, "edits": "translate", "translators": ["x", "y"]}}),
     r"x stages\.b: there is no such run"),
]  # fmt: skip


@pytest.mark.parametrize(("first", "later", "said"), WRONG)
def test_what_can_be_seen_of_a_later_stage_is_told_before_the_first(folder, tmp_path, first, later, said):
    with pytest.raises(TunesmithError, match=said):
        ts.train_several(write(folder, a=first, b=later), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_models_that_later_stages_name_are_looked_at_before_any_data_is_read(folder):
    own = {"model": str(folder / "tiny"), **CASE}
    path = write(folder, a=CLASSES, b=("text-regression", own), c=("text-regression", {"model": "./typo"}))
    with pytest.raises(RecipeError, match=r"(?s)stages\.b\.augment\.edits: .*typo stages\.c: there is no such"):
        refuse(compose_several(path))


GOOD = [
    (("translation", {}), ("translation", {})),
    (("fill-mask", {}), ("text-classification", CONTEXT)),
    (("text-regression", {}), ("text-classification", {"augment": {"copies": 1, "edits": "swap"}})),
    (("text-classification", PREFIX), ("text-regression", {})),
]


@pytest.mark.parametrize(("first", "later"), GOOD)
def test_what_may_follow_is_let_be(folder, first, later):
    assert looked_at(write(folder, a=first, b=later)) == ["b: a look at its data"]


def looked_at(recipe):
    """Look ahead; return what was told on the way."""
    told = []
    look_ahead(compose_several(recipe), Watch([told.append]))
    return [event["name"] for event in told if event["event"] == "task"]


def test_a_stage_with_a_model_of_its_own_does_not_depend_on_those_before(folder):
    own = {"model": {"source": str(folder / "tiny"), "adapt": {"kind": "prefix"}}}
    stages = {"a": ("translation", PREFIX), "b": ("text-classification", own), "c": ("text-regression", {})}
    assert looked_at(write(folder, **stages)) == ["b: a look at its data", "c: a look at its data"]


def test_the_first_stage_is_known_by_its_data_where_its_task_is_not_named(folder):
    path = write(folder, a=("text-regression", {}), b=("text-classification", CONTEXT))
    tree = json.loads(path.read_text())
    del tree["stages"]["a"]["task"]
    path.write_text(json.dumps(tree))
    with pytest.raises(RecipeError, match="can't fill masks"):
        look_ahead(compose_several(path), Watch())


def test_edited_rows_do_not_hide_what_the_first_stage_is(folder):
    path = write(folder, a=("translation", {}), b=CLASSES)
    tree = json.loads(path.read_text())
    rows = [{**row, FROM: "pairs.jsonl:1", BY: ""} for row in rows_of("translation", 40)]
    tree["stages"]["a"] = str(write_jsonl(folder / "pairs.jsonl", rows))
    path.write_text(json.dumps(tree))
    with pytest.raises(RecipeError, match=r'stages\.b\.task\.kind: stage "a" makes'):
        look_ahead(compose_several(path), Watch())


def test_all_that_is_wrong_with_a_stage_is_told_at_once(folder):
    wrong = {"evaluate": {"metric": "bogus"}, "objectives": {"asymmetric": True}}
    path = write(folder, a=("text-regression", {}), b=("text-classification", {**wrong, **CONTEXT}))
    with pytest.raises(RecipeError, match="bogus") as raised:
        look_ahead(compose_several(path), Watch())
    assert len(raised.value.problems) == 3
