"""CSV and JSON Lines piece by piece: what prediction reads, so that memory does not grow with the file."""

from __future__ import annotations

import contextlib
import gzip
import io
import itertools
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from tunesmith.core.errors import DataError, Where
from tunesmith.core.notes import Note
from tunesmith.core.wording import count
from tunesmith.data import delimited, nested, sources
from tunesmith.data.columns import TEXT_NAMES, same_name
from tunesmith.data.quotes import Numbered, Stray
from tunesmith.data.sources import Blob
from tunesmith.data.spec import DataSpec
from tunesmith.data.table import Table

HEAD_BYTES = 262_144
Tell = Callable[[Note], None]
"""Is told what there is to say of a file."""
STREAMED = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson")


def unheard(_note: Note) -> None:
    """Is told, and says nothing."""


class TextStream:
    """A file as text: its first piece, to look at, and all its lines.

    Attributes:
        file: how messages call it.
        name: its base name.
        head: the first piece, whole lines.
        encoding: found in it, or named.
    """

    def __init__(self, raw: IO[bytes], *, file: str, name: str, encoding: str) -> None:
        self._raw = raw
        self.file = file
        self.name = name
        self.tabs = sources.suffix_of(name) in (".tsv", ".tab")
        first = raw.read(HEAD_BYTES)
        if not first.strip():
            raise DataError("the file is empty", where=Where(file), fix="give a file with rows")
        self.head, self.encoding = sources.decode_start(Blob(file, name, first, "", 0), encoding=encoding)
        self._first = first
        start = self.head.lstrip()[:1]
        self.is_json_lines = sources.suffix_of(name) in (".jsonl", ".ndjson") or (name == "-" and start == "{")

    def lines(self) -> Iterator[str]:
        """Yield all lines with their ends, from the first."""
        joined = io.BufferedReader(_Joined(self._first, self._raw))
        for line in io.TextIOWrapper(joined, encoding=self.encoding, errors="replace", newline="\n"):
            yield line.replace("\x00", "")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._raw.close()


class _Joined(io.RawIOBase):
    """Bytes already read, followed by the rest of a stream."""

    def __init__(self, first: bytes, rest: IO[bytes]) -> None:
        self._parts: list[IO[bytes]] = [io.BytesIO(first), rest]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while self._parts:
            data = self._parts[0].read(len(buffer))
            if data:
                buffer[: len(data)] = data
                return len(data)
            self._parts.pop(0)
        return 0


def open_text(path: str, *, encoding: str) -> TextStream | None:
    """Open a file that can be streamed, or return None for one that has to be read whole."""
    if path == "-":
        return TextStream(sys.stdin.buffer, file="standard input", name="-", encoding=encoding)
    file = Path(path)
    if not file.is_file() or sources.suffix_of(file.name) not in STREAMED or file.suffix.lower() in (".zst", ".zip"):
        return None
    with file.open("rb") as stream:
        magic = stream.read(4)
    if magic in (b"PAR1", b"PK\x03\x04"):
        return None
    raw: Any = (gzip.open if magic[:2] == b"\x1f\x8b" else open)(file, "rb")
    return TextStream(raw, file=path, name=file.name, encoding=encoding)


def delimited_rows(
    text: TextStream, *, spec: DataSpec, chunk_rows: int, wanted: str | None = None, tell: Tell = unheard
) -> Iterator[Table]:
    """Yield the rows of a CSV file, or lines of text.

    Args:
        text: the file.
        spec: how it is read.
        chunk_rows: rows of a table at most.
        wanted: the one column that is needed: without it, or another that is usual for texts, and without columns, the
            file is lines of text, each a row, and that is what their column is called. None: it is CSV for sure.
        tell: is told that these are lines, and how the file is written where that is not usual.

    Raises:
        DataError: there is only a header, or a row has more fields than there are columns.
    """
    dialect = delimited.settle(text.head, delimited.sniff(text.head, spec=spec, tabs=text.tabs))
    first = list(delimited.records(text.head, dialect))
    header, has_header = delimited.name_columns(first, spec)
    stray = _told_once(text.file, tell)
    rows: Iterable[Numbered] = delimited.records_of(text.lines(), dialect, stray=stray)
    if wanted is not None and _is_lines(text.head, header, wanted, spec):
        fix = "--set data.header=yes if the first line names the column"
        message = f'{text.file} has no column "{wanted}": each line is read as a text, the first one too'
        tell(Note("info", "lines", message, fix))
        header, has_header = [wanted], False
        if not delimited.is_quoted(text.head):
            rows = ((i, [line.rstrip("\r\n")]) for i, line in enumerate(text.lines(), 1) if line.strip())
    elif has_header and len(first) == 1:
        fix = "add rows below it, or --set data.header=no if it is none"
        raise DataError("the file has a header and no rows", where=Where(text.file), fix=fix)
    _tell_form(text, dialect.delimiter if len(header) > 1 else ",", tell)
    for chunk in _batched(itertools.islice(rows, int(has_header), None), chunk_rows):
        fitted = [(line, _fit(fields, header, text.file, line)) for line, fields in chunk]
        columns = {name: [fields[i] for _, fields in fitted] for i, name in enumerate(header)}
        yield Table(columns, (text.file,), [0] * len(fitted), [line for line, _ in fitted])


