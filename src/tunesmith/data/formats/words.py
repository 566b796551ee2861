"""Token-classification rows in their two shapes: words with tags, and text with spans of characters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunesmith.core.errors import DataError, Where
from tunesmith.core.ledger import Entry, Kind
from tunesmith.core.notes import Note
from tunesmith.core.wording import does
from tunesmith.data import tagging
from tunesmith.data.formats.places import OF_PLACES, PLACES, given_places, is_objects, misfit, word_columns
from tunesmith.data.formats.spans import check, items_of
from tunesmith.data.table import Table
from tunesmith.data.tagging import Repair, Scheme, Span

TAGS = ("tags", "ner_tags", "ner", "labels", "pos_tags", "chunk_tags")
SCHEME = "tag_scheme"
"""Column that says "plain" where spans were tags without B- and I-, so that they come back as they were."""
NO_LABEL = "ENTITY"
"""What spans are called whose tags are B and I alone."""
LABELLED = ("start", "end", "label")
UNEQUAL = "not as many tags as words"


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

    def keep(self, rows: Sequence[int]) -> None:
        """Leave out the other rows, which were set aside.

        Raises:
            DataError: none is left.
        """
        if len(self.table) and not rows:
            first = self.entries[0]
            why = f"no row can be written; the first was set aside: {first.reason}"
            raise DataError(why, where=Where(first.file, first.row), fix="mend the rows")
        if len(rows) < len(self.table):
            self.table = self.table.take(rows)

    def leave_attributes(self, title: str) -> None:
        """Say what spans have beside their place and label, which a format can't hold."""
        names: Counter[str] = Counter()
        for i, cells in enumerate(self.table["spans"]):
            more = [{name: value for name, value in cell.items() if name not in LABELLED} for cell in cells]
            names.update(name for one in more for name in one)
            if any(more):
                self.enter(i, "changed", "attributes of spans left out", "; ".join(str(one) for one in more if one))
        if names:
            shown = ", ".join(f"{name} ({does(n, 'span', 'has', 'have')} it)" for name, n in names.items())
            message = f"attributes of spans that {title} can't hold are left out: {shown}"
            self.notes.append(Note("warning", "attributes left out", message))

    def check_words(self) -> None:
        """Say where the words that a row gives are not those of its text, and are not used."""
        for i in range(len(self.table)):
            row = self.table.row(i)
            if name := misfit(row):
                self.enter(i, "changed", "given words are not those of the text", f"{name}: {row[name]}")


def as_tokens(table: Table, title: str) -> Ready:
    """Return rows with `tokens` and `tags`, in IOB2 unless plain; texts are split at line breaks, then into words.

    Args:
        table: rows of either shape.
        title: how messages call what they are for.

    Raises:
        DataError: they have neither shape, or none of them can be written.
    """
    if not _has_spans(table):
        return _mended(table, title)
    ready = _with_spans(table)
    ready.check_words()
    ready.leave_attributes(title)
    sentences = [(i, *sentence) for i in range(len(ready.table)) for sentence in _sentences(ready, i, title)]
    others = _others(ready, title)
    picked = ready.table.take(i for i, _, _ in sentences)
    columns: dict[str, Sequence[Any]] = {
        "tokens": [tokens for _, tokens, _ in sentences],
        "tags": [tags for _, _, tags in sentences],
    }
    columns |= {name: list(picked[name]) for name in others}
    if "doc" not in others and len(sentences) > len(ready.table):
        columns["doc"] = [i + 1 for i, _, _ in sentences]
    ready.table = Table(columns, picked.files, picked.file_ids, picked.row_numbers)
    return ready


def _has_spans(table: Table) -> bool:
    """Whether rows are texts with spans; lists of words beside them only say where the words are."""
    if not {"text", "spans"} <= set(table.columns):
        return False
    return not ("tokens" in table.columns and _tag_column(table)) or any(table["spans"])


