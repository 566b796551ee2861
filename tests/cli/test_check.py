"""`tunesmith check` on every sample, every task and every form of row."""

import json
from importlib.resources import as_file, files

import pytest
from typer.testing import CliRunner

from tests.tiny_writers import write_rows
from tunesmith.cli.main import app
from tunesmith.samples import SAMPLES
from tunesmith.tasks import TASKS

PLACES = ("task.text", "task.label")


def check(path, task, tiny, *settings):
    named = [word for one in (f"model.source={tiny}", *settings) for word in ("--set", one)]
    return CliRunner().invoke(app, ["check", str(path), "--task", task, *named], catch_exceptions=False)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_samples(name, tiny):
    sample = SAMPLES[name]
    kind = sample.settings.get("task.kind") or KINDS[name]
    of_data = [f"{key}={json.dumps(value)}" for key, value in sample.settings.items() if key.startswith("data.")]
    columns = [f"{key}={sample.settings[key]}" for key in PLACES if key in sample.settings]
    with as_file(files("tunesmith.samples") / sample.file) as path:
        done = check(path, kind, tiny, *of_data, *columns)
    assert done.exit_code == 0, done.output
    assert f"task: {kind}\n" in done.output
    assert "\nNext:\n  tunesmith train" in done.output


KINDS = {
    "classification": "text-classification",
    "qa": "question-answering",
    "multilabel": "multi-label-classification",
    "regression": "text-regression",
}
"""Of the samples whose task is seen."""


def test_every_task_has_a_sample():
    assert {sample.settings.get("task.kind") or KINDS[name] for name, sample in SAMPLES.items()} == set(TASKS)


FORMS = {
    "text": lambda i: {"text": f"The film of day {i} was long."},
    "prompts": lambda i: {"prompt": f"How was day {i}?", "completion": f"It was long, {i} hours."},
    "alpaca": lambda i: {"instruction": "Add one.", "input": str(i), "output": f"That makes {i + 1}."},
    "chat": lambda i: {
        "messages": [{"role": "user", "content": f"And {i}?"}, {"role": "assistant", "content": f"{i} is fine."}]
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_rows_that_are_written_on(form, tiny, tmp_path):
    data = write_rows(tmp_path / "rows.jsonl", [FORMS[form](i) for i in range(30)])
    done = check(data, "text-generation", tiny, "task.max_tokens=4")
    assert done.exit_code == 0, done.output
    assert "all 30 rows used" in done.output
    assert "longer than 4 tokens: " in done.output
    assert "they are read in overlapping windows, nothing is cut" in " ".join(done.output.split())


def test_a_model_that_does_not_fit_is_said_beside_what_was_found_in_the_data(tiny, tmp_path):
    rows = [{"source": f"good film {i}", "target": f"sad book {i}"} for i in range(30)]
    data = write_rows(tmp_path / "rows.jsonl", [*rows, {"source": "", "target": "long"}])
    done = check(data, "translation", tiny, "task.source_language=xx")
    assert done.exit_code == 2
    assert "1 of 31 rows set aside: 1 no source" in done.output
    assert "x task.source_language: the model knows no such language  → leave it out" in done.output
    assert "Next:" not in done.output
