"""The range test: what it reads from a curve, and that it leaves nothing but its picture."""

from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.tiny import sentences, write_csv
from tunesmith.cli.main import app
from tunesmith.core.errors import RunError
from tunesmith.engine.loop import DivergedError
from tunesmith.recipe.compose import compose
from tunesmith.workflow import lr_find
from tunesmith.workflow.lr_find import find_rate, read
from tunesmith.workflow.prepare import prepare
from tunesmith.workflow.resolve import resolve


def curve(*losses):
    return [(10.0 ** (i - 6), loss, loss) for i, loss in enumerate(losses)]


def test_the_steepest_place_lies_before_the_lowest():
    found = read(curve(1.0, 0.99, 0.9, 0.3, 0.28, 2.0, 2.1))
    assert found.steepest == pytest.approx(1e-4)
    assert found.lowest == pytest.approx(1e-2)


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.1])
def test_noise_hides_no_fall(noise):
    draw = np.random.default_rng(0)
    rates = 10.0 ** np.linspace(-7, -2.4, 80)
    for _ in range(30):
        losses = 0.69 - 0.45 / (1 + np.exp(-3 * (np.log10(rates) + 4))) + noise * draw.normal(size=80)
        found = read(list(zip(rates, losses, smoothed(losses), strict=True)))
        assert 2e-5 < found.steepest < 1e-3


def smoothed(losses):
    """The means of all losses so far, each with 0.9 times the weight of the next."""
    weights = [0.9 ** np.arange(i, -1, -1) for i in range(len(losses))]
    return [float(w @ losses[: len(w)] / w.sum()) for w in weights]


def test_rates_rise_from_step_to_step_and_losses_are_smoothed(tiny, tmp_path):
    data = write_csv(tmp_path / "rows.csv", sentences(80))
    recipe, origins = compose(file=None, overrides=(), arguments={"data.path": [str(data)], "model.source": str(tiny)})
    found = find_rate(resolve(recipe, origins, prepared=prepare(recipe)), steps=12)
    rates, losses, smooth = zip(*found.points, strict=True)
    assert rates == pytest.approx(10.0 ** (-7 + (np.arange(len(rates)) + 0.5) / 2))
    assert smooth == pytest.approx(smoothed(np.array(losses)))
    assert found.lowest == rates[int(np.argmin(smooth))]


def test_it_ends_where_the_loss_is_out_of_sight(tiny, tmp_path, monkeypatch):
    data = write_csv(tmp_path / "rows.csv", sentences(80))
    recipe, origins = compose(file=None, overrides=(), arguments={"data.path": [str(data)], "model.source": str(tiny)})
    resolved = resolve(recipe, origins, prepared=prepare(recipe))

    def steps(losses, error):
        for i, loss in enumerate(losses, 1):
            yield SimpleNamespace(step=i, lr=10.0**-i, loss=loss)
        raise error

    for losses, error, n in (([1, 1, 40, 1], RunError("end"), 3), ([1, 0.9], DivergedError("broke"), 2)):
        monkeypatch.setattr(lr_find, "train_steps", lambda *_, losses=losses, error=error: steps(losses, error))
        assert len(find_rate(resolved).points) == n
    monkeypatch.setattr(lr_find, "train_steps", lambda *_: steps([1, 0.9], RunError("out of memory")))
    with pytest.raises(RunError, match="out of memory"):
        find_rate(resolved)


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
