"""Prompts with their completions, also as an instruction with an input and an output."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError, Where
from tunesmith.data.formats.base import Found, Numbered, RowFormat, Written, extras, first_key, json_lines
from tunesmith.data.formats.turns import as_prompts
from tunesmith.data.table import Table

PROMPTS = ("prompt", "instruction", "question", "input", "query")
COMPLETIONS = ("completion", "response", "output", "answer", "target")
INPUTS = ("input", "context")
"""What an instruction is about."""
CERTAIN = ("prompt", "instruction")
"""Names of prompts that mean nothing else; a question needs an answer and nothing beside it."""


def certain_columns(names: Iterable[str]) -> tuple[str, str] | None:
    """Return the columns of prompts and completions where their names leave no doubt."""
    there = set(names)
    if there - {"id"} == {"question", "answer"}:
        return "question", "answer"
    prompt = next((name for name in CERTAIN if name in there), None)
    completion = next((name for name in COMPLETIONS if name in there), None)
    return (prompt, completion) if prompt and completion else None


class Prompts(RowFormat):
    """`prompt` and `completion`, or what else they are called; an `input` follows its `instruction`, or a `context`."""

    name = "prompts"
    title = "prompts with completions"
    task = "text-generation"
    columns = ("prompt", "completion")

    def sniff(self, rows: Sequence[Mapping[str, Any]], *, sure: bool) -> bool:
        """Whether prompts are wanted, and most rows have both, or an instruction that is to be followed.

        Where nothing says that prompts are wanted, columns of these names may be texts and labels.
        """
        both = [row for row in rows if first_key(row, PROMPTS) and (_completion(row) or row.get("instruction"))]
        return len(both) > 0.5 * len(rows) and not sure

    def read(self, rows: Iterable[Numbered], file: str) -> Found:
        """Return `prompt`, `completion` where any row has one, and what else the rows have."""
        numbered, found = list(rows), Found((file,))
        are_answered = any(_answer(row) for _, row in numbered)
        if not any(first_key(row, (*PROMPTS, *COMPLETIONS)) for _, row in numbered):
            where, fix = Where(file, numbered[0][0] if numbered else 0), 'each row needs "prompt" and "completion"'
            raise DataError("there are no prompts with completions", where=where, fix=fix)
        for number, row in numbered:
            prompt, completion = first_key(row, PROMPTS), _completion(row)
            inputs = [name for name in INPUTS if prompt == "instruction" and name != completion]
            texts = [str(row[name]) for name in (prompt or "", *inputs) if row.get(name) not in (None, "")]
            answer = {"completion": _answer(row)} if are_answered else {}
            if any(isinstance(row.get(str(name)), list | dict) for name in (prompt, *inputs, completion)):
                found.say("set aside", "a list where a text is wanted", number)
            elif not any(text.strip() for text in texts):
                found.say("set aside", "no prompt", number)
            elif are_answered and not answer["completion"].strip():
                found.say("set aside", "no completion", number)
            else:
                if len(texts) > 1:
                    found.say("changed", "input put after its instruction", number, texts[1])
                rest = extras(row, "prompt", "completion", str(prompt), str(completion), *inputs)
                found.rows.append((number, {"prompt": "\n\n".join(texts), **answer, **rest}))
        return found

    def write(self, table: Table, out: Path) -> Written:
        """Return JSON Lines with `prompt`, `completion` and all other columns."""
        ready = as_prompts(table, self.title)
        rows = [ready.table.row(i) for i in range(len(ready.table))]
        return Written({out: json_lines(extras(row) for row in rows)}, ready.entries, ready.notes)


def _completion(row: Mapping[str, Any]) -> str | None:
    return first_key(row, COMPLETIONS)


def _answer(row: Mapping[str, Any]) -> str:
    """Return the completion of a row, "" if it has none."""
    return str(row[name]) if (name := _completion(row)) else ""
