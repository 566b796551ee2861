"""What stands on the screen once a training is over."""

import io
import re
import shutil

from rich.console import Console

import tunesmith as ts
from tunesmith.cli import show
from tunesmith.cli.train import ending, how_training_ended
from tunesmith.run.card import model_card
from tunesmith.run.folder import Run
from tunesmith.run.report.page import content, metric_rows


def printed(function, *args, **more):
    console = Console(width=300, record=True, highlight=False, file=io.StringIO())
    function(console, *args, **more)
    return console.export_text()


def changed(trained, tmp_path, **fields):
    shutil.copytree(trained.folder, tmp_path / "my run")
    run = Run.open(tmp_path / "my run")
    run.update_manifest(fields)
    return run


def test_patience_that_ended_training_is_said(tiny, reviews, tmp_path):
    settings = {
        "train.length": "30 epochs", "train.lr": 1e-9, "data.split.dev": 0.2, "evaluate.patience": 2,
        "evaluate.every": "1 epochs", "evaluate.resamples": 20, "evaluate.baselines": False,
    }  # fmt: skip
    run = ts.train(reviews, model=str(tiny), out=tmp_path / "run", settings=settings).run
    manifest = run.manifest
    assert manifest["reason"] == "patience"
    said = how_training_ended(run)
    epochs = round(manifest["step"] / manifest["steps"] * 30)
    assert said == (
        f"Training stopped at epoch {epochs} of 30: no gain in 2 measurements; the weights of step "
        f"{manifest['best_step']} were kept."
    )
    assert said in printed(ending, run)


def test_a_training_to_the_end_says_only_what_is_unexpected(trained, tmp_path):
    step = trained.run.manifest["step"]
    run = changed(trained, tmp_path, reason="", best_step=step)
    assert how_training_ended(run) == ""
    run.update_manifest({"best_step": 3})
    assert how_training_ended(run) == "Trained to the end; the weights of step 3 were kept, the best on dev rows."


def test_the_next_steps_are_those_of_the_reader(trained, tmp_path):
    run = changed(trained, tmp_path)
    said = printed(ending, run)
    assert "YOUR.csv" not in said
    assert f"tunesmith predict '{run.folder}' NEW.csv" in said
    assert "tunesmith train YOUR.csv" in printed(ending, run, more=["tunesmith train YOUR.csv"])


def test_micro_f1_is_not_shown_where_it_is_accuracy(trained):
    metrics = trained.run.metrics
    assert "micro_f1" in metrics["splits"]["test"]["values"]
    said = printed(show.numbers, metrics)
    assert "Accuracy" in said and "Micro F1" not in said
    metrics["splits"]["test"]["values"]["micro_f1"]["value"] = 0.123
    metrics["splits"]["test"]["n_rows"] = 1
    said = printed(show.numbers, metrics)
    assert "Micro F1" in said and "1 test row " in said


def test_a_value_that_is_undefined_is_shown_with_its_reason(trained, tmp_path):
    metrics = trained.run.metrics
    nothing = {"value": None, "low": None, "high": None, "reason": "no entity was found"}
    metrics["splits"]["test"]["values"]["entity_precision"] = nothing
    assert re.search(r"Entity precision +- +no entity was found", printed(show.numbers, metrics))
    row = next(row for row in metric_rows(metrics, "test") if row["title"] == "Entity precision")
    assert (row["value"], row["range"], row["interval"]) == ("-", "no entity was found", None)
    run = changed(trained, tmp_path)
    run.save_metrics({**metrics, "main": "entity_precision"})
    assert content(run)["headline_range"] == "no entity was found"
    assert "| Entity precision | - | no entity was found |" in model_card(run)
