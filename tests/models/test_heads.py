"""Heads of checkpoints: gone on with where their outputs mean the same, in any order; else they begin anew."""

from functools import partial

import numpy as np
import pytest
import torch
import transformers

import tunesmith as ts
from tests.families.build import FAMILIES
from tests.tiny import sentences, write_csv
from tests.workflow.small import quick, write_table
from tunesmith.models.classifier import build_classifier, head_of, quiet
from tunesmith.models.heads import SCALE, announce, names_of
from tunesmith.models.source import Source, find
from tunesmith.models.spec import ModelSpec
from tunesmith.tasks.multi_label_classification import MultiLabelClassification
from tunesmith.tasks.text_regression import TextRegression

TEXTS, TAGS = "AutoModelForSequenceClassification", "AutoModelForTokenClassification"
NAMES = ("neg", "neu", "pos")


@pytest.fixture(params=["BERT", "RoBERTa", "GPT-2", "XLNet", "T5"])
def folder(request, tmp_path):
    return FAMILIES[request.param].write(tmp_path / "base")


def finished(folder, names, *, kind=TEXTS, pooling="auto"):
    """Return a source whose head is for `names`, beside the model in it."""
    build = partial(build_classifier, auto_class=kind, problem_type=None)
    with quiet():
        model = build(Source("base", folder), ModelSpec(pooling=pooling), names)
        torch.nn.init.normal_(head_of(model).weight)
        model.save_pretrained(folder.parent / "finished")
    return Source("finished", folder.parent / "finished"), model


def rows_of(model):
    return head_of(model).weight.detach()


@pytest.mark.parametrize("pooling", ["auto", "max"])
def test_outputs_of_the_same_names_move_to_their_places(folder, pooling):
    source, before = finished(folder, NAMES, pooling=pooling)
    spec = ModelSpec(pooling=pooling)
    again = build_classifier(source, spec, NAMES)
    assert torch.equal(rows_of(again), rows_of(before))
    turned = build_classifier(source, spec, ("Pos", "neg", "Neu"))
    assert torch.equal(rows_of(turned), rows_of(before)[[2, 0, 1]])
    if head_of(turned).bias is not None:
        assert torch.equal(head_of(turned).bias, head_of(before).bias[[2, 0, 1]])
    assert turned.config.id2label == {0: "Pos", 1: "neg", 2: "Neu"}
    assert not announce(source, spec, ("Pos", "neg", "Neu"), auto_class=TEXTS)


@pytest.mark.parametrize("pooling", ["auto", "max"])
def test_a_head_for_as_many_other_names_begins_anew(folder, pooling):
    source, before = finished(folder, NAMES, pooling=pooling)
    spec = ModelSpec(pooling=pooling)
    other = build_classifier(source, spec, ("neu", "pos", "very pos"))
    assert not torch.isclose(rows_of(other), rows_of(before)).any(dim=1).all()
    assert rows_of(other).std() < 0.6  # as its family draws weights; those before have 1
    assert all(hasattr(one, "is_new") for one in head_of(other).parameters())
    (note,) = announce(source, spec, ("neu", "pos", "very pos"), auto_class=TEXTS)
    assert note.message == "finished is for neg, neu, pos: its head begins anew, for neu, pos, very pos"


def test_outputs_without_names_are_taken_as_they_come(folder):
    source, before = finished(folder, ("LABEL_0", "LABEL_1"))
    again = build_classifier(source, ModelSpec(), ("bad", "good"))
    assert torch.equal(rows_of(again), rows_of(before))
    (note,) = announce(source, ModelSpec(), ("bad", "good"), auto_class=TEXTS)
    assert "taken for bad, good, in this order" in note.message
    assert not announce(Source("base", folder), ModelSpec(), ("bad", "good"), auto_class=TEXTS)
    assert names_of(source, ModelSpec()) == ()


@pytest.mark.parametrize("name", ["BERT", "RoBERTa", "GPT-2", "XLNet"])
def test_tags_in_another_order_keep_their_outputs(name, tmp_path):
    folder = FAMILIES[name].write(tmp_path / "base")
    source, before = finished(folder, ("O", "B-MISC", "B-PER"), kind=TAGS)
    build = partial(build_classifier, source, ModelSpec(), auto_class=TAGS, problem_type=None)
    assert torch.equal(rows_of(build(("O", "B-PER", "B-MISC"))), rows_of(before)[[0, 2, 1]])
    assert rows_of(build(("O", "B-LOC", "B-ORG"))).std() < 0.2


