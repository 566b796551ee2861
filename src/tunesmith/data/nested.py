"""JSON in its shapes: JSON Lines, an array, one object with the rows somewhere inside, columns as lists."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tunesmith.core.errors import DataError, Where
from tunesmith.core.ledger import Entry
from tunesmith.core.notes import Note

LONE = re.compile(r"\\u[dD][89a-fA-F]")
"""Escapes that only mean something in pairs, and do not always come so."""
Numbered = tuple[int, dict[str, Any]]


@dataclass
class Objects:
    """Rows of a JSON file: (line or item number, values by name), what was noted and set aside.

    `by_column` says that the file has columns, not rows: their values stay what they are.
    """

    rows: list[Numbered]
    notes: list[Note] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    by_column: bool = False

    def flat(self) -> Objects:
        """Return the same rows with objects inside objects as dotted names."""
        if self.by_column:
            return self
        return Objects([(number, flatten(row)) for number, row in self.rows], self.notes, self.entries)


def load(text: str) -> Any:
    r"""Return what a JSON text holds; halves of a character (a lone "\ud83d") become U+FFFD.

    Raises:
        json.JSONDecodeError: it is not JSON.
    """
    value = json.loads(text)
    if LONE.search(text):
        whole = json.dumps(value, ensure_ascii=False)
        value = json.loads(whole.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    return value


def parse(text: str, *, file: str, lines: bool) -> Objects:
    """Read JSON or, with `lines`, JSON Lines; whichever it really is.

    Raises:
        DataError: it is neither, with the line.
    """
    try:
        whole = load(text)
    except json.JSONDecodeError as error:
        if lines or _looks_like_lines(text):
            return parse_lines(text, file=file)
        raise DataError(
            f"not valid JSON: {error.msg.lower()} (column {error.colno})",
            where=Where(file, error.lineno),
            fix="mend this line",
        ) from None
    return rows_in(whole, file)


def parse_lines(text: str, *, file: str) -> Objects:
    """Read one JSON object a line; broken lines are set aside.

    Raises:
        DataError: more than half of the lines are broken.
    """
    found = Objects([])
    n = 0
    # Only line feeds end a line: texts may hold other separators (U+2028).
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        n += 1
        row, reason = _one_line(line)
        if row is None:
            found.entries.append(Entry("set aside", "broken line", file, number, reason))
        else:
            found.rows.append((number, row))
    if len(found.entries) > 0.5 * n:
        first = found.entries[0]
        raise DataError(
            f"not JSON Lines: {first.detail}", where=Where(file, first.row), fix="put one JSON object on each line"
        )
    return found


def flatten(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested objects as dotted names: {"content": {"body": 1}} gives {"content.body": 1}."""
    found: dict[str, Any] = {}
    for key, inner in value.items():
        if isinstance(inner, dict):
            found.update(flatten(inner, f"{prefix}{key}."))
        else:
            found[f"{prefix}{key}"] = inner
    return found


def _one_line(line: str) -> tuple[dict[str, Any] | None, str]:
    try:
        value = load(line)
    except json.JSONDecodeError as error:
        return None, f"{error.msg.lower()} (column {error.colno})"
    if not isinstance(value, dict):
        return None, "not a JSON object"
    return value, ""


def _looks_like_lines(text: str) -> bool:
    lines = [line for line in text.split("\n", 5)[:5] if line.strip()]
    good = sum(_one_line(line)[0] is not None for line in lines)
    return good > len(lines) / 2


def rows_in(whole: Any, file: str) -> Objects:
    """Return the rows that a JSON value holds, objects inside them as they are.

    Raises:
        DataError: it holds none.
    """
    if isinstance(whole, list):
        return _items(whole, file, [])
    if not isinstance(whole, dict):
        raise DataError("the JSON holds no rows", where=Where(file), fix="write a list of objects")
    lists = list(_lists(whole))
    if lists:
        path, items = max(lists, key=lambda found: len(found[1]))
        notes = [Note("info", "rows", f'the rows of {file} are under "{path}" ({len(items):,})')]
        left = [(name, len(other)) for name, other in lists if name != path]
        if left:
            message = f"not read of {file}: " + ", ".join(f'"{name}" ({n:,})' for name, n in left)
            fix = "write each list into a file of its own, such as train.json and test.json in one folder"
            notes.append(Note("warning", "rows", message, fix))
        return _items(items, file, notes)
    if whole and all(isinstance(v, list) for v in whole.values()) and len({len(v) for v in whole.values()}) == 1:
        values = enumerate(zip(*whole.values(), strict=True), 1)
        return Objects([(i, dict(zip(whole, row, strict=True))) for i, row in values], by_column=True)
    if whole and all(isinstance(v, dict) for v in whole.values()):
        keys = list(dict.fromkeys(k for v in whole.values() for k in v))
        return Objects([(i, {c: whole[c].get(k) for c in whole}) for i, k in enumerate(keys, 1)], by_column=True)
    return Objects([(1, whole)])


def _lists(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, list[Any]]]:
    """Yield every list of objects inside objects, with its dotted path."""
    for key, inner in value.items():
        if isinstance(inner, list) and inner and all(isinstance(item, dict) for item in inner):
            yield f"{prefix}{key}", inner
        elif isinstance(inner, dict):
            yield from _lists(inner, f"{prefix}{key}.")


def _items(items: list[Any], file: str, notes: list[Note]) -> Objects:
    found = Objects([], notes)
    for number, item in enumerate(items, 1):
        if isinstance(item, dict):
            found.rows.append((number, item))
        else:
            found.entries.append(Entry("set aside", "not an object", file, number))
    if not found.rows:
        raise DataError("the JSON holds no rows", where=Where(file), fix="write a list of objects")
    return found
