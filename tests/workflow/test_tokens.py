"""Labels for words, end to end: entities and plain tags, from files of words and of spans, in windows and in chains."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from seqeval.metrics import f1_score, precision_score, recall_score
from typer.testing import CliRunner

import tunesmith as ts
from tests.tagged import parts_of_speech, rows, tiny_tagger, write_conll, write_spans
from tunesmith.cli.main import app
from tunesmith.core.errors import DataError, RecipeError
from tunesmith.data import tagging
from tunesmith.data.findings import inspect
from tunesmith.data.spec import DataSpec
from tunesmith.data.table import Table
from tunesmith.engine.batch import collate
from tunesmith.inference.predictor import Predictor
from tunesmith.models.source import Source
from tunesmith.models.spec import ModelSpec
from tunesmith.models.tokenize import load_tokenizer
from tunesmith.models.words import IGNORED
from tunesmith.recipe.compose import compose
from tunesmith.run.folder import Run
from tunesmith.tasks.token_classification import TokenClassification
from tunesmith.workflow import session
from tunesmith.workflow.compare import compare
from tunesmith.workflow.evaluate import evaluate
from tunesmith.workflow.predict import predict_file
from tunesmith.workflow.prepare import prepare

SETTINGS = {"train.length": "40 steps", "train.lr": 3e-3, "train.step_size": "16 rows", "train.layer_decay": 1.0,
            "evaluate.resamples": 20, "data.split.dev": 0.15}  # fmt: skip
QUICK = {**SETTINGS, "train.length": "4 steps", "evaluate.baselines": False}


@pytest.fixture(scope="module")
def tiny_tags(tmp_path_factory):
    return tiny_tagger(tmp_path_factory.mktemp("models") / "tagger")


@pytest.fixture(scope="module")
def conll(tmp_path_factory):
    return write_conll(tmp_path_factory.mktemp("data") / "names.conll", rows(160))


@pytest.fixture(scope="module")
def ner(tiny_tags, conll, tmp_path_factory):
    """Trained on CoNLL columns; no task is named."""
    return ts.train(conll, model=str(tiny_tags), out=tmp_path_factory.mktemp("ner") / "run", settings=SETTINGS)


@pytest.fixture(scope="module")
def crf(tiny_tags, tmp_path_factory):
    """Trained on texts with spans, with a CRF."""
    folder = tmp_path_factory.mktemp("crf")
    data = write_spans(folder / "names.jsonl", rows(160))
    settings = {**SETTINGS, "task.kind": "ner", "task.crf": True}
    return ts.train(data, model=str(tiny_tags), out=folder / "run", settings=settings)


@pytest.fixture(scope="module")
def pos(tiny_tags, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pos")
    data = write_conll(folder / "pos.conll", parts_of_speech(160))
    return ts.train(data, model=str(tiny_tags), out=folder / "run", settings={**SETTINGS, "task.kind": "pos"})


def test_files_of_words_and_of_spans_say_what_they_are_for(ner, crf):
    for run in (ner, crf):
        task = run.predictor.task
        assert (task.kind, task.scheme) == ("token-classification", "iob2")
        assert task.labels == ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
        assert run.run.metrics["main"] == "entity_f1"
        assert run.metrics["entity_f1"] > 0.6
    assert ner.run.origins["task.kind"]["origin"] == "chosen"
    assert ner.run.manifest["labels"]["train"].keys() == {"LOC", "PER"}


def test_the_numbers_are_those_of_seqeval_on_the_predictions(ner):
    said = list(ner.run.predictions("test"))
    gold, predicted = [row["gold"] for row in said], [row["predicted"] for row in said]
    wanted = [score(gold, predicted) for score in (f1_score, precision_score, recall_score)]
    names = ("entity_f1", "entity_precision", "entity_recall")
    assert [ner.metrics[name] for name in names] == pytest.approx(wanted, abs=1e-12)


def test_the_baseline_and_the_types_are_in_the_report(ner, pos):
    for run, names in ((ner, {"LOC", "PER"}), (pos, {"NAME", "DET", "NOUN"})):
        metrics = run.run.metrics
        main = metrics["main"]
        assert metrics["comparison"]["baseline"] == "frequent_tags"
        assert metrics["baselines"]["frequent_tags"]["values"][main]["value"] > 0.5
        page = run.report.read_text()
        assert "most frequent tag" in page
        assert "giving each word the tag it most often has" in page
        assert names <= {entry["label"] for entry in metrics["splits"]["test"]["per_class"]}
        assert all(f"<td>{name}</td>" in page for name in names)


def test_plain_tags_are_words_alone(pos):
    task = pos.predictor.task
    assert task.scheme == "plain"
    assert set(task.labels) == {"NOUN", "NAME", "PUNCT", "VERB", "DET", "ADP"}
    assert task.labels[0] == "NOUN"  # the most frequent one
    assert pos.run.metrics["main"] == "word_accuracy"
    assert set(pos.metrics) == {"word_accuracy", "macro_f1"}
    (said,) = pos.predict(["the film ."])
    assert said.entities is None
    assert said.cells() == {"words": ["the", "film", "."], "tags": said.tags}
    words = sum(len(row["gold"]) for row in pos.run.predictions("test"))
    right = sum(
        a == b for row in pos.run.predictions("test") for a, b in zip(row["gold"], row["predicted"], strict=True)
    )
    assert pos.metrics["word_accuracy"] == pytest.approx(right / words)


def test_entities_stand_where_the_users_text_has_them(ner):
    text = "  The film\tanna bell,\n\nthen   north bonn."
    (said,) = ner.predict([text])
    assert [text[start:end] for start, end in said.places] == said.words
    for entity in said.entities:
        assert text[entity["start"] : entity["end"]] == entity["text"]
        assert 0 < entity["score"] <= 1
    assert {entity["label"] for entity in said.entities} == {"PER", "LOC"}
    assert len(said.scores) == len(said.tags) == len(said.words)


def test_texts_without_words_have_nothing(ner, pos):
    for run in (ner, pos):
        for said in run.predict(["", "  \n", []]):
            assert (said.tags, said.words, said.entities or []) == ([], [], [])


def test_words_that_the_tokenizer_does_not_know_get_a_tag(ner, pos):
    words = ["anna", "\u200b", "met", "\x07", ""]
    assert len(ner.predict([{"tokens": words}])[0].tags) == 5
    outside = ner.predict([{"tokens": ["\u200b"]}])[0]
    assert (outside.tags, outside.entities) == (["O"], [])
    assert pos.predict([{"tokens": ["\u200b"]}])[0].tags == ["NOUN"]


def test_every_word_of_a_long_document_has_a_tag(ner, crf):
    parts = rows(30, seed=4)
    words = [word for row in parts for word, _ in row]
    gold = [tag for row in parts for _, tag in row]
    limit = ner.predictor.tokenizer.max_tokens
    assert len(words) > 8 * limit
    for run, cell in ((ner, words), (crf, " ".join(words))):
        (said,) = run.predict([cell])
        assert said.words == words
        right = np.mean([a == b for a, b in zip(said.tags, gold, strict=True)])
        assert right > 0.8
        beyond = [a == b for a, b in zip(said.tags[limit:], gold[limit:], strict=True)]
        assert np.mean(beyond) > 0.8
        assert sum(tag != "O" for tag in said.tags[limit:]) > 50


def test_long_documents_are_trained_and_measured_whole(tiny_tags, tmp_path):
    data = write_conll(tmp_path / "documents.conll", rows(24, n_parts=20))
    run = ts.train(
        data, model=str(tiny_tags), out=tmp_path / "run", settings={**QUICK, "task.crf": True, "task.kind": "ner"}
    )
    assert run.run.manifest["tokens_cut"] == 0
    assert all(len(row["gold"]) == len(row["predicted"]) > 40 for row in run.run.predictions("test"))
    task, tokenizer = run.predictor.task, run.predictor.tokenizer
    table = Table.of(
        {"tokens": [[word for word, _ in rows(1, n_parts=30)[0]]], "tags": [[tag for _, tag in rows(1, n_parts=30)[0]]]}
    )
    examples = task.encode(table, tokenizer)
    assert len(examples) > 3
    assert sum(example.weight for example in examples) == len(table["tokens"][0])
    learnt = [tag for example in examples for tag in example.target.tags if tag != IGNORED]
    assert [task.labels[tag] for tag in learnt] == table["tags"][0]
    # The tags around each window's words are those of its neighbours.
    edge = len(task.labels)
    ends = [(e.target.before, e.target.after) for e in examples]
    assert (ends[0][0], ends[-1][1]) == (edge, edge)
    firsts = [next(tag for tag in e.target.tags if tag != IGNORED) for e in examples]
    lasts = [next(tag for tag in reversed(e.target.tags) if tag != IGNORED) for e in examples]
    assert [after for _, after in ends[:-1]] == firsts[1:]
    assert [before for before, _ in ends[1:]] == lasts[:-1]


def test_only_the_first_token_of_a_word_is_learnt(ner):
    task, tokenizer = ner.predictor.task, ner.predictor.tokenizer
    table = Table.of({"tokens": [["anna", "bell", "met"]], "tags": [["B-PER", "I-PER", "O"]]})
    (example,) = task.encode(table, tokenizer)
    assert tokenizer.plain.convert_ids_to_tokens(example.ids) == ["[CLS]", "an", "##na", "be", "##ll", "met", "[SEP]"]
    index = {tag: i for i, tag in enumerate(task.labels)}
    wanted = [IGNORED, index["B-PER"], IGNORED, index["I-PER"], IGNORED, index["O"], IGNORED]
    assert example.target.tags == wanted
    assert example.weight == 3
    batch = collate([example], task, pad_id=0)
    out = ner.predictor.model(**batch.inputs)
    logp = torch.log_softmax(out.logits, dim=-1)[0].detach()
    by_hand = -sum(float(logp[i, tag]) for i, tag in enumerate(wanted) if tag != IGNORED)
    assert float(task.loss(out, batch).detach()) == pytest.approx(by_hand, rel=1e-5)


def test_impossible_sequences_never_come_out(ner):
    """Of a model with a random head, whose best tags by themselves are often impossible."""
    predictor = Predictor.load(ner.run.model_folder)
    with torch.no_grad():
        predictor.model.classifier.weight.normal_(std=5.0, generator=torch.Generator().manual_seed(0))
    table = Table.of({"tokens": [[word for word, _ in row] for row in rows(40, seed=3)]})
    lattices = predictor.outputs(table)
    labels = predictor.task.labels
    greedy = [[labels[i] for i in lattice.each.argmax(axis=1)] for lattice in lattices]
    assert any(tagging.to_iob2(tags, "iob2")[1] for tags in greedy)
    assert not any(tagging.to_iob2(said.tags, "iob2")[1] for said in predictor.answers(table))


def test_the_scores_are_calibrated_on_dev_words_and_no_tag_changes(ner):
    rows_ = list(ner.run.predictions("dev"))
    facts = ner.run.metrics["calibration"]
    assert facts["fitted_on"] == "dev"
    assert facts["temperature"] != 1
    saved = ner.predictor
    again = saved.predict([{"tokens": row["text"]} for row in rows_])
    assert all(a.scores == pytest.approx(b["scores"], abs=1e-4) for a, b in zip(again, rows_, strict=True))
    table = Table.of({"tokens": [row["text"] for row in rows_], "tags": [row["gold"] for row in rows_]})
    once_more = saved.task.tune(saved.outputs(table), table).facts
    assert once_more["temperature"] == pytest.approx(1, abs=0.01)


def test_a_crf_is_saved_beside_a_plain_model(crf):
    task = crf.predictor.task
    assert np.array(task.transitions).shape == (6, 6)
    assert np.abs(task.transitions).max() > 0.05
    assert not any("transitions" in name for name in load_file(crf.run.model_folder / "model.safetensors"))
    assert json.loads((crf.run.model_folder / "tunesmith.json").read_text())["task"]["transitions"]
    rows_ = list(crf.run.predictions("test"))
    said = crf.predict([row["text"] for row in rows_])
    assert [one.tags for one in said] == [row["predicted"] for row in rows_]
    assert said[0].scores == pytest.approx(rows_[0]["scores"], abs=1e-4)
    plain = task.model_copy(update={"transitions": ()})
    crf.predictor.task = plain
    try:
        assert crf.predict([rows_[0]["text"]])[0].scores != pytest.approx(said[0].scores, abs=1e-6)
    finally:
        crf.predictor.task = task


def test_a_crf_has_no_label_smoothing(conll):
    with pytest.raises(RecipeError, match="a CRF has no label smoothing"):
        ts.train(conll, settings={"task.kind": "ner", "task.crf": True, "task.label_smoothing": 0.1})


@pytest.mark.parametrize("setting", [("model.pooling", "mean"), ("model.head_start", "probe")])
def test_settings_of_whole_texts_are_refused(tiny_tags, conll, tmp_path, setting):
    with pytest.raises(RecipeError, match="makes no vector of the whole text"):
        ts.train(conll, model=str(tiny_tags), out=tmp_path / "run", settings=dict([setting]))


def test_check_counts_entities_and_writes_no_copy_it_could_not_hold(conll, tmp_path):
    done = CliRunner().invoke(app, ["check", str(conll)])
    assert done.exit_code == 0
    assert re.search(r"^PER +\d+ +\d+$", done.stdout, re.MULTILINE)
    done = CliRunner().invoke(app, ["check", str(conll), "--fix", str(tmp_path / "fixed.conll")])
    assert isinstance(done.exception, DataError)
    assert not list(tmp_path.iterdir())


PIPELINE = """
import json, sys, transformers
pipe = transformers.pipeline("token-classification", sys.argv[1], aggregation_strategy="first")
print(json.dumps([[[e["start"], e["end"], e["entity_group"]] for e in pipe(text)] for text in json.load(sys.stdin)]))
"""


@pytest.mark.parametrize("name", ["ner", "crf"])
def test_transformers_finds_the_same_in_a_fresh_process(name, request):
    run = request.getfixturevalue(name)
    texts = [" ".join(word for word, _ in row) for row in rows(12, seed=6)]
    said = run.predict(texts)
    lattices = run.predictor.outputs(run.predictor.table_of(texts))
    labels = run.predictor.task.labels
    done = subprocess.run(
        [sys.executable, "-c", PIPELINE, str(run.run.model_folder)],
        input=json.dumps(texts), capture_output=True, text=True, check=True, env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    n_same = 0
    for found, one, lattice in zip(json.loads(done.stdout.splitlines()[-1]), said, lattices, strict=True):
        if [labels[i] for i in lattice.each.argmax(axis=1)] == one.tags:  # the pipeline takes each tag by itself
            assert found == [[e["start"], e["end"], e["label"]] for e in one.entities]
            n_same += 1
    assert n_same >= 6


def test_a_resumed_training_gives_the_same_weights(tiny_tags, conll, tmp_path, monkeypatch):
    real = session.train_steps
    settings = {**QUICK, "task.kind": "ner", "task.crf": True, "train.save_every": "2 steps"}

    def interrupted(*args, **more):
        for report in real(*args, **more):
            yield report
            if report.step == 2:
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(session, "train_steps", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ts.train(conll, model=str(tiny_tags), out=tmp_path / "parts", settings=settings)
    monkeypatch.setattr(session, "train_steps", real)
    parts = ts.resume(tmp_path / "parts")
    whole = ts.train(conll, model=str(tiny_tags), out=tmp_path / "whole", settings=settings)
    one, other = (load_file(run.run.model_folder / "model.safetensors") for run in (parts, whole))
    assert all(torch.equal(one[name], other[name]) for name in other)
    assert parts.predictor.task.transitions == whole.predictor.task.transitions


def test_labels_that_training_lacks_are_measured_as_missed_and_said(conll, ner, tmp_path):
    more = rows(20, seed=9)
    more[0] = [("the", "O"), ("film", "B-WORK"), (".", "O")]
    test = write_conll(tmp_path / "test.conll", more)
    arguments = {"data.path": [str(conll)], "data.test": [str(test)]}
    prepared = prepare(compose(file=None, overrides=[], arguments=arguments)[0])
    assert len(prepared.tables["test"]) == 20
    (note,) = [note for note in prepared.notes if note.topic == "unknown labels"]
    assert note.message.endswith("so that all of these are missed: WORK (1)")
    measured = evaluate(ner.run, [str(test)], resamples=5)
    assert measured.metrics["n_rows"] == 20
    (work,) = [entry for entry in measured.metrics["per_class"] if entry["label"] == "WORK"]
    assert (work["support"], work["recall"]["value"]) == (1, 0)
    assert any("WORK (1)" in note.message for note in measured.notes)


def test_evaluate_and_compare_on_other_files(ner, crf, conll, tmp_path):
    data = write_spans(tmp_path / "more.jsonl", rows(30, seed=5))
    measured = evaluate(crf.run, [str(data)], resamples=5)
    assert measured.metrics["n_rows"] == 30
    words = write_conll(tmp_path / "more.conll", rows(30, seed=5))
    same = evaluate(ner.run, [str(words)], resamples=5)
    assert same.metrics["values"]["entity_f1"]["value"] > 0.6
    shutil.copytree(ner.run.folder, tmp_path / "other")
    found = compare([ner.run, Run.open(tmp_path / "other")])
    assert set(found["rows"].values()) == {len(list(ner.run.predictions("test")))}
    own = evaluate(ner.run, [str(conll)], resamples=5)
    assert any(note.topic == "training rows" for note in own.notes)


def test_a_table_of_texts_is_predicted_with_offsets(ner, tmp_path):
    with (tmp_path / "new.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["id", "note"], [1, "the film, anna bell was in oslo."], [2, ""]])
    assert predict_file(ner.predictor, str(tmp_path / "new.csv"), out=tmp_path / "out.csv", text="note").n_rows == 2
    with (tmp_path / "out.csv").open(newline="") as stream:
        one, other = csv.DictReader(stream)
    entities = json.loads(one["entities"])
    assert all(one["note"][e["start"] : e["end"]] == e["text"] for e in entities)
    assert "anna bell" in {e["text"] for e in entities}
    assert json.loads(one["words"])[:3] == ["the", "film", ","]
    assert (other["entities"], other["tags"]) == ("", "")


def test_a_file_of_words_is_predicted_word_by_word(pos, tmp_path):
    (tmp_path / "new.txt").write_text("the\nfilm\n\nanna\nmet\ntom\n")
    data = write_conll(tmp_path / "new.conll", parts_of_speech(5, seed=8))
    assert predict_file(pos.predictor, str(data), out=tmp_path / "out.jsonl").n_rows == 5
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert all(len(line["tunesmith_tags"]) == len(line["tokens"]) for line in lines)


def usable(columns, **settings):
    task, notes = TokenClassification(**settings).choose_columns(Table.of(columns))
    return task, task.usable(Table.of(columns), clean=str, spec=DataSpec(), split="train"), notes


def test_rows_that_do_not_fit_are_set_aside_with_the_reason():
    task, found, _ = usable({
        "tokens": [["a", "b"], ["a", "b"], [], ["c"], ["d"]],
        "tags": [["B-X", "O"], ["O"], [], None, ["I-X"]],
    })  # fmt: skip
    assert list(found.table[task.label]) == [["B-X", "O"], ["B-X"]]
    assert found.ledger.counts("set aside") == {"not one tag a word": 1, "no text": 1, "no label": 1}
    assert found.ledger.counts("changed") == {"I- without B-": 1}


def test_spans_of_all_forms_become_tags_and_their_repairs_are_said():
    task, found, _ = usable({
        "text": ["Anna Bell met Tom", "Oslo", "no one", "Bonn is far"],
        "spans": [[[0, 9, "PER"], [14, 17, "PER"]], [{"start": 0, "end": 3, "label": "LOC"}], [], [[0, 40, "LOC"]]],
    })  # fmt: skip
    assert list(found.table[task.label]) == [["B-PER", "I-PER", "O", "B-PER"], ["B-LOC"], ["O", "O"]]
    assert found.ledger.counts("changed") == {"span widened to whole words": 1}
    assert found.ledger.counts("set aside") == {"span outside the text": 1}


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        ([["B-PER", "I-PER", "O", "B-per"]], ["B-PERSON", "I-PERSON", "O", "B-PERSON"]),
        ([["I-PER", "B-PER", "O", "I-MISC"]], ["B-PERSON", "B-PERSON", "O", "O"]),  # IOB1
        ([["B-PER", "E-PER", "O", "S-LOC"]], ["B-PERSON", "I-PERSON", "O", "B-LOC"]),  # BIOES
        ([[{"start": 0, "end": 9, "label": "PER"}]], ["B-PERSON", "I-PERSON", "O", "O"]),
    ],
)
def test_labels_are_renamed_however_they_are_written(cells, wanted):
    columns = {"text": ["Anna Bell met Tom"], "tags": cells}
    task, _ = TokenClassification().choose_columns(Table.of(columns))
    spec = DataSpec(label_map={"PER": "PERSON", "misc": "O"})
    found = task.usable(Table.of(columns), clean=str, spec=spec, split="train")
    assert list(found.table["tags"]) == [wanted]
    changed = [entry.detail for entry in found.ledger if entry.reason == "label rewritten"]
    assert "B-PER -> B-PERSON" in changed
    assert len(changed) == len(set(changed))


def test_plain_tags_are_renamed_and_a_wrong_name_is_said(tmp_path):
    rows_ = [{"words": ["the", "film"], "tags": ["DT", "NN"]}, {"words": ["a", "day"], "tags": ["DT", "NNS"]}] * 10
    path = tmp_path / "pos.jsonl"
    path.write_text("".join(json.dumps({**row, "id": i}) + "\n" for i, row in enumerate(rows_)))
    arguments = {"data.path": [str(path)], "data.label_map": {"NNS": "NN", "DTT": "ART"}, "data.duplicates": "keep"}
    found = prepare(compose(file=None, overrides=[], arguments=arguments)[0])
    assert set(found.task.labels) == {"DT", "NN"}
    (note,) = (note for note in found.notes if note.topic == "unused label map")
    assert (note.message, note.fix) == ('no row has this label of data.label_map: "DTT"', 'DTT: did you mean "DT"?')


def test_a_run_measures_files_with_the_names_it_was_taught(tiny_tags, conll, tmp_path):
    settings = {"train.length": "2 steps", "evaluate.resamples": 10, "data.label_map": {"PER": "PERSON"}}
    run = ts.train(conll, model=str(tiny_tags), out=tmp_path / "run", settings=settings)
    assert set(run.run.manifest["labels"]["train"]) >= {"PERSON"}
    assert "PER" not in run.run.manifest["labels"]["train"]
    measured = evaluate(run.run, [str(conll)], resamples=10)
    assert "PERSON" in {one["label"] for one in measured.metrics["per_class"]}
    assert not [note for note in measured.notes if note.topic == "unknown labels"]


def test_tags_that_are_numbers_are_labels_by_themselves_and_said():
    task, found, notes = usable({"tokens": [["a", "b"], ["c"]], "ner_tags": [[0, 3], [0]]})
    assert task.scheme == "plain"
    assert list(found.table["ner_tags"]) == [["0", "3"], ["0"]]
    assert "numbered tags" in {note.topic for note in notes}


@pytest.mark.parametrize(
    ("columns", "seen"),
    [
        ({"tokens": [["a", "b"]], "tags": [["O", "B-X"]]}, True),
        ({"words": [["a", "b"]], "pos_tags": [["DT", "NN"]]}, True),
        ({"text": ["Anna met"], "spans": [[{"start": 0, "end": 4, "label": "PER"}]]}, True),
        ({"text": ["Anna met", "b"], "entities": [[[0, 4, "PER"]], []]}, True),
        ({"text": ["Anna met"], "labels": [["news", "people"]]}, False),  # several labels of a text
        ({"text": ["Anna met"], "label": ["news"]}, False),
        ({"text": ["Anna met"], "spans": [[]]}, False),
        ({"tokens": [["a", "b"]], "tags": [["O"]]}, False),
        ({"text": ["Anna met"]}, False),
    ],
)
def test_rows_are_recognised_by_their_lists(columns, seen):
    assert bool(TokenClassification.recognises(Table.of(columns), text="auto", label="auto")) is seen


def test_texts_too_long_may_be_an_error(tiny_tags):
    task = TokenClassification(text="text", label="tags", labels=("O",), long_text="error")
    with pytest.raises(DataError, match="the text has 40 tokens, the model reads 30"):
        task.encode(Table.of({"text": ["film " * 40]}), load_tokenizer(Source("tags", tiny_tags), ModelSpec()))


def test_tags_that_are_mended_are_said(tmp_path):
    given = rows(60)
    given[2] = [("anna", "I-PER"), ("met", "O"), ("tom", "b-PER"), (".", "O")]
    data = write_conll(tmp_path / "mended.conll", given)
    prepared = prepare(compose(file=None, overrides=[], arguments={"data.path": [str(data)]})[0])
    (note,) = [note for note in prepared.notes if note.topic == "changed"]
    assert note.level == "info" and note.n_rows == 2
    assert note.message.startswith("2 places were changed: 1 I- without B-, 1 tag in small letters, first in ")
    assert note.message.endswith("(I-PER -> B-PER)")


TWEET = ["so", "glad", "to", "be", "back", "in", "north", "bonn", "with", "anna", "and", "all", "of", "them", "tonight"]
TAGS = ["O"] * 6 + ["B-LOC", "I-LOC", "O", "B-PER", *["O"] * 5]


@pytest.mark.parametrize(
    ("words", "tags", "apart"),
    [
        ([*TWEET, "http://a.b/c"], [*TAGS, "O"], False),
        (["RT", ":", *TWEET[:-1]], ["O", "O", *TAGS[:-1]], False),
        ([*TWEET[:8], "city", *TWEET[8:]], [*TAGS[:8], "I-LOC", *TAGS[8:]], False),
        ([*TWEET, "http://a.b/c"], [*TAGS[:9], "O", *TAGS[10:], "O"], True),
        ([word.upper() for word in TWEET], [*TAGS[:6], "B-PER", "I-PER", *TAGS[8:]], True),
    ],
)
def test_near_copies_are_at_odds_only_in_words_they_share(words, tags, apart):
    table = Table.of({"tokens": [TWEET, words], "tags": [TAGS, tags]}, file="t.conll")
    task = TokenClassification(text="tokens", label="tags", scheme="iob2")
    topics = {note.topic for note in inspect({"train": table}, task=task, spec=DataSpec()).notes}
    assert "near duplicates" in topics
    assert ("near copies with different labels" in topics) == apart