def _mended(table: Table, title: str) -> Ready:
    """Return rows of words with their tags in IOB2, and what of them was not as their scheme wants it."""
    ready = _with_tags(table, title)
    scheme = tagging.detect(ready.table["tags"])
    if scheme != "plain":
        ready.table = ready.table.replace(tags=[_iob2(ready, i, scheme) for i in range(len(ready.table))])
    if scheme not in ("iob2", "plain"):
        ready.notes.append(Note("info", "scheme", f"tags written in {scheme.upper()} are IOB2 now"))
    return ready


def _iob2(ready: Ready, row: int, scheme: Scheme) -> list[str]:
    tokens = ready.table["tokens"][row]
    tags, repairs = tagging.to_iob2(ready.table["tags"][row], scheme)
    _say(ready, row, [repair._replace(before=f"{tokens[repair.at]} {repair.before}") for repair in repairs])
    return tags


def _others(ready: Ready, title: str) -> list[str]:
    """Return the other columns of texts that become words; say what can't go beside the words."""
    columns = ready.table.columns
    words = word_columns(columns)
    known = {"text", "spans", "tokens", "tags", PLACES, SCHEME, *words}
    lost = [name for name in ("tokens", "tags") if name in columns and name not in words]
    objects = [word for name in words for cell in columns[name] if is_objects(cell) for word in cell]
    lost += dict.fromkeys(f"{name} of words" for word in objects for name in word if name not in OF_PLACES)
    if lost:
        message = f"columns that {title} can't hold are left out: {', '.join(lost)}"
        ready.notes.append(Note("warning", "columns left out", message))
    return [name for name in columns if name not in known]


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
    if ready.table.row(row).get(SCHEME) == "plain":
        tags = tagging.spell(tags, "plain")
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
    """Return rows with `text` and `spans`; words without a text are joined by spaces, and all keep their places.

    Args:
        table: rows of either shape.
        title: how messages call what they are for.

    Raises:
        DataError: they have neither shape, or none of them can be written.
    """
    if _has_spans(table):
        return _with_spans(table)
    ready = _with_tags(table, title)
    table = ready.table
    scheme = tagging.detect(table["tags"])
    each = scheme == "plain" and not any("O" in tags for tags in table["tags"])
    texts, spans, word_places = [], [], []
    for i, tags in enumerate(table["tags"]):
        text, places = _text_of(ready, i)
        clean = [tagging.join_tag("B", tag) for tag in tags] if each else _iob2(ready, i, scheme)
        found = tagging.in_characters(tagging.to_spans(clean), places)
        texts.append(text)
        word_places.append([list(place) for place in places])
        spans.append(found)
    ready.notes += _scheme_notes(scheme, each=each, unnamed=sum(not span.label for cell in spans for span in cell))
    columns: dict[str, Sequence[Any]] = {
        "text": texts,
        "spans": [[span_cell(span._replace(label=span.label or NO_LABEL)) for span in cell] for cell in spans],
        PLACES: word_places,
    }
    columns |= {name: values for name, values in table.columns.items() if name not in ("tokens", "tags", *columns)}
    if scheme == "plain":
        columns[SCHEME] = ["plain"] * len(table)
    ready.table = Table(columns, table.files, table.file_ids, table.row_numbers)
    return ready


def _text_of(ready: Ready, row: int) -> tuple[str, list[tuple[int, int]]]:
    """Return the text of a row of words and where they are in it: its own text if it has one, else the words joined."""
    values = ready.table.row(row)
    tokens, text = values["tokens"], values.get("text")
    if isinstance(text, str) and (places := tagging.words_in(text, tokens)) is not None:
        return text, places
    if text:
        ready.enter(row, "changed", "text without its words replaced by them", str(text))
    return tagging.joined(tokens)


def _scheme_notes(scheme: Scheme, *, each: bool, unnamed: int) -> Iterator[Note]:
    if scheme == "plain":
        runs = "one for each word" if each else "one for each run of equal ones"
        message = f"tags without B- and I- are spans now, {runs}; they come back as they were where columns are kept"
        yield Note("info", "scheme", message)
    elif scheme != "iob2":
        message = f"tags written in {scheme.upper()} are spans now; they come back as IOB2"
        yield Note("info", "scheme", message)
    if unnamed:
        message = f"{does(unnamed, 'span', 'has', 'have')} no label, tagged B and I alone: {NO_LABEL} now"
        yield Note("info", "labels", message)


