"""What one of several tasks has of its own holds for its turns, wherever training goes on."""

import json

import pytest
import torch

from tests.tagged import rows, tiny_tagger, write_conll
from tests.tiny import write_csv
from tunesmith.core.errors import RecipeError
from tunesmith.engine import checkpoint
from tunesmith.engine.loop import train_steps
from tunesmith.recipe.several import compose_several
from tunesmith.workflow import multitask
from tunesmith.workflow.session import Watch

LAYER = "bert.encoder.layer.{}.attention.self.query.weight"


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """Two tasks of six updates each over one tiny model."""
    folder = tmp_path_factory.mktemp("turns")
    texts = [(" ".join(word for word, _ in row), "many" if i % 2 else "few") for i, row in enumerate(rows(90, seed=4))]
    tasks = {
        "mood": str(write_csv(folder / "mood.csv", texts)),
        "names": str(write_conll(folder / "names.conll", rows(60))),
    }
    settings = {"model": str(tiny_tagger(folder / "tiny")), "train": {"length": "6 steps"}}
    (folder / "recipe.yaml").write_text(json.dumps({"tasks": tasks, **settings}))
    return folder / "recipe.yaml"


def built(recipe, *overrides):
    """Return the models of both tasks, ready to train, and the order of their turns."""
    several = compose_several(recipe, overrides=overrides)
    multitask.refuse(several)
    return multitask.make_mixture(multitask.settled(several, Watch()), several.mix)


def weights(mixture):
    return {name: tensor.clone() for name, tensor in checkpoint.weights(mixture.model).items()}


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("own", ["mood.train.head_first=8 steps", "names.train.unfreeze_every=3 steps"])
def test_what_learns_later_in_one_task_is_the_same_wherever_training_goes_on(recipe, own, tmp_path):
    whole, plan = built(recipe, f"tasks.{own}")
    saved = {}
    for report in train_steps(whole, plan):
        if report.step in (1, 3, 5):
            step = report.step
            saved[step] = checkpoint.save(tmp_path, whole.model, whole.optimizer, step=step, state={})
    for step, path in saved.items():
        again, _ = built(recipe, f"tasks.{own}")
        checkpoint.load(path, again.model, again.optimizer)
        assert len([*train_steps(again, plan, start=step)]) == len(plan) - step
        assert same(weights(whole), weights(again)), f"gone on after {step}"


@pytest.mark.parametrize("own", ["freeze=backbone", "head_first=8 steps"])
@pytest.mark.parametrize("name", ["mood", "names"])
def test_what_one_task_does_not_let_learn_the_other_one_does(recipe, name, own):
    mixture, plan = built(recipe, f"tasks.{name}.train.{own}")
    still = mixture.names.index(name)
    before = weights(mixture)
    for report in train_steps(mixture, plan):
        after = weights(mixture)
        moved = {key for key in before if not torch.equal(before[key], after[key])}
        rests = report.turn == still and (report.step <= 8 or "freeze" in own)
        assert (f"tasks.0.{LAYER.format(0)}" in moved) is not rests
        assert f"tasks.{report.turn}.classifier.weight" in moved
        before = after


def test_grad_norm_is_refused_where_a_task_pulls_at_nothing(recipe):
    with pytest.raises(RecipeError, match=r'multitask\.weighting: "names" learns none.*weighting=uncertainty'):
        built(recipe, "tasks.names.train.freeze=backbone", "multitask.weighting=grad_norm")


def test_weights_drawn_anew_are_shared_as_others_are(recipe):
    def shared(mixture):
        one, other = ({id(p) for p in model.parameters()} for model in mixture.model.tasks)
        return len(one & other)

    (read, _), (drawn, _) = built(recipe), built(recipe, "model.weights=random")
    assert shared(read) == shared(drawn)
