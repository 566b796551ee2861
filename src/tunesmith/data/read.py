"""Reading what people really have: one function for whole data sets, one that streams for prediction."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError, Where
from tunesmith.core.ledger import Ledger
from tunesmith.core.notes import Note
from tunesmith.data import delimited, nested, sheets, sources, streams
from tunesmith.data.formats import LIKE
from tunesmith.data.formats.base import BundleFormat, Content, Format, Found, RowFormat
from tunesmith.data.formats.choose import HEAD_ROWS, Choice, announcement
from tunesmith.data.formats.parallel import Parallel, lines_of, refuse_one_side, side_of
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
        choice: which formats the files may be of.
        forms: the formats that were found.
    """

    tables: dict[str, Table]
    notes: list[Note] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)
    sources: list[dict[str, Any]] = field(default_factory=list)
    choice: Choice = field(default_factory=Choice)
    forms: list[Format] = field(default_factory=list)


def read(spec: DataSpec, *, task: str | None = None) -> Reading:
    """Read all files of a data set.

    Args:
        spec: which files, and how.
        task: the kind of task the rows are for: a file is taken as one of its formats, or as a plain table; None to
            take files as any format that is certain.

    Raises:
        DataError: a file is missing, empty, damaged or of an unknown kind.
    """
    if not spec.path:
        raise DataError("no data is named", fix="tunesmith train DATA, or data: path: in the recipe")
    reading = Reading({}, choice=Choice(spec.format, task))
    parts: dict[str, list[Table]] = {}
    for split, paths in (("train", spec.path), ("dev", spec.dev), ("test", spec.test)):
        for name, table in _read_paths(paths, split, spec=spec, reading=reading):
            parts.setdefault(name, []).append(table)
    reading.tables = {split: _tidy(concat(tables), reading) for split, tables in parts.items()}
    return reading


def for_task(reading: Reading, task: str) -> Reading:
    """Return rows that were read as plain tables as the formats of their task have them, once the task is seen."""
    if reading.forms:
        return reading
    found = replace(reading, tables={}, choice=replace(reading.choice, task=task))
    for split, table in reading.tables.items():
        form = found.choice.of_rows([table.row(i) for i in range(min(HEAD_ROWS, len(table)))])
        parts = [_through(form, part, found) for part in table.by_file()] if form else [table]
        found.tables[split] = concat(parts)
    return found


def stream(
    path: str,
    spec: DataSpec,
    *,
    chunk_rows: int = 1024,
    task: str | None = None,
    wanted: str | None = None,
    tell: streams.Tell = streams.unheard,
) -> Iterator[Table]:
    """Yield a file's rows in tables of at most `chunk_rows`, in order.

    CSV, TSV and JSON Lines (also gzipped, also from standard input) are read piece by piece, so files of any size
    fit; other formats are read whole first. A row that can't be read raises here: predictions must not lose rows.

    Args:
        path: a file; "-" is standard input.
        spec: how it is read.
        chunk_rows: rows of a table at most.
        task: as for `read`.
        wanted: the one column that is needed; see `streams.delimited_rows`.
        tell: is told the notes, before the rows come.

    Raises:
        DataError: as `read`, or a row is broken.
    """
    choice = Choice(spec.format, task)
    if LIKE.get(task or "", task) == Parallel.task and side_of(Path(path)):
        yield from _cut(_one_side(path, spec), chunk_rows)
        return
    opened = streams.open_text(path, encoding=spec.encoding)
    if opened is None:
        reading = Reading({}, choice=choice)
        for _, table in _read_paths((path,), "train", spec=spec, reading=reading):
            _lose_none(reading)
            _tell_all(reading, tell)
            yield from _cut(table, chunk_rows)
        return
    with opened as text:
        form = choice.of_text(Content(text.file, text.name, text.head, spec.delimiter))
        if form is not None:
            reading = Reading({}, choice=choice)
            found = form.read(Content(text.file, text.name, "".join(text.lines()), spec.delimiter))
            table = _take(form, found, reading)
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
    text: streams.TextStream, spec: DataSpec, choice: Choice, chunk_rows: int, *, wanted: str | None, tell: streams.Tell
) -> Iterator[Table]:
    """Yield the rows of CSV or JSON Lines, through their format where they have one."""
    if text.is_json_lines:
        form = choice.of_rows(streams.first_objects(text))
        tables = streams.json_lines(text, chunk_rows=chunk_rows, flat=form is None)
    else:
        tables = streams.delimited_rows(text, spec=spec, chunk_rows=chunk_rows, wanted=wanted, tell=tell)
        first = next(tables, Table({}))
        form = choice.of_rows([first.row(i) for i in range(min(HEAD_ROWS, len(first)))])
        tables = itertools.chain([first] if len(first) else [], tables)
    if form is not None and not form.by_row:
        tables = iter([concat(list(tables))])
    for table in tables:
        reading = Reading({}, choice=choice)
        rows = table if form is None else _through(form, table, reading)
        _lose_none(reading)
        _tell_all(reading, tell)
        tell = streams.unheard  # each piece has the same notes
        yield from _cut(rows, chunk_rows)


