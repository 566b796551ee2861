"""Predict a file of any size: row by row in, row by row out, order and columns kept, going on where it was cut off."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Any, Self

from tunesmith.core.errors import DataError, RunError, Where
from tunesmith.core.files import read_json, sha256, write_json
from tunesmith.core.notes import Note
from tunesmith.core.wording import rows
from tunesmith.data.columns import TEXT_NAMES, same_name
from tunesmith.data.labels import label_name
from tunesmith.data.spec import DataSpec
from tunesmith.data.stream import stream
from tunesmith.data.table import Table
from tunesmith.data.text_stream import unheard
from tunesmith.inference.predictor import Predictor
from tunesmith.tasks.base import Task
from tunesmith.workflow.evaluate import find_columns
from tunesmith.workflow.reading import form_of

CHUNK_ROWS = 512
UNWRITTEN = {".parquet", ".xlsx", ".xls", ".json", ".tsv", ".tab", ".gz", ".zip", ".zst", ".feather", ".arrow", ".pkl"}
"""Ends of names that promise what is not written."""


def predict_file(
    predictor: Predictor,
    source: str,
    *,
    out: Path | None,
    text: str | None = None,
    spec: DataSpec | None = None,
    on_rows: Callable[[int], None] = lambda _n: None,
    tell: Callable[[Note], None] = unheard,
) -> Done:
    """Predict every row of `source` ("-": standard input) into `out` (None: standard output, CSV).

    The text is in the column `text`, by default the one the model was trained on, or the only one it can be; `spec`
    says how to read the file. `on_rows` is told how many rows more are done, `tell` what there is to say of the file.

    What is finished stands in `out.part`, and `out.part.json` says of which job it is; started again after an
    interruption, rows that stand there are skipped. A row without text gets an empty prediction.

    Raises:
        DataError: `out` exists, the part file is another job's, a column is missing, or a row can't be read.
    """
    spec = spec or DataSpec()
    fmt = "csv" if out is None else format_of(out)
    inputs = list(predictor.task.columns.values())
    wanted = (text or inputs[0]) if len(inputs) == 1 else None
    say = partial(_say, tell, fmt)
    chunks = stream(source, spec, chunk_rows=CHUNK_ROWS, task=predictor.task.kind, wanted=wanted, tell=say)
    write = partial(_write, predictor, chunks, fmt=fmt, text=text, on_rows=on_rows, tell=say)
    if out is None:
        return write(sys.stdout, done=0)
    with _part_of(out, _job(predictor, source, text, spec), fmt=fmt) as (target, done):
        return write(target, done=done)


def _say(tell: Callable[[Note], None], fmt: str, note: Note) -> None:
    """Tell a note; one on how the file is written says how the answers are."""
    written = "UTF-8 with commas" if fmt == "csv" else "UTF-8"
    tell(replace(note, message=f"{note.message}; written as {written}") if note.topic == "form" else note)


@dataclass(frozen=True)
class Done:
    """What a job did: how many rows there were, and how many of them have no prediction, as an input is empty."""

    n_rows: int
    n_empty: int = 0

    def said(self, task: Task) -> str:
        """Return "20 of 21 rows labelled; 1 has no text"."""
        if not self.n_empty:
            return f"{rows(self.n_rows)} {task.done}"
        lacking = f"{self.n_empty:,} {'has' if self.n_empty == 1 else 'have'} no {' or '.join(task.columns)}"
        return f"{self.n_rows - self.n_empty:,} of {rows(self.n_rows)} {task.done}; {lacking}"


@contextlib.contextmanager
def _part_of(out: Path, job: dict[str, str], *, fmt: str) -> Iterator[tuple[IO[str], int]]:
    """Yield the open part file and how many rows of the job stand in it; when all is done, it becomes `out`."""
    part = part_file(out)
    job_file = part.with_name(part.name + ".json")
    out.parent.mkdir(parents=True, exist_ok=True)
    done = _take_over(part, job_file, job, fmt=fmt)
    try:
        with part.open("a", encoding="utf-8", newline="") as target:
            yield target, done
    except BaseException:
        if not part.stat().st_size:
            part.unlink()
            job_file.unlink(missing_ok=True)
        raise
    os.replace(part, out)
    job_file.unlink(missing_ok=True)


def part_file(out: Path) -> Path:
    """Return where the finished rows of a job stand until it is done."""
    return out.with_name(out.name + ".part")


def left_by(source: str, out: Path | None) -> str:
    """Say what a job that was interrupted has left."""
    if out is None:
        return "only the rows above are labelled"
    if not part_file(out).exists():
        return "nothing was written"
    again = "reading standard input can't be continued" if source == "-" else "the same command goes on with it"
    return f"what is done stands in {part_file(out)}; {again}"


def format_of(out: Path) -> str:
    """Return "jsonl" or "csv", by the end of the name.

    Raises:
        DataError: the file is there already, or its name says a form that is not written.
    """
    if out.exists():
        raise DataError("the file is there already", where=Where(str(out)), fix="choose another --out, or remove it")
    end = out.suffix.lower()
    if end in UNWRITTEN:
        bare = out.name.removesuffix(out.suffix).removesuffix(".csv").removesuffix(".jsonl")
        fix = f"--out {out.with_name(bare + '.csv')} or --out {out.with_name(bare + '.jsonl')}"
        raise DataError(f"predictions are written as CSV or JSON Lines, not as {end}", where=Where(str(out)), fix=fix)
    return "jsonl" if end in (".jsonl", ".ndjson") else "csv"


def _write(
    predictor: Predictor,
    chunks: Iterator[Table],
    target: IO[str],
    *,
    fmt: str,
    done: int,
    text: str | None,
    on_rows: Callable[[int], None],
    tell: Callable[[Note], None],
) -> Done:
    n, n_empty, writer = 0, 0, None
    for table in chunks:
        writer = writer or Answering.of(predictor, table, {"text": text} if text else _likely(predictor, table, tell))
        skip = min(max(done - n, 0), len(table))
        ready = writer.cleaned(table)
        if skip < len(table):
            answered = list(writer.rows(table, ready, start=skip))
            columns = [*table.columns, *writer.names.values()]
            _put(target, answered, columns, fmt=fmt, header=not n and not done)
        n += len(table)
        n_empty += len(table) - len(writer.filled(ready))
        on_rows(len(table))
    return Done(n, n_empty)


def _likely(predictor: Predictor, table: Table, tell: Callable[[Note], None]) -> dict[str, str]:
    """Return the column that a model's only text must be in where none is called as in training; none if unclear."""
    (field, trained), *others = predictor.task.columns.items()
    names = list(table.columns)
    if others or same_name(trained) in map(same_name, names):
        return {}
    usual = set(map(same_name, TEXT_NAMES))
    able = names if len(names) == 1 else [name for name in names if same_name(name) in usual]
    if len(able) != 1:
        return {}
    message = f'there is no column "{trained}", as in training: the texts are read from "{able[0]}"'
    tell(Note("info", "columns", message, fix="name another with --text" if len(names) > 1 else ""))
    return {field: able[0]}


