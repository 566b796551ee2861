"""What a format is: how it is recognised, read and written.

There are three kinds, by what is looked at: the text of one file, rows that were read already (from JSON, CSV,
Parquet or Excel), or several files that belong together.
"""

from __future__ import annotations

import ast
import contextlib
import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

from tunesmith.core.errors import DataError, Where
from tunesmith.core.ledger import Entry, Kind
from tunesmith.core.notes import Note
from tunesmith.data import nested
from tunesmith.data.sources import Blob
from tunesmith.data.table import Table

Task = Literal["token-classification", "question-answering", "translation", "text-generation"]
Numbered = tuple[int, dict[str, Any]]
HEAD_CHARACTERS = 65_536


@dataclass
class Content:
    """One file as text.

    Attributes:
        file: how messages call it.
        name: its base name, without .gz.
        text: all of it, or the beginning when it is only to be recognised.
        delimiter: what the user says separates its columns, or "auto".
    """

    file: str
    name: str
    text: str
    delimiter: str = "auto"

    @cached_property
    def head(self) -> list[str]:
        """The lines at the beginning, without their ends."""
        lines = self.text[:HEAD_CHARACTERS].split("\n")
        whole = lines if len(self.text) <= HEAD_CHARACTERS else lines[:-1]
        return [line.rstrip("\r") for line in whole]

    @cached_property
    def value(self) -> Any:
        """What the file holds if it is one JSON value, else None."""
        if self.text.lstrip()[:1] in ("{", "["):
            with contextlib.suppress(json.JSONDecodeError):
                return nested.load(self.text)
        return None

    def lines(self) -> list[tuple[int, str]]:
        """Return all lines with their numbers, without their ends."""
        return [(i, line.rstrip("\r")) for i, line in enumerate(self.text.split("\n"), 1)]


@dataclass
class Found:
    """What a format read.

    Attributes:
        files: how messages call the files.
        rows: (row number, values by column).
        file_ids: for each row the index into `files`; empty where there is one file.
        notes: what was found on the way.
        entries: rows set aside, and what of them was changed.
    """

    files: tuple[str, ...]
    rows: list[Numbered] = field(default_factory=list)
    file_ids: list[int] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)

    def say(self, kind: Kind, reason: str, row: int, detail: str = "") -> None:
        """Add an entry about a row of the first file."""
        self.entries.append(Entry(kind, reason, self.files[0], row, detail))

    def table(self) -> Table:
        """Return the rows; a column that a row lacks is None there.

        Raises:
            DataError: there are none.
        """
        if not self.rows:
            why = f"; the first was set aside: {self.entries[0].reason}" if self.entries else ""
            row = self.entries[0].row if self.entries else 0
            raise DataError(f"the file has no usable rows{why}", where=Where(self.files[0], row), fix="mend the rows")
        names = list(dict.fromkeys(name for _, row in self.rows for name in row))
        columns = {name: [row.get(name) for _, row in self.rows] for name in names}
        return Table(columns, self.files, self.file_ids or [0] * len(self.rows), [number for number, _ in self.rows])


@dataclass
class Written:
    """What a format made of a table.

    Attributes:
        files: path to content.
        entries: what of the rows it can't hold.
        notes: what it can't hold at all.
    """

    files: dict[Path, str]
    entries: list[Entry] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


class Format(ABC):
    """Base of all formats."""

    name: ClassVar[str]
    title: ClassVar[str]
    """How a sentence calls it."""
    task: ClassVar[Task]
    """What it is data for; formats of one task can be turned into each other."""
    columns: ClassVar[tuple[str, ...]]
    """What `write` needs of a table."""
    suffixes: ClassVar[tuple[str, ...]] = ()
    """File names that end so are of this format, whatever their content looks like."""

    @abstractmethod
    def write(self, table: Table, out: Path) -> Written:
        """Return the files that hold a table; nothing is written to disk."""

    def need(self, table: Table) -> None:
        """Raise if a table lacks a column this format is made of.

        Raises:
            DataError: it does; says which columns there are.
        """
        for name in self.columns:
            table[name]

    def kept(self, table: Table, *names: str) -> list[Note]:
        """Return a note on the columns of a table that are not among these, for formats that hold no others."""
        others = [name for name in table.columns if name not in names]
        if not others:
            return []
        message = f"columns that {self.title} can't hold are left out: {', '.join(others)}"
        return [Note("warning", "columns left out", message)]


class FileFormat(Format):
    """A format recognised by a file's text."""

    @abstractmethod
    def sniff(self, content: Content, *, sure: bool) -> bool:
        """Whether a file looks like it; with `sure`, only if a plain table would make no sense of it."""

    @abstractmethod
    def read(self, content: Content) -> Found:
        """Return the rows.

        Raises:
            DataError: the file is damaged, or of another format.
        """


class RowFormat(Format):
    """A format recognised by the rows of a JSON, CSV, Parquet or Excel file."""

    by_row: ClassVar[bool] = True
    """Whether each row is read by itself, so that a file can be read piece by piece."""

    @abstractmethod
    def sniff(self, rows: Sequence[Mapping[str, Any]], *, sure: bool) -> bool:
        """Whether the first rows look like it; with `sure`, only if a plain table would make no sense of them."""

    @abstractmethod
    def read(self, rows: Iterable[Numbered], file: str) -> Found:
        """Return the rows with the format's columns.

        Raises:
            DataError: a column is missing.
        """


class BundleFormat(Format):
    """A format whose rows are in several files."""

    @abstractmethod
    def bundles(self, paths: Sequence[Path], *, sure: bool) -> list[tuple[Path, ...]]:
        """Return which of these files belong together; the others stay for other formats.

        Raises:
            DataError: it is not clear which do.
        """

    @abstractmethod
    def split(self, files: Sequence[Path]) -> str:
        """Return the split the names of a bundle's files say, "" if none."""

    def alone(self, folder: Path, taken: Collection[Path]) -> list[tuple[Path, str]]:
        """Return which files of a folder miss those they belong to, beside the ones that are taken, and why."""
        del folder, taken
        return []

    @abstractmethod
    def read(self, blobs: Sequence[tuple[Blob, str]]) -> Found:
        """Return the rows of one bundle, given its files and their texts.

        Raises:
            DataError: the files don't fit together.
        """


def json_text(value: object) -> str:
    """Return a value as JSON on one line; dates and other things JSON doesn't know as their text."""
    return json.dumps(value, ensure_ascii=False, default=str)


def json_lines(rows: Iterable[object]) -> str:
    """Return one JSON value a line."""
    return "".join(json_text(row) + "\n" for row in rows)


def extras(row: Mapping[str, Any], *known: str) -> dict[str, Any]:
    """Return what a row holds beside the columns a format knows, empty values left out."""
    return {name: value for name, value in row.items() if name not in known and value is not None}


def first_key(row: Mapping[str, Any], names: Sequence[str]) -> str | None:
    """Return the first of some names that a row has a value for."""
    return next((name for name in names if row.get(name) is not None), None)


def literal(text: str) -> Any:
    """Return the list or object a text cell writes as JSON or Python do; None if it is neither."""
    for parse in (json.loads, ast.literal_eval):
        with contextlib.suppress(ValueError, SyntaxError, MemoryError, RecursionError):
            value = parse(text)
            if isinstance(value, dict | list):
                return value
    return None