def _with_spans(table: Table) -> Ready:
    """Return the rows with a text and a list of spans, these checked; the others are set aside."""
    ready, kept, spans = Ready(table), [], []
    for i, (text, cell) in enumerate(zip(table["text"], table["spans"], strict=True)):
        items = items_of(cell)
        if not isinstance(text, str) or not text.strip():
            ready.enter(i, "set aside", "no text", "")
        elif items is None:
            ready.enter(i, "set aside", "no label", "" if cell is None else str(cell))
        else:
            checked = check(items, text)
            for reason, detail in checked.problems:
                ready.enter(i, "changed", reason, detail)
            kept.append(i)
            spans.append(checked.cells)
    ready.keep(kept)
    ready.table = ready.table.replace(spans=spans)
    return ready


def _tag_column(table: Table) -> str | None:
    return next((name for name in TAGS if name in table.columns), None)


def _with_tags(table: Table, title: str) -> Ready:
    """Return the rows with as many `tags` as `tokens`, all texts; where there are no tags, no word is tagged.

    Raises:
        DataError: there are no words.
    """
    _need(table, title)
    name = _tag_column(table)
    ready, kept, found = Ready(table), [], []
    for i, tokens in enumerate(table["tokens"]):
        tags = table[name][i] if name else ["O"] * len(tokens if isinstance(tokens, list) else ())
        reason, detail = _odd(tokens, tags)
        if reason:
            ready.enter(i, "set aside", reason, detail)
        else:
            kept.append(i)
            found.append((list(map(str, tokens)), list(map(str, tags))))
    ready.keep(kept)
    table = ready.table
    columns = {**table.columns, "tokens": [tokens for tokens, _ in found], "tags": [tags for _, tags in found]}
    columns = {column: values for column, values in columns.items() if column == "tags" or column != name}
    ready.table = Table(columns, table.files, table.file_ids, table.row_numbers)
    return ready


def _odd(tokens: Any, tags: Any) -> tuple[str, str]:
    """Return why a row's words and tags can't be used, and the details; "" if they can."""
    if not isinstance(tokens, list) or not all(isinstance(token, str | int | float) for token in tokens):
        return "no words", str(tokens)
    if not isinstance(tags, list) or not all(isinstance(tag, str | int) for tag in tags):
        return "tags that are no list of texts", str(tags)
    if not tokens:
        return "no words", ""
    return ("", "") if len(tokens) == len(tags) else (UNEQUAL, f"{len(tokens)} words, {len(tags)} tags")


def span_cell(span: Span) -> dict[str, Any]:
    """Return a span as it stands in a table."""
    return {"start": span.start, "end": span.end, "label": span.label}


def spans_of(cell: Iterable[Mapping[str, Any]]) -> list[Span]:
    """Return the spans in a table's cell."""
    return [Span(span["start"], span["end"], span["label"]) for span in cell]


def _need(table: Table, title: str) -> None:
    if "tokens" not in table.columns:
        missing = next((name for name in ("text", "spans") if name not in table.columns), "tokens")
        where = Where(table.files[0], column=missing)
        shown = ", ".join(table.columns)
        raise DataError(f"{title} needs words with tags, or text with spans; the columns are {shown}", where=where)


def _say(ready: Ready, row: int, repairs: Sequence[Repair]) -> None:
    """Add one entry for each reason, with the first case as its detail."""
    for reason, n in Counter(repair.reason for repair in repairs).items():
        first = next(repair for repair in repairs if repair.reason == reason)
        after = f" → {first.after}" if first.after else ""
        more = f" and {n - 1} more" if n > 1 else ""
        ready.enter(row, "changed", reason, f"{first.before}{after}{more}")
