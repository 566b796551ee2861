"""Numbers for texts: read from messy cells, learnt on their own scale, the same in every way of use."""

import csv
import json
import random

import numpy as np
import pytest
import transformers

import tunesmith as ts
from tests.tiny import BAD, GOOD, OTHER
from tests.workflow.small import ended_after, prepared, quick, write_table
from tunesmith.core.errors import DataError
from tunesmith.data.table import Table
from tunesmith.inference.predictor import Predictor
from tunesmith.tasks import TASKS
from tunesmith.workflow.compare import compare
from tunesmith.workflow.evaluate import evaluate
from tunesmith.workflow.predict import predict_file


def scored(n, *, seed=0):
    """Return texts with two numbers: 100 plus their good words less their bad ones, and a tenth of their length."""
    rng = random.Random(seed)
    rows = []
    for _ in range(n):
        good, bad = rng.randint(0, 4), rng.randint(0, 4)
        words = [*rng.choices(OTHER, k=rng.randint(4, 9)), *rng.choices(GOOD, k=good), *rng.choices(BAD, k=bad)]
        rng.shuffle(words)
        rows.append((" ".join(words), 100 + 2.5 * (good - bad) + rng.random(), len(words) / 10))
    return rows


def write(path, rows, header=("text", "score", "length")):
    return write_table(path, header, rows)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write(tmp_path_factory.mktemp("data") / "scores.csv", scored(200))


