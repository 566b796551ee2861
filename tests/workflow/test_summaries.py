"""Summaries from models that were made to write: T5 and BART learn, resume, are measured, predict, open elsewhere."""

import json
import random

import pytest
import torch
import transformers

import tunesmith as ts
from tests.tiny import GOOD, OTHER
from tests.workflow.small import ended_after
from tests.writers import TRANSLATED, tiny_writer, write_jsonl
from tunesmith.workflow.evaluate import evaluate
from tunesmith.workflow.predict import predict_file

SETTINGS = {
    "task.kind": "summarization",
    "train.length": "150 steps",
    "train.step_size": "32 rows",
    "train.lr": 1e-2,
    "train.layer_decay": 1.0,
    "evaluate.every": "50 steps",
    "evaluate.resamples": 20,
    "task.num_beams": 2,
    "data.duplicates": "keep",
    "data.split.dev": 0.1,
    "data.split.test": 0.1,
}


def articles(n, *, seed=0):
    """Return texts whose summary is in two of their words, among others that say nothing."""
    rng = random.Random(seed)
    rows = []
    for _ in range(n):
        first, second = rng.choices(GOOD, k=2)
        text = [first, *rng.choices(OTHER, k=rng.randint(1, 4)), second, *rng.choices(OTHER, k=rng.randint(1, 4))]
        rows.append({"article": " ".join(text), "summary": f"{TRANSLATED[first]} {TRANSLATED[second]}"})
    return rows


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_jsonl(tmp_path_factory.mktemp("data") / "articles.jsonl", articles(400))


@pytest.fixture(scope="module", params=("t5", "bart"))
def model(request, tmp_path_factory):
    return tiny_writer(tmp_path_factory.mktemp("models") / request.param, request.param)


@pytest.fixture(scope="module")
def run(model, data, tmp_path_factory):
    return ts.train(data, model=str(model), out=tmp_path_factory.mktemp("runs") / "run", settings=SETTINGS)


def test_it_learns_and_what_is_said_fits_summaries(run):
    saved = run.run.metrics
    assert run.run.recipe_text.count("kind: summarization") == 1
    assert run.metrics["rouge1"] > 0.5  # by chance: 0.23 of two words of eight
    assert set(saved["baselines"]) == {"lead"}
    assert (saved["main"], saved["judged"]) == ("rougeL", "perplexity")
    assert saved["splits"]["dev"]["values"]["perplexity"]["low"] is not None
    sentences = " ".join(saved["verdict"]["sentences"])
    assert "perplexity on training rows" in sentences
    assert "no training rows" not in sentences
    assert "Label more" not in " ".join(saved["verdict"]["try_next"])


def test_evaluate_and_predict_give_what_the_run_gave(run, tmp_path):
    said = list(run.run.predictions("test"))
    rows = [{"article": row["text"], "summary": row["gold"]} for row in said]
    measured = evaluate(run.run, [str(write_jsonl(tmp_path / "new.jsonl", rows))], resamples=10)
    for name in ("rouge1", "rougeLsum"):
        assert measured.metrics["values"][name]["value"] == pytest.approx(run.metrics[name])
    only = write_jsonl(tmp_path / "only.jsonl", [{"article": row["text"]} for row in said])
    assert predict_file(run.predictor, str(only), out=tmp_path / "out.jsonl").n_rows == len(said)
    written = [json.loads(line)["predicted"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert written == [row["predicted"] for row in said]


def test_transformers_alone_writes_the_same(run):
    rows = list(run.run.predictions("test"))[:12]
    tokenizer = transformers.AutoTokenizer.from_pretrained(run.run.model_folder)
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(run.run.model_folder)
    read = tokenizer([row["text"] for row in rows], return_tensors="pt", padding=True, return_token_type_ids=False)
    assert (model.generation_config.num_beams, model.generation_config.no_repeat_ngram_size) == (2, 3)
    said = tokenizer.batch_decode(model.generate(**read), skip_special_tokens=True)
    assert said == [row["predicted"] for row in rows]


def test_resumed_it_is_the_same(model, data, tmp_path, monkeypatch):
    short = {"train.length": "6 steps", "train.save_every": "2 steps", "evaluate.every": "3 steps"}
    settings = {**SETTINGS, **short, "evaluate.baselines": False}
    whole = ts.train(data, model=str(model), out=tmp_path / "whole", settings=settings)
    with pytest.raises(KeyboardInterrupt), ended_after(4, monkeypatch):
        ts.train(data, model=str(model), out=tmp_path / "cut", settings=settings)
    again = ts.resume(tmp_path / "cut")
    one, other = (run.predictor.model.state_dict() for run in (whole, again))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert list(whole.run.predictions("test")) == list(again.run.predictions("test"))
