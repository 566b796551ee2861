"""Rows of a text and its counterpart: a translation, a summary, a question and its answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError, Where
from tunesmith.core.notes import Note
from tunesmith.data.formats.base import Found, Numbered, RowFormat, Written, extras, json_lines
from tunesmith.data.formats.languages import is_language
from tunesmith.data.table import Table

NAMES = (("source", "target"), ("src", "tgt"), ("source_text", "target_text"), ("src_text", "tgt_text"))
LANGUAGES = ("source_language", "target_language")
UNNAMED = ("src", "tgt")
"""What stands in names of files for languages that are not known."""


class Pairs(RowFormat):
    """`source` and `target`, columns named by languages, or Hugging Face's {"translation": {"en": ..., "de": ...}}."""

    name = "pairs"
    title = "pairs of texts"
    task = "translation"
    columns = ("source", "target")

    def sniff(self, rows: Sequence[Mapping[str, Any]], *, sure: bool) -> bool:
        """Whether most rows have such an object; where pairs are wanted, also whether columns are named so."""
        objects = [inner for row in rows if (inner := _translation(row))]
        n_texts = sum(all(isinstance(text, str) for text in inner.values()) for inner in objects)
        if len(objects) > 0.5 * len(rows) and n_texts > 0.5 * len(objects):
            return True
        return not sure and any(_names(row) for row in rows)

    def read(self, rows: Iterable[Numbered], file: str) -> Found:
        """Return `source` and `target`, their languages where these are named, and what else the rows have."""
        found, numbered = Found((file,)), list(rows)
        first = next((names for _, row in numbered if (names := _names(_translation(row) or row))), ())
        if numbered and not first:
            where, fix = Where(file, numbered[0][0]), 'call them "source" and "target", or name them by their languages'
            raise DataError("it is not clear which texts are a pair", where=where, fix=fix)
        for number, row in numbered:
            texts = _translation(row) or row
            names = first if set(first) <= set(texts) else _names(texts)  # what columns are called has no order in JSON
            if not names:
                found.say("set aside", "not a pair of texts", number)
                continue
            languages = names if is_language(names[0]) else ("", "")
            add(found, number, (texts[names[0]], texts[names[1]]), languages, extras(row, "translation", *names))
        found.notes += _directions(found)
        return found

    def write(self, table: Table, out: Path) -> Written:
        """Return JSON Lines with all columns."""
        self.need(table)
        return Written({out: json_lines(table.row(i) for i in range(len(table)))})


def add(
    found: Found,
    number: int,
    texts: tuple[Any, Any],
    languages: tuple[str, str],
    others: Mapping[str, Any],
    *,
    detail: str = "",
) -> bool:
    """Add a pair, or set it aside if a side is no text; return whether it was added."""
    empty = [what for what, text in zip(NAMES[0], texts, strict=True) if text is None or not str(text).strip()]
    if empty:
        found.say("set aside", f"no {empty[0]} text" if len(empty) == 1 else "both sides are empty", number, detail)
        return False
    if any(isinstance(text, list | Mapping) for text in texts):
        found.say("set aside", "a list where a text is wanted", number, detail)
        return False
    named = dict(zip(LANGUAGES, languages, strict=True)) if all(languages) else {}
    others = extras(others, "source", "target", *named)
    found.rows.append((number, {"source": str(texts[0]), "target": str(texts[1]), **named, **others}))
    return True


def by_languages(table: Table) -> dict[tuple[str, str], list[int]]:
    """Return the rows of each pair of languages that files can be named by; ("", "") stands for all others."""
    cells = [table.columns.get(name, [""] * len(table)) for name in LANGUAGES]
    found: dict[tuple[str, str], list[int]] = {}
    for i, pair in enumerate(zip(*cells, strict=True)):
        named = pair[0] != pair[1] and all(isinstance(name, str) and is_language(name) for name in pair)
        found.setdefault(pair if named else ("", ""), []).append(i)
    return found


def apart(out: Path, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Path]:
    """Return a file name for each pair of languages, with their names in it where there are several."""
    listed = list(pairs)
    if len(listed) == 1:
        return {listed[0]: out}
    return {
        pair: out.with_name(f"{out.stem}.{pair[0] or UNNAMED[0]}-{pair[1] or UNNAMED[1]}{out.suffix}")
        for pair in listed
    }


def languages_lost(table: Table, title: str) -> list[Note]:
    """Return a note on names of languages that files can't be named by."""
    rows = by_languages(table).get(("", ""), [])
    named = sorted({str(table[name][i]) for name in LANGUAGES if name in table.columns for i in rows} - {"", "None"})
    if not named:
        return []
    message = f"languages that {title} can't name are left out: {', '.join(named[:8])}"
    return [Note("warning", "columns left out", message, n_rows=len(rows))]


def _directions(found: Found) -> list[Note]:
    """Say how many rows go from which language to which, where these differ."""
    counts = Counter(tuple(str(row[name]) for name in LANGUAGES) for _, row in found.rows if set(LANGUAGES) <= set(row))
    if len(counts) < 2:
        return []
    shown = ", ".join(f"{one} to {other} ({n:,})" for (one, other), n in counts.most_common(8))
    return [Note("info", "languages", f"{found.files[0]}: pairs of several languages: {shown}", n_rows=counts.total())]


def _translation(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a row has under "translation" if that are two things, else nothing."""
    inner = row.get("translation")
    return inner if isinstance(inner, Mapping) and len(inner) == 2 else {}


def _names(row: Mapping[str, Any]) -> tuple[str, str] | tuple[()]:
    """Return the names of the two texts in a row, or nothing where it is not clear."""
    by_name = next(((source, target) for source, target in NAMES if source in row and target in row), None)
    if by_name:
        return by_name
    languages = [name for name in row if is_language(name)]
    return (languages[0], languages[1]) if len(languages) == 2 else ()
