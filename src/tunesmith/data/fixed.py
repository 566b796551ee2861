"""`tunesmith check --fix`: a cleaned copy of the data, and a list of every change."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tunesmith.core.errors import DataError, Where
from tunesmith.core.files import replacing
from tunesmith.core.ledger import Ledger
from tunesmith.data.table import Table


def write_fixed(
    tables: Mapping[str, Table], original: Mapping[str, Table], *, ledger: Ledger, texts: Sequence[str], out: Path
) -> list[Path]:
    """Write usable rows as CSV (`out`, or `out` with the split in its name) and `out.changes.jsonl`.

    Raises:
        DataError: a file is there already; nothing of the user's is overwritten.
    """
    names = {split: out if len(tables) == 1 else out.with_stem(f"{out.stem}.{split}") for split in tables}
    changes = out.with_name(out.name + ".changes.jsonl")
    for path in (*names.values(), changes):
        if path.exists():
            raise DataError("the file is there already", where=Where(str(path)), fix="choose another --fix OUT")
    for split, table in tables.items():
        with replacing(names[split]) as stream:
            writer = csv.writer(stream)
            writer.writerow(table.columns)
            writer.writerows(zip(*table.columns.values(), strict=True))
    with replacing(changes) as stream:
        for entry in ledger:
            line = {
                "file": entry.file,
                "row": entry.row,
                "what": entry.kind,
                "reason": entry.reason,
                "detail": entry.detail,
            }
            stream.write(json.dumps(line, ensure_ascii=False) + "\n")
        for split, table in tables.items():
            for column in texts:
                _write_changed(stream, table, original[split], column)
    return [*names.values(), changes]


def _write_changed(stream, table: Table, original: Table, text: str) -> None:  # type: ignore[no-untyped-def]
    before = {(original.file_ids[i], original.row_numbers[i]): v for i, v in enumerate(original[text])}
    for i, after in enumerate(table[text]):
        old = before.get((table.file_ids[i], table.row_numbers[i]))
        if old is not None and str(old) != after:
            where = table.where(i)
            line = {
                "file": where.file,
                "row": where.row,
                "what": "changed",
                "column": text,
                "before": str(old),
                "after": after,
            }
            stream.write(json.dumps(line, ensure_ascii=False) + "\n")
