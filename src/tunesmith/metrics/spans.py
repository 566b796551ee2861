"""The metrics of entities in tagged words. Values are those of seqeval's default mode on the same tags.

An entity is right if its first word, its last word and its type are (Tjong Kim Sang and De Meulder 2003, section 2.3).
1,000 resamples of 5,000 rows take 0.1 s on one core, reading their 100,000 words 0.3 s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tunesmith.core.errors import DataError, shorten
from tunesmith.metrics.scorer import PER_CLASS, Scorer, check_rows
from tunesmith.metrics.scores import Counts, mean_defined, placed, ratio

Array = np.ndarray
Tags = Sequence[Sequence[str]]

STRICT = ("strict_f1", "strict_precision", "strict_recall")
VALUES = ("entity_f1", "entity_precision", "entity_recall", "macro_f1", "word_accuracy", *STRICT)
OUTSIDE = "O"
_NOTHING = "these rows have no entity, and none was found"


class SpanScorer(Scorer):
    """The metrics of entities, from one IOB2 tag a word.

    Tags are read leniently, as seqeval does by default: an I- that continues nothing starts an entity too.
    The strict ones count only entities that start with B-, as seqeval does with `mode="strict"` and IOB2. Macro F1
    averages the types that occur in gold or predictions. The details are `per_class`, where a class is a type.
    """

    names = VALUES
    undefined: ClassVar[Mapping[str, str]] = {
        "entity_f1": _NOTHING,
        "entity_precision": "no entity was found",
        "entity_recall": "these rows have no entity",
        "macro_f1": _NOTHING,
        "strict_f1": _NOTHING,
        "strict_precision": "no entity was found that begins with B-",
        "strict_recall": "these rows have no entity that begins with B-",
        "word_accuracy": "these rows have no word",
        "precision": "this type is never found",
        "recall": "no entity has this type",
        "f1": "no entity has this type and it is never found",
    }

    def __init__(self, predicted: Tags, gold: Tags) -> None:
        """Check the tags and find the entities.

        Args:
            predicted: of each row, a tag a word: "O", "B-TYPE" or "I-TYPE".
            gold: likewise, each row as long as its prediction. A row may have no words.

        Raises:
            DataError: no rows, rows whose lengths differ, or tags of another form.
        """
        self.tags, gold = [list(row) for row in predicted], [list(row) for row in gold]
        check_lengths(self.tags, gold)
        self.types = _types(tag for rows in (self.tags, gold) for row in rows for tag in row)
        found, right = (Spans.of(rows, self.types) for rows in (self.tags, gold))
        self._words = _words(self.tags, gold)
        row_of = np.repeat(np.arange(len(gold)), self._words[1].astype(int) + 1)
        self._counts = _counts(found, right, row_of, n_types=len(self.types))
        self._strict = _counts(found.proper, right.proper, row_of, n_types=len(self.types))

    def __len__(self) -> int:
        return len(self.tags)

    @property
    def right(self) -> Array:
        """Whether all entities of a row are right, and no more were found."""
        hits, support, predicted = (
            np.asarray(counts.sum(axis=0)).ravel()
            for counts in (self._counts.hits, self._counts.support, self._counts.predicted)
        )
        return np.asarray((hits == support) & (hits == predicted))

    @property
    def said(self) -> list[list[str]]:
        """The predicted tags."""
        return self.tags

    def at(self, weights: Array) -> dict[str, Array]:
        """Return the metrics, and precision, recall and F1 of each type, shape (types, draws)."""
        counts, strict = self._counts.under(weights), self._strict.under(weights).total
        right_words, words = self._words @ weights
        return {
            "entity_f1": counts.total.f1,
            "entity_precision": counts.total.precision,
            "entity_recall": counts.total.recall,
            "macro_f1": mean_defined(counts.f1),
            "word_accuracy": ratio(right_words, words),
            "strict_f1": strict.f1,
            "strict_precision": strict.precision,
            "strict_recall": strict.recall,
            **{name: getattr(counts, name) for name in PER_CLASS},
        }

    def details(self, point: Mapping[str, Array], spread: Mapping[str, Array]) -> dict[str, Any]:
        """Return the types' own numbers; support counts entities."""
        support = np.asarray(self._counts.support.sum(axis=1)).ravel()
        return {"per_class": self.per_class(self.types, support.astype(int).tolist(), point=point, spread=spread)}


