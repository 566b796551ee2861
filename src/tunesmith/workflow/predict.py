"""Predict a file of any size: row by row in, row by row out, order and columns kept, going on where it was cut off."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from tunesmith.core.errors import DataError, Where
from tunesmith.data.labels import label_name
from tunesmith.data.read import stream
from tunesmith.data.spec import DataSpec
from tunesmith.data.table import Table
from tunesmith.inference.predictor import Predictor
from tunesmith.workflow.evaluate import need_columns

CHUNK_ROWS = 512
LABEL, CONFIDENCE, SHARE = "predicted", "confidence", "p_"


def predict_file(
    predictor: Predictor, source: str, *, out: Path | None, on_rows: Callable[[int], None] | None = None
) -> int:
    """Predict every row of `source` ("-": standard input) into `out` (None: standard output, CSV); return the rows.

    What is finished stands in `out.part`; started again after an interruption, rows that stand there are skipped.
    A row without text gets an empty prediction.

    Raises:
        DataError: `out` exists, a column is missing, or a row can't be read.
    """
    chunks = stream(source, DataSpec(), chunk_rows=CHUNK_ROWS)
    if out is None:
        return _write(predictor, chunks, sys.stdout, fmt="csv", done=0, on_rows=on_rows)
    if out.exists():
        raise DataError("the file is there already", where=Where(str(out)), fix="choose another --out, or remove it")
    fmt = "jsonl" if out.suffix in (".jsonl", ".ndjson") else "csv"
    part = out.with_name(out.name + ".part")
    done = _recover(part, fmt) if source != "-" else _fresh(part)
    out.parent.mkdir(parents=True, exist_ok=True)
    with part.open("a", encoding="utf-8", newline="") as target:
        n = _write(predictor, chunks, target, fmt=fmt, done=done, on_rows=on_rows)
    os.replace(part, out)
    return n


def _write(
    predictor: Predictor,
    chunks: Iterator[Table],
    target: IO[str],
    *,
    fmt: str,
    done: int,
    on_rows: Callable[[int], None] | None,
) -> int:
    n, columns = 0, None
    writer = csv.writer(target)
    for table in chunks:
        if columns is None:
            need_columns(table, [predictor.task.text])
            columns = [*table.columns, *_added(table, predictor)]
            if fmt == "csv" and not done:
                writer.writerow(columns)
        skip = min(max(done - n, 0), len(table))
        n += len(table)
        if skip < len(table):
            rows = list(_rows(table.take(range(skip, len(table))), predictor))
            if fmt == "csv":
                writer.writerows([_cell(row.get(name)) for name in columns] for row in rows)
            else:
                target.writelines(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)
            target.flush()
        if on_rows:
            on_rows(len(table))
    return n


def _rows(table: Table, predictor: Predictor) -> Iterator[dict[str, Any]]:
    """Yield each row with its prediction; rows without text get none."""
    names = _names(table, predictor)
    texts = [predictor.clean("" if value is None else str(value)) for value in table[predictor.task.text]]
    filled = [i for i, text in enumerate(texts) if text]
    found: Mapping[int, np.ndarray] = {}
    if filled:
        found = dict(zip(filled, predictor.probabilities([texts[i] for i in filled], cleaned=True), strict=True))
    classes = [label_name(label) for label in predictor.task.labels]
    for i in range(len(table)):
        row = table.row(i)
        if i in found:
            said = predictor.prediction(found[i])
            row |= {names[LABEL]: said.label, names[CONFIDENCE]: round(said.confidence, 6)}
            row |= {names[SHARE + c]: round(said.probabilities[c], 6) for c in classes}
        else:
            row |= dict.fromkeys(names.values())
        yield row


def _names(table: Table, predictor: Predictor) -> dict[str, str]:
    """Return the added columns' names; one that the user has already gets a tunesmith_ before it."""
    added = [LABEL, CONFIDENCE, *(SHARE + label_name(label) for label in predictor.task.labels)]
    return {name: f"tunesmith_{name}" if name in table.columns else name for name in added}


def _added(table: Table, predictor: Predictor) -> list[str]:
    return list(_names(table, predictor).values())


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return label_name(value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value


def _fresh(part: Path) -> int:
    part.unlink(missing_ok=True)
    return 0


def _recover(part: Path, fmt: str) -> int:
    """Return how many rows a part file holds whole; a row cut off in the middle is removed."""
    if not part.exists():
        return 0
    good, done = 0, 0
    with part.open("rb") as stream_:
        ends = (line for line in _ends(stream_, quoted=fmt == "csv"))
        for end in ends:
            good, done = end, done + 1
    with part.open("r+b") as stream_:
        stream_.truncate(good)
    return done if fmt == "jsonl" else max(0, done - 1)


def _ends(stream_: IO[bytes], *, quoted: bool) -> Iterator[int]:
    """Yield the byte offset after each complete row; a line break inside quotes ends none."""
    offset, quotes = 0, 0
    for line in stream_:
        offset += len(line)
        quotes += line.count(b'"') if quoted else 0
        if line.endswith(b"\n") and quotes % 2 == 0:
            yield offset
