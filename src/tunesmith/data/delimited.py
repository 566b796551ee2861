"""CSV and TSV as people write them: any delimiter, stray quotes, ragged rows, with or without a header.

Python's `csv.Sniffer` guesses from characters; here each candidate reads the first rows, and the one under which
most rows have the same number of fields (more than one) wins.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from tunesmith.core.errors import DataError, Where
from tunesmith.core.ledger import Entry
from tunesmith.core.notes import Note
from tunesmith.core.wording import count, does
from tunesmith.data import quotes
from tunesmith.data.columns import LABEL_NAMES, TEXT_NAMES
from tunesmith.data.quotes import Numbered, Stray, Usual, unheard
from tunesmith.data.spec import DataSpec

DELIMITERS = (",", "\t", ";", "|")
SNIFF_CHARACTERS = 262_144
SNIFF_ROWS = 500
PLACES = 20
MOST_ROWS = 0.8
"""More than this share of the rows of a table have as many fields as it has columns."""


@dataclass
class Parsed:
    """Rows of a delimited file: column names, (line, fields) pairs, what was noted and what was set aside."""

    header: list[str]
    rows: list[Numbered]
    notes: list[Note] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How fields are told apart.

    Attributes:
        delimiter: between them.
        quoting: whether double quotes enclose them: "on", "off", or "auto" where some may be stray.
        usual: what rows look like, once they were looked at.
    """

    delimiter: str
    quoting: Literal["auto", "on", "off"] = "auto"
    usual: Usual | None = None


def parse(text: str, *, file: str, spec: DataSpec, tabs: bool = False) -> Parsed:
    """Read a whole file.

    Raises:
        DataError: it has no rows, or none that can be used.
    """
    notes: list[Note] = []
    entries: list[Entry] = []
    if "\x00" in text:
        n = text.count("\x00")
        entries += [
            Entry("changed", "NUL bytes removed", file, i)
            for i, line in enumerate(text.split("\n"), 1)
            if "\x00" in line
        ]
        text = text.replace("\x00", "")
        notes.append(Note("warning", "NUL bytes", f"{does(n, 'NUL byte', 'was', 'were')} removed from {file}"))
    dialect = settle(text, sniff(text, spec=spec, tabs=tabs))
    strays: list[int] = []
    rows = list(records(text, dialect, stray=strays.append))
    if strays or dialect.quoting != spec.quoting:
        places = tuple(Where(file, line) for line in strays[:PLACES])
        notes.append(Note("info", "quotes", stray_quotes(file), places=places, n_rows=len(strays)))
    if not rows:
        raise DataError("the file is empty", where=Where(file), fix="give a file with rows")
    header, has_header = name_columns(rows, spec)
    if has_header:
        if spec.header == "auto" and not names_known(rows[0][1]):
            names = ", ".join(f'"{name}"' for name in header[:8]) + (", …" if len(header) > 8 else "")
            message = f"the first row of {file} is read as column names: {names}"
            notes.append(Note("info", "header", message, fix="--set data.header=no if it is data"))
        rows = rows[1:]
    else:
        notes.append(Note("info", "header", f"{file} has no header; columns are called {', '.join(header)}"))
    if not rows:
        raise DataError("the file has a header and no rows", where=Where(file), fix="add rows, or use another file")
    if dialect.delimiter not in ",\t":
        notes.append(Note("info", "delimiter", f'columns of {file} are separated by "{dialect.delimiter}"'))
    parsed = Parsed(header, [], notes, entries)
    for line, fields in rows:
        _fit(parsed, line, fields, file)
    if not parsed.rows:
        first = next(entry for entry in entries if entry.kind == "set aside")
        message = f"the file has no usable rows; the first was set aside: {first.reason}"
        fix = "mend the rows, or say what separates columns: --set data.delimiter=tab"
        raise DataError(message, where=Where(file, first.row), fix=fix)
    return parsed


def settle(text: str, dialect: Dialect) -> Dialect:
    """Return a dialect that knows what the rows look like; without quoting where that explains them better."""
    if dialect.quoting != "auto":
        return dialect
    usual, mean_nothing = quotes.look(text, dialect.delimiter)
    return Dialect(dialect.delimiter, "off" if mean_nothing else "auto", usual)


def stray_quotes(file: str) -> str:
    """Say that a file has quotes that enclose nothing."""
    return f"{file} has stray double quotes; they are read as ordinary characters"


def name_columns(rows: list[Numbered], spec: DataSpec) -> tuple[list[str], bool]:
    """Return the column names, and whether they are the first row."""
    if _has_header(rows, spec):
        return names_of(rows[0][1]), True
    return _columns(rows), False


def sniff(text: str, *, spec: DataSpec, tabs: bool = False) -> Dialect:
    """Return the likeliest dialect of the first rows, or the one the user named."""
    candidates = _candidates(spec)
    head = text[:SNIFF_CHARACTERS]
    found = [Dialect(delimiter, spec.quoting) for delimiter in candidates]
    scored = [(_consistency(head, d) + (0.15 if tabs and d.delimiter == "\t" else 0), -i) for i, d in enumerate(found)]
    return found[-max(scored)[1]]


