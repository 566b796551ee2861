"""Two texts a row: found by their names, read with their types and in windows, the same in every way of use."""

import csv
import json
import random

import numpy as np
import pytest
import transformers

import tunesmith as ts
from tests.tiny import sentences
from tunesmith.core.errors import DataError
from tunesmith.inference.predictor import Predictor
from tunesmith.models.source import Source
from tunesmith.models.spec import ModelSpec
from tunesmith.models.tokenize import load_tokenizer
from tunesmith.workflow.evaluate import evaluate
from tunesmith.workflow.predict import predict_file


def write_pairs(path, n, *, seed=0):
    ones, others = sentences(n, seed=seed), sentences(n, seed=seed + 1)
    random.Random(seed).shuffle(others)
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "premise", "hypothesis", "label"])
        for i, ((a, x), (b, y)) in enumerate(zip(ones, others, strict=True)):
            writer.writerow([i, a, b, "same" if x == y else "other"])
    return path


@pytest.fixture(scope="module")
def run(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    data = write_pairs(folder / "nli.csv", 160)
    settings = {"train.length": "8 steps", "evaluate.resamples": 20, "data.split.dev": 0.1}
    return ts.train(data, model=str(tiny), out=folder / "run", settings=settings)


def test_the_columns_are_known_by_their_names(run):
    task = run.predictor.task
    assert task.columns == {"text": "premise", "text_pair": "hypothesis"}
    assert any('text columns "premise" and "hypothesis", a pair' in note.message for note in run.run.notes)


def test_both_texts_are_read(run):
    (a, _), (b, _) = sentences(2, seed=9)
    one, other = run.predict([(a, b), (a, "awful bad sad")])
    assert one.probabilities != other.probabilities
    (named,) = run.predict([{"premise": a, "hypothesis": b}])
    assert named.probabilities == pytest.approx(one.probabilities, abs=1e-5)
    with pytest.raises(DataError, match="1 texts where the model reads 2"):
        run.predict(["alone"])


def test_transformers_gives_the_same(run):
    rows = list(run.run.predictions("test"))[:8]
    pipe = transformers.pipeline("text-classification", str(run.run.model_folder), top_k=None)
    found = pipe([{"text": row["text"], "text_pair": row["text_pair"]} for row in rows])
    for row, said in zip(rows, found, strict=True):
        shares = {entry["label"]: entry["score"] for entry in said}
        assert shares == pytest.approx(row["probabilities"], abs=1e-4)


def test_evaluate_and_predict_find_both_columns(run, tmp_path):
    data = write_pairs(tmp_path / "more.csv", 30, seed=5)
    measured = evaluate(run.run, [str(data)], resamples=10)
    assert measured.metrics["n_rows"] == 30
    predictor = Predictor.load(run.run.model_folder)
    assert predict_file(predictor, str(data), out=tmp_path / "out.jsonl").n_rows == 30
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["predicted"] for row in rows] == [said.label for said in measured.said]


def test_long_pairs_lose_nothing_in_windows(tiny):
    tokenizer = load_tokenizer(Source("tiny", tiny), ModelSpec())
    a, b = list(range(1000, 1060)), list(range(2000, 2010))
    pieces = tokenizer.pieces(a, b, policy="windows")
    assert all(len(p.ids) <= tokenizer.max_tokens and len(p.types) == len(p.ids) for p in pieces)
    assert all(set(b) <= set(p.ids) for p in pieces)
    assert set(a) <= {i for p in pieces for i in p.ids}
    both = tokenizer.pieces(a, [i + 1000 for i in a], policy="windows")
    assert {i for p in both for i in p.ids} >= {*a, *(i + 1000 for i in a)}
    (one,) = tokenizer.pieces(a, b, policy="head")
    assert len(one.ids) == tokenizer.max_tokens
    assert set(b) <= set(one.ids)


def test_pieces_are_what_the_tokenizer_itself_makes(tiny):
    tokenizer = load_tokenizer(Source("tiny", tiny), ModelSpec())
    plain = tokenizer.plain("good film", "a sad day")
    (piece,) = tokenizer.pieces(*tokenizer.ids(["good film", "a sad day"]), policy="head")
    assert piece.ids == plain["input_ids"]
    assert piece.types == plain["token_type_ids"]
    assert np.array_equal(tokenizer.pieces(*tokenizer.ids(["good film"]), policy="head")[0].types, [])
