"""Consistency training: which unlabeled texts a step sees, and that their words are what is learnt."""

import itertools
import random

import numpy as np
import pytest
import torch

from tests.objectives.test_objectives import alike, gradients, on, setup_for
from tests.tiny import GOOD, OTHER, tiny_bert
from tests.writers import write_jsonl
from tunesmith.core.errors import DataError, RecipeError
from tunesmith.data.table import Table
from tunesmith.engine import checkpoint
from tunesmith.engine.infer import infer
from tunesmith.engine.loop import train_steps
from tunesmith.engine.twins import Twins, halves
from tunesmith.models.source import Source
from tunesmith.models.spec import ModelSpec
from tunesmith.models.tokenize import load_tokenizer
from tunesmith.objectives.consistency import Consistency
from tunesmith.tasks.text_classification import TextClassification

KIND = "text-classification"
ALL = {"confidence": 0.0, "temperature": 1.0}


@pytest.fixture(scope="module")
def still(tmp_path_factory):
    """A tiny BERT without dropout."""
    return tiny_bert(tmp_path_factory.mktemp("still"), dropout=0.0, spread=0.2)


def lines(path, *texts):
    path.write_text("\n".join(texts) + "\n")
    return str(path)


def twins(model, *texts, columns=("text",), long_text="windows", tokens=4096, **settings):
    """Return the twins of some rows; a text a row, or a pair with "|" between them."""
    task = TextClassification(
        text="text", text_pair="other" if len(columns) > 1 else "none", labels=("a", "b"), long_text=long_text
    )
    table = Table.of({name: [text.split("|")[i] for text in texts] for i, name in enumerate(columns)}, file="u.txt")
    tokenizer = load_tokenizer(Source("tiny", model), ModelSpec(source=str(model)))
    spec = Consistency(**{"edits": ("delete", "swap"), **settings})
    return Twins(table, task=task, tokenizer=tokenizer, spec=spec, near=lambda _: (), tokens_per_batch=tokens)


def seen(found):
    """Return the ids and weights of couples, in an order of their own."""
    couples = [couple for batch in found for couple in zip(*batch, strict=True)]
    return sorted((tuple(a.ids), tuple(b.ids), a.weight) for a, b in couples)


TEXTS = ["the good film was long", "a bad day", "they saw it and then we had a very sweet book so warm"]


def test_a_step_sees_the_same_however_it_is_cut(tiny):
    whole = twins(tiny, *TEXTS)
    weights = {4: 1.0, 7: 0.5, 9: 0.5}
    together = seen(whole.beside(weights, seed=1))
    apart = [part for i, w in weights.items() for part in seen(whole.beside({i: w}, seed=1))]
    small = twins(tiny, *TEXTS, tokens=16)
    assert together == sorted(apart) == seen(small.beside(weights, seed=1))
    assert len(together) == 9
    assert sum(weight for *_, weight in together) == pytest.approx(2.0)
    assert together != seen(whole.beside(weights, seed=2)), "each step draws anew"
    assert all(before != after for before, after, _ in together)


def test_batches_of_unlabeled_texts_are_no_larger_than_others(tiny):
    batches = list(twins(tiny, *TEXTS, tokens=40, ratio=8).beside(dict.fromkeys(range(4), 1.0), seed=0))
    assert len(batches) > 5
    for batch in batches:
        for side in batch:
            assert len(side) * max(len(one.ids) for one in side) <= 40


def drawn(found, n=60):
    """Return the different texts that are drawn, as they are."""
    return {tuple(row.items()) for seed in range(n) for row in found._drawn([random.Random(seed)])[1]}


def test_of_long_texts_parts_are_read_that_leave_nothing_out(tiny):
    words = " ".join(f"{GOOD[i % 8]} {OTHER[i % 19]}" for i in range(50))
    parts = {row[0][1] for row in drawn(twins(tiny, words))}
    assert len(parts) == 4
    assert words in {" ".join(some) for some in itertools.permutations(parts)}
    pairs = drawn(twins(tiny, f"{words}|a bad day", columns=("text", "other")))
    assert {row[1] for row in pairs} == {("other", "a bad day")}
    assert " ".join(sorted(w for row in pairs for w in row[0][1].split())) == " ".join(sorted(words.split()))
    batches = twins(tiny, words, "a bad day", ratio=9, rate=1.0, edits=("swap", "shuffle")).beside({0: 1.0}, seed=0)
    assert max(len(one.ids) for batch in batches for side in batch for one in side) <= 32
    assert drawn(twins(tiny, words, long_text="head")) == {(("text", words),)}


def test_halves_keep_words_whole_where_there_are_some():
    assert halves({"text": "one two three", "other": "x"}) == (
        {"text": "one", "other": "x"}, {"text": "two three", "other": "x"},
    )  # fmt: skip
    assert halves({"text": "xxxyyyy"}) == ({"text": "xxx"}, {"text": "yyyy"})


def test_a_text_that_is_too_long_is_an_error_where_it_is_to_be_one(tiny, tmp_path):
    path = lines(tmp_path / "u.txt", "a bad day", "good " * 40)
    settings = {"data.unlabeled": [path], "task.long_text": "error", **on("consistency")}
    with pytest.raises(DataError, match=r"u\.txt:2.*the text has 40 tokens.*task\.long_text=windows"):
        setup_for(KIND, tiny, tmp_path, **settings)