def _candidates(spec: DataSpec) -> tuple[str, ...]:
    named = {"\\t": "\t", "tab": "\t"}.get(spec.delimiter, spec.delimiter)
    return DELIMITERS if named == "auto" else (named,)


def records(text: str, dialect: Dialect, *, stray: Stray = unheard) -> Iterator[Numbered]:
    """Yield (line the row begins on, fields) for every row that is not blank; tell of stray quotes."""
    yield from records_of(io.StringIO(text, newline=""), dialect, stray=stray)


def records_of(lines: Iterable[str], dialect: Dialect, *, stray: Stray = unheard) -> Iterator[Numbered]:
    """As `records`, for lines that come one by one."""
    for line, fields in _all_records(lines, dialect, stray):
        if fields and not (len(fields) == 1 and not fields[0].strip()):
            yield line, fields


def _all_records(lines: Iterable[str], dialect: Dialect, stray: Stray) -> Iterator[Numbered]:
    if dialect.quoting == "auto":
        yield from quotes.records(lines, dialect.delimiter, usual=dialect.usual, stray=stray)
        return
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if dialect.quoting == "on" else csv.QUOTE_NONE
    reader = csv.reader(lines, delimiter=dialect.delimiter, quoting=quoting, strict=False)
    line = 1
    for fields in reader:
        yield line, fields
        line = reader.line_num + 1


def _consistency(head: str, dialect: Dialect) -> float:
    """Score a delimiter: the share of rows with the most frequent number of fields, 0 if that is one."""
    rows = [f for _, f in itertools.islice(records(head, dialect), SNIFF_ROWS)]
    if not rows:
        return 0.0
    width, n = Counter(len(fields) for fields in rows).most_common(1)[0]
    if width == 1:
        return 0.0
    # The header decides ties: a delimiter that occurs in it in the right number is likely the one.
    return n / len(rows) + (0.2 if len(rows[0]) == width else 0) + 0.01 * min(width, 10)


def has_columns(head: str, *, spec: DataSpec) -> bool:
    """Whether a delimiter cuts most rows into an equal number of fields, more than one; a single row shows nothing."""
    for delimiter in _candidates(spec):
        dialect = Dialect(delimiter, spec.quoting)
        widths = Counter(len(fields) for _, fields in itertools.islice(records(head, dialect), SNIFF_ROWS))
        width, n = widths.most_common(1)[0] if widths else (1, 0)
        if width > 1 and widths.total() > 1 and n > MOST_ROWS * widths.total():
            return True
    return False


def is_quoted(head: str) -> bool:
    """Whether rows of one field are written as CSV demands it, some of them in quotes: a line may not be a row."""
    try:
        rows = list(csv.reader(io.StringIO(head, newline=""), strict=True))
    except csv.Error:
        return False
    return ('\n"' in f"\n{head}") and all(len(fields) < 2 for fields in rows)


def _has_header(rows: list[Numbered], spec: DataSpec) -> bool:
    if spec.header != "auto":
        return spec.header == "yes"
    first = [cell.strip() for cell in rows[0][1]]
    if names_known(first):
        return True
    if len(set(first)) < len(first) or any(len(cell) > 60 or cell.count(" ") > 5 for cell in first):
        return False
    below = [fields for _, fields in rows[1:200]]
    for i, cell in enumerate(first):
        # A cell that comes again below is a value ("neg"), not a name.
        if cell and sum(i < len(fields) and fields[i].strip() == cell for fields in below) >= 2:
            return False
    return True


def names_known(cells: list[str]) -> bool:
    """Whether one of these is what people call a column of texts or labels."""
    known = {name.casefold() for name in (*TEXT_NAMES, *LABEL_NAMES)}
    return any(cell.strip().casefold() in known for cell in cells)


def _columns(rows: list[Numbered]) -> list[str]:
    width = Counter(len(fields) for _, fields in rows).most_common(1)[0][0]
    return [f"column{i + 1}" for i in range(width)]


def names_of(cells: list[str]) -> list[str]:
    """Return distinct column names: blank ones get a number, repeated ones a suffix."""
    names: list[str] = []
    for i, cell in enumerate(cells):
        name = cell.strip().lstrip("\ufeff") or f"Unnamed: {i}"
        while name in names:
            name += "_2"
        names.append(name)
    return names


def _fit(parsed: Parsed, line: int, fields: list[str], file: str) -> None:
    """Bring one row to the header's width, or set it aside."""
    extra = len(fields) - len(parsed.header)
    if extra > 0 and all(not cell.strip() for cell in fields[len(parsed.header) :]):
        fields = fields[: len(parsed.header)]
    elif extra > 0:
        detail = f"{count(len(fields), 'field')} under {count(len(parsed.header), 'column')}"
        parsed.entries.append(Entry("set aside", "too many fields", file, line, detail))
        return
    parsed.rows.append((line, fields + [""] * -min(0, extra)))
