import csv
import json

import numpy as np
import pytest
import transformers

import tunesmith as ts
from tests.tiny import sentences, tiny_bert, write_csv
from tests.workflow.test_measure import leave_part
from tunesmith.core.errors import DataError, ModelError
from tunesmith.inference.predictor import Predictor
from tunesmith.workflow.compare import compare
from tunesmith.workflow.evaluate import evaluate
from tunesmith.workflow.predict import predict_file


def quick(tiny, **more):
    settings = {"train.length": "6 steps", "evaluate.resamples": 50, "evaluate.baselines": False, **more}
    return {"model": str(tiny), "settings": settings}


def test_a_run_holds_all_it_promises(trained):
    run = trained.run
    assert run.status == "done"
    assert trained.metrics["accuracy"] > 0.7
    low, high = trained.intervals["accuracy"]
    assert low <= trained.metrics["accuracy"] <= high
    saved = run.metrics
    assert {"majority", "tfidf"} <= set(saved["baselines"])
    assert saved["verdict"]["sentences"]
    assert saved["calibration"]["fitted_on"] == "dev"
    rows = run.manifest["rows"]
    assert rows["train"] + rows["dev"] + rows["test"] == rows["read"] == 120
    names = {p.name for p in run.folder.iterdir()}
    assert {"manifest.json", "recipe.yaml", "origins.json", "ledger.jsonl", "notes.json", "log.jsonl"} <= names
    assert {"metrics.json", "predictions", "model", "report.html", "tensorboard"} <= names
    card = (run.model_folder / "README.md").read_text()
    assert "pipeline_tag: text-classification" in card
    page = run.report_path.read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "<script" not in page


def test_predictions_are_those_that_were_measured(trained):
    rows = list(trained.run.predictions("test"))
    again = trained.predict([row["text"] for row in rows])
    assert [p.label for p in again] == [row["predicted"] for row in rows]
    assert np.allclose([p.confidence for p in again], [row["confidence"] for row in rows], atol=1e-4)
    assert trained.predict([]) == []


@pytest.mark.parametrize("values", [(1, 0), (True, False), (1.0, 2.0), ("Ja", "nein ")])
def test_labels_come_back_as_they_were_written(tiny, tmp_path, values):
    path = tmp_path / "rows.jsonl"
    lines = [json.dumps({"text": t, "label": values[v == "neg"]}) for t, v in sentences(40)]
    path.write_text("\n".join(lines) + "\n")
    run = ts.train(path, out=tmp_path / "run", **quick(tiny))
    assert {type(p.label) for p in run.predict(["good", "bad film"])} == {type(values[0])}
    assert set(ts.load(tmp_path / "run").predictor.task.labels) == set(values)


@pytest.mark.parametrize("item", ["good film", {"text": "good film"}])
def test_one_item_is_no_list_of_items(trained, item):
    with pytest.raises(DataError, match="a list of items is wanted") as raised:
        trained.predict(item)
    assert "predict([item])" in raised.value.problems[0].fix
    assert len(trained.predict([item])) == 1


def test_the_same_cleaning_in_training_and_prediction(trained):
    plain, dirty = trained.predict(["good film & lovely day", "<p>good film &amp;   lovely<br/>day</p>"])
    assert plain.probabilities == dirty.probabilities


def test_long_texts_are_read_whole(trained):
    long = "the film " * 60
    sure = trained.predict([long + "awful bad sad " * 4])[0]
    only_head = trained.predict([long])[0]
    assert sure.probabilities != only_head.probabilities or trained.predictor.task.long_text == "head"


def test_predict_a_file_goes_on_where_it_was_cut_off(trained, tmp_path):
    source = write_csv(tmp_path / "new.csv", [(t, str(i)) for i, (t, _) in enumerate(sentences(1300, seed=5))])
    predictor = Predictor.load(trained.run.model_folder)
    assert predict_file(predictor, str(source), out=tmp_path / "whole.csv").n_rows == 1300
    whole = (tmp_path / "whole.csv").read_text()
    rows = list(csv.DictReader(whole.splitlines()))
    assert [row["label"] for row in rows] == [str(i) for i in range(1300)]
    assert {"predicted", "confidence", "p_neg", "p_pos"} <= set(rows[0])
    cut = whole.encode()[: len(whole) // 2]
    leave_part(tmp_path / "again.csv", cut, predictor, source)
    assert predict_file(predictor, str(source), out=tmp_path / "again.csv").n_rows == 1300
    assert [r["label"] for r in csv.DictReader((tmp_path / "again.csv").read_text().splitlines())] == [
        row["label"] for row in rows
    ]
    with pytest.raises(DataError, match="there already"):
        predict_file(predictor, str(source), out=tmp_path / "whole.csv")


def test_predict_json_lines_keeps_empty_rows(trained, tmp_path):
    source = tmp_path / "new.jsonl"
    source.write_text('{"id": 1, "text": "good day"}\n{"id": 2, "text": null}\n')
    predict_file(trained.predictor, str(source), out=tmp_path / "out.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == [1, 2]
    assert rows[0]["predicted"] in ("pos", "neg")
    assert rows[1]["predicted"] is None


def test_evaluate_says_what_it_left_out(trained, tmp_path):
    path = write_csv(tmp_path / "more.csv", [*sentences(30, seed=9), ("good", "unheard"), ("", "pos"), ("bad", "")])
    measured = evaluate(trained.run, [str(path)], resamples=50)
    assert measured.metrics["n_rows"] == 30
    assert measured.ledger.counts("set aside") == {"label the model does not know": 1, "no text": 1, "no label": 1}
    wrong = write_csv(tmp_path / "wrong.csv", sentences(5), header=("txt", "label"))
    with pytest.raises(DataError, match='"text"'):
        evaluate(trained.run, [str(wrong)])


def test_compare_on_shared_rows(trained, tiny, reviews, tmp_path):
    weak = ts.train(reviews, out=tmp_path / "weak", **quick(tiny, **{"train.length": "1 steps", "data.split.dev": 0.2}))
    found = compare([trained.run, weak.run])
    assert found["best"] == trained.run.name
    assert found["pairs"][0]["p_holm"] <= 1


def test_nothing_is_written_when_the_data_is_wrong(tiny, tmp_path):
    path = write_csv(tmp_path / "one.csv", [(t, "same") for t, _ in sentences(30)])
    with pytest.raises(DataError, match="every row has the label"):
        ts.train(path, out=tmp_path / "run", **quick(tiny))
    assert not (tmp_path / "run").exists()


def test_a_model_without_the_head_leaves_no_run_folder(tmp_path, reviews):
    folder = tiny_bert(tmp_path / "model")
    config = transformers.AutoConfig.from_pretrained(folder)
    other = transformers.GitConfig(vocab_size=config.vocab_size, hidden_size=16, num_hidden_layers=1)
    other.save_pretrained(folder)
    with pytest.raises(ModelError, match='"git" has no such head in transformers'):
        ts.train(reviews, out=tmp_path / "run", settings={"model.source": str(folder)})
    assert not (tmp_path / "run").exists()
