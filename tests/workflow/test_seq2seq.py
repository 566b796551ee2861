"""Texts in, texts out: every family learns, resumes, is measured, predicts and opens in plain transformers."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
import transformers

import tunesmith as ts
from tests.tiny import tiny_bert
from tests.writers import SPREAD, TRANSLATED, pairs, tiny_writer, write_jsonl
from tunesmith.core.errors import DataError, ModelError, RecipeError
from tunesmith.data.table import Table
from tunesmith.engine.batch import collate
from tunesmith.inference.predictor import Predictor
from tunesmith.models.seq2seq import build_seq2seq, equip, with_target
from tunesmith.models.source import Source
from tunesmith.models.spec import ModelSpec
from tunesmith.models.targets import FOLDER, own_tokenizer
from tunesmith.models.tokenize import load_tokenizer
from tunesmith.recipe.compose import compose
from tunesmith.tasks import TASKS
from tunesmith.tasks.summarization import Summarization
from tunesmith.tasks.translation import Translation
from tunesmith.workflow.build import make_setup
from tunesmith.workflow.compare import compare
from tunesmith.workflow.evaluate import evaluate
from tunesmith.workflow.order import make_plan
from tunesmith.workflow.predict import predict_file
from tunesmith.workflow.prepare import prepare
from tunesmith.workflow.resolve import resolve

FAMILIES = ("bert", "t5", "bart", "mbart", "marian", "pegasus")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("writers")
    made = {family: tiny_writer(folder / family, family) for family in FAMILIES[1:]}
    return {**made, "bert": tiny_bert(folder / "bert", spread=SPREAD, dropout=0.0)}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_jsonl(tmp_path_factory.mktemp("data") / "words.jsonl", pairs(600))


LEARNT = {
    "task.kind": "translation",
    "train.length": "300 steps",
    "train.step_size": "32 rows",
    "train.lr": 3e-3,
    "train.layer_decay": 1.0,
    "train.head_lr_factor": 1.0,
    "evaluate.every": "100 steps",
    "evaluate.resamples": 20,
    "task.num_beams": 2,
    "data.duplicates": "keep",
    "data.split.dev": 0.1,
    "data.split.test": 0.2,
}


@pytest.fixture(scope="module")
def run(models, data, tmp_path_factory):
    """A finished run of an encoder that was made an encoder-decoder."""
    out = tmp_path_factory.mktemp("runs") / "words-1"
    return ts.train(data, model=str(models["bert"]), out=out, settings=LEARNT)


def resolved(data, model, **settings):
    arguments = {"data.path": [str(data)], "task.kind": "translation", "model.source": str(model), **settings}
    recipe, origins = compose(file=None, overrides=[], arguments=arguments)
    return resolve(recipe, origins, prepared=prepare(recipe))


# What is found and chosen.


def test_rows_with_source_and_target_are_a_translation(tmp_path):
    rows = [{"source": f"these are words {i}", "target": f"das sind Worte {i}"} for i in range(30)]
    recipe, _ = compose(
        file=None, overrides=[], arguments={"data.path": [str(write_jsonl(tmp_path / "d.jsonl", rows))]}
    )
    found = prepare(recipe)
    assert found.kind[0].kind == "translation"
    assert found.kind[1] == 'there are columns "source" and "target"'
    assert (found.task.text, found.task.label) == ("source", "target")


@pytest.mark.parametrize(
    ("columns", "kind", "pair"),
    [
        (("en", "de"), "translation", ("en", "de")),
        (("id", "Source", "Target"), "translation", ("Source", "Target")),
        (("id", "article", "highlights"), "summarization", ("article", "highlights")),
        (("document", "summary"), "summarization", ("document", "summary")),
        (("text", "label"), None, None),
        (("Text", "Summary", "Score"), None, None),
    ],
)
def test_columns_are_known_by_their_names(columns, kind, pair):
    rows = [f"these are some words of row {i}" for i in range(20)]
    table = Table.of({name: rows for name in columns})
    seen = [
        name for name in ("translation", "summarization") if TASKS[name].recognises(table, text="auto", label="auto")
    ]
    assert seen[:1] == ([kind] if kind else [])
    if kind:
        task, notes = TASKS[kind]().choose_columns(table)
        assert (task.text, task.label) == pair
        assert "source column" in notes[0].message


def test_a_target_of_few_words_is_a_class_not_a_text():
    table = Table.of({"source": [f"words of row {i}" for i in range(20)], "target": ["good", "bad"] * 10})
    assert not Translation.recognises(table, text="auto", label="auto")


def test_of_two_other_columns_the_longer_is_summarized_and_the_first_translated():
    table = Table.of({"short": [f"row {i}" for i in range(9)], "long": [f"all the words of row {i}" for i in range(9)]})
    assert Summarization().choose_columns(table)[0].text == "long"
    assert Translation().choose_columns(table)[0].text == "short"
    with pytest.raises(DataError, match="not clear which columns hold sources and targets"):
        Translation().choose_columns(table.replace(third=table["long"]))
    with pytest.raises(DataError, match='no column "langs"'):
        Translation(text="langs").choose_columns(table)


def test_several_targets_are_all_learnt_and_all_measured():
    columns = {
        "source": ["a b", "c d", "", "e f"],
        "target": ["x", ["y", "z"], "v", ""],
        "references": [["x", "w"], None, None, None],
    }
    task = Translation(text="source", label="target")
    arguments = {"clean": lambda cell: str(cell or "").strip(), "spec": None}
    train = task.usable(Table.of(columns), split="train", **arguments)
    assert list(train.table["target"]) == [("x",), ("w",), ("y",), ("z",)]
    assert train.ledger.counts("set aside") == {"no source": 1, "no target": 1}
    test = task.usable(Table.of(columns), split="test", **arguments)
    assert task.gold(test.table) == [["x", "w"], ["y", "z"]]


def test_an_encoder_is_made_a_decoder_and_that_is_said(run):
    origins = run.run.origins
    assert "is no encoder-decoder: a decoder is made of its layers" in origins["task.decoder_layers"]["reason"]
    assert origins["task.target_tokens"]["value"] == 8000
    assert run.predictor.model.config.model_type == "encoder-decoder"


def test_what_can_not_write_is_refused(tmp_path):
    config = transformers.DistilBertConfig(vocab_size=30, dim=16, n_layers=1, n_heads=1, hidden_dim=16)
    transformers.DistilBertModel(config).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match='"distilbert" has no decoder in transformers'):
        build_seq2seq(Source("tiny", tmp_path), ModelSpec(), decoder_layers=1)


def test_a_missing_library_is_named_before_training(models, data, monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics", None)
    with pytest.raises(DataError, match=r"needs a library, sacrebleu.*pip install 'tunesmith\[generation\]'"):
        resolved(data, models["t5"])


def test_long_sources_are_refused_in_translation_and_cut_in_summaries(models, tmp_path):
    rows = [*pairs(40), {"source": " ".join(["film"] * 50), "target": "Mlif"}]
    long = write_jsonl(tmp_path / "long.jsonl", rows)
    with pytest.raises(DataError, match=r"long.jsonl:41 source: the source has 50 tokens, the model reads 31"):
        resolved(long, models["t5"], **{"data.split.test": 0.0, "data.split.dev": 0.0})
    found = resolved(
        long, models["t5"], **{"task.kind": "summarization", "task.text": "source", "task.label": "target"}
    )
    value, reason = found.recipe.task.long_text, found.origins.entries["task.long_text"].reason
    assert value == "head"
    assert "of all tokens: only the beginning of such is read" in reason


# How it learns.


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_is_the_one_transformers_computes(family, models, data):
    found = resolved(data, models[family], **{"task.label_smoothing": 0.0})
    setup = make_setup(found)
    model = setup.model.eval().requires_grad_(False)
    examples = setup.examples[:8]
    batch = collate(examples, found.task, pad_id=found.tokenizer.pad_id)
    ours = float(found.task.loss(model(**batch.inputs), batch)) / sum(e.weight for e in examples)
    plain = {name: batch.inputs[name] for name in ("input_ids", "attention_mask")}
    late = model.prepare_decoder_input_ids_from_labels(batch.targets)
    real = batch.targets != -100
    assert torch.equal(late[real], batch.inputs["decoder_input_ids"][real])
    logits = model(**plain, decoder_input_ids=late).logits
    theirs = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch.targets.flatten())
    assert ours == pytest.approx(float(theirs), rel=1e-4)


def test_a_model_of_many_languages_writes_the_one_it_is_set_to(models, data):
    languages = {"task.source_language": "fr_XX", "task.target_language": "ro_RO"}
    found = resolved(data, models["mbart"], **languages)
    plain = found.tokenizer.plain
    example = found.encoded.examples["train"][0]
    assert plain.convert_ids_to_tokens([example.ids[-1], example.target[-1]]) == ["fr_XX", "ro_RO"]
    assert example.extras["decoder_input_ids"][0] == example.target[-1]
    setup = make_setup(found)
    assert setup.model.generation_config.decoder_start_token_id == example.target[-1]
    with pytest.raises(RecipeError, match=r"task\.target_language: the model knows no such language"):
        resolved(data, models["mbart"], **{"task.target_language": "german"})
    with pytest.raises(RecipeError, match=r"task\.source_language: the model knows no such language"):
        resolved(data, models["t5"], **{"task.source_language": "en_XX"})


def test_padding_changes_nothing(models, data):
    found = resolved(data, models["bert"])
    setup = make_setup(found)
    model, examples = setup.model.eval().requires_grad_(False), setup.examples[:12]

    def loss(some):
        batch = collate(some, found.task, pad_id=found.tokenizer.pad_id)
        return float(found.task.loss(model(**batch.inputs), batch))

    assert loss(examples) == pytest.approx(sum(loss([one]) for one in examples), rel=1e-5)
    blank = collate(examples, found.task, pad_id=found.tokenizer.pad_id, blank=True)
    assert float(found.task.loss(model(**blank.inputs), blank)) == 0


def test_batches_count_what_is_read_and_what_is_written(models, data):
    found = resolved(data, models["bert"], **{"train.step_size": "64 tokens", "train.tokens_per_batch": 64})
    examples = found.encoded.examples["train"]
    plan = make_plan(found.recipe, examples)
    assert list(plan.lengths) == [len(e.ids) + len(e.target) for e in examples]
    steps = plan.epoch(0)
    assert max(len(step) * max(int(plan.lengths[i]) for i in step) for step in steps) <= 64


def test_a_step_of_rows_counts_rows(models, data):
    found = resolved(data, models["bert"], **{"train.step_size": "16 rows"})
    plan = make_plan(found.recipe, found.encoded.examples["train"])
    assert {len(step) for step in plan.epoch(0)[1:]} <= set(range(1, 17))
    assert len(plan.epoch(0)) == -(-len(plan.lengths) // 16)


def test_it_learns_word_by_word(run):
    said = list(run.run.predictions("test"))
    right = [row["gold"] == row["predicted"] for row in said]
    assert len(said) > 80
    assert np.mean(right) > 0.6  # by chance: below 0.05
    assert run.metrics["chrf"] > 0.8
    assert run.run.metrics["baselines"]["copy"]["values"]["chrf"]["value"] < 0.3
    assert run.run.metrics["comparison"]["value"] is not None


def test_a_family_that_writes_already_learns_too(models, data, tmp_path):
    settings = {**LEARNT, "train.length": "150 steps", "task.prefix": "we saw: "}
    run = ts.train(data, model=str(models["bart"]), out=tmp_path / "run", settings=settings)
    assert run.metrics["chrf"] > 0.8
    assert "task.decoder_layers" not in run.run.origins or run.run.origins["task.decoder_layers"]["origin"] == "default"
    (said,) = run.predict(["good fine"])
    assert said.text == "Doog Enif"


def test_resumed_it_is_the_same(models, data, tmp_path, monkeypatch):
    settings = {**LEARNT, "train.length": "8 steps", "evaluate.every": "4 steps", "train.save_every": "3 steps"}
    whole = ts.train(data, model=str(models["bert"]), out=tmp_path / "whole", settings=settings)
    monkeypatch.setattr("tunesmith.workflow.session.Session.over_patience", stop_at(5))
    with pytest.raises(KeyboardInterrupt):
        ts.train(data, model=str(models["bert"]), out=tmp_path / "cut", settings=settings)
    monkeypatch.undo()
    cut = ts.resume(tmp_path / "cut")
    one, other = (run.predictor.model.state_dict() for run in (whole, cut))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert list(whole.run.predictions("test")) == list(cut.run.predictions("test"))


def stop_at(step):
    def over_patience(session):
        if session.step == step:
            raise KeyboardInterrupt
        return False

    return over_patience


# How it answers.


def test_evaluate_and_predict_give_what_the_run_gave(run, tmp_path):
    said = list(run.run.predictions("test"))
    rows = [{"source": row["text"], "target": row["gold"]} for row in said]
    measured = evaluate(run.run, [str(write_jsonl(tmp_path / "new.jsonl", rows))], resamples=10)
    assert measured.metrics["values"]["bleu"]["value"] == pytest.approx(run.metrics["bleu"], abs=0.02)
    assert measured.metrics["signatures"]["bleu"].startswith("nrefs:1|")
    only = write_jsonl(tmp_path / "sources.jsonl", [{"source": row["source"]} for row in rows])
    assert predict_file(run.predictor, str(only), out=tmp_path / "out.jsonl").n_rows == len(rows)
    written = [json.loads(line)["predicted"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert written == [answer.text for answer in measured.said]


def test_more_references_are_measured_by_evaluate(run, tmp_path):
    said = list(run.run.predictions("test"))[:5]
    rows = [{"source": row["text"], "target": "Zzz", "references": [row["predicted"]]} for row in said]
    measured = evaluate(run.run, [str(write_jsonl(tmp_path / "new.jsonl", rows))], resamples=10)
    assert measured.metrics["values"]["chrf"]["value"] > 0.95


def test_transformers_writes_the_same_without_tunesmith(run):
    said = list(run.run.predictions("test"))[:12]
    code = """
