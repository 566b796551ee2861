"""Columns of conversations: which ones they are, what of them can be read, and roles that mean nothing."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tunesmith.core.errors import DataError
from tunesmith.core.notes import Note
from tunesmith.core.wording import count
from tunesmith.data.formats.chat import KNOWN_ROLES, conversation_of, is_chat
from tunesmith.data.formats.choose import HEAD_ROWS
from tunesmith.data.table import Table


def are_chats(cells: Sequence[Any]) -> bool:
    """Whether most of the first cells that hold something are lists of messages."""
    filled = list(itertools.islice((cell for cell in cells if cell), HEAD_ROWS))
    return sum(map(is_chat, filled)) > 0.5 * len(filled)


def read_conversation(cell: Any) -> list[dict[str, Any]]:
    """Return the messages of a cell; a text is the user's.

    Raises:
        DataError: one of them can't be read.
    """
    try:
        return conversation_of(cell)
    except ValueError as error:
        fix = 'give messages with a role and a text: [{"role": "user", "content": "..."}]'
        raise DataError(str(error), fix=fix) from None


def other_roles(cells: Sequence[Any]) -> list[Note]:
    """Say which roles there are that chat templates mostly don't know: nothing of them is learnt."""
    counts: Counter[str] = Counter()
    for cell in cells:
        messages = cell if isinstance(cell, list) else ()
        roles = (one.get("role") for one in messages if isinstance(one, Mapping))
        counts.update({role for role in roles if isinstance(role, str)} - KNOWN_ROLES)
    if not counts:
        return []
    shown = ", ".join(f'"{role}" in {count(n, "row")}' for role, n in counts.most_common(8))
    message = f"roles that few chat templates know, of which nothing is learnt: {shown}"
    return [Note("warning", "roles", message, fix='call the role that is to be learnt "assistant"')]


@contextmanager
def placed(table: Table, row: int) -> Iterator[None]:
    """Say of an error inside the `with` which row it is about."""
    try:
        yield
    except DataError as error:
        problem = error.problems[0]
        raise type(error)(problem.message, where=table.where(row), fix=problem.fix) from None
