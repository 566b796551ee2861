"""Chains of tags against brute force over all sequences, on cases small enough to list."""

from itertools import pairwise, product

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from transformers import AutoModelForTokenClassification

from tests.tagged import tiny_tagger
from tunesmith.models.chain import FORBIDDEN, Lattice, allowed, marginals, viterbi
from tunesmith.models.tags import add_transitions, sequence_loss, take_transitions
from tunesmith.models.words import IGNORED
from tunesmith.tasks.tagsets import Entities, PlainTags

LABELS = ("O", "B-A", "I-A", "B-B", "I-B")


def lattice(n_words, *, n_tags=4, seed=0):
    rng = np.random.default_rng(seed)
    return Lattice(rng.normal(size=(n_words, n_tags)), rng.normal(size=(n_tags + 1, n_tags + 1)))


def score(found, path):
    each, steps = found
    edge = each.shape[1]
    chain = [edge, *path, edge]
    return sum(steps[a, b] for a, b in pairwise(chain)) + sum(each[i, tag] for i, tag in enumerate(path))


def paths(found):
    return list(product(range(found.each.shape[1]), repeat=len(found.each)))


@pytest.mark.parametrize("n_words", range(1, 6))
def test_viterbi_finds_the_best_of_all_sequences(n_words):
    for seed in range(5):
        found = lattice(n_words, seed=seed)
        assert tuple(viterbi(found)) == max(paths(found), key=lambda path: score(found, path))


def test_a_text_without_words_has_no_tags():
    assert len(viterbi(lattice(0))) == 0
    assert marginals(lattice(0)).shape == (0, 4)


@pytest.mark.parametrize("n_words", [1, 2, 5])
def test_marginals_are_sums_over_all_sequences(n_words):
    found = lattice(n_words, seed=3)
    scores = np.array([score(found, path) for path in paths(found)])
    shares = np.exp(scores - logsumexp(scores))
    wanted = np.zeros(found.each.shape)
    for path, share in zip(paths(found), shares, strict=True):
        wanted[np.arange(n_words), list(path)] += share
    assert np.exp(marginals(found)) == pytest.approx(wanted, abs=1e-12)


def test_what_cannot_follow_never_comes_out():
    steps = allowed(LABELS, Entities().may_follow)
    legal = {
        path
        for path in product(range(len(LABELS)), repeat=3)
        if all(steps[a, b] == 0 for a, b in zip((len(LABELS), *path), path, strict=False))
    }
    assert (0, 2, 0) not in legal  # O I-A
    assert (1, 4, 0) not in legal  # B-A I-B
    assert {(1, 2, 2), (3, 4, 1)} <= legal
    rng = np.random.default_rng(0)
    for _ in range(50):
        each = 100 * rng.normal(size=(3, len(LABELS)))
        best = max(legal, key=lambda path: sum(each[i, tag] for i, tag in enumerate(path)))
        assert tuple(viterbi(Lattice(each, steps))) == best
    assert not (allowed(("A", "B"), PlainTags().may_follow) == FORBIDDEN).any()


def batch(n_words, *, n_tokens, seed=0):
    """A lattice spread over more tokens than it has words, and the tokens of its words."""
    found = lattice(n_words, seed=seed)
    rng = np.random.default_rng(seed)
    tokens = sorted(rng.choice(n_tokens, n_words, replace=False))
    each = rng.normal(size=(n_tokens, found.each.shape[1]))
    each[tokens] = found.each
    return found, torch.tensor(each), tokens


@pytest.mark.parametrize("n_words", [1, 2, 4])
def test_the_loss_is_the_negative_log_likelihood_of_the_sequence(n_words):
    found, each, tokens = batch(n_words, n_tokens=6, seed=n_words)
    scores = {path: score(found, path) for path in paths(found)}
    steps = torch.tensor(found.steps)
    total = 0.0
    for path, own in scores.items():
        target = torch.full((1, 8), IGNORED)
        target[0, :2] = 4
        target[0, [2 + token for token in tokens]] = torch.tensor(path)
        loss = float(sequence_loss(each[None], target, steps))
        assert loss == pytest.approx(logsumexp(list(scores.values())) - own, abs=1e-9)
        total += np.exp(-loss)
    assert total == pytest.approx(1)


def test_the_loss_of_a_part_is_that_given_the_tags_around_it():
    """Words 1 and 2 of four: of all sequences with the same first and last tag."""
    found = lattice(4, seed=8)
    path = (2, 0, 3, 1)
    same_ends = [score(found, (path[0], a, b, path[3])) for a, b in product(range(4), repeat=2)]
    target = torch.tensor([[path[0], path[3], path[1], path[2]]])
    loss = sequence_loss(torch.tensor(found.each[None, 1:3]), target, torch.tensor(found.steps))
    assert float(loss) == pytest.approx(logsumexp(same_ends) - score(found, path), abs=1e-9)


def test_rows_of_a_batch_have_no_say_in_one_another():
    one, other = batch(2, n_tokens=6, seed=1), batch(4, n_tokens=6, seed=2)
    targets = torch.full((3, 8), IGNORED)
    targets[:, :2] = 4
    for row, (_, _, tokens) in enumerate((one, other)):
        targets[row, [2 + token for token in tokens]] = torch.arange(len(tokens)) % 4
    steps = torch.tensor(one[0].steps, requires_grad=True)
    each = torch.stack([one[1], other[1], other[1]]).requires_grad_()
    together = sequence_loss(each, targets, steps)
    alone = [sequence_loss(each[i : i + 1], targets[i : i + 1], steps) for i in range(3)]
    assert torch.allclose(together, torch.cat(alone))
    assert float(together[2].detach()) == 0  # no words
    together.sum().backward()
    assert torch.isfinite(each.grad).all()
    assert torch.isfinite(steps.grad).all()
    assert not each.grad[2].any()


def test_forbidden_steps_have_no_share_and_a_finite_gradient():
    steps = torch.tensor(allowed(LABELS, Entities().may_follow)).float()
    each = torch.randn(1, 3, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = sequence_loss(each, torch.tensor([[5, 5, 1, 2, 0]]), steps)
    legal = [
        float(sum(each[0, i, tag] for i, tag in enumerate(path)).detach())
        for path in product(range(5), repeat=3)
        if all(steps[a, b] == 0 for a, b in zip((5, *path), path, strict=False))
    ]
    right = float((each[0, 0, 1] + each[0, 1, 2] + each[0, 2, 0]).detach())
    assert float(loss.detach()) == pytest.approx(logsumexp(legal) - right, abs=1e-3)
    loss.backward()
    assert torch.isfinite(each.grad).all()


def test_transitions_are_in_the_output_until_they_are_taken(tmp_path):
    model = AutoModelForTokenClassification.from_pretrained(tiny_tagger(tmp_path), num_labels=3)
    names = set(model.state_dict())
    add_transitions(model, 3)
    ids = torch.tensor([[2, 5, 3]])
    out = model(input_ids=ids)
    out.transitions.sum().backward()
    assert out.transitions.shape == (4, 4)
    assert model.transitions.grad.any()
    assert take_transitions(model) == ((0.0,) * 4,) * 4
    assert set(model.state_dict()) == names
    assert "transitions" not in model(input_ids=ids)
