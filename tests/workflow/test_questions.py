"""Questions about long contexts, end to end on a tiny model: learnt, measured, saved, and opened by transformers."""

import csv
import json
import random
import subprocess
import sys

import pytest

import tunesmith as ts
from tests.tiny import BAD, GOOD, OTHER, tiny_bert, write_csv
from tunesmith.core.errors import DataError
from tunesmith.inference.predictor import Predictor
from tunesmith.workflow.compare import compare
from tunesmith.workflow.evaluate import evaluate
from tunesmith.workflow.predict import predict_file

SETTINGS = {"train.length": "5 epochs", "train.lr": 3e-3, "train.layer_decay": 1.0, "evaluate.resamples": 20,
            "data.split.dev": 0.15, "evaluate.patience": 0}  # fmt: skip


def rows_of(n, *, seed=0, longest=70):
    """Return questions whose answer is a good word and the bad one after it; some contexts have none."""
    rng = random.Random(seed)
    rows = []
    for _ in range(n):
        words = rng.choices(OTHER, k=rng.randint(5, longest))
        at, none = rng.randint(0, len(words)), rng.random() < 0.3
        pair = rng.sample(OTHER, 2) if none else (rng.choice(GOOD), rng.choice(BAD))
        before = "".join(f"{word} " for word in words[:at])
        context = f"{before}{' '.join(pair)} {' '.join(words[at:])}".strip()
        answers = (
            {"text": [], "answer_start": []} if none else {"text": [" ".join(pair)], "answer_start": [len(before)]}
        )
        rows.append({"context": context, "question": rng.choice(["it was", "they saw", "we had"]), "answers": answers})
    return rows


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return tiny_bert(tmp_path_factory.mktemp("model") / "tiny", dropout=0.0, max_tokens=32)


@pytest.fixture(scope="module")
def run(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("questions")
    return ts.train(write(folder / "qa.jsonl", rows_of(300)), model=str(tiny), out=folder / "run", settings=SETTINGS)


def test_the_task_is_seen_in_the_data_and_its_limits_are_learnt(run):
    task = run.predictor.task
    assert task.columns == {"question": "question", "context": "context"}
    assert task.max_answer_chars == max(len(f"{a} {b}") for a in GOOD for b in BAD)
    assert task.null_threshold is not None
    assert run.run.metrics["calibration"]["fitted_on"] == "dev"


def test_answers_are_found_in_every_window(run):
    """The model reads 32 tokens at once, so that an answer after 150 characters is in a late window only."""
    rows = [row for row in rows_of(80, seed=2, longest=120) if row["answers"]["text"]]
    late = [row for row in rows if row["answers"]["answer_start"][0] > 150]
    assert len(late) > 10
    said = run.predict([(row["question"], row["context"]) for row in late])
    right = [row["answers"]["answer_start"][0] for row in late]
    assert sum(one.start == start for one, start in zip(said, right, strict=True)) >= 0.9 * len(late)


def test_the_numbers_stand_beside_simple_methods(run):
    assert run.metrics["exact_match"] > 0.9
    assert run.metrics["no_answer_accuracy"] > 0.8
    assert run.run.metrics["baselines"].keys() == {"nearest sentence", "no answer"}
    assert run.run.metrics["verdict"]["worth_it"] == "yes"


def test_what_is_said_stands_in_the_context(run):
    rows = list(run.run.predictions("test"))
    for row in rows:
        if row["predicted"]:
            assert row["context"][row["start"] : row["end"]] == row["predicted"]
        else:
            assert row["start"] is None
            assert row["null_score"] > run.predictor.task.null_threshold
        shares = [one["score"] for one in row["n_best"]]
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) <= 1 + 1e-6
        assert row["score"] in shares


def test_python_takes_tuples_and_mappings(run):
    row = rows_of(1, seed=3)[0]
    (one,) = run.predict([(row["question"], row["context"])])
    (other,) = run.predict([{"question": row["question"], "context": row["context"]}])
    assert one.text == other.text == row["answers"]["text"][0]
    assert one.start == row["answers"]["answer_start"][0]
    with pytest.raises(DataError, match="1 texts where the model reads 2"):
        run.predict(["alone"])


