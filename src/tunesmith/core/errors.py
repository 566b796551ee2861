"""The errors of tunesmith, each with what is wrong, where, and how to mend it.

    TunesmithError
    ├── RecipeError   a setting is unknown, missing or out of range
    ├── DataError     a file, row, column or value cannot be used
    ├── ModelError    a checkpoint cannot be found, read or fitted to the task
    ├── RunError      a run folder is missing, incomplete or belongs to another recipe; or training broke
    └── ExportError   a model cannot be written in the wanted form

All of them mean "the user can fix it": the command line prints `problems` and exits with 2, without a traceback.
Any other exception is a bug of ours (exit code 1).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Where:
    """A place in the user's input.

    Attributes:
        file: path as the user gave it, or "" when the input is not a file.
        row: line of a text file, row of a sheet, or number of a JSON item, counted from 1; 0 when unknown.
        column: column name, or dotted key of a recipe.
        value: the offending value as it was written.
    """

    file: str = ""
    row: int = 0
    column: str = ""
    value: object = None

    def __str__(self) -> str:
        place = self.file + (f":{self.row}" if self.row else "")
        return " ".join(part for part in (place, self.column) if part)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: message, place and fix, each a plain sentence without a trailing full stop."""

    message: str
    where: Where = Where()
    fix: str = ""

    def __str__(self) -> str:
        place = f"{self.where}: " if str(self.where) else ""
        value = "" if self.where.value is None else f" (value: {shorten(self.where.value)})"
        return f"{place}{self.message}{value}" + (f"  fix: {self.fix}" if self.fix else "")


class TunesmithError(Exception):
    """A mistake the user can fix. `problems` holds all mistakes that were found together, at least one."""

    def __init__(self, message: str, *, where: Where | None = None, fix: str = "") -> None:
        super().__init__(message)
        self.problems: tuple[Problem, ...] = (Problem(message, where or Where(), fix),)

    @classmethod
    def of(cls, problems: Iterable[Problem]) -> Self:
        """Bundle several problems into one error, so that the user sees all of them at once."""
        found = tuple(problems)
        error = cls(found[0].message, where=found[0].where, fix=found[0].fix)
        error.problems = found
        return error

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class RecipeError(TunesmithError):
    """A setting is unknown, missing or out of range."""


class DataError(TunesmithError):
    """A file, row, column or value cannot be used."""


class ModelError(TunesmithError):
    """A checkpoint cannot be found, read or fitted to the task."""


class RunError(TunesmithError):
    """A run folder is missing, incomplete or belongs to another recipe; or training broke off."""


class ExportError(TunesmithError):
    """A model cannot be written in the wanted form."""


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Return `did you mean "x"?` for the nearest known word, or "" if none is near."""
    folded = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(word.casefold(), list(folded), n=1, cutoff=0.6)
    return f'did you mean "{folded[near[0]]}"?' if near else ""


def shorten(value: object, width: int = 60) -> str:
    """Return `value` in quotes on one line, cut in the middle to at most `width` characters."""
    text = str(value).replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    if len(text) > width:
        text = text[: width - 15] + " … " + text[-12:]
    return f'"{text}"'
