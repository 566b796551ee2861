"""Perplexity and bits a byte against their definitions."""

import math

import numpy as np
import pytest

from tests.metrics.agreement import assert_agrees, real_texts
from tests.metrics.resampling import assert_draws_equal, measured
from tunesmith.core.errors import DataError
from tunesmith.metrics.perplexity import PerplexityScorer

TEXTS = ["the cat sat on the mat", "naïve café €", "a", "one two three four five six seven"] * 10


def surprised(texts, seed=0):
    """Return each token's probability and whether it was the likeliest, by row, and the rows' bytes."""
    rng = np.random.default_rng(seed)
    tokens = [rng.uniform(0, 1, len(text.split())) ** 3 + 1e-9 for text in texts]
    return tokens, [rng.random(len(row)) < 0.4 for row in tokens], [len(text.encode()) for text in texts]


def scorer(tokens, hits, n_bytes):
    losses = [-np.log(row).sum() for row in tokens]
    return PerplexityScorer(losses, [len(row) for row in tokens], n_bytes, [int(row.sum()) for row in hits])


def reference(tokens, hits, n_bytes):
    p = np.concatenate(tokens)
    return {
        "perplexity": 2 ** np.mean(-np.log2(p)),
        "bits_per_byte": sum(-math.log2(x) for x in p) / sum(n_bytes),
        "token_accuracy": np.concatenate(hits).mean(),
    }


def test_values_are_the_definitions_on_thousands_of_texts():
    parts = surprised(real_texts()[:3000])
    assert_agrees(scorer(*parts), reference(*parts))


def test_every_resample_is_the_definition_on_the_drawn_rows():
    parts = surprised(TEXTS)
    assert_draws_equal(scorer(*parts), lambda rows: reference(*([part[i] for i in rows] for part in parts)))


def test_a_uniform_model_is_as_perplexed_as_it_has_choices():
    values = measured(PerplexityScorer([3 * math.log(50)], [3], [6]))["values"]
    assert values["perplexity"]["value"] == pytest.approx(50)
    assert values["bits_per_byte"]["value"] == pytest.approx(3 * math.log2(50) / 6)
    assert list(values) == ["perplexity", "bits_per_byte"]


def test_what_has_no_value_says_why():
    values = measured(PerplexityScorer([0.0, 0.0], [0, 0], [0, 0], [0, 0]))["values"]
    assert values["perplexity"]["reason"].startswith("no token") and values["bits_per_byte"]["value"] is None
    assert measured(PerplexityScorer([1e6], [1], [4]))["values"]["perplexity"]["reason"].endswith("beyond numbers")


def test_a_row_without_tokens_changes_nothing():
    values = [measured(PerplexityScorer(*rows))["values"] for rows in (([2.0], [4], [9]), ([2.0, 0], [4, 0], [9, 0]))]
    assert values[0]["perplexity"]["value"] == values[1]["perplexity"]["value"] == pytest.approx(math.exp(0.5))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (([], [], []), "no rows"),
        (([1.0], [1, 2], [3]), "1 predictions do not fit 2 rows"),
        (([1.0], [1], [3, 4]), "do not fit"),
        (([1.0], [1], [3], [1, 1]), "do not fit"),
        (([np.nan], [1], [3]), "no numbers"),
        (([1.0], [-1], [3]), "no numbers"),
    ],
)
def test_what_cannot_be_measured_is_refused(parts, message):
    with pytest.raises(DataError, match=message):
        PerplexityScorer(*parts)
