"""Dropout in the families of models: of hidden layers, of attention, of the head."""

from functools import partial

import pytest
import torch
from torch import nn

from tests.families.test_models import CLASSIFIERS, HEADLESS_DROPOUT, TEXTS, batch_of
from tunesmith.core.errors import ModelError
from tunesmith.models.classifier import build_classifier
from tunesmith.models.seq2seq import build_seq2seq
from tunesmith.models.source import Source
from tunesmith.models.spec import ModelSpec

each = pytest.mark.parametrize("name", CLASSIFIERS)


@each
def test_dropout_is_set_under_every_name(load, name):
    model, _ = load(name, dropout=0.3)
    inner = f"{model.base_model_prefix}."
    inside = {m.p for n, m in model.named_modules() if isinstance(m, nn.Dropout) and n.startswith(inner)}
    attributes = [getattr(m, "dropout", None) for m in model.modules()] + [
        getattr(m, "attention_dropout", None) for m in model.modules()
    ]
    assert inside <= {0.3}
    assert inside or 0.3 in attributes
    assert dropouts_on_top(model) == dropouts_on_top(load(name)[0]), "the head keeps its own"


def dropouts_on_top(model):
    inner = f"{model.base_model_prefix}."
    return {n: m.p for n, m in model.named_modules() if isinstance(m, nn.Dropout) and not n.startswith(inner)}


@each
def test_dropout_of_attention_alone(load, name):
    if name in ("XLNet", "T5"):
        with pytest.raises(ModelError, match="no dropout of its own") as raised:
            load(name, attention_dropout=0.5)
        assert raised.value.problems[0].fix == "--set model.attention_dropout=auto"
        return
    more = {} if name in HEADLESS_DROPOUT else {"head_dropout": 0.0}
    for attention, is_random in ((0.5, True), (0.0, False)):
        model, tokenizer = load(name, dropout=0.0, attention_dropout=attention, **more)
        batch = batch_of(tokenizer, TEXTS)
        model.train()
        assert torch.equal(model(**batch).logits, model(**batch).logits) != is_random


@pytest.mark.parametrize("name", ["BERT", "MPNet", "DeBERTa-v2", "DistilBERT"])
@pytest.mark.parametrize("kind", ["AutoModelForTokenClassification", "AutoModelForQuestionAnswering", "own class"])
def test_the_head_keeps_its_dropout_in_every_class(checkpoint, name, kind):
    whole = kind == "own class"
    more = {} if whole else {"auto_class": kind, "problem_type": None}
    pooling = {"pooling": "max"} if whole else {}
    build = partial(build_classifier, Source(name, checkpoint(name)), names=("a", "b"), **more)
    usual, other = build(ModelSpec(**pooling)), build(ModelSpec(dropout=0.37, **pooling))
    assert dropouts_on_top(usual) == dropouts_on_top(other)
    assert 0.37 in {m.p for m in other.modules() if isinstance(m, nn.Dropout)}


@each
def test_head_dropout(load, name):
    if name in HEADLESS_DROPOUT:
        with pytest.raises(ModelError, match="has no dropout"):
            load(name, head_dropout=0.4)
        return
    model, _ = load(name, head_dropout=0.4)
    inner = f"{model.base_model_prefix}."
    assert {m.p for n, m in model.named_modules() if isinstance(m, nn.Dropout) and not n.startswith(inner)} == {0.4}


@pytest.mark.parametrize("name", ["DistilBERT", "ModernBERT", "BERT"])
def test_head_dropout_of_questions_where_the_family_has_one(checkpoint, name):
    build = partial(
        build_classifier,
        Source(name, checkpoint(name)),
        ModelSpec(head_dropout=0.4),
        ("start", "end"),
        auto_class="AutoModelForQuestionAnswering",
        problem_type=None,
    )
    if name == "BERT":
        with pytest.raises(ModelError, match="has no dropout"):
            build()
        return
    assert {*dropouts_on_top(build()).values()} == {0.4}


def test_both_halves_of_a_writer_made_of_an_encoder(checkpoint, tmp_path):
    build_seq2seq(Source("BERT", checkpoint("BERT")), ModelSpec(), decoder_layers=None).save_pretrained(tmp_path)
    spec = ModelSpec(dropout=0.25, attention_dropout=0.5)
    again = build_seq2seq(Source("writer", tmp_path), spec, decoder_layers=None)
    for part in (again.encoder, again.decoder):
        assert {m.p for m in part.modules() if isinstance(m, nn.Dropout)} == {0.25, 0.5}
