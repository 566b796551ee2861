"""Every way to pool on every family: padding on either side, what is saved, what is impossible."""

import json

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import tunesmith as ts
from tests.families.build import FAMILIES
from tests.families.columns import COLUMNS
from tests.families.fresh import look
from tests.families.test_matrix import SAME, SETTINGS
from tests.families.test_models import NO_BIAS, TEXTS, batch_of
from tunesmith.core.errors import ModelError
from tunesmith.models.classifier import build_classifier, divide_logits, has_bias, quiet
from tunesmith.models.pooling import FAMILYS_OWN, usual_pooling
from tunesmith.models.source import Source
from tunesmith.models.spec import ModelSpec
from tunesmith.models.tokenize import load_tokenizer

POOLINGS = ("mean", "max", "attention", "last", "layers")
CAUSAL = NO_BIAS
WHOLE = ("T5", "BART", "mBART", "Marian", "Pegasus")
"""Encoder-decoders."""
PLAIN = {("BERT", "mean"), ("BERT", "attention"), ("ModernBERT", "mean"), *((name, "last") for name in CAUSAL)}
everyone = pytest.mark.parametrize("name", FAMILIES)


@pytest.fixture
def load(load):
    """Return the same function, with all that learns in the pooling moved."""

    def make(name, **spec):
        model, tokenizer = load(name, **spec)
        with torch.no_grad():
            for parameter in getattr(model, "pooling", torch.nn.Identity()).parameters():
                parameter.add_(torch.randn_like(parameter) / 10)
        return model, tokenizer

    return make


def logits(model, inputs):
    with torch.inference_mode():
        return model(**inputs).logits


@everyone
def test_filling_does_not_count_on_either_side(load, name):
    for pooling in POOLINGS:
        model, tokenizer = load(name, pooling=pooling)
        is_plain = (name, pooling) in PLAIN
        assert (type(model).__name__ == "PooledForSequenceClassification") == (not is_plain)
        batch = batch_of(tokenizer, TEXTS)
        together = logits(model, batch)
        assert together.std(dim=0).min() > 1e-6, "texts must matter"
        for i, text in enumerate(TEXTS):
            alone = logits(model, batch_of(tokenizer, [text]))[0]
            torch.testing.assert_close(together[i], alone, atol=1e-5, rtol=1e-4)
        if is_plain:
            continue
        n_empty = (batch["attention_mask"] == 0).sum(dim=1).tolist()
        left = {k: torch.stack([row.roll(n) for row, n in zip(v, n_empty, strict=True)]) for k, v in batch.items()}
        assert not torch.equal(left["input_ids"], batch["input_ids"])
        torch.testing.assert_close(logits(model, left), together)


@everyone
def test_what_is_saved_opens_and_answers_alike(load, name, tmp_path):
    model, tokenizer = load(name, pooling="layers", head_layers=1)
    batch = batch_of(tokenizer, TEXTS)
    before = logits(model, batch)
    divide_logits(model, 2.0)
    with quiet():
        model.save_pretrained(tmp_path)
        tokenizer.plain.save_pretrained(tmp_path)
        again = AutoModelForSequenceClassification.from_pretrained(tmp_path, use_safetensors=True)
    torch.testing.assert_close(logits(again.eval(), batch), before / 2)
    assert len(model.state_dict()) == len(again.state_dict())
    assert "auto_map" not in json.loads((tmp_path / "config.json").read_text())
    found, wanted = (plain(TEXTS)["input_ids"] for plain in (AutoTokenizer.from_pretrained(tmp_path), tokenizer.plain))
    assert found == wanted
    source = Source("saved", tmp_path)
    assert load_tokenizer(source, ModelSpec()).max_tokens == tokenizer.max_tokens
    assert usual_pooling(source, ModelSpec()) == ("layers", "as in the run it starts from")
    further = build_classifier(source, ModelSpec(pooling="layers"), ("a", "b", "c")).eval()
    torch.testing.assert_close(logits(further, batch), before / 2)


