"""Predict a file of any size: row by row in, row by row out, order and columns kept, going on where it was cut off."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from tunesmith.core.errors import DataError, Where
from tunesmith.core.files import read_json, sha256, write_json
from tunesmith.data.labels import label_name
from tunesmith.data.read import stream
from tunesmith.data.spec import DataSpec
from tunesmith.data.table import Table
from tunesmith.inference.predictor import Predictor
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
    on_rows: Callable[[int], None] | None = None,
) -> int:
    """Predict every row of `source` ("-": standard input) into `out` (None: standard output, CSV); return the rows.

    The text is in the column `text`, by default the one the model was trained on; `spec` says how to read the file.

    What is finished stands in `out.part`, and `out.part.json` says of which job it is; started again after an
    interruption, rows that stand there are skipped. A row without text gets an empty prediction.

    Raises:
        DataError: `out` exists, the part file is another job's, a column is missing, or a row can't be read.
    """
    spec = spec or DataSpec()
    chunks = stream(source, spec, chunk_rows=CHUNK_ROWS, task=predictor.task.kind)
    if out is None:
        return _write(predictor, chunks, sys.stdout, fmt="csv", done=0, text=text, on_rows=on_rows)
    fmt = format_of(out)
    with _part_of(out, _job(predictor, source, text, spec), fmt=fmt) as (target, done):
        return _write(predictor, chunks, target, fmt=fmt, done=done, text=text, on_rows=on_rows)


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
    on_rows: Callable[[int], None] | None,
) -> int:
    n, writer = 0, None
    for table in chunks:
        writer = writer or Answering.of(predictor, table, {"text": text})
        skip = min(max(done - n, 0), len(table))
        if skip < len(table):
            rows = list(writer.rows(table.take(range(skip, len(table)))))
            columns = [*table.columns, *writer.names.values()]
            _put(target, rows, columns, fmt=fmt, header=not n and not done)
        n += len(table)
        if on_rows:
            on_rows(len(table))
    return n


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

    def rows(self, table: Table) -> Iterator[dict[str, Any]]:
        """Yield each row with its prediction; rows without text get none."""
        ready = self._cleaned(table)
        filled = [i for i in range(len(table)) if all(ready[column][i] for column in self.columns)]
        said = dict(zip(filled, self.predictor.answers(ready.take(filled)), strict=True))
        for i in range(len(table)):
            cells = said[i].cells() if i in said else {}
            yield table.row(i) | {here: cells.get(name) for name, here in self.names.items()}

    def _cleaned(self, table: Table) -> Table:
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
    except (OSError, ValueError):
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
