"""What the families of models differ in: heads, depths, dropout, padding, limits, tokenizers."""

import copy
import json
import re
import shutil
from contextlib import nullcontext
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import AutoTokenizer

from tests.families.build import FAMILIES
from tunesmith.core.errors import ModelError, RecipeError
from tunesmith.data.table import Table
from tunesmith.engine.batch import collate
from tunesmith.engine.optim import depths, make_optimizer
from tunesmith.engine.spec import TrainSpec
from tunesmith.models.classifier import build_classifier, divide_logits, has_bias, head_of, quiet, scale_outputs
from tunesmith.models.dropout import use_byte_dropout
from tunesmith.models.language import announce, build_language_model, refuse_foresight
from tunesmith.models.linear import OneDNNLinear
from tunesmith.models.padding import agree_on_padding
from tunesmith.models.seq2seq import build_seq2seq
from tunesmith.models.source import Source
from tunesmith.models.spec import ModelSpec
from tunesmith.models.tokenize import Tokenizer, load_tokenizer
from tunesmith.models.vocabulary import make_plain, train_rows_of
from tunesmith.tasks.parts import Example
from tunesmith.tasks.text_classification import TextClassification
from tunesmith.tasks.token_classification import TokenClassification
from tunesmith.workflow.probe import fit_probe, head_features, start_head

WRITERS = {"Marian", "Pegasus"}
"""Families without a head for whole texts."""
CLASSIFIERS = [name for name in FAMILIES if name not in WRITERS]
HEADLESS_DROPOUT = {"GPT-2", "GPT-NeoX", "Llama", "Qwen2", "Qwen3"}
NO_BIAS = HEADLESS_DROPOUT
TEXTS = [
    "the film was good",
    "so bad and very dull, it was an awful day",
    "Anna",
    "New York (the U.S.) was cold",
]

each = pytest.mark.parametrize("name", CLASSIFIERS)
everyone = pytest.mark.parametrize("name", FAMILIES)


def batch_of(tokenizer, texts):
    pieces = [tokenizer.pieces(ids, policy="head")[0] for ids in tokenizer.ids(texts)]
    examples = [Example(piece.ids, i, extras=piece.extras) for i, piece in enumerate(pieces)]
    return collate(examples, TextClassification(), pad_id=tokenizer.pad_id).inputs


def logits_of(model, tokenizer, texts):
    with torch.inference_mode():
        return model(**batch_of(tokenizer, texts)).logits


@each
def test_a_row_gets_the_same_alone_and_in_a_batch(load, name):
    model, tokenizer = load(name)
    together = logits_of(model, tokenizer, TEXTS)
    assert together.std(dim=0).min() > 1e-6, "texts must matter"
    for i, text in enumerate(TEXTS):
        torch.testing.assert_close(together[i], logits_of(model, tokenizer, [text])[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", [name for name in CLASSIFIERS if name not in ("BART", "mBART")])
def test_tokens_get_the_same_alone_and_in_a_batch(checkpoint, name):
    source = Source(name, checkpoint(name))
    tokenizer = load_tokenizer(source, ModelSpec())
    kind = "AutoModelForTokenClassification"
    model = build_classifier(source, ModelSpec(), ("O", "B-X"), auto_class=kind, problem_type=None).eval()
    agree_on_padding(model, tokenizer)
    together = logits_of(model, tokenizer, TEXTS)
    for i, text in enumerate(TEXTS):
        alone = logits_of(model, tokenizer, [text])[0]
        torch.testing.assert_close(together[i, : len(alone)], alone, atol=1e-5, rtol=1e-4)


@each
def test_a_text_without_tokens_is_read_all_the_same(load, name):
    model, tokenizer = load(name)
    found = logits_of(model, tokenizer, ["", TEXTS[1]])
    torch.testing.assert_close(found[0], logits_of(model, tokenizer, [""])[0], atol=1e-5, rtol=1e-4)
    assert bool(found.isfinite().all())


@each
def test_the_longest_text_that_is_read_has_positions(load, name):
    model, tokenizer = load(name)
    assert tokenizer.max_tokens == (1024 if name in ("XLNet", "T5") else 64)
    (found,) = batch_of(tokenizer, [" ".join(TEXTS) * 40])["input_ids"]
    assert len(found) == tokenizer.max_tokens
    assert bool(logits_of(model, tokenizer, [" ".join(TEXTS) * 40]).isfinite().all())


@pytest.mark.parametrize(("stated", "limit"), [(10**30, 64), (48, 48), (512, 64)])
def test_the_limit_is_what_both_tokenizer_and_model_can(checkpoint, tmp_path, stated, limit):
    folder = shutil.copytree(checkpoint("RoBERTa"), tmp_path / "model")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "model_max_length": stated}))
    assert load_tokenizer(Source("x", folder), ModelSpec()).max_tokens == limit
    assert load_tokenizer(Source("x", folder), ModelSpec(), max_tokens=20).max_tokens == 20