@everyone
def test_weights_are_the_pre_trained_ones(load, checkpoint, name):
    from safetensors.torch import load_file

    trained = {weight.numpy().tobytes() for weight in load_file(checkpoint(name) / "model.safetensors").values()}
    model, _ = load(name, pooling="max")
    new = {n for n, weight in model.state_dict().items() if weight.numpy().tobytes() not in trained}
    assert {n for n in new if "embed_positions" not in n} <= {"output.weight", "output.bias"}


@everyone
def test_what_is_left_open(checkpoint, name):
    source = Source(name, checkpoint(name))
    usual = "mean" if name == "BERT" else "first"
    assert usual_pooling(source, ModelSpec())[0] == usual
    assert name == "BERT" or usual_pooling(source, ModelSpec()) == FAMILYS_OWN
    with_layers = usual_pooling(source, ModelSpec(head_layers=1))[0]
    wanted = "last" if name in {*CAUSAL, "XLNet"} else "mean" if name in {*WHOLE, "BERT"} else "first"
    assert with_layers == wanted
    assert has_bias(source, ModelSpec(pooling=with_layers, head_layers=1))


@pytest.mark.parametrize("name", sorted(CAUSAL))
def test_a_first_token_that_has_not_seen_the_others_is_refused(load, name):
    with pytest.raises(ModelError, match="has not seen the others") as raised:
        load(name, pooling="first", head_layers=1)
    assert raised.value.problems[0].fix == "use --set model.pooling=last"


@pytest.mark.parametrize("name", WHOLE)
def test_of_an_encoder_decoder_the_encoder_is_kept(load, name, tmp_path):
    model, tokenizer = load(name, pooling="mean")
    assert not [n for n in model.state_dict() if "decoder" in n]
    with quiet():
        model.save_pretrained(tmp_path)
        tokenizer.plain.save_pretrained(tmp_path)
    for auto_class in ("AutoModelForSequenceClassification", "AutoModelForQuestionAnswering"):
        with pytest.raises(ModelError, match=r"holds the encoder alone|has no such head"):
            build_classifier(Source("saved", tmp_path), ModelSpec(), ("a", "b"), auto_class=auto_class)


RUNS = {
    "RoBERTa": ("text-classification", {"pooling": "attention", "head_layers": 2, "adapt.kind": "lora"}),
    "DistilBERT": ("text-classification", {"pooling": "layers", "drop_layers": 0.5, "reinit_layers": 1}),
    "GPT-2": ("text-regression", {"pooling": "mean"}),
    "XLNet": ("multi-label-classification", {"pooling": "max", "head_layers": 1, "head_activation": "gelu"}),
    "T5": ("text-classification, pairs", {"pooling": "layers", "head_start": "probe"}),
    "ModernBERT": ("text-classification", {"pooling": "mean"}),
    "Marian": ("text-classification", {"pooling": "attention", "adapt.kind": "bitfit"}),
    "Llama": ("text-classification, pairs", {"head_layers": 1, "adapt.kind": "dora"}),
}
TRAIN = {**SETTINGS, "train.head_first": "1 steps", "objectives.rdrop": True, "data.split.dev": 0.3}


@pytest.mark.parametrize("name", RUNS)
def test_a_run_opens_again_and_in_a_pipeline(checkpoint, tmp_path, name, monkeypatch):
    # A fresh process is tried in tests/models/test_pooling.py.
    monkeypatch.setattr("tunesmith.workflow.finish.verify", lambda *_, **__: None)
    kind, chosen = RUNS[name]
    settings = {**TRAIN, **COLUMNS[kind].settings, **{f"model.{key}": value for key, value in chosen.items()}}
    data = COLUMNS[kind].data(tmp_path)
    run = ts.train(data, model=str(checkpoint(name)), out=tmp_path / "run", settings=settings)
    task, rows = run.predictor.task, list(run.run.predictions("test"))
    columns = {column: [row[field] for row in rows] for field, column in task.columns.items()}
    found = look(kind, str(run.run.model_folder), columns)
    said, alone = ([task.prediction.of(record) for record in found[part]] for part in ("said", "alone"))
    before = [task.prediction.of(record) for record in rows]
    assert max(task.distance(said, before), task.distance(said, alone), found["pipeline"]) < SAME
    assert (type(run.predictor.model).__name__ == "PooledForSequenceClassification") == (name != "ModernBERT")
