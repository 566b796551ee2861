"""Reading what people really have: files, folders, archives and standard input, into tables by split."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError
from tunesmith.core.notes import Note
from tunesmith.core.wording import setting
from tunesmith.data import sources
from tunesmith.data.formats.base import BundleFormat
from tunesmith.data.formats.choose import HEAD_ROWS, Choice
from tunesmith.data.parse import parse
from tunesmith.data.reading import Reading
from tunesmith.data.spec import DataSpec
from tunesmith.data.table import Table, concat

UNLABELED_FOLDERS = {"unsup", "unlabeled", "unlabelled"}


def read(spec: DataSpec, *, task: str | None = None, flat: bool = True) -> Reading:
    """Read all files of a data set.

    Args:
        spec: which files, and how.
        task: the kind of task the rows are for: a file is taken as one of its formats, or as a plain table; None to
            take files as any format that is certain.
        flat: whether objects inside the objects of a plain JSON file become columns with dotted names.

    Raises:
        DataError: a file is missing, empty, damaged or of an unknown kind.
    """
    refuse_missing_files(spec)
    reading = Reading({}, choice=Choice(spec.format, task, flat))
    parts: dict[str, list[Table]] = {}
    for split, paths in (("train", spec.path), ("dev", spec.dev), ("test", spec.test)):
        for name, table in read_paths(paths, split, spec=spec, reading=reading):
            parts.setdefault(name, []).append(table)
    reading.tables = {split: _tidy(concat(tables), reading) for split, tables in parts.items()}
    return reading


def refuse_missing_files(spec: DataSpec) -> None:
    """Raise DataError if no data is named, or a file that is named is not there."""
    if not spec.path:
        raise DataError("no data is named", fix="tunesmith train DATA, or data: path: in the recipe")
    for path in (*spec.path, *spec.dev, *spec.test, *spec.unlabeled):
        sources.refuse_no_file(path)


def for_task(reading: Reading, task: str) -> Reading:
    """Return rows that were read as plain tables as the formats of their task have them, once the task is seen."""
    if reading.forms:
        return reading
    found = replace(reading, tables={}, choice=replace(reading.choice, task=task))
    for split, table in reading.tables.items():
        form = found.choice.of_rows([table.row(i) for i in range(min(HEAD_ROWS, len(table)))])
        parts = [found.through(form, part) for part in table.by_file()] if form else [table]
        found.tables[split] = concat(parts)
    return found


def read_paths(paths: Sequence[str], split: str, *, spec: DataSpec, reading: Reading) -> Iterator[tuple[str, Table]]:
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
    taken = {file for _, _, files in bundles for file in files}
    for form in {form.name: form for _, form, _ in bundles}.values():
        for file, reason in form.alone(folder, taken):
            reading.ledger.add("set aside", reason, file=str(file), row=1)
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
    table = reading.take(form, form.read(read_files))
    blobs = [blob for blob, _ in read_files]
    whole = [{"file": blob.file, "sha256": blob.digest, "bytes": blob.size} for blob in blobs]
    if len(blobs) > 2:
        digest, size = _digest([blob.digest for blob in blobs]), sum(blob.size for blob in blobs)
        whole = [{"file": str(files[0].parent), "sha256": digest, "bytes": size}]
    reading.sources += [{**one, "n_rows": len(table), "split": split} for one in whole]
    return table


def _read_folder(folder: Path, split: str, *, spec: DataSpec, reading: Reading) -> Iterator[tuple[str, Table]]:
    """Yield (split, table) of class folders, or of the files in a folder."""
    inner = [(sources.split_of(part.name), part) for part in sorted(folder.iterdir()) if part.is_dir()]
    layouts = [(name, part) for name, part in inner if name and sources.class_folders(part)]
    if layouts:
        for name, part in layouts:
            yield name, _class_folders(part, name, reading)
    elif sources.class_folders(folder):
        reading.notes += _passed_over(folder)
        yield split, _class_folders(folder, split, reading)
    else:
        found = sources.expand(str(folder), more=reading.choice.suffixes)
        if len(found) > 1 or len(found["train"]) > 1:
            shown = "; ".join(f"{name}: {sources.shown_names(files)}" for name, files in found.items())
            reading.notes.append(Note("info", "files", f"read from {folder}: {shown}"))
        left = [path for path in sources.tables_in(folder) if not any(path in files for files in found.values())]
        reading.notes += _left_out(left, "the names of the others say whether they are for training, dev or test")
        for name, files in found.items():
            for file in files:
                yield from _read_file(str(file), name if split == "train" else split, spec=spec, reading=reading)


def _passed_over(folder: Path) -> list[Note]:
    """Say which tables stand beside class folders and are not read."""
    why = "the subfolders with .txt files are taken as one class each"
    return _left_out(sources.tables_in(folder), why)


def _left_out(files: Sequence[Path], why: str, fix: str = "") -> list[Note]:
    if not files:
        return []
    message = f"not read: {sources.shown_names(files)}; {why}"
    return [Note("warning", "files", message, fix or f"name the file to read it: {files[0]}")]


def _read_file(path: str, split: str, *, spec: DataSpec, reading: Reading) -> Iterator[tuple[str, Table]]:
    blobs, notes = sources.load(path)
    reading.notes += notes
    splits = {sources.split_of(blob.name) for blob in blobs}
    have_splits = len(blobs) > 1 and "train" in splits
    if have_splits and "" in splits:
        left = [Path(blob.name) for blob in blobs if not sources.split_of(blob.name)]
        reading.notes += _left_out(
            left, f"the names of the others in {path} say what they are for", "take it out of there"
        )
        blobs = [blob for blob in blobs if sources.split_of(blob.name)]
    for blob in blobs:
        mine = sources.split_of(blob.name) if have_splits else split
        table = parse(blob, spec=spec, reading=reading)
        reading.sources.append(
            {"file": blob.file, "sha256": blob.digest, "bytes": blob.size, "n_rows": len(table), "split": mine or split}
        )
        yield mine or split, table


def _class_folders(folder: Path, split: str, reading: Reading) -> Table:
    """Read one text a file, the folder's name being the label (the layout of IMDb's distribution)."""
    texts: list[str] = []
    labels: list[str] = []
    files: list[str] = []
    for part in sources.class_folders(folder):
        if part.name in UNLABELED_FOLDERS:
            message = f'the folder "{part}" holds texts without labels; left out'
            fix = f"to learn from them: --set objectives.consistency=true {setting('data.unlabeled', part)}"
            reading.notes.append(Note("info", "unlabeled", message, fix))
            continue
        for file in sorted(part.glob("*.txt")):
            blob = sources.load(str(file))[0][0]
            texts.append(sources.decode(blob, encoding="auto")[0])
            labels.append(part.name)
            files.append(str(file))
    reading.sources.append(
        {"file": str(folder), "sha256": _digest([*labels, *texts]), "bytes": 0, "n_rows": len(texts), "split": split}
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
