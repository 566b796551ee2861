import pytest
import torch
from torch import nn

from tunesmith.models.linear import OneDNNLinear, use_onednn

needs_onednn = pytest.mark.skipif(
    not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")),
    reason="torch was built without oneDNN",
)


def pair(n_in: int, n_out: int, *, bias: bool = True) -> tuple[nn.Linear, nn.Linear]:
    torch.manual_seed(0)
    plain = nn.Linear(n_in, n_out, bias=bias)
    fast = nn.Linear(n_in, n_out, bias=bias)
    fast.load_state_dict(plain.state_dict())
    fast.__class__ = OneDNNLinear
    return plain, fast


@needs_onednn
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(7, 5, 64), (3, 64), (64,), (1, 1, 64)])
def test_values_and_gradients_are_those_of_torch(shape, bias):
    plain, fast = pair(64, 96, bias=bias)
    x = torch.randn(shape)
    xs = [x.clone().requires_grad_() for _ in range(2)]
    ys = [layer(v) for layer, v in zip((plain, fast), xs, strict=True)]
    torch.testing.assert_close(ys[1], ys[0])
    gradient = torch.randn_like(ys[0])
    for y in ys:
        y.backward(gradient)
    torch.testing.assert_close(xs[1].grad, xs[0].grad)
    for mine, theirs in zip(fast.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)


@needs_onednn
def test_strided_inputs_and_gradients():
    plain, fast = pair(64, 64)
    x = torch.randn(6, 9, 64)
    for made in (x[:, 0], x.transpose(0, 1), x[:, ::2]):
        torch.testing.assert_close(fast(made), plain(made))
        for layer in (plain, fast):
            layer.zero_grad()
            layer(made).transpose(0, -1).sum().backward()
        torch.testing.assert_close(fast.weight.grad, plain.weight.grad)


@needs_onednn
@pytest.mark.parametrize("learns", ["input", "weight", "bias"])
def test_what_learns_alone_has_its_gradient(learns):
    layers = pair(64, 96)
    x = torch.randn(4, 64)
    found = []
    for layer in layers:
        tensors = {"input": x.clone(), "weight": layer.weight, "bias": layer.bias}
        for name, tensor in tensors.items():
            tensor.requires_grad_(name == learns)
        layer(tensors["input"]).square().sum().backward()
        assert {name for name, tensor in tensors.items() if tensor.grad is not None} == {learns}
        found.append(tensors[learns].grad)
    torch.testing.assert_close(found[1], found[0])


@needs_onednn
def test_frozen_parts_other_types_and_no_rows():
    plain, fast = pair(64, 64)
    fast.weight.requires_grad_(False)
    x = torch.randn(4, 64, requires_grad=True)
    fast(x).sum().backward()
    assert fast.weight.grad is None
    assert fast.bias.grad is not None
    assert fast(torch.empty(0, 64)).shape == (0, 64)
    with torch.inference_mode():
        torch.testing.assert_close(fast(x), plain(x))
    torch.testing.assert_close(fast.double()(x.double()), plain.double()(x.double()))
    fast.float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert fast(x).dtype == torch.bfloat16


def test_only_plain_and_large_layers_are_turned(monkeypatch):
    class Own(nn.Linear):
        pass

    monkeypatch.setattr("tunesmith.models.linear._is_available", lambda: True)
    model = nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 2), Own(64, 64))
    names = list(model.state_dict())
    use_onednn(model)
    assert [type(layer) for layer in model] == [OneDNNLinear, nn.Linear, Own]
    assert list(model.state_dict()) == names


@needs_onednn
@pytest.mark.parametrize("maker", ["GenuineIntel", "AuthenticAMD"])
def test_intels_cpus_are_left_to_mkl(maker, monkeypatch):
    monkeypatch.setattr("tunesmith.core.hardware._cpuinfo", {"vendor_id": maker}.get)
    monkeypatch.setattr("platform.processor", lambda: "x86_64")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    model = nn.Sequential(nn.Linear(64, 64))
    use_onednn(model)
    assert isinstance(model[0], OneDNNLinear) == (maker == "AuthenticAMD")
