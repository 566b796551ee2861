"""Double quotes that enclose a field of a CSV file, and those that only look so.

A text that begins with a quote and never closes it (`"Great film,positive`) swallows the rows after it, up to the next
quote of the file, and the `csv` module has no complaint. Here a row may go on over lines only where its quotes close as
they should, and where the lines it takes don't look like rows themselves; else its first line is read alone.
"""

from __future__ import annotations

import csv
import io
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

MOST_LINES = 2000
"""Lines that a row may take."""
LOOKED_AT = 2000
"""Rows that show what is usual."""
csv.field_size_limit(2**31 - 1)

Numbered = tuple[int, list[str]]
Stray = Callable[[int], None]
"""Is told on which line a quote encloses nothing."""


def unheard(_line: int) -> None:
    """Is told, and says nothing."""


@dataclass(frozen=True, slots=True)
class Usual:
    """What rows of a file look like: how many fields they have, and what comes again at either end, such as labels."""

    width: int
    ends: frozenset[str]

    def is_row(self, fields: list[str]) -> bool:
        """Whether a line read alone looks like a row."""
        return len(fields) == self.width > 1 and bool(self.ends.intersection((fields[0].strip(), fields[-1].strip())))


def look(text: str, delimiter: str) -> tuple[Usual, bool]:
    """Return what the first rows show, and whether quotes mean nothing in the file: more are stray than are needed."""
    usual = _usual(text, delimiter)
    strays: list[int] = []
    rows = list(islice(records(_lines(text), delimiter, usual=usual, stray=strays.append), LOOKED_AT))
    needed = sum(any(mark in field for field in fields for mark in (delimiter, "\n")) for _, fields in rows)
    return usual, len(strays) > needed


def _usual(text: str, delimiter: str) -> Usual:
    rows = [fields for _, fields in islice(records(_lines(text), delimiter), LOOKED_AT) if fields]
    width = Counter(map(len, rows)).most_common(1)[0][0] if rows else 1
    apart = [_bare(line, delimiter) for line in islice(_lines(text), LOOKED_AT)]
    # of lines more must have it: they may be parts of texts
    known = _ends([row for row in rows if not any("\n" in field for field in row)], least=2)
    return Usual(width, known | _ends(apart, least=max(2, len(apart) // 20)))


def _ends(rows: list[list[str]], *, least: int) -> frozenset[str]:
    counts = Counter(end for fields in rows if len(fields) > 1 for end in {fields[0].strip(), fields[-1].strip()})
    return frozenset(end for end, n in counts.items() if end and '"' not in end and n >= least)


def _lines(text: str) -> Iterator[str]:
    return io.StringIO(text, newline="")


def records(
    lines: Iterable[str], delimiter: str, *, usual: Usual | None = None, stray: Stray = unheard
) -> Iterator[Numbered]:
    """Yield the line each row begins on, from 1, and its fields.

    Args:
        lines: with their ends.
        delimiter: between the fields.
        usual: what rows look like, where that is known.
        stray: is told of quotes that enclose nothing.
    """
    source, ahead, number = iter(lines), deque[str](), 1
    while (line := ahead.popleft() if ahead else next(source, None)) is not None:
        block = [line]
        fields = _alone(line, delimiter)
        if '"' in line and (fields is None or _is_open(fields)):
            fields = _over_lines(block, ahead, source, delimiter)
            if fields is None or (len(block) > 1 and _swallows(block, fields, delimiter, usual)):
                stray(number)
                ahead.extendleft(reversed(block[1:]))
                block, fields = [line], _bare(line, delimiter)
        yield number, fields or []
        number += len(block)


def _alone(line: str, delimiter: str) -> list[str] | None:
    """Return a line's fields; None where a quote is open at its end and all before it is well written."""
    try:
        return next(csv.reader([line], delimiter=delimiter, strict='"' in line), [])
    except csv.Error as error:
        # words after a closing quote ('"Great" film') are no reason to look further
        return None if "unexpected end" in str(error) else next(csv.reader([line], delimiter=delimiter), [])


def _is_open(fields: list[str]) -> bool:
    return any(field.endswith(("\n", "\r")) for field in fields)


def _over_lines(block: list[str], ahead: deque[str], source: Iterator[str], delimiter: str) -> list[str] | None:
    """Add lines to a block until its quotes close; return its fields, None where they don't close as they should."""
    while len(block) < MOST_LINES:
        line = ahead.popleft() if ahead else next(source, None)
        if line is None:
            return None
        block.append(line)
        if '"' not in line:
            continue
        try:
            return next(csv.reader(block, delimiter=delimiter, strict=True))
        except csv.Error as error:
            if "unexpected end" not in str(error):
                return None
    return None


def _swallows(block: list[str], fields: list[str], delimiter: str, usual: Usual | None) -> bool:
    """Whether lines between two quotes look like rows of their own."""
    if any("\t" in field and "\n" in field for field in fields):
        return True
    if usual is None:
        return False
    apart = [_bare(line, delimiter) for line in block]
    if len(fields) != usual.width and len(apart[0]) == usual.width:
        return True
    return all(map(usual.is_row, apart))


def _bare(line: str, delimiter: str) -> list[str]:
    """Return a line's fields where quotes are characters like others."""
    return next(csv.reader([line], delimiter=delimiter, quoting=csv.QUOTE_NONE), [])