@each
def test_what_is_folded_into_the_head_is_in_the_logits(load, name):
    model, tokenizer = load(name)
    before = logits_of(model, tokenizer, TEXTS)
    assert head_of(model).weight.shape[0] == 3
    divide_logits(model, 2.0)
    torch.testing.assert_close(logits_of(model, tokenizer, TEXTS), before / 2)
    scale_outputs(model, (2.0, 4.0, 6.0), (0.0, 0.0, 0.0))
    torch.testing.assert_close(logits_of(model, tokenizer, TEXTS), before * torch.tensor([1.0, 2.0, 3.0]))
    shift = torch.tensor([5.0, -1.0, 0.5])
    if name not in NO_BIAS:
        scale_outputs(model, (1.0, 1.0, 1.0), shift.tolist())
        wanted = before * torch.tensor([1.0, 2.0, 3.0]) + shift
        torch.testing.assert_close(logits_of(model, tokenizer, TEXTS), wanted, atol=1e-5, rtol=1e-4)
    else:
        with pytest.raises(ValueError, match="without a bias"):
            scale_outputs(model, (1.0, 1.0, 1.0), shift.tolist())


@each
def test_whether_the_head_has_a_bias_is_known_before_it_is_built(checkpoint, name):
    assert has_bias(Source(name, checkpoint(name)), ModelSpec()) == (name not in NO_BIAS)


@each
def test_depths(load, name):
    model, _ = load(name)
    head = head_of(model)
    found = depths(model, head=head)
    assert {found[n] for n, p in model.named_parameters() if any(p is q for q in head.parameters())} == {0}
    if name == "ALBERT":  # one layer, used twice
        assert set(found.values()) == {0, 1}
        return
    stacks = {
        n: m
        for n, m in model.named_modules()
        if isinstance(m, nn.ModuleList) and not any(map(str.isdigit, n.split(".")))
    }
    assert len(stacks) == (2 if name in ("T5", "BART", "mBART") else 1)
    for stack, layers in stacks.items():
        assert [{found[f"{stack}.{i}.{n}"] for n, _ in layer.named_parameters()} for i, layer in enumerate(layers)] == [
            {2},
            {1},
        ]
    tables = {f"{n}.weight" for n, m in model.named_modules() if isinstance(m, nn.Embedding)} & set(found)
    assert {found[n] for n in tables if not n.startswith(tuple(stacks))} == {3}


@each
def test_biases_and_norms_do_not_decay(load, name):
    model, _ = load(name)
    groups = make_optimizer(
        model, TrainSpec(lr=1e-3, layer_decay=0.9, head_lr_factor=1.0), head=head_of(model)
    ).param_groups
    free = {name for group in groups if not group["weight_decay"] for name in group["names"]}
    assert free == {n for n, p in model.named_parameters() if n.endswith("bias") or p.ndim == 1}


@each
def test_fast_forms_of_layers_give_the_same_training(load, name):
    model, tokenizer = load(name, dropout=0.0, **({} if name in HEADLESS_DROPOUT else {"head_dropout": 0.0}))
    batch = batch_of(tokenizer, TEXTS)
    plain = copy.deepcopy(model)
    train_rows_of(model, batch["input_ids"].tolist(), extra=[tokenizer.pad_id])
    use_byte_dropout(model)
    for module in model.modules():
        if type(module) is nn.Linear:
            module.__class__ = OneDNNLinear
    for one in (plain, model):
        one.train()
        optimizer = torch.optim.SGD([p for p in one.parameters() if p.requires_grad], lr=0.1)
        for _ in range(2):
            nn.functional.cross_entropy(one(**batch).logits, torch.tensor([0, 1, 2, 0])).backward()
            optimizer.step()
            optimizer.zero_grad()
        make_plain(one)
        one.eval()
    torch.testing.assert_close(
        logits_of(model, tokenizer, TEXTS), logits_of(plain, tokenizer, TEXTS), atol=1e-4, rtol=1e-3
    )
    assert sorted(model.state_dict()) == sorted(plain.state_dict())


