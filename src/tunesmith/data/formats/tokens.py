"""Rows that hold lists of words and of tags, as Hugging Face data sets do."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError, Where
from tunesmith.core.notes import Note
from tunesmith.core.wording import does
from tunesmith.data.formats.base import Found, Numbered, RowFormat, Written, extras, first_key, json_lines
from tunesmith.data.formats.places import TOKENS
from tunesmith.data.formats.words import TAGS, UNEQUAL, as_tokens
from tunesmith.data.table import Table

LITERAL = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|-?\d+""", re.DOTALL)
"""One item of a list written as text."""


class Tokens(RowFormat):
    """`tokens` and `tags`, lists of the same length; in CSV files written as Python or JSON lists."""

    name = "tokens"
    title = "words with tags"
    task = "token-classification"
    columns = ("tokens", "tags")

    def sniff(self, rows: Sequence[Mapping[str, Any]], *, sure: bool) -> bool:
        """Whether most cells are lists of one length; with `sure`, only if they are written as text."""
        names = [(first_key(row, TOKENS), first_key(row, TAGS)) for row in rows]
        if not rows or any(token is None or tag is None for token, tag in names):
            return False
        cells = [(row[token], row[tag]) for row, (token, tag) in zip(rows, names, strict=True) if token and tag]
        if sure and all(isinstance(words, list) for words, _ in cells):
            return False
        lists = [(_list(words), _list(tags)) for words, tags in cells]
        return sum(bool(words and tags and len(words) == len(tags)) for words, tags in lists) > 0.5 * len(rows)

    def read(self, rows: Iterable[Numbered], file: str) -> Found:
        """Return `tokens` and the tags under their own name; rows whose lists differ in length are set aside."""
        rows = list(rows)
        token = next((name for name in TOKENS if any(row.get(name) is not None for _, row in rows)), None)
        tag = next((name for name in TAGS if any(row.get(name) is not None for _, row in rows)), None)
        if token is None:
            fix = 'each row needs "tokens": [...] and "tags": [...]'
            raise DataError("there is no column with words", where=Where(file), fix=fix)
        found = Found((file,))
        if n := sum(bool(row.get("spans")) for _, row in rows):
            message = f"{file}: {does(n, 'row', 'has', 'have')} spans, too; words and their tags are used"
            found.notes.append(Note("warning", "spans", message, n_rows=n))
        for number, row in rows:
            words, tags = _list(row.get(token)), _list(row.get(tag)) if tag else None
            if not words:
                found.say("set aside", "no words", number)
            elif tag and (tags is None or len(tags) != len(words)):
                n_tags = 0 if tags is None else len(tags)
                found.say("set aside", UNEQUAL, number, f"{len(words)} words, {n_tags} tags")
            else:
                rest = extras(row, token, str(tag), "tokens", "spans")
                found.rows.append((number, {"tokens": list(map(str, words)), **({tag: tags} if tag else {}), **rest}))
        return found

    def write(self, table: Table, out: Path) -> Written:
        """Return JSON Lines with `tokens`, `tags`, and all other columns."""
        ready = as_tokens(table, self.title)
        rows = [ready.table.row(i) for i in range(len(ready.table))]
        lines = [{name: value for name, value in row.items() if value is not None} for row in rows]
        return Written({out: json_lines(lines)}, ready.entries, ready.notes)


def _list(cell: Any) -> list[Any] | None:
    """Return a cell as a list; text is read as a list as Python, JSON or NumPy write it."""
    if isinstance(cell, list):
        return cell
    if not isinstance(cell, str) or not (cell.strip().startswith("[") and cell.strip().endswith("]")):
        return None
    inner = cell.strip()[1:-1]
    literals = LITERAL.findall(inner)
    between = {gap.strip() for gap in LITERAL.split(inner)}
    if not between <= {"", ","}:
        return None
    try:
        return [ast.literal_eval(literal) for literal in literals]
    except (ValueError, SyntaxError):
        return None