def test_the_term_is_that_of_the_unlabeled_texts(still, tmp_path):
    near = lines(tmp_path / "near.txt", "the good film", "a very warm day")
    far = lines(tmp_path / "far.txt", "an awful cold book was sad", "so bitter and dark")
    reports, slopes = [], []
    for path in (near, far):
        settings = {"data.unlabeled": [path], **on("consistency", **ALL)}
        report, slope = gradients(*setup_for(KIND, still, tmp_path, **settings))
        reports.append(report)
        slopes.append(slope)
    assert reports[0].loss == reports[1].loss, "dropout is off: the labelled rows are learnt alike"
    assert min(report.terms["consistency"] for report in reports) > 0
    assert reports[0].terms != reports[1].terms
    assert not alike(*slopes)


def test_words_of_unlabeled_texts_alone_are_learnt(still, tmp_path):
    path = lines(tmp_path / "u.txt", "they had a bitter day", "we saw a bright day and it was dull")
    setup, plan = setup_for(KIND, still, tmp_path, **{"data.unlabeled": [path], **on("consistency", **ALL)})
    _, slopes = gradients(setup, plan)
    words = slopes["bert.embeddings.word_embeddings.weight"]
    ids = load_tokenizer(Source("tiny", still), ModelSpec(source=str(still))).ids(["bitter bright", "old new"])
    assert words[ids[0]].abs().sum(dim=1).min() > 0
    assert words[ids[1]].abs().sum() == 0


def test_answers_that_are_not_sure_teach_nothing(still, tmp_path):
    plain = gradients(*setup_for(KIND, still, tmp_path))[1]
    report, masked = gradients(*setup_for(KIND, still, tmp_path, **on("consistency", confidence=0.9999)))
    assert report.terms["consistency"] == 0
    name = "classifier.weight"
    assert torch.allclose(plain[name], masked[name], atol=1e-6)


@pytest.mark.parametrize("kind", ["text-regression", "multi-label-classification"])
def test_numbers_and_labels_are_consistent_too(kind, still, tmp_path):
    path = lines(tmp_path / "u.txt", "they had a bitter day", "we saw a bright day and it was dull")
    settings = {"data.unlabeled": [path], **on("consistency", **ALL)}
    report, _ = gradients(*setup_for(kind, still, tmp_path, **settings))
    assert report.terms["consistency"] > 0


def test_what_a_step_costs_in_memory_does_not_change_what_it_learns(still, tmp_path):
    settings = on("consistency", **ALL)
    found = [
        gradients(*setup_for(KIND, still, tmp_path, **settings, **{"train.tokens_per_batch": tokens}))
        for tokens in (4096, 40)
    ]
    assert found[0][0].terms["consistency"] == pytest.approx(found[1][0].terms["consistency"], rel=1e-4)
    assert alike(found[0][1], found[1][1], atol=1e-5)


def test_resumed_bit_for_bit(tiny, tmp_path):
    path = lines(tmp_path / "u.txt", *TEXTS)
    settings = {"data.unlabeled": [path], **on("consistency", **ALL), "train.length": "4 steps"}
    whole, plan = setup_for(KIND, tiny, tmp_path, **settings)
    reports = list(train_steps(whole, plan))
    first, _ = setup_for(KIND, tiny, tmp_path, **settings)
    steps = train_steps(first, plan)
    next(steps), next(steps)
    saved = checkpoint.save(tmp_path / "saved", first.model, first.optimizer, step=2, state={})
    resumed, _ = setup_for(KIND, tiny, tmp_path, **settings)
    checkpoint.load(saved, resumed.model, resumed.optimizer)
    assert [r.terms for r in train_steps(resumed, plan, start=2)] == [r.terms for r in reports[2:]]
    a, b = checkpoint.weights(whole.model), checkpoint.weights(resumed.model)
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_it_learns_from_texts_without_labels(still, tmp_path):
    """A word that no labelled row holds takes the side of the words it stands beside."""
    labelled = [{"text": f"{w} {x}", "label": y} for x in ("film", "book", "day", "it")
                for w, y in (("good", "pos"), ("bad", "neg"))]  # fmt: skip
    path = write_jsonl(tmp_path / "few.jsonl", labelled)
    beside = [f"{a} {b} {c}" for a, b in (("good", "warm"), ("bad", "cold")) for c in ("film", "book", "day", "it")]
    new = Table.of({"text": [f"{w} {x}" for x in ("film", "book", "day", "it") for w in ("warm", "cold")]})
    gold = np.array([1, 0] * 4)

    def margin(**settings):
        setup, plan = setup_for(
            KIND,
            still,
            tmp_path,
            **{"data.path": [str(path)], "train.length": "80 steps", "train.lr": 2e-3, **settings},
        )
        for _ in train_steps(setup, plan):
            pass
        tokenizer = load_tokenizer(Source("tiny", still), ModelSpec(source=str(still)))
        logits = np.stack(infer(setup.model, setup.task.encode(new, tokenizer), task=setup.task, pad_id=0))
        found = logits[:, list(setup.task.labels).index("pos")] - logits[:, list(setup.task.labels).index("neg")]
        return found[gold == 1].mean() - found[gold == 0].mean()

    unlabeled = {"data.unlabeled": [lines(tmp_path / "u.txt", *beside)]}
    more = margin(**unlabeled, **on("consistency", confidence=0.0, edits=["delete"], rate=0.3))
    plain = margin()
    assert more > plain + 1


def test_settings_that_make_no_sense_are_refused(tiny, tmp_path):
    with pytest.raises(RecipeError, match=r"objectives\.consistency\.edits: names no edit  fix: some of: delete"):
        setup_for(KIND, tiny, tmp_path, **on("consistency", edits=[]))
    with pytest.raises(RecipeError, match=r"objectives\.consistency\.edits"):
        setup_for(KIND, tiny, tmp_path, **on("consistency", edits=["entities"]))
    with pytest.raises(RecipeError, match=r"objectives\.consistency\.temperature"):
        setup_for(KIND, tiny, tmp_path, **on("consistency", temperature=0))