@everyone
def test_pieces_are_what_the_tokenizer_itself_makes(checkpoint, name):
    tokenizer = load_tokenizer(Source(name, checkpoint(name)), ModelSpec())
    for texts in (TEXTS[:1], TEXTS[:2], ["Köln", "the U.S."]):
        whole = tokenizer.plain(*texts)
        (piece,) = tokenizer.pieces(*tokenizer.ids(texts), policy="head")
        assert piece.ids == whole["input_ids"]
        types = whole.get("token_type_ids", [])
        assert piece.types == (types if any(types) else [])


@everyone
def test_every_word_has_its_first_token(checkpoint, name):
    """Tokens may hold the space before a word (byte-level BPE), one letter in several bytes, or several words."""
    tokenizer = load_tokenizer(Source(name, checkpoint(name)), ModelSpec())
    words = ["Anna", "said", '"no"', "in", "the", "U.S.", "", "(café)"]
    task = TokenClassification(text="text", label="label", labels=("O",), long_text="windows")
    if name == "Marian":
        with pytest.raises(ModelError, match="does not say where in a text"):
            list(task.encode(Table.of({"text": [words]}), tokenizer))
        return
    (example,) = task.encode(Table.of({"text": [words]}), tokenizer)
    joined = " ".join(words)
    ((ids, offsets),) = tokenizer.with_offsets([joined])
    before = len(tokenizer.frames[0].ids[0])
    assert example.place.words == [i for i, word in enumerate(words) if word]
    for word, token in zip(example.place.words, example.place.tokens, strict=True):
        start, end = offsets[token - before]
        at = len(" ".join(words[:word])) + (word > 0)
        assert start <= at < end, (words[word], joined[start:end])
    assert len(example.ids) == len(ids) + len(tokenizer.frames[0])


HEADED = {
    "SequenceClassification": build_classifier,
    "TokenClassification": partial(build_classifier, problem_type=None),
    "QuestionAnswering": partial(build_classifier, problem_type=None),
}


@everyone
def test_no_layer_and_no_word_vector_is_new(checkpoint, name):
    """Names of weights differ between a family's classes; transformers starts anew what it doesn't find."""
    source, spec = Source(name, checkpoint(name)), ModelSpec()
    builders = {
        **{kind: partial(make, names=("a", "b"), auto_class=f"AutoModelFor{kind}") for kind, make in HEADED.items()},
        **{kind: partial(build_language_model, auto_class=f"AutoModelFor{kind}") for kind in ("MaskedLM", "CausalLM")},
        "Seq2SeqLM": partial(build_seq2seq, decoder_layers=None),
    }
    trained = {weight.numpy().tobytes() for weight in load_file(source.folder / "model.safetensors").values()}
    for kind, build in builders.items():
        torch.manual_seed(1)
        try:
            state = build(source, spec).state_dict()
        except ModelError:
            continue
        new = [weight for weight, value in state.items() if value.numpy().tobytes() not in trained]
        inner = re.compile(r"(layer|layers|groups|block|h)\.\d|embed|wte|wpe|shared")
        made = re.compile(r"cross|embed_positions")  # sines are in no checkpoint
        assert not [weight for weight in new if inner.search(weight) and not made.search(weight)], kind


@each
def test_a_model_tuned_for_answers_starts_another_task(checkpoint, tmp_path, name):
    build = partial(build_classifier, names=("a", "b"))
    tuned = build(
        Source(name, checkpoint(name)), ModelSpec(), auto_class="AutoModelForQuestionAnswering", problem_type=None
    )
    with quiet():
        tuned.save_pretrained(tmp_path)
    again = build(Source(name, tmp_path), ModelSpec(pooling="first"))
    inner, wanted = (getattr(model, model.base_model_prefix, model).state_dict() for model in (again, tuned))
    for weight in inner.keys() & wanted.keys():
        assert torch.equal(inner[weight], wanted[weight]), weight
    assert len(inner.keys() & wanted.keys()) > len(wanted) / 2


