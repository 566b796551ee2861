"""Token-classification rows in their two shapes: words with tags, and text with spans of characters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunesmith.core.errors import DataError, Where
from tunesmith.core.ledger import Entry, Kind
from tunesmith.core.notes import Note
from tunesmith.data import tagging
from tunesmith.data.table import Table
from tunesmith.data.tagging import Repair, Span

TOKENS = ("tokens", "words")
TAGS = ("tags", "ner_tags", "ner", "labels", "pos_tags", "chunk_tags")
PLACES = "word_places"
"""Column that keeps where the words of a text are, so that they come back as they were."""
LISTS = "give each row a list of words and one of tags"
NO_LABEL = "ENTITY"
"""What spans are called whose tags are B and I alone."""


@dataclass
class Ready:
    """A table in the shape a format wants, and what could not be kept on the way.

    Attributes:
        table: with `tokens` and `tags`, or with `text` and `spans`.
        entries: rows that are not as they were.
        notes: what the whole table lost.
    """

    table: Table
    entries: list[Entry] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def enter(self, row: int, kind: Kind, reason: str, detail: str) -> None:
        """Add an entry about a row of the table."""
        where = self.table.where(row)
        self.entries.append(Entry(kind, reason, where.file, where.row, detail))


def as_tokens(table: Table, title: str) -> Ready:
    """Return rows with `tokens` and `tags`; texts are split at their line breaks, then into words.

    Args:
        table: rows of either shape.
        title: how messages call what they are for.

    Raises:
        DataError: they have neither shape.
    """
    if "tokens" in table.columns:
        return Ready(_with_tags(table))
    _need(table, title)
    ready = Ready(table)
    sentences = [(i, *sentence) for i in range(len(table)) for sentence in _sentences(ready, i, title)]
    others = [name for name in table.columns if name not in ("text", "spans", PLACES)]
    picked = table.take(i for i, _, _ in sentences)
    columns: dict[str, Sequence[Any]] = {
        "tokens": [tokens for _, tokens, _ in sentences],
        "tags": [tags for _, _, tags in sentences],
    }
    columns |= {name: list(picked[name]) for name in others}
    if "doc" not in others and len(sentences) > len(table):
        columns["doc"] = [i + 1 for i, _, _ in sentences]
    ready.table = Table(columns, picked.files, picked.file_ids, picked.row_numbers)
    return ready


def _sentences(ready: Ready, row: int, title: str) -> Iterable[tuple[list[str], list[str]]]:
    """Yield words and tags of each line of one text; a line break inside a span is no end."""
    text: str = ready.table["text"][row]
    given = given_places(ready.table.row(row))
    places = given or tagging.words(text)
    spans, repairs = tagging.align(spans_of(ready.table["spans"][row]), places, text)
    _say(ready, row, repairs)
    if not places:
        ready.enter(row, "set aside", "no words", "")
        return
    if not _plainly_spaced(text, places):
        ready.enter(row, "changed", f"spaces between words are not kept by {title}", "")
    tags = tagging.of_spans(spans, len(places))
    for first, last in _lines(text, places, spans) if not given else [(0, len(places))]:
        yield [text[start:end] for start, end in places[first:last]], tags[first:last]


def _plainly_spaced(text: str, places: Sequence[tuple[int, int]]) -> bool:
    """Whether one space, or one line end, stands between any two words, and nothing around them."""
    ends = [0, *(end for _, end in places)]
    starts = [*(start for start, _ in places), len(text)]
    gaps = [text[end:start] for end, start in zip(ends, starts, strict=True)]
    return gaps[0] == gaps[-1] == "" and all(gap in (" ", "\n") for gap in gaps[1:-1])


def _lines(text: str, places: Sequence[tuple[int, int]], spans: Sequence[Span]) -> Iterable[tuple[int, int]]:
    inside = {i for span in spans for i in range(span.start + 1, span.end)}
    first = 0
    for i in range(1, len(places)):
        if i not in inside and "\n" in text[places[i - 1][1] : places[i][0]]:
            yield first, i
            first = i
    yield first, len(places)


def as_spans(table: Table, title: str) -> Ready:
    """Return rows with `text` and `spans`; words are joined by spaces, and keep their places.

    Args:
        table: rows of either shape.
        title: how messages call what they are for.

    Raises:
        DataError: they have neither shape.
    """
    if "tokens" not in table.columns:
        _need(table, title)
        return Ready(table)
    table = _with_tags(table)
    ready = Ready(table)
    scheme = tagging.detect(table["tags"])
    texts, spans, word_places = [], [], []
    for i, tokens in enumerate(table["tokens"]):
        text, places = tagging.joined(tokens)
        tags, repairs = tagging.to_iob2(table["tags"][i], scheme)
        _say(ready, i, [repair._replace(before=f"{tokens[repair.at]} {repair.before}") for repair in repairs])
        found = tagging.in_characters(tagging.to_spans(tags), places)
        texts.append(text)
        word_places.append([list(place) for place in places])
        spans.append([span_cell(span._replace(label=span.label or NO_LABEL)) for span in found])
    columns: dict[str, Sequence[Any]] = {"text": texts, "spans": spans, PLACES: word_places}
    columns |= {name: values for name, values in table.columns.items() if name not in ("tokens", "tags")}
    ready.table = Table(columns, table.files, table.file_ids, table.row_numbers)
    if scheme not in ("iob2", "plain"):
        message = f"tags written in {scheme.upper()} are spans now; they come back as IOB2"
        ready.notes.append(Note("info", "scheme", message))
    return ready


def given_places(row: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Return where a row says its words are; nothing where it doesn't, or they can't be there."""
    given, text = row.get(PLACES), row["text"]
    if not isinstance(given, list) or not all(isinstance(place, list | tuple) and len(place) == 2 for place in given):
        return []
    flat = [at for place in given for at in place]
    fits = all(isinstance(at, int) for at in flat) and flat == sorted(flat) and all(0 <= at <= len(text) for at in flat)
    gaps = zip([0, *flat[1::2]], [*flat[::2], len(text)], strict=True) if fits else []
    whole = fits and all(start < end for start, end in given) and not any(text[a:b].strip() for a, b in gaps)
    return [(start, end) for start, end in given] if whole else []