import json, sys
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer
folder, texts = json.load(sys.stdin)
reads = AutoTokenizer.from_pretrained(folder)
writes = AutoTokenizer.from_pretrained(folder, subfolder="target_tokenizer")
model = AutoModelForSeq2SeqLM.from_pretrained(folder)
written = model.generate(**reads(texts, return_tensors="pt", padding=True, return_token_type_ids=False))
texts = writes.batch_decode(written, skip_special_tokens=True)
print(json.dumps([type(model).__name__, model.generation_config.num_beams, texts]))
assert not any(name.startswith("tunesmith") for name in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps([str(run.run.model_folder), [row["text"] for row in said]]),
        capture_output=True,
        text=True,
        check=True,
    )
    kind, beams, texts = json.loads(done.stdout.strip().splitlines()[-1])
    assert (kind, beams) == ("EncoderDecoderModel", 2)
    assert texts == [row["predicted"] for row in said]


def test_runs_are_compared_by_what_they_wrote(run, models, data, tmp_path):
    settings = {**LEARNT, "train.length": "3 steps"}
    other = ts.train(data, model=str(models["t5"]), out=tmp_path / "weak", settings=settings)
    assert compare([run.run, other.run])["metric"] == "bleu"
    found = compare([run.run, other.run], metric="chrf")
    assert found["ranking"][0]["name"] == run.run.name


