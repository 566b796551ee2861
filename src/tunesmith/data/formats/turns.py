"""Text-generation rows in their two shapes: a prompt with its completion, and messages."""

from __future__ import annotations

from typing import Any

from tunesmith.core.errors import DataError, Where
from tunesmith.core.notes import Note
from tunesmith.data.formats.base import extras
from tunesmith.data.formats.words import Ready
from tunesmith.data.table import Table


def as_messages(table: Table, title: str) -> Ready:
    """Return rows with `messages`: a prompt is the user's, its completion the assistant's.

    Raises:
        DataError: the rows have neither shape.
    """
    if "messages" in table.columns:
        return Ready(table)
    _need(table, title, "prompt", "completion")
    pairs = zip(table["prompt"], table["completion"], strict=True)
    messages = [[{"role": "user", "content": p}, {"role": "assistant", "content": c}] for p, c in pairs]
    others = {name: values for name, values in table.columns.items() if name not in ("prompt", "completion")}
    return Ready(Table({"messages": messages, **others}, table.files, table.file_ids, table.row_numbers))


def as_prompts(table: Table, title: str) -> Ready:
    """Return rows with `prompt` and, but where they are only asked, `completion`; of conversations those of one turn.

    Raises:
        DataError: the rows have neither shape.
    """
    if "prompt" in table.columns and "messages" not in table.columns:
        return Ready(table)
    _need(table, title, "messages")
    ready = Ready(table)
    replaced = [name for name in ("prompt", "completion") if name in table.columns]
    if replaced:
        message = f"columns that {title} can't hold beside the messages are left out: {', '.join(replaced)}"
        ready.notes.append(Note("warning", "columns left out", message))
    kept, prompts, completions = [], [], []
    for i, messages in enumerate(table["messages"]):
        roles = [message["role"] for message in messages]
        if roles not in (["user", "assistant"], ["system", "user", "assistant"]):
            ready.enter(i, "set aside", "not one question and one answer", ", ".join(roles))
            continue
        others = list(dict.fromkeys(key for message in messages for key in extras(message, "role", "content")))
        if others:
            ready.enter(i, "changed", "other keys of messages left out", ", ".join(others))
        if len(messages) == 3:
            ready.enter(i, "changed", "system message put before the prompt", messages[0]["content"])
        kept.append(i)
        prompts.append("\n\n".join(message["content"] for message in messages[:-1]))
        completions.append(messages[-1]["content"])
    picked = table.take(kept)
    rest = extras(picked.columns, "messages", "prompt", "completion")
    columns: dict[str, Any] = {"prompt": prompts, "completion": completions, **rest}
    ready.table = Table(columns, picked.files, picked.file_ids, picked.row_numbers)
    return ready


def _need(table: Table, title: str, *names: str) -> None:
    missing = [name for name in names if name not in table.columns]
    if missing:
        shown = ", ".join(table.columns)
        message = f"{title} cannot be made of rows without {' and '.join(missing)}; the columns are {shown}"
        raise DataError(message, where=Where(table.files[0], column=missing[0]))
