"""Several labels a row: seen in the data, learnt as a yes or no each, the same in every way of use."""

import csv
import json
import random

import pytest
import torch
import transformers

import tunesmith as ts
from tests.tiny import BAD, GOOD, OTHER
from tests.workflow.small import ended_after, prepared, quick, write_table
from tunesmith.core.errors import DataError
from tunesmith.engine.batch import Batch
from tunesmith.inference.predictor import Predictor
from tunesmith.tasks import TASKS
from tunesmith.workflow.evaluate import evaluate
from tunesmith.workflow.predict import predict_file

TASK = "multi-label-classification"


def tagged(n, *, seed=0):
    """Return texts with labels that can be learnt from single words: good, bad, book; a fifth of them has none."""
    rng = random.Random(seed)
    rows = []
    for i in range(n):
        labels = [name for name in ("good", "bad", "book") if rng.random() < 0.4 and i % 5]
        words = rng.choices([word for word in OTHER if word != "book"], k=rng.randint(3, 9))
        words += rng.choices(GOOD, k=2) * ("good" in labels) + rng.choices(BAD, k=2) * ("bad" in labels)
        words += ["book"] * ("book" in labels)
        rng.shuffle(words)
        rows.append((" ".join(words), labels))
    return rows


def write(path, rows):
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps({"text": text, "labels": labels}) + "\n" for text, labels in rows))
        return path
    return write_table(path, ("text", "labels"), [(text, "|".join(labels)) for text, labels in rows])


def flags(labels, names):
    return [int(name in labels) for name in names]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write(tmp_path_factory.mktemp("data") / "tags.csv", tagged(240))


