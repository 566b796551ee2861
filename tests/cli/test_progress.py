"""What is shown while rows are made: nothing at first, a bar on a terminal, a line now and then elsewhere."""

import io

import pytest
from rich.console import Console

from tests.tiny import sentences, write_csv
from tests.workflow.small import prepared
from tunesmith.cli import progress
from tunesmith.cli.progress import MakingDisplay, TrainingDisplay
from tunesmith.recipe.compose import compose
from tunesmith.workflow.prepare import prepare


@pytest.fixture
def clock(monkeypatch):
    """Return a list whose only number is the time."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def shown(clock, seconds, *, terminal, of=TrainingDisplay):
    """Return what stands on the screen after an event at each of some seconds."""
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100, highlight=False)
    display = of(console)
    for i, second in enumerate(seconds):
        clock[0] = 100.0 + second
        event = {
            "event": "augment",
            "what": "making rows",
            "done": 10 * i,
            "of": 10 * len(seconds),
            "state": f"context: {i} texts read",
        }
        display(event)
    display.close()
    return console.file.getvalue()


@pytest.mark.parametrize("of", [TrainingDisplay, MakingDisplay])
def test_a_bar_after_two_seconds_on_a_terminal(clock, of):
    assert shown(clock, [0, 1, 1.9], terminal=True, of=of) == ""
    said = shown(clock, [0, 1, 2.5], terminal=True, of=of)
    assert "making rows" in said
    assert "20/30" in said
    assert "context: 2 texts read" in said


def test_a_line_every_ten_seconds_elsewhere(clock):
    said = shown(clock, [0, 3, 11, 15, 22], terminal=False)
    assert said.splitlines() == [
        "making rows: 20/50  context: 2 texts read", "making rows: 40/50  context: 4 texts read",
    ]  # fmt: skip


def test_the_making_of_rows_tells_how_far_it_is(tmp_path):

    path = write_csv(tmp_path / "rows.csv", sentences(60))
    named = {"data.path": [str(path)], "augment.copies": 2, "augment.edits": "swap"}
    recipe, _ = compose(file=None, overrides=[], arguments=named)
    events = []
    n = len(prepared(path).tables["train"])
    prepare(recipe, tell=events.append)
    assert [(one["event"], one["done"], one["of"]) for one in events] == [
        ("augment", 0, 2 * n), ("augment", 2 * n, 2 * n),
    ]  # fmt: skip
