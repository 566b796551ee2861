"""Parallel adapters: the formula, and that the merged model is a plain one that gives the same, whatever the family."""

import json
from dataclasses import replace
from functools import cache

import pytest
import torch
import transformers
from torch import nn
from torch.nn import functional as F

import tunesmith as ts
from tests.families.build import FAMILIES
from tests.tiny import sentences, write_csv
from tests.workflow.small import resumed_and_opened
from tunesmith.core.errors import ModelError, RecipeError
from tunesmith.models.adapt import adapt, merge
from tunesmith.models.bottleneck import Narrower, Wider
from tunesmith.models.classifier import build_classifier, head_of, quiet
from tunesmith.models.language import build_language_model
from tunesmith.models.seq2seq import build_seq2seq
from tunesmith.models.source import Source
from tunesmith.models.spec import AdaptSpec, ModelSpec

GATED = replace(FAMILIES["T5"], sizes={**FAMILIES["T5"].sizes, "feed_forward_proj": "gated-gelu"})
MADE = {**FAMILIES, "T5 v1.1": GATED}
CLASSIFIERS = [name for name in MADE if name not in ("Marian", "Pegasus")]
SPEC = AdaptSpec(kind="adapter", rank=4, alpha=6)
SETTINGS = {"train.length": "12 steps", "evaluate.resamples": 20, "data.split.dev": 0.2, "train.lr": 5e-3,
            "model.adapt.kind": "adapter"}  # fmt: skip


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """Return a function from a family's name to the folder of its checkpoint."""
    folder = tmp_path_factory.mktemp("families")
    return cache(lambda name: MADE[name].write(folder / name.replace(" ", "-")))


def shaken(model):
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.2 * torch.randn_like(parameter))


def reopened(model, folder):
    with quiet():
        model.save_pretrained(folder)
        return type(model).from_pretrained(folder).eval()


def by_hand(mlp, x, *, scale):
    """He et al. (2022), table 1 and section 4: h + s ReLU(x W_down) W_up, here with the family's activation."""
    down, up = mlp.wi.added, mlp.wo.added
    return mlp.wo.base(F.relu(mlp.wi.base(x))) + scale * F.relu(x @ down.weight.T) @ up.weight.T


def test_it_is_the_papers_formula(checkpoint):
    model = build_classifier(Source("T5", checkpoint("T5")), ModelSpec(), ("a", "b")).eval()
    adapt(model, SPEC, head=head_of(model))
    mlp = model.transformer.encoder.block[0].layer[1].DenseReluDense
    x = torch.randn(2, 3, 32)
    assert torch.equal(mlp.wo.added.weight, torch.zeros(32, 4)), "at first nothing is added"
    shaken(model)
    assert torch.allclose(mlp(x), by_hand(mlp, x, scale=6 / 4), atol=1e-5)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_merged_it_is_a_plain_model_that_gives_the_same(checkpoint, tmp_path, name):
    torch.manual_seed(0)
    model = build_classifier(Source(name, checkpoint(name)), ModelSpec(), ("a", "b", "c")).eval()
    model.config.pad_token_id = 1 if model.config.pad_token_id is None else model.config.pad_token_id
    names = [name for name, _ in model.named_parameters()]
    end = model.config.eos_token_id if model.config.is_encoder_decoder else 9
    ids = torch.tensor([[5, 7, 9, end], [5, 8, 3, end]])
    with torch.no_grad():
        untouched = model(input_ids=ids).logits
        adapt(model, SPEC, head=head_of(model))
        assert torch.allclose(model(input_ids=ids).logits, untouched, atol=1e-6), "nothing is changed at first"
    n_learnt = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert n_learnt < 0.3 * sum(p.numel() for p in model.parameters())
    shaken(model)
    with torch.no_grad():
        changed = model(input_ids=ids).logits
        assert not torch.allclose(changed, untouched, atol=1e-3)
        merge(model)
        assert [name for name, _ in model.named_parameters()] == names
        assert not [module for module in model.modules() if isinstance(module, Wider | Narrower)]
        assert torch.allclose(model(input_ids=ids).logits, changed, atol=1e-5)
        assert torch.allclose(reopened(model, tmp_path)(input_ids=ids).logits, changed, atol=1e-5)


