"""The average of the weights: of the right steps, restorable; trying it leaves the model as it was."""

import torch
from torch import nn

from tunesmith.engine import checkpoint
from tunesmith.engine.average import WeightAverage


def walk(model, average, *, start, end):
    """Let weights move by known amounts."""
    for step in range(start + 1, end + 1):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(float(step))
        average.after(step)


def test_the_last_share_of_the_steps_is_averaged():
    model = nn.Linear(2, 1)
    average = WeightAverage(model, n_steps=10, share=0.5)
    walk(model, average, start=0, end=10)
    assert average.n == 5
    average.put()
    assert all(torch.allclose(p, torch.tensor(8.0)) for p in model.parameters())


def test_long_trainings_are_sampled_evenly():
    model = nn.Linear(2, 1)
    average = WeightAverage(model, n_steps=4000, share=0.5)
    walk(model, average, start=0, end=4000)
    assert average.n == 400
    assert torch.allclose(average.tensors["bias"], torch.tensor(2998.5), atol=0.01)


def test_nothing_is_averaged_when_it_is_off():
    model = nn.Linear(2, 1)
    average = WeightAverage(model, n_steps=10, share=0.0)
    walk(model, average, start=0, end=10)
    assert average.n == 0
    assert average.tensors == {}


def test_a_try_leaves_the_model_as_it_was():
    model = nn.Linear(2, 1)
    average = WeightAverage(model, n_steps=4, share=0.5)
    walk(model, average, start=0, end=4)
    with average.tried():
        assert torch.allclose(model.bias, torch.tensor(3.5))
    assert torch.equal(model.bias, torch.tensor([4.0]))


def test_frozen_weights_are_left_out():
    model = nn.Linear(2, 1)
    model.bias.requires_grad_(False)
    average = WeightAverage(model, n_steps=2, share=0.9)
    average.after(2)
    assert set(average.tensors) == {"weight"}


def test_a_saved_average_goes_on_bit_for_bit(tmp_path):
    torch.manual_seed(0)
    steps = [torch.randn(3, 4) for _ in range(9)]
    optimizer = torch.optim.AdamW([{"params": [], "names": []}])

    def run(model, average, some):
        for step in some:
            with torch.no_grad():
                model.weight.copy_(steps[step - 1])
            average.after(step)

    whole = nn.Linear(4, 3)
    expected = WeightAverage(whole, n_steps=9, share=0.7)
    run(whole, expected, range(1, 10))
    cut = nn.Linear(4, 3)
    first = WeightAverage(cut, n_steps=9, share=0.7)
    run(cut, first, range(1, 6))
    path = checkpoint.save(tmp_path, cut, optimizer, step=5, state={"averaged": first.n}, average=first.tensors)
    again = nn.Linear(4, 3)
    resumed = WeightAverage(again, n_steps=9, share=0.7)
    resumed.restore(checkpoint.load(path, again, optimizer)["averaged"], checkpoint.load_average(path))
    run(again, resumed, range(6, 10))
    assert resumed.n == expected.n
    assert torch.equal(resumed.tensors["weight"], expected.tensors["weight"])


def test_a_moving_average_forgets():
    model = nn.Linear(2, 1)
    average = WeightAverage(model, n_steps=4, share=1.0, decay=0.5)
    walk(model, average, start=0, end=4)
    average.put()
    # The mean of the first two, then half of what was and half of what is.
    assert torch.allclose(model.bias, torch.tensor([((1.5 + 3) / 2 + 4) / 2]))


def test_weights_that_learn_later_are_averaged_from_the_start():
    model = nn.Linear(2, 1)
    average = WeightAverage(model, n_steps=4, share=1.0)
    model.bias.requires_grad_(False)
    walk(model, average, start=0, end=4)
    average.put()
    assert torch.allclose(model.bias, torch.tensor([2.5]))
