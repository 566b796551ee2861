"""Each objective against its paper's formula, on a case small enough to compute by hand."""

import math

import numpy as np
import pytest
import torch

from tunesmith.objectives import ObjectivesSpec
from tunesmith.objectives.class_balanced import ClassBalanced
from tunesmith.objectives.consistency import Consistency
from tunesmith.objectives.contrast import Contrast
from tunesmith.objectives.noise import sizes, unit, within
from tunesmith.tasks.decisions import Decisions
from tunesmith.tasks.text_classification import TextClassification

P = 0.8
LOGITS = torch.tensor([[math.log(P), math.log(1 - P)]])


def shaped(name, decisions, **settings):
    spec = ObjectivesSpec(**{name: settings or True})
    return getattr(spec, name).shaped(decisions, decisions.losses())


def one(logits=LOGITS, target=0, **more):
    return Decisions("one", logits, torch.tensor([target]), torch.ones(1), torch.zeros(1), **more)


def labels(logits, targets, **more):
    n = len(logits)
    logits = logits[None] if isinstance(logits, torch.Tensor) else torch.tensor([logits])
    targets = torch.tensor([targets], dtype=logits.dtype)
    return Decisions("any", logits, targets, torch.ones(n), torch.zeros(n), **more)


def test_focal_is_equation_4():
    assert float(shaped("focal", one(), gamma=2)) == pytest.approx(-((1 - P) ** 2) * math.log(P))
    assert float(shaped("focal", one(), gamma=0)) == pytest.approx(-math.log(P))
    logit = math.log(P / (1 - P))
    found = shaped("focal", labels([logit, logit], [1.0, 0.0]), gamma=1)[0]
    assert found.tolist() == pytest.approx([-(1 - P) * math.log(P), -P * math.log(1 - P)])


def test_dice_is_equation_10():
    pulled = (1 - P) * P
    assert float(shaped("dice", one(), alpha=1)) == pytest.approx(1 - (2 * pulled + 1) / (pulled + 2))
    logit = math.log(P / (1 - P))
    found = shaped("dice", labels([logit, logit], [1.0, 0.0]), alpha=1, smooth=0.5)[0]
    wanted = [1 - (2 * pulled + 0.5) / (pulled + 1.5), 1 - 0.5 / (pulled + 0.5)]
    assert found.tolist() == pytest.approx(wanted)


@pytest.mark.parametrize("alpha", [None, 0.5, 1.0])
def test_dice_is_smallest_where_its_setting_says(alpha):
    more = {} if alpha is None else {"alpha": alpha}
    probabilities = np.arange(1, 1000) / 1000
    logits = np.log(probabilities / (1 - probabilities)).tolist()
    found = shaped("dice", labels(logits, [1.0] * len(logits)), **more)[0]
    best = probabilities[int(found.argmin())]
    assert best == pytest.approx(1 / (1 + alpha), abs=1e-3) if alpha else best > 0.98


def test_dice_keeps_class_weights():
    weights = torch.tensor([3.0, 1.0])
    plain, weighted = shaped("dice", one()), shaped("dice", one(class_weights=weights))
    assert float(weighted) == pytest.approx(3 * float(plain))


@pytest.mark.parametrize("weights", [None, torch.tensor([3.0, 1.0])])
def test_dice_smooths_labels_as_cross_entropy_does(weights):
    each = [float(shaped("dice", one(target=k, class_weights=weights))) for k in (0, 1)]
    smoothed = shaped("dice", one(class_weights=weights, smoothing=0.2))
    assert float(smoothed) == pytest.approx(0.8 * each[0] + 0.2 * sum(each) / 2)


def test_asymmetric_keeps_what_dice_made_of_the_losses():
    logit, p = math.log(P / (1 - P)), P - 0.05
    decisions = labels([logit, logit], [1.0, 0.0])
    spec = ObjectivesSpec(dice=True, asymmetric={"gamma_there": 1})
    dice = spec.dice.shaped(decisions, decisions.losses())
    found = spec.asymmetric.shaped(decisions, dice)[0]
    factors = [1 - P, p**4 * math.log(1 - p) / math.log(1 - P)]
    assert found.tolist() == pytest.approx((dice[0] * torch.tensor(factors)).tolist())


def test_asymmetric_is_equation_7():
    logit, shifted = math.log(P / (1 - P)), P - 0.05
    found = shaped("asymmetric", labels([logit, logit, -9.0], [1.0, 0.0, 0.0]))[0]
    assert found.tolist() == pytest.approx([-math.log(P), -(shifted**4) * math.log(1 - shifted), 0.0], abs=1e-6)
    surely = torch.tensor([20.0], requires_grad=True)
    loss = shaped("asymmetric", labels(surely, [0.0]), margin=0).sum()
    loss.backward()
    assert [float(loss.detach()), float(surely.grad)] == pytest.approx([20, 1]), "a mistake without doubt is learnt"


STEEP = [
    ("focal", {"gamma": 0.5}),
    ("dice", {}),
    ("dice", {"alpha": 1}),
    ("asymmetric", {"gamma_there": 0.5, "gamma_absent": 0.5}),
    ("asymmetric", {"gamma_there": 0.5, "gamma_absent": 0.5, "margin": 0}),
]


@pytest.mark.parametrize(("name", "settings"), STEEP)
@pytest.mark.parametrize("gap", [-200.0, -20.0, 20.0, 200.0])
def test_answers_without_doubt_have_the_slope_of_the_formula(name, settings, gap):
    """In float32 their probability is 1, where a power below 1 of what is left has no slope; doubles know more."""
    for decide in (
        *([one] if name != "asymmetric" else []), lambda x: labels(x[0], [1.0, 1.0]), lambda x: labels(x[0], [0.0, 0.0])
    ):  # fmt: skip
        slopes = []
        for kind in (torch.float32, torch.float64):
            logits = torch.tensor([[gap, 0.0]], dtype=kind, requires_grad=True)
            shaped(name, decide(logits), **settings).sum().backward()
            slopes.append(logits.grad[0].tolist())
        assert np.isfinite(slopes).all()
        if abs(gap) < 30:
            assert slopes[0] == pytest.approx(slopes[1], rel=1e-3, abs=1e-7)


