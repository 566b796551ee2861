"""Parquet files and Excel workbooks as tables."""

from __future__ import annotations

import contextlib
import datetime
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from tunesmith.core.errors import DataError, Where, did_you_mean, shorten
from tunesmith.core.notes import Note
from tunesmith.core.wording import does, setting
from tunesmith.data import delimited
from tunesmith.data.sources import Blob
from tunesmith.data.table import Table

ZIP = b"PK\x03\x04"
"""How a workbook begins."""
MOST_TITLES = 20
"""Rows at the top of a sheet among which the column names are looked for."""


def parquet(blob: Blob) -> Table:
    """Return the rows of a Parquet file.

    Raises:
        DataError: it is damaged, or the library that reads it is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise DataError(
            "reading Parquet needs a library", where=Where(blob.file), fix="pip install 'tunesmith[parquet]'"
        ) from None
    try:
        table = pq.read_table(io.BytesIO(blob.content))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"the Parquet file is damaged: {error}", where=Where(blob.file), fix="write it again") from None
    n = table.num_rows
    names = [c for c in table.column_names if not c.startswith("__index_level_")]
    columns = {name: plain(table.column(name).to_pylist(), blob.file) for name in names}
    for name, tags in _names_of_tags(table.schema.metadata or {}).items():
        if name in columns and "tokens" in columns:
            columns[name] = [_named(cell, tags) for cell in columns[name]]
    return Table(columns, (blob.file,), [0] * n, list(range(1, n + 1)))


def plain(cells: Sequence[Any], file: str) -> list[Any]:
    """Return cells as a text file could hold them: dates, times and exact decimals as text, bytes as the text they are.

    Raises:
        DataError: bytes are no text.
    """
    found = []
    for i, cell in enumerate(cells, 1):
        try:
            found.append(_plain(cell))
        except UnicodeDecodeError:
            fix = "write the column as text (UTF-8)"
            raise DataError("the cell holds bytes that are no text", where=Where(file, i), fix=fix) from None
    return found


def _plain(cell: Any) -> Any:
    if isinstance(cell, bytes):
        return cell.decode("utf-8")
    if isinstance(cell, list):
        return [_plain(one) for one in cell]
    if isinstance(cell, dict):
        return {name: _plain(one) for name, one in cell.items()}
    if isinstance(cell, datetime.datetime) and cell.time() == datetime.time():
        return str(cell.date())
    return cell if cell is None or isinstance(cell, str | bool | int | float) else str(cell)


def _names_of_tags(metadata: Mapping[bytes, bytes]) -> dict[str, list[str]]:
    """Return the names that stand behind the numbers in lists of tags, as Hugging Face's datasets keeps them."""
    found = {}
    with contextlib.suppress(ValueError, AttributeError, LookupError, TypeError):
        features = json.loads(metadata.get(b"huggingface", b"{}")).get("info", {}).get("features", {})
        for name, feature in features.items():
            inner = feature.get("feature") if isinstance(feature, dict) else next(iter(feature), None)
            if isinstance(inner, dict) and inner.get("_type") == "ClassLabel":
                found[name] = list(inner["names"])
    return found


def _named(cell: Any, names: Sequence[str]) -> Any:
    known = isinstance(cell, list) and all(isinstance(tag, int) and 0 <= tag < len(names) for tag in cell)
    return [names[tag] for tag in cell] if known else cell


def excel(blob: Blob, notes: list[Note], *, name: str = "auto") -> Table:
    """Return the rows of a sheet, by default the first with rows; which one that is goes to the notes.

    Raises:
        DataError: it has no rows, there is no such sheet, it is not a workbook, or the library that reads it is not
            installed.
    """
    if not blob.content.startswith(ZIP):
        raise _no_workbook(blob)
    try:
        import openpyxl
    except ImportError:
        raise DataError(
            "reading Excel needs a library", where=Where(blob.file), fix="pip install 'tunesmith[excel]'"
        ) from None
    try:
        book = openpyxl.load_workbook(io.BytesIO(blob.content), read_only=True, data_only=True)
    except (KeyError, OSError, ValueError):  # a part of a workbook is missing, or is of another program's file
        raise _no_workbook(blob) from None
    sheets = [sheet for sheet in book.worksheets if sheet.max_row and sheet.max_row > 1]
    if not sheets:
        raise DataError("no sheet of the workbook has rows", where=Where(blob.file), fix="add rows below a header")
    titles = [sheet.title for sheet in sheets]
    if name not in ("auto", *titles):
        where, fix = Where(blob.file, column="data.sheet", value=name), f"one of: {', '.join(titles)}"
        raise DataError("there is no such sheet with rows", where=where, fix=did_you_mean(name, titles) or fix)
    sheet = sheets[0 if name == "auto" else titles.index(name)]
    if len(sheets) > 1:
        others = ", ".join(title for title in titles if title != sheet.title)
        message = f'read the sheet "{sheet.title}" of {blob.file}; not read: {others}'
        notes.append(
            Note("info", "sheet", message, fix=f"{setting('data.sheet', titles[titles[0] == sheet.title])} for another")
        )
    rows = [
        (i, cells) for i, cells in enumerate(sheet.iter_rows(values_only=True), 1) if any(c is not None for c in cells)
    ]
    top = _titles(rows)
    if top:
        said = "; ".join(shorten(_texts(cells)[0]) for _, cells in rows[:top])
        message = f"above the column names of {blob.file} {does(top, 'row', 'stands', 'stand')}, not read: {said}"
        notes.append(Note("info", "title", message, fix="remove what stands above the table if this is wrong"))
    names = delimited.names_of(["" if c is None else str(c) for c in rows[top][1]])
    body = rows[top + 1 :]
    columns = {name: [cells[i] if i < len(cells) else None for _, cells in body] for i, name in enumerate(names)}
    columns = {name: plain(cells, blob.file) for name, cells in columns.items()}
    return Table(columns, (blob.file,), [0] * len(body), [i for i, _ in body])


def _titles(rows: Sequence[tuple[int, Sequence[Any]]]) -> int:
    """Return how many rows stand above the column names: one cell each, and no usual name, above a row of several."""
    filled = [_texts(cells) for _, cells in rows[:MOST_TITLES]]
    names = next((i for i, texts in enumerate(filled) if len(texts) > 1), 0)
    is_header = names < len(rows) - 1 and all(isinstance(c, str | None) for c in rows[names][1])
    return names if is_header and not any(map(delimited.names_known, filled[:names])) else 0


def _texts(cells: Sequence[Any]) -> list[str]:
    return [str(cell) for cell in cells if cell is not None]


def _no_workbook(blob: Blob) -> DataError:
    fix = "save it again as .xlsx, without a password, or as .csv"
    return DataError("this is not a valid Excel file", where=Where(blob.file), fix=fix)
