"""Each objective that runs the model again against its paper's formulas, where slopes can be written down.

A "model" here is a function of a text's token vectors: a quadratic loss, or answers that are linear in them.
"""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tunesmith.objectives import ObjectivesSpec
from tunesmith.objectives.base import Pass
from tunesmith.tasks.decisions import Decisions
from tunesmith.tasks.parts import Batch

MASK = torch.tensor([[1, 1, 1], [1, 1, 0]])
"""Two texts, the second with two tokens."""
WEIGHTS = np.array([1.0, 0.25])
rng = np.random.default_rng(0)
VECTORS, SLOPE = rng.normal(size=(2, 3, 2)), rng.normal(size=6)
ROOT, WAYS = rng.normal(size=(6, 6)), rng.normal(size=(2, 6))
CURVE = ROOT @ ROOT.T
"""The loss of a text x is x CURVE x / 2 + SLOPE x, its answers are WAYS x."""
THERE = np.repeat(MASK.numpy(), 2, axis=1)


class Told:
    """A pass over the two texts, and what was asked of it: the noise in each further pass, and whether it was new."""

    def __init__(self, answer, *, kind="number", targets=None, loss=None, vectors=VECTORS, part=1.0):
        self.vectors = torch.tensor(vectors, requires_grad=True)
        weights = torch.tensor(WEIGHTS)
        batch = Batch({"input_ids": MASK, "attention_mask": MASK}, weights, targets)
        self.noises, self.new, self.batches = [], [], []

        def run(change=lambda v: v, *, batch=batch, new=True):
            self.new.append(new)
            self.batches.append(batch)
            moved = change(self.vectors)
            self.noises.append((moved - self.vectors).detach().flatten(1).numpy())
            return answer(moved.flatten(1))

        def decided(out, batch=batch):
            return Decisions(kind, out, batch.targets, batch.weights, batch.numbers)

        def loss_of(out, batch=batch):
            return (
                (loss(out) * batch.weights).sum() if loss else decided(out, batch).total(decided(out, batch).losses())
            )

        task = SimpleNamespace(decisions=decided)
        self.out = answer(self.vectors.flatten(1))
        self.p = Pass(
            task, batch, self.out, self.vectors, None, run, lambda change: run(change, new=False), loss_of, part
        )

    def learnt(self):
        """Return the pass once its loss was learnt."""
        self.p.loss_of(self.out).backward(retain_graph=True)
        return self.p


def on(name, **settings):
    return getattr(ObjectivesSpec(**{name: settings or True}), name)


def size(vectors=VECTORS):
    """Root mean square length of each text's token vectors, shape (2, 1)."""
    squares = (vectors**2).sum(axis=2) * MASK.numpy()
    return np.sqrt(squares.sum(axis=1) / MASK.numpy().sum(axis=1))[:, None]


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def within(x, radius):
    return x * np.minimum(1, radius / np.linalg.norm(x, axis=1, keepdims=True))


X = VECTORS.reshape(2, 6)


def losses(x):
    return 0.5 * np.einsum("ni,ij,nj->n", x, CURVE, x) + x @ SLOPE


def uphill(x):
    """The direction of each text's slope; padding has none."""
    return unit((x @ CURVE + SLOPE) * THERE)


def quadratic(**more):
    def answer(x):
        return 0.5 * ((x @ torch.tensor(CURVE)) * x).sum(dim=1) + x @ torch.tensor(SLOPE)

    return Told(answer, loss=lambda out: out, **more)


def terms(objective, told):
    """Return the terms learnt after a pass, as the engine learns them."""
    found = []
    for term in objective.after(told.learnt()):
        term.backward()
        found.append(float(term.detach()))
    return found


def test_fgm_is_equation_5():
    noise = 0.4 * size() * uphill(X)
    wanted = 2 * WEIGHTS @ losses(X + noise)
    assert terms(on("fgm", radius=0.4, weight=2.0), quadratic()) == pytest.approx([wanted])


