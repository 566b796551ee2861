"""Ablation: pairs over seeds, in processes of their own, that go on where they were interrupted."""

import json
import re
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from tests.tiny import sentences, write_csv
from tunesmith.cli.main import app
from tunesmith.core.errors import RecipeError, RunError
from tunesmith.metrics.gains import gain
from tunesmith.recipe.compose import compose
from tunesmith.recipe.write import to_yaml
from tunesmith.run.folder import Run
from tunesmith.run.listing import list_runs
from tunesmith.run.report.ablation import sentence, write_page
from tunesmith.workflow import ablate as ablating
from tunesmith.workflow import start, trials
from tunesmith.workflow.ablate import ablate, best_first
from tunesmith.workflow.switches import SWITCHES, settings_of
from tunesmith.workflow.trials import slug

FEW = {"train.length": "4 steps", "evaluate.resamples": 20, "evaluate.baselines": False, "data.split.dev": 0.2}


def pair(value, half, metric="accuracy"):
    return {"metric": metric, "value": value, "low": value - half, "high": value + half}


def test_one_seed_is_no_verdict():
    found = gain([pair(0.05, 0.02)], same_rows=True)
    assert (found["value"], found["low"], found["high"]) == pytest.approx((0.05, 0.03, 0.07))
    assert found["verdict"] == "one seed"
    said = sentence({"metric": "accuracy", "seeds": [0], "switches": {"eda": found}})
    assert said.startswith("One seed is no verdict")


def test_seeds_and_rows_both_count_on_the_same_rows():
    pairs = [pair(0.04, 0.03), pair(0.05, 0.03), pair(0.06, 0.03)]
    of_seeds = 4.302653 * 0.01 / 3**0.5
    found = gain(pairs, same_rows=True)
    assert found["high"] - found["value"] == pytest.approx((0.03**2 + of_seeds**2) ** 0.5, rel=1e-5)
    assert gain(pairs, same_rows=False)["high"] == pytest.approx(0.05 + of_seeds)
    alike = gain([pair(0.01, 0.05)] * 3, same_rows=False)
    assert (alike["high"], alike["verdict"]) == (pytest.approx(0.01 + 0.05 / 3**0.5), "no visible effect")


@pytest.mark.parametrize(
    ("metric", "value", "verdict"),
    [("accuracy", -0.05, "hurts"), ("accuracy", 0.01, "no visible effect"), ("perplexity", -3.0, "helps")],
)
def test_verdicts_know_which_way_is_better(metric, value, verdict):
    assert gain([pair(value, 0.02, metric)] * 3, same_rows=True)["verdict"] == verdict


def test_a_metric_that_is_undefined_has_no_gain():
    assert gain([{**pair(0, 0), "value": None}], same_rows=True)["verdict"] == "no visible effect"


def test_an_ablation_whose_metric_is_undefined_says_so(tmp_path, monkeypatch):
    values = {"test": {"values": {"accuracy": {"value": None}}}}
    run = SimpleNamespace(
        metrics={"main": "accuracy", "splits": values},
        manifest={"seconds": {"train": 1.0}, "peak_memory_bytes": 1},
        predictions=lambda split: [],
    )
    monkeypatch.setattr(ablating, "_pair", lambda *_: {**pair(0, 0), "value": None})
    found = ablating._measured({"baseline": [run], "fast": [run]}, {"fast": ()}, [0]) | {"skipped": {}}
    assert found["baseline"]["value"] is None
    write_page(tmp_path / "report.html", found, title="mine")
    assert "undefined on these rows" in (tmp_path / "report.html").read_text()


def test_switches_are_names_settings_or_several():
    assert settings_of("rdrop") == ("objectives.rdrop=true",)
    assert settings_of("train.mixout=0.3") == ("train.mixout=0.3",)
    assert settings_of("rdrop + train.mixout=0.3 + moving_average") == (
        "objectives.rdrop=true", "train.mixout=0.3", "train.average=1.0", "train.average_decay=0.99",
    )  # fmt: skip
    with pytest.raises(RecipeError, match="no such switch") as raised:
        settings_of("rdrob")
    assert raised.value.problems[0].fix == 'did you mean "rdrop"?'
    with pytest.raises(RecipeError, match=r'did you mean "fgm \+ label_smoothing"'):
        settings_of("fgm+label_smoothing")
    with pytest.raises(RecipeError, match="the same stands twice"):
        settings_of("rdrop + rdrop")
    with pytest.raises(RecipeError, match=r"model\.adapt\.kind can't be both lora and dora"):
        settings_of("lora + dora")


