"""Where the words of a text are: in a column of their places, or in the list of words that many exports bring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunesmith.data import tagging

TOKENS = ("tokens", "words")
PLACES = "word_places"
"""Column that keeps where the words of a text are, so that they come back as they were."""
OF_PLACES = ("text", "start", "end", "id", "ws")
"""What an object for a word says that its place says, too."""


def given_places(row: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Return where a row says its words are; nothing where it doesn't, or they can't be there."""
    text = row["text"]
    found = (places_of(row.get(name), text) for name in TOKENS)
    return _whole(row.get(PLACES), text) or next(filter(None, found), [])


def places_of(words: Any, text: str) -> list[tuple[int, int]]:
    """Return where words are in a text, given as texts or as objects with start and end; white space is no word."""
    if is_texts(words):
        return tagging.words_in(text, [word for word in words if word.strip()]) or []
    if not is_objects(words):
        return []
    places = [[word["start"], word["end"]] for word in words]
    return _whole([place for place in places if not _is_blank(place, text)], text)


def is_texts(cell: Any) -> bool:
    """Whether a cell is a list of words."""
    return isinstance(cell, list) and bool(cell) and all(isinstance(word, str) for word in cell)


def is_objects(cell: Any) -> bool:
    """Whether a cell is a list of words as objects with their places."""
    return (
        isinstance(cell, list) and bool(cell) and all(isinstance(w, Mapping) and {"start", "end"} <= {*w} for w in cell)
    )


def word_columns(columns: Mapping[str, Sequence[Any]]) -> list[str]:
    """Return the columns beside texts that hold their words."""
    return [n for n in TOKENS if n in columns and any(is_texts(cell) or is_objects(cell) for cell in columns[n])]


def misfit(row: Mapping[str, Any]) -> str:
    """Return the column whose words are not those of the row's text, "" if there is none."""
    names = [PLACES] if row.get(PLACES) else []
    names += [name for name in TOKENS if is_texts(row.get(name)) or is_objects(row.get(name))]
    return names[0] if names and row["text"].strip() and not given_places(row) else ""


def _is_blank(place: Sequence[Any], text: str) -> bool:
    start, end = place
    return isinstance(start, int) and isinstance(end, int) and 0 <= start <= end and not text[start:end].strip()


def _whole(given: Any, text: str) -> list[tuple[int, int]]:
    """Return places if they lie in the text one after the other, with nothing but white space between them."""
    if not isinstance(given, list) or not all(isinstance(place, list | tuple) and len(place) == 2 for place in given):
        return []
    flat = [at for place in given for at in place]
    fits = all(isinstance(at, int) for at in flat) and flat == sorted(flat) and all(0 <= at <= len(text) for at in flat)
    gaps = zip([0, *flat[1::2]], [*flat[::2], len(text)], strict=True) if fits else []
    whole = fits and all(start < end for start, end in given) and not any(text[a:b].strip() for a, b in gaps)
    return [(start, end) for start, end in given] if whole else []
