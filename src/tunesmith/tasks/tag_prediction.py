"""What is said of the words of one text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from tunesmith.data import tagging
from tunesmith.data.tagged import words_of
from tunesmith.tasks.parts import Prediction


@dataclass(frozen=True)
class TagPrediction(Prediction):
    """What was found in one text.

    Attributes:
        tags: one for each word; those of entities in IOB2.
        scores: the probability of each, of all sequences of tags that can be.
        words: the words.
        places: where each of them is: "start" and "end" in characters of the text.
        entities: "start" and "end", "label", "text", and "score": the lowest one of its words. None for plain tags.
    """

    answer: ClassVar[str] = "tags"
    tags: list[str]
    scores: list[float]
    words: list[str]
    places: list[list[int]]
    entities: list[dict[str, Any]] | None

    @classmethod
    def about(cls, cell: Any, tags: list[str], scores: list[float], *, plain: bool) -> Self:
        """Return the prediction of a text, or of a list of words, from a tag and its probability for each word."""
        text, places = words_of(cell)
        words = [text[start:end] for start, end in places]
        entities = None if plain else _entities(tags, scores, text, places)
        return cls(tags, scores, words, [list(place) for place in places], entities)

    def cells(self) -> dict[str, Any]:
        """Return the entities, the words and their tags."""
        found = {} if self.entities is None else {"entities": self.entities}
        return {**found, "words": self.words, "tags": self.tags}


def _entities(
    tags: Sequence[str], scores: Sequence[float], text: str, places: Sequence[tuple[int, int]]
) -> list[dict[str, Any]]:
    found = []
    for span in tagging.to_spans(tags):
        start, end = places[span.start][0], places[span.end - 1][1]
        score = min(scores[span.start : span.end])
        found.append({"start": start, "end": end, "label": span.label, "text": text[start:end], "score": score})
    return found


def told(tags: Sequence[str], row: Mapping[str, Any]) -> str:
    """Return a row's tags as people read them: "Ada Lovelace (PER), London (LOC)"; of plain tags those in dispute.

    Args:
        tags: the predicted or the right ones.
        row: a line of `predictions/*.jsonl`.
    """
    if row["entities"] is None:
        both = zip(row["words"], tags, row["gold"], row["predicted"], strict=True)
        return ", ".join(f"{word} ({tag})" for word, tag, right, said in both if right != said)
    text, places = words_of(row["text"])[0], row["places"]
    spans = [(places[span.start][0], places[span.end - 1][1], span.label) for span in tagging.to_spans(tags)]
    return ", ".join(f"{text[start:end]} ({label})" for start, end, label in spans) or "none"
