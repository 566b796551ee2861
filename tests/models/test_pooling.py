"""How token vectors become one text vector: each formula by hand, padding on either side, parts that learn."""

import json
import subprocess
import sys
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
import transformers

import tunesmith as ts
from tests.tiny import sentences, tiny_bert, write_csv
from tests.workflow.small import ended_after, quick
from tunesmith.core.errors import ModelError, RecipeError
from tunesmith.engine.freeze import freeze
from tunesmith.engine.optim import depths
from tunesmith.engine.spec import TrainSpec
from tunesmith.models.adapt import adapt, merge
from tunesmith.models.classifier import build_classifier, head_of
from tunesmith.models.language import build_language_model
from tunesmith.models.layers import ADDED
from tunesmith.models.pooled import GAIN, Pooling, to_the_left
from tunesmith.models.pooling import new_parts
from tunesmith.models.seq2seq import build_seq2seq
from tunesmith.models.source import Source
from tunesmith.models.spec import AdaptSpec, ModelSpec
from tunesmith.models.vectors import Seen, features_seen
from tunesmith.tasks.fill_mask import FillMask
from tunesmith.tasks.text_classification import TextClassification
from tunesmith.workflow.idle import idle_beside, refuse_idle

IDS = torch.tensor([[2, 7, 9, 11, 3], [2, 8, 3, 0, 0]])
MASK = (IDS > 0).long()
WIDTH = 4
TOP = torch.tensor([[[1.0, 5, 0, 2], [3, 1, 0, 2], [99, -99, 99, 99]], [[2.0, 2, 2, 2], [4, 0, -4, 8], [6, 1, 5, 2]]])
THERE = torch.tensor([[True, True, False], [True, True, True]])


def build(folder, **spec):
    torch.manual_seed(0)
    return build_classifier(Source("tiny", folder), ModelSpec(**spec), ("a", "b", "c")).eval()


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("first", [[1, 5, 0, 2], [2, 2, 2, 2]]),
        ("mean", [[2, 3, 0, 2], [4, 1, 1, 4]]),
        ("max", [[3, 5, 0, 2], [6, 2, 5, 8]]),
        ("last", [[3, 1, 0, 2], [6, 1, 5, 2]]),
        ("attention", [[2, 3, 0, 2], [4, 1, 1, 4]]),
    ],
)
def test_what_is_only_filled_up_does_not_count(kind, wanted):
    assert Pooling(kind, width=WIDTH, n_layers=3)([TOP], THERE).tolist() == wanted


def test_attention_weighs_tokens_by_how_they_agree_with_the_query():
    pooling = Pooling("attention", width=WIDTH, n_layers=3)
    with torch.no_grad():
        pooling.query.copy_(torch.tensor([0.5, 0.0, 0.0, 0.25]))
    one, other = torch.tensor([0.5 + 0.5, 1.5 + 0.5]).exp()  # the scores of the first text's two tokens
    wanted = (one * TOP[0, 0] + other * TOP[0, 1]) / (one + other)
    torch.testing.assert_close(pooling([TOP], THERE)[0], wanted)


def test_layers_are_mixed_as_in_elmo():
    """Peters et al. 2018, equation 1: gamma times the sum of softmax-normalised weights times each layer's vector."""
    pooling = Pooling("layers", width=WIDTH, n_layers=3)
    layers = [TOP, 2 * TOP, -TOP]
    mean = torch.tensor([2.0, 3, 0, 2])
    torch.testing.assert_close(pooling(layers, THERE)[0], (1 + 2 - 1) / 3 * mean)
    with torch.no_grad():
        pooling.shares.copy_(torch.tensor([1.0, 2.0, 3.0]) / GAIN)
        pooling.scale.fill_(5.0)
    s = [float(torch.tensor(float(i)).exp()) for i in (1, 2, 3)]
    gamma_sum = 5 * (s[0] * 1 + s[1] * 2 + s[2] * -1) / sum(s)
    torch.testing.assert_close(pooling(layers, THERE)[0], gamma_sum * mean)


def test_rows_are_moved_to_their_beginning():
    ids, mask = torch.tensor([[0, 0, 5, 6], [7, 8, 9, 0]]), torch.tensor([[0, 0, 1, 1], [1, 1, 1, 0]])
    moved = to_the_left({"ids": ids, "mask": mask}, mask)
    assert moved["ids"].tolist() == [[5, 6, 0, 0], [7, 8, 9, 0]]
    assert moved["mask"].tolist() == [[1, 1, 0, 0], [1, 1, 1, 0]]