@dataclass(frozen=True)
class Answering:
    """Which columns are read, and which are added.

    Attributes:
        columns: column the model was trained on to the one it is read from.
        names: what is added, to what it is called here: what the user has already gets a tunesmith_ before it.
    """

    predictor: Predictor
    columns: dict[str, str]
    names: dict[str, str]

    @classmethod
    def of(cls, predictor: Predictor, table: Table, named: Mapping[str, str | None]) -> Self:
        """Find the columns in the first rows of a file."""
        trained = predictor.task.columns
        found = find_columns(table, trained, named)
        added = predictor.task.cell_names()
        names = {name: f"tunesmith_{name}" if name in table.columns else name for name in added}
        return cls(predictor, {trained[field]: column for field, column in found.items()}, names)

    def rows(self, table: Table, ready: Table, *, start: int = 0) -> Iterator[dict[str, Any]]:
        """Yield each row from `start` with its prediction; rows without text get none."""
        filled = [i for i in self.filled(ready) if i >= start]
        said = dict(zip(filled, self.predictor.answers(ready.take(filled)), strict=True))
        for i in range(start, len(table)):
            cells = said[i].cells() if i in said else {}
            yield table.row(i) | {here: cells.get(name) for name, here in self.names.items()}

    def filled(self, ready: Table) -> list[int]:
        """Return the rows of a cleaned table that lack no text."""
        return [i for i in range(len(ready)) if all(ready[column][i] for column in self.columns)]

    def cleaned(self, table: Table) -> Table:
        """Return the rows as the model reads them, under the names of training."""
        predictor, read = self.predictor, table.named(self.columns)
        cells = {n: [predictor.task.read_cell(value, predictor.clean) for value in read[n]] for n in self.columns}
        return read.replace(**cells)


