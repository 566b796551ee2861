import csv
import json
import shlex
from collections import Counter
from importlib.resources import as_file, files

import pytest
from typer.testing import CliRunner

from tests.guide import check_command
from tests.tiny import tiny_bert
from tunesmith.cli.main import app
from tunesmith.inference.predictor import Predictor
from tunesmith.recipe.compose import compose
from tunesmith.run.folder import Run
from tunesmith.samples import SAMPLES, find_sample
from tunesmith.workflow.prepare import prepare


@pytest.mark.parametrize(
    ("name", "task", "set_aside"),
    [
        ("multilabel", "multi-label-classification", {"no label": 2, "exact duplicate": 2, "no text": 1}),
        ("regression", "text-regression", {"no number": 2, "not a number": 1, "exact duplicate": 1}),
    ],
)
def test_the_task_of_a_sample_is_seen(name, task, set_aside):
    file, settings, _ = find_sample(name)
    with as_file(files("tunesmith.samples") / file) as path:
        recipe, _ = compose(file=None, overrides=[], arguments={"data.path": [str(path)], **settings})
        found = prepare(recipe)
    assert found.kind[0].kind == task
    assert found.ledger.counts("set aside") == set_aside
    assert sum(found.n_rows.values()) >= 250
    texts = [text for table in found.tables.values() for text in table[found.task.text]]
    beginnings = Counter(" ".join(text.lower().split()[:3]) for text in texts)
    assert beginnings.most_common(1)[0][1] <= 4


def test_the_sample_is_varied_and_has_something_for_the_check_to_say():
    with as_file(files("tunesmith.samples") / "support.csv") as path:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        recipe, _ = compose(file=None, overrides=[], arguments={"data.path": [str(path)]})
        found = prepare(recipe)
    assert len(rows) >= 600
    assert (found.task.text, found.task.label) == ("message", "intent")
    assert len(Counter(row["intent"] for row in rows).most_common(8)) == 8
    set_aside = found.ledger.counts("set aside")
    assert {"no label", "no text", "exact duplicate"} <= set(set_aside)
    topics = {note.topic for note in found.notes}
    assert {"label variants", "conflicting labels"} <= topics
    beginnings = Counter(
        " ".join(row["message"].lower().split()[:4]) for row in rows if len(row["message"].split()) > 4
    )
    assert beginnings.most_common(1)[0][1] <= 6


def test_the_sample_of_entities_is_varied_and_its_spans_are_whole_words():
    file, settings, _ = find_sample("ner")
    with as_file(files("tunesmith.samples") / file) as path:
        found = prepare(compose(file=None, overrides=[], arguments={"data.path": [str(path)], **settings})[0])
    assert found.n_read >= 300
    assert not list(found.ledger)
    texts = found.reading.tables["train"]["text"]
    spans = found.reading.tables["train"]["spans"]
    named = [(text[s["start"] : s["end"]], s["label"]) for text, row in zip(texts, spans, strict=True) for s in row]
    kinds = Counter(label for _, label in named)
    assert set(kinds) == {"person", "product", "place", "date"}
    assert min(kinds.values()) >= 80
    assert len(set(named)) > 0.7 * len(named)
    beginnings = Counter(" ".join(text.lower().split()[:4]) for text in texts)
    assert beginnings.most_common(1)[0][1] <= 6


def test_the_questions_are_read_whole_and_their_blemishes_are_found():
    sample = SAMPLES["qa"]
    with as_file(files("tunesmith.samples") / sample.file) as path:
        recipe, _ = compose(file=None, overrides=[], arguments={"data.path": [str(path)], **sample.settings})
        found = prepare(recipe)
    assert found.task.kind == "question-answering"
    assert found.n_read == 304
    assert found.ledger.counts("set aside") == {"answer not in the context": 1, "exact duplicate": 1}
    changed = found.ledger.counts("changed")
    assert changed == {"answer moved": 3, "answer not in the context": 1, "answer spelled as in the context": 1}
    contexts = [set(table["context"]) for table in found.tables.values()]
    assert len(set.union(*contexts)) == sum(map(len, contexts)) == 61
    assert found.task.null_threshold == 0.0


