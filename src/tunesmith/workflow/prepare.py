"""From the user's files to cleaned, checked, split rows: the same for `train`, `check` and `--dry-run`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.core.errors import DataError, Where
from tunesmith.core.ledger import Ledger
from tunesmith.core.notes import Note
from tunesmith.data.clean import Cleaner
from tunesmith.data.findings import inspect
from tunesmith.data.read import Reading, read
from tunesmith.data.split import split
from tunesmith.data.table import Table
from tunesmith.recipe.recipe import Recipe
from tunesmith.tasks.base import Task


@dataclass(frozen=True)
class Prepared:
    """Rows ready to be encoded.

    Attributes:
        task: with its columns named and its classes learnt.
        tables: "train" and, where there are any, "dev" and "test": cleaned text, usable labels.
        ledger: every row that is not there, or not as it was written.
        notes: what was found and chosen.
        sources: the files read, for the manifest.
        n_read: rows read from all files.
    """

    task: Any
    tables: dict[str, Table]
    ledger: Ledger
    notes: list[Note]
    sources: list[dict[str, Any]]
    n_read: int

    @property
    def n_rows(self) -> dict[str, int]:
        """Rows of each split."""
        return {name: len(table) for name, table in self.tables.items()}