@pytest.mark.parametrize(("step", "radius"), [(0.3, 9.0), (0.3, 0.5)])
def test_pgd_takes_every_step_where_the_last_one_led(step, radius):
    noise = np.zeros((2, 6))
    for _ in range(3):
        noise = within(noise + step * size() * uphill(X + noise), radius * size())
    told = quadratic()
    assert terms(on("pgd", step=step, radius=radius, steps=3, weight=2.0), told) == pytest.approx(
        [2 * WEIGHTS @ losses(X + noise)]
    )
    assert told.new == [False] * 3, "each step goes up the same slope"
    assert told.noises[-1] == pytest.approx(noise)


@pytest.mark.parametrize(("step", "radius"), [(0.3, 9.0), (0.3, 0.5)])
def test_freelb_learns_each_step_of_its_ascent(step, radius):
    noise, wanted = np.zeros((2, 6)), []
    for _ in range(3):
        noise = within(noise + step * size() * uphill(X + noise), radius * size())
        wanted.append(0.25 * WEIGHTS @ losses(X + noise))
    objective = on("freelb", step=step, radius=radius, steps=4)
    assert 1 / (1 + objective.passes) == 0.25
    told = quadratic(part=0.25)
    assert terms(objective, told) == pytest.approx(wanted)
    assert told.new == [False] * 3, "with the dropout of the first pass (section 3.3)"


def linear(factor=None, **more):
    ways = torch.tensor(WAYS)
    return Told(lambda x: x @ (ways if factor is None else factor * ways).T, targets=torch.zeros(2, 2), **more)


def drawn(seed):
    torch.manual_seed(seed)
    return torch.randn_like(torch.tensor(VECTORS)).flatten(1).numpy() * THERE


def changes(noise):
    """How far noise moves the answers: the mean square of two numbers."""
    return ((noise @ WAYS.T) ** 2).mean(axis=1)


def pulled(noise):
    """The slope of `changes`, but for padding."""
    return (noise @ WAYS.T @ WAYS) * THERE


def test_vat_begins_with_chance_and_is_made_better_by_power_iteration():
    noise = 0.3 * size() * unit(pulled(drawn(1)))
    torch.manual_seed(1)
    told = linear()
    assert terms(on("vat", radius=0.3, weight=2.0), told) == pytest.approx([2 * WEIGHTS @ changes(noise)])
    assert told.noises[-1] == pytest.approx(noise)
    assert told.new == [False, False], "the dropout of one pass is that of the others"


def test_vat_finds_the_noise_that_changes_the_answer_most():
    largest = [np.linalg.norm(WAYS * there, ord=2) for there in THERE]
    wanted = WEIGHTS @ ((0.3 * size()[:, 0] * largest) ** 2 / 2)
    assert terms(on("vat", radius=0.3, steps=60), linear()) == pytest.approx([wanted], rel=1e-4)


def kl(p, q):
    return (p * (p / q).log()).sum(dim=1)


def test_vat_learns_how_far_the_moved_answer_is_from_the_answer():
    factor = torch.tensor(1.5, requires_grad=True)
    told = linear(factor, kind="one", vectors=VECTORS)
    (term,) = on("vat", radius=0.9).after(told.p)
    (found,) = torch.autograd.grad(term, factor)
    x, ways = torch.tensor(X), torch.tensor(WAYS)
    p, q = ((factor * (x + noise) @ ways.T).softmax(dim=1) for noise in (0, torch.tensor(told.noises[-1])))
    wanted = (kl(p.detach(), q) * torch.tensor(WEIGHTS)).sum()
    assert float(term.detach()) == pytest.approx(float(wanted.detach()))
    assert float(found) == pytest.approx(float(torch.autograd.grad(wanted, factor)[0])), "the answer itself stays"


