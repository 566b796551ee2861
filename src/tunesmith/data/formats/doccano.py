"""Text with spans of characters, one object a row, as Doccano exports it and many others write it by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError, Where
from tunesmith.data.formats.base import Found, Numbered, RowFormat, Written, extras, first_key, json_lines
from tunesmith.data.formats.spans import CELLS, TEXTS, check, entries_of, items_of, looks_like_spans
from tunesmith.data.formats.words import LABELLED, as_spans
from tunesmith.data.table import Table


class Doccano(RowFormat):
    """`text` and `label`: [[start, end, name], ...], also under other names, or with an object for each span."""

    name = "doccano"
    title = "text with spans of characters (doccano)"
    task = "token-classification"
    columns = ("text", "spans")

    def sniff(self, rows: Sequence[Mapping[str, Any]], *, sure: bool) -> bool:
        """Whether rows have a text, some a list of nothing but spans, and most a list or nothing there."""
        del sure
        cell = span_column(rows)
        fit = [row.get(cell) in (None, "") or items_of(row[cell]) is not None for row in rows if cell]
        return sum(fit) > 0.5 * len(rows)

    def read(self, rows: Iterable[Numbered], file: str) -> Found:
        """Return `text` and `spans`, and what else the rows have; what is no list of spans stays what it is."""
        rows = list(rows)
        head = [row for _, row in rows]
        cell = span_column(head) or next((name for name in CELLS for row in head if name in row), None)
        text = next((name for name in TEXTS for row in head if isinstance(row.get(name), str)), None)
        if cell is None or text is None:
            what = "spans" if text else "text"
            fix = 'each row needs "text" and "label": [[start, end, name], ...]'
            raise DataError(f"there is no column with {what}", where=Where(file), fix=fix)
        found = Found((file,))
        for number, row in rows:
            add(found, number, row.get(text), row.get(cell), extras(row, text, cell))
        return found

    def write(self, table: Table, out: Path) -> Written:
        """Return JSON Lines with `text`, `label`, and all other columns under their names.

        Where spans have more than a label, such as the ids that relations name, they are objects in `entities`.
        """
        ready = as_spans(table, self.title)
        rows = [ready.table.row(i) for i in range(len(ready.table))]
        more = any(set(span) - {*LABELLED} for row in rows for span in row["spans"])
        free = [name for name in ("label", "entities", "spans") if name == "spans" or name not in ready.table.columns]
        name = next(name for name in free if not more or name != "label")
        lines = [
            {"text": row["text"], name: (objects if more else triples)(row["spans"]), **extras(row, "text", "spans")}
            for row in rows
        ]
        return Written({out: json_lines(lines)}, ready.entries, ready.notes)


def span_column(rows: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the column with spans, if there are also texts."""
    if not any(first_key(row, TEXTS) for row in rows):
        return None
    return next((name for name in CELLS if any(looks_like_spans(row.get(name)) for row in rows)), None)


def add(found: Found, number: int, text: Any, items: Any, others: Mapping[str, Any]) -> None:
    """Add one row with its spans checked, or set it aside if it has no text.

    What is no list of spans is no label, which whoever needs one has to say; it stays what it is. Nor has a row a label
    of which no span can be used: there is something in it.
    """
    if not isinstance(text, str) or not text.strip():
        found.say("set aside", "no text", number)
        return
    rest = extras(others, "text", "spans")
    listed = items_of(items)
    if listed is None:
        found.rows.append((number, {"text": text, "spans": None if items == "" else items, **rest}))
        return
    checked = check(listed, text)
    found.entries += entries_of(checked.problems, found.files[0], number)
    spans = checked.cells if checked.cells or not listed else None
    found.rows.append((number, {"text": text, "spans": spans, **rest}))


def triples(cells: Iterable[Mapping[str, Any]]) -> list[list[Any]]:
    """Return spans as [start, end, label]."""
    return [[cell["start"], cell["end"], cell["label"]] for cell in cells]


def objects(cells: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return spans as objects with all they say."""
    return [{"start_offset": c["start"], "end_offset": c["end"], **extras(c, "start", "end")} for c in cells]
