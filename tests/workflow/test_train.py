import csv
import errno
import json
import random
import signal

import numpy as np
import pytest
import torch
import transformers

import tunesmith as ts
from tests.tiny import sentences, tiny_bert, write_csv
from tests.workflow.test_measure import leave_part
from tunesmith.cli.train import how_training_ended
from tunesmith.core.errors import DataError, ModelError, RecipeError, RunError, TunesmithError
from tunesmith.inference.predictor import Predictor
from tunesmith.objectives import ObjectivesSpec
from tunesmith.recipe.compose import compose
from tunesmith.recipe.write import to_yaml
from tunesmith.run.folder import Run
from tunesmith.workflow import session
from tunesmith.workflow.compare import compare
from tunesmith.workflow.evaluate import evaluate
from tunesmith.workflow.predict import predict_file
from tunesmith.workflow.prepare import prepare
from tunesmith.workflow.start import resume


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
    assert found["pairs"][0]["p_corrected"] <= 1


def test_nothing_is_written_when_the_data_is_wrong(tiny, tmp_path):
    path = write_csv(tmp_path / "one.csv", [(t, "same") for t, _ in sentences(30)])
    with pytest.raises(DataError, match="every row has the label"):
        ts.train(path, out=tmp_path / "run", **quick(tiny))
    assert not (tmp_path / "run").exists()


def test_a_run_is_never_overwritten(trained, reviews, tiny):
    with pytest.raises(RunError, match="never overwritten"):
        ts.train(reviews, out=trained.folder, **quick(tiny))


def test_a_full_disk_is_one_clear_error_and_the_run_can_go_on(tiny, reviews, tmp_path, monkeypatch):
    from tunesmith.workflow.start import resume

    def full(*_args, **_more):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(session.checkpoint, "save", full)
        with pytest.raises(RunError, match="disk is full"):
            ts.train(reviews, out=tmp_path / "run", **quick(tiny, **{"train.save_every": "2 steps"}))
    run = Run.open(tmp_path / "run")
    assert run.status == "failed"
    assert "disk is full" in run.manifest["reason"]
    assert resume(tmp_path / "run").status == "done"


@pytest.mark.parametrize("better", [True, False])
def test_late_weights_are_averaged_unless_dev_rows_say_no(tiny, reviews, tmp_path, monkeypatch, better):
    if not better:
        monkeypatch.setattr(session, "chance", lambda *_, **__: -2.0)  # no average can reach that
    settings = {"train.average": 0.5, "train.length": "8 steps", "data.split.dev": 0.2}
    run = ts.train(reviews, out=tmp_path / "run", **quick(tiny, **settings)).run
    (event,) = (e for e in run.events() if e["event"] == "average")
    assert event["n"] == 4
    assert event["kept"] is better
    assert run.manifest["averaged"] == (4 if better else 0)
    assert ("averaged over 4 late updates" in run.report_path.read_text()) is better


@pytest.mark.parametrize("stops", [False, True])
def test_the_best_measurements_are_averaged(tiny, reviews, tmp_path, monkeypatch, stops):
    found = iter([0.3, 0.9, 0.4, 0.8, 0.9, 0.9, 0.9])
    monkeypatch.setattr(session, "measure_split", lambda *_: {"macro_f1": next(found), "accuracy": 0.5, "loss": 1.0})
    settings = {"data.split.dev": 0.2, "evaluate.every": "1 steps", "train.soup": 2, "train.length": "5 steps"}
    arguments = quick(tiny, **settings, **{"evaluate.patience": 2 if stops else 0})
    run = ts.train(reviews, out=tmp_path / "run", **arguments)
    event = next(e for e in run.run.events() if e["event"] == "soup")
    assert (event["n"], event["kept"]) == (2, True)
    assert run.run.manifest["averaged"] == 2
    said = how_training_ended(run.run)
    assert said.startswith("Training stopped early" if stops else "Trained to the end")
    assert "weights of 2 steps were averaged" in said


