"""Few weights in the place of all: which ones learn, and that what is saved is plain and answers alike."""

import json

import pytest
import torch
import transformers

import tunesmith as ts
from tests.tiny import sentences, tiny_bert, write_csv
from tunesmith.core.errors import ModelError, RecipeError
from tunesmith.engine.optim import depths
from tunesmith.models.adapt import adapt, merge
from tunesmith.models.classifier import head_of
from tunesmith.models.layers import drop_layers, reinit_top, stacks
from tunesmith.models.source import Source
from tunesmith.models.spec import AdaptSpec, ModelSpec
from tunesmith.recipe.compose import compose
from tunesmith.tasks.text_classification import TextClassification

KINDS = ("lora", "dora", "ia3", "bitfit")
IDS = torch.tensor([[2, 7, 9, 3], [2, 8, 3, 0]])


def build(folder, **spec):
    task = TextClassification(labels=("neg", "pos"), class_counts=(1, 1))
    torch.manual_seed(0)
    return task.build(Source("tiny", folder), ModelSpec(source=str(folder), **spec)).eval()


def gpt2():
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=30, n_positions=32, n_embd=16, n_layer=2, n_head=2, pad_token_id=0, num_labels=2
    )
    return transformers.GPT2ForSequenceClassification(config).eval()


def learnt(model):
    return {name for name, p in model.named_parameters() if p.requires_grad}