@pytest.mark.parametrize("name", SWITCHES)
def test_every_switch_is_made_of_settings(name):
    recipe, origins = compose(file=None, overrides=SWITCHES[name], arguments={})
    assert [key for key, one in origins.entries.items() if one.origin == "--set"]
    assert recipe != compose(file=None, overrides=(), arguments={})[0]


@pytest.mark.parametrize(("metric", "first"), [("accuracy", "more"), ("rmse", "less")])
def test_what_gains_most_stands_first(metric, first):
    found = {"no": {"value": None}, "less": {"value": -0.2}, "more": {"value": 0.1}}
    assert next(iter(best_first(found, metric))) == first


def test_names_that_cannot_be_folders_have_folders_of_their_own():
    long = "train.layer_decay=0.8 + train.head_lr_factor=5 + train.schedule=cosine + train.mixout="
    names = [f"{long}0.3", f"{long}0.9", "train.lr=1e-4 + rdrop", "train.lr=1e-4 _ rdrop", "train.lr_1e-4", "rdrop"]
    assert len({*map(slug, names)}) == len(names)
    assert slug("rdrop") == "rdrop"
    assert max(map(len, map(slug, names))) <= 80


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    return write_csv(folder / "train.csv", sentences(60)), write_csv(folder / "test.csv", sentences(60, seed=5))


