"""Measuring and comparing plain probabilities, as the tests of many metrics need it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tunesmith.metrics import compare, scorer
from tunesmith.metrics.classification import ClassScorer

Array = np.ndarray


def measure(probabilities: Array, gold: Array, labels: Sequence[Any], **options: Any) -> dict[str, Any]:
    return scorer.measure(ClassScorer(probabilities, gold, labels), **options)


def paired(a: Array, b: Array, gold: Array, labels: Sequence[Any], **options: Any) -> dict[str, Any]:
    models = (ClassScorer(probabilities, gold, labels) for probabilities in (a, b))
    return compare.paired(*models, **{"metric": "macro_f1", **options})


def against_best(runs: Mapping[str, Array], gold: Array, labels: Sequence[Any], **options: Any) -> dict[str, Any]:
    models = {name: ClassScorer(probabilities, gold, labels) for name, probabilities in runs.items()}
    return compare.against_best(models, **{"metric": "macro_f1", **options})