def _put(target: IO[str], rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, fmt: str, header: bool) -> None:
    if fmt == "csv":
        writer = csv.writer(target)
        if header:
            writer.writerow(columns)
        writer.writerows([_cell(row.get(name)) for name in columns] for row in rows)
    else:
        target.writelines(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)
    target.flush()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return label_name(value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value


def _job(predictor: Predictor, source: str, text: str | None, spec: DataSpec) -> dict[str, str]:
    """Return what a part file is tied to: the model, how the input is read, and its content where it can be reread."""
    column = ", ".join(predictor.task.columns.values()) if text is None else text
    job = {"model": predictor.fingerprint(), "input": source, "content": _content(Path(source)), "text": column}
    return {**job, "reading": " ".join(form_of(spec))}


def _content(path: Path) -> str:
    """Return the SHA-256 of a file, or of a folder's files; "" for a pipe."""
    if path.is_file():
        return sha256(path)
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else []
    lines = "".join(f"{file.relative_to(path)} {sha256(file)}\n" for file in files)
    return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest() if files else ""


def _take_over(part: Path, job_file: Path, job: dict[str, str], *, fmt: str) -> int:
    """Return how many rows of this job stand in the part file, 0 if there is none; the job is written down.

    Raises:
        DataError: the part file is another job's, or can't be continued.
    """
    done = 0
    if part.exists() and part.stat().st_size:
        reason = _foreign(job_file, job)
        if reason:
            fix = "choose another --out, or remove this file and the .part.json beside it"
            raise DataError(f"an interrupted job left this file, and {reason}", where=Where(str(part)), fix=fix)
        done = _recover(part, fmt)
    write_json(job_file, job)
    return done


def _foreign(job_file: Path, job: dict[str, str]) -> str:
    """Return why the part file can't be continued by this job, "" if it can."""
    try:
        written = read_json(job_file)
    except (OSError, RunError):
        return "it is not known which job that was"
    if not isinstance(written, dict) or written.get("model") != job["model"]:
        return "it was made with another model"
    if not job["content"] or not written.get("content"):
        return f"what came from {written.get('input') if job['content'] else job['input']} can't be read again"
    if written["content"] != job["content"]:
        changed = written.get("input") == job["input"]
        return f"{job['input']} has changed since" if changed else f"it was made from {written.get('input')}"
    if written.get("reading") != job["reading"]:
        return "its input was read with other settings"
    return "it was made from another column" if written.get("text") != job.get("text") else ""


def _recover(part: Path, fmt: str) -> int:
    """Return how many rows a part file holds whole; a row cut off in the middle is removed."""
    good, done = 0, 0
    with part.open("rb") as stream_:
        ends = _ends(stream_, quoted=fmt == "csv")
        if fmt == "csv":
            next(ends, 0)  # the header; without a row it is written again
        for end in ends:
            good, done = end, done + 1
    with part.open("r+b") as stream_:
        stream_.truncate(good)
    return done


def _ends(stream_: IO[bytes], *, quoted: bool) -> Iterator[int]:
    """Yield the byte offset after each complete row; a line break inside quotes ends none."""
    offset, quotes = 0, 0
    for line in stream_:
        offset += len(line)
        quotes += line.count(b'"') if quoted else 0
        if line.endswith(b"\n") and quotes % 2 == 0:
            yield offset