def shaken(model):
    """Move all that learns, so that what was added does something."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_merged_the_model_is_plain_and_answers_alike(tiny, family, kind):
    model = build(tiny) if family == "bert" else gpt2()
    names = [name for name, _ in model.named_parameters()]
    untouched = model(input_ids=IDS).logits
    adapt(model, AdaptSpec(kind=kind), head=head_of(model))
    assert torch.allclose(model(input_ids=IDS).logits, untouched, atol=1e-6), "nothing is changed at first"
    assert {n for n in learnt(model) if "classifier" in n or "score" in n} >= {
        n for n in names if n.startswith(("classifier", "score"))
    }
    n_learnt = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert n_learnt < 0.6 * sum(p.numel() for p in model.parameters())
    shaken(model)
    changed = model(input_ids=IDS).logits
    assert not torch.allclose(changed, untouched, atol=1e-3)
    merge(model)
    assert [name for name, _ in model.named_parameters()] == names
    assert torch.allclose(model(input_ids=IDS).logits, changed, atol=1e-5)


@pytest.mark.parametrize("kind", ["lora", "dora", "ia3"])
def test_what_is_merged_is_the_papers_formula(tiny, kind):
    """Hu et al. 2022, equation 3; Liu et al. 2024, equation 5; Liu et al. 2022, section 3.3."""
    model, name = build(tiny), "bert.encoder.layer.0.attention.self.value"
    start = dict(model.named_parameters())[f"{name}.weight"].detach().clone().double()
    settings = {"rank": 4, "alpha": 12} if kind != "ia3" else {}
    adapt(model, AdaptSpec(kind=kind, targets=("value",), **settings), head=head_of(model))
    shaken(model)
    added = {n.removeprefix(f"{name}."): p.detach().double() for n, p in model.named_parameters() if n.startswith(name)}
    if kind == "ia3":
        wanted = start * added["ia3_l.default"]
    else:
        wanted = start + 12 / 4 * added["lora_B.default.weight"] @ added["lora_A.default.weight"]
    if kind == "dora":
        wanted *= (added["lora_magnitude_vector.default.weight"] / wanted.norm(dim=1))[:, None]
    merge(model)
    found = dict(model.named_parameters())[f"{name}.weight"].detach().double()
    assert not torch.allclose(found, start, atol=1e-3)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


def test_a_low_rank_is_lower_than_the_layers(tiny):
    width = build(tiny).config.hidden_size
    adapt(build(tiny), AdaptSpec(kind="lora", rank=width - 1), head=None)
    with pytest.raises(RecipeError, match=rf"a change of rank {width}.* is a full one.*model\.adapt\.rank"):
        adapt(build(tiny), AdaptSpec(kind="dora", rank=width), head=None)


def test_bitfit_learns_biases_alone(tiny):
    model = build(tiny)
    adapt(model, AdaptSpec(kind="bitfit"), head=head_of(model))
    assert all(name.endswith("bias") or name == "classifier.weight" for name in learnt(model))
    assert "bert.encoder.layer.0.output.LayerNorm.bias" in learnt(model)


def test_targets_are_linear_layers_by_their_last_name(tiny):
    model = build(tiny)
    adapt(model, AdaptSpec(kind="lora", targets=("query", "value")), head=head_of(model))
    assert {n.split(".lora_")[0].rpartition(".")[2] for n in learnt(model) if "lora" in n} == {"query", "value"}
    with pytest.raises(RecipeError, match=r"no such linear layers.*some of: .*query") as raised:
        adapt(build(tiny), AdaptSpec(kind="lora", targets=("kwery", "value")), head=None)
    assert raised.value.problems[0].where.value == "kwery"
    assert raised.value.problems[0].where.column == "model.adapt.targets"


def test_the_averaging_layer_is_no_pre_trained_one(tiny):
    model = build(tiny, pooling="mean")
    assert [len(layers) for layers in stacks(model).values()] == [2]
    adapt(model, AdaptSpec(kind="lora"), head=head_of(model))
    assert not [n for n in learnt(model) if "layer.2" in n]


def test_without_peft_the_way_to_it_is_told(tiny, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    with pytest.raises(RecipeError, match=r"needs a library, peft.*pip install 'tunesmith\[peft\]'"):
        adapt(build(tiny), AdaptSpec(kind="lora"), head=None)


@pytest.mark.parametrize("kind", ["lora", "ia3"])
def test_a_run_with_few_weights_opens_in_plain_transformers(tiny, tmp_path, kind):
    data = write_csv(tmp_path / "rows.csv", sentences(80))
    settings = {"train.length": "40 steps", "model.adapt.kind": kind, "evaluate.resamples": 20, "data.split.dev": 0.2}
    run = ts.train(data, model=str(tiny), out=tmp_path / "run", settings={**settings, "train.lr": 5e-3})
    pipe = transformers.pipeline("text-classification", str(run.run.model_folder), device="cpu")
    texts = ["good lovely film", "awful sad book"]
    assert [one["label"] for one in pipe(texts)] == [one.label for one in run.predict(texts)]
    origins = json.loads((tmp_path / "run/origins.json").read_text())
    assert origins["model.adapt.kind"]["value"] == kind


def test_top_layers_start_anew(tiny):
    plain, again = build(tiny), build(tiny, reinit_layers=1)
    a, b = dict(plain.named_parameters()), dict(again.named_parameters())
    changed = {n for n in a if n.startswith("bert.") and not torch.equal(a[n], b[n])}
    assert {n.split(".dense")[0] for n in changed if "dense" in n} >= {"bert.encoder.layer.1.output", "bert.pooler"}
    assert all(name.startswith(("bert.encoder.layer.1.", "bert.pooler.")) for name in changed)
    assert depths(again, head=head_of(again))["bert.pooler.dense.weight"] == 0, "it learns as the head does"
    mean = [dict(build(tiny, pooling="mean", reinit_layers=n).named_parameters()) for n in (0, 1)]
    assert torch.equal(*(one["bert.pooler.dense.weight"] for one in mean)), "the identity is no pre-trained weight"
    assert float(b["bert.encoder.layer.1.output.dense.weight"].detach().std()) == pytest.approx(0.02, rel=0.15)
    assert torch.equal(
        b["bert.encoder.layer.1.output.LayerNorm.weight"],
        torch.ones(b["bert.encoder.layer.1.output.LayerNorm.weight"].shape),
    )
    with pytest.raises(ModelError, match="has 2 layers"):
        reinit_top(plain, 3)


def test_layers_are_left_out_by_the_linear_rule(tmp_path):
    model = build(tiny_bert(tmp_path / "still", dropout=0.0))
    whole = model(input_ids=IDS).logits
    drop_layers(model, 0.8)
    assert torch.equal(model(input_ids=IDS).logits, whole), "never in evaluation"
    model.train()
    torch.manual_seed(0)
    layers = next(iter(stacks(model).values()))
    out = []
    for layer in layers:
        hidden = torch.randn(1, 3, model.config.hidden_size)
        left = []
        for _ in range(400):
            found = layer(hidden)
            left.append(torch.equal(found if isinstance(found, torch.Tensor) else found[0], hidden))
        out.append(sum(left) / 400)
    assert out == pytest.approx([0.4, 0.8], abs=0.08)


def test_a_setting_without_a_kind_is_refused():
    with pytest.raises(RecipeError, match=r"rank has no effect while kind is none.*--set model\.adapt\.kind=lora"):
        compose(file=None, overrides=["model.adapt.rank=4"], arguments={})
    assert compose(file=None, overrides=["model.adapt.rank=8"], arguments={})[0].model.adapt.rank == 8