@pytest.mark.parametrize(("name", "n_rows"), [("translation", 1506), ("summarization", 1352)])
def test_the_samples_of_models_that_write_repeat_their_patterns_and_not_their_rows(name, n_rows):
    file, settings, question = find_sample(name)
    with as_file(files("tunesmith.samples") / file) as path:
        found = prepare(compose(file=None, overrides=[], arguments={"data.path": [str(path)], **settings})[0])
    assert found.n_read == n_rows
    assert not found.ledger.counts("set aside")
    texts = [text for table in found.tables.values() for text in table[found.task.text]]
    targets = [text for table in found.tables.values() for (text,) in table[found.task.label]]
    assert len(set(texts)) == n_rows
    assert question not in texts, "the demo's question is a new one"
    words = Counter(word for text in targets for word in text.lower().rstrip(".?").split())
    often = {word for word, n in words.items() if n >= 5}
    share = sum(all(word in often for word in text.lower().rstrip(".?").split()) for text in targets) / n_rows
    assert share > 0.7, "a new decoder finds each word often enough to learn it"


def test_the_notes_are_varied_and_all_used():
    for name in ("fill-mask", "text-generation"):
        file, settings, _ = find_sample(name)
        with as_file(files("tunesmith.samples") / file) as path:
            found = prepare(compose(file=None, overrides=[], arguments={"data.path": [str(path)], **settings})[0])
        assert found.task.kind == name
        assert found.n_read == 206 and not list(found.ledger)
        texts = [text for table in found.tables.values() for text in table[found.task.text]]
        beginnings = Counter(" ".join(text.lower().split()[:3]) for text in texts)
        assert beginnings.most_common(1)[0][1] <= 4


def a_few(file, folder):
    """Write the first rows of a sample into a folder."""
    text = (files("tunesmith.samples") / file).read_text(encoding="utf-8")
    few = folder / file
    if few.suffix == ".json":
        whole = json.loads(text)
        few.write_text(json.dumps({**whole, "data": whole["data"][:3]}), encoding="utf-8")
    else:
        few.write_text("\n".join(text.splitlines()[:20]) + "\n", encoding="utf-8")
    return few


@pytest.mark.parametrize("name", SAMPLES)
def test_a_demo_ends_with_a_report_a_model_predictions_and_commands_that_run(name, tmp_path, monkeypatch):
    """The whole command; only the model is a tiny one, and it makes two updates."""
    monkeypatch.chdir(tmp_path)
    source = tiny_bert(tmp_path / "tiny", max_tokens=128)
    sample = SAMPLES[name]
    quick = {"model.source": str(source), "train.length": "2 steps", "evaluate.resamples": 20}
    monkeypatch.setitem(SAMPLES, name, sample._replace(settings={**sample.settings, **quick}))

    done = CliRunner().invoke(app, ["demo", name], catch_exceptions=False)
    assert done.exit_code == 0
    run = Run.open(tmp_path / "runs" / f"{sample.file.partition('.')[0]}-1")
    assert (run.status, run.manifest["step"]) == ("done", 2)
    assert "2 updates" in run.report_path.read_text(encoding="utf-8")
    assert (run.model_folder / "model.safetensors").is_file() and (run.model_folder / "README.md").is_file()
    n_said = len(list(run.predictions("test")))
    assert n_said == run.metrics["splits"]["test"]["n_rows"] > 30

    said, _, following = done.output.partition("\nNext:\n")
    assert f"{n_said} test rows" in said
    lines = [line.strip() for line in following.splitlines()]
    assert len(lines) == 2 + bool(sample.question)
    few = a_few(sample.file, tmp_path).name
    for line in lines:
        assert check_command(line, folder=tmp_path) == 1
        asked, _, command = line.rpartition("tunesmith ")
        typed = shlex.split(command.replace("NEW.csv", few).replace("OTHER_LABELLED.csv", few))
        again = CliRunner().invoke(app, typed, input=f"{sample.question}\n" if asked else None, catch_exceptions=False)
        assert again.exit_code == 0 and again.output
    with (tmp_path / "labelled.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) > 5
    assert set(Predictor.load(run.model_folder).task.cell_names()) <= set(rows[0])
