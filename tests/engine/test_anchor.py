from dataclasses import replace

import pytest
import torch
import transformers
from torch import nn

from tests.engine.test_loop import make, make_spec, state
from tunesmith.core.errors import RecipeError
from tunesmith.engine.anchor import Anchor
from tunesmith.engine.freeze import freeze
from tunesmith.engine.loop import train_steps
from tunesmith.models.adapt import adapt
from tunesmith.models.classifier import build_classifier, head_of
from tunesmith.models.source import Source
from tunesmith.models.spec import AdaptSpec, ModelSpec


def anchored(folder, **changes):
    setup, plan = make(folder, **changes)
    anchor = Anchor(setup.model, setup.spec, head=head_of(setup.model))
    return replace(setup, anchor=anchor), plan


def let_go(anchor, optimizer, named):
    """Move all parameters; return the names of those that the anchor does not pull back."""
    with torch.no_grad():
        for parameter in named.values():
            parameter.add_(1.0)
            parameter.grad = torch.zeros_like(parameter)
    moved = {name: parameter.detach().clone() for name, parameter in named.items()}
    anchor.pull(optimizer)
    return {name for name, parameter in named.items() if torch.equal(parameter, moved[name])}


def test_mixout_keeps_the_mean_and_puts_some_weights_back():
    torch.manual_seed(0)
    model = nn.Linear(40, 50)
    anchor = Anchor(model, make_spec(mixout=0.7), head=None)
    start = model.weight.detach().clone()
    with torch.no_grad():
        model.weight.add_(1.0)
    mean = torch.zeros_like(start)
    for step in range(400):
        with anchor.mixed(seed=0, step=step):
            gone = torch.isclose(model.weight, start, atol=1e-6).float().mean()
            mean += model.weight.detach() / 400
        assert 0.6 < float(gone) < 0.8
    assert torch.allclose(mean.mean(), (start + 1).mean(), atol=0.02)
    assert torch.equal(model.weight, start + 1)


def test_mixout_gives_the_gradient_of_the_weights_outside():
    """With w = s + d, seen as s + m d / (1 - p), the gradient of sum(x w) is x m / (1 - p)."""
    model = nn.Linear(4, 3, bias=False)
    anchor = Anchor(model, make_spec(mixout=0.5), head=None)
    start = model.weight.detach().clone()
    with torch.no_grad():
        model.weight.add_(1.0)
    with anchor.mixed(seed=0, step=0):
        kept = ~torch.isclose(model.weight, start)
        (2 * model(torch.ones(1, 4)).sum()).backward()
    assert torch.equal(model.weight.grad, 4.0 * kept)


def test_mixout_leaves_the_head_and_the_weights_after_an_error_alone(tiny):
    setup, _ = anchored(tiny, mixout=0.9)
    head, before = head_of(setup.model), state(setup)
    with torch.no_grad():
        for parameter in setup.model.parameters():
            parameter.add_(1.0)
    moved = state(setup)
    with pytest.raises(RuntimeError), setup.anchor.mixed(seed=0, step=0):
        assert torch.equal(head.weight, moved["classifier.weight"])
        name = "bert.encoder.layer.0.output.dense.weight"
        inside = dict(setup.model.named_parameters())[name]
        assert torch.isclose(inside, before[name]).float().mean() > 0.8
        raise RuntimeError
    assert all(torch.equal(tensor, moved[name]) for name, tensor in state(setup).items())


def test_decay_to_the_start_is_by_hand():
    model = nn.Linear(1, 1, bias=False)
    spec = make_spec(decay_to_start=2.0)
    anchor = Anchor(model, spec, head=None)
    start = model.weight.detach().clone()
    optimizer = torch.optim.SGD([{"params": [model.weight], "names": ["weight"], "lr": 0.1}])
    with torch.no_grad():
        model.weight.add_(1.0)
    anchor.pull(optimizer)
    assert torch.equal(model.weight, start + 1), "what was not updated is not pulled"
    model.weight.grad = torch.zeros_like(model.weight)
    anchor.pull(optimizer)
    assert torch.allclose(model.weight, start + 0.8)


def test_decay_to_the_start_is_in_the_place_of_decay_to_zero(tiny):
    for decay, wanted in ((0.0, 0.1), (2.0, 0.0)):
        setup, _ = make(tiny, decay_to_start=decay, weight_decay=0.1)
        decays = {name: group["weight_decay"] for group in setup.optimizer.param_groups for name in group["names"]}
        assert decays["bert.encoder.layer.0.output.dense.weight"] == wanted
        assert decays["classifier.weight"] == 0.1, "the head has no start to go back to"


def test_word_vectors_that_are_tied_to_a_linear_layer_are_not_mixed(tmp_path):
    config = transformers.BertConfig(vocab_size=40, hidden_size=16, num_hidden_layers=1, num_attention_heads=2)
    model = transformers.BertForMaskedLM(config)
    mixed = Anchor(model, make_spec(mixout=0.5), head=None)._mixed
    assert "bert.encoder.layer.0.output.dense.weight" in mixed
    assert not [name for name in mixed if "embeddings" in name or "decoder" in name]


def test_decay_to_the_start_holds_the_backbone(tiny):
    name = "bert.encoder.layer.0.output.dense.weight"
    far = []
    for decay in (0.0, 300.0):
        setup, plan = anchored(tiny, decay_to_start=decay)
        before = state(setup)
        list(train_steps(setup, plan))
        far.append(float((state(setup)[name] - before[name]).norm()))
    assert far[1] < 0.8 * far[0]


def test_mixout_is_the_same_again(tiny):
    weights = []
    for _ in range(2):
        setup, plan = anchored(tiny, mixout=0.5, length="3 steps")
        list(train_steps(setup, plan))
        weights.append(state(setup))
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_layers_that_were_drawn_anew_are_held_to_nothing(tiny):
    model = build_classifier(Source("tiny", tiny), ModelSpec(reinit_layers=1), ["a", "b"])
    anchor = Anchor(model, make_spec(decay_to_start=2.0), head=head_of(model))
    optimizer = torch.optim.SGD([{"params": list(model.parameters()), "lr": 0.1}])
    named = dict(model.named_parameters())
    free = let_go(anchor, optimizer, named)
    assert free == {name for name in named if name.startswith(("classifier.", "bert.encoder.layer.1.", "bert.pooler."))}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mixout": 0.5}, "no pre-trained linear layer learns"),
        ({"decay_to_start": 1.0}, "no pre-trained weight learns"),
    ],
)
def test_where_nothing_could_be_held_it_is_refused(tiny, changes, said):
    setup, _ = make(tiny)
    freeze(setup.model, ["backbone"], head=head_of(setup.model))
    with pytest.raises(RecipeError, match=said) as raised:
        Anchor(setup.model, make_spec(**changes), head=head_of(setup.model))
    (name,) = changes
    assert raised.value.problems[0].fix == f"--set train.{name}=0"
    Anchor(setup.model, make_spec(), head=head_of(setup.model))


def test_biases_that_learn_alone_are_held_but_not_mixed(tiny):
    setup, _ = make(tiny)
    adapt(setup.model, AdaptSpec(kind="bitfit"), head=head_of(setup.model))
    Anchor(setup.model, make_spec(decay_to_start=1.0), head=head_of(setup.model))
    with pytest.raises(RecipeError, match="no pre-trained linear layer learns"):
        Anchor(setup.model, make_spec(mixout=0.5), head=head_of(setup.model))