@pytest.mark.parametrize("activation", ["tanh", "gelu"])
def test_hidden_layers_of_the_head(tiny, activation):
    model = build(tiny, pooling="max", head_layers=2, head_activation=activation, head_dropout=0.3)
    seen = Seen()
    with features_seen(new_parts(model, head_of(model)), seen), torch.no_grad():
        logits = model(IDS, MASK).logits
        top = model.backbone(IDS, MASK).last_hidden_state
    vector = top.masked_fill(MASK[..., None] == 0, float("-inf")).amax(1)
    apply = torch.tanh if activation == "tanh" else torch.nn.functional.gelu
    for layer in model.hidden:
        vector = apply(vector @ layer.weight.T + layer.bias)
    torch.testing.assert_close(seen.features, vector)
    torch.testing.assert_close(logits, vector @ model.output.weight.T + model.output.bias)
    assert model.dropout.p == model.config.head_dropout == 0.3
    assert float(model.hidden[0].weight.detach().std()) == pytest.approx(0.02, rel=0.2)


def test_attention_of_bert_is_a_query_for_each_head_in_the_plain_class(tiny):
    model = build(tiny, pooling="attention")
    plain = build(tiny, pooling="first")
    looks = model.bert.encoder.layer[-1].attention.self
    n_heads, size = 2, 16
    assert type(model) is transformers.BertForSequenceClassification

    def found_and_wanted(query, key):
        with torch.no_grad():
            top = plain.bert(IDS, attention_mask=MASK).last_hidden_state
            found = model.bert(IDS, attention_mask=MASK).last_hidden_state[:, 0]
        keys = (top @ key.T).view(2, 5, n_heads, size)
        scores = torch.einsum("bthd,hd->bht", keys, query.view(n_heads, size))
        weights = scores.masked_fill(MASK[:, None] == 0, float("-inf")).softmax(-1)
        pooled = torch.einsum("bht,bthd->bhd", weights, top.view(2, 5, n_heads, size)).reshape(2, 32)
        return found, torch.nn.functional.layer_norm(pooled, (32,))

    found, mean = found_and_wanted(torch.zeros(32), torch.eye(32))
    torch.testing.assert_close(found, mean, atol=0.02, rtol=0)
    torch.manual_seed(1)
    query, key = torch.randn(32), torch.randn(32, 32) / 5
    with torch.no_grad():
        looks.query.bias.copy_(query)
        looks.key.weight.copy_(key * size**0.5)
    found, wanted = found_and_wanted(query, key)
    torch.testing.assert_close(found, wanted, atol=0.02, rtol=0)
    assert not torch.allclose(found, mean, atol=0.1)


LEARN = {"max": set(), "attention": {"query.bias", "key.weight"}, "layers": {"pooling.shares", "pooling.scale"}}


@pytest.mark.parametrize("pooling", LEARN)
def test_what_is_new_learns_as_the_head_does(tiny, pooling):
    extra = {} if pooling == "attention" else {"head_layers": 1}
    model = build(tiny, pooling=pooling, **extra)
    head = new_parts(model, head_of(model))
    own = {"classifier.weight", "classifier.bias"} if pooling == "attention" else {
        "output.weight", "output.bias", "hidden.0.weight", "hidden.0.bias"}  # fmt: skip
    new = own | LEARN[pooling]
    found = {n for n, depth in depths(model, head=head).items() if depth == 0}
    assert {n.split("self.")[-1] for n in found} == new
    for prepare in (
        lambda: freeze(model, ["backbone"], head=head),
        lambda: adapt(model, AdaptSpec(kind="lora"), head=head),
    ):
        prepare()
        learns = {n.split("self.")[-1] for n, p in model.named_parameters() if p.requires_grad and "lora" not in n}
        assert learns == new
    merge(model)


