"""brat standoff: a `.txt` with the text of a document and an `.ann` with its annotations."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError, Where
from tunesmith.core.ledger import Entry
from tunesmith.core.notes import Note
from tunesmith.core.wording import does
from tunesmith.data.formats.base import BundleFormat, Found, Written
from tunesmith.data.formats.places import PLACES
from tunesmith.data.formats.spans import check, entries_of
from tunesmith.data.formats.words import as_spans
from tunesmith.data.sources import Blob, split_of
from tunesmith.data.table import Table

ENTITY = re.compile(r"T\S*\t(\S+) (\d+ \d+(?:;\d+ \d+)*)(?:\t(.*))?")
OTHERS = {"R": "relations", "E": "events", "A": "attributes", "M": "attributes", "N": "normalizations", "#": "notes"}
UNUSED = "not used: "
PARTNER = {".txt": ".ann", ".ann": ".txt"}
MISSING = "there is no .txt and .ann of one name"


class Brat(BundleFormat):
    """A folder of pairs, also in subfolders: a document a row."""

    name = "brat"
    title = "brat standoff"
    task = "token-classification"
    columns = ("text", "spans")
    suffixes = (".ann",)

    def bundles(self, paths: Sequence[Path], *, sure: bool) -> list[tuple[Path, ...]]:
        """Return all pairs as one bundle; for an `.ann` alone, the `.txt` beside it belongs to it."""
        anns = [path for path in paths if path.suffix == ".ann"]
        pairs = [(ann.with_suffix(".txt"), ann) for ann in anns if ann.with_suffix(".txt").exists()]
        if not pairs and not sure:
            where = Where(str(paths[0]) if paths else "")
            raise DataError(MISSING, where=where, fix="give a folder with NAME.txt and NAME.ann for each document")
        return [tuple(path for pair in pairs for path in pair)] if pairs else []

    def split(self, files: Sequence[Path]) -> str:
        """Return the split the folder's name says."""
        return split_of(files[0].parent.name)

    def alone(self, folder: Path, taken: Collection[Path]) -> list[tuple[Path, str]]:
        """Return each `.txt` and `.ann` of a folder that is not read, and why."""
        files = [path for path in sorted(folder.rglob("*")) if path.suffix in PARTNER and path not in taken]
        return [(path, _why_alone(path)) for path in files if not path.name.startswith(".")]

    def read(self, blobs: Sequence[tuple[Blob, str]]) -> Found:
        """Return `text`, `spans` and `doc`, the name of the files."""
        pairs = list(zip(blobs[::2], blobs[1::2], strict=True))
        found = Found(tuple(blob.file for (blob, _), _ in pairs))
        for i, ((blob, text), (ann, lines)) in enumerate(pairs):
            if not text.strip():
                found.entries.append(Entry("set aside", "no text", blob.file, 1))
                continue
            spans = []
            for number, item in _items(lines, text, ann.file, found.entries):
                checked = check([item], text)
                spans += checked.cells
                found.entries += entries_of(checked.problems, ann.file, number)
            found.rows.append((1, {"text": text, "spans": spans, "doc": Path(blob.name).stem}))
            found.file_ids.append(i)
        reasons = [entry.reason for entry in found.entries]
        ignored = Counter(reason.removeprefix(UNUSED) for reason in reasons if reason.startswith(UNUSED))
        if ignored:
            shown = ", ".join(f"{n:,} {what}" for what, n in ignored.most_common())
            message = f"{does(ignored.total(), 'line', 'is', 'are')} not about spans, and not used: {shown}"
            found.notes.append(Note("info", "other annotations", message))
        return found

    def write(self, table: Table, out: Path) -> Written:
        """Return a folder with a `.txt` and an `.ann` for each document.

        Rows of one document become its lines. Rows of words without documents become one document.
        """
        ready = as_spans(table, self.title)
        ready.leave_attributes(self.title)
        table, notes = ready.table, [*ready.notes, *self.kept(ready.table, "text", "spans", "doc", PLACES)]
        if PLACES in table.columns:
            message = f"{self.title} holds text, not words; they will be split anew"
            notes.append(Note("warning", "words", message))
        labels = sorted(
            {span["label"] for spans in table["spans"] for span in spans if re.search(r"\s", span["label"])}
        )
        if labels:
            message = f"{self.title} has no labels with spaces; written with _: {', '.join(labels)}"
            notes.append(Note("warning", "labels", message))
        files: dict[Path, str] = {}
        for name, rows in _documents(table, out.name).items():
            text, spans = _document([table.row(i) for i in rows])
            files[out / f"{name}.txt"] = text
            files[out / f"{name}.ann"] = "".join(_line(i, span, text) for i, span in enumerate(spans, 1))
        return Written(files, ready.entries, notes)


def _why_alone(path: Path) -> str:
    """Return why a file is not read beside others of its folder."""
    partner = PARTNER[path.suffix]
    return "not in a folder of a split" if path.with_suffix(partner).exists() else f"no {partner} of this name"


def _items(lines: str, text: str, file: str, entries: list[Entry]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the spans of an `.ann` with their lines; say which other lines there are."""
    for number, line in enumerate(lines.split("\n"), 1):
        match = ENTITY.fullmatch(line.rstrip("\r"))
        if match is not None:
            numbers = [int(n) for n in re.findall(r"\d+", match[2])]
            gaps = [text[end:start] for end, start in zip(numbers[1:-1:2], numbers[2::2], strict=True)]
            if any(gap.strip() for gap in gaps):
                entries.append(Entry("changed", "span in pieces joined", file, number, f"{match[2]} {match[3] or ''}"))
            quote = (match[3] or "") if len(numbers) == 2 else ""
            yield number, {"label": match[1], "start": min(numbers), "end": max(numbers), "text": quote}
        elif line.startswith("T"):
            entries.append(Entry("changed", "not a span", file, number, line))
        elif line.strip():
            entries.append(Entry("changed", UNUSED + OTHERS.get(line[0], "other lines"), file, number, line.strip()))


def _documents(table: Table, name: str) -> dict[str, list[int]]:
    """Return document name to its rows."""
    found: dict[str, list[int]] = {}
    names: dict[Any, str] = {}
    documents = table.columns.get("doc", [None] * len(table))
    for i, document in enumerate(documents):
        key = document if document is not None else (name if PLACES in table.columns else i + 1)
        if key not in names:
            names[key] = _file_name(key, set(names.values()))
        found.setdefault(names[key], []).append(i)
    return found


def _file_name(document: Any, taken: Collection[str]) -> str:
    plain = f"{document:05}" if isinstance(document, int) else re.sub(r"[^\w.-]+", "_", str(document)).strip(".")
    name = plain or "document"
    while name in taken:
        name += "_2"
    return name


def _document(rows: Sequence[Mapping[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    """Return rows as one text, a row a line, and all spans in it."""
    spans, at = [], 0
    for row in rows:
        spans += [{**span, "start": span["start"] + at, "end": span["end"] + at} for span in row["spans"]]
        at += len(row["text"]) + 1
    return "\n".join(row["text"] for row in rows), spans


def _line(number: int, span: Mapping[str, Any], text: str) -> str:
    """Return a T-line; a span over line breaks is written in pieces, as brat wants it."""
    inner = text[span["start"] : span["end"]]
    pieces, at = [], span["start"]
    for part in inner.split("\n"):
        if part:
            pieces.append(f"{at} {at + len(part)}")
        at += len(part) + 1
    label = re.sub(r"\s+", "_", span["label"])
    return f"T{number}\t{label} {';'.join(pieces)}\t{inner.replace(chr(10), ' ')}\n"
