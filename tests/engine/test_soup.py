"""The soup: the best few measurements' weights on disk, their mean in the model."""

import torch
from torch import nn

from tunesmith.engine.soup import Soup


def measured(soup, model, *values):
    for step, value in enumerate(values, 1):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(float(step))
        soup.after(step, value, model)


def test_the_mean_of_the_best_is_put(tmp_path):
    model = nn.Linear(2, 1)
    soup = Soup(tmp_path, n=2)
    measured(soup, model, 0.1, 0.9, 0.3, 0.8)
    assert soup.kept == [(0.9, 2), (0.8, 4)]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["good-00000002", "good-00000004"]
    with soup.tried(model):
        assert torch.allclose(model.bias, torch.tensor([3.0]))
    assert torch.equal(model.bias, torch.tensor([4.0]))
    soup.put(model)
    assert torch.allclose(model.weight, torch.full((1, 2), 3.0))


def test_of_equals_the_first_is_kept_and_a_repeated_step_counts_once(tmp_path):
    model = nn.Linear(1, 1)
    soup = Soup(tmp_path, n=2)
    measured(soup, model, 0.5, 0.5, 0.5)
    assert soup.kept == [(0.5, 1), (0.5, 2)]
    again = Soup(tmp_path, n=2, kept=soup.kept)
    again.after(2, 0.5, model)
    assert again.kept == soup.kept


def test_one_alone_is_no_soup(tmp_path):
    soup = Soup(tmp_path, n=1)
    measured(soup, nn.Linear(1, 1), 0.5, 0.6)
    assert soup.kept == []
    assert not list(tmp_path.iterdir())
