"""Prodigy's JSON Lines: text, its words with their places, and spans of both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunesmith.data import tagging
from tunesmith.data.formats.base import Found, Numbered, RowFormat, Written, extras, json_lines
from tunesmith.data.formats.doccano import add
from tunesmith.data.formats.places import OF_PLACES, PLACES, given_places, is_objects, places_of
from tunesmith.data.formats.spans import looks_like_spans
from tunesmith.data.formats.words import as_spans
from tunesmith.data.table import Table

KNOWN = ("text", "tokens", "spans", "answer", PLACES)


class Prodigy(RowFormat):
    """Rows that the annotator accepted; the rejected and ignored ones are set aside."""

    name = "prodigy"
    title = "Prodigy rows"
    task = "token-classification"
    columns = ("text", "spans")

    def sniff(self, rows: Sequence[Mapping[str, Any]], *, sure: bool) -> bool:
        """Whether rows have a text, spans, and the words or answers Prodigy adds."""
        del sure
        marks = ("answer", "_input_hash", "_task_hash")
        words = any(is_objects(row.get("tokens")) for row in rows)
        spans = any(looks_like_spans(row.get("spans")) for row in rows)
        texts = all(isinstance(row.get("text"), str) for row in rows)
        return texts and spans and (words or any(mark in row for row in rows for mark in marks))

    def read(self, rows: Iterable[Numbered], file: str) -> Found:
        """Return `text` and `spans`, and where the words are; words that say more are kept."""
        found = Found((file,))
        for number, row in rows:
            answer = row.get("answer", "accept")
            if answer != "accept":
                found.say("set aside", "not accepted", number, f"answer: {answer}")
                continue
            rest = extras(row, *KNOWN) | _said_of_words(row)
            add(found, number, row.get("text"), row.get("spans") or [], rest)
        return found

    def write(self, table: Table, out: Path) -> Written:
        """Return JSON Lines; the words are the table's own, or those of the text."""
        ready = as_spans(table, self.title)
        ready.check_words()
        rows = [ready.table.row(i) for i in range(len(ready.table))]
        return Written({out: json_lines(map(_line, rows))}, ready.entries, ready.notes)


def _said_of_words(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the column that says where a row's words are; where it says more, or doesn't fit, the row's own."""
    if PLACES in row:
        return {PLACES: row[PLACES]}
    tokens, text = row.get("tokens"), row.get("text")
    places = places_of(tokens, text) if isinstance(text, str) else []
    plain = places and is_objects(tokens) and all(set(token) <= {*OF_PLACES} for token in row["tokens"])
    return {PLACES: [list(place) for place in places]} if plain else extras({"tokens": tokens})


def _line(row: Mapping[str, Any]) -> dict[str, Any]:
    text = row["text"]
    places = given_places(row) or tagging.words(text)
    known = {t["start"]: t for t in row["tokens"]} if places and is_objects(row.get("tokens")) else {}
    tokens = [
        {
            **known.get(start, {}),
            **{"text": text[start:end], "start": start, "end": end, "id": i, "ws": text[end : end + 1] == " "},
        }
        for i, (start, end) in enumerate(places)
    ]
    starts, ends = {p[0]: i for i, p in enumerate(places)}, {p[1]: i for i, p in enumerate(places)}
    spans = []
    for span in row["spans"]:
        whole = span["start"] in starts and span["end"] in ends
        more = {"token_start": starts[span["start"]], "token_end": ends[span["end"]]} if whole else {}
        spans.append({**span, **more})
    return {"text": text, "tokens": tokens, "spans": spans, "answer": "accept", **extras(row, *KNOWN)}