def _with_tags(table: Table) -> Table:
    """Return the table with its tags as `tags`, of texts; where it has none, no word is tagged."""
    if not all(isinstance(tokens, list) for tokens in table["tokens"]):
        raise DataError("the words are not lists", where=Where(table.files[0], column="tokens"), fix=LISTS)
    name = next((name for name in TAGS if name in table.columns), None)
    if name is None:
        return table.replace(tags=[["O"] * len(tokens) for tokens in table["tokens"]])
    if not all(isinstance(tags, list) for tags in table[name]):
        raise DataError("the tags are not lists", where=Where(table.files[0], column=name), fix=LISTS)
    tags = [list(map(str, values)) for values in table[name]]
    others = {column: values for column, values in table.columns.items() if column != name}
    return Table({**others, "tags": tags}, table.files, table.file_ids, table.row_numbers)


def span_cell(span: Span) -> dict[str, Any]:
    """Return a span as it stands in a table."""
    return {"start": span.start, "end": span.end, "label": span.label}


def spans_of(cell: Iterable[dict[str, Any]] | None) -> list[Span]:
    """Return the spans in a table's cell."""
    return [Span(span["start"], span["end"], span["label"]) for span in cell or []]


def _need(table: Table, title: str) -> None:
    missing = [name for name in ("text", "spans") if name not in table.columns]
    if missing:
        where = Where(table.files[0], column=missing[0])
        shown = ", ".join(table.columns)
        raise DataError(f"{title} needs words with tags, or text with spans; the columns are {shown}", where=where)


def _say(ready: Ready, row: int, repairs: Sequence[Repair]) -> None:
    """Add one entry for each reason, with the first case as its detail."""
    for reason, n in Counter(repair.reason for repair in repairs).items():
        first = next(repair for repair in repairs if repair.reason == reason)
        after = f" → {first.after}" if first.after else ""
        more = f" and {n - 1} more" if n > 1 else ""
        ready.enter(row, "changed", reason, f"{first.before}{after}{more}")
