"""What the tests of whole tasks share: small tables, short runs, and runs that end before their time."""

import csv
from contextlib import contextmanager

import pytest
import transformers

import tunesmith as ts
from tests.tiny import sentences, write_csv
from tunesmith.recipe.compose import compose
from tunesmith.workflow import session
from tunesmith.workflow.prepare import prepare


def write_table(path, header, rows):
    """Write a CSV."""
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    return path


def quick(model, **settings):
    """Return what `train` takes for a run of eight steps."""
    usual = {"train.length": "8 steps", "evaluate.resamples": 20, "data.split.dev": 0.2}
    return {"model": str(model), "settings": {**usual, **settings}}


def prepared(path, **arguments):
    """Return the rows of a file as training has them."""
    recipe, _ = compose(file=None, overrides=[], arguments={"data.path": [str(path)], **arguments})
    return prepare(recipe)


@contextmanager
def ended_after(step, monkeypatch):
    """Let training be interrupted after a step."""
    real = session.train_steps

    def breaks(*args, **more):
        for report in real(*args, **more):
            if report.step > step:
                raise KeyboardInterrupt
            yield report

    with monkeypatch.context() as patched:
        patched.setattr(session, "train_steps", breaks)
        yield


def resumed_and_opened(model, settings, folder, monkeypatch):
    """Train a classifier in `folder`: interrupted and resumed it gets the same weights, and a pipeline answers alike.

    Returns:
        the data and the uninterrupted run, which is in `folder / "whole"`.
    """
    data = write_csv(folder / "rows.csv", sentences(120))
    whole = ts.train(data, model=str(model), out=folder / "whole", settings=settings)
    step = whole.run.manifest["step"] // 2
    with ended_after(step, monkeypatch), pytest.raises(KeyboardInterrupt):
        ts.train(
            data, model=str(model), out=folder / "cut", settings={**settings, "train.save_every": f"{step - 1} steps"}
        )
    again = ts.resume(folder / "cut")
    one, other = ((run.run.model_folder / "model.safetensors").read_bytes() for run in (whole, again))
    assert one == other
    pipe = transformers.pipeline("text-classification", str(whole.run.model_folder), device="cpu", top_k=None)
    texts = ["good lovely film", "awful sad book", "it was so long"]
    for found, wanted in zip(pipe(texts), whole.predict(texts), strict=True):
        for label in found:
            assert label["score"] == pytest.approx(wanted.probabilities[label["label"]], abs=1e-5)
    return data, whole
