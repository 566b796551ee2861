"""What was read of a data set, and tables through the formats their rows have."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError, Where
from tunesmith.core.ledger import Ledger
from tunesmith.core.notes import Note
from tunesmith.data.formats.base import Format, Found, RowFormat
from tunesmith.data.formats.choose import HEAD_ROWS, Choice, announcement
from tunesmith.data.table import Table


@dataclass
class Reading:
    """What was read.

    Attributes:
        tables: "train" and, where the user brought them, "dev" and "test".
        notes: encodings, delimiters and other things found on the way.
        ledger: rows that could not be read.
        sources: file, SHA-256, bytes, rows and split of every file.
        choice: which formats the files may be of.
        forms: the formats that were found.
    """

    tables: dict[str, Table]
    notes: list[Note] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)
    sources: list[dict[str, Any]] = field(default_factory=list)
    choice: Choice = field(default_factory=Choice)
    forms: list[Format] = field(default_factory=list)

    def take(self, form: Format, found: Found) -> Table:
        """Return what a format read, and say that it did."""
        table = found.table()
        file = found.files[0] if len(found.files) < 3 else str(Path(found.files[0]).parent)
        if form.name not in {other.name for other in self.forms}:
            self.notes.append(announcement(form, file, table.columns, named=self.choice.is_named))
            self.forms.append(form)
        self.notes += found.notes
        self.ledger.extend(found.entries)
        return table

    def by_rows(self, table: Table) -> Table:
        """Return a plain table as it is, or through the format its rows have.

        Raises:
            DataError: the user names a format that such a file can't have.
        """
        form = self.choice.of_rows([table.row(i) for i in range(min(HEAD_ROWS, len(table)))])
        if form is not None:
            return self.through(form, table)
        if self.choice.is_named:
            where, fix = Where(table.files[0]), "name another data.format, or leave it out"
            raise DataError(f"this kind of file can't be {self.choice.named}", where=where, fix=fix)
        return table

    def through(self, form: RowFormat, table: Table) -> Table:
        """Return a plain table as its format has it."""
        rows = ((number, table.row(i)) for i, number in enumerate(table.row_numbers))
        return self.take(form, form.read(rows, table.files[0]))
