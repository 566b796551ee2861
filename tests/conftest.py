"""Shared fixtures."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder with real data sets; tests that need it skip where it is missing."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("TUNESMITH_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no data folder at {folder}; set TUNESMITH_DATA")
    return folder
