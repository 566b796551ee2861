"""spaCy's training pairs as JSON: [text, {"entities": [[start, end, label], ...]}]."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError, Where
from tunesmith.data import nested, tagging
from tunesmith.data.formats.base import Content, FileFormat, Found, Written, extras, json_text
from tunesmith.data.formats.doccano import add, triples
from tunesmith.data.formats.places import PLACES, TOKENS, given_places, is_texts
from tunesmith.data.formats.words import as_spans
from tunesmith.data.table import Table

FIRST = 20


class Spacy(FileFormat):
    """A list of pairs, one pair a line, or pairs under "annotations" as NER annotators write them."""

    name = "spacy"
    title = "spaCy training pairs"
    task = "token-classification"
    columns = ("text", "spans")

    def sniff(self, content: Content, *, sure: bool) -> bool:
        """Whether most of the first items are such pairs."""
        del sure
        if content.text.lstrip()[:1] not in ("{", "["):
            return False
        first = [item for _, item in _items(content, most=FIRST) if item is not None]
        return sum(map(is_pair, first)) > 0.5 * len(first)

    def read(self, content: Content) -> Found:
        """Return `text` and `spans`; the pair's other keys are columns."""
        found = Found((content.file,))
        for number, item in _items(content):
            if is_pair(item):
                rest = extras(item[1], "entities", "words") | _places(item[0], item[1].get("words"))
                add(found, number, item[0], item[1].get("entities"), rest)
            elif item is not None:
                found.say("set aside", "not a pair of text and entities", number)
        if not found.rows and len(found.entries) == sum(1 for _ in _items(content)):
            fix = 'write [["text", {"entities": [[0, 4, "LABEL"]]}], ...]'
            raise DataError("there are no pairs of text and entities", where=Where(content.file), fix=fix)
        return found

    def write(self, table: Table, out: Path) -> Written:
        """Return a JSON array, one pair a line."""
        ready = as_spans(table, self.title)
        ready.check_words()
        ready.leave_attributes(self.title)
        pairs = []
        for row in map(ready.table.row, range(len(ready.table))):
            words = [row["text"][start:end] for start, end in given_places(row)]
            given = [name for name in TOKENS if words and is_texts(row.get(name))]
            more = {**({"words": words} if words else {}), **extras(row, "text", "spans", PLACES, *given)}
            pairs.append(json_text([row["text"], {"entities": triples(row["spans"]), **more}]))
        return Written({out: "[\n" + ",\n".join(pairs) + "\n]\n"}, ready.entries, ready.notes)


def _places(text: str, words: Any) -> dict[str, Any]:
    """Return the column that says where given words are in a text, if they are."""
    known = isinstance(words, list) and all(isinstance(word, str) for word in words)
    places = tagging.words_in(text, words) if known else None
    return {PLACES: [list(place) for place in places]} if places else {}


def is_pair(item: Any) -> bool:
    """Whether a JSON value is [text, {"entities": [...]}]."""
    return (
        isinstance(item, list)
        and len(item) == 2
        and isinstance(item[0], str)
        and isinstance(item[1], dict)
        and isinstance(item[1].get("entities"), list)
    )


def _items(content: Content, most: int | None = None) -> Iterator[tuple[int, Any]]:
    """Yield (item or line number, value); a line that is no JSON is an empty object, which is no pair."""
    value = content.value
    if isinstance(value, dict):
        value = value.get("annotations")
    if isinstance(value, list) and not is_pair(value):
        yield from list(enumerate(value, 1))[:most]
        return
    filled = [(number, line) for number, line in content.lines() if line.strip()]
    for number, line in filled[:most]:
        try:
            yield number, nested.load(line)
        except json.JSONDecodeError:
            yield number, {}
