from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import RobertaConfig, RobertaModel

from tests.engine.test_loop import make, same, state
from tunesmith.core.errors import RecipeError
from tunesmith.engine import checkpoint
from tunesmith.engine.freeze import Thaw, freeze
from tunesmith.engine.loop import train_steps
from tunesmith.engine.plan import Plan
from tunesmith.engine.spec import TrainSpec
from tunesmith.models.adapt import adapt
from tunesmith.models.classifier import build_classifier, head_of
from tunesmith.models.source import Source
from tunesmith.models.spec import AdaptSpec, ModelSpec


def learnt(model):
    return {name for name, p in model.named_parameters() if p.requires_grad}


def thawing(folder, **changes):
    setup, plan = make(folder, **changes)
    model = setup.device.plain(setup.model)
    thaw = Thaw(model, setup.spec, head=head_of(model))
    return replace(setup, thaw=thaw), plan


@pytest.mark.parametrize(
    ("wanted", "gone", "left"),
    [
        (["backbone"], ["bert."], ["classifier.weight"]),
        (["embeddings"], ["bert.embeddings.word_embeddings.weight"], ["bert.encoder.layer.0.output.dense.weight"]),
        (["1 layers"], ["bert.encoder.layer.0."], ["bert.encoder.layer.1.output.dense.weight"]),
        (["*.attention.*", "embeddings"], ["bert.embeddings."], ["bert.encoder.layer.0.output.dense.weight"]),
    ],
)
def test_parts_are_frozen_by_name(tiny, wanted, gone, left):
    setup, _ = make(tiny)
    freeze(setup.model, wanted, head=head_of(setup.model))
    names = learnt(setup.model)
    assert not [name for name in names for part in gone if name.startswith(part)]
    assert names >= set(left)
    assert not [n for n in names if ".attention." in n and "*.attention.*" in wanted]


@pytest.mark.parametrize("wanted", ["99 leaves", "*.nowhere.*", "headbone"])
def test_an_unknown_part_is_refused(tiny, wanted):
    setup, _ = make(tiny)
    with pytest.raises(RecipeError, match="no such part") as raised:
        freeze(setup.model, [wanted], head=head_of(setup.model))
    assert "backbone, embeddings, 3 layers" in raised.value.problems[0].fix


def test_more_layers_than_there_are_cannot_be_frozen(tiny):
    setup, _ = make(tiny)
    freeze(setup.model, ["2 layers"], head=head_of(setup.model))
    with pytest.raises(RecipeError, match="a stack of this model has 2 layers"):
        freeze(setup.model, ["3 layers"], head=head_of(setup.model))


def test_what_is_frozen_for_good_does_not_thaw(tiny):
    setup, _ = make(tiny)
    freeze(setup.model, ["backbone"], head=head_of(setup.model))
    with pytest.raises(RecipeError, match="all below the head is frozen for good"):
        Thaw(setup.model, TrainSpec(unfreeze_every="1 epoch"), head=head_of(setup.model))


def test_something_has_to_learn(tiny):
    setup, _ = make(tiny)
    with pytest.raises(RecipeError, match="nothing is left to learn"):
        freeze(setup.model, ["*"], head=head_of(setup.model))


def test_what_does_not_learn_beside_lora_may_be_frozen_and_lora_in_parts(tiny):
    setup, _ = make(tiny)
    head = head_of(setup.model)
    adapt(setup.model, AdaptSpec(kind="lora"), head=head)
    all_of_it = learnt(setup.model)
    freeze(setup.model, ["embeddings"], head=head, adapted=True)
    assert learnt(setup.model) == all_of_it
    freeze(setup.model, ["1 layers"], head=head, adapted=True)
    assert learnt(setup.model) == {name for name in all_of_it if ".layer.0." not in name}


@pytest.mark.parametrize(
    ("kind", "wanted"), [("lora", "backbone"), ("lora", "*.lora_*"), ("lora", "2 layers"), ("bitfit", "backbone")]
)
def test_an_adaptation_has_to_learn(tiny, kind, wanted):
    setup, _ = make(tiny)
    head = head_of(setup.model)
    adapt(setup.model, AdaptSpec(kind=kind), head=head)
    with pytest.raises(RecipeError, match="only the head is left to learn") as raised:
        freeze(setup.model, [wanted], head=head, adapted=True)
    assert raised.value.problems[0].fix == "use --set model.adapt.kind=none"


