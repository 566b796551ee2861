"""The tiny checkpoints, each made once, and classifiers made of them."""

from functools import cache

import pytest
import torch

from tests.families.build import FAMILIES
from tunesmith.models.classifier import build_classifier
from tunesmith.models.padding import agree_on_padding
from tunesmith.models.source import Source
from tunesmith.models.spec import ModelSpec
from tunesmith.models.tokenize import load_tokenizer


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """Return a function from a family's name to the folder of its checkpoint."""
    folder = tmp_path_factory.mktemp("families")
    return cache(lambda name: FAMILIES[name].write(folder / name))


@pytest.fixture
def load(checkpoint):
    """Return a function that gives a family's classifier of three classes and its tokenizer."""

    def make(name, **spec):
        source, chosen = Source(name, checkpoint(name)), ModelSpec(**spec)
        tokenizer = load_tokenizer(source, chosen)
        torch.manual_seed(0)
        model = build_classifier(source, chosen, ("a", "b", "c")).eval()
        agree_on_padding(model, tokenizer)
        return model, tokenizer

    return make