def _told_once(file: str, tell: Tell) -> Stray:
    """Return what says of the first stray quote, and of no other, where it is."""
    lines: list[int] = []

    def stray(line: int) -> None:
        if not lines:
            tell(Note("info", "quotes", delimited.stray_quotes(file), places=(Where(file, line),)))
        lines.append(line)

    return stray


def _is_lines(head: str, header: Sequence[str], wanted: str, spec: DataSpec) -> bool:
    """Whether a file has neither columns, nor one of the name wanted, nor a usual name for its only one."""
    known = {same_name(name) for name in (wanted, *(TEXT_NAMES if len(header) == 1 else ()))}
    named = spec.header == "yes" or any(same_name(name) in known for name in header)
    return not named and not head.lstrip().startswith("[") and not delimited.has_columns(head, spec=spec)


def _tell_form(text: TextStream, delimiter: str, tell: Tell) -> None:
    """Say that a file is not UTF-8, or that no commas stand between its columns."""
    said = [] if text.encoding.startswith("utf-8") else [f"is {text.encoding}"]
    said += (
        []
        if delimiter == ","
        else ["has tabs between columns" if delimiter == "\t" else f'has "{delimiter}" between columns']
    )
    if said:
        tell(Note("info", "form", f"{text.file} {' and '.join(said)}"))


def first_objects(text: TextStream) -> list[dict[str, Any]]:
    """Return the objects on the first lines of a JSON Lines file, to look at; broken lines are passed over."""
    found = []
    for line in text.head.split("\n")[:100]:
        with contextlib.suppress(json.JSONDecodeError):
            value = nested.load(line)
            if isinstance(value, dict):
                found.append(value)
    return found


def json_lines(text: TextStream, *, chunk_rows: int, flat: bool = True) -> Iterator[Table]:
    """Yield the rows of a JSON Lines file; with `flat`, objects inside objects as dotted names.

    Raises:
        DataError: a line is broken.
    """
    numbered = ((i, line) for i, line in enumerate(text.lines(), 1) if line.strip())
    for chunk in _batched(numbered, chunk_rows):
        objects = [(i, _object(line, text.file, i)) for i, line in chunk]
        rows = [(i, nested.flatten(row) if flat else row) for i, row in objects]
        names = list(dict.fromkeys(name for _, row in rows for name in row))
        columns = {name: [row.get(name) for _, row in rows] for name in names}
        yield Table(columns, (text.file,), [0] * len(rows), [i for i, _ in rows])


def _batched(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(items)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk


def _fit(fields: list[str], header: list[str], file: str, line: int) -> list[str]:
    if len(fields) > len(header) and any(cell.strip() for cell in fields[len(header) :]):
        raise DataError(
            f"{count(len(fields), 'field')} under {count(len(header), 'column')}",
            where=Where(file, line),
            fix="put quotes around the text",
        )
    return fields[: len(header)] + [""] * (len(header) - len(fields))


def _object(line: str, file: str, number: int) -> dict[str, Any]:
    try:
        value = nested.load(line)
    except json.JSONDecodeError as error:
        raise DataError(
            f"broken line: {error.msg.lower()}", where=Where(file, number), fix="mend or remove this line"
        ) from None
    if not isinstance(value, dict):
        raise DataError("not a JSON object", where=Where(file, number), fix='write {"text": ...}')
    return value
