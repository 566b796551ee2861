"""TMX, the exchange format of translation memories, read without document types, entities or anything from outside."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from tunesmith.core.errors import DataError, Where
from tunesmith.core.ledger import Entry
from tunesmith.core.notes import Note
from tunesmith.data.formats.base import Content, FileFormat, Found, Written
from tunesmith.data.formats.pairs import LANGUAGES, add
from tunesmith.data.table import Table

CODES = frozenset({"bpt", "ept", "ph", "it", "ut"})
"""Elements inside a segment that hold formatting codes, not text."""
OTHERS = ("tu", "tuv", "prop", "note")
"""Elements of units that say more than is read: these themselves, or attributes beside READ."""
READ = ("xml:lang", "lang", "srclang")
ILLEGAL = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
UNKNOWN = ("und", "mul")
"""What stands for source and target where their languages are not known."""


@dataclass
class Unit:
    """One translation unit.

    Attributes:
        line: where it begins.
        source: its source language, "" where the header's is meant.
        texts: by language, in one spelling; the first where there are several.
        more: further texts in a language that has one already, each with its language.
        is_formatted: whether codes or highlighting were in a text.
    """

    line: int
    source: str = ""
    texts: dict[str, str] = field(default_factory=dict)
    more: list[tuple[str, str]] = field(default_factory=list)
    is_formatted: bool = False


class Tmx(FileFormat):
    """A unit a row; where there are several languages, the header's source language and the most frequent other one."""

    name = "tmx"
    title = "TMX"
    task = "translation"
    columns = ("source", "target")
    suffixes = (".tmx",)

    def sniff(self, content: Content, *, sure: bool) -> bool:
        """Whether a file begins with a `tmx` element."""
        del sure
        return "<tmx" in content.text[:4096] and content.text.lstrip("\ufeff \t\r\n").startswith("<")

    def read(self, content: Content) -> Found:
        """Return `source`, `target` and their languages; a row's number is the line of its unit."""
        reader = _Reader(content.file)
        reader.read(content.text)
        found = Found((content.file,))
        languages = _languages(reader, content.file)
        for unit in reader.units:
            _add(found, unit, languages)
        others = sorted({language for unit in reader.units for language in unit.texts} - set(languages))
        if others:
            shown = ", ".join(others)
            message = f"{content.file}: read from {languages[0]} to {languages[1]}; not used: {shown}"
            found.notes.append(Note("info", "languages", message))
        if reader.others:
            shown = ", ".join(f"{name} ({n:,})" for name, n in reader.others.most_common())
            found.notes.append(Note("info", "left out", f"{content.file}: left out: {shown}"))
        return found

    def write(self, table: Table, out: Path) -> Written:
        """Return one file of TMX 1.4; characters that XML does not allow are left out."""
        self.need(table)
        written = Written({}, notes=self.kept(table, "source", "target", *LANGUAGES))
        rows = [table.row(i) for i in range(len(table))]
        source = rows[0].get(LANGUAGES[0]) or UNKNOWN[0]
        parts = [
            '<?xml version="1.0" encoding="UTF-8"?>\n<tmx version="1.4">\n'
            f'<header creationtool="tunesmith" creationtoolversion="1" segtype="sentence" o-tmf="tunesmith" '
            f'adminlang="en" srclang={quoteattr(source)} datatype="plaintext"/>\n<body>\n'
        ]
        for i, row in enumerate(rows):
            if ILLEGAL.search(row["source"] + row["target"]):
                where = table.where(i)
                written.entries.append(Entry("changed", "character that XML does not allow", where.file, where.row))
            own = row.get(LANGUAGES[0]) or UNKNOWN[0]
            turned = "" if own == source else f" srclang={quoteattr(own)}"
            parts.append(f"<tu{turned}>{_variant(row, 0)}{_variant(row, 1)}</tu>\n")
        written.files[out] = "".join([*parts, "</body>\n</tmx>\n"])
        return written


