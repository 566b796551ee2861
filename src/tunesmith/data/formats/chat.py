"""Conversations: `messages` of a role and a content, or ShareGPT's `conversations` of from and value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError, Where
from tunesmith.data.formats.base import Found, Numbered, RowFormat, Written, extras, json_lines
from tunesmith.data.formats.turns import as_messages
from tunesmith.data.table import Table

CELLS = ("messages", "conversations", "conversation", "dialog", "dialogue")
ROLES = {"human": "user", "gpt": "assistant", "bot": "assistant", "model": "assistant", "chatgpt": "assistant"}
KNOWN_ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})
"""Roles that chat templates know, if not each of them all."""


class Chat(RowFormat):
    """One conversation a row."""

    name = "chat"
    title = "conversations"
    task = "text-generation"
    columns = ("messages",)

    def sniff(self, rows: Sequence[Mapping[str, Any]], *, sure: bool) -> bool:
        """Whether most rows that hold anything there have a list of objects with a role and a content."""
        del sure
        cells = [cell for row in rows if (cell := next((row[name] for name in CELLS if row.get(name)), None))]
        return sum(map(is_chat, cells)) > 0.5 * len(cells)

    def read(self, rows: Iterable[Numbered], file: str) -> Found:
        """Return `messages`, a list of {"role", "content"}; a separate system prompt becomes the first of them."""
        found = Found((file,))
        numbered = list(rows)
        if numbered and not any(_name(row) for _, row in numbered):
            fix = 'each row needs "messages": [{"role": "user", "content": "..."}, ...]'
            raise DataError("there is no column with messages", where=Where(file, numbered[0][0]), fix=fix)
        for number, row in numbered:
            name = _name(row)
            system = row.get("system") if isinstance(row.get("system"), str) else ""
            first = [{"role": "system", "content": system}] if system else []
            try:
                messages = conversation_of(row[name]) if name else []
            except ValueError as error:
                found.say("set aside", str(error), number)
                continue
            if messages:
                rest = extras(row, "messages", name, *(["system"] if system else []))
                found.rows.append((number, {"messages": [*first, *messages], **rest}))
            else:
                found.say("set aside", "no messages", number)
        return found

    def write(self, table: Table, out: Path) -> Written:
        """Return JSON Lines with `messages` and all other columns."""
        ready = as_messages(table, self.title)
        rows = [ready.table.row(i) for i in range(len(ready.table))]
        return Written({out: json_lines(extras(row) for row in rows)}, ready.entries, ready.notes)


def _name(row: Mapping[str, Any]) -> str:
    """Return the column of a row's messages, "" if it has none."""
    return next((name for name in CELLS if isinstance(row.get(name), list)), "")


def is_chat(cell: Any) -> bool:
    """Whether a cell is a list of objects with a role and a content, whatever these hold."""
    return isinstance(cell, list) and bool(cell) and all(isinstance(one, Mapping) and _keys(one) for one in cell)


def _keys(message: Mapping[str, Any]) -> tuple[str, str] | None:
    for role, content in (("role", "content"), ("from", "value")):
        if role in message and content in message:
            return role, content
    return None


def conversation_of(cell: Any) -> list[dict[str, Any]]:
    """Return the messages of a cell: a list of them, or one text, which is the user's; none of an empty cell.

    Raises:
        ValueError: one of them can't be read; says why in a short phrase.
    """
    if isinstance(cell, list | tuple):
        return [message_of(one) for one in cell]
    return [] if cell is None else [{"role": "user", "content": str(cell)}]


def message_of(message: Any) -> dict[str, Any]:
    """Return one message as {"role", "content"}; other keys, such as a name, are kept.

    Raises:
        ValueError: it has no role, or holds something other than text; says why in a short phrase.
    """
    keys = _keys(message) if isinstance(message, Mapping) else None
    if keys is None or not isinstance(message[keys[0]], str) or not message[keys[0]].strip():
        raise ValueError("a message without role and content")
    content = message[keys[1]]
    if isinstance(content, list):
        if not all(isinstance(part, Mapping) and isinstance(part.get("text"), str) for part in content):
            raise ValueError("a message that holds something other than text")
        content = "".join(part["text"] for part in content)
    if not isinstance(content, str):
        raise ValueError("a message without text")
    role = message[keys[0]].strip().casefold()
    return {"role": ROLES.get(role, role), "content": content, **extras(message, *keys)}
