"""Every task on every family of models: two steps, saved, opened in a fresh process, the same in transformers."""

import json
import os
import subprocess
import sys
from itertools import product

import pytest

import tunesmith as ts
from tests.families.build import FAMILIES
from tests.families.columns import COLUMNS
from tests.families.page import PAGE, REFRESH, page
from tunesmith.core.errors import ModelError
from tunesmith.tasks.language import LEARNT

pytestmark = pytest.mark.timeout(1800)  # one fixture trains all cells: a minute on two quiet cores
CELLS = list(product(FAMILIES, COLUMNS))
SETTINGS = {
    "train.length": "2 steps",
    "train.step_size": "8 rows",
    "train.lr": 1e-3,
    "data.split.dev": 0.2,
    "data.split.test": 0.2,
    "evaluate.resamples": 2,
    "evaluate.baselines": False,
}
SAME = 1e-4
"""Largest difference: batches of other shapes round differently."""


@pytest.fixture(scope="module")
def chosen(request):
    """The cells that this session tests: all, if it checks the page."""
    items = [item for item in request.session.items if item.module is request.module]
    named = {item.callspec.params["cell"] for item in items if hasattr(item, "callspec")}
    return CELLS if any(item.originalname == test_the_page.__name__ for item in items) else sorted(named)


@pytest.fixture(scope="module")
def trained(chosen, checkpoint, tmp_path_factory):
    """Cell to its run, or to why there is none."""
    folder = tmp_path_factory.mktemp("matrix")
    data = {kind: COLUMNS[kind].data(folder) for _, kind in chosen}
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        # All cells share one fresh process, `fresh`, in the place of one for each run.
        patch.setattr("tunesmith.workflow.finish.verify", lambda *_, **__: None)
        for name, kind in chosen:
            settings = {**SETTINGS, **COLUMNS[kind].settings}
            out = folder / "runs" / f"{name}-{kind}"
            try:
                found[name, kind] = ts.train(data[kind], model=str(checkpoint(name)), out=out, settings=settings)
            except Exception as error:  # raised where the cell is tested; a ModelError says why it is empty
                found[name, kind] = error
    return found


@pytest.fixture(scope="module")
def fresh(trained):
    """Cell to what a fresh process made of its model; see `tests.families.fresh`."""
    runs = {cell: run for cell, run in trained.items() if not isinstance(run, Exception)}
    asked = []
    for (_, kind), run in runs.items():
        task = run.predictor.task
        rows = list(run.run.predictions("test"))
        columns = {column: [row[name] for row in rows] for name, column in task.columns.items()}
        for column in set(task.answered_from) - set(columns):  # what is learnt: the text itself, or a completion
            columns[column] = columns[task.text] if column == LEARNT else [row["gold"] for row in rows]
        asked.append([kind, str(run.run.model_folder), columns])
    command = [sys.executable, "-m", "tests.families.fresh"]
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-1000:]
    return dict(zip(runs, json.loads(done.stdout.splitlines()[-1]), strict=True))


@pytest.mark.parametrize("cell", CELLS, ids="-".join)
def test_cell(cell, trained, fresh):
    run = trained[cell]
    if isinstance(run, ModelError):
        assert run.problems[0].fix
        return
    if isinstance(run, Exception):
        raise run
    found = fresh[cell]
    assert "error" not in found, found["error"]
    task = run.predictor.task
    said, alone = ([task.prediction.of(record) for record in found[name]] for name in ("said", "alone"))
    before = [task.prediction.of(record) for record in run.run.predictions("test")]
    assert task.distance(said, before) < SAME
    assert task.distance(said, alone) < SAME
    assert found["pipeline"] < SAME


def test_the_page(trained):
    text = page({cell: run.problems[0].message if isinstance(run, ModelError) else "" for cell, run in trained.items()})
    if os.environ.get(REFRESH):
        PAGE.write_text(text, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == text, "not what was found; run: python -m tests.families.page"
