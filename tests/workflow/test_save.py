"""A saved model is opened again in a fresh process, which has to give the same answers."""

import pytest
import torch
from safetensors.torch import load_file, save_file

import tunesmith as ts
from tests.conftest import answers_of_this_process
from tests.workflow.small import quick
from tunesmith.core.errors import RunError
from tunesmith.workflow import finish, save


@pytest.mark.parametrize("more", [{}, {"model.pooling": "max"}, {"model.adapt.kind": "prompt"}])
def test_a_fresh_process_says_what_this_one_says(tiny, reviews, tmp_path, fresh_process, monkeypatch, more):
    monkeypatch.setattr(save, "answers_of_a_fresh_process", fresh_process)
    run = ts.train(reviews, out=tmp_path / "run", **quick(tiny, **more)).run
    columns = {"text": ["a good film", "bad, bad", "the film"]}
    fresh, here = (ask(run, columns) for ask in (fresh_process, answers_of_this_process))
    assert [one["predicted"] for one in fresh] == [one["predicted"] for one in here]
    assert [one["confidence"] for one in fresh] == pytest.approx([one["confidence"] for one in here], abs=1e-6)


@pytest.mark.parametrize("in_a_fresh_process", [True, False])
def test_a_model_that_says_something_else_is_not_called_done(
    tiny, reviews, tmp_path, fresh_process, monkeypatch, in_a_fresh_process
):
    real = save.save_model

    def damaged(*args, run, **more):
        real(*args, run=run, **more)
        file = run.model_folder / "model.safetensors"
        tensors = load_file(file)
        tensors["classifier.bias"] = torch.tensor([50.0, -50.0])
        save_file(tensors, file)

    monkeypatch.setattr(finish, "save_model", damaged)
    if in_a_fresh_process:
        monkeypatch.setattr(save, "answers_of_a_fresh_process", fresh_process)
    with pytest.raises(RunError, match="does not reproduce its own predictions"):
        ts.train(reviews, out=tmp_path / "run", **quick(tiny))


def test_a_model_that_does_not_open_is_not_called_done(tiny, reviews, tmp_path, fresh_process, monkeypatch):
    real = save.save_model

    def damaged(*args, run, **more):
        real(*args, run=run, **more)
        (run.model_folder / "config.json").unlink()

    monkeypatch.setattr(finish, "save_model", damaged)
    monkeypatch.setattr(save, "answers_of_a_fresh_process", fresh_process)
    with pytest.raises(RunError, match="could not be loaded again"):
        ts.train(reviews, out=tmp_path / "run", **quick(tiny))
