"""A saved model is opened again in a fresh process, which has to give the same answers."""

import pytest
import torch
from safetensors.torch import load_file, save_file

import tunesmith as ts
from tests.conftest import answers_of_this_process
from tests.workflow.small import quick
from tunesmith.core.errors import RunError
from tunesmith.workflow import finish, save


@pytest.fixture
def really(fresh_process, monkeypatch):
    """Let runs start a fresh process, as they do outside of tests."""
    monkeypatch.setattr(save, "answers_of_a_fresh_process", fresh_process)
    return fresh_process


@pytest.fixture
def damage(monkeypatch):
    """Give what lets something be done to a model as soon as it is saved."""

    def use(harm):
        real = save.save_model

        def saved(*args, run, **more):
            real(*args, run=run, **more)
            harm(run.model_folder)

        monkeypatch.setattr(finish, "save_model", saved)

    return use


def turn_around(folder):
    tensors = load_file(folder / "model.safetensors")
    tensors["classifier.bias"] = torch.tensor([50.0, -50.0])
    save_file(tensors, folder / "model.safetensors")


@pytest.mark.parametrize("more", [{}, {"model.pooling": "max"}, {"model.adapt.kind": "prompt"}])
def test_a_fresh_process_says_what_this_one_says(tiny, reviews, tmp_path, really, more):
    run = ts.train(reviews, out=tmp_path / "run", **quick(tiny, **more)).run
    columns = {"text": ["a good film", "bad, bad", "the film"]}
    fresh, here = (ask(run, columns) for ask in (really, answers_of_this_process))
    assert [one["predicted"] for one in fresh] == [one["predicted"] for one in here]
    assert [one["confidence"] for one in fresh] == pytest.approx([one["confidence"] for one in here], abs=1e-6)


def test_a_model_that_says_something_else_is_not_called_done(tiny, reviews, tmp_path, damage):
    damage(turn_around)
    with pytest.raises(RunError, match="does not reproduce its own predictions"):
        ts.train(reviews, out=tmp_path / "run", **quick(tiny))


@pytest.mark.usefixtures("really")
@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (turn_around, "does not reproduce its own predictions"),
        (lambda folder: (folder / "config.json").unlink(), "could not be loaded again"),
    ],
)
def test_nor_is_one_that_a_fresh_process_finds_damaged(tiny, reviews, tmp_path, damage, harm, said):  # noqa: PLR0917
    damage(harm)
    with pytest.raises(RunError, match=said):
        ts.train(reviews, out=tmp_path / "run", **quick(tiny))
