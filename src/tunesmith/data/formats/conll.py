"""CoNLL columns: one word a line with its tag, a blank line after each sentence, `-DOCSTART-` before each document."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError, Where, shorten
from tunesmith.core.notes import Note
from tunesmith.core.wording import does
from tunesmith.data.formats.base import Content, FileFormat, Found, Written
from tunesmith.data.formats.words import Ready, as_tokens
from tunesmith.data.table import Table

DOCSTART = "-DOCSTART-"
TAG = re.compile(r"[BIESLUM]-\S+|[BIO]")
SPACE = re.compile(r"[\t\r\n]+|^ +| +$")
BLANKS = " \t\r"
FEW_LINES = 3
NO_TAG = "a word without a tag"
OTHER_LINES = "line of several words or of none left out"
UNEVEN = "more or fewer columns than most lines have"

Line = tuple[int, list[str]]


@dataclass
class Block:
    """The lines of one sentence, and the number of the document it is in (0 before the first).

    `spaced` are the numbers of those that have spaces, not tabs, between their columns.
    """

    document: int
    lines: list[Line] = field(default_factory=list)
    spaced: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class Layout:
    """Where things are in a line.

    Attributes:
        n_columns: how many columns most lines have.
        word: index of the word's column; 1 where the words of each sentence are numbered.
        tagged: whether there is a tag: the last column.
        tags: what stands there in lines with that many columns.
    """

    n_columns: int
    word: int
    tagged: bool
    tags: frozenset[str] = frozenset()


class Conll(FileFormat):
    """One word a line; the first column is the word, the last its tag."""

    name = "conll"
    title = "CoNLL columns"
    task = "token-classification"
    columns = ("tokens", "tags")
    suffixes = (".conll", ".conll03", ".conll2003", ".conll2000", ".conllu", ".bio", ".iob", ".iob2", ".bioes", ".ner")

    def sniff(self, content: Content, *, sure: bool) -> bool:
        """Whether a file is named so, begins a document, or has short lines that end in B-, I- or O tags."""
        if content.name.lower().endswith(self.suffixes) or any(line.startswith(DOCSTART) for line in content.head[:50]):
            return True
        found = [fields for line in content.head if (fields := fields_of(line))]
        blank = len(found) < len(content.head) - 1
        if len(found) < FEW_LINES or not (blank or not sure):
            return False
        n_columns, n = Counter(map(len, found)).most_common(1)[0]
        tagged = sum(len(fields) == n_columns and TAG.fullmatch(fields[-1]) is not None for fields in found)
        has_entity = any("-" in fields[-1] or fields[-1] == "B" for fields in found)
        alike = 2 <= n_columns <= 12 and n >= 0.9 * len(found)
        return alike and ((tagged >= 0.95 * n and has_entity) or (not sure and blank and self._few_tags(found)))

    def _few_tags(self, found: Sequence[Sequence[str]]) -> bool:
        """Whether the last column says one of a few things over and over, as parts of speech do."""
        return len({fields[-1] for fields in found}) < 0.1 * len(found)

    def read(self, content: Content) -> Found:
        """Return `tokens` and `tags` of each sentence, and `doc` where documents are marked.

        Other columns are kept under their number: `column2`, `column3`.
        """
        blocks, n_comments = blocks_of(content)
        layout = layout_of(blocks, content.file)
        found = Found((content.file,))
        for block in blocks:
            _add(found, block, layout, with_document=blocks[-1].document > 0)
        n_others = sum(entry.reason == OTHER_LINES for entry in found.entries)
        found.notes += _notes(content.file, layout, n_comments, n_others)
        return found

    def write(self, table: Table, out: Path) -> Written:
        """Return one file: word, other columns, tag, with a tab between them."""
        ready = as_tokens(table, self.title)
        table = _writable(ready)
        others = sorted((name for name in table.columns if re.fullmatch(r"column\d+", name)), key=lambda n: int(n[6:]))
        documents = table.columns.get("doc", [None] * len(table))
        parts: list[str] = []
        before: object = None
        for i, tokens in enumerate(table["tokens"]):
            if documents[i] is not None and (i == 0 or documents[i] != before):
                parts.append("\t".join([DOCSTART, *["-X-"] * len(others), "O"]) + "\n\n")
            before = documents[i]
            columns = [tokens, *(_column(table[name][i], len(tokens)) for name in others), table["tags"][i]]
            parts.append("".join("\t".join(fields) + "\n" for fields in zip(*columns, strict=True)) + "\n")
        notes = [*ready.notes, *self.kept(table, "tokens", "tags", "doc", *others)]
        return Written({out: "".join(parts)}, ready.entries, notes)


def _column(cell: Any, n_words: int) -> list[str]:
    """Return another column of a sentence; where the row has none that fits, "_" for each word."""
    return list(map(str, cell)) if isinstance(cell, list) and len(cell) == n_words else ["_"] * n_words


def _writable(ready: Ready) -> Table:
    """Return the table with words that fit into a column: no tabs or line breaks, and never nothing."""
    columns = []
    for i, tokens in enumerate(ready.table["tokens"]):
        written = [SPACE.sub(" ", token).strip(" ") or "_" for token in tokens]
        if written != list(tokens):
            ready.enter(
                i, "changed", "white space in a word", ", ".join(repr(t) for t in tokens if SPACE.search(t) or not t)
            )
        columns.append(written)
    return ready.table.replace(tokens=columns)


def fields_of(line: str) -> list[str]:
    """Return a line's columns: between tabs where it has any (words may hold spaces then), else between spaces."""
    if " " not in line:
        return [part for part in line.split("\t") if part]
    line = line.strip(BLANKS)
    if "\t" not in line:
        return [part for part in line.split(" ") if part]
    return [part.strip(" ") for part in line.split("\t") if part.strip(" ")]


