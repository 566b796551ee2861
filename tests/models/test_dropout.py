import pytest
import torch
from torch import nn

from tunesmith.models.dropout import ByteDropout, use_byte_dropout


def test_share_and_expectation_are_those_of_the_rounded_probability():
    torch.manual_seed(0)
    x = torch.ones(2_000_003)
    y = ByteDropout(0.1)(x)
    assert float((y == 0).float().mean()) == pytest.approx(26 / 256, abs=1e-3)
    assert float(y.mean()) == pytest.approx(1.0, abs=2e-3)
    # Every one of the eight bytes of a word is as random as the others.
    shares = (y[:2_000_000].view(-1, 8) == 0).float().mean(0)
    assert float((shares - 26 / 256).abs().max()) < 3e-3


def test_the_gradient_uses_the_same_mask_and_the_seed_decides():
    drop = ByteDropout(0.5)
    x = torch.randn(7, 33, requires_grad=True)
    torch.manual_seed(1)
    y = drop(x)
    y.sum().backward()
    assert torch.equal(x.grad != 0, y != 0)
    assert torch.allclose(y, x * x.grad)
    torch.manual_seed(1)
    assert torch.equal(drop(x), y)
    assert torch.equal(drop.eval()(x), x)


def test_every_dropout_of_a_model_is_replaced():
    model = nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.Dropout(0.2), nn.Dropout(0.0)))
    use_byte_dropout(model)
    assert [m.p for m in model.modules() if type(m) is ByteDropout] == [0.2, 0.0]
    assert torch.equal(model[1][1](torch.ones(4)), torch.ones(4))
