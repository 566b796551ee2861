"""A table of the user's rows: columns of Python values, and for each row where it came from.

Columns are plain lists (about 150 bytes a short text), so 10 million rows fit an ordinary machine and no column
type is forced on anybody: a value is what the file said (always `str` in CSV; typed in JSON, Parquet and Excel).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tunesmith.core.errors import DataError, Where, did_you_mean

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """Rows of equal columns.

    Attributes:
        columns: name to values; all of the same length. Order is the file's.
        files: the files the rows came from.
        file_ids: for each row, the index into `files`.
        row_numbers: for each row, its line / sheet row / item number in its file, from 1.
    """

    columns: Mapping[str, Sequence[Any]]
    files: tuple[str, ...] = ("",)
    file_ids: Sequence[int] = field(default_factory=list)
    row_numbers: Sequence[int] = field(default_factory=list)

    @classmethod
    def of(cls, columns: Mapping[str, Sequence[Any]], *, file: str = "") -> Table:
        """Make a table from values in memory; rows are numbered from 1."""
        n = len(next(iter(columns.values()), ()))
        if any(len(values) != n for values in columns.values()):
            raise DataError(
                "columns have different lengths: " + ", ".join(f"{k} {len(v):,}" for k, v in columns.items()),
                fix="give each column one value a row",
            )
        return cls({k: list(v) for k, v in columns.items()}, (file,), [0] * n, list(range(1, n + 1)))

    def __len__(self) -> int:
        return len(self.row_numbers)

    def __getitem__(self, column: str) -> Sequence[Any]:
        try:
            return self.columns[column]
        except KeyError:
            names = list(self.columns)
            fix = did_you_mean(column, names) or f"columns here: {', '.join(names) or 'none'}"
            raise DataError(f'there is no column "{column}"', where=Where(self.files[0]), fix=fix) from None

    def row(self, index: int) -> dict[str, Any]:
        """Return one row as a dictionary."""
        return {name: values[index] for name, values in self.columns.items()}

    def where(self, index: int, column: str = "", value: object = None) -> Where:
        """Return where row `index` stands in the user's files."""
        return Where(self.files[self.file_ids[index]], self.row_numbers[index], column, value)

    def take(self, indices: Iterable[int]) -> Table:
        """Return the rows `indices`, in that order."""
        chosen = list(indices)
        return Table(
            {name: [values[i] for i in chosen] for name, values in self.columns.items()},
            self.files,
            [self.file_ids[i] for i in chosen],
            [self.row_numbers[i] for i in chosen],
        )

    def by_file(self) -> list[Table]:
        """Return the rows of each file."""
        rows: dict[int, list[int]] = {}
        for i, file in enumerate(self.file_ids):
            rows.setdefault(file, []).append(i)
        return [replace(self.take(mine), files=(self.files[file],), file_ids=[0] * len(mine))
                for file, mine in rows.items()]  # fmt: skip

    def named(self, columns: Mapping[str, str]) -> Table:
        """Return the same rows with the columns `columns` (new name to old) alone, under their new names."""
        kept = {new: self[old] for new, old in columns.items()}
        return Table(kept, self.files, self.file_ids, self.row_numbers)

    def replace(self, /, **columns: Sequence[Any]) -> Table:
        """Return the same rows with some columns replaced or added."""
        return Table({**self.columns, **columns}, self.files, self.file_ids, self.row_numbers)


def concat(tables: Sequence[Table]) -> Table:
    """Stack tables; a column that one of them lacks is None there."""
    names = list(dict.fromkeys(name for table in tables for name in table.columns))
    files = tuple(dict.fromkeys(file for table in tables for file in table.files))
    index = {file: i for i, file in enumerate(files)}
    return Table(
        {n: [v for t in tables for v in t.columns.get(n, [None] * len(t))] for n in names},
        files,
        [index[t.files[i]] for t in tables for i in t.file_ids],
        [number for t in tables for number in t.row_numbers],
    )