def blocks_of(content: Content) -> tuple[list[Block], int]:
    """Return the sentences of a file, and how many comment lines were passed over."""
    lines = content.lines()
    is_comment = _comment_test([fields_of(line) for _, line in lines[:2000]])
    blocks, n_comments, document = [Block(0)], 0, 0
    for number, line in lines:
        fields = fields_of(line)
        if not fields or fields[0] == DOCSTART:
            document += bool(fields)
            blocks.append(Block(document))
        elif line[0] == "#" and is_comment(fields):
            n_comments += 1
        else:
            blocks[-1].lines.append((number, fields))
            if "\t" not in line.strip(BLANKS):
                blocks[-1].spaced.add(number)
    return [block for block in blocks if block.lines], n_comments


def _comment_test(head: Sequence[Sequence[str]]) -> Callable[[Sequence[str]], bool]:
    """Return what tells comments from words that begin with "#": words have as many columns as others, and a tag."""
    plain = [fields for fields in head if fields and not fields[0].startswith("#")]
    width = Counter(map(len, plain)).most_common(1)[0][0] if plain else 0
    tags = {fields[-1] for fields in plain}

    def is_comment(fields: Sequence[str]) -> bool:
        tagged = width == 1 or fields[-1] in tags or TAG.fullmatch(fields[-1]) is not None
        return len(fields) != width or not tagged

    return is_comment


def layout_of(blocks: Sequence[Block], file: str) -> Layout:
    """Return how most lines are built.

    Raises:
        DataError: there are no words.
    """
    head = [fields for block in blocks[:2000] for _, fields in block.lines]
    if not head:
        raise DataError("there are no words in it", where=Where(file), fix="give a file with one word and tag a line")
    width = Counter(map(len, head)).most_common(1)[0][0]
    numbered = width > 2 and sum(map(_counts, blocks[:200])) > 0.9 * len(blocks[:200])
    lines = [fields for block in blocks for _, fields in block.lines]
    tags = frozenset(fields[-1] for fields in lines if len(fields) == width)
    return Layout(width, int(numbered), width - int(numbered) > 1, tags)


def _counts(block: Block) -> bool:
    """Whether the first column numbers the words of a sentence; ids such as 3-4 or 5.1 (CoNLL-U) come between."""
    numbers = [fields[0] for _, fields in block.lines if fields[0].isdigit()]
    wanted = [str(i) for i in range(1, len(numbers) + 1)]
    from_zero = [str(i) for i in range(len(numbers))]
    others = [fields[0] for _, fields in block.lines if not fields[0].isdigit()]
    return numbers in (wanted, from_zero) and all(re.fullmatch(r"\d+[-.]\d+", other) for other in others)


def _add(found: Found, block: Block, layout: Layout, *, with_document: bool) -> None:
    """Add one sentence, or set it aside if a word of it has no tag."""
    lines, others = block.lines, []
    if layout.word:
        lines = [(number, fields) for number, fields in lines if fields[0].isdigit()]
        others = [fields for _, fields in block.lines if not fields[0].isdigit()]
    for number, fields in lines:
        if reason := _odd(fields, layout, spaced=number in block.spaced):
            found.say("set aside", reason, lines[0][0], f"line {number}: {shorten(' '.join(fields))}")
            return
    if others:
        found.say("changed", OTHER_LINES, lines[0][0], "; ".join(" ".join(fields) for fields in others))
    uneven = [f"line {n}: {shorten(' '.join(fields))}" for n, fields in lines if len(fields) != layout.n_columns]
    if uneven:
        found.say("changed", UNEVEN, lines[0][0], "; ".join(uneven))
    row: dict[str, object] = {"tokens": [fields[layout.word] for _, fields in lines]}
    if layout.tagged:
        row["tags"] = [sys.intern(fields[-1]) for _, fields in lines]
    for i in range(layout.word + 1, layout.n_columns - 1):
        row[f"column{i + 1}"] = [sys.intern(fields[i]) if i < len(fields) - 1 else "_" for _, fields in lines]
    if with_document:
        row["doc"] = block.document
    found.rows.append((lines[0][0], row))


def _odd(fields: Sequence[str], layout: Layout, *, spaced: bool) -> str:
    """Return why a line can't be a word and its tag, "" if it can.

    With more or fewer columns than most lines have, its last is a tag if it is one elsewhere, or looks so. With more
    of them between spaces, the word itself may hold a space.
    """
    if len(fields) < layout.word + 1 + layout.tagged:
        return NO_TAG
    if len(fields) > layout.n_columns and (spaced or not layout.tagged):
        return "more columns than most lines have"
    if not layout.tagged or len(fields) == layout.n_columns:
        return ""
    return "" if fields[-1] in layout.tags or TAG.fullmatch(fields[-1]) else NO_TAG


def _notes(file: str, layout: Layout, n_comments: int, n_others: int) -> Iterator[Note]:
    if layout.tagged and layout.n_columns > layout.word + 2:
        message = f"{file}: words are column {layout.word + 1}, tags column {layout.n_columns} of {layout.n_columns}"
        yield Note("info", "columns", message)
    if n_comments:
        message = does(
            n_comments, "line", "begins with # and is taken as a comment", "begin with # and are taken as comments"
        )
        yield Note("info", "comments", f"{file}: {message}")
    if n_others:
        have = does(n_others, "sentence", "has", "have")
        message = f"{have} lines of several words (1-2) or of none (5.1), which are left out"
        yield Note("info", "lines left out", f"{file}: {message}")
