import pytest
import torch
from torch.distributions import Bernoulli, Categorical, kl_divergence
from torch.nn import functional as F

from tunesmith.models.words import IGNORED
from tunesmith.tasks.decisions import Decisions, of_tokens
from tunesmith.tasks.parts import Batch

NUMBERS = torch.arange(3)
WEIGHTS = torch.tensor([1.0, 0.5, 0.0])


def one(logits, targets=(0, 1, 2), **more):
    return Decisions("one", logits, torch.tensor(targets), WEIGHTS, NUMBERS, **more)


def test_losses_are_those_of_torch():
    torch.manual_seed(0)
    logits, weights = torch.randn(3, 4), torch.rand(4)
    found = one(logits, class_weights=weights, smoothing=0.1)
    wanted = F.cross_entropy(logits, found.targets, weight=weights, label_smoothing=0.1, reduction="none")
    assert torch.equal(found.losses(), wanted)
    shares = -logits.log_softmax(dim=1)  # Szegedy et al. 2016, section 7
    by_hand = 0.9 * shares[range(3), [0, 1, 2]] + 0.1 * shares.mean(dim=1)
    torch.testing.assert_close(one(logits, smoothing=0.1).losses(), by_hand)
    assert found.total(found.losses()) == pytest.approx(float(wanted[0] + wanted[1] / 2))
    labels = torch.tensor([[1.0, 0, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1]])
    some = Decisions("any", logits, labels, WEIGHTS, NUMBERS, class_weights=weights)
    each = F.binary_cross_entropy_with_logits(logits, labels, pos_weight=weights, reduction="none")
    assert some.total(some.losses()) == pytest.approx(float(each[0].mean() + each[1].mean() / 2))
    numbers = Decisions("number", logits, labels, WEIGHTS, NUMBERS)
    assert torch.equal(numbers.losses(), (logits - labels) ** 2)


def test_divergences_are_those_of_the_distributions():
    torch.manual_seed(1)
    a, b = torch.randn(3, 4), torch.randn(3, 4)
    found = one(a).divergences(one(b))
    assert torch.allclose(found, kl_divergence(Categorical(logits=a), Categorical(logits=b)), atol=1e-6)
    labels = torch.zeros(3, 4)
    some = [Decisions("any", logits, labels, WEIGHTS, NUMBERS) for logits in (a, b)]
    wanted = kl_divergence(Bernoulli(logits=a), Bernoulli(logits=b)).mean(dim=1)
    assert torch.allclose(some[0].divergences(some[1]), wanted, atol=1e-6)
    numbers = [Decisions("number", logits, labels, WEIGHTS, NUMBERS) for logits in (a, b)]
    assert torch.allclose(numbers[0].divergences(numbers[1]), ((a - b) ** 2).mean(dim=1))
    assert one(a).divergences(one(a)).abs().max() < 1e-6


def test_what_is_right_has_a_probability():
    logits = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 9.0]])
    assert one(logits, (0, 0, IGNORED)).right()[:2].tolist() == pytest.approx([0.5, 0.8808], abs=1e-4)
    labels = torch.tensor([[1.0, 0.0]] * 3)
    some = Decisions("any", logits, labels, WEIGHTS, NUMBERS).right()
    assert some[1].tolist() == pytest.approx([0.8808, 0.5], abs=1e-4)


def test_tokens_without_a_target_or_in_a_blank_example_do_not_count():
    targets = torch.tensor([[1, IGNORED], [0, 1]])
    batch = Batch({}, torch.tensor([3.0, 0.0]))
    found = of_tokens(torch.zeros(2, 2, 2), targets, batch, smoothing=0.0)
    assert found.weights.tolist() == [1, 0, 0, 0]
    assert found.examples.tolist() == [0, 0, 1, 1]
    assert found.total(found.losses()) == pytest.approx(0.6931, abs=1e-4)