def _tell_all(reading: Reading, tell: streams.Tell) -> None:
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


def _read_paths(paths: Sequence[str], split: str, *, spec: DataSpec, reading: Reading) -> Iterator[tuple[str, Table]]:
    """Yield (split, table) for files and folders; files that belong together are one table."""
    files = [Path(path) for path in paths if Path(path).is_file()]
    bundles = reading.choice.of_files(files) if files else []
    for form, bundle in bundles:
        yield split, _read_bundle(form, bundle, split, spec=spec, reading=reading)
    taken = {path for _, bundle in bundles for path in bundle}
    for path in paths:
        if Path(path) not in taken:
            yield from _read_path(path, split, spec=spec, reading=reading)


def _read_path(path: str, split: str, *, spec: DataSpec, reading: Reading) -> Iterator[tuple[str, Table]]:
    """Yield (split, table) for a file or a folder; a folder may hold several splits."""
    folder = Path(path)
    if path == "-" or not folder.is_dir():
        yield from _read_file(path, split, spec=spec, reading=reading)
        return
    bundles = _folder_bundles(folder, reading.choice)
    for name, form, files in bundles:
        mine = name if split == "train" and name else split
        yield mine, _read_bundle(form, files, mine, spec=spec, reading=reading)
    if not bundles:
        yield from _read_folder(folder, split, spec=spec, reading=reading)


def _folder_bundles(folder: Path, choice: Choice) -> list[tuple[str, BundleFormat, tuple[Path, ...]]]:
    """Return (split or "", format, files) of what belongs together in a folder that holds no tables."""
    if not choice.is_named and sources.tables_in(folder):
        return []
    groups = [[path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith(".")]]
    if next(folder.glob("*/*.ann"), None) is not None:
        inner = [[path for path in sorted(part.rglob("*")) if path.is_file()] for part in sorted(folder.iterdir())]
        groups = [group for group in (*groups, *inner) if any(path.suffix == ".ann" for path in group)]
    found = [(form.split(files), form, files) for group in groups for form, files in choice.of_files(group)]
    if any(split == "train" for split, _, _ in found):
        return [bundle for bundle in found if bundle[0]]
    return [("", form, files) for _, form, files in found]


def _read_bundle(form: BundleFormat, files: Sequence[Path], split: str, *, spec: DataSpec, reading: Reading) -> Table:
    """Return the rows of files that belong together."""
    read_files = []
    for file in files:
        blobs, notes = sources.load(str(file))
        text, more = sources.decode(blobs[0], encoding=spec.encoding)
        reading.notes += [*notes, *more]
        read_files.append((blobs[0], text))
    table = _take(form, form.read(read_files), reading)
    blobs = [blob for blob, _ in read_files]
    whole = [{"file": blob.file, "sha256": blob.digest, "bytes": blob.size} for blob in blobs]
    if len(blobs) > 2:
        digest, size = _digest([blob.digest for blob in blobs]), sum(blob.size for blob in blobs)
        whole = [{"file": str(files[0].parent), "sha256": digest, "bytes": size}]
    reading.sources += [{**one, "n_rows": len(table), "split": split} for one in whole]
    return table