@pytest.fixture(scope="module")
def run(tiny, data, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "tags"
    return ts.train(
        data, out=out, **quick(tiny, **{"train.length": "6 epochs", "train.lr": 3e-3, "train.head_lr_factor": 1})
    )


def test_it_is_seen_in_the_data_and_learnt(run):
    saved = run.run.metrics
    assert run.run.origins["task.kind"]["value"] == TASK
    assert "several labels in one cell" in run.run.origins["task.kind"]["reason"]
    notes = {note.topic: note.message for note in run.run.notes}
    assert notes["separator"] == '"|" in a cell separates labels'
    assert 'empty cells in "labels": read as none of the labels' in notes["empty labels"]
    assert run.metrics["macro_f1"] > 0.5
    assert set(saved["baselines"]) == {"label_shares", "tfidf_labels"}
    assert saved["comparison"]["baseline"] in saved["baselines"]
    assert set(run.run.manifest["labels"]["test"]) == {"good", "bad", "book"}


def test_thresholds_are_tuned_and_saved(run):
    found, task = run.run.metrics["calibration"], run.predictor.task
    assert found["fitted_on"] == "dev"
    assert found["temperature"] != 1
    assert "log loss falls" in found["reason"]
    assert [found["thresholds"][name]["threshold"] for name in task.labels] == list(task.thresholds)
    assert all("F1" in one["reason"] for one in found["thresholds"].values())
    for said in run.predict([text for text, _ in tagged(20, seed=3)]):
        limits = dict(zip(task.labels, task.thresholds, strict=True))
        assert said.labels == [name for name in task.labels if said.probabilities[name] >= limits[name]]


def test_without_dev_rows_the_threshold_is_what_words_tell(tiny, data, tmp_path):
    def trained(name, **more):
        settings = {"train.length": "1 steps", "data.split.dev": 0, "evaluate.baselines": False, **more}
        return ts.train(data, out=tmp_path / name, **quick(tiny, **settings))

    run = trained("plain")
    found, limits = run.run.metrics["calibration"], run.predictor.task.thresholds
    assert (found["temperature"], found["fitted_on"]) == (1.0, None)
    assert len({*limits}) == 1
    assert 0 < limits[0] < 1
    assert limits[0] != 0.5
    assert {one["threshold"] for one in found["thresholds"].values()} == {*limits}
    assert all("words" in one["reason"] for one in found["thresholds"].values())
    for name, more in {
        "shaped": {"objectives.asymmetric": True},
        "weighted": {"task.class_weights": "balanced"},
    }.items():
        assert trained(name, **more).predictor.task.thresholds == (0.5,) * 3, "these move probabilities"


def test_transformers_gives_the_same(run):
    rows = list(run.run.predictions("test"))
    pipe = transformers.pipeline("text-classification", str(run.run.model_folder), top_k=None)
    assert pipe.model.config.problem_type == "multi_label_classification"
    for row, said in zip(rows, pipe([row["text"] for row in rows]), strict=True):
        assert {entry["label"]: entry["score"] for entry in said} == pytest.approx(row["probabilities"], abs=1e-4)
    again = run.predict([row["text"] for row in rows])
    assert [p.labels for p in again] == [row["predicted"] for row in rows]


def test_predict_and_evaluate_files(run, tmp_path):
    rows = [*tagged(30, seed=5), ("a film", ["unheard"]), ("", ["good"])]
    path = write(tmp_path / "more.csv", rows)
    measured = evaluate(run.run, [str(path)], resamples=10)
    assert measured.metrics["n_rows"] == 30
    assert measured.ledger.counts("set aside") == {"label the model does not know": 1, "no text": 1}
    predict_file(Predictor.load(run.run.model_folder), str(path), out=tmp_path / "out.csv")
    found = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert [json.loads(row["predicted"]) for row in found[:30]] == [said.labels for said in measured.said]
    assert {"p_good", "p_bad", "p_book"} < set(found[0])
    back = write(tmp_path / "lists.jsonl", [(text, labels) for text, labels in tagged(30, seed=5)])
    assert evaluate(run.run, [str(back)], resamples=10).metrics["values"] == measured.metrics["values"]


def test_lists_may_stand_in_columns_when_they_are_measured(run, tmp_path):
    rows = tagged(30, seed=5)
    lists = write(tmp_path / "lists.csv", rows)
    wanted = evaluate(run.run, [str(lists)], resamples=10).metrics["values"]
    names = ("good", "bad", "book")
    columns = [(text, *flags(labels, names)) for text, labels in rows]
    path = write_table(tmp_path / "flags.csv", ("text", *names), columns)
    assert evaluate(run.run, [str(path)], label="good, bad, book", resamples=10).metrics["values"] == wanted
    with pytest.raises(DataError, match="2 columns named, and the model learnt 3: bad, book, good"):
        evaluate(run.run, [str(path)], label="good,bad")
    other = write_table(tmp_path / "other.csv", ("text", "good", "bad", "books"), columns)
    with pytest.raises(DataError, match=r'the model has no label "books".*did you mean "book"'):
        evaluate(run.run, [str(other)], label="good, bad, books")


def test_what_is_said_fits_labels(run):
    page, card = run.run.report_path.read_text(), (run.run.model_folder / "README.md").read_text()
    sentences = " ".join(run.run.metrics["verdict"]["sentences"])
    for said in (page, card, sentences):
        assert "acro F1" in said
        for wrong in ("onfusion matrix", "Class by class", "one of these labels", "In 100 texts"):
            assert wrong not in said
    assert "Label by label" in page
    assert "Given from" in page
    assert "any number of labels" in card
    assert "`good`" in card


def test_interrupted_and_resumed_is_the_same(tiny, data, tmp_path, monkeypatch):
    settings = quick(tiny, **{"train.save_every": "2 steps", "evaluate.baselines": False})
    whole = ts.train(data, out=tmp_path / "whole", **settings)
    with pytest.raises(KeyboardInterrupt), ended_after(4, monkeypatch):
        ts.train(data, out=tmp_path / "run", **settings)
    again = ts.resume(tmp_path / "run")
    texts = [text for text, _ in tagged(8, seed=9)]
    assert [p.probabilities for p in again.predict(texts)] == [p.probabilities for p in whole.predict(texts)]
    assert again.predictor.task.thresholds == whole.predictor.task.thresholds


def test_columns_of_flags_and_pairs(tiny, tmp_path):
    names = ("good", "bad", "book")
    rows = [(a, b, *flags(x, names)) for (a, x), (b, _) in zip(tagged(120), tagged(120, seed=1), strict=True)]
    path = write_table(tmp_path / "flags.csv", ("sentence1", "sentence2", *names), rows)
    settings = quick(tiny, **{"train.length": "2 steps", "evaluate.baselines": False, "evaluate.calibrate": False})
    run = ts.train(path, out=tmp_path / "run", **settings)
    assert run.run.origins["task.kind"]["reason"] == "3 columns of 0 and 1: good, bad, book"
    task = run.predictor.task
    assert (task.columns, task.labels) == ({"text": "sentence1", "text_pair": "sentence2"}, names)
    assert task.thresholds == (0.5,) * 3
    assert evaluate(run.run, [str(path)], resamples=10).metrics["n_rows"] == 120
    measured = evaluate(run.run, [str(path)], label="book, bad, good", resamples=10).metrics["values"]
    assert measured == evaluate(run.run, [str(path)], resamples=10).metrics["values"]
    listing = [(a, b, ";".join(name for name, has in zip(names, given, strict=True) if has)) for a, b, *given in rows]
    lists = write_table(tmp_path / "lists.csv", ("sentence1", "sentence2", "tags"), listing)
    assert evaluate(run.run, [str(lists)], label="tags", resamples=10).metrics["values"] == measured
    with pytest.raises(DataError, match=r'column "bad", which is not here(.|\n)*name all with --label'):
        evaluate(run.run, [str(lists)])
    chosen = prepared(path, **{"task.label": "good, book"})
    assert chosen.task.labels == ("good", "book")
    assert chosen.kind[0].kind == TASK


def test_the_loss_is_a_sum_and_rare_labels_can_count_more():
    out = transformers.modeling_outputs.SequenceClassifierOutput(logits=torch.tensor([[2.0, -1.0], [0.5, 0.0]]))
    targets, weights = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([1.0, 0.5])
    task = TASKS[TASK](labels=("a", "b"), class_counts=(1, 4), n_rows=5)
    each = torch.nn.functional.binary_cross_entropy_with_logits(out.logits, targets, reduction="none").mean(dim=1)
    batch = Batch({}, weights, targets)
    assert task.loss(out, batch).item() == pytest.approx((each[0] + each[1] / 2).item())
    first = Batch({}, torch.tensor([1.0, 0.0]), targets)
    heavy = task.model_copy(update={"class_weights": "balanced"})
    yes, no = -torch.log(torch.sigmoid(torch.tensor([2.0, 1.0])))
    assert heavy.loss(out, first).item() == pytest.approx((4 * yes + no).item() / 2)


def test_several_labels_are_one_clear_error_where_one_is_asked_for(data):
    with pytest.raises(DataError, match="several labels in one cell") as raised:
        prepared(data, **{"task.kind": "text-classification"})
    assert "--task multi-label-classification" in raised.value.problems[0].fix


def test_every_rare_label_is_learnt_where_it_can_be(tmp_path):
    rows = [(text, [*labels, *(["rare"] if i in (3, 40, 77) else []), *(["once"] if i == 9 else [])])
            for i, (text, labels) in enumerate(tagged(150))]  # fmt: skip
    found = prepared(write(tmp_path / "rare.jsonl", rows))
    counts = found.task.summary(found.tables)
    assert counts["train"]["once"] == 1
    assert 1 <= counts["train"]["rare"] <= 2
    assert sum(table["rare"] for table in counts.values()) == 3


def test_labels_that_only_the_test_rows_have_are_said(data, tmp_path):
    test = write(tmp_path / "test.csv", [*tagged(40, seed=7), ("a new film", ["good", "unheard"])])
    found = prepared(data, **{"data.test": [str(test)]})
    assert found.ledger.counts("set aside")["label not in training"] == 1
    (note,) = (note for note in found.notes if note.topic == "unknown labels")
    assert note.message == "1 test row has a label no training row has: unheard"
    assert found.n_rows["test"] == 40