def test_frozen_weights_keep_still_and_take_no_gradient(tiny):
    setup, plan = make(tiny)
    freeze(setup.model, ["embeddings", "1 layers"], head=head_of(setup.model))
    before = state(setup)
    seen = []
    first = setup.model.bert.encoder.layer[0]
    first.register_forward_hook(lambda _m, _i, out: seen.append(out[0] if isinstance(out, tuple) else out))
    next(train_steps(setup, plan))
    assert not seen[0].requires_grad
    after = state(setup)
    still = {name for name in before if torch.equal(before[name], after[name])}
    assert {n for n in before if n.startswith(("bert.embeddings.", "bert.encoder.layer.0."))} <= still
    assert "classifier.weight" not in still


def test_layers_thaw_from_the_top(tiny):
    setup, plan = thawing(tiny, unfreeze_every="2 steps", length="10 steps")
    assert [setup.thaw.depth(step, plan) for step in range(10)] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    moved, before = [], state(setup)
    for report in train_steps(setup, plan):
        after = state(setup)
        moved.append({name for name in before if not torch.equal(before[name], after[name])})
        before = after
        assert report.grad_norm > 0
    assert moved[0] == moved[1] == {"classifier.weight", "classifier.bias"}
    assert all(n.startswith(("classifier.", "bert.pooler.", "bert.encoder.layer.1.")) for n in moved[2])
    assert "bert.encoder.layer.0.output.dense.weight" in moved[4]
    assert "bert.embeddings.word_embeddings.weight" in moved[6]
    assert "bert.embeddings.word_embeddings.weight" not in moved[5]


def test_the_head_may_learn_first(tiny):
    setup, plan = thawing(tiny, head_first="0.5 epochs", length="2 epochs")
    assert [setup.thaw.depth(step, plan) > 0 for step in range(10)] == [False, False] + 8 * [True]
    both, _ = thawing(tiny, head_first="4 steps", unfreeze_every="3 steps", length="10 steps")
    assert [both.thaw.depth(step, plan) for step in range(10)] == [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_without_a_new_head_there_is_none_to_learn_first(tiny):
    setup, plan = make(tiny, unfreeze_every="2 steps")
    thaw = Thaw(setup.model, setup.spec, head=None)
    assert thaw.depth(0, plan) == 1
    setup, _ = make(tiny, head_first="2 steps")
    with pytest.raises(RecipeError, match="no part of this model is new"):
        Thaw(setup.model, setup.spec, head=None)


def test_thawing_resumes_bit_for_bit(tiny, tmp_path):
    whole, plan = thawing(tiny, unfreeze_every="2 steps")
    losses = [report.loss for report in train_steps(whole, plan)]
    first, _ = thawing(tiny, unfreeze_every="2 steps")
    steps = train_steps(first, plan)
    for _ in range(3):
        next(steps)
    path = checkpoint.save(tmp_path, first.model, first.optimizer, step=3, state={})
    resumed, _ = thawing(tiny, unfreeze_every="2 steps")
    checkpoint.load(path, resumed.model, resumed.optimizer)
    assert [report.loss for report in train_steps(resumed, plan, start=3)] == losses[3:]
    assert same(state(whole), state(resumed))


def test_a_head_of_two_layers_learns_whole(tmp_path):
    config = RobertaConfig(
        vocab_size=40, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=8
    )
    RobertaModel(config, add_pooling_layer=False).save_pretrained(tmp_path)
    model = build_classifier(Source("r", tmp_path), ModelSpec(), ["a", "b"])
    thaw = Thaw(model, TrainSpec(head_first="1 steps"), head=head_of(model))
    thaw.before(0, Plan(np.full(8, 4), np.ones(8), "3 steps", "4 rows", 100, 0))
    first = learnt(model)
    model = build_classifier(Source("r", tmp_path), ModelSpec(), ["a", "b"])
    freeze(model, ["backbone"], head=head_of(model))
    parts = {f"classifier.{part}.{kind}" for part in ("dense", "out_proj") for kind in ("weight", "bias")}
    assert first == learnt(model) == parts
