"""The parts of a dry run's estimate that do not depend on the machine's speed."""

import numpy as np
import pytest

from tunesmith.engine import checkpoint
from tunesmith.recipe.compose import compose
from tunesmith.workflow import rehearse, session
from tunesmith.workflow.build import make_setup
from tunesmith.workflow.order import make_plan
from tunesmith.workflow.prepare import prepare
from tunesmith.workflow.resolve import resolve
from tunesmith.workflow.session import Watch
from tunesmith.workflow.start import start


def compose_for(data, tiny, **settings):
    arguments = {"data.path": [str(data)], "model.source": str(tiny), "evaluate.resamples": 20, **settings}
    return compose(file=None, overrides=(), arguments={"evaluate.baselines": False, **arguments})


def resolved_for(*args, **settings):
    composed = compose_for(*args, **settings)
    return resolve(*composed, prepared=prepare(composed[0]))


def setup_of(resolved):
    return make_setup(resolved)


def folder_bytes(folder):
    """Checkpoints and model; the rest is small beside a real model, but not beside the tiny one."""
    found = [path for part in ("checkpoints", "model") for path in (folder / part).rglob("*") if path.is_file()]
    return sum(path.stat().st_size for path in found)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"data.split.dev": 0.2, "train.save_every": "4 steps"},
        {"train.save_every": "2 steps", "train.average": 0.5},
        {"train.save_every": "1 steps", "train.keep_checkpoints": 3},
    ],
)
def test_the_disk_estimate_is_what_a_run_needs(tiny, reviews, tmp_path, monkeypatch, settings):
    settings = {"train.length": "6 steps", **settings}
    estimate = rehearse.rehearse(resolved_for(reviews, tiny, **settings), out=tmp_path)
    largest = [0]

    def look(*_):
        largest.append(folder_bytes(tmp_path / "run"))

    def keep_newest(*args):
        look()
        checkpoint_keep_newest(*args)

    checkpoint_keep_newest = checkpoint.keep_newest
    monkeypatch.setattr(session.checkpoint, "keep_newest", keep_newest)
    start(*compose_for(reviews, tiny, **settings), out=tmp_path / "run", watch=Watch([look]))
    look()
    assert estimate.disk_bytes == pytest.approx(max(largest), rel=0.3)
    assert estimate.steps == 6
    assert estimate.seconds > 0


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_the_average_is_held_and_saved_where_there_will_be_one(tiny, reviews, tmp_path, share):
    resolved = resolved_for(reviews, tiny, **{"train.length": "6 steps", "train.average": share})
    setup = setup_of(resolved)
    trained = {name for name, parameter in setup.model.named_parameters() if parameter.requires_grad}
    average = rehearse._average(resolved.recipe, setup)
    assert set(average.tensors) == (trained if share else set())
    assert (rehearse._save(setup, average, tmp_path) / checkpoint.AVERAGE).is_file() == bool(share)


def test_the_largest_batch_is_rehearsed(tiny, reviews):
    resolved = resolved_for(reviews, tiny, **{"train.length": "2 epochs"})
    setup = setup_of(resolved)
    plan = make_plan(resolved.recipe, setup.examples)
    reports = rehearse._some_steps(setup, plan)
    assert reports[0].step == 1
    assert len(reports) >= 2 + rehearse.TIMED_STEPS
    sizes = [sum(len(b) * plan.lengths[b].max() for b in step) for step in ([s] for s in plan.epoch(0))]
    assert reports[1].step == np.argmax(sizes) + 1


def test_steps_with_new_shapes_are_rehearsed(tiny, reviews, monkeypatch):
    resolved = resolved_for(reviews, tiny, **{"train.length": "2 epochs"})
    setup = setup_of(resolved)
    plan = make_plan(resolved.recipe, setup.examples)
    monkeypatch.setattr(rehearse, "TIMED_STEPS", 1)
    steps = list(rehearse._telling_steps(setup, plan))
    shapes = [{(len(batch), plan.lengths[batch].max()) for batch in plan[step][0].batches} for step in range(len(plan))]
    new = [not shapes[step] <= set().union(*shapes[1:step]) for step in range(1, len(plan))]
    assert steps == [step for step, is_new in enumerate(new, 1) if is_new]
    assert 3 < len(steps) < len(plan) - 1


def test_a_slow_machine_rehearses_fewer_steps(tiny, reviews, monkeypatch):
    resolved = resolved_for(reviews, tiny, **{"train.length": "2 epochs"})
    setup = setup_of(resolved)
    plan = make_plan(resolved.recipe, setup.examples)
    monkeypatch.setattr(rehearse, "TIMED_STEPS", 1)
    monkeypatch.setattr(rehearse, "MOST_STEPS", 3)
    monkeypatch.setattr(rehearse, "MOST_SECONDS", 0.0)
    assert len(rehearse._some_steps(setup, plan)) == 2 + 1
    monkeypatch.setattr(rehearse, "MOST_SECONDS", 1e9)
    assert len(rehearse._some_steps(setup, plan)) == 2 + 3


def test_what_is_read_is_counted(tiny, reviews):
    resolved = resolved_for(
        reviews, tiny, **{"data.split.dev": 0.2, "train.length": "2 epochs", "evaluate.every": "0.5 epochs"}
    )
    plan = make_plan(resolved.recipe, resolved.encoded.examples["train"])
    tokens = {name: sum(len(e.ids) for e in examples) for name, examples in resolved.encoded.examples.items()}
    assert rehearse._tokens_read(resolved, plan) == 5 * tokens["dev"] + tokens["test"] + tokens["train"]


def test_saves_are_counted_as_training_does_them(tiny, reviews):
    resolved = resolved_for(reviews, tiny, **{"train.length": "8 steps"})
    plan = make_plan(resolved.recipe, resolved.encoded.examples["train"])
    assert rehearse._n_saves(resolved.recipe, plan, seconds=60) == 0
    assert rehearse._n_saves(resolved.recipe, plan, seconds=600) >= 4
    resolved = resolved_for(reviews, tiny, **{"train.length": "8 steps", "train.save_every": "2 steps"})
    assert rehearse._n_saves(resolved.recipe, plan, seconds=60) == 3
