"""The metrics of language models against plain transformers and SciPy: thousands of texts, one at a time, nine digits.

The models compute in double precision here, so that padding, batches and the order of sums change nothing that is seen;
what tunesmith makes of the logits of a usual model is compared on these same logits.
"""

import math
from collections import defaultdict
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from tests.metrics.agreement import ROWS, WITHIN, assert_agrees, real_texts
from tests.tiny import sentences, tiny_bert
from tests.tiny_writers import tiny_writer
from tests.writers import pairs, write_jsonl
from tests.writers import tiny_writer as tiny_translator
from tunesmith.data.table import Table
from tunesmith.engine.batch import collate
from tunesmith.engine.infer import infer
from tunesmith.models.source import Source
from tunesmith.models.spec import ModelSpec
from tunesmith.models.tokenize import load_tokenizer
from tunesmith.recipe.compose import compose
from tunesmith.tasks.fill_mask import FillMask
from tunesmith.tasks.language import IGNORED, LEARNT
from tunesmith.tasks.text_generation import TextGeneration
from tunesmith.workflow.build import make_setup
from tunesmith.workflow.prepare import prepare
from tunesmith.workflow.resolve import resolve

SHORT = [text for text in real_texts() if len(text) < 45][:ROWS]
SURER = 4.0
"""Tiny random weights times this, so that some tokens are likely and others hardly possible."""


def ready(task, source, texts):
    """Return a task with all it takes to measure texts by a random model in double precision."""
    tokenizer = load_tokenizer(Source("tiny", source), ModelSpec())
    task, tokenizer = task.with_tokenizer(tokenizer, Table({}))
    table = task.usable(Table.of({"text": texts}), clean=str, spec=None, split="test").table
    model = task.build(Source("tiny", source), ModelSpec()).eval().double()
    for weights in model.parameters():
        weights.data *= SURER
    return SimpleNamespace(
        task=task, tokenizer=tokenizer, model=model, table=table, examples=task.encode(table, tokenizer)
    )


def our_scorer(made, model):
    found = infer(model, made.examples, task=made.task, pad_id=made.tokenizer.pad_id)
    merged = made.task.merge(made.examples, found, n_rows=len(made.table))
    return made.task.scorer(made.task.predictions(merged, made.table), made.task.gold(made.table))


def plain_logits(model, inputs):
    """Return transformers' logits of each example, read without padding; examples of one length stand together."""
    groups = defaultdict(list)
    for i, one in enumerate(inputs):
        groups[tuple(len(ids) for ids in one.values())].append(i)
    found = {}
    for group in groups.values():
        batch = {name: torch.tensor([inputs[i][name] for i in group]) for name in inputs[0]}
        with torch.inference_mode():
            found |= dict(zip(group, model(**batch).logits.numpy(), strict=True))
    return [found[i] for i in range(len(inputs))]


def from_logits(logits, targets, n_bytes=None):
    """Return the metrics by their definitions, from float64 logits and the ids that were right, by example."""
    kept = [(each[t != IGNORED], t[t != IGNORED]) for each, t in zip(logits, map(np.array, targets), strict=True)]
    surprise = -math.fsum(x for each, t in kept for x in log_softmax(each.astype(float), axis=1)[np.arange(len(t)), t])
    n = sum(len(t) for _, t in kept)
    found = {
        "perplexity": math.exp(surprise / n),
        "token_accuracy": sum(np.sum(each.argmax(axis=1) == t) for each, t in kept) / n,
    }
    return found if n_bytes is None else {**found, "bits_per_byte": surprise / math.log(2) / n_bytes}


@pytest.fixture(scope="module")
def writes(tmp_path_factory):
    source = tiny_writer(tmp_path_factory.mktemp("gpt2"), max_tokens=128)
    return ready(TextGeneration(text="text", form="text", label="none"), source, SHORT)