@pytest.mark.parametrize("pooling", ["mean", "attention"])
def test_a_layer_that_pools_is_no_layer_of_the_model(tiny, pooling):
    plain, model = build(tiny, pooling="first"), build(tiny, pooling=pooling)
    heads = [new_parts(one, head_of(one)) for one in (plain, model)]
    wanted, found = (depths(one, head=head) for one, head in zip((plain, model), heads, strict=True))
    assert {name: found[name] for name in wanted} == wanted
    assert {found[name] for name in found.keys() - wanted.keys()} <= {0, 1}
    with pytest.raises(RecipeError, match="a stack of this model has 2 layers"):
        freeze(model, ["3 layers"], head=heads[1])
    freeze(model, ["2 layers"], head=heads[1])
    still = {name for name, p in model.named_parameters() if ".layer." in name and not p.requires_grad}
    assert {name.split(".layer.")[1][0] for name in still if "value" in name} == {"0", "1"}


def test_layers_are_found_in_the_own_class(tiny):
    model = build(tiny, pooling="layers", reinit_layers=1)
    plain = build(tiny, pooling="first")
    found = depths(model, head=new_parts(model, head_of(model)))
    assert {d for n, d in found.items() if "encoder.layer.0." in n} == {2}
    assert {d for n, d in found.items() if "embeddings" in n} == {3}
    before = {n: p for n, p in plain.bert.named_parameters() if "pooler" not in n}
    after = dict(model.backbone.named_parameters())
    assert set(before) == set(after)
    changed = {n for n in before if not torch.equal(before[n], after[n])}
    assert changed
    assert all(".layer.1." in n for n in changed)


def recipe(**model):
    return SimpleNamespace(model=ModelSpec(**model), train=TrainSpec())


def test_settings_that_would_do_nothing_are_refused():
    with pytest.raises(RecipeError, match="no hidden layers") as raised:
        refuse_idle(recipe(head_activation="gelu"), TextClassification())
    assert raised.value.problems[0].fix == "--set model.head_layers=1"
    refuse_idle(recipe(head_activation="gelu", head_layers=1), TextClassification())
    for wrong in ({"pooling": "max"}, {"head_layers": 0}):
        with pytest.raises(RecipeError, match="no vector of the whole text"):
            refuse_idle(recipe(**wrong), SimpleNamespace(pools=False, drops_before_head=False, kind="fill-mask"))
    with pytest.raises(RecipeError, match="has no dropout"):
        refuse_idle(recipe(head_dropout=0.2), FillMask())


def test_settings_that_others_make_useless_are_said():
    model = ModelSpec(weights="random", reinit_layers=1, adapt={"kind": "ia3", "rank": 4, "targets": ("query",)})
    train = TrainSpec(mixout=0.5, decay_to_start=1, freeze=("backbone",), head_first="1 epoch")
    said = [note.message for note in idle_beside(SimpleNamespace(model=model, train=train))]
    assert said == [
        "model.adapt.rank has no effect: ia3 does not heed it",
        "model.reinit_layers has no effect: all weights are random",
        "train.mixout has no effect: all weights are random",
        "train.decay_to_start has no effect: all weights are random",
        "train.head_first has no effect: the head alone learns anyway",
    ]
    assert not idle_beside(recipe(adapt={"kind": "lora", "rank": 4}, reinit_layers=1))


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return write_csv(tmp_path_factory.mktemp("rows") / "rows.csv", sentences(80))


PIPELINE = """
import sys, json
{first}
{second}
found = pipeline("text-classification", sys.argv[1], device="cpu", top_k=None)(json.loads(sys.argv[2]))
print(json.dumps([{{one["label"]: one["score"] for one in row}} for row in found]))
"""
TEXTS = ["good lovely film", "awful sad book", "the day was long and so it was very warm"]


@pytest.fixture(scope="module")
def pooled(tiny, rows, tmp_path_factory):
    """A finished run of tunesmith's own class, with many techniques at once."""
    settings = {
        "model.pooling": "layers", "model.head_layers": 1, "model.drop_layers": 0.2, "model.adapt.kind": "lora",
        "objectives.contrast": True, "objectives.rdrop": True, "objectives.fgm": True, "train.head_first": "2 steps",
        "train.decay_to_start": 1, "train.mixout": 0.1, "train.average": 0.5, "train.length": "60 steps",
        "train.lr": 5e-3, "data.split.test": 0.2,
    }  # fmt: skip
    return ts.train(rows, out=tmp_path_factory.mktemp("runs") / "run", **quick(tiny, **settings))


IMPORTS = ("import tunesmith", "from transformers import pipeline")


