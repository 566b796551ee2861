"""From a question and its context to the windows that the model reads, and from their outputs back to the context."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tunesmith.data.augment.words import Word, cut, starts
from tunesmith.models.answer_spans import ContextScores, Window, tokens_of, window_starts
from tunesmith.tasks.parts import Example

if TYPE_CHECKING:
    from tunesmith.models.tokenize import Tokenizer

NOTHING = 0
"""The token that stands for "no answer here"."""
Places = list[tuple[int, int]]


class Context(NamedTuple):
    """Attributes: a context's token ids; where they are in it, in characters, shape (tokens, 2)."""

    ids: list[int]
    offsets: np.ndarray


class Read(NamedTuple):
    """What the model gives for a row: the scores of its context's spans, and the row's loss (nan if not known)."""

    scores: ContextScores
    loss: float


def windows(
    question: list[int], context: Context, answers: Places | None, *, row: int, tokenizer: Tokenizer
) -> list[Example]:
    """Return a row's examples: the question, of half of the room at most, with each window of the context.

    The row counts once: half for the windows with an answer, half for those without, if there are both.

    Args:
        question: token ids.
        context: what is read in windows.
        answers: first and last character (exclusive) of the right answers; None where they are not known.
        row: its index.
        tokenizer: of the model.
    """
    frame, room = tokenizer.frames[1], tokenizer.room(2)
    question = question[: room // 2]
    room -= len(question)
    starts = window_starts(len(context.ids), room)
    first = len(frame.ids[0]) + len(question) + len(frame.ids[1])
    spans = [span for span in (tokens_of(context.offsets, *place) for place in answers or ()) if span]
    targets = [_target(spans, start, room) for start in starts]
    if not any(targets):
        targets = [_target(spans, start, room, clip=True) for start in starts]
    is_lost = bool(answers) and not spans  # no token is of the answers: nothing can be learnt
    weights = [0.0] * len(starts) if is_lost else _weights(spans, targets, starts, room)
    examples = []
    for start, target, weight in zip(starts, targets, weights, strict=True):
        piece = frame.filled(question, context.ids[start : start + room])
        places = [(first + s - start, first + e - start) for s, e in target] or [(NOTHING, NOTHING)]
        place = (start, first, context.offsets[start : start + room])
        examples.append(Example(piece.ids, row, None if answers is None else places, weight, piece.extras, place))
    return examples


def _target(spans: Places, start: int, room: int, *, clip: bool = False) -> Places:
    """Return the spans of tokens that are in a window; with `clip`, of each the part that is."""
    stop = start + room
    if clip:
        return [(max(s, start), min(e, stop - 1)) for s, e in spans if s < stop and e >= start]
    return [(s, e) for s, e in spans if s >= start and e < stop]


def _weights(spans: Places, targets: Sequence[Places], starts: Sequence[int], room: int) -> list[float]:
    """Return each window's share of its row; none for windows with a part of an answer that is whole in another."""
    kinds = [
        "answer" if target else "part" if _target(spans, start, room, clip=True) else "none"
        for target, start in zip(targets, starts, strict=True)
    ]
    n = Counter(kind for kind in kinds if kind != "part")
    return [0.0 if kind == "part" else 1 / (len(n) * n[kind]) for kind in kinds]


def read_windows(found: Sequence[tuple[Example, np.ndarray]]) -> Read:
    """Return what the windows of a row say together.

    Args:
        found: the row's examples in order, each with its log-probabilities of starts and ends, shape (2, tokens).
    """
    offsets = np.zeros((0, 2), np.int32)
    parts, loss = [], 0.0
    for example, logp in found:
        start, first, here = example.place
        offsets = np.concatenate([offsets[:start], here])
        odds = logp[:, first : first + len(here)] - logp[:, NOTHING, None]
        parts.append(Window(start, odds[0], odds[1]))
        for s, e in example.target or ():
            loss -= example.weight * float(logp[0, s] + logp[1, e]) / len(example.target)
    is_known = found[0][0].target is not None
    return Read(ContextScores(offsets, parts), loss if is_known else float("nan"))


def context_words(context: str, answers: Sequence[Mapping[str, Any]]) -> list[Word]:
    """Return the words of a context; those of answers have a group, and where they were as their kind."""
    words, places, at = cut(context), [], 0
    for word in words:
        begin = context.index(word.text, at)
        at = begin + len(word.text)
        places.append((begin, at))
    spans = _merged(_whole_words(one, places) for one in answers)
    found = []
    for word, (begin, end) in zip(words, places, strict=True):
        group = next((i for i, (start, stop) in enumerate(spans) if begin < stop and start < end), None)
        found.append(word if group is None else replace(word, group=group, kind=begin))
    return found


def _whole_words(answer: Mapping[str, Any], places: Places) -> tuple[int, int]:
    """Return where an answer stands, the rest of its first and last word included: a word may be of two answers."""
    start, end = answer["start"], answer["start"] + len(answer["text"])
    touched = [place for place in places if place[0] < end and start < place[1]]
    return min([start, *(begin for begin, _ in touched)]), max([end, *(stop for _, stop in touched)])


def moved(answers: Sequence[Mapping[str, Any]], words: Sequence[Word]) -> list[dict[str, Any]]:
    """Return answers where they are after the words between them were edited; see `context_words`."""
    now = {word.kind: place for word, place in zip(words, starts(words), strict=True) if word.group is not None}
    found = []
    for one in answers:
        begin = max(was for was in now if was <= one["start"])
        found.append({**one, "start": now[begin] + one["start"] - begin})
    return found


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return spans of characters in order, those that overlap or touch as one."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return found