def test_a_csv_of_questions_is_answered_row_by_row(run, tmp_path):
    rows = rows_of(20, seed=5)
    rows[3]["question"] = ""
    write_csv(tmp_path / "new.csv", [(row["question"], row["context"]) for row in rows], header=("Question", "context"))
    predictor = Predictor.load(run.run.model_folder)
    assert predict_file(predictor, str(tmp_path / "new.csv"), out=tmp_path / "said.csv").n_rows == 20
    with (tmp_path / "said.csv").open(encoding="utf-8", newline="") as stream:
        said = list(csv.DictReader(stream))
    assert said[3]["predicted"] == ""
    assert said[3]["n_best"] == ""
    answered = [row for row in said if row["predicted"]]
    assert answered
    assert all(row["context"][int(row["start"]) : int(row["end"])] == row["predicted"] for row in answered)
    assert all(json.loads(row["n_best"])[0]["score"] <= 1 for row in answered)


def test_evaluate_and_compare(run, tiny, tmp_path):
    data = write(tmp_path / "more.jsonl", rows_of(60, seed=8))
    measured = evaluate(run.run, [str(data)], resamples=10)
    assert measured.metrics["n_rows"] == 60
    assert measured.metrics["values"]["exact_match"]["value"] > 0.8
    settings = {**SETTINGS, "train.length": "2 steps", "evaluate.baselines": False}
    poor = ts.train(
        write(tmp_path / "qa.jsonl", rows_of(300)), model=str(tiny), out=tmp_path / "poor", settings=settings
    )
    found = compare([run.run, poor.run])
    assert found["metric"] == "answer_f1"
    assert found["ranking"][0]["name"] == run.run.name
    assert "level" not in found["pairs"][0]["sentence"]


ALONE = """
import json, sys, torch, warnings
from transformers import AutoModelForQuestionAnswering, AutoTokenizer
folder, rows = sys.argv[1], json.load(sys.stdin)
tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForQuestionAnswering.from_pretrained(folder).eval()
said = []
for question, context in rows:
    inputs = tokenizer(question, context, return_tensors="pt", return_offsets_mapping=True)
    offsets = inputs.pop("offset_mapping")[0].tolist()
    with torch.inference_mode():
        out = model(**inputs)
    outside = torch.tensor([part != 1 for part in inputs.sequence_ids()])
    scores = out.start_logits[0].masked_fill(outside, -1e9)[:, None] + out.end_logits[0].masked_fill(outside, -1e9)
    start, end = divmod(int(scores.triu().argmax()), len(offsets))
    said.append(context[offsets[start][0] : offsets[end][1]])
print(json.dumps(said))
"""


def test_transformers_alone_answers_the_same(run):
    """There is no pipeline for it in transformers 5, so the model is opened with its class in a fresh process."""
    rows = [(row["question"], row["context"]) for row in rows_of(60, seed=9, longest=20) if row["answers"]["text"]]
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(run.run.model_folder)], input=json.dumps(rows), capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    answered = [(one.text, other) for one, other in zip(run.predict(rows), json.loads(done.stdout), strict=True)]
    assert len([1 for one, _ in answered if one]) > 20
    assert all(one == other for one, other in answered if one)


def test_card_and_report_speak_of_answers(run):
    card = (run.run.model_folder / "README.md").read_text(encoding="utf-8")
    assert "pipeline_tag: question-answering" in card
    assert "or says that there is no answer" in card
    assert "takes texts as they are, and reads long texts in windows" in card
    assert "Answer F1" in card
    report = run.report.read_text(encoding="utf-8")
    assert "Exact match" in report
    assert "AutoModelForQuestionAnswering" in report
    assert "macro" not in report.lower()
    assert "Class" not in report.replace("Classes", "")


def test_an_option_that_the_task_does_not_have_is_refused(run, tmp_path):
    data = write(tmp_path / "more.jsonl", rows_of(3))
    with pytest.raises(DataError, match="no column for --text"):
        evaluate(run.run, [str(data)], text="context")
