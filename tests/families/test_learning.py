"""What learns in the families of models, how fast, and what is held to where it started."""

import re
from functools import partial

import pytest
import torch
from safetensors.torch import load_file

from tests.engine.test_anchor import let_go
from tests.families.test_models import CLASSIFIERS
from tunesmith.core.errors import ModelError
from tunesmith.engine.anchor import Anchor
from tunesmith.engine.freeze import freeze
from tunesmith.engine.optim import depths, make_optimizer
from tunesmith.engine.spec import TrainSpec
from tunesmith.models.adapt import adapt
from tunesmith.models.classifier import build_classifier, head_of
from tunesmith.models.layers import LAYER, drop_layers
from tunesmith.models.source import Source
from tunesmith.models.spec import AdaptSpec, ModelSpec

each = pytest.mark.parametrize("name", CLASSIFIERS)


@each
def test_what_the_checkpoint_does_not_hold_learns_as_the_head_does_and_is_held_nowhere(load, checkpoint, name):
    """Zero biases look alike everywhere, so matrices alone are compared."""
    known = {weight.numpy().tobytes() for weight in load_file(checkpoint(name) / "model.safetensors").values()}
    model, _ = load(name)
    head = head_of(model)
    matrices = {n: p for n, p in model.named_parameters() if p.ndim > 1 and p.requires_grad}
    new = {n for n, p in matrices.items() if p.detach().numpy().tobytes() not in known}
    found = depths(model, head=head)
    assert {n for n in matrices if found[n] == 0} == new
    spec = TrainSpec(lr=1.0, layer_decay=1.0, head_lr_factor=1.0, decay_to_start=0.5)
    anchor, optimizer = Anchor(model, spec, head=head), make_optimizer(model, spec, head=head)
    assert let_go(anchor, optimizer, matrices) == new


@each
def test_mixout_reaches_every_familys_layers(load, name):
    model, _ = load(name)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    anchor = Anchor(model, TrainSpec(mixout=0.5), head=head_of(model))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    with anchor.mixed(seed=0, step=0):
        mixed = {n for n, p in model.named_parameters() if torch.isclose(p, before[n], atol=1e-5).any()}
    layers = {n for n, p in model.named_parameters() if p.ndim == 2 and n.endswith("weight") and LAYER.search(n)}
    others = {n for n in layers if re.search(r"norm|relative_attention_bias", n)}
    if name != "ALBERT":  # one layer, with a name of its own
        assert mixed >= layers - others
    assert mixed
    assert not [n for n in mixed if re.search(r"^(score|classifier|classification_head|pre_classifier|logits)", n)]


@pytest.mark.parametrize("setting", ["reinit_layers", "drop_layers"])
def test_one_layer_used_many_times_is_not_divided(checkpoint, setting):
    build = partial(build_classifier, Source("ALBERT", checkpoint("ALBERT")), names=("a", "b"))
    with pytest.raises(ModelError, match="no layers are found") as raised:
        if setting == "drop_layers":
            drop_layers(build(ModelSpec()), 0.5)
        build(ModelSpec(reinit_layers=1))
    assert raised.value.problems[0].where.column == f"model.{setting}"
    assert raised.value.problems[0].fix == f"--set model.{setting}=0"


@each
def test_embeddings_are_frozen_and_no_layer(load, name):
    model, _ = load(name)
    freeze(model, ["embeddings"], head=head_of(model))
    found = {n for n, p in model.named_parameters() if not p.requires_grad}
    assert any(model.get_submodule(n.rpartition(".")[0]) is model.get_input_embeddings() for n in found)
    assert not [n for n in found if LAYER.search(n) or "albert_layer" in n]


@each
def test_biases_learn_or_the_family_is_refused(load, name):
    model, _ = load(name)
    head = head_of(model)
    if name in ("Llama", "Qwen3", "ModernBERT", "T5"):
        with pytest.raises(ModelError, match="bitfit finds nothing to learn") as raised:
            adapt(model, AdaptSpec(kind="bitfit"), head=head)
        assert raised.value.problems[0].fix == "--set model.adapt.kind=lora"
        return
    adapt(model, AdaptSpec(kind="bitfit"), head=head)
    assert [n for n, p in model.named_parameters() if p.requires_grad and LAYER.search(n)] or name == "ALBERT"


@pytest.mark.parametrize("name", ["BERT", "GPT-2", "GPT-NeoX", "Llama", "Qwen3", "T5", "BART"])
def test_of_feed_forwards_alone_ia3_scales_what_comes_in(load, name):
    """Liu et al. 2022, section 3.3: factors on keys, on values, and on the features of feed-forwards."""
    model, _ = load(name)
    adapt(model, AdaptSpec(kind="ia3"), head=head_of(model))
    scaled = {n: m for n, m in model.named_modules() if hasattr(m, "is_feedforward") and hasattr(m, "base_layer")}
    assert scaled
    ends = ("output.dense", "mlp.c_proj", "mlp.dense_4h_to_h", "down_proj", "wo", "fc2")
    for n, module in scaled.items():
        assert module.is_feedforward == (n.endswith(ends) and "attention" not in n), n


def test_factors_of_ia3_are_not_taken_to_zero(load):
    model, _ = load("BERT")
    head = head_of(model)
    adapt(model, AdaptSpec(kind="ia3"), head=head)
    groups = make_optimizer(
        model, TrainSpec(lr=1e-3, layer_decay=1.0, head_lr_factor=1.0, weight_decay=0.1), head=head
    ).param_groups
    decays = {name: group["weight_decay"] for group in groups for name in group["names"]}
    assert {value for name, value in decays.items() if "ia3_l" in name} == {0.0}
    assert set(decays.values()) == {0.0, 0.1}