@pytest.mark.parametrize("radius", [1.0, 0.2])
def test_smart_ends_where_its_ascent_leads(radius):
    unit_size = size() / 2**0.5
    noise = 0.1 * unit_size * drawn(2)
    for _ in range(2):
        slope = pulled(noise)
        noise = noise + 0.2 * unit_size * slope / np.abs(slope).max(axis=1, keepdims=True)
        noise = np.clip(noise, -radius * unit_size, radius * unit_size)
    torch.manual_seed(2)
    told = linear()
    found = on("smart", start=0.1, step=0.2, steps=2, radius=radius, weight=3.0).beside(told.p)
    assert told.noises[-1] == pytest.approx(noise)
    assert float(found.detach()) == pytest.approx(3 * 2 * WEIGHTS @ changes(noise)), (
        "numbers are as far apart both ways"
    )


def test_smart_learns_from_both_directions_and_both_passes():
    factor = torch.tensor(1.5, requires_grad=True)
    told = linear(factor, kind="one")
    term = on("smart", start=0.3, step=0.3).beside(told.p)
    (found,) = torch.autograd.grad(term, factor)
    x, ways = torch.tensor(X), torch.tensor(WAYS)
    p, q = ((factor * (x + noise) @ ways.T).softmax(dim=1) for noise in (0, torch.tensor(told.noises[-1])))
    wanted = ((kl(p, q) + kl(q, p)) * torch.tensor(WEIGHTS)).sum()
    assert float(term.detach()) == pytest.approx(float(wanted.detach()))
    assert float(found) == pytest.approx(float(torch.autograd.grad(wanted, factor)[0]))


def test_rdrop_is_half_of_equation_4():
    """L = -log p1 - log p2 + alpha (KL(p1 || p2) + KL(p2 || p1)) / 2."""
    logits = iter(torch.tensor([[[1.0, 0.0], [0.5, -1.0]], [[-0.5, 0.3], [2.0, 0.1]]]))
    told = Told(lambda _: next(logits), kind="one", targets=torch.tensor([0, 1]), part=0.5)
    first, term = told.p.part * told.p.loss_of(told.out), on("rdrop", weight=0.7).beside(told.p)
    p, q = (torch.tensor(x).softmax(dim=1) for x in ([[1.0, 0.0], [0.5, -1.0]], [[-0.5, 0.3], [2.0, 0.1]]))
    nll = [-(x[0, 0].log() + 0.25 * x[1, 1].log()) for x in (p, q)]
    apart = ((kl(p, q) + kl(q, p)) / 2 * torch.tensor(WEIGHTS)).sum()
    assert float(first + term) == pytest.approx(float(sum(nll) + 2 * 0.7 * apart) / 2)
    assert told.new == [True]
    assert 1 / (1 + on("rdrop").passes) == 0.5


def test_mixup_learns_both_answers_by_their_share(monkeypatch):
    monkeypatch.setattr(torch, "randperm", lambda n, device: torch.tensor([1, 0]))
    monkeypatch.setattr(torch.distributions.Beta, "sample", lambda _: torch.tensor(0.3))
    told = Told(lambda x: x @ torch.tensor(WAYS).T, kind="one", targets=torch.tensor([0, 1]))
    found = terms(on("mixup", weight=2.0), told)
    texts = X * THERE
    mixed = 0.3 * texts + 0.7 * texts[[1, 0]]
    assert X + told.noises[-1] == pytest.approx(mixed)
    logs = torch.tensor(mixed @ WAYS.T).log_softmax(dim=1).numpy()
    wanted = [0.3 * WEIGHTS[i] * -logs[i, i] + 0.7 * WEIGHTS[1 - i] * -logs[i, 1 - i] for i in (0, 1)]
    assert found == pytest.approx([2 * sum(wanted)])
    read = told.batches[-1].inputs
    assert read["attention_mask"].tolist() == read["input_ids"].tolist() == [[1, 1, 1], [1, 1, 1]]
