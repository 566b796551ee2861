"""Agreement with the implementations others use: thousands of varied predictions, every metric, nine digits."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import pytest

from tests.metrics.resampling import measured
from tunesmith.metrics.scorer import Scorer

WITHIN = {"rel": 1e-9, "abs": 1e-9}
ROWS = 2000
"""So many predictions at least are compared."""
OTHER_WORDS = ["“So!”", "$5.50", "U.S.", "3,000", "well-known", "can't", "naïve", "(sic)", "e.g.", "A.", "The", "中文"]


def assert_agrees(scorer: Scorer, reference: Mapping[str, float]) -> dict[str, Any]:
    """Compare every metric of a scorer with the reference's, which must know them all; return what was measured."""
    assert len(scorer) >= ROWS
    assert set(reference) == set(scorer.names)
    found = measured(scorer)
    for name, expected in reference.items():
        assert np.isfinite(expected), name
        assert found["values"][name]["value"] == pytest.approx(expected, **WITHIN), name
    return found


def assert_classes_agree(found: Mapping[str, Any], reference: Mapping[str, tuple[float, float, float, int]]) -> None:
    """Compare precision, recall, F1 and support of each class, label or type with the reference's."""
    assert [row["label"] for row in found["per_class"]] == list(reference)
    for row in found["per_class"]:
        *expected, support = reference[row["label"]]
        values = [
            np.nan if row[name]["value"] is None else row[name]["value"] for name in ("precision", "recall", "f1")
        ]
        assert values == pytest.approx(expected, **WITHIN, nan_ok=True), row["label"]
        assert row["support"] == support


@cache
def real_texts() -> tuple[str, ...]:
    """Return the distinct texts of the samples, English and German: some 4,000, of a few words to a few sentences."""
    folder = files("tunesmith.samples")
    letters = map(json.loads, (folder / "letters.jsonl").read_text(encoding="utf-8").splitlines())
    phrases = csv.reader((folder / "phrases.tsv").read_text(encoding="utf-8").splitlines()[1:], delimiter="\t")
    found = [
        *(text for row in phrases for text in row),
        *(row[name] for row in letters for name in ("subject", "body")),
    ]
    return tuple(dict.fromkeys([*found, *(folder / "notes.txt").read_text(encoding="utf-8").splitlines()]))


@cache
def all_words() -> tuple[str, ...]:
    """Return the distinct words of the samples, and some that are hard to cut."""
    return tuple(dict.fromkeys([*(word for text in real_texts() for word in text.split()), *OTHER_WORDS]))


def perturbed(words: list[str], rng: np.random.Generator, *, noise: float) -> list[str]:
    """Return words of which a share is lost, doubled, exchanged for any other, written otherwise or misspelt."""
    changes = {
        0: lambda word: [],
        1: lambda word: [word, word],
        2: lambda word: [all_words()[rng.integers(len(all_words()))]],
        3: lambda word: [word.upper() if rng.random() < 0.5 else word.strip(".,?!")],
        4: lambda word: [word[1:] + word[:1]],
    }  # fmt: skip
    kept = [changes[int(rng.integers(5))](word) if rng.random() < noise else [word] for word in words]
    return [word for part in kept for word in part]