@dataclass(frozen=True, eq=False)
class Spans:
    """Entities by place: the words of all rows are numbered through, with one number left out after each row.

    Attributes:
        starts: place of the first word of each entity, ascending, shape (entities,).
        ends: place of the last word.
        types: index of its type.
        begun: whether its first tag is a B-.
    """

    starts: Array
    ends: Array
    types: Array
    begun: Array

    @classmethod
    def of(cls, rows: Tags, types: Sequence[str]) -> Spans:
        """Find the entities by the rules of conlleval, which are seqeval's default."""
        flat = [tag for row in rows for tag in (*row, OUTSIDE)]
        codes = {tag: i for i, tag in enumerate(dict.fromkeys(flat))}
        code = np.array([codes[tag] for tag in flat])
        kind = np.array([-1 if tag == OUTSIDE else types.index(_type(tag)) for tag in codes])[code]
        begun = np.array([tag.startswith("B") for tag in codes])[code]
        continues = (kind >= 0) & ~begun & (kind == np.roll(kind, 1))
        starts = np.flatnonzero((kind >= 0) & ~continues)
        ends = np.flatnonzero((kind >= 0) & ~np.roll(continues, -1))
        return cls(starts, ends, kind[starts], begun[starts])

    @property
    def proper(self) -> Spans:
        """The entities that begin with B-."""
        return self.take(self.begun)

    def take(self, which: Array) -> Spans:
        """Return some of the entities."""
        return Spans(self.starts[which], self.ends[which], self.types[which], self.begun[which])

    def also_in(self, other: Spans) -> Spans:
        """Return the entities that are the same there."""
        _, mine, theirs = np.intersect1d(self.starts, other.starts, assume_unique=True, return_indices=True)
        same = (self.ends[mine] == other.ends[theirs]) & (self.types[mine] == other.types[theirs])
        return self.take(mine[same])


def check_lengths(predicted: Tags, gold: Tags) -> None:
    """Raise DataError if there are no rows, or one with more or fewer predicted tags than words."""
    check_rows(len(predicted), len(gold))
    for i, (tags, right) in enumerate(zip(predicted, gold, strict=True)):
        if len(tags) != len(right):
            raise DataError(
                f"{len(tags):,} predicted tags do not fit the {len(right):,} words at position {i + 1:,}",
                fix="give one tag a word",
            )


def _types(tags: Iterable[str]) -> list[str]:
    """Return the types that occur, sorted; refuse tags that are not IOB2."""
    distinct = sorted(set(tags) - {OUTSIDE})
    for tag in distinct:
        if tag not in ("B", "I") and not tag.startswith(("B-", "I-")):
            raise DataError(f"the tag {shorten(tag)} is not one of IOB2", fix='use "O", "B-TYPE" and "I-TYPE"')
    return sorted({_type(tag) for tag in distinct})


def _type(tag: str) -> str:
    """Return the type of a tag; "_" where it has none, as seqeval calls it."""
    return tag[2:] or "_"


def _words(predicted: Tags, gold: Tags) -> Array:
    """Return how many words of each row are tagged right, and how many it has, shape (2, rows)."""
    right = [sum(map(str.__eq__, tags, row)) for tags, row in zip(predicted, gold, strict=True)]
    return np.array([right, [len(row) for row in gold]], dtype=float)


def _counts(found: Spans, right: Spans, row_of: Array, *, n_types: int) -> Counts:
    """Return what each row has of each type, as matrices of shape (types, rows)."""
    shape = (n_types, int(row_of[-1]) + 1)
    sides = (found.also_in(right), right, found)
    return Counts(*(placed(spans.types, row_of[spans.starts], shape) for spans in sides))
