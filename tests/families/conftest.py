"""The tiny checkpoints, each made once."""

from functools import cache

import pytest

from tests.families.build import FAMILIES


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """Return a function from a family's name to the folder of its checkpoint."""
    folder = tmp_path_factory.mktemp("families")
    return cache(lambda name: FAMILIES[name].write(folder / name))
