"""Conversations as a model's chat template writes them, and which parts of the text the assistant says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import TemplateError

from tunesmith.core.errors import DataError

Messages = Sequence[Mapping[str, Any]]
Spans = list[tuple[int, int]]
FOLLOW = "give the conversation the roles, and the order of roles, that this model was made for"


class RefusedError(DataError):
    """A template does not write a conversation: another role, or another order of roles, than it was made for."""


def written(messages: Messages, plain: Any, *, asks: bool = False) -> str:
    """Return a conversation as text; with `asks`, up to where the assistant speaks next.

    Raises:
        RefusedError: the template of the tokenizer `plain` does not write it.
    """
    try:
        text: str = plain.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=asks)
    except (TemplateError, TypeError, ValueError) as error:
        raise RefusedError(f"this model's chat template refuses the conversation: {error}", fix=FOLLOW) from None
    return text


def with_spans(messages: Messages, plain: Any) -> tuple[str, Spans]:
    """Return a conversation as text, and where the assistant speaks.

    Raises:
        RefusedError: the template does not write it.
        DataError: the template writes a turn differently when others follow it.
    """
    spans = []
    whole = written(messages, plain)
    for i, message in enumerate(messages):
        if message["role"] == "assistant":
            after = written(messages[: i + 1], plain)
            before = written(messages[:i], plain, asks=True) if i else _opening(after, messages[:1], plain)
            if not whole.startswith(after.rstrip()) or not after.startswith(before):
                fix = "give each turn as a conversation of its own"
                raise DataError("this model's chat template rewrites earlier turns", fix=fix)
            spans.append((len(before), len(after.rstrip())))
    return whole, spans


def _opening(after: str, first: Messages, plain: Any) -> str:
    """Return what stands before the words of an assistant who speaks first: up to what else asks it to speak."""
    asked = written(first, plain, asks=True)
    cue = asked[len(after) :] if asked.startswith(after) else ""
    if not cue or cue not in after:
        message = "this model's chat template refuses the conversation: the assistant speaks first"
        raise RefusedError(message, fix=FOLLOW)
    return after[: after.index(cue) + len(cue)]