@pytest.fixture(scope="module")
def fills(tmp_path_factory):
    source = tiny_bert(tmp_path_factory.mktemp("bert"), max_tokens=128)
    return ready(FillMask(text="text"), source, [text for text, _ in sentences(ROWS)])


def test_texts_that_go_on_surprise_as_they_do_plain_transformers(writes):
    plain = writes.tokenizer.plain
    ids = [[*plain(text)["input_ids"], plain.eos_token_id] for text in SHORT]
    logits = plain_logits(writes.model, [{"input_ids": one} for one in ids])
    expected = from_logits(
        [each[:-1] for each in logits], [one[1:] for one in ids], sum(len(t.encode()) for t in SHORT)
    )
    assert_agrees(our_scorer(writes, writes.model), expected)
    assert 50 < expected["perplexity"] < 1e6 and expected["token_accuracy"] > 0


def test_the_loss_is_the_models_own(writes):
    """Transformers computes it in single precision, whatever the model's."""
    for text in SHORT[:200]:
        ids = torch.tensor([[*writes.tokenizer.plain(text)["input_ids"], writes.tokenizer.plain.eos_token_id]])
        with torch.inference_mode():
            theirs = float(writes.model(ids, labels=ids).loss)
        example = Table.of({"text": [text], LEARNT: [text]})
        batch = collate(writes.task.encode(example, writes.tokenizer), writes.task, pad_id=0)
        with torch.inference_mode():
            ((loss, n, _),) = writes.task.surprise(writes.model, batch)
        assert loss / n == pytest.approx(theirs, rel=1e-6)


def test_hidden_words_surprise_as_they_do_plain_transformers(fills):
    logits = plain_logits(fills.model, [{"input_ids": example.ids} for example in fills.examples])
    assert_agrees(our_scorer(fills, fills.model), from_logits(logits, [example.target for example in fills.examples]))


@pytest.mark.parametrize("kind", ["writes", "fills"])
def test_logits_in_single_precision_are_measured_in_double(kind, request, monkeypatch):
    made = request.getfixturevalue(kind)
    kept, forward = [], type(made.task).forward

    def noted(task, model, batch):
        out = forward(task, model, batch)
        assert out.logits.dtype == torch.float32
        kept.append((out.logits.numpy(), batch.targets[batch.targets != IGNORED].numpy()))
        return out

    monkeypatch.setattr(type(made.task), "forward", noted)
    n_bytes = sum(len(t.encode()) for t in SHORT) if kind == "writes" else None
    try:
        scorer = our_scorer(made, made.model.float())
    finally:
        made.model.double()
    assert_agrees(scorer, from_logits(*zip(*kept, strict=True), n_bytes))


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_what_should_have_been_written_surprises_as_it_does_plain_transformers(family, tmp_path):
    arguments = {
        "data.path": [str(write_jsonl(tmp_path / "pairs.jsonl", pairs(3000, most=6)))], "task.kind": "translation",
        "model.source": str(tiny_translator(tmp_path / family, family)), "data.duplicates": "keep",
        "data.near_duplicates": "off",
    }  # fmt: skip
    recipe, origins = compose(file=None, overrides=[], arguments=arguments)
    found = resolve(recipe, origins, prepared=prepare(recipe))
    examples, task, model = found.encoded.examples["train"], found.task, make_setup(found).model.eval().double()
    outputs = infer(model, examples, task=task, pad_id=found.tokenizer.pad_id, run=task.dev_run)
    inputs = [
        {"input_ids": e.ids, "decoder_input_ids": [found.tokenizer.target.start, *e.target[:-1]]} for e in examples
    ]
    expected = from_logits(plain_logits(model, inputs), [e.target for e in examples])
    assert_agrees(task.dev_scorer(examples, outputs), expected)
    told = task.dev_metrics(examples, outputs, Table({}))
    assert {name: told[name] for name in expected} == pytest.approx(expected, **WITHIN)
