import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.engine.plan import Plan, pack_all

lengths_of = st.lists(st.integers(1, 40), min_size=1, max_size=120)


def make(lengths, *, length="2 epochs", step="8 rows", tokens=64, seed=0, world=1):
    return Plan(np.array(lengths), np.ones(len(lengths)), length, step, tokens, seed, world)


def members(plan, steps):
    return sorted(i for s in steps for share in plan[s] if not share.blank for batch in share.batches for i in batch)


@settings(max_examples=60, deadline=None)
@given(lengths_of, st.sampled_from(["8 rows", "50 tokens"]), st.integers(1, 3))
def test_each_example_once_an_epoch(lengths, step, world):
    plan = make(lengths, length="1 epochs", step=step, world=world)
    assert members(plan, range(len(plan))) == list(range(len(lengths)))


@settings(max_examples=40, deadline=None)
@given(lengths_of, st.integers(10, 100))
def test_batches_keep_the_token_budget(lengths, tokens):
    plan = make(lengths, tokens=tokens)
    for step in range(len(plan)):
        for batch in plan[step][0].batches:
            longest = max(lengths[i] for i in batch)
            assert len(batch) * longest <= tokens or len(batch) == 1


def test_same_plan_whoever_asks_and_another_order_each_epoch():
    lengths = list(range(1, 65))
    one, two = make(lengths), make(lengths)
    assert all(
        np.array_equal(a, b) for s in range(len(one)) for a, b in zip(one[s][0].batches, two[s][0].batches, strict=True)
    )
    first, second = one.epoch(0), one.epoch(1)
    assert [list(a) for a in first] != [list(b) for b in second]


def test_every_process_has_work_in_the_last_uneven_step():
    plan = make([5] * 9, length="1 epochs", step="8 rows", world=4)
    sizes = [sum(len(b) for b in share.batches) for step in range(len(plan)) for share in plan[step]]
    assert min(sizes) >= 1
    blanks = [share.blank for step in range(len(plan)) for share in plan[step]]
    assert sum(blanks) == 3


@pytest.mark.parametrize(
    ("length", "steps"), [("3 epochs", 24), ("0.5 epochs", 4), ("10 steps", 10), ("100 steps", 100)]
)
def test_length(length, steps):
    plan = make([5] * 64, length=length)
    assert len(plan) == steps


def test_epoch_of_is_monotonic_and_ends_at_the_length():
    plan = make([3] * 40, length="2.5 epochs")
    values = [plan.epoch_of(s) for s in range(len(plan) + 1)]
    assert values == sorted(values)
    assert values[-1] == pytest.approx(2.5, abs=0.2)


def test_windows_count_as_parts_of_their_row():
    weights = np.array([0.1] * 40 + [1.0] * 12)
    plan = Plan(np.full(52, 8), weights, "1 epochs", "4 rows", 10_000, 0)
    assert len(plan) == 4


def test_little_padding_for_texts_of_mixed_length():
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 60, 2000)
    plan = make(lengths, step="32 rows", tokens=100_000, length="1 epochs")
    padded = sum(len(b) * lengths[b].max() for s in range(len(plan)) for b in plan[s][0].batches)
    assert padded / lengths.sum() < 1.08


def test_pack_all_takes_everything_longest_first():
    packs = pack_all([3, 9, 1, 7], tokens=10)
    assert sorted(i for pack in packs for i in pack) == [0, 1, 2, 3]
    assert list(packs[0]) == [1]


def test_each_of_several_plans_remembers_its_steps():
    plans = [make(range(1, 20), seed=seed) for seed in range(3)]
    first = [plan.epoch(0) for plan in plans]
    assert all(plan.epoch(0) is steps for plan, steps in zip(plans, first, strict=True))
    for epoch in range(1, 4):
        plans[0].epoch(epoch)
    assert plans[0].epoch(0) is not first[0]
    assert all(np.array_equal(a, b) for a, b in zip(plans[0].epoch(0), first[0], strict=True))