def test_pairs_over_seeds_go_on_where_they_were_interrupted(tiny, rows, tmp_path, monkeypatch):
    train, test = rows
    arguments = {"data.path": [str(train)], "data.test": [str(test)], "model.source": str(tiny), **FEW}
    recipe, _ = compose(file=None, overrides=(), arguments=arguments)
    switches = {
        "fast": ("train.lr=0.01",),
        "same": ("train.average=0.0",),
        "odd": ("objectives.asymmetric=true",),
        "idle": ("evaluate.resamples=21",),
    }
    told = []

    def tell(trial, what):
        told.append((trial.variant, trial.seed, what.split(" ")[0] if " " in what else what))
        if told[-1] == ("fast", 1, "training"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ablate(recipe, switches, seeds=[0, 1], out=tmp_path / "out", tell=tell)
    assert ("baseline", 0, "done") in told
    told.clear()
    found = ablate(recipe, switches, seeds=[0, 1], out=tmp_path / "out", tell=lambda t, w: told.append((t.variant, w)))
    assert [what for _, what in told].count("training") == 3, (
        "the trial that was interrupted, the odd one again, the idle"
    )
    assert found == json.loads((tmp_path / "out/ablation.json").read_text())
    assert list(found["switches"]) == ["fast"]
    assert found["skipped"]["same"] == "the baseline has it already", "by choice: there are few updates"
    assert found["skipped"]["idle"] == "it changes nothing: weights and answers are the baseline's"
    assert "asymmetric has no meaning for text-classification" in found["skipped"]["odd"]
    assert not {"same", "odd"} & {*found["tried"]} and "idle" in found["tried"]
    fast = found["switches"]["fast"]
    runs = [[Run.open(tmp_path / f"out/runs/{n}-seed{s}") for s in (0, 1)] for n in ("baseline", "fast")]
    values = [[r.metrics["splits"]["test"]["values"][found["metric"]]["value"] for r in one] for one in runs]
    assert fast["each"] == pytest.approx([b - a for a, b in zip(*values, strict=True)])
    assert found["same_rows"]
    page = (tmp_path / "out/report.html").read_text()
    assert "<svg" in page
    assert "train.lr=0.01" in page
    with pytest.raises(RunError, match="trials of another recipe"):
        ablate(recipe.model_copy(update={"seed": 9}), switches, seeds=[0], out=tmp_path / "out", tell=tell)
    is_listed_and_says_what_it_is(tmp_path / "out", page)


def test_a_switch_is_left_out_where_it_changes_nothing_with_any_seed(tmp_path, monkeypatch):
    trained = []
    idle = {("soup", 0), ("never", 0), ("never", 1)}
    monkeypatch.setattr(ablating, "facts", lambda *_: {})
    monkeypatch.setattr(ablating, "refuse_changed", lambda *_: None)
    monkeypatch.setattr(ablating, "_folder", lambda _, variant, seed: (variant, seed))
    monkeypatch.setattr(ablating, "_idle", lambda folder, _: "it changes nothing" if folder in idle else "")

    def tried(trial, *_):
        trained.append((trial.variant, trial.seed))
        return "refused" if trial.variant == "odd" else ""

    monkeypatch.setattr(ablating, "_tried", tried)
    switches = dict.fromkeys(("baseline", "soup", "never", "odd"), ())
    skipped, seeds = ablating._train_all(switches, [0, 1], tmp_path, lambda *_: None)
    assert (skipped, seeds) == ({"odd": "refused", "never": "it changes nothing"}, [0, 1])
    assert ("odd", 1) not in trained
    trained.clear()
    skipped, seeds = ablating._train_all(dict.fromkeys(("baseline", "odd"), ()), [0, 1, 2], tmp_path, lambda *_: None)
    assert (skipped, seeds, trained) == ({"odd": "refused"}, [0], [("baseline", 0), ("odd", 0)])


def is_listed_and_says_what_it_is(out, page):
    """Whether commands that take runs know what an ablation is."""
    (listed,) = list_runs(out.parent)
    assert (listed.name, listed.status, listed.model) == ("out", "done", "(ablation)")
    said = CliRunner().invoke(app, ["compare", str(out), str(out)])
    assert "this is an ablation" in str(said.exception)
    named = said.exception.problems[0].fix.split()[-2:]
    assert named == [str(out / "runs" / name) for name in ("baseline-seed0", "fast-seed1")]
    assert CliRunner().invoke(app, ["compare", *named]).exit_code == 0
    again = CliRunner().invoke(app, ["train", "--resume", str(out)])
    assert isinstance(again.exception, RunError)
    (out / "report.html").unlink()
    assert CliRunner().invoke(app, ["report", str(out)]).exit_code == 0
    assert (out / "report.html").read_text() == page


@pytest.fixture
def begun(rows, tmp_path):
    """A recipe on files of its own, and a folder in which its ablation was begun."""
    files = [tmp_path / path.name for path in rows]
    for old, new in zip(rows, files, strict=True):
        new.write_bytes(old.read_bytes())
    arguments = {"data.path": [str(files[0])], "data.test": [str(files[1])], **FEW}
    recipe, _ = compose(file=None, overrides=(), arguments=arguments)
    with pytest.raises(KeyboardInterrupt):
        ablate(recipe, {"fast": ("train.lr=0.01",)}, seeds=[0], out=tmp_path / "out", tell=stop)
    return recipe, tmp_path / "out"


def stop(trial, what):
    raise KeyboardInterrupt


def test_trials_of_other_data_are_not_mixed(begun, tmp_path):
    recipe, out = begun
    assert Run.open(out).status == "interrupted"
    with pytest.raises(RunError, match="this is an ablation"):
        start.resume(out)
    with pytest.raises(RunError, match=r"never overwritten.*go on: repeat the command that it was begun with"):
        Run.refuse_taken(out)
    whole = (tmp_path / "train.csv").read_bytes()
    write_csv(tmp_path / "train.csv", sentences(80))
    with pytest.raises(RunError, match="the data changed") as raised:
        ablate(recipe, {"fast": ("train.lr=0.01",), "odd": ("train.mixout=0.1",)}, seeds=[0], out=out, tell=stop)
    assert str(raised.value.problems[0].where) == str(tmp_path / "train.csv")
    (tmp_path / "train.csv").write_bytes(whole)
    with pytest.raises(KeyboardInterrupt):
        ablate(recipe, {"fast": ("train.lr=0.01",)}, seeds=[0], out=out, tell=stop)


def test_data_that_changes_between_trials_ends_them(begun, tmp_path, monkeypatch):
    recipe, out = begun

    def train(trial, *_):
        assert trial.variant == "baseline"
        write_csv(tmp_path / "test.csv", sentences(40, seed=8))
        return ""

    monkeypatch.setattr(ablating, "_train", train)
    with pytest.raises(RunError, match="the data changed"):
        ablate(recipe, {"fast": ("train.lr=0.01",)}, seeds=[0], out=out, tell=lambda *_: None)


def test_an_ablation_that_is_done_stays_so_where_it_is_refused_to_go_on(begun, tmp_path):
    recipe, out = begun
    Run(out).update_manifest({"trials": ["runs/baseline-seed0"]})
    Run(out).mark("done")
    before = Run(out).manifest
    with Run(out).lock(), pytest.raises(RunError, match="another process is writing"):
        ablate(recipe, {}, seeds=[0], out=out, tell=stop)
    write_csv(tmp_path / "train.csv", sentences(80))
    with pytest.raises(RunError, match="the data changed"):
        ablate(recipe, {"odd": ("train.mixout=0.1",)}, seeds=[0], out=out, tell=stop)
    assert Run(out).manifest == before
    assert not (out / "trials/odd.json").exists()


def test_an_ablation_whose_baseline_can_not_be_trained_has_failed(begun, monkeypatch):
    recipe, out = begun
    monkeypatch.setattr(ablating, "_train", lambda *_: "no memory")
    with pytest.raises(RunError, match="the baseline can't be trained: no memory"):
        ablate(recipe, {}, seeds=[0], out=out, tell=stop)
    assert (Run(out).status, Run(out).manifest["reason"]) == ("failed", "the baseline can't be trained: no memory")


def test_a_run_does_not_become_an_ablation(begun, tmp_path):
    recipe, _ = begun
    run = Run.create(tmp_path / "run")
    run.save_recipe(to_yaml(recipe))
    run.mark("done")
    before = run.manifest
    with pytest.raises(RunError, match="holds something else"):
        ablate(recipe, {}, seeds=[0], out=run.folder, tell=stop)
    assert run.manifest == before


def test_each_file_is_read_once_for_all_variants(begun, monkeypatch):
    read = []
    monkeypatch.setattr(trials, "sha256", lambda file: read.append(file.name) or "0")
    found = trials.facts(begun[1], {"baseline": (), "one": ("train.lr=0.1",), "other": ("train.mixout=0.1",)})
    assert read == ["train.csv", "test.csv"]
    assert [len(one["files"]) for one in found.values()] == [2, 2, 2]


def test_a_switch_that_means_something_else_now_is_refused(begun):
    recipe, out = begun
    with pytest.raises(RunError, match="the trials of fast in this folder have other settings"):
        ablate(recipe, {"fast": ("train.lr=0.02",)}, seeds=[0], out=out, tell=stop)


def test_trials_that_could_not_be_measured_are_not_begun(rows, tmp_path):
    arguments = {"data.path": [str(rows[0])], "data.split.test": 0.0, **FEW}
    recipe, _ = compose(file=None, overrides=(), arguments=arguments)
    with pytest.raises(RecipeError, match="no test rows") as raised:
        ablate(recipe, {"fast": ("train.lr=0.01",)}, seeds=[0], out=tmp_path / "out", tell=stop)
    assert "--test FILE" in raised.value.problems[0].fix
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["tasks", "stages"])
def test_recipes_of_several_trainings_are_refused_by_name(kind, rows, tmp_path):
    recipe = tmp_path / "several.yaml"
    recipe.write_text(json.dumps({kind: {"one": str(rows[0]), "other": str(rows[1])}}))
    said = CliRunner().invoke(app, ["ablate", "-c", str(recipe), "--switch", "rdrop"])
    assert "an ablation is of one training" in str(said.exception)