def test_class_balanced_is_equation_2():
    task = TextClassification(labels=("a", "b"), class_counts=(10, 1000))
    found = ClassBalanced(beta=0.99).fitted(task).factors()
    raw = [(1 - 0.99) / (1 - 0.99**10), (1 - 0.99) / (1 - 0.99**1000)]
    assert found == pytest.approx([2 * one / sum(raw) for one in raw])
    assert sum(ClassBalanced(beta=0).fitted(task).factors()) == pytest.approx(2)
    assert ClassBalanced(beta=0).fitted(task).factors() == pytest.approx([1, 1])


def test_class_balanced_multiplies_the_losses_of_the_right_class_or_of_each_label():
    found = ClassBalanced(beta=0.99).fitted(TextClassification(labels=("a", "b"), class_counts=(10, 1000)))
    rare, often = found.factors()
    logits = torch.tensor([[0.0, 1.0], [2.0, 0.0], [0.5, 0.0]])
    classes = Decisions("one", logits, torch.tensor([1, 0, 1]), torch.ones(3), torch.arange(3))
    assert found.shaped(classes, torch.tensor([1.0, 2.0, 3.0])).tolist() == pytest.approx([often, 2 * rare, 3 * often])
    several = Decisions("any", logits, torch.tensor([[0.0, 1.0]] * 3), torch.ones(3), torch.arange(3))
    each = found.shaped(several, torch.tensor([[1.0, 1.0], [2.0, 3.0], [0.0, 4.0]]))
    torch.testing.assert_close(each, torch.tensor([[rare, often], [2 * rare, 3 * often], [0.0, 4 * often]]))


def test_the_contrastive_loss_is_equation_2():
    torch.manual_seed(0)
    features, targets, tau = torch.randn(6, 3), torch.tensor([0, 1, 0, 0, 1, 2]), 0.3

    class Batch:
        weights = torch.tensor([1.0, 0.5, 0.0, 1.0, 1.0, 1.0])

    Batch.targets = targets

    class Read:
        batch = Batch

    Read.features = features
    z = torch.nn.functional.normalize(features, dim=1)
    wanted = 0.0
    for i, weight in enumerate(Batch.weights.tolist()):
        others = [j for j in range(6) if j != i]
        below = sum(math.exp(float(z[i] @ z[k]) / tau) for k in others)
        same = [j for j in others if targets[j] == targets[i]]  # none for the last one: it learns nothing
        each = [math.log(math.exp(float(z[i] @ z[j]) / tau) / below) for j in same]
        wanted -= weight * sum(each) / max(1, len(same))
    found = Contrast(weight=0.5, temperature=tau)
    assert float(found.beside(Read)) == pytest.approx(0.5 * wanted, rel=1e-5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert float(found.beside(Read)) == pytest.approx(0.5 * wanted, rel=1e-5), "no less exact on a GPU"


def test_noise_has_the_size_that_is_asked_for():
    noise = torch.tensor([[[3.0, 0.0], [0.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]]])
    assert sizes(noise).flatten().tolist() == [5, 0]
    assert sizes(unit(noise)).flatten().tolist() == pytest.approx([1, 0])
    assert sizes(within(noise, 2.0)).flatten().tolist() == pytest.approx([2, 0])
    assert torch.equal(within(noise, 9.0), noise)


def answers(kind, *logits):
    n = len(logits)
    return Decisions(kind, torch.tensor(logits), torch.zeros(n), torch.full((n,), 0.5), torch.arange(n))


def kl(p, q):
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def sharp(p, temperature):
    powers = [a ** (1 / temperature) for a in p]
    return [a / sum(powers) for a in powers]


def test_consistency_is_a_divergence_from_sharpened_sure_answers():
    spec, q = Consistency(temperature=0.4, confidence=0.7), [0.6, 0.4]
    sure, unsure = [P, 1 - P], [0.7, 0.3]
    still = answers("one", *([math.log(a) for a in p] for p in (sure, unsure)))
    edited = answers("one", *([math.log(a) for a in q] for _ in range(2)))
    assert spec.sure(still).tolist() == [1, 0], "at the threshold an answer is not sure yet"
    # The unsure text counts in the mean: its share of the weights stays where it is.
    assert float(spec.term(still, edited)) == pytest.approx(0.5 * kl(sharp(sure, 0.4), q), rel=1e-5)
    plain = Consistency(temperature=1.0, confidence=0.0)
    assert float(plain.term(still, edited)) == pytest.approx(0.5 * (kl(sure, q) + kl(unsure, q)), rel=1e-5)


def test_consistency_of_labels_looks_at_each_and_of_numbers_at_their_difference():
    spec, logit = Consistency(temperature=0.5, confidence=0.7), math.log(P / (1 - P))
    found = spec.term(answers("any", [logit, -logit, 0.5]), answers("any", [0.0, 0.0, 9.0]))
    half = [0.5, 0.5]
    wanted = (kl(sharp([P, 1 - P], 0.5), half) + kl(sharp([1 - P, P], 0.5), half)) / 3
    assert float(found) == pytest.approx(0.5 * wanted, rel=1e-5)
    assert float(spec.term(answers("number", [1.0, 2.0]), answers("number", [3.0, 3.0]))) == pytest.approx(0.5 * 2.5)