def test_what_always_means_the_same_needs_no_names(tmp_path):
    folder = FAMILIES["BERT"].write(tmp_path / "base")
    kind = "AutoModelForQuestionAnswering"
    source, before = finished(folder, ("start", "end"), kind=kind)
    config = transformers.AutoConfig.from_pretrained(source.folder)
    config.id2label = {0: "no", 1: "yes"}
    config.save_pretrained(source.folder)
    again = build_classifier(source, ModelSpec(), ("start", "end"), auto_class=kind, problem_type=None)
    assert torch.equal(rows_of(again), rows_of(before))


def test_labels_that_were_learnt_are_not_made_likely_once_more(tmp_path):
    folder = FAMILIES["BERT"].write(tmp_path / "base")
    task = MultiLabelClassification(labels=("a", "b"), class_counts=(1, 50), n_rows=100)
    first = task.build(Source("base", folder), ModelSpec())
    assert head_of(first).bias.tolist() == pytest.approx(np.log([2 / 100, 51 / 51]).tolist())
    with quiet():
        first.save_pretrained(tmp_path / "first")
    second = task.build(Source("first", tmp_path / "first"), ModelSpec())
    assert torch.equal(head_of(second).bias, head_of(first).bias)
    other = task.model_copy(update={"labels": ("a", "c")}).build(Source("first", tmp_path / "first"), ModelSpec())
    assert head_of(other).bias.tolist() == pytest.approx(np.log([2 / 100, 51 / 51]).tolist())


NUMBERS = TextRegression(text="text", label="price, size", means=(300_000.0, 4.0), deviations=(100_000.0, 2.0))


@pytest.fixture
def priced(folder):
    """A source whose head gives prices and sizes, the task that it learnt, and the model before it had their scale."""
    with quiet():
        task = NUMBERS.suited(Source("base", folder), ModelSpec())
        model = task.build(Source("base", folder), ModelSpec())
        before = head_of(model).weight.detach().clone(), head_of(model).bias
        task.tune(None, None).fold(model)
        model.save_pretrained(folder.parent / "priced")
    return Source("priced", folder.parent / "priced"), task, before


def test_a_head_of_numbers_gives_them_standardised_again(priced):
    source, task, (weight, bias) = priced
    again = task.build(source, ModelSpec())
    assert torch.allclose(rows_of(again), weight, rtol=1e-5)
    if bias is not None:
        assert torch.allclose(head_of(again).bias, bias * 0, atol=0.1)
    assert not hasattr(again.config, SCALE)
    turned = task.model_copy(update={"label": "size, price"}).build(source, ModelSpec())
    assert torch.allclose(rows_of(turned), weight[[1, 0]], rtol=1e-5)


def test_a_head_of_other_or_unknown_numbers_begins_anew(priced):
    source, task, _ = priced
    other = task.model_copy(update={"label": "price, age"}).build(source, ModelSpec())
    assert rows_of(other).abs().max() < 1
    config = transformers.AutoConfig.from_pretrained(source.folder)
    delattr(config, SCALE)
    config.save_pretrained(source.folder)
    unknown = task.build(source, ModelSpec())
    assert rows_of(unknown).abs().max() < 1
    assert not hasattr(unknown.config, SCALE)


LONG = {"train.length": "60 steps", "train.lr": 3e-3}


def test_training_goes_on_where_it_was(tiny, tmp_path):
    rows = [(text, 300_000 + 100_000 * (label == "pos") + i) for i, (text, label) in enumerate(sentences(80))]
    data = write_table(tmp_path / "prices.csv", ("text", "price"), rows)
    first = ts.train(data, out=tmp_path / "first", label="price", **quick(tiny, **LONG))
    second = ts.train(data, out=tmp_path / "second", label="price", **quick(first.run.folder))
    texts = [text for text, _ in rows]
    one, other = ([float(said.value) for said in run.predict(texts)] for run in (first, second))
    assert np.corrcoef(one, other)[0, 1] > 0.95
    assert next(event["loss"] for event in second.run.events() if event["event"] == "step") < 2
    assert find(ModelSpec(source=str(first.run.folder))).folder == first.run.model_folder


def test_a_run_for_other_labels_says_that_its_head_begins_anew(trained, tmp_path):
    rows = [(text, {"pos": "great", "neg": "poor"}[label]) for text, label in sentences(60)]
    data = write_csv(tmp_path / "rows.csv", rows)
    run = ts.train(data, out=tmp_path / "other", **quick(trained.folder))
    (note,) = [note for note in run.run.notes if note.topic == "new head"]
    assert "its head begins anew, for great, poor" in note.message
