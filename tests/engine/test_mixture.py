"""Turns of several tasks, what weighs their losses, and one backbone under several models: formulas by hand."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from tests.engine.test_loop import make
from tests.tiny import tiny_bert
from tunesmith.core.errors import RecipeError
from tunesmith.engine.freeze import Thaw
from tunesmith.engine.loop import train_steps
from tunesmith.engine.mix_spec import MixSpec
from tunesmith.engine.mixture import Members, MixedPlan, Mixture, mix
from tunesmith.engine.plan import Plan
from tunesmith.engine.weighing import LEAST, SMOOTHING, Weighing
from tunesmith.models.classifier import build_classifier
from tunesmith.models.seq2seq import build_seq2seq
from tunesmith.models.share import share
from tunesmith.models.source import Source
from tunesmith.models.spec import ModelSpec


def plan(n_rows, *, epochs=1):
    return Plan(np.full(n_rows, 8), np.ones(n_rows), f"{epochs} epochs", "4 rows", 1000, 0)


def turns(mixing, rows=(400, 100), epochs=(1, 1), **more):
    plans = [plan(n, epochs=e) for n, e in zip(rows, epochs, strict=True)]
    return mix(plans, rows, MixSpec(mixing=mixing, **more), names=["a", "b"], seed=3)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"temperature": 3.0}, "temperature has no effect where mixing is planned"),
        ({"alpha": 0.5}, "alpha has no effect where weighting is fixed"),
        ({"rate": 0.1}, "rate has no effect where weighting is fixed"),
        ({"weights": {"a": 2.0}, "weighting": "uncertainty"}, "weights have no effect where weighting is uncertainty"),
    ],
)
def test_settings_that_the_mixing_does_not_heed_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        MixSpec(**settings)
    assert MixSpec(mixing="temperature", temperature=3.0, weighting="grad_norm", alpha=0.5, rate=0.1)


def test_planned_turns_are_those_that_each_task_would_have_alone():
    found = turns("planned", epochs=(1, 3))
    assert np.bincount(found.turns).tolist() == [100, 75]
    assert [len(p) for p in found.plans] == [100, 75]
    seen = [i for step in range(len(found)) if found.turn(step) == 1 for s in found[step] for b in s.batches for i in b]
    assert np.bincount(seen).tolist() == [3] * 100  # every row in every epoch
    assert len(set(np.diff(np.flatnonzero(found.turns == 1)))) > 2  # mixed, not one after the other


@pytest.mark.parametrize(
    ("mixing", "more", "share"),
    [
        ("proportional", {}, 0.2),
        ("uniform", {}, 0.5),
        ("temperature", {"temperature": 2.0}, 1 / 3),  # 10 / (20 + 10)
        ("temperature", {"temperature": 1.0}, 0.2),
    ],
)
def test_turns_have_the_shares_that_the_rule_says_in_every_stretch(mixing, more, share):
    found = turns(mixing, rows=(4000, 1000), **more).turns
    assert abs(found.mean() - share) < 0.005
    assert all(abs(part.mean() - share) < 0.05 for part in np.array_split(found, 20))


def test_epochs_are_those_of_the_task_whose_turn_it_is():
    found = turns("uniform", rows=(3200, 320))
    n = len(found)
    assert [found.epochs(k) for k in (0, 1)] == [
        pytest.approx(n / 2 / len(plan(rows).epoch(0)), rel=0.02) for rows in (3200, 320)
    ]
    first = int(np.flatnonzero(found.turns == 1)[0])
    thaw = SimpleNamespace(_first="2 epochs", _every="none", _lowest=3)
    depths = [Thaw.depth(thaw, step, found) for step in range(first, n) if found.turn(step) == 1]
    rows_alone = [found.plans[1].epoch_of(k) for k, depth in enumerate(depths) if depth == 0]
    assert max(rows_alone) == pytest.approx(2, abs=0.1)


def test_annealed_turns_begin_in_proportion_and_end_nearly_even():
    rows, n = (40_000, 400), 20
    found = turns("annealed", rows=rows).turns
    first, *_, last = np.array_split(found, n)

    def share(progress):
        """Stickland and Murray 2019, section 4.1: sizes to the power of 1 - 0.8 times the progress."""
        sizes = [size ** (1 - 0.8 * progress) for size in rows]
        return sizes[1] / sum(sizes)

    assert first.mean() == pytest.approx(share(0.5 / n), abs=0.005)
    assert last.mean() == pytest.approx(share(1 - 0.5 / n), abs=0.02)


def test_a_task_without_any_turn_is_refused_with_a_way_out():
    with pytest.raises(RecipeError, match=r'of 2 updates "a" would have none.*multitask\.mixing=uniform'):
        turns("annealed", rows=(1, 4000), epochs=(1, 0.001))


def put(weighing, numbers):
    with torch.no_grad():
        for value, number in zip(weighing.values, numbers, strict=True):
            value.fill_(number)


def slopes(weighing):
    return [None if value.grad is None else float(value.grad) for value in weighing.values]


def test_uncertainty_has_the_slope_of_the_papers_loss():
    weighing = Weighing([1, 1], "uncertainty")
    put(weighing, [0.3, -0.2])
    s = torch.tensor(0.3, requires_grad=True)
    (torch.exp(-s) * 1.7 + s / 2).backward()
    weighing.learn(0, 1.7, [])
    assert slopes(weighing) == pytest.approx([float(s.grad), None])
    assert weighing.weight(1) == pytest.approx(np.exp(0.2))


def test_grad_norm_pulls_weights_towards_equal_norms_and_those_that_lag_behind():
    weighing, shared = Weighing([1, 1], "grad_norm", alpha=1.0), nn.Parameter(torch.zeros(1))
    for task, norm in ((0, 4.0), (1, 2.0)):
        shared.grad = torch.tensor([norm])
        weighing.learn(task, 1.0, [shared])
        assert slopes(weighing)[0] is None  # nothing before both were seen
    assert slopes(weighing) == [None, -2.0]  # 2 is below the mean of 4 and 2: its weight is to rise
    shared.grad = torch.tensor([4.0])
    weighing.learn(0, 1.0, [shared])
    assert slopes(weighing) == [4.0, None]
    weighing.losses.copy_(torch.tensor([1.0, 0.1]))  # task 0 lags behind: r = 1 / 0.55, wanted norm 3 * 1.8 = 5.5
    weighing.learn(0, 1.0, [shared])
    assert slopes(weighing) == [-4.0, None]
    slow = Weighing([1, 1], "grad_norm", alpha=0.1)  # r ** 0.1 = 1.06: wanted are 3.2, less than there are
    for task, norm in ((0, 4.0), (1, 2.0)):
        shared.grad = torch.tensor([norm])
        slow.learn(task, 1.0, [shared])
    slow.losses.copy_(torch.tensor([1.0, 0.1]))
    shared.grad = torch.tensor([4.0])
    slow.learn(0, 1.0, [shared])
    assert slopes(slow) == [4.0, None]
    shared.grad = torch.tensor([4.0])
    mean = SMOOTHING * 1.0 + (1 - SMOOTHING) * 3.0
    weighing.learn(0, 3.0, [shared])
    assert float(weighing.losses[0]) == pytest.approx(mean)
    put(weighing, [3.0, -1.0])
    weighing.settle()
    assert [value.item() for value in weighing.values] == pytest.approx([2 * 3 / (3 + LEAST), 2 * LEAST / (3 + LEAST)])


def test_the_norm_that_is_balanced_is_that_of_the_loss_before_it_was_weighed():
    weighing, shared = Weighing([1, 1], "grad_norm"), nn.Parameter(torch.zeros(1))
    put(weighing, [0.5, 1.5])
    shared.grad = torch.tensor([3.0])
    weighing.learn(0, 1.0, [shared])
    assert float(weighing.norms[0]) == pytest.approx(6.0)


def test_without_a_pull_at_what_is_shared_nothing_is_balanced():
    weighing, shared = Weighing([1, 1], "grad_norm"), nn.Parameter(torch.zeros(1))
    for task in (0, 1, 0):
        shared.grad = torch.tensor([2.0]) if task else None
        weighing.learn(task, 1.0, [shared])
        assert slopes(weighing) == [None, None]
    assert not weighing.first[0]


@pytest.mark.parametrize("kind", ["uncertainty", "grad_norm"])
def test_a_weight_keeps_still_at_the_turns_of_the_others(kind):
    weighing, shared = Weighing([1, 1, 1], kind, alpha=1.5), nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([weighing.group(0.01)])
    for step in range(12):
        task, before = step % 3, [value.item() for value in weighing.values]
        shared.grad = torch.tensor([1.0 + task * task])
        weighing.learn(task, 1.0 + task, [shared])
        optimizer.step()
        after = [value.item() for value in weighing.values]
        optimizer.zero_grad()
        assert [k for k in range(3) if after[k] != before[k]] == ([task] if kind == "uncertainty" or step > 1 else [])


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return Source("tiny", tiny_bert(tmp_path_factory.mktemp("share") / "tiny", dropout=0.0))


def test_models_of_four_kinds_share_one_backbone_and_keep_their_heads(source):
    spec = ModelSpec(source=str(source.folder))
    mean = ModelSpec(source=str(source.folder), pooling="mean")
    models = [
        build_classifier(source, spec, ["a", "b"]),
        build_classifier(source, spec, ["x", "y", "z"], auto_class="AutoModelForTokenClassification"),
        build_classifier(source, mean, ["a", "b"]),
        build_seq2seq(source, spec, decoder_layers=1),
    ]
    common = share(models, [models[0].classifier, models[1].classifier, models[2].classifier, None])
    layer = "encoder.layer.0.attention.self.query.weight"
    one = models[0].bert.get_parameter(layer)
    assert models[1].bert.get_parameter(layer) is models[2].bert.get_parameter(layer) is one
    assert models[3].encoder.get_parameter(layer) is one
    assert any(one is p for p in common)
    assert models[0].classifier.weight is not models[2].classifier.weight
    assert len({id(m.bert.pooler.dense.weight) for m in (models[0], models[2])}) == 2  # it starts otherwise for a mean
    n_layers = len(models[0].bert.encoder.layer)
    assert not {id(p) for p in models[2].bert.encoder.layer[n_layers].parameters()} & {id(p) for p in common}
    assert models[3].decoder.get_parameter(f"bert.{layer}") is not one  # the decoder learns for itself
    vectors = models[0].bert.embeddings.word_embeddings.weight
    assert models[3].encoder.embeddings.word_embeddings.weight is vectors


def test_weights_drawn_anew_are_shared_and_tied_ones_stay_tied(source):
    again = ModelSpec(source=str(source.folder), reinit_layers=1)
    models = [build_classifier(source, again, ["a", "b"]) for _ in range(2)]
    n_layers = len(models[0].bert.encoder.layer)
    share(models, [m.classifier for m in models])
    top = [m.bert.encoder.layer[n_layers - 1].output.dense.weight for m in models]
    assert top[0] is top[1]


def test_embeddings_drawn_anew_are_shared_though_their_values_differ(source):
    random = ModelSpec(source=str(source.folder), weights="random")
    texts = build_classifier(source, random, ["a", "b"])
    words = build_classifier(source, random, ["x", "y"], auto_class="AutoModelForTokenClassification")
    heads = [texts.classifier, words.classifier]
    assert not torch.equal(texts.get_input_embeddings().weight, words.get_input_embeddings().weight)
    share([texts, words], heads, drawn=True)
    for part in ("word_embeddings", "position_embeddings", "token_type_embeddings"):
        one, other = (model.bert.embeddings.get_parameter(f"{part}.weight") for model in (texts, words))
        assert one is other
    assert texts.classifier.weight is not words.classifier.weight


def test_a_mixture_of_one_trains_as_the_task_alone(tmp_path):
    folder = tiny_bert(tmp_path / "one")
    alone, steps = make(folder, length="2 epochs")
    expected = [report.loss for report in train_steps(alone, steps)]
    setup, _ = make(folder, length="2 epochs")
    weighing = Weighing([1.0])
    mixture = Mixture(["a"], [setup], Members([setup.device.plain(setup.model)], weighing), weighing)
    mixed = MixedPlan([steps], np.zeros(len(steps), dtype=int), steps.seed)
    assert [report.loss for report in train_steps(mixture, mixed)] == expected


def test_a_weight_multiplies_the_gradient_and_not_the_loss_that_is_told(tmp_path):
    folder = tiny_bert(tmp_path / "two", dropout=0.0)
    found = []
    for weight in (1.0, 0.25):
        setup, steps = make(folder, length="1 steps", clip_norm=0)
        weighing = Weighing([weight])
        mixture = Mixture(["a"], [setup], Members([setup.device.plain(setup.model)], weighing), weighing)
        found.append(next(train_steps(mixture, replace(steps))))
    assert found[0].loss == found[1].loss
    assert found[1].grad_norm == pytest.approx(found[0].grad_norm / 4, rel=1e-4)