@pytest.mark.parametrize("mean", [0.9, 0.89])
def test_weights_are_averaged_where_training_stops_early_if_that_is_no_worse(
    tiny, reviews, tmp_path, monkeypatch, mean
):
    found = iter([0.9, 0.3, mean, 0.9])
    monkeypatch.setattr(session, "measure_split", lambda *_: {"macro_f1": next(found), "accuracy": 0.5, "loss": 1.0})
    settings = {"data.split.dev": 0.2, "evaluate.every": "1 steps", "evaluate.patience": 1, "train.length": "9 steps"}
    run = ts.train(reviews, out=tmp_path / "run", **quick(tiny, **settings, **{"train.average_decay": 0.9})).run
    assert run.manifest["reason"] == "patience"
    assert run.manifest["averaged"] == (2 if mean == 0.9 else 0)


def test_what_is_measured_nowhere_has_no_effect_and_that_is_said(tiny, reviews, tmp_path):
    settings = {"train.soup": 2, "evaluate.patience": 3, "data.split.dev": 0.0, "train.length": "1 steps"}
    run = ts.train(reviews, out=tmp_path / "run", **quick(tiny, **settings)).run
    said = [note.message for note in run.notes if note.topic == "no effect"]
    assert [text.split()[0] for text in said] == ["evaluate.patience", "train.soup"]


def test_a_few_updates_are_not_averaged(trained):
    assert trained.run.manifest["averaged"] == 0


def test_changed_data_is_refused_on_resume(tiny, tmp_path):
    from tunesmith.workflow.start import resume

    path = write_csv(tmp_path / "rows.csv", sentences(60))
    ts.train(path, out=tmp_path / "run", **quick(tiny))
    run = Run.open(tmp_path / "run")
    with pytest.raises(RunError, match="done already"):
        resume(tmp_path / "run")
    run.mark("stopped")
    write_csv(path, sentences(61))
    with pytest.raises(RunError, match="data changed"):
        resume(tmp_path / "run")


def test_files_that_were_not_there_or_change_places_are_refused_on_resume(tiny, tmp_path):
    from tunesmith.workflow.start import resume

    folder = tmp_path / "rows"
    folder.mkdir()
    path = write_csv(folder / "a.csv", sentences(60))
    dev = write_csv(tmp_path / "dev.csv", sentences(40, seed=1))
    ts.train(folder, out=tmp_path / "run", **quick(tiny, **{"data.dev": [str(dev)], "train.length": "2 steps"}))
    Run.open(tmp_path / "run").mark("stopped")
    write_csv(folder / "b.csv", sentences(20, seed=2))
    with pytest.raises(RunError, match="not read when the run was started"):
        resume(tmp_path / "run")
    (folder / "b.csv").unlink()
    with pytest.raises(RunError, match="for another split"):
        resume(tmp_path / "run", overrides=[f"data.path={dev}", f"data.dev={path}"])


def test_labels_are_part_of_folders_of_classes(tiny, tmp_path):
    from tunesmith.workflow.start import resume

    for text, label in sentences(60):
        (tmp_path / "rows" / label).mkdir(parents=True, exist_ok=True)
        n = len(list((tmp_path / "rows" / label).iterdir()))
        (tmp_path / "rows" / label / f"{n:03}.txt").write_text(text)
    ts.train(tmp_path / "rows", out=tmp_path / "run", **quick(tiny, **{"train.length": "2 steps"}))
    Run.open(tmp_path / "run").mark("stopped")
    one, other = sorted(path for path in (tmp_path / "rows").iterdir())
    last = sorted(one.iterdir())[-1]
    last.rename(other / "!.txt")
    with pytest.raises(RunError, match="data changed"):
        resume(tmp_path / "run")


def test_early_stopping_keeps_the_best_weights(tiny, reviews, tmp_path):
    settings = {"train.length": "12 epochs", "train.lr": 3e-3, "data.split.dev": 0.3, "evaluate.patience": 1}
    run = ts.train(reviews, out=tmp_path / "run", **quick(tiny, **settings))
    manifest = run.run.manifest
    assert manifest["step"] < manifest["steps"]
    assert manifest["reason"] == "patience"
    events = [e for e in run.run.events() if e["event"] == "evaluate"]
    best = max(events, key=lambda e: (e["metrics"]["macro_f1"], -e["loss"]))
    assert manifest["best_step"] == best["step"]
    again = run.run.metrics["splits"]["dev"]["values"]["macro_f1"]["value"]
    assert again == pytest.approx(best["metrics"]["macro_f1"], abs=1e-9)


