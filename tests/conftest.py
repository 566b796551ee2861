"""Shared fixtures."""

import json
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


@pytest.fixture(scope="session", autouse=True)
def fresh_process():
    """Let runs load their saved model again in this process: a fresh one takes most of a tiny run's time.

    Yields:
        What loads it in a fresh process, as everywhere else; `test_save.py` uses it, and `families` one for all.
    """
    from tunesmith.workflow import save

    with pytest.MonkeyPatch.context() as patched:
        real = save.answers_of_a_fresh_process
        patched.setattr(save, "answers_of_a_fresh_process", answers_of_this_process)
        yield real


def answers_of_this_process(run, columns):
    """Return what a saved model says of rows, as `inference/reload.py` does."""
    from tunesmith.data.table import Table
    from tunesmith.inference.predictor import Predictor

    said = Predictor.load(run.model_folder, device="cpu").answers(Table.of(json.loads(json.dumps(columns))))
    return json.loads(json.dumps([prediction.record() for prediction in said]))


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
