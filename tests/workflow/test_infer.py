"""Which task is learnt where the user names none."""

import pytest

from tests.tiny import sentences, write_csv
from tunesmith.core.errors import DataError, RecipeError
from tunesmith.recipe.compose import compose
from tunesmith.workflow.prepare import prepare
from tunesmith.workflow.train import resolve

WORDS = "Ada B-PER\nLovelace I-PER\nmet O\n{name} B-PER\nin O\nLondon B-LOC\n\n"
CONLL = "".join(WORDS.format(name=name) for name in ("Charles", "Mary", "George", "Michael", "Augustus") * 4)


def composed(path, *, overrides=(), **arguments):
    return compose(file=None, overrides=overrides, arguments={"data.path": [str(path)], **arguments})


@pytest.fixture(scope="module")
def tagged(tmp_path_factory):
    path = tmp_path_factory.mktemp("conll") / "names.conll"
    path.write_text(CONLL)
    return path


def test_what_the_files_are_made_for_is_learnt_and_said(tagged, tiny):
    recipe, origins = composed(tagged, **{"model.source": str(tiny)})
    resolved = resolve(recipe, origins, prepared=prepare(recipe))
    assert resolved.recipe.task.kind == resolved.task.kind == "token-classification"
    chosen = resolved.origins.entries["task.kind"]
    assert (chosen.value, chosen.origin) == ("token-classification", "chosen")
    assert "CoNLL" in chosen.reason
    assert resolved.recipe.task.long_text == "windows"
    assert "task.class_weights" not in resolved.origins.entries


def test_a_text_and_a_label_are_a_classification(tiny, reviews):
    recipe, origins = composed(reviews, **{"model.source": str(tiny)})
    resolved = resolve(recipe, origins, prepared=prepare(recipe))
    assert resolved.origins.entries["task.kind"].reason == "a text and a label in each row"
    assert resolved.recipe.task.kind == "text-classification"


def test_settings_that_were_given_go_over_to_the_task(tagged):
    recipe, _ = composed(tagged, overrides=["task.label_smoothing=0.1"])
    assert prepare(recipe).kind[0].label_smoothing == 0.1


def test_settings_the_task_has_not_are_refused(tagged):
    recipe, _ = composed(tagged, overrides=["task.class_weights=balanced"])
    with pytest.raises(RecipeError, match=r"token-classification has no such setting.*CoNLL") as caught:
        prepare(recipe)
    assert "--task" in caught.value.problems[0].fix


@pytest.mark.parametrize("alias", ["text-classification", "spam"])
def test_a_task_that_is_named_stays(tmp_path, alias):
    path = write_csv(tmp_path / "reviews.csv", sentences(40))
    recipe, _ = composed(path, **{"task.kind": alias})
    found = prepare(recipe)
    assert (found.kind[0].kind, found.kind[1]) == ("text-classification", "")


def test_a_named_task_reads_its_own_formats_only(tagged):
    recipe, _ = composed(tagged, **{"task.kind": "text-classification"})
    with pytest.raises(DataError):
        prepare(recipe)
