"""Plain text: a paragraph a row."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from tunesmith.core.ledger import Entry
from tunesmith.core.notes import Note
from tunesmith.data.formats.base import Content, FileFormat, Found, Written
from tunesmith.data.table import Table

WIDEST = 100
"""Text broken by hand or by a program into lines hardly has longer ones."""
FULL = 0.9
"""Share of the width that a line and the next one's first word take up where it was broken for want of room."""
SENTENCE_END = re.compile(r"[.!?:…。！？][\"'”’»)\]]*\s*$")  # noqa: RUF001
BLANK_LINES = re.compile(r"\n\s*\n")


class Text(FileFormat):
    """A line is a paragraph; where lines are broken at a width, all lines up to a blank one are."""

    name = "text"
    title = "plain text"
    task = "text-generation"
    columns = ("text",)
    suffixes = (".md",)

    def sniff(self, content: Content, *, sure: bool) -> bool:
        """Whether text is wanted, and the file is called one."""
        return not sure and content.name.lower().endswith((".txt", ".text", ".md"))

    def read(self, content: Content) -> Found:
        """Return `text`, one paragraph a row; its number is the paragraph's first line."""
        found = Found((content.file,))
        broken = is_broken(content.head)
        found.rows = [(number, {"text": text}) for number, text in _paragraphs(content, broken)]
        what = "blank lines end a paragraph" if broken else "every line is a paragraph"
        found.notes.append(Note("info", "paragraphs", f"{content.file}: {what}"))
        return found

    def write(self, table: Table, out: Path) -> Written:
        """Return one paragraph a line, a blank line after each."""
        self.need(table)
        written = Written({}, notes=self.kept(table, "text"))
        parts = []
        for i, text in enumerate(table["text"]):
            if "\n" in text:
                where = table.where(i)
                written.entries.append(Entry("changed", "line break became a space", where.file, where.row))
            parts.append(re.sub(r"\s*\n\s*", " ", text).strip() + "\n\n")
        written.files[out] = "".join(parts)
        return written


def is_broken(head: list[str]) -> bool:
    """Whether lines end at a width, not with a paragraph: blocks of short, full lines that end amid a sentence."""
    lines = [line for line in head if line.strip()]
    blocks = [block.split("\n") for block in BLANK_LINES.split("\n".join(head).strip())]
    inner = [pair for block in blocks for pair in pairwise(block)]
    if len(lines) < 3 or len(blocks) < 2 or not inner:
        return False
    width = statistics.quantiles(map(len, lines), n=20)[-1]
    amid = sum(SENTENCE_END.search(line) is None for line, _ in inner)
    full = sum(len(line) + 1 + len(next_line.split()[0]) > FULL * width for line, next_line in inner)
    enough = len(inner) >= 0.5 * (len(lines) - len(inner))
    return width <= WIDEST and enough and min(amid, full) > 0.5 * len(inner)


def _paragraphs(content: Content, broken: bool) -> Iterator[tuple[int, str]]:
    """Yield (first line, text)."""
    block: list[tuple[int, str]] = []
    for number, line in [*content.lines(), (0, "")]:
        if block and (not line.strip() or not broken):
            yield block[0][0], " ".join(text for _, text in block)
            block = []
        if line.strip():
            block.append((number, line.strip() if broken else line.rstrip()))
