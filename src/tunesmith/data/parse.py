"""One file's content into rows, by what the content is."""

from __future__ import annotations

import shlex
from pathlib import Path

from tunesmith.core.errors import DataError, Where
from tunesmith.data import delimited, nested, sheets, sources
from tunesmith.data.formats import LIKE
from tunesmith.data.formats.base import Content
from tunesmith.data.formats.choose import HEAD_ROWS
from tunesmith.data.formats.parallel import Parallel, refuse_one_side
from tunesmith.data.reading import Reading
from tunesmith.data.sources import Blob
from tunesmith.data.spec import DataSpec
from tunesmith.data.table import Table


def parse(blob: Blob, *, spec: DataSpec, reading: Reading) -> Table:
    """Return the rows of one file, by what its content is."""
    content = blob.content
    if not content.strip():
        raise DataError("the file is empty", where=Where(blob.file), fix="give a file with rows")
    if content[:4] == b"PAR1":
        return reading.by_rows(sheets.parquet(blob))
    suffix = sources.suffix_of(blob.name)
    if content.startswith(sheets.ZIP) or suffix == ".xlsx":
        return reading.by_rows(sheets.excel(blob, reading.notes, name=spec.sheet))
    text, notes = sources.decode(blob, encoding=spec.encoding)
    reading.notes += notes
    source = Content(blob.file, blob.name, text, spec.delimiter)
    form = reading.choice.of_text(source)
    if form is not None:
        return reading.take(form, form.read(source))
    start = text.lstrip()[:1]
    if suffix in (".json", ".jsonl", ".ndjson") or (start in ("{", "[") and suffix not in (".csv", ".tsv", ".txt")):
        return _from_json(source, lines=suffix in (".jsonl", ".ndjson"), reading=reading)
    if suffix == ".txt":
        return reading.by_rows(_lines(text, blob.file))
    if suffix not in (".csv", ".tsv", ".tab", "") and blob.file != "standard input":
        if LIKE.get(reading.choice.task or "", reading.choice.task) in (None, Parallel.task):
            refuse_one_side(Path(blob.file), sure=reading.choice.task is None)
        fix = f"if it is a recipe: -c {shlex.quote(blob.file)}" if suffix in (".yaml", ".yml") else sources.SUPPORTED
        raise DataError(f'"{suffix}" files are not supported for this task', where=Where(blob.file), fix=fix)
    parsed = delimited.parse(text, file=blob.file, spec=spec, tabs=suffix in (".tsv", ".tab"))
    return reading.by_rows(_from_delimited(parsed, blob.file, reading))


def _from_json(source: Content, *, lines: bool, reading: Reading) -> Table:
    """Return the rows of JSON or JSON Lines, through the format they have."""
    choice, file = reading.choice, source.file
    value = source.value
    form = choice.of_rows([value], by_name=False) if isinstance(value, dict) else None
    if form is not None:
        return reading.take(form, form.read([(1, value)], file))
    found = nested.rows_in(value, file) if value is not None else nested.parse(source.text, file=file, lines=lines)
    form = choice.of_rows([row for _, row in found.rows[:HEAD_ROWS]])
    if form is None:
        return _from_objects(found.flat() if choice.flat else found, file, reading)
    reading.notes += found.notes
    reading.ledger.extend(found.entries)
    return reading.take(form, form.read(found.rows, file))


def _from_delimited(parsed: delimited.Parsed, file: str, reading: Reading) -> Table:
    reading.notes += parsed.notes
    reading.ledger.extend(parsed.entries)
    columns = zip(*(fields for _, fields in parsed.rows), strict=True)
    by_name = {name: list(values) for name, values in zip(parsed.header, columns, strict=True)}
    return Table(by_name, (file,), [0] * len(parsed.rows), [line for line, _ in parsed.rows])


def _from_objects(found: nested.Objects, file: str, reading: Reading) -> Table:
    reading.notes += found.notes
    reading.ledger.extend(found.entries)
    if not found.rows:
        raise DataError("the file has no rows", where=Where(file), fix="give a file with rows")
    names = list(dict.fromkeys(name for _, row in found.rows for name in row))
    columns = {name: [row.get(name) for _, row in found.rows] for name in names}
    return Table(columns, (file,), [0] * len(found.rows), [number for number, _ in found.rows])


def _lines(text: str, file: str) -> Table:
    rows = [(i, line.rstrip("\r")) for i, line in enumerate(text.split("\n"), 1) if line.strip()]
    return Table({"text": [line for _, line in rows]}, (file,), [0] * len(rows), [i for i, _ in rows])
