"""The ledger: every row, token or label of the user's that did not reach the model as it was, and why.

Reasons are short fixed phrases ("no label", "no text", "exact duplicate"), so that they can be counted.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from tunesmith.core.files import replacing
from tunesmith.core.wording import rows

Kind = Literal["set aside", "changed", "cut", "moved"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger.

    Attributes:
        kind: "set aside" (the row is not used), "changed" (used, but not as written), "cut" (part of its text is
            not used), "moved" (put in another split than the first choice).
        reason: short fixed phrase.
        file: the user's file.
        row: row number there, from 1.
        detail: what exactly, in a few words; may quote the value.
    """

    kind: Kind
    reason: str
    file: str
    row: int
    detail: str = ""


class Ledger:
    """An append-only list of entries that can count and save itself."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries = list(entries)

    def add(self, kind: Kind, reason: str, *, file: str, row: int, detail: str = "") -> None:
        """Append one entry."""
        self._entries.append(Entry(kind, reason, file, row, detail))

    def extend(self, entries: Iterable[Entry]) -> None:
        """Append many entries."""
        self._entries.extend(entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def counts(self, kind: Kind) -> dict[str, int]:
        """Return reason to number of entries of one kind, most frequent first."""
        return dict(Counter(entry.reason for entry in self._entries if entry.kind == kind).most_common())

    def summary(self, n_rows: int) -> str:
        """Return "12 of 5,012 rows set aside: 7 no label, 5 no text"; or that nothing was."""
        counts = self.counts("set aside")
        if not counts:
            return f"all {rows(n_rows)} used"
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in counts.items())
        return f"{sum(counts.values()):,} of {rows(n_rows)} set aside: {reasons}"

    def save(self, path: Path) -> None:
        """Write one JSON object a line, atomically."""
        with replacing(path) as stream:
            for entry in self._entries:
                stream.write(json.dumps(asdict(entry), ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, path: Path) -> Ledger:
        """Read what `save` wrote."""
        with path.open(encoding="utf-8") as stream:
            return cls(Entry(**json.loads(line)) for line in stream)