@pytest.fixture(scope="module")
def run(tiny, data, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "one"
    more = {"train.length": "6 epochs", "train.lr": 3e-3}
    return ts.train(data, out=out, **quick(tiny, **more))


@pytest.fixture(scope="module")
def several(tiny, data, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "two"
    return ts.train(data, label="score, length", out=out, **quick(tiny))


def test_it_is_seen_that_numbers_are_to_be_learnt_and_they_are(run):
    assert run.run.origins["task.kind"]["origin"] == "chosen"
    assert 'different numbers in "score"' in run.run.origins["task.kind"]["reason"]
    assert run.metrics["pearson"] > 0.5
    assert run.metrics["mae"] < 5  # the mean is 100: on its own scale
    saved = run.run.metrics
    assert set(saved["baselines"]) == {"mean", "tfidf_ridge"}
    assert saved["baselines"]["mean"]["values"]["pearson"]["value"] is None
    assert saved["comparison"]["baseline"] == "tfidf_ridge"
    assert saved["splits"]["train"]["values"]["mae"]["value"] < 5


def test_transformers_gives_the_same_numbers(run):
    rows = list(run.run.predictions("test"))
    pipe = transformers.pipeline("text-classification", str(run.run.model_folder))
    said = [entry["score"] for entry in pipe([row["text"] for row in rows])]
    assert said == pytest.approx([row["predicted"] for row in rows], rel=1e-5)
    assert [p.value for p in run.predict([row["text"] for row in rows])] == pytest.approx(said, rel=1e-5)
    assert pipe.model.config.problem_type == "regression"


def test_transformers_gives_all_targets(several):
    rows = list(several.run.predictions("test"))[:5]
    assert set(rows[0]["predicted"]) == set(rows[0]["gold"]) == {"score", "length"}
    pipe = transformers.pipeline("text-classification", str(several.run.model_folder), top_k=None)
    for row, said in zip(rows, pipe([row["text"] for row in rows]), strict=True):
        assert {entry["label"]: entry["score"] for entry in said} == pytest.approx(row["predicted"], rel=1e-5)
    assert [one["target"] for one in several.run.metrics["splits"]["test"]["per_target"]] == ["score", "length"]


def test_predict_and_evaluate_files(run, several, tmp_path):
    path = write(
        tmp_path / "more.csv", [*scored(30, seed=5), ("good day", "", 1), ("", 100.5, 1), ("a film", "ten", 1)]
    )
    measured = evaluate(run.run, [str(path)], resamples=10)
    assert measured.metrics["n_rows"] == 30
    assert measured.ledger.counts("set aside") == {"no number": 1, "no text": 1, "not a number": 1}
    assert predict_file(Predictor.load(run.run.model_folder), str(path), out=tmp_path / "out.csv").n_rows == 33
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert [float(row["predicted"]) for row in rows[:30]] == pytest.approx([p.value for p in measured.said], rel=1e-5)
    predict_file(Predictor.load(several.run.model_folder), str(path), out=tmp_path / "two.jsonl")
    row = json.loads((tmp_path / "two.jsonl").read_text().splitlines()[0])
    assert {"predicted_score", "predicted_length"} < set(row)


def test_several_columns_are_named_when_they_are_measured(run, several, tmp_path):
    rows = scored(30, seed=5)
    plain = write(tmp_path / "plain.csv", rows)
    wanted = evaluate(several.run, [str(plain)], resamples=10).metrics["values"]
    assert evaluate(several.run, [str(plain)], label="length, score", resamples=10).metrics["values"] == wanted
    path = write(tmp_path / "gold.csv", rows, header=("text", "gold score", "gold length"))
    assert evaluate(several.run, [str(path)], label="gold score, gold length", resamples=10).metrics["values"] == wanted
    with pytest.raises(DataError, match="1 column named, and the model learnt 2: score, length"):
        evaluate(several.run, [str(path)], label="gold score")
    with pytest.raises(DataError, match="2 columns named, and the model learnt 1: score"):
        evaluate(run.run, [str(path)], label="gold score, gold length")
    with pytest.raises(DataError, match='no column "gold size"'):
        evaluate(several.run, [str(path)], label="gold score, gold size")


def test_compare_on_shared_rows(run, several, data, tiny, tmp_path):
    settings = quick(tiny, **{"train.length": "1 steps", "evaluate.baselines": False})
    weak = ts.train(data, out=tmp_path / "weak", **settings)
    found = compare([run.run, weak.run])
    assert found["best"] == "one"
    assert found["metric"] == "pearson"
    with pytest.raises(DataError):
        compare([run.run, several.run])


def test_what_is_said_fits_numbers(run, several):
    page, card = run.run.report_path.read_text(), (run.run.model_folder / "README.md").read_text()
    sentences = " ".join(run.run.metrics["verdict"]["sentences"])
    for said in (page, card, sentences):
        assert "Pearson correlation" in said
        for wrong in ("onfusion matrix", "Class by class", "emperature", "hese labels", "In 100 texts", "robabilities"):
            assert wrong not in said
    assert "points" not in sentences
    assert "%" not in sentences.replace("95%", "")
    assert "It gives each text a number: `score`." in card
    assert "ridge regression" in sentences
    page = several.run.report_path.read_text()
    assert "Target by target" in page
    assert "<td>length</td>" in page


def test_pairs_are_read(tiny, tmp_path):
    rows = [(a, b, 5 - abs(x - y) / 5) for (a, x, _), (b, y, _) in zip(scored(120), scored(120, seed=1), strict=True)]
    path = write(tmp_path / "sts.csv", rows, header=("sentence1", "sentence2", "score"))
    run = ts.train(
        path, out=tmp_path / "run", **quick(tiny, **{"evaluate.baselines": False, "train.length": "2 steps"})
    )
    assert run.predictor.task.columns == {"text": "sentence1", "text_pair": "sentence2"}
    (a, b) = run.predict([("good film", "good film"), ("good film", "awful day")])
    assert a.value != b.value


def test_interrupted_and_resumed_is_the_same(tiny, data, tmp_path, monkeypatch):
    settings = quick(tiny, **{"train.save_every": "2 steps", "evaluate.baselines": False})
    whole = ts.train(data, out=tmp_path / "whole", **settings)
    with pytest.raises(KeyboardInterrupt), ended_after(4, monkeypatch):
        ts.train(data, out=tmp_path / "run", **settings)
    again = ts.resume(tmp_path / "run")
    texts = ["good film", "awful bad day"]
    assert [p.value for p in again.predict(texts)] == [p.value for p in whole.predict(texts)]


def test_a_constant_is_refused(tmp_path):
    path = write(tmp_path / "same.csv", [(text, 3.5, 1) for text, _, _ in scored(30)])
    with pytest.raises(DataError, match="every row has the same number"):
        prepared(path, **{"task.kind": "regression", "task.label": "score"})
    with pytest.raises(DataError, match="every row has the same number") as raised:
        prepared(path, **{"task.kind": "regression", "task.label": "length"})
    assert raised.value.problems[0].where.column == "length"


def test_messy_numbers_are_read_or_set_aside(tmp_path):
    cells = ["4,5 stars", "4.5 stars", "1 star", "3", "2.5", "n/a", "many", "80%", "4.1 stars"]
    rows = [(text, cells[i % len(cells)], 1) for i, (text, _, _) in enumerate(scored(90))]
    found = prepared(write(tmp_path / "stars.csv", rows), **{"task.kind": "regression", "task.label": "score"})
    numbers = {value for table in found.tables.values() for (value,) in table["score"]}
    assert numbers == {4.5, 1.0, 3.0, 2.5, 4.1}
    assert found.ledger.counts("set aside") == {"no number": 10, "not a number": 10, "number in another unit": 10}
    assert found.ledger.counts("changed") == {"number rewritten": 40}


def test_numbers_far_from_all_others_are_said(tmp_path):
    rows = [(text, 999 if i == 7 else round(score, 2), 1) for i, (text, score, _) in enumerate(scored(60))]
    found = prepared(write(tmp_path / "far.csv", rows))
    (note,) = (note for note in found.notes if note.topic == "far values")
    assert note.message == '1 value lies far from all others in "score": 999'
    assert [place.row for place in note.places] == [9]  # the header is row 1


@pytest.mark.parametrize(
    ("cells", "is_score"),
    [
        ([f"{i / 7:.2f}" for i in range(40)], True),
        ([f"{i / 7:.2f}".replace(".", ",") for i in range(40)], True),
        ([f"{i % 17 / 4:g} / 5" for i in range(40)], True),
        ([i / 7 for i in range(40)], True),
        ([7 * i % 1009 for i in range(40)], True),
        (list(range(40)), False),  # the numbers of the rows
        ([i % 5 + 1 for i in range(40)], False),
        ([f"{i % 5 + 1}.0" for i in range(40)], False),
        ([f"{i % 10 / 2 + 0.5:g}" for i in range(40)], False),  # half stars
        ([str(i % 15) for i in range(40)], False),
        (["a", "b"] * 20, False),
        ([[0.1 * i] for i in range(40)], False),
    ],
)
def test_what_is_taken_for_scores(cells, is_score):
    table = Table.of({"text": [f"text number {i} of some length" for i in range(40)], "label": cells})
    assert bool(TASKS["text-regression"].recognises(table, text="auto", label="label")) is is_score


def test_a_name_that_is_wrong_is_said(data):
    with pytest.raises(DataError, match='no column "lenght"'):
        prepared(data, **{"task.kind": "regression", "task.label": "score, lenght"})


def test_standardised_targets_are_what_is_learnt(data):
    task = prepared(data).task
    table = Table.of({"score": [(100.0,), (110.0,)]})
    said = task.predictions(np.array(task.numbers(table)), table)
    assert [p.value for p in said] == pytest.approx([100, 110])
