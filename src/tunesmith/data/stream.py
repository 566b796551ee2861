"""A file's rows in order and piece by piece: what prediction reads."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

from tunesmith.core.errors import DataError, Where
from tunesmith.data import sources, text_stream
from tunesmith.data.formats import LIKE
from tunesmith.data.formats.base import Content
from tunesmith.data.formats.choose import HEAD_ROWS, Choice
from tunesmith.data.formats.parallel import Parallel, lines_of, side_of
from tunesmith.data.read import read_paths
from tunesmith.data.reading import Reading
from tunesmith.data.spec import DataSpec
from tunesmith.data.table import Table, concat
from tunesmith.data.text_stream import Tell, TextStream, unheard


def stream(
    path: str,
    spec: DataSpec,
    *,
    chunk_rows: int = 1024,
    task: str | None = None,
    wanted: str | None = None,
    tell: Tell = unheard,
) -> Iterator[Table]:
    """Yield a file's rows in tables of at most `chunk_rows`, in order.

    CSV, TSV and JSON Lines (also gzipped, also from standard input) are read piece by piece, so files of any size
    fit; other formats are read whole first. A row that can't be read raises here: predictions must not lose rows.

    Args:
        path: a file; "-" is standard input.
        spec: how it is read.
        chunk_rows: rows of a table at most.
        task: as for `read`.
        wanted: the one column that is needed; see `text_stream.delimited_rows`.
        tell: is told the notes, before the rows come.

    Raises:
        DataError: as `read`, or a row is broken.
    """
    choice = Choice(spec.format, task)
    if LIKE.get(task or "", task) == Parallel.task and side_of(Path(path)):
        yield from _cut(_one_side(path, spec), chunk_rows)
        return
    opened = text_stream.open_text(path, encoding=spec.encoding)
    if opened is None:
        reading = Reading({}, choice=choice)
        for _, table in read_paths((path,), "train", spec=spec, reading=reading):
            _lose_none(reading)
            _tell_all(reading, tell)
            yield from _cut(table, chunk_rows)
        return
    with opened as text:
        form = choice.of_text(Content(text.file, text.name, text.head, spec.delimiter))
        if form is not None:
            reading = Reading({}, choice=choice)
            found = form.read(Content(text.file, text.name, "".join(text.lines()), spec.delimiter))
            table = reading.take(form, found)
            _lose_none(reading)
            _tell_all(reading, tell)
            yield from _cut(table, chunk_rows)
        else:
            yield from _pieces(text, spec, choice, chunk_rows, wanted=wanted, tell=tell)


def _one_side(path: str, spec: DataSpec) -> Table:
    """Return the sources of parallel text, a line each."""
    blob = sources.load(path)[0][0]
    return Table.of({"source": lines_of(sources.decode(blob, encoding=spec.encoding)[0])}, file=path)


def _pieces(
    text: TextStream,
    spec: DataSpec,
    choice: Choice,
    chunk_rows: int,
    *,
    wanted: str | None,
    tell: Tell,
) -> Iterator[Table]:
    """Yield the rows of CSV or JSON Lines, through their format where they have one."""
    if text.is_json_lines:
        form = choice.of_rows(text_stream.first_objects(text))
        tables = text_stream.json_lines(text, chunk_rows=chunk_rows, flat=form is None)
    else:
        tables = text_stream.delimited_rows(text, spec=spec, chunk_rows=chunk_rows, wanted=wanted, tell=tell)
        first = next(tables, Table({}))
        form = choice.of_rows([first.row(i) for i in range(min(HEAD_ROWS, len(first)))])
        tables = itertools.chain([first] if len(first) else [], tables)
    if form is not None and not form.by_row:
        tables = iter([concat(list(tables))])
    for table in tables:
        reading = Reading({}, choice=choice)
        rows = table if form is None else reading.through(form, table)
        _lose_none(reading)
        _tell_all(reading, tell)
        tell = unheard  # each piece has the same notes
        yield from _cut(rows, chunk_rows)


def _tell_all(reading: Reading, tell: Tell) -> None:
    """Tell the notes that were not told yet."""
    while reading.notes:
        tell(reading.notes.pop(0))


def _lose_none(reading: Reading) -> None:
    """Raise if a format has set rows aside: there would be no prediction for them.

    Raises:
        DataError: it has.
    """
    lost = [entry for entry in reading.ledger if entry.kind == "set aside"]
    if reading.forms and lost:
        fix = "mend or remove this row"
        raise DataError(f"this row can't be used: {lost[0].reason}", where=Where(lost[0].file, lost[0].row), fix=fix)


def _cut(table: Table, chunk_rows: int) -> Iterator[Table]:
    if len(table) <= chunk_rows:
        yield table
        return
    for start in range(0, len(table), chunk_rows):
        yield table.take(range(start, min(start + chunk_rows, len(table))))