def test_a_model_that_writes_keeps_its_class_too(checkpoint, tmp_path):
    for build in (
        lambda: build_language_model(Source("m", checkpoint("GPT-2")), ModelSpec(), auto_class="AutoModelForCausalLM"),
        lambda: build_seq2seq(Source("m", checkpoint("Marian")), ModelSpec(), decoder_layers=None),
        lambda: build_seq2seq(Source("m", checkpoint("BERT")), ModelSpec(), decoder_layers=1),
    ):
        model = build().eval()
        adapt(model, SPEC, head=None)
        shaken(model)
        ids = torch.tensor([[5, 7, 9, 4]])
        given = {"decoder_input_ids": ids} if model.config.is_encoder_decoder else {}
        with torch.no_grad():
            changed = model(input_ids=ids, **given).logits
            merge(model)
            again = reopened(model, tmp_path / type(model).__name__)
            assert torch.allclose(again(input_ids=ids, **given).logits, changed, atol=1e-5)


def test_the_averaging_layer_gets_as_many_features_that_do_nothing(tiny, tmp_path):
    model = build_classifier(Source("tiny", tiny), ModelSpec(pooling="mean"), ("a", "b")).eval()
    adapt(model, SPEC, head=head_of(model))
    assert not isinstance(model.bert.encoder.layer[2].intermediate.dense, Wider)
    shaken(model)
    ids = torch.tensor([[2, 7, 9, 3]])
    changed = model(input_ids=ids).logits
    merge(model)
    assert not model.bert.encoder.layer[2].intermediate.dense.weight.any()
    assert torch.allclose(reopened(model, tmp_path)(input_ids=ids).logits, changed, atol=1e-5)


def test_what_has_no_place_for_it_is_refused(tiny):
    class Other(nn.Module):
        def __init__(self):
            super().__init__()
            self.config, self.net = transformers.BertConfig(), nn.Linear(3, 3)

    with pytest.raises(ModelError, match=r"can't be made wider.*--set model.adapt.kind=lora"):
        adapt(Other(), SPEC, head=None)
    model = build_classifier(Source("tiny", tiny), ModelSpec(), ("a", "b"))
    with pytest.raises(RecipeError, match="adapter has none"):
        adapt(model, SPEC.model_copy(update={"targets": ("query",)}), head=None)


def test_a_run_is_resumed_to_the_same_weights_and_opens_anywhere(tiny, tmp_path, monkeypatch):
    _, whole = resumed_and_opened(tiny, SETTINGS, tmp_path, monkeypatch)
    assert json.loads((whole.run.model_folder / "config.json").read_text())["intermediate_size"] == 64 + 8


ALL = {"objectives.rdrop": True, "objectives.freelb": True, "objectives.contrast": True, "augment.copies": 1,
       "train.mixout": 0.2, "train.decay_to_start": 1.0, "train.soup": 2, "train.unfreeze_every": "4 steps",
       "model.drop_layers": 0.2, "model.dropout": 0.2, "evaluate.every": "4 steps"}  # fmt: skip


@pytest.mark.parametrize("kind", ["adapter", "prompt", "prefix", "lora"])
def test_all_techniques_at_once(tiny, tmp_path, kind):
    data = write_csv(tmp_path / "rows.csv", sentences(80))
    settings = {**SETTINGS, **ALL, "model.adapt.kind": kind, "model.adapt.tokens": 4}
    if kind in ("prompt", "prefix"):
        del settings["train.mixout"]  # no linear layer learns: refused
    run = ts.train(data, model=str(tiny), out=tmp_path / "run", settings=settings)
    assert run.run.status == "done"
    pipe = transformers.pipeline("text-classification", str(run.run.model_folder), device="cpu")
    texts = ["good lovely film", "awful sad book"]
    assert [one["label"] for one in pipe(texts)] == [one.label for one in run.predict(texts)]
