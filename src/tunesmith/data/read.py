"""Reading what people really have: one function for whole data sets, one that streams for prediction."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError, Where
from tunesmith.core.ledger import Ledger
from tunesmith.core.notes import Note
from tunesmith.data import delimited, nested, sources, streams
from tunesmith.data.sources import Blob
from tunesmith.data.spec import DataSpec
from tunesmith.data.table import Table, concat

UNLABELED_FOLDERS = {"unsup", "unlabeled", "unlabelled"}


@dataclass
class Reading:
    """What was read.

    Attributes:
        tables: "train" and, where the user brought them, "dev" and "test".
        notes: encodings, delimiters and other things found on the way.
        ledger: rows that could not be read.
        sources: file, SHA-256, bytes, rows and split of every file.
    """

    tables: dict[str, Table]
    notes: list[Note] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)
    sources: list[dict[str, Any]] = field(default_factory=list)


def read(spec: DataSpec) -> Reading:
    """Read all files of a data set.

    Raises:
        DataError: a file is missing, empty, damaged or of an unknown kind.
    """
    if not spec.path:
        raise DataError("no data is named", fix="tunesmith train DATA, or data: path: in the recipe")
    reading = Reading({})
    parts: dict[str, list[Table]] = {}
    for split, paths in (("train", spec.path), ("dev", spec.dev), ("test", spec.test)):
        for path in paths:
            for name, table in _read_path(path, split, spec=spec, reading=reading):
                parts.setdefault(name, []).append(table)
    reading.tables = {split: _tidy(concat(tables), reading) for split, tables in parts.items()}
    return reading


def stream(path: str, spec: DataSpec, *, chunk_rows: int = 1024) -> Iterator[Table]:
    """Yield a file's rows in tables of at most `chunk_rows`, in order.

    CSV, TSV and JSON Lines (also gzipped, also from standard input) are read piece by piece, so files of any size
    fit; other formats are read whole first. A row that can't be read raises here: predictions must not lose rows.

    Raises:
        DataError: as `read`, or a row is broken.
    """
    opened = streams.open_text(path, encoding=spec.encoding)
    if opened is None:
        for _, table in _read_path(path, "train", spec=spec, reading=Reading({})):
            for start in range(0, len(table), chunk_rows):
                yield table.take(range(start, min(start + chunk_rows, len(table))))
        return
    with opened as text:
        if text.is_json_lines:
            yield from streams.json_lines(text, chunk_rows=chunk_rows)
        else:
            yield from streams.delimited_rows(text, spec=spec, chunk_rows=chunk_rows)


def _read_path(path: str, split: str, *, spec: DataSpec, reading: Reading) -> Iterator[tuple[str, Table]]:
    """Yield (split, table) for a file or a folder; a folder may hold several splits."""
    folder = Path(path)
    if path == "-" or not folder.is_dir():
        yield from _read_file(path, split, spec=spec, reading=reading)
        return
    inner = {sources.split_of(p.name): p for p in sorted(folder.iterdir()) if p.is_dir()}
    layouts = {name: p for name, p in inner.items() if name and sources.class_folders(p)}
    if layouts:
        for name, part in layouts.items():
            yield name, _class_folders(part, name, reading)
    elif sources.class_folders(folder):
        reading.notes += _passed_over(folder)
        yield split, _class_folders(folder, split, reading)
    else:
        found = sources.expand(path)
        if len(found) > 1 or len(found["train"]) > 1:
            shown = "; ".join(f"{name}: {sources.shown_names(files)}" for name, files in found.items())
            reading.notes.append(Note("info", "files", f"read from {path}: {shown}"))
        for name, files in found.items():
            for file in files:
                yield from _read_file(str(file), name if split == "train" else split, spec=spec, reading=reading)


def _passed_over(folder: Path) -> list[Note]:
    """Say which tables stand beside class folders and are not read."""
    tables = sources.tables_in(folder)
    if not tables:
        return []
    message = f"not read: {sources.shown_names(tables)}; the subfolders with .txt files are taken as one class each"
    return [Note("warning", "files", message, fix=f"name the file to read it: {tables[0]}")]


def _read_file(path: str, split: str, *, spec: DataSpec, reading: Reading) -> Iterator[tuple[str, Table]]:
    blobs, notes = sources.load(path)
    reading.notes += notes
    splits = {sources.split_of(blob.name) for blob in blobs}
    for blob in blobs:
        mine = sources.split_of(blob.name) if len(blobs) > 1 and "train" in splits else split
        table = parse(blob, spec=spec, reading=reading)
        reading.sources.append(
            {"file": blob.file, "sha256": blob.digest, "bytes": blob.size, "n_rows": len(table), "split": mine or split}
        )
        yield mine or split, table


def parse(blob: Blob, *, spec: DataSpec, reading: Reading) -> Table:
    """Return the rows of one file, by what its content is."""
    content = blob.content
    if not content.strip():
        raise DataError("the file is empty", where=Where(blob.file), fix="give a file with rows")
    if content[:4] == b"PAR1":
        return _parquet(blob)
    if content[:4] == b"PK\x03\x04":
        return _excel(blob, reading)
    text, notes = sources.decode(blob, encoding=spec.encoding)
    reading.notes += notes
    suffix = sources.suffix_of(blob.name)
    start = text.lstrip()[:1]
    if suffix in (".json", ".jsonl", ".ndjson") or (start in ("{", "[") and suffix not in (".csv", ".tsv", ".txt")):
        return _from_objects(
            nested.parse(text, file=blob.file, lines=suffix in (".jsonl", ".ndjson")), blob.file, reading
        )
    if suffix == ".txt":
        return _lines(text, blob.file)
    if suffix not in (".csv", ".tsv", ".tab", "") and blob.file != "standard input":
        raise DataError(
            f'"{suffix}" files are not supported for this task', where=Where(blob.file), fix=sources.SUPPORTED
        )
    return _from_delimited(
        delimited.parse(text, file=blob.file, spec=spec, tabs=suffix in (".tsv", ".tab")), blob.file, reading
    )


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


def _parquet(blob: Blob) -> Table:
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
    return Table({name: table.column(name).to_pylist() for name in names}, (blob.file,), [0] * n, list(range(1, n + 1)))


def _excel(blob: Blob, reading: Reading) -> Table:
    try:
        import openpyxl
    except ImportError:
        raise DataError(
            "reading Excel needs a library", where=Where(blob.file), fix="pip install 'tunesmith[excel]'"
        ) from None
    book = openpyxl.load_workbook(io.BytesIO(blob.content), read_only=True, data_only=True)
    sheets = [sheet for sheet in book.worksheets if sheet.max_row and sheet.max_row > 1]
    if not sheets:
        raise DataError("no sheet of the workbook has rows", where=Where(blob.file), fix="add rows below a header")
    sheet = sheets[0]
    if len(sheets) > 1:
        others = ", ".join(s.title for s in sheets[1:])
        reading.notes.append(
            Note("info", "sheet", f'read the sheet "{sheet.title}" of {blob.file}; not read: {others}')
        )
    rows = [
        (i, cells) for i, cells in enumerate(sheet.iter_rows(values_only=True), 1) if any(c is not None for c in cells)
    ]
    names = delimited.names_of(["" if c is None else str(c) for c in rows[0][1]])
    body = rows[1:]
    columns = {name: [cells[i] if i < len(cells) else None for _, cells in body] for i, name in enumerate(names)}
    return Table(columns, (blob.file,), [0] * len(body), [i for i, _ in body])


def _class_folders(folder: Path, split: str, reading: Reading) -> Table:
    """Read one text a file, the folder's name being the label (the layout of IMDb's distribution)."""
    texts: list[str] = []
    labels: list[str] = []
    files: list[str] = []
    for part in sources.class_folders(folder):
        if part.name in UNLABELED_FOLDERS:
            reading.notes.append(Note("info", "unlabeled", f'the folder "{part}" holds texts without labels; left out'))
            continue
        for file in sorted(part.glob("*.txt")):
            blob = sources.load(str(file))[0][0]
            texts.append(sources.decode(blob, encoding="auto")[0])
            labels.append(part.name)
            files.append(str(file))
    reading.sources.append(
        {"file": str(folder), "sha256": _digest(texts), "bytes": 0, "n_rows": len(texts), "split": split}
    )
    return Table({"text": texts, "label": labels}, tuple(files), list(range(len(files))), [1] * len(files))


def _digest(texts: Sequence[str]) -> str:
    import hashlib

    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()


def _tidy(table: Table, reading: Reading) -> Table:
    """Leave out index columns and empty columns, and say so."""
    indices = [n for n, v in table.columns.items() if n.startswith("Unnamed:") and _counts_up(v)]
    empty = [
        n for n, v in table.columns.items() if n not in indices and all(x is None or str(x).strip() == "" for x in v)
    ]
    if indices or empty:
        said = [f"index column {', '.join(indices)}"] if indices else []
        said += [f"empty column {', '.join(empty)}"] if empty else []
        note = Note("info", "columns left out", " and ".join(said))
        if note not in reading.notes:
            reading.notes.append(note)
    kept = {name: values for name, values in table.columns.items() if name not in {*indices, *empty}}
    return Table(kept or table.columns, table.files, table.file_ids, table.row_numbers)


def _counts_up(values: Sequence[Any]) -> bool:
    numbers = [str(v).strip() for v in itertools.islice(values, 1000)]
    return all(n.isdigit() for n in numbers) and [int(n) for n in numbers] == sorted(int(n) for n in numbers)