def _read_folder(folder: Path, split: str, *, spec: DataSpec, reading: Reading) -> Iterator[tuple[str, Table]]:
    """Yield (split, table) of class folders, or of the files in a folder."""
    inner = {sources.split_of(p.name): p for p in sorted(folder.iterdir()) if p.is_dir()}
    layouts = {name: p for name, p in inner.items() if name and sources.class_folders(p)}
    if layouts:
        for name, part in layouts.items():
            yield name, _class_folders(part, name, reading)
    elif sources.class_folders(folder):
        reading.notes += _passed_over(folder)
        yield split, _class_folders(folder, split, reading)
    else:
        found = sources.expand(str(folder), more=reading.choice.suffixes)
        if len(found) > 1 or len(found["train"]) > 1:
            shown = "; ".join(f"{name}: {sources.shown_names(files)}" for name, files in found.items())
            reading.notes.append(Note("info", "files", f"read from {folder}: {shown}"))
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
        return _by_rows(sheets.parquet(blob), reading)
    suffix = sources.suffix_of(blob.name)
    if content.startswith(sheets.ZIP) or suffix == ".xlsx":
        return _by_rows(sheets.excel(blob, reading.notes), reading)
    text, notes = sources.decode(blob, encoding=spec.encoding)
    reading.notes += notes
    source = Content(blob.file, blob.name, text, spec.delimiter)
    form = reading.choice.of_text(source)
    if form is not None:
        return _take(form, form.read(source), reading)
    start = text.lstrip()[:1]
    if suffix in (".json", ".jsonl", ".ndjson") or (start in ("{", "[") and suffix not in (".csv", ".tsv", ".txt")):
        return _from_json(source, lines=suffix in (".jsonl", ".ndjson"), reading=reading)
    if suffix == ".txt":
        return _by_rows(_lines(text, blob.file), reading)
    if suffix not in (".csv", ".tsv", ".tab", "") and blob.file != "standard input":
        if LIKE.get(reading.choice.task or "", reading.choice.task) in (None, Parallel.task):
            refuse_one_side(Path(blob.file), sure=reading.choice.task is None)
        raise DataError(
            f'"{suffix}" files are not supported for this task', where=Where(blob.file), fix=sources.SUPPORTED
        )
    parsed = delimited.parse(text, file=blob.file, spec=spec, tabs=suffix in (".tsv", ".tab"))
    return _by_rows(_from_delimited(parsed, blob.file, reading), reading)


def _take(form: Format, found: Found, reading: Reading) -> Table:
    """Return what a format read, and say that it did."""
    table = found.table()
    file = found.files[0] if len(found.files) < 3 else str(Path(found.files[0]).parent)
    if form.name not in {other.name for other in reading.forms}:
        reading.notes.append(announcement(form, file, table.columns, named=reading.choice.is_named))
        reading.forms.append(form)
    reading.notes += found.notes
    reading.ledger.extend(found.entries)
    return table


def _by_rows(table: Table, reading: Reading) -> Table:
    """Return a plain table as it is, or through the format its rows have.

    Raises:
        DataError: the user names a format that such a file can't have.
    """
    form = reading.choice.of_rows([table.row(i) for i in range(min(HEAD_ROWS, len(table)))])
    if form is not None:
        return _through(form, table, reading)
    if reading.choice.is_named:
        where, fix = Where(table.files[0]), "name another data.format, or leave it out"
        raise DataError(f"this kind of file can't be {reading.choice.named}", where=where, fix=fix)
    return table


def _through(form: RowFormat, table: Table, reading: Reading) -> Table:
    rows = ((number, table.row(i)) for i, number in enumerate(table.row_numbers))
    return _take(form, form.read(rows, table.files[0]), reading)


def _from_json(source: Content, *, lines: bool, reading: Reading) -> Table:
    """Return the rows of JSON or JSON Lines, through the format they have."""
    choice, file = reading.choice, source.file
    value = source.value
    form = choice.of_rows([value], by_name=False) if isinstance(value, dict) else None
    if form is not None:
        return _take(form, form.read([(1, value)], file), reading)
    found = nested.rows_in(value, file) if value is not None else nested.parse(source.text, file=file, lines=lines)
    form = choice.of_rows([row for _, row in found.rows[:HEAD_ROWS]])
    if form is None:
        return _from_objects(found.flat(), file, reading)
    reading.notes += found.notes
    reading.ledger.extend(found.entries)
    return _take(form, form.read(found.rows, file), reading)


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