def test_an_interrupted_training_ends_its_caller_and_goes_on_later(tiny, reviews, tmp_path, monkeypatch):
    real = session.train_steps

    def interrupted(*args, **more):
        for report in real(*args, **more):
            yield report
            if report.step == 2:
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(session, "train_steps", interrupted)
    with pytest.raises(KeyboardInterrupt, match=r"tunesmith\.resume"):
        ts.train(reviews, out=tmp_path / "run", **quick(tiny))
    monkeypatch.setattr(session, "train_steps", real)
    (state,) = (tmp_path / "run").glob("checkpoints/step-*/state.json")
    state.write_text(json.dumps(json.loads(state.read_text()) | {"seconds": 1000.0}))
    random.seed(1)
    wanted = random.Random(1).random()
    assert ts.resume(tmp_path / "run").run.status == "done"
    assert random.random() == wanted  # the caller's generators are left as they were
    assert min(Run.open(tmp_path / "run").manifest["seconds"].values()) > 1000, "earlier stretches count"
    whole = ts.train(reviews, out=tmp_path / "whole", **quick(tiny))
    texts = ["a good film", "so bad"]
    assert [p.probabilities for p in whole.predict(texts)] == [
        p.probabilities for p in ts.load(tmp_path / "run").predict(texts)
    ]


def test_a_done_run_keeps_no_checkpoints_and_its_plain_model_is_calibrated(trained):
    assert not trained.run.checkpoints_folder.exists()
    settings = json.loads((trained.run.model_folder / "tunesmith.json").read_text())
    assert settings["temperature"] == trained.run.metrics["calibration"]["temperature"] != 1.0
    rows = list(trained.run.predictions("test"))[:8]
    said = transformers.pipeline("text-classification", str(trained.run.model_folder))([row["text"] for row in rows])
    assert [s["score"] for s in said] == pytest.approx([row["confidence"] for row in rows], abs=1e-3)


def test_a_resumed_run_refuses_settings_that_change_its_result(tiny, tmp_path):
    data = write_csv(tmp_path / "rows.csv", sentences(60))
    recipe, _ = compose(file=None, overrides=(), arguments={"data.path": [str(data)], "model.source": str(tiny)})
    run = Run.create(tmp_path / "run", facts={"data": prepare(recipe).sources})
    run.save_recipe(to_yaml(recipe))
    with pytest.raises(RecipeError) as caught:
        resume(run.folder, overrides=("train.lr=1e-3", "seed=2", "train.tokens_per_batch=512"))
    assert [p.where.column for p in caught.value.problems] == ["train.lr", "seed"]
    run.save_recipe(to_yaml(recipe.model_copy(update={"objectives": ObjectivesSpec(contrast=True)})))
    with pytest.raises(RecipeError, match="may not change") as caught:
        resume(run.folder, overrides=("train.tokens_per_batch=512",))
    assert [p.where.column for p in caught.value.problems] == ["train.tokens_per_batch"]
    run.save_recipe(to_yaml(recipe))
    moved = tmp_path / "moved.csv"
    data.rename(moved)
    with pytest.raises(DataError, match="no such file"):
        resume(run.folder)
    fast = ("train.tokens_per_batch=512", f"data.path={moved}", "track=[]")
    assert resume(run.folder, overrides=fast).status == "done"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"train.device": "cuda"}, "has no"),
        ({"model.source": "./nothing"}, "no such model folder"),
        ({"data.path": ["nowhere.csv"]}, "no such file"),
    ],
)
def test_what_is_wrong_from_the_start_leaves_no_run_folder(tiny, reviews, tmp_path, settings, said):
    if settings.get("train.device") == "cuda" and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(TunesmithError, match=said):
        ts.train(reviews, out=tmp_path / "run", settings={"model.source": str(tiny), **settings})
    assert not (tmp_path / "run").exists()


def test_a_model_without_the_head_leaves_no_run_folder(tmp_path, reviews):
    folder = tiny_bert(tmp_path / "model")
    config = transformers.AutoConfig.from_pretrained(folder)
    other = transformers.GitConfig(vocab_size=config.vocab_size, hidden_size=16, num_hidden_layers=1)
    other.save_pretrained(folder)
    with pytest.raises(ModelError, match='"git" has no such head in transformers'):
        ts.train(reviews, out=tmp_path / "run", settings={"model.source": str(folder)})
    assert not (tmp_path / "run").exists()
