"""Rows of a text and its counterpart: a translation, a summary, a question and its answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError, Where
from tunesmith.data.formats.base import Found, Numbered, RowFormat, Written, extras, json_lines
from tunesmith.data.formats.languages import is_language
from tunesmith.data.table import Table

NAMES = (("source", "target"), ("src", "tgt"), ("source_text", "target_text"), ("src_text", "tgt_text"))
LANGUAGES = ("source_language", "target_language")


class Pairs(RowFormat):
    """`source` and `target`, columns named by languages, or Hugging Face's {"translation": {"en": ..., "de": ...}}."""

    name = "pairs"
    title = "pairs of texts"
    task = "translation"
    columns = ("source", "target")

    def sniff(self, rows: Sequence[Mapping[str, Any]], *, sure: bool) -> bool:
        """Whether rows have such an object; where pairs are wanted, also whether columns are named so."""
        if rows and all(_translation(row) for row in rows):
            return True
        return not sure and bool(rows) and bool(_names(rows[0]))

    def read(self, rows: Iterable[Numbered], file: str) -> Found:
        """Return `source` and `target`, their languages where these are named, and what else the rows have."""
        found = Found((file,))
        for number, row in rows:
            inner = _translation(row)
            names = _names(inner or row)
            if not names:
                fix = 'call them "source" and "target", or name them by their languages'
                raise DataError("it is not clear which texts are a pair", where=Where(file, number), fix=fix)
            rest = extras(row, "translation", *names)
            texts = [(inner or row)[name] for name in names]
            add(found, number, (texts[0], texts[1]), names if is_language(names[0]) else ("", ""), rest)
        return found

    def write(self, table: Table, out: Path) -> Written:
        """Return JSON Lines with all columns."""
        self.need(table)
        return Written({out: json_lines(table.row(i) for i in range(len(table)))})


def add(
    found: Found, number: int, texts: tuple[Any, Any], languages: tuple[str, str], others: Mapping[str, Any]
) -> None:
    """Add a pair, or set it aside if one side is empty."""
    for what, text in zip(("source", "target"), texts, strict=True):
        if text is None or not str(text).strip():
            found.say("set aside", f"no {what} text", number)
            return
    named = dict(zip(LANGUAGES, languages, strict=True)) if all(languages) else {}
    others = extras(others, "source", "target", *named)
    found.rows.append((number, {"source": str(texts[0]), "target": str(texts[1]), **named, **others}))


def _translation(row: Mapping[str, Any]) -> Mapping[str, Any] | None:
    inner = row.get("translation")
    texts = isinstance(inner, Mapping) and len(inner) == 2 and all(isinstance(text, str) for text in inner.values())
    return inner if texts and isinstance(inner, Mapping) else None


def _names(row: Mapping[str, Any]) -> tuple[str, str] | tuple[()]:
    """Return the names of the two texts in a row, or nothing where it is not clear."""
    by_name = next(((source, target) for source, target in NAMES if source in row and target in row), None)
    if by_name:
        return by_name
    languages = [name for name in row if is_language(name)]
    return (languages[0], languages[1]) if len(languages) == 2 else ()