def test_a_model_that_sees_the_next_word_is_not_trained_to_write(checkpoint):
    folder = checkpoint("BERT")
    for kind, sees in (("AutoModelForCausalLM", False), ("AutoModelForMaskedLM", True)):
        model = build_language_model(Source("x", folder), ModelSpec(), auto_class=kind)
        with pytest.raises(ModelError, match="sees the words to come") if sees else nullcontext():
            refuse_foresight(model)


@pytest.mark.parametrize(
    ("name", "said"),
    [("BERT", ["an encoder: it becomes", "without a head"]), ("BART", ["only the decoder is kept"]), ("GPT-2", [])],
)
def test_what_becomes_of_a_model_that_is_to_write_is_said(checkpoint, name, said):
    notes = announce(Source(name, checkpoint(name)), ModelSpec(), auto_class="AutoModelForCausalLM")
    assert len(notes) == len(said)
    assert all(part in note.message for part, note in zip(said, notes, strict=True))


@pytest.mark.parametrize("name", ["BERT", "GPT-2", "XLNet"])
def test_a_head_can_start_as_a_probe(load, name):
    model, tokenizer = load(name)
    pieces = [tokenizer.pieces(ids, policy="head")[0] for ids in tokenizer.ids(TEXTS)]
    examples = [Example(piece.ids, i, i % 3, extras=piece.extras) for i, piece in enumerate(pieces)]
    task = TextClassification(labels=("a", "b", "c"))
    start_head(model, examples, task=task, pad_id=tokenizer.pad_id)
    vectors = head_features(model, examples, task=task, pad_id=tokenizer.pad_id)
    probe = fit_probe(vectors, np.array([0, 1, 2, 0]), n_classes=3, bias=name not in NO_BIAS)
    wanted = vectors @ probe.weights.T + (probe.bias if name not in NO_BIAS else 0.0)
    found = logits_of(model, tokenizer, TEXTS)
    torch.testing.assert_close(found, torch.as_tensor(wanted, dtype=torch.float32), atol=1e-3, rtol=1e-3)


def test_windows_of_a_text_are_one_to_a_probe(load):
    model, tokenizer = load("BERT")
    pieces = [tokenizer.pieces(ids, policy="head")[0] for ids in tokenizer.ids(TEXTS)]
    examples = [Example(piece.ids, i // 2, i // 2, 0.5, extras=piece.extras) for i, piece in enumerate(pieces)]
    task = TextClassification(labels=("a", "b", "c"))
    start_head(model, examples, task=task, pad_id=tokenizer.pad_id)
    vectors = head_features(model, examples, task=task, pad_id=tokenizer.pad_id)
    probe = fit_probe((vectors[::2] + vectors[1::2]) / 2, np.array([0, 1]), n_classes=3)
    np.testing.assert_allclose(head_of(model).weight.detach().numpy(), probe.weights, rtol=0.01, atol=1e-4)


def test_only_classes_of_texts_have_a_probe(load):
    model, tokenizer = load("BERT")
    with pytest.raises(RecipeError, match="probe"):
        start_head(model, [Example([1], 0, [0.5])], task=TextClassification(), pad_id=tokenizer.pad_id)


def test_tags_have_no_mean(checkpoint):
    with pytest.raises(ModelError, match="only whole texts"):
        build_classifier(
            Source("x", checkpoint("BERT")),
            ModelSpec(pooling="mean"),
            ("O",),
            auto_class="AutoModelForTokenClassification",
        )


def test_a_tokenizer_that_knows_no_places_is_refused_where_they_are_needed():
    with pytest.raises(ModelError, match="where in a text"):
        list(Tokenizer(SimpleNamespace(is_fast=False), 64).with_offsets(["a"]))


@pytest.mark.parametrize("name", ["BART", "mBART", "T5"])
def test_struck_out_text_ends_nothing(load, name):
    model, tokenizer = load(name)
    assert logits_of(model, tokenizer, ["<s>bad</s> good", "good"]).shape == (2, 3)


@pytest.mark.parametrize("name", ["Llama", "XLNet", "GPT-2"])
def test_the_saved_tokenizer_fills_as_the_model_needs_it(load, name, tmp_path):
    model, tokenizer = load(name)
    tokenizer.plain.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert again.padding_side == ("left" if name == "XLNet" else "right")
    assert again.pad_token_id == model.config.pad_token_id
