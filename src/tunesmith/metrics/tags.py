"""The metrics of words with one tag each, such as parts of speech. Values are scikit-learn's on all words together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from tunesmith.metrics.scorer import PER_CLASS, Scorer
from tunesmith.metrics.scores import Counts, mean_defined, placed, ratio
from tunesmith.metrics.spans import check_lengths

Array = np.ndarray
Tags = Sequence[Sequence[str]]


class TagScorer(Scorer):
    """Word accuracy, and the F1 of each tag; words count alike, rows are what is resampled.

    Macro F1 averages the tags that occur in gold or predictions. The details are `per_class`, where a class is a tag
    and its support counts words.
    """

    names = ("word_accuracy", "macro_f1")
    undefined: ClassVar[Mapping[str, str]] = {
        "word_accuracy": "these rows have no word",
        "macro_f1": "these rows have no word",
        "precision": "this tag is never predicted",
        "recall": "no word has this tag",
        "f1": "no word has this tag and it is never predicted",
    }

    def __init__(self, predicted: Tags, gold: Tags) -> None:
        """Check and count the tags.

        Args:
            predicted: of each row, a tag a word.
            gold: likewise, each row as long as its prediction. A row may have no words.

        Raises:
            DataError: no rows, or rows whose lengths differ.
        """
        self.tags = [list(row) for row in predicted]
        check_lengths(self.tags, gold)
        said, right = ([tag for row in rows for tag in row] for rows in (self.tags, gold))
        self.labels = sorted({*said, *right})
        codes = {tag: i for i, tag in enumerate(self.labels)}
        said_codes, codes_of = (np.array([codes[tag] for tag in tags], dtype=np.int64) for tags in (said, right))
        row_of = np.repeat(np.arange(len(gold)), [len(row) for row in gold])
        shape, hit = (len(self.labels), len(gold)), said_codes == codes_of
        self._counts = Counts(
            placed(codes_of[hit], row_of[hit], shape),
            placed(codes_of, row_of, shape),
            placed(said_codes, row_of, shape),
        )

    def __len__(self) -> int:
        return len(self.tags)

    @property
    def right(self) -> Array:
        """Whether all words of a row are right."""
        hits, support = (np.asarray(m.sum(axis=0)).ravel() for m in (self._counts.hits, self._counts.support))
        return np.asarray(hits == support)

    @property
    def said(self) -> list[list[str]]:
        """The predicted tags."""
        return self.tags

    def at(self, weights: Array) -> dict[str, Array]:
        """Return the metrics, and precision, recall and F1 of each tag, shape (tags, draws)."""
        counts = self._counts.under(weights)
        return {
            "word_accuracy": ratio(counts.total.hits, counts.total.support),
            "macro_f1": mean_defined(counts.f1),
            **{name: getattr(counts, name) for name in PER_CLASS},
        }

    def details(self, point: Mapping[str, Array], spread: Mapping[str, Array]) -> dict[str, Any]:
        """Return the tags' own numbers; support counts words."""
        support = np.asarray(self._counts.support.sum(axis=1)).ravel()
        return {"per_class": self.per_class(self.labels, support.astype(int).tolist(), point=point, spread=spread)}
