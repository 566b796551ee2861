"""From one format to another: read, bring to the shape the target has, write, and say what it can't hold."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from tunesmith.core.errors import DataError, Where
from tunesmith.core.files import replacing
from tunesmith.core.ledger import Entry
from tunesmith.core.notes import Note
from tunesmith.data.formats import FORMATS, PLAIN
from tunesmith.data.formats.base import Format
from tunesmith.data.read import read
from tunesmith.data.reading import Reading
from tunesmith.data.spec import DataSpec
from tunesmith.data.table import concat

LINES = {
    "token-classification": "doccano",
    "question-answering": "qa",
    "translation": "pairs",
    "text-generation": "chat",
}
"""What `.jsonl` is for each task."""
WHOLE = {"token-classification": "label-studio", "question-answering": "squad"}
"""What `.json` is for each task."""
FOLDER = {"token-classification": "brat", "translation": "parallel"}
"""What a name without an ending is for each task."""
BY_SUFFIX = {".tsv": "tsv", ".txt": "text"}
SHAPES = {
    "doccano": {"text", "spans"},
    "tokens": {"tokens"},
    "qa": {"context", "question"},
    "pairs": {"source", "target"},
    "chat": {"messages"},
    "prompts": {"prompt", "completion"},
}
"""The format that plain rows are of, by their columns."""


@dataclass
class Converted:
    """What a conversion did.

    Attributes:
        source: the format read; "table" for plain rows.
        target: the format written.
        n_rows: how many rows were read, those set aside among them.
        files: what was written; the list of changes comes last, if there are any.
        notes: what was found on the way, and what the target can't hold at all.
        entries: what is not as it was, by row.
    """

    source: str
    target: str
    n_rows: int
    files: list[Path] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)


def convert(paths: Sequence[str], out: Path, *, to: str = "", form: str = "auto") -> Converted:
    """Read files of one format and write them in another.

    Args:
        paths: files or a folder; several splits are written with the split in the name.
        out: a file; a folder for brat; the beginning of two names for parallel text.
        to: the format to write; found from the name of `out` if empty.
        form: the format to read; recognised if "auto".

    Raises:
        DataError: the files can't be read, are for another task, or something is there already.
    """
    spec = DataSpec(path=tuple(paths), format=FORMATS.canonical(form) if form not in ("auto", PLAIN) else form)
    reading = _by_columns(_read(spec, to or _by_name(out, "")))
    source = reading.forms[0] if reading.forms else None
    target = _target(to, out, source, reading)
    n_rows = sum(map(len, reading.tables.values())) + sum(reading.ledger.counts("set aside").values())
    done = Converted(source.name if source else PLAIN, target.name, n_rows)
    done.notes += [note for note in reading.notes if note.topic != "format"]
    done.entries += reading.ledger
    files: dict[Path, str] = {}
    for split, table in reading.tables.items():
        place = out if len(reading.tables) == 1 else out.with_name(f"{out.stem}.{split}{out.suffix}")
        written = target.write(table, place)
        files |= written.files
        done.notes += [note for note in written.notes if note not in done.notes]
        done.entries += written.entries
    changes = out.with_name(f"{out.name}.changes.jsonl")
    folders = [path.parent for path in files if path.parent.parent == out.parent and path.parent != out.parent]
    _must_be_free([*folders[:1], *files, changes])
    for path, content in files.items():
        with replacing(path) as stream:
            stream.write(content)
    done.files = sorted({path.parent if len(files) > 4 and path.parent != out.parent else path for path in files})
    if done.entries:
        _write_changes(changes, done.entries)
        done.files.append(changes)
    return done


def _read(spec: DataSpec, wanted: str) -> Reading:
    """Return the files as data for the task of the format wanted; if they are not, as what they are."""
    if not wanted:
        return read(spec, flat=False)
    try:
        return read(spec, task=FORMATS[wanted].task, flat=False)
    except DataError as error:
        with contextlib.suppress(DataError):
            other = read(spec, flat=False)
            if other.forms:
                return other
        raise error


def _by_columns(reading: Reading) -> Reading:
    """Return plain rows with the columns of a format as that format reads them: odd ones are set aside or mended."""
    tables = reading.tables
    name = next((name for name, needed in SHAPES.items() if needed <= set(next(iter(tables.values())).columns)), "")
    if reading.forms or not name:
        return reading
    found = replace(reading, tables={})
    for split, table in tables.items():
        found.tables[split] = concat([found.through(FORMATS[name](), part) for part in table.by_file()])
    return found


def _target(to: str, out: Path, source: Format | None, reading: Reading) -> Format:
    """Return the format to write.

    Raises:
        DataError: it is not clear which, or it is one of another task.
    """
    table = next(iter(reading.tables.values()))
    task = source.task if source else ""
    known = [name for name in FORMATS if FORMATS[name].task == task] if task else list(FORMATS)
    name = FORMATS.canonical(to) if to else _by_name(out, task)
    if not name:
        raise DataError(f'it is not clear what "{out.name}" is to be', fix=f"say --to with one of: {', '.join(known)}")
    if task and name not in known:
        what = source.title if source else f"rows with {', '.join(table.columns)}"
        fix = f"for these rows: {', '.join(known)}"
        raise DataError(
            f"{what} can't become {name}, which is for {FORMATS[name].task}", where=Where(table.files[0]), fix=fix
        )
    target: Format = FORMATS[name]()
    return target


def _by_name(out: Path, task: str) -> str:
    """Return the format a file name asks for, or ""."""
    suffix = out.suffix.lower()
    own = {ending: name for name in FORMATS for ending in FORMATS[name].suffixes}
    if suffix in (".jsonl", ".ndjson"):
        return LINES.get(task, "")
    if suffix == ".json":
        return WHOLE.get(task, "")
    if not suffix:
        return FOLDER.get(task, "")
    return BY_SUFFIX.get(suffix, own.get(suffix, ""))


def _must_be_free(paths: Sequence[Path]) -> None:
    """Raise if anything of the user's would be overwritten.

    Raises:
        DataError: one of these is there already.
    """
    for path in paths:
        if path.exists():
            raise DataError("the file is there already", where=Where(str(path)), fix="choose another OUT")


def _write_changes(path: Path, entries: Sequence[Entry]) -> None:
    with replacing(path) as stream:
        for entry in entries:
            stream.write(json.dumps(asdict(entry), ensure_ascii=False) + "\n")
