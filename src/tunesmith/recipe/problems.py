"""Mistakes as people see them: one aligned line each, with the place, the setting, what is wrong and the fix."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from tunesmith.core.errors import Problem, shorten

_GAP = "  "


def format_problems(problems: Sequence[Problem], *, ending: str = "nothing was started", width: int = 120) -> str:
    """Return the lines to print for the problems of any error.

    Args:
        problems: in the order to show them.
        ending: what the last line says after the count.
        width: columns of the terminal; where a line would be longer, the fixes go below.
    """
    rows = [("error", _place(problem), problem.where.column, _message(problem)) for problem in problems]
    widths = [max(map(_columns, cells), default=0) for cells in zip(*rows, strict=True)]
    fixes = [f"fix: {problem.fix}" if problem.fix else "" for problem in problems]
    longest = sum(widths) + len(_GAP) * len(widths) + max(map(_columns, fixes), default=0)
    join = _beside if longest <= width else _below
    lines = [join(row, fix, widths) for row, fix in zip(rows, fixes, strict=True)]
    count = f"{len(problems):,} problem{'' if len(problems) == 1 else 's'}"
    return "\n".join([*lines, f"{count}, {ending}."])


def _beside(row: tuple[str, ...], fix: str, widths: Sequence[int]) -> str:
    cells = [cell + " " * (size - _columns(cell)) for cell, size in zip(row, widths, strict=True) if size]
    return _GAP.join([*cells, fix]).rstrip()


def _below(row: tuple[str, ...], fix: str, widths: Sequence[int]) -> str:
    first = _beside((*row[:-1], ""), "", [*widths[:-1], 0])
    message = _GAP.join(part for part in (first.ljust(sum(widths[:-1]) + 2 * len(_GAP)), row[-1]) if part)
    return message + (f"\n{' ' * 7}{fix}" if fix else "")


def _place(problem: Problem) -> str:
    return _one_line(problem.where.file + (f":{problem.where.row}" if problem.where.row else ""))


def _message(problem: Problem) -> str:
    """Return the message, and the value if the message does not quote it already."""
    text = _one_line(problem.message)
    value = problem.where.value
    if value is None or _one_line(str(value)) in text:
        return text
    return f"{text} (value: {_one_line(shorten(value))})"


def _one_line(text: str) -> str:
    """Make text from a user's file safe to print: no line ends, no control characters."""
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text.replace("\n", " "))


def _columns(text: str) -> int:
    """Return how many terminal columns a text takes: two for wide characters, none for combining ones."""
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF") for char in text
    )
