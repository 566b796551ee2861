import pytest

from tunesmith.core.errors import RecipeError
from tunesmith.engine import device
from tunesmith.engine.spec import TrainSpec


def test_a_device_that_is_not_there_is_named_once(monkeypatch):
    monkeypatch.setattr(device.torch.cuda, "is_available", lambda: False)
    with pytest.raises(RecipeError) as raised:
        device.Device(TrainSpec(device="cuda"))
    assert str(raised.value).count("cuda") == 1