@pytest.mark.parametrize("order", [IMPORTS, IMPORTS[::-1]])
def test_a_pipeline_opens_it_once_tunesmith_is_imported(pooled, order):
    code = PIPELINE.format(first=order[0], second=order[1])
    command = [sys.executable, "-c", code, str(pooled.folder / "model"), json.dumps(TEXTS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    for one, said in zip(found, pooled.predict(TEXTS), strict=True):
        assert one == pytest.approx(said.probabilities, abs=1e-4)


def test_importing_tunesmith_imports_nothing_large():
    code = (
        "import sys, tunesmith\nassert not {'torch', 'transformers', 'numpy'} & set(sys.modules)\n"
        "from transformers import AutoConfig\nprint('tunesmith_pooled' in "
        "sys.modules['transformers.models.auto.configuration_auto'].CONFIG_MAPPING, "
        "'tunesmith.models.pooled' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["True", "False"], done.stderr[-2000:]


def test_what_is_saved_is_no_code(pooled):
    folder = pooled.folder / "model"
    config = json.loads((folder / "config.json").read_text())
    assert config["model_type"] == "tunesmith_pooled"
    assert config["backbone"]["model_type"] == "bert"
    assert "auto_map" not in json.dumps(config)
    assert not list(folder.glob("*.py")) + list(folder.glob("*.bin"))
    assert "import tunesmith" in (folder / "README.md").read_text()
    assert "import tunesmith" in (pooled.folder / "report.html").read_text()


@pytest.mark.parametrize("pooling", ["max", "layers", "attention"])
def test_texts_are_learnt(tiny, reviews, tmp_path, pooling):
    settings = {"model.pooling": pooling, "train.length": "6 epochs", "train.lr": 3e-3, "data.split.test": 0.2}
    run = ts.train(reviews, out=tmp_path / "run", **quick(tiny, **settings))
    assert run.metrics["accuracy"] > 0.8


@pytest.mark.parametrize("settings", [{"pooling": "layers", "head_layers": 1}, {"pooling": "attention"}])
def test_a_resumed_run_ends_with_the_same_weights(tiny, rows, tmp_path, monkeypatch, settings):
    wanted = quick(
        tiny, **{f"model.{name}": value for name, value in settings.items()}, **{"train.save_every": "2 steps"}
    )
    whole = ts.train(rows, out=tmp_path / "whole", **wanted)
    with ended_after(5, monkeypatch), pytest.raises(KeyboardInterrupt):
        ts.train(rows, out=tmp_path / "cut", **wanted)
    again = ts.resume(tmp_path / "cut")
    assert again.predictor.fingerprint() == whole.predictor.fingerprint()


# What is made from such a run.


def test_it_is_trained_further_as_it_is(pooled, rows, tmp_path):
    run = ts.train(rows, out=tmp_path / "run", **quick(pooled.folder, **{"train.length": "1 steps"}))
    recipe = run.run.recipe_path.read_text()
    assert "pooling: layers" in recipe
    old, new = pooled.predictor.model, run.predictor.model
    assert (new.config.pooling, new.config.head_layers) == ("layers", 1)
    for name, weight in old.state_dict().items():
        assert torch.allclose(weight, new.state_dict()[name], atol=0.01), name


@pytest.mark.parametrize(
    ("pooling", "kind"),
    [("first", "BertForSequenceClassification"), ("mean", "BertForSequenceClassification"),
     ("max", "PooledForSequenceClassification")],
)  # fmt: skip
def test_its_pre_trained_part_is_used_in_another_way(pooled, pooling, kind):
    source = Source("run", pooled.run.model_folder)
    model = build_classifier(source, ModelSpec(pooling=pooling), ("x", "y", "z"))
    assert type(model).__name__ == kind
    old = {n: w for n, w in pooled.predictor.model.backbone.state_dict().items() if "layer.2" not in n}
    new = model.base_model.state_dict()
    assert all(torch.equal(weight, new[name]) for name, weight in old.items())


@pytest.mark.parametrize(
    ("task", "kind"),
    [("token-classification", "BertForTokenClassification"), ("fill-mask", "BertForMaskedLM"),
     ("text-generation", "BertLMHeadModel"), ("translation", "EncoderDecoderModel")],
)  # fmt: skip
def test_its_pre_trained_part_is_used_for_another_task(pooled, task, kind):
    from tunesmith.models.language import announce, build_language_model
    from tunesmith.models.seq2seq import build_seq2seq

    source, spec = Source("run", pooled.run.model_folder), ModelSpec()
    if task == "token-classification":
        model = build_classifier(source, spec, ("O",), auto_class="AutoModelForTokenClassification", problem_type=None)
    elif task == "translation":
        model = build_seq2seq(source, spec, decoder_layers=None)
    else:
        auto = "AutoModelForMaskedLM" if task == "fill-mask" else "AutoModelForCausalLM"
        model = build_language_model(source, spec, auto_class=auto)
        assert any(note.topic == "new head" for note in announce(source, spec, auto_class=auto))
    assert type(model).__name__ == kind
    backbone = pooled.predictor.model.backbone.state_dict()
    parts = [model.encoder, model.decoder.bert] if task == "translation" else [model.base_model]
    for part in parts:
        new = part.state_dict()
        assert all(torch.equal(weight, new[name]) for name, weight in backbone.items())


def test_words_near_a_word_are_found_in_such_a_run(pooled):
    from tunesmith.models.neighbours import Neighbours

    assert isinstance(Neighbours(ModelSpec(source=str(pooled.folder)))("good"), tuple)


def test_code_of_its_own_is_not_wrapped(tiny):
    from tunesmith.models.pooling import pooled_config

    config = transformers.AutoConfig.from_pretrained(tiny)
    config.auto_map = {"AutoModel": "code.Model"}
    for trusted in (True, False):
        spec = ModelSpec(pooling="max", trust_remote_code=trusted)
        with pytest.raises(ModelError, match="code of its own") if trusted else nullcontext():
            assert not hasattr(pooled_config(Source("tiny", tiny), spec, config).backbone, "auto_map")


@pytest.fixture(scope="module", params=["mean", "attention"])
def averaged(request, tmp_path_factory):
    """A tiny BERT whose top layer pools, as a run saves it, and what it was made from."""
    first = tiny_bert(tmp_path_factory.mktemp("pooled") / "first", dropout=0.0)
    before, spec = Source("first", first), ModelSpec(source=str(first), pooling=request.param)
    model = build_classifier(before, spec, ["a", "b"])
    with torch.no_grad():  # as if it had been trained
        for name, weight in model.named_parameters():
            if weight.requires_grad:
                weight.add_(0.01 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(len(name))))
    folder = tmp_path_factory.mktemp("pooled") / "run"
    model.eval().save_pretrained(folder)
    return model, Source("run", folder), ModelSpec(source=str(folder), pooling=request.param)


def test_trained_further_a_layer_that_pools_goes_on_as_it_was(averaged):
    model, source, spec = averaged
    again = build_classifier(source, spec, ["a", "b"]).eval()
    assert len(again.bert.encoder.layer) == len(model.bert.encoder.layer)
    assert hasattr(again.bert.encoder.layer[-1], ADDED)
    ids = torch.arange(12).view(2, 6)
    assert torch.equal(again(input_ids=ids).logits, model(input_ids=ids).logits)
    learns = [{n for n, p in one.named_parameters() if p.requires_grad} for one in (again, model)]
    assert learns[0] == learns[1]


@pytest.mark.parametrize("what", ["tags", "first", "max", "reader", "words"])
def test_a_layer_that_pools_is_left_out_of_what_is_made_next(averaged, what):
    model, source, spec = averaged
    n_layers = len(model.bert.encoder.layer) - 1
    plain = spec.model_copy(update={"pooling": "first"})
    made = {
        "tags": lambda: build_classifier(source, plain, ["x", "y"], auto_class="AutoModelForTokenClassification").bert,
        "first": lambda: build_classifier(source, plain, ["x", "y", "z"]).bert,
        "max": lambda: build_classifier(source, spec.model_copy(update={"pooling": "max"}), ["x", "y"]).backbone,
        "reader": lambda: build_seq2seq(source, plain, decoder_layers=None).encoder,
        "words": lambda: build_language_model(source, plain, auto_class="AutoModelForMaskedLM").bert,
    }[what]()
    assert len(made.encoder.layer) == made.config.num_hidden_layers == n_layers
    ids = torch.arange(12).view(2, 6)
    below = model.bert(input_ids=ids, output_hidden_states=True).hidden_states[n_layers]
    assert torch.allclose(made.eval()(input_ids=ids).last_hidden_state, below, atol=1e-6)
