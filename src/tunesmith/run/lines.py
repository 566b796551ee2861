"""How events and predictions are written in a run's files, one JSON line each, and notes; and read again."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tunesmith.core.errors import RunError, Where
from tunesmith.core.notes import Note


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a file of JSON lines; nothing where there is no file, and no half-written last line.

    Raises:
        RunError: a line is damaged.
    """
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as stream:
        for number, line in enumerate(stream, 1):
            if not line.endswith("\n"):
                return  # the writer was killed in this line
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                fix = "remove the line, or restore the file from a copy"
                raise RunError(f"the line is damaged: {error.msg}", where=Where(str(path), number), fix=fix) from error


def line_of(value: Mapping[str, Any]) -> str:
    """Return an object as a JSON line, which any text of the user's can stand in."""
    text = json.dumps(dict(value), ensure_ascii=False, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON files can hold and UTF-8 cannot
        text = json.dumps(dict(value), allow_nan=False)
    return text + "\n"


def finite(value: Any) -> Any:
    """Return the same with null in the place of numbers that are not finite: JSON has no word for them."""
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def plain_note(note: Note) -> dict[str, Any]:
    """Return a note as JSON can hold it."""
    written = asdict(note)
    for place in written["places"]:
        value = place["value"]
        if not isinstance(value, str | int | None) and not (isinstance(value, float) and math.isfinite(value)):
            place["value"] = str(value)
    return written


def note_of(item: dict[str, Any]) -> Note:
    """Return the note that `plain_note` wrote."""
    return Note(**{**item, "places": tuple(Where(**place) for place in item.get("places", ()))})
