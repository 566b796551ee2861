"""The range test: what it reads from a curve, and that it leaves nothing but its picture."""

import pytest
from typer.testing import CliRunner

from tests.tiny import sentences, write_csv
from tunesmith.cli.main import app
from tunesmith.workflow.lr_find import read


def curve(*losses):
    return [(10.0 ** (i - 6), loss, loss) for i, loss in enumerate(losses)]


def test_the_steepest_place_lies_before_the_lowest():
    found = read(curve(1.0, 0.99, 0.9, 0.3, 0.28, 2.0, 2.1))
    assert found.steepest == pytest.approx(1e-4)
    assert found.lowest == pytest.approx(1e-2)


def test_a_loss_that_never_falls_suggests_nothing():
    assert read(curve(1.0, 1.1, 1.2, 2.0)).steepest is None


def test_the_command_draws_and_says_what_to_try(tiny, tmp_path):
    data = write_csv(tmp_path / "rows.csv", sentences(80))
    out = tmp_path / "lr.html"
    arguments = ["lr-find", str(data), "--model", str(tiny), "--steps", "40", "--out", str(out)]
    said = CliRunner().invoke(app, arguments)
    assert said.exit_code == 0, said.output
    assert "--set train.lr=" in said.output
    assert "<svg" in out.read_text()
    again = CliRunner().invoke(app, arguments)
    assert "exists already" in str(again.exception)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["lr.html", "rows.csv"]