def test_the_command_prints_what_was_found(rows, tmp_path, monkeypatch):
    found = {
        "metric": "macro_f1", "seeds": [0, 1], "same_rows": True, "skipped": {}, "tried": ["rdrop"],
        "baseline": {"value": 0.5, "each": [0.4, 0.6], "seconds": 1.0, "memory_bytes": 1.0},
        "switches": {"rdrop": {"settings": ["objectives.rdrop=true"], "times_seconds": 2.0, "times_memory": 1.5,
                               "value": 0.031, "low": 0.01, "high": 0.05, "each": [0.03, 0.032], "verdict": "helps"}},
    }  # fmt: skip
    monkeypatch.setattr(ablating, "ablate", lambda *_, **__: found)
    said = CliRunner().invoke(app, ["ablate", str(rows[0]), "--switch", "rdrop", "--out", str(tmp_path / "out")])
    assert said.exit_code == 0, said.output
    assert "+3.1" in said.output
    assert "Helps: rdrop." in said.output
    assert "x 2.00" in said.output
    found["switches"].clear()
    arguments = ["ablate", str(rows[0]), "--switch", "rdrop", "--out", str(tmp_path / "out")]
    assert CliRunner().invoke(app, arguments).exit_code == 0, "it was tried, and changed nothing"
    found["tried"].clear()
    said = CliRunner().invoke(app, arguments)
    assert said.exit_code == 1, "nothing was tried"
    assert "No switch was measured: all are left out." in said.output and "shows" not in said.output