def _add(found: Found, unit: Unit, languages: tuple[str, str]) -> None:
    """Add a unit's texts in two languages, and say what of it is not kept."""
    texts = (unit.texts.get(languages[0], ""), unit.texts.get(languages[1], ""))
    named = ("", "") if set(languages) <= set(UNKNOWN) else languages
    if not add(found, unit.line, texts, named, {}, detail=f"it has {', '.join(unit.texts) or 'no language'}"):
        return
    if unit.source and _key(unit.source) == _key(languages[1]):
        found.say("changed", "turned round", unit.line, f"its source is {unit.source}")
    if unit.is_formatted:
        found.say("changed", "formatting codes left out", unit.line)
    for text in [text for language, text in unit.more if language in languages]:
        found.say("changed", "second text in one language left out", unit.line, text)


def _key(language: str) -> str:
    """Return what spellings of a language's name have in common."""
    return language.replace("_", "-").casefold()


def _variant(row: Mapping[str, Any], side: int) -> str:
    language = row.get(LANGUAGES[side]) or UNKNOWN[side]
    text = ILLEGAL.sub("", row[("source", "target")[side]])
    return f"<tuv xml:lang={quoteattr(language)}><seg>{escape(text, {chr(13): '&#13;'})}</seg></tuv>"


class _Reader:
    """Collects the units of a file while it is parsed."""

    def __init__(self, file: str) -> None:
        self.units: list[Unit] = []
        self.others: Counter[str] = Counter()
        self.source = ""
        self._file = file
        self._language = ""
        self._spelled: Counter[str] = Counter()
        self._text: list[str] | None = None
        self._codes = 0
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.EntityDeclHandler = self._refuse
        self._parser.ExternalEntityRefHandler = self._refuse

    def read(self, text: str) -> None:
        """Parse a whole file.

        Raises:
            DataError: it is not XML, or declares entities.
        """
        try:
            self._parser.Parse(text, True)
        except expat.ExpatError as error:
            where = Where(self._file, error.lineno)
            raise DataError(
                f"not valid XML: {expat.ErrorString(error.code)}", where=where, fix="mend this line"
            ) from None
        self._spell()

    def _spell(self) -> None:
        """Give each language the spelling that is used most."""
        spellings: dict[str, Counter[str]] = {}
        for language, n in self._spelled.items():
            spellings.setdefault(_key(language), Counter())[language] = n
        names = {key: counts.most_common(1)[0][0] for key, counts in spellings.items()}
        for unit in self.units:
            unit.texts = {names[key]: text for key, text in unit.texts.items()}
            unit.more = [(names[key], text) for key, text in unit.more]

    def _refuse(self, *_: object) -> int:
        where = Where(self._file, self._parser.CurrentLineNumber)
        raise DataError(
            "the file declares XML entities, which are not read", where=where, fix="write it without <!ENTITY>"
        )

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "header":
            self.source = attributes.get("srclang", "")
        elif name == "tu":
            self.units.append(Unit(self._parser.CurrentLineNumber, attributes.get("srclang", "")))
        elif name == "tuv":
            self._language = attributes.get("xml:lang") or attributes.get("lang") or ""
        elif name == "seg":
            self._text = []
        elif self._text is not None and self.units:
            self.units[-1].is_formatted = True
        self._codes += name in CODES
        if self.units and name in OTHERS:
            self.others.update([name] if name in ("prop", "note") else [key for key in attributes if key not in READ])

    def _end(self, name: str) -> None:
        if name == "seg" and self.units and self._text is not None:
            unit, key, text = self.units[-1], _key(self._language), "".join(self._text)
            self._spelled[self._language] += 1
            if key in unit.texts:
                unit.more.append((key, text))
            else:
                unit.texts[key] = text
            self._text = None
        elif name in CODES:
            self._codes -= 1

    def _characters(self, data: str) -> None:
        if self._text is not None and not self._codes:
            self._text.append(data)


def _languages(reader: _Reader, file: str) -> tuple[str, str]:
    """Return source and target.

    Raises:
        DataError: there are no two languages.
    """
    counts = Counter(language for unit in reader.units for language in unit.texts if language)
    if len(counts) < 2:
        have = ", ".join(counts) or "none"
        fix = 'each <tu> needs two <tuv xml:lang="...">'
        raise DataError(f"there are not two languages in it, but {have}", where=Where(file), fix=fix)
    named = [language for language in counts if _key(language) == _key(reader.source)]
    by_use = [language for language, _ in counts.most_common()]
    source = named[0] if named else next(language for language in counts if language in by_use[:2])
    return source, next(language for language in by_use if language != source)
