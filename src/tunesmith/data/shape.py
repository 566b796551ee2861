"""What is unusual about labelled rows: uneven classes, an order, groups of rows that belong together."""

from __future__ import annotations

import shlex

from tunesmith.core.notes import Note
from tunesmith.core.wording import count
from tunesmith.data.classes import class_sizes
from tunesmith.data.table import Table

IMBALANCE = 10


def shape(table: Table, *, text: str, label: str) -> list[Note]:
    """Say what is unusual about classes, order and groups."""
    counts = class_sizes(table[label])
    most, least = counts.most_common(1)[0], counts.most_common()[-1]
    notes = []
    if most[1] > IMBALANCE * least[1]:
        sizes = f'"{most[0]}" has {count(most[1], "row")}, "{least[0]}" {least[1]:,}'
        message = f"{sizes}: accuracy will flatter, look at macro F1"
        notes.append(Note("warning", "imbalance", message, fix="--set task.class_weights=balanced"))
    changes = sum(a != b for a, b in zip(table[label], table[label][1:], strict=False))
    if len(table) > 50 and changes < len(counts):
        notes.append(Note("info", "sorted", "the rows are sorted by label; training and splitting mix them"))
    groups = _group_columns(table, text=text, label=label)
    if groups:
        message = f'the column "{groups[0]}" repeats over rows that may belong together'
        notes.append(
            Note("info", "groups", message, fix=f"--group {shlex.quote(groups[0])} keeps such rows in one split")
        )
    return notes


def _group_columns(table: Table, *, text: str, label: str) -> list[str]:
    """Return columns that look like ids of documents, authors or customers with several rows each."""
    words = ("doc", "author", "user", "customer", "patient", "speaker", "thread", "group", "session")
    found = []
    for name, values in table.columns.items():
        distinct = len(set(map(str, values)))
        if name not in (text, label) and any(w in name.casefold() for w in words) and 2 <= distinct <= 0.5 * len(table):
            found.append(name)
    return found
