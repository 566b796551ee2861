"""Finding a quoted piece of text again where its offset is wrong: only where there is one certain place."""

from __future__ import annotations

import re
from collections.abc import Iterator

NEAR = 20
"""How many characters an offset may be off where the piece occurs several times."""


def locate(quote: str, text: str, start: int | None) -> tuple[int, int] | None:
    """Return (start, end) of the one place a quote can mean, or None.

    A piece at its offset is taken, also where other programs count otherwise (in UTF-16 or bytes, a Windows line end
    as one); else one that occurs once, or the nearest within 20 characters. Whole words go before parts of words.
    Where it does not occur as written, other case and other white space are tried.
    """
    if not quote.strip():
        return None
    start = start if start is not None and start >= 0 else None
    for at in [] if start is None else [start, *_counted_otherwise(text, start)]:
        if text.startswith(quote, at):
            return at, at + len(quote)
    return _certain(places(quote, text), start) or _certain(_loosely(quote, text), start)


def _counted_otherwise(text: str, start: int) -> Iterator[int]:
    """Yield where an offset is if it counts UTF-16 units, bytes, or Windows line ends as one character."""
    if not text.isascii():
        for encoding, width in (("utf-16-le", 2), ("utf-8", 1)):
            yield len(text.encode(encoding, "replace")[: start * width].decode(encoding, "ignore"))
    if "\r\n" in text:
        yield start + text[: start + text.count("\r\n", 0, start)].count("\r\n")


def places(quote: str, text: str) -> list[tuple[int, int]]:
    """Return everywhere a quote occurs; only as whole words, if it does so anywhere."""
    return _whole(text, [(at, at + len(quote)) for at in _finds(quote, text)])


def _finds(quote: str, text: str) -> Iterator[int]:
    at = text.find(quote)
    while at >= 0:
        yield at
        at = text.find(quote, at + 1)


def _loosely(quote: str, text: str) -> list[tuple[int, int]]:
    pattern = r"\s+".join(map(re.escape, quote.split()))
    return _whole(text, [match.span() for match in re.finditer(pattern, text, re.IGNORECASE)])


def _whole(text: str, found: list[tuple[int, int]]) -> list[tuple[int, int]]:
    whole = [place for place in found if not (_inside_word(text, place[0]) or _inside_word(text, place[1]))]
    return whole or found


def _inside_word(text: str, at: int) -> bool:
    return 0 < at < len(text) and text[at - 1].isalnum() and text[at].isalnum()


def _certain(found: list[tuple[int, int]], start: int | None) -> tuple[int, int] | None:
    if len(found) == 1:
        return found[0]
    if start is None:
        return None
    near = sorted((abs(place[0] - start), place) for place in found if abs(place[0] - start) <= NEAR)
    tie = len(near) > 1 and near[0][0] == near[1][0]
    return None if tie or not near else near[0][1]
