"""Pairs of texts in a file with tabs, as corpora of translations have them: quotes are letters like any other."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

from tunesmith.core.errors import DataError, Where
from tunesmith.core.ledger import Entry
from tunesmith.core.notes import Note
from tunesmith.data.columns import LABEL_NAMES, TEXT_NAMES
from tunesmith.data.formats.base import Content, FileFormat, Found, Written
from tunesmith.data.formats.languages import is_language
from tunesmith.data.formats.pairs import LANGUAGES, NAMES, add, apart, by_languages, languages_lost
from tunesmith.data.table import Table

OTHER_NAMES = frozenset(
    [name.casefold() for name in (*TEXT_NAMES, *LABEL_NAMES, *itertools.chain(*NAMES))]
    + ["summary", "article", "highlights", "title", "headline", "id", "context", "prompt", "completion"]
)
"""What first lines hold that name columns."""
BREAKS = re.compile(r"[\t\r\n]+")


class Tsv(FileFormat):
    """`source TAB target`; a first line with the languages, or with source and target, names them."""

    name = "tsv"
    title = "pairs with a tab between them"
    task = "translation"
    columns = ("source", "target")

    def sniff(self, content: Content, *, sure: bool) -> bool:
        """Whether pairs are wanted, nearly all lines have a tab, and the first does not name other columns."""
        filled = [line for line in content.head if line.strip()]
        if sure or not filled or sum("\t" in line for line in filled) <= 0.9 * len(filled):
            return False
        header = [cell.strip() for cell in filled[0].split("\t")]
        return _names_pair(header) or not any(cell.casefold() in OTHER_NAMES or is_language(cell) for cell in header)

    def read(self, content: Content) -> Found:
        """Return `source` and `target`, and further columns by the name in the first line, else by number."""
        rows = [(number, line.split("\t")) for number, line in content.lines() if line.strip()]
        found, languages, names = Found((content.file,)), ("", ""), dict[int, str]()
        header = [cell.strip() for cell in rows[0][1]] if rows else []
        if _names_pair(header):
            languages = (header[0], header[1]) if is_language(header[0]) else ("", "")
            rows, names = rows[1:], dict(enumerate(header[2:], 3))
        if all(languages):
            message = f"{content.file}: the first line names the languages: {', '.join(languages)}"
            found.notes.append(Note("info", "languages", message))
        for number, cells in rows:
            if len(cells) < 2:
                found.say("set aside", "no tab in this line", number, cells[0])
            else:
                others = {names.get(i) or f"column{i}": cell for i, cell in enumerate(cells[2:], 3)}
                add(found, number, (cells[0], cells[1]), languages, others)
        if len(found.entries) > 0.5 * len(rows):
            first = found.entries[0]
            fix = "put a tab between each text and its counterpart"
            raise DataError(f"most lines are no pairs: {first.reason}", where=Where(content.file, first.row), fix=fix)
        return found

    def write(self, table: Table, out: Path) -> Written:
        """Return a file whose first line names the columns; of several pairs of languages, a file each."""
        self.need(table)
        written = Written({}, notes=self.kept(table, "source", "target", *LANGUAGES))
        written.notes += languages_lost(table, self.title)
        groups = by_languages(table)
        for languages, place in apart(out, groups).items():
            lines = ["\t".join(languages if all(languages) else NAMES[0])]
            for i in groups[languages]:
                texts = [table["source"][i], table["target"][i]]
                lines.append("\t".join(BREAKS.sub(" ", text) for text in texts))
                if any(map(BREAKS.search, texts)):
                    where = table.where(i)
                    written.entries.append(Entry("changed", "line break or tab became a space", where.file, where.row))
            written.files[place] = "\n".join(lines) + "\n"
        return written


def _names_pair(header: list[str]) -> bool:
    """Whether the first two cells of a file are the names of a pair, not a pair."""
    both = len(header) > 1 and header[0] != header[1] and all(map(is_language, header[:2]))
    return both or tuple(name.casefold() for name in header[:2]) in NAMES
