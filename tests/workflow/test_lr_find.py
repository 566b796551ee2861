"""The range test: what it reads from a curve, and that it leaves nothing but its picture."""

from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.tiny import sentences, write_csv
from tunesmith.cli.lr_find import _said
from tunesmith.cli.main import app
from tunesmith.core.errors import RunError
from tunesmith.engine.loop import DivergedError
from tunesmith.recipe.compose import compose
from tunesmith.workflow import lr_find
from tunesmith.workflow.lr_find import find_rate, read
from tunesmith.workflow.prepare import prepare
from tunesmith.workflow.resolve import resolve


def curve(*losses):
    return [(10.0 ** (i - 6), loss) for i, loss in enumerate(losses)]


def test_the_steepest_place_lies_before_the_lowest():
    found = read(curve(1.0, 0.99, 0.9, 0.3, 0.28, 2.0, 2.1))
    assert found.steepest == pytest.approx(1e-4)
    assert found.lowest == pytest.approx(1e-2)


RATES = 10.0 ** np.linspace(-7, -1, 100)


def falling(by, noise, draw):
    """Losses that fall around 1e-4, fastest there, rise again beyond 1e-2, and scatter."""
    powers = np.log10(RATES)
    fall, rise = by / (1 + np.exp(-3 * (powers + 4))), 3 / (1 + np.exp(-6 * (powers + 1.3)))
    return list(zip(RATES.tolist(), 0.69 - fall + rise + noise * draw.normal(size=len(RATES)), strict=True))


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.1])
def test_noise_hides_no_fall(noise):
    draw = np.random.default_rng(0)
    for _ in range(30):
        found = read(falling(0.45, noise, draw))
        assert 2e-5 <= found.steepest <= 1e-3
        assert 5e-4 < found.lowest < 1.5e-2  # of the curve itself 4e-3
        assert found.is_clear


def test_noise_alone_is_no_fall():
    draw = np.random.default_rng(0)
    found = [read(falling(0.0, 0.1, draw)) for _ in range(100)]
    assert sum(one.is_clear for one in found) <= 5
    assert np.mean([one.noise for one in found]) == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize("after", [1.2, 20.0, 1000.0])
def test_a_loss_that_blows_up_hides_no_fall(after):
    """It falls by 0.7 around 2e-4 and breaks at 3e-3."""
    losses = 1 - 0.7 / (1 + np.exp(-4 * (np.log10(RATES) - np.log10(2e-4))))
    n = int(np.searchsorted(RATES, 3e-3))
    broken = [*zip(RATES[:n].tolist(), losses[:n].tolist(), strict=True), *((rate, after) for rate in RATES[n : n + 3])]
    found = read(broken)
    assert 1e-4 <= found.steepest <= 4e-4
    assert 8e-4 < found.lowest < 3e-3
    assert found.is_clear


def test_means_lie_on_a_straight_line_where_the_losses_do():
    _, losses, smooth = zip(*read(list(zip(RATES, np.linspace(2, 1, 100), strict=True))).points, strict=True)
    assert smooth[40:60] == pytest.approx(losses[40:60], abs=1e-3)


def test_rates_rise_from_step_to_step_and_losses_are_smoothed(tiny, tmp_path):
    data = write_csv(tmp_path / "rows.csv", sentences(80))
    recipe, origins = compose(file=None, overrides=(), arguments={"data.path": [str(data)], "model.source": str(tiny)})
    found = find_rate(resolve(recipe, origins, prepared=prepare(recipe)), steps=12)
    rates, losses, smooth = zip(*found.points, strict=True)
    assert rates == pytest.approx(10.0 ** (-7 + (np.arange(len(rates)) + 0.5) / 2))
    weights = np.exp(-(((np.arange(len(losses)) - 3) * 0.5 / 0.25) ** 2) / 2)
    assert smooth[3] == pytest.approx(weights @ losses / weights.sum())
    assert found.lowest == rates[int(np.argmin(smooth))]


def test_it_ends_where_the_loss_is_out_of_sight(tiny, tmp_path, monkeypatch):
    data = write_csv(tmp_path / "rows.csv", sentences(80))
    recipe, origins = compose(file=None, overrides=(), arguments={"data.path": [str(data)], "model.source": str(tiny)})
    resolved = resolve(recipe, origins, prepared=prepare(recipe))

    def steps(losses, error):
        for i, loss in enumerate(losses, 1):
            yield SimpleNamespace(step=i, lr=10.0 ** (i - 5), loss=loss)
        raise error

    for losses, error, n in (([1, 1, 40, 1], RunError("end"), 3), ([1, 0.9], DivergedError("broke"), 2)):
        monkeypatch.setattr(lr_find, "train_steps", lambda *_, losses=losses, error=error: steps(losses, error))
        assert len(find_rate(resolved).points) == n
    monkeypatch.setattr(lr_find, "train_steps", lambda *_: steps([1, 0.9], RunError("out of memory")))
    with pytest.raises(RunError, match="out of memory"):
        find_rate(resolved)


def test_a_loss_that_never_falls_suggests_nothing():
    assert read(curve(1.0, 1.1, 1.2, 2.0)).steepest is None
    assert read(curve(1.0)).steepest is None


def test_a_faint_fall_is_no_suggestion():
    found = read(falling(0.02, 0.1, np.random.default_rng(1)))
    said = _said(found, 2e-5)
    assert "this says nothing yet" in said and "--set" not in said
    assert "try: --set train.lr=" in _said(read(falling(0.4, 0.1, np.random.default_rng(1))), 2e-5)


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
