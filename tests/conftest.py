"""Shared fixtures."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from tests.tiny import sentences, tiny_bert, write_csv


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder with real data sets; tests that need it skip where it is missing."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("TUNESMITH_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no data folder at {folder}; set TUNESMITH_DATA")
    return folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random BERT with dropout."""
    return tiny_bert(tmp_path_factory.mktemp("models") / "tiny-bert")


@pytest.fixture(scope="session")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV of 120 rows with text and label."""
    return write_csv(tmp_path_factory.mktemp("data") / "reviews.csv", sentences(120))


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny: Path, reviews: Path):
    """A finished run of the tiny model."""
    import tunesmith as ts

    out = tmp_path_factory.mktemp("runs") / "reviews-1"
    settings = {"train.length": "4 epochs", "train.lr": 3e-3, "data.split.dev": 0.2, "evaluate.resamples": 100}
    return ts.train(reviews, model=str(tiny), out=out, settings=settings)
