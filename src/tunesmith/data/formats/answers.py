"""Answers that are pieces of a context: each one stands where it says, or is mended, or is lost."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunesmith.core.notes import Note
from tunesmith.core.wording import count, does
from tunesmith.data.formats.base import Found, extras, literal
from tunesmith.data.locate import locate, places

LOST = "answer not in the context"
ARRAY = re.compile(r"array\((\[.*?\])(?:, dtype=\w+)?\)", re.DOTALL)
STARTS = ("answer_start", "start", "answer_starts", "offset")


@dataclass
class Questions:
    """Collects the questions of one file.

    Attributes:
        found: what becomes of them.
        n_silent: questions without an answer that don't say that there is none.
        ids: ids so far, to tell repeated ones.
        others: how many answers say something beside their text and offset, by its name.
    """

    found: Found
    n_silent: int = 0
    ids: dict[str, int] = field(default_factory=dict)
    others: Counter[str] = field(default_factory=Counter)

    def add(self, number: int, row: Mapping[str, Any], answers: Any, impossible: bool | None) -> None:
        """Add a question with its answers in the context, or set it aside with the reason.

        Args:
            number: the row's number.
            row: its columns, `context` and `question` among them.
            answers: as they are written; None where the data has none, for prediction.
            impossible: what the data says about there being an answer; None where it says nothing.
        """
        context, question = row.get("context"), row.get("question")
        for name, value in (("context", context), ("question", question)):
            if not isinstance(value, str) or not value.strip():
                self.found.say("set aside", f"no {name}", number)
                return
        given = None if answers is None else answers_of(answers)
        if given is not None and impossible is not None and impossible == bool(given):
            self.found.say("set aside", "is_impossible contradicts the answers", number)
            return
        if given is not None:
            placed = self._placed(number, given, str(context))
            if given and not placed:
                return
            self.n_silent += not given and impossible is None
            row = {**row, "answers": placed}
            items = answers if isinstance(answers, list) else [answers]
            self.others.update(
                key for item in items if isinstance(item, Mapping) for key in extras(item, "text", *STARTS)
            )
        self.ids[str(row.get("id"))] = self.ids.get(str(row.get("id")), 0) + 1
        self.found.rows.append((number, dict(row)))

    def _placed(self, number: int, given: Sequence[tuple[str, int | None]], context: str) -> list[dict[str, Any]]:
        kept: list[dict[str, Any]] = []
        lost = []
        for text, start in given:
            placed = self._place(number, text, start, context)
            if placed is None:
                lost.append(f"{text!r} at {start}")
            else:
                kept.append(placed)
        for detail in lost if kept else lost[:1]:
            self.found.say("changed" if kept else "set aside", LOST, number, detail)
        return kept

    def _place(self, number: int, text: str, start: int | None, context: str) -> dict[str, Any] | None:
        place = locate(text, context, start)
        if place is None and start is None and places(text, context):
            self.found.say("changed", "answer occurs several times, the first is taken", number, text)
            place = places(text, context)[0]
        if place is None:
            return None
        inner = context[place[0] : place[1]]
        begin = place[0] + len(inner) - len(inner.lstrip())
        if start is not None and place[0] != start:
            self.found.say("changed", "answer moved", number, f"{text!r} {start} → {begin}")
        elif inner != text:
            self.found.say("changed", "answer spelled as in the context", number, f"{text!r} → {inner!r}")
        elif inner != inner.strip():
            self.found.say("changed", "white space around the answer", number, repr(text))
        return {"text": inner.strip(), "start": begin}

    def close(self) -> None:
        """Add what is to be said of all questions."""
        file = self.found.files[0]
        if self.n_silent:
            have = does(self.n_silent, "question", "has no answer", "have no answers")
            message = f"{file}: {have}, and nothing says why; taken as questions the context does not answer"
            self.found.notes.append(Note("info", "unanswerable", message, n_rows=self.n_silent))
        if self.others:
            shown = ", ".join(f'"{name}" of {count(n, "answer")}' for name, n in self.others.items())
            self.found.notes.append(Note("info", "left out", f"{file}: left out: {shown}"))
        repeated = sorted(key for key, n in self.ids.items() if n > 1)
        if repeated:
            have = does(len(repeated), "id", "stands", "stand")
            message = f"{file}: {have} for several questions: {', '.join(repeated[:5])}"
            self.found.notes.append(Note("warning", "repeated ids", message))


def answers_of(cell: Any) -> list[tuple[str, int | None]]:
    """Return (text, offset or None) of each answer in a cell, however it is written; blank texts are no answers."""
    if isinstance(cell, str):
        cell = _from_text(cell)
    if isinstance(cell, str):
        return [(cell, None)] if cell.strip() else []
    if isinstance(cell, Mapping):
        texts = _as_list(cell.get("text"))
        starts = _as_list(next((cell[name] for name in STARTS if name in cell), None))
        pairs = zip(texts, [*starts, *[None] * len(texts)], strict=False)
        return [(str(text), _number(start)) for text, start in pairs if str(text).strip()]
    if isinstance(cell, int | float):
        return [] if isinstance(cell, bool) else [(str(cell), None)]
    return [pair for item in cell or [] for pair in answers_of(item)]


def _from_text(cell: str) -> Any:
    """Return what a text cell of a CSV file means: JSON, or Python as pandas writes it, also with NumPy arrays."""
    if cell.strip()[:1] not in ("{", "["):
        return cell
    value = literal(ARRAY.sub(r"\1", cell))
    return cell if value is None else value


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _number(value: Any) -> int | None:
    try:
        return None if value is None or isinstance(value, bool) else int(value)
    except (TypeError, ValueError):
        return None
