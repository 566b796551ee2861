"""Prefixes: the formula, and that a saved model opens with them, in every tool, or not at all."""

from functools import cache

import pytest
import torch
import transformers
from transformers import DynamicCache

import tunesmith as ts
from tests.families.build import FAMILIES
from tests.workflow.small import resumed_and_opened
from tunesmith.core.errors import ModelError
from tunesmith.models.adapt import adapt
from tunesmith.models.classifier import build_classifier, head_of, quiet
from tunesmith.models.language import build_language_model
from tunesmith.models.prefix import NAME, Prefix, add_prefixes
from tunesmith.models.seq2seq import build_seq2seq
from tunesmith.models.source import Source
from tunesmith.models.spec import AdaptSpec, ModelSpec

UNABLE = ("DeBERTa-v2", "DeBERTa-v3", "MPNet", "XLNet")
"""Families that compute attention in a way of their own."""
ABLE = [name for name in FAMILIES if name not in UNABLE]
CLASSIFIERS = [name for name in ABLE if name not in ("Marian", "Pegasus")]
IDS = torch.tensor([[5, 6, 7, 8], [9, 5, 7, 0]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
N = 3
SETTINGS = {"train.length": "20 steps", "evaluate.resamples": 20, "data.split.dev": 0.2,
            "model.adapt.kind": "prefix", "model.adapt.tokens": N}  # fmt: skip


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """Return a function from a family's name to the folder of its checkpoint."""
    folder = tmp_path_factory.mktemp("families")
    return cache(lambda name: Source(name, FAMILIES[name].write(folder / name)))


def prefixed(model):
    add_prefixes(model, [[5, 6, 7], [8, 9]], N, seed=0)
    torch.manual_seed(0)
    with torch.no_grad():
        for module in model.modules():
            for parameter in module.parameters() if isinstance(module, Prefix) else ():
                parameter.copy_(torch.randn_like(parameter))
    return model.eval()


def as_past(model):
    """Return the prefixes as transformers keeps what was read before."""
    layers = [module for module in model.modules() if isinstance(module, Prefix)]
    return DynamicCache([(layer.keys.expand(2, *layer.keys.shape), layer.values.expand(2, *layer.values.shape))
                         for layer in layers])  # fmt: skip


@pytest.mark.parametrize("name", ["BERT", "GPT-2", "Llama", "Qwen2", "GPT-NeoX"])
def test_a_prefix_is_what_transformers_takes_as_read_before(checkpoint, name):
    source = checkpoint(name)
    model = build_classifier(source, ModelSpec(), ("a", "b")).eval()
    model.config.pad_token_id = 0
    plain = type(model).from_pretrained(source.folder, config=model.config).eval()
    plain.load_state_dict(model.state_dict())
    inner = getattr(plain, plain.base_model_prefix)
    before = inner(input_ids=IDS, attention_mask=MASK).last_hidden_state
    prefixed(model)
    places = torch.arange(4).expand(2, 4)
    mask = torch.cat([torch.ones(2, N, dtype=torch.long), MASK], dim=1)
    wanted = inner(input_ids=IDS, attention_mask=mask, position_ids=places, past_key_values=as_past(model))
    found = getattr(model, model.base_model_prefix)(input_ids=IDS, attention_mask=MASK)
    there = MASK.bool()
    torch.testing.assert_close(found.last_hidden_state[there], wanted.last_hidden_state[there], atol=1e-5, rtol=1e-4)
    assert not torch.allclose(found.last_hidden_state[there], before[there], atol=1e-3)


def test_by_hand(checkpoint):
    """Li and Liang (2021): softmax(q [P_k; k] / sqrt(d)) [P_v; v]."""
    model = prefixed(build_classifier(checkpoint("BERT"), ModelSpec(pooling="first"), ("a", "b")))
    attention = model.bert.encoder.layer[0].attention.self
    x = torch.randn(1, 4, model.config.hidden_size)
    found = attention(x)[0][0]
    heads, width = attention.num_attention_heads, attention.attention_head_size
    made = (layer(x)[0].view(4, heads, width) for layer in (attention.query, attention.key, attention.value))
    query, key, value = (one.transpose(0, 1) for one in made)
    prefix = getattr(attention, NAME)
    key, value = torch.cat([prefix.keys, key], dim=1), torch.cat([prefix.values, value], dim=1)
    wanted = (query @ key.transpose(1, 2) / width**0.5).softmax(dim=-1) @ value
    torch.testing.assert_close(found, wanted.transpose(0, 1).reshape(4, -1), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_prefixes_learn_are_saved_and_opened_by_transformers(checkpoint, tmp_path, name):
    model = prefixed(build_classifier(checkpoint(name), ModelSpec(), ("a", "b")))
    model.config.pad_token_id = model.config.pad_token_id or 0
    adapt(model, AdaptSpec(kind="prefix", tokens=N), head=head_of(model))
    learn = {n for n, parameter in model.named_parameters() if parameter.requires_grad}
    assert {n for n, _ in model.named_parameters() if f".{NAME}." in n} <= learn
    assert len(learn) < len(list(model.parameters()))
    ids = torch.tensor([[5, 6, 7, model.config.eos_token_id or 8]])
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    model(**inputs).logits.square().sum().backward()
    assert all(parameter.grad is not None for n, parameter in model.named_parameters() if NAME in n)
    with quiet():
        model.save_pretrained(tmp_path)
        again = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
        straight = type(model).from_pretrained(tmp_path).eval()
    assert again.config.model_type == model.config.model_type
    for one in (again, straight):
        torch.testing.assert_close(one(**inputs).logits, model(**inputs).logits, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["GPT-2", "Llama", "BERT"])
def test_what_writes_word_by_word_sees_the_prefix_at_each(checkpoint, tmp_path, name):
    model = prefixed(build_language_model(checkpoint(name), ModelSpec(), auto_class="AutoModelForCausalLM"))
    with quiet():
        model.save_pretrained(tmp_path)
        again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    ids = IDS[:1]
    found = again.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=5, do_sample=False, eos_token_id=None
    )
    for at in range(4, found.shape[1]):
        said = model(input_ids=found[:, :at], attention_mask=torch.ones(1, at, dtype=torch.long)).logits[0, -1]
        assert int(said.argmax()) == int(found[0, at]), "with what was read before kept, or read anew"


@pytest.mark.parametrize("name", ["T5", "BART", "Marian"])
def test_encoders_decoders_and_what_is_between_have_prefixes(checkpoint, tmp_path, name):
    model = prefixed(build_seq2seq(checkpoint(name), ModelSpec(), decoder_layers=None))
    n_layers = len(model.get_encoder().state_dict()) and model.config.num_hidden_layers
    assert sum(isinstance(module, Prefix) for module in model.modules()) == 3 * n_layers
    with quiet():
        model.save_pretrained(tmp_path)
        again = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path).eval()
    inputs = {"input_ids": IDS, "attention_mask": MASK, "decoder_input_ids": IDS}
    torch.testing.assert_close(again(**inputs).logits, model(**inputs).logits, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", UNABLE)
def test_families_with_attention_of_their_own_are_refused(checkpoint, name):
    model = build_classifier(checkpoint(name), ModelSpec(), ("a", "b"))
    with pytest.raises(ModelError, match="in a way of its own"):
        add_prefixes(model, [[5]], N, seed=0)


def test_a_run_is_resumed_to_the_same_weights_opened_anywhere_and_trained_further(tiny, tmp_path, monkeypatch):
    data, _ = resumed_and_opened(tiny, SETTINGS, tmp_path, monkeypatch)
    further = {key: value for key, value in SETTINGS.items() if "adapt" not in key}
    more = ts.train(data, model=str(tmp_path / "whole"), out=tmp_path / "more", settings=further)
    assert "prefixes" in (more.run.model_folder / "config.json").read_text()
    with pytest.raises(ModelError, match="already"):
        ts.train(data, model=str(tmp_path / "whole"), out=tmp_path / "twice", settings=SETTINGS)


@pytest.mark.parametrize("name", ["BERT", "Llama", "T5"])
def test_the_base_model_alone_has_the_prefixes_too(checkpoint, tmp_path, name):
    model = prefixed(build_classifier(checkpoint(name), ModelSpec(pooling="first"), ("a", "b")))
    with quiet():
        model.save_pretrained(tmp_path)
        base = transformers.AutoModel.from_pretrained(tmp_path).eval()
    inputs = {"input_ids": IDS[:1]} | ({"decoder_input_ids": IDS[:1]} if name == "T5" else {})
    wanted = getattr(model, model.base_model_prefix)(**inputs).last_hidden_state
    torch.testing.assert_close(base(**inputs).last_hidden_state, wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("pooling", ["max", "layers"])
def test_prefixes_and_a_pooling_of_our_own(checkpoint, tmp_path, pooling):
    model = prefixed(build_classifier(checkpoint("RoBERTa"), ModelSpec(pooling=pooling), ("a", "b")))
    with quiet():
        model.save_pretrained(tmp_path)
        again = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    inputs = {"input_ids": IDS, "attention_mask": MASK}
    torch.testing.assert_close(again(**inputs).logits, model(**inputs).logits, atol=1e-5, rtol=1e-4)
    assert any(NAME in name for name in again.state_dict())