def test_card_and_report_speak_of_translations(run):
    card = (run.run.model_folder / "README.md").read_text()
    assert "A translation model:" in card
    assert 'subfolder="target_tokenizer"' in card
    assert "| BLEU |" in card
    report = run.report.read_text()
    assert "Can the probabilities be believed?" not in report
    assert "perplexity" in report.lower()
    assert any("BLEU" in sentence for sentence in run.run.metrics["verdict"]["sentences"])


def test_a_draw_depends_on_the_text_alone(models, data):
    found = resolved(data, models["bert"], **{"task.sample": True, "task.temperature": 2.0})
    setup = make_setup(found)
    model = setup.model.eval()
    assert model.generation_config.do_sample
    assert model.generation_config.temperature == 2.0
    examples = setup.examples[:6]
    batch = collate(examples, found.task, pad_id=found.tokenizer.pad_id)
    state = torch.random.get_rng_state()
    together = found.task.run(model, batch)
    assert torch.equal(state, torch.random.get_rng_state())
    alone = [found.task.run(model, collate([one], found.task, pad_id=0))[0] for one in examples]
    assert together == alone
    assert len({tuple(ids) for ids in together}) > 1


# The written side.


def test_a_target_tokenizer_writes_anything_and_is_the_same_each_time():
    texts = ["Zwei Männer stehen am Straßenrand.", "Ein Mann und eine Frau", "zwei  Frauen"] * 3
    one, other = own_tokenizer(texts, n_tokens=400), own_tokenizer(texts, n_tokens=400)
    assert one.backend_tokenizer.to_str() == other.backend_tokenizer.to_str()
    for text in (*texts, "„Ünïcödé“ 漢字 🙂"):
        assert one.decode(one(text)["input_ids"], skip_special_tokens=True) == text
    assert one("Ein")["input_ids"][0] == one.bos_token_id
    assert one("Ein")["input_ids"][-1] == one.eos_token_id


