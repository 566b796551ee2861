"""What the tests of whole tasks share: small tables, short runs, and runs that end before their time."""

import csv
from contextlib import contextmanager

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
