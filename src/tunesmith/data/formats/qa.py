"""Questions in flat rows: question, context and answers, in JSON Lines, CSV or Parquet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError, Where
from tunesmith.data.formats.answers import STARTS, Questions, answers_of
from tunesmith.data.formats.base import Found, Numbered, RowFormat, Written, extras, first_key, json_lines
from tunesmith.data.table import Table

CONTEXTS = ("context", "passage", "paragraph", "article")
QUESTIONS = ("question", "query")
ANSWERS = ("answers", "answer", "answer_text", "answers.text")
IMPOSSIBLE = ("is_impossible", "impossible", "unanswerable")


class Qa(RowFormat):
    """One question a row; `answers` as Hugging Face writes them, or the answer's text with or without its offset."""

    name = "qa"
    title = "questions with their contexts"
    task = "question-answering"
    columns = ("context", "question")

    def sniff(self, rows: Sequence[Mapping[str, Any]], *, sure: bool) -> bool:
        """Whether most rows have a question and a context, and most answers are pieces of it.

        With `sure`, most answers must have offsets: the text of an answer alone may be a label.
        """
        asked = [row for row in rows if first_key(row, QUESTIONS) and first_key(row, CONTEXTS)]
        answered = [(_context(row), answers_of(_answers(row))) for row in asked if _answers(row)]
        answered = [(context, answers) for context, answers in answered if answers]
        n_inside = sum(any(text.strip() in context for text, _ in answers) for context, answers in answered)
        starts = [start is not None for _, answers in answered for _, start in answers]
        placed = not sure or sum(starts) > 0.5 * len(starts)
        return len(asked) > 0.5 * len(rows) and placed and n_inside > 0.5 * len(answered)

    def read(self, rows: Iterable[Numbered], file: str) -> Found:
        """Return `id`, `title`, `context`, `question`, `answers`, and what else the rows have."""
        rows = list(rows)
        head = {name for _, row in rows for name in row}
        columns = {what: _name(head, names) for what, names in (("context", CONTEXTS), ("question", QUESTIONS))}
        for what, name in columns.items():
            if not name:
                raise DataError(f"there is no column with the {what}", where=Where(file), fix=f'call it "{what}"')
        known = (*columns.values(), *ANSWERS, *IMPOSSIBLE, "answers.answer_start", *STARTS, "id")
        questions = Questions(Found((file,)))
        has_answers = bool(head & set(ANSWERS))
        for number, row in rows:
            kept: dict[str, Any] = {"id": str(row.get("id") or number)}
            kept |= {what: row.get(name) for what, name in columns.items()} | extras(row, *known)
            given = _answers(row) if has_answers else None
            questions.add(number, kept, given, impossible(row))
        questions.close()
        return questions.found

    def write(self, table: Table, out: Path) -> Written:
        """Return JSON Lines with answers as Hugging Face has them, and all other columns."""
        self.need(table)
        lines = []
        for row in map(table.row, range(len(table))):
            answers = row.get("answers")
            line = extras(row, "answers")
            if answers is not None:
                texts, starts = [a["text"] for a in answers], [a["start"] for a in answers]
                line["answers"] = {"text": texts, "answer_start": starts}
            lines.append(line)
        return Written({out: json_lines(lines)})


def _name(names: Iterable[str], wanted: Sequence[str]) -> str:
    present = set(names)
    return next((name for name in wanted if name in present), "")


def _context(row: Mapping[str, Any]) -> str:
    return str(row[first_key(row, CONTEXTS) or ""])


def _answers(row: Mapping[str, Any]) -> Any:
    """Return a row's answers with their offsets, where these are in another column."""
    name = first_key(row, ANSWERS)
    if name is None:
        return []
    starts = "answers.answer_start" if name == "answers.text" else first_key(row, STARTS)
    given = answers_of(row[name])
    if starts is not None and all(start is None for _, start in given):
        return {"text": [text for text, _ in given], "answer_start": row.get(starts)}
    return row[name]


def impossible(row: Mapping[str, Any]) -> bool | None:
    """Return what a row says about there being an answer, also as text."""
    name = first_key(row, IMPOSSIBLE)
    value = str(row[name]).strip().casefold() if name else ""
    return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(value)