def test_new_word_vectors_start_from_how_the_reading_side_spells_them(models):
    tokenizer = with_target(load_tokenizer(Source("tiny", models["bert"]), ModelSpec()), ["good film"] * 9, wanted=300)
    model = build_seq2seq(Source("tiny", models["bert"]), ModelSpec(), decoder_layers=1)
    equip(model, tokenizer)
    (good,) = tokenizer.target.plain("good", add_special_tokens=False)["input_ids"]
    (word,) = tokenizer.ids(["good"])[0]
    vectors = model.decoder.get_input_embeddings().weight
    assert torch.equal(vectors[good], model.get_input_embeddings().weight[word])
    assert model.decoder.get_output_embeddings().weight is vectors
    assert len(model.decoder.bert.encoder.layer) == 1


def test_tokens_that_keep_the_targets_are_kept(models):
    tokenizer = load_tokenizer(Source("tiny", models["bert"]), ModelSpec())
    assert not with_target(tokenizer, ["good film"] * 9, wanted="auto").target.is_own
    assert with_target(tokenizer, ["Good film"] * 9, wanted="auto").target.is_own
    written = load_tokenizer(Source("tiny", models["t5"]), ModelSpec())
    with pytest.raises(RecipeError, match="this model has tokens to write with"):
        with_target(written, ["x"], wanted=100)


