"""Spans of characters as annotation tools write them, each checked against the text it is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from tunesmith.core.ledger import Entry
from tunesmith.data.formats.base import literal
from tunesmith.data.locate import locate
from tunesmith.data.tagging import Span

STARTS = ("start", "start_offset", "begin", "start_char", "from")
ENDS = ("end", "end_offset", "stop", "end_char", "to")
LABELS = ("label", "labels", "type", "tag", "entity", "entity_group", "class", "category")
TEXTS = ("text", "data", "content", "sentence", "document")
QUOTED = ("text", "label", "token_start", "token_end")
"""What else a span says of its place and label."""
CELLS = ("spans", "entities", "label", "labels", "annotations", "ents", "tags")


class Claim(NamedTuple):
    """A span as it is written: its label, what it says its text is ("" where it doesn't), and what else it says."""

    span: Span
    quote: str = ""
    more: Mapping[str, Any] = MappingProxyType({})


class Checked(NamedTuple):
    """The spans of a row as they stand in a table, and what happened to the others: (reason, detail)."""

    cells: list[dict[str, Any]]
    problems: list[tuple[str, str]]


def claims_of(item: Any) -> list[Claim]:
    """Return the spans one item means, [start, end, label] or an object; none if it is no span.

    An object with several labels is several spans.
    """
    if isinstance(item, Mapping):
        return _from_object(item)
    if isinstance(item, list | tuple) and len(item) >= 3:
        start, end, label = _number(item[0]), _number(item[1]), item[2]
        if start is not None and end is not None and isinstance(label, str | int) and label != "":
            return [Claim(Span(start, end, str(label)))]
    return []


def _from_object(item: Mapping[str, Any]) -> list[Claim]:
    start = next((_number(item[name]) for name in STARTS if name in item), None)
    end = next((_number(item[name]) for name in ENDS if name in item), None)
    name = next((name for name in LABELS if item.get(name) not in (None, "", [])), "")
    value = item.get(name)
    if start is None or end is None or value is None:
        return []
    quote = item.get("text")
    labels = value if isinstance(value, list) else [value]
    known = (*STARTS, *ENDS, *QUOTED, name)
    more = {key: one for key, one in item.items() if key not in known and one not in (None, "", [])}
    return [Claim(Span(start, end, str(label)), quote if isinstance(quote, str) else "", more) for label in labels]


def _number(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.strip().isdigit():
        return int(value)
    return value if isinstance(value, int) else None


def check(items: Iterable[Any], text: str) -> Checked:
    """Return the spans of a row that lie in its text; where a span quotes its text, it is looked for if need be."""
    found = Checked([], [])
    for item in items:
        claims = claims_of(item)
        if not claims:
            found.problems.append(("not a span", str(item)))
        for claim in claims:
            _place(found, claim, text)
    return found


def _place(found: Checked, claim: Claim, text: str) -> None:
    span, quote, more = claim
    shown = f"{span.start}-{span.end} {span.label}"
    if quote and text[max(0, span.start) : max(0, span.end)].split() != quote.split():
        place = locate(quote, text, span.start)
        if place is None:
            found.problems.append(("span not where it says it is", f"{shown} {quote!r}"))
            return
        found.problems.append(("span moved", f"{shown} → {place[0]}-{place[1]} {quote!r}"))
        span = span._replace(start=place[0], end=place[1])
    if not 0 <= span.start < span.end <= len(text):
        found.problems.append(("span outside the text", shown))
        return
    found.cells.append({"start": span.start, "end": span.end, "label": span.label, **more})


def items_of(cell: Any) -> list[Any] | None:
    """Return what a cell lists, also one of a CSV file with a list as JSON or Python write it; None if it is none."""
    if isinstance(cell, str) and cell.strip()[:1] == "[":
        cell = literal(cell)
    return cell if isinstance(cell, list) else None


def looks_like_spans(cell: Any) -> bool:
    """Whether a cell is a list with spans alone, at least one."""
    items = items_of(cell)
    return bool(items) and all(claims_of(item) for item in (items or [])[:20])


def entries_of(problems: Sequence[tuple[str, str]], file: str, row: int) -> list[Entry]:
    """Return the ledger's entries for what happened to the spans of a row."""
    return [Entry("changed", reason, file, row, detail) for reason, detail in problems]
