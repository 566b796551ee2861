"""Turn text data into a small, fast, trustworthy NLP model by fine-tuning a pre-trained one.

import tunesmith as ts
run = ts.train("reviews.csv", text="review", label="stars")
run.metrics["accuracy"]
run.predict(["Lovely, would buy again."])
run = ts.load("runs/reviews-1")

A mistake that you can mend raises a `TunesmithError`, which lists all that is wrong and how to mend it.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from tunesmith.models.register import register

if TYPE_CHECKING:
    from tunesmith.api import TunedModel, load, resume, resume_several, train, train_several
    from tunesmith.core.errors import TunesmithError
    from tunesmith.recipe.recipe import Recipe

__all__ = [
    "Recipe", "TunedModel", "TunesmithError", "__version__", "load", "resume", "resume_several", "train",
    "train_several",
]  # fmt: skip

_HOMES = {
    "Recipe": "tunesmith.recipe.recipe",
    "TunedModel": "tunesmith.api",
    "TunesmithError": "tunesmith.core.errors",
    "load": "tunesmith.api",
    "resume": "tunesmith.api",
    "resume_several": "tunesmith.api",
    "train": "tunesmith.api",
    "train_several": "tunesmith.api",
}

register()

try:
    __version__ = version("tunesmith")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'tunesmith' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