def test_random_weights_are_the_same_architecture(models):
    source = Source("tiny", models["bert"])
    warm, cold = (
        build_seq2seq(source, ModelSpec(weights=kind), decoder_layers=2).state_dict()
        for kind in ("pretrained", "random")
    )
    assert {name: tensor.shape for name, tensor in warm.items()} == {name: t.shape for name, t in cold.items()}
    name = "encoder.encoder.layer.0.attention.self.query.weight"
    assert not torch.equal(warm[name], cold[name])
    own = transformers.AutoModel.from_pretrained(models["bert"]).state_dict()
    assert torch.equal(warm[name], own[name.removeprefix("encoder.")])
    assert torch.equal(
        warm["decoder.bert.encoder.layer.0.attention.self.query.weight"], own[name.removeprefix("encoder.")]
    )


def test_a_saved_model_is_trained_further(run, data, tmp_path):
    again = resolved(data, run.run.model_folder)
    assert again.tokenizer.target.is_own
    assert (run.run.model_folder / FOLDER).is_dir()
    setup = make_setup(again)
    vectors = setup.model.decoder.get_input_embeddings().weight
    assert torch.equal(vectors, run.predictor.model.decoder.get_input_embeddings().weight)


def test_opened_twice_it_is_the_same_model(run):
    assert Predictor.load(run.run.model_folder).fingerprint() == run.predictor.fingerprint()


def test_the_answers_of_several_targets_are_the_nearest():
    row = {"gold": ["a b", "c d"], "predicted": "c d"}
    assert Translation.wrongness(row) == 0
    assert Translation.wrongness({**row, "predicted": "e"}) == 1
    assert Translation.told(row["gold"], row) == "a b"
    assert TRANSLATED["good"] == "Doog"