def test_the_picture_has_room_for_names_and_the_unit_of_the_table(tmp_path):
    one = {"settings": [], "times_seconds": 1.0, "times_memory": 1.0, "verdict": "helps"}
    one |= {"value": 0.048, "low": 0.01, "high": 0.1}
    names = ["train.freeze=2 layers + train.mixout=0.3", "objectives.rdrop=true + " * 3 + "lora"]
    base = {"value": 0.5, "each": [0.5], "seconds": 1.0, "memory_bytes": 1.0}
    found = {"metric": "macro_f1", "seeds": [0], "skipped": {}, "baseline": base}
    write_page(tmp_path / "page.html", {**found, "switches": dict.fromkeys(names, one)}, title="mine")
    text = (tmp_path / "page.html").read_text()
    drawn = re.findall(r'<text x="([\d.]+)" y="\d+" text-anchor="end">([^<]*)</text>', text)
    assert drawn[0][1] == names[0] and "…" in drawn[1][1]
    assert all(6 * len(name) <= float(x) for x, name in drawn)
    assert f"<title>{names[1]}: +4.8 (+1 to +10)</title>" in text
    assert ">+10</text>" in text and ">+0.1</text>" not in text


def test_what_may_be_hidden_is_said():
    one = {"value": -0.2, "low": -0.4, "high": 0.1, "verdict": "no visible effect"}
    other = {"value": 0.1, "low": 0.05, "high": 0.6, "verdict": "helps"}
    said = sentence({"metric": "macro_f1", "seeds": [0, 1], "switches": {"lora": one, "eda": other}})
    assert said.startswith("Helps: eda. Where none is visible, one of up to 40.0 may be hidden")
    assert sentence({"metric": "macro_f1", "seeds": [0, 1], "switches": {"eda": other}}) == "Helps: eda."


def test_an_interrupted_trial_has_the_time_to_save_what_it_has(tmp_path):
    """The training gets one Ctrl-C from the ablation, which waits for it."""
    inner = (
        "import signal, time\n"
        "def end(*_):\n"
        "    signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "    time.sleep(1); print('saved', flush=True); raise SystemExit(130)\n"
        "signal.signal(signal.SIGINT, end); print('begun', flush=True); time.sleep(60)\n"
    )
    (tmp_path / "inner.py").write_text(inner)
    outer = (
        "import signal, sys\nfrom pathlib import Path\nfrom tunesmith.workflow import ablate\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # which tests in the background don't have
        f"print(ablate._run([sys.executable, {str(tmp_path / 'inner.py')!r}], Path({str(tmp_path / 'log.txt')!r})))"
    )
    with subprocess.Popen([sys.executable, "-c", outer], stdout=subprocess.PIPE, text=True) as process:
        log = tmp_path / "log.txt"
        while not (log.exists() and "begun" in log.read_text()) and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.communicate()[0].strip() == "130"
    assert log.read_text().split() == ["begun", "saved"]


def test_all_misspelt_switches_are_told_at_once(rows):
    named = ["--switch", "rdrob", "--switch", "train.mixxout=1", "--switch", "lora + dora", "--switch", "fgm"]
    said = CliRunner().invoke(app, ["ablate", str(rows[0]), *named])
    told = [problem.message for problem in said.exception.problems]
    assert told == ["there is no such switch", "unknown setting", "model.adapt.kind can't be both lora and dora"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no switch is named"),
        (["--switch", "rdrob"], "no such switch"),
        (["--switch", "train.mixxout=1"], "unknown setting"),
        (["--switch", "rdrop", "--seeds", "1;2"], "is no list of seeds"),
        (["--switch", "rdrop", "--seeds", "0,1,0"], "a seed stands twice"),
        (["--switch", "rdrop", "--seeds", "0,-1"], "a seed is 0 or more"),
        (["--switch", "model.source=./typo"], "no such model folder"),
        (["--switch", "rdrop", "--test", "nowhere.csv"], "no such file"),
    ],
)
def test_mistakes_are_told_before_anything_is_trained(rows, tmp_path, arguments, message):
    said = CliRunner().invoke(app, ["ablate", str(rows[0]), *arguments, "--out", str(tmp_path / "out")])
    assert message in str(said.exception)
    assert not (tmp_path / "out").exists()
