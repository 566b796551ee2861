"""Rows that were edited before, as `tunesmith augment` writes them: learnt from only where their sources are.

An edited row says nearly what its source says, so both have to be in one split, and none that is measured is edited.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from tunesmith.core.errors import DataError, Where
from tunesmith.core.ledger import Ledger
from tunesmith.core.notes import Note
from tunesmith.core.wording import count, does
from tunesmith.data.table import Table

FROM, BY = "augmented_from", "augmented_by"
"""Columns of a file that is written out: the row that a row was made from, by file and number, which is itself for rows
that nobody edited; and the edits, none for these."""
EDITED, NO_SOURCE = "edited", "edited, and its source is no training row"
"""Why such a row is set aside."""


@dataclass(frozen=True)
class Apart:
    """Rows of a data set, with those that were edited before put by.

    Attributes:
        tables: split to rows as people wrote them, without the columns `FROM` and `BY`.
        edited: the others of the training data, with these columns; None where there are none.
        names: place to the name of a row in `FROM`, where it is another.
        ledger: edited rows that are not used.
        notes: what is to be said of them.
    """

    tables: dict[str, Table]
    edited: Table | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Ledger)
    notes: list[Note] = field(default_factory=list)

    def at_home(self, tables: Mapping[str, Table], repeats: Mapping[str, str]) -> Table:
        """Return the edited rows whose source is a training row, and nothing else; the others go to the ledger.

        Args:
            tables: all splits.
            repeats: place of a row that was dropped to that of its like that was kept.
        """
        if self.edited is None:
            return Table({})
        like: dict[str, list[str]] = {}
        for dropped, kept in repeats.items():
            like.setdefault(kept, []).append(dropped)
        held = {name for split, table in tables.items() if split != "train" for name in self._called(table, like)}
        home = self._called(tables["train"], like) - held
        is_home = [str(name) in home for name in self.edited[FROM]]
        lost = [self.edited.where(i) for i, is_one in enumerate(is_home) if not is_one]
        for where in lost:
            self.ledger.add("set aside", NO_SOURCE, file=where.file, row=where.row)
        others = f"; {does(len(lost), 'other', 'is', 'are')} set aside" if lost else ""
        message = f"{count(sum(is_home), 'edited row')} of training rows learnt from, too{others}"
        self.notes.append(Note("info", "edited rows", message, n_rows=len(is_home)))
        return plain(self.edited.take(i for i, is_one in enumerate(is_home) if is_one))

    def _called(self, table: Table, like: Mapping[str, Sequence[str]]) -> Set[str]:
        """Return the names of rows, and of those that were dropped because they are like them."""
        kept = [str(table.where(i)) for i in range(len(table))]
        places = [*kept, *(place for one in kept for place in like.get(one, ()))]
        return {self.names.get(place, place) for place in places}


def plain(table: Table) -> Table:
    """Return a table without the columns `FROM` and `BY`, if it has the first."""
    if FROM not in table.columns:
        return table
    return table.named({name: name for name in table.columns if name not in (FROM, BY)})


def apart(tables: Mapping[str, Table]) -> Apart:
    """Put the rows by that were edited before.

    Raises:
        DataError: a split has no others.
    """
    found = Apart({split: plain(table) for split, table in tables.items()})
    for split, table in tables.items():
        if FROM in table.columns:
            found = _without_edited(found, table, split)
    return found


def _without_edited(found: Apart, table: Table, split: str) -> Apart:
    """Return what was found with the edited rows of one more split put by, or set aside if not for training."""
    by = table.columns.get(BY, [""] * len(table))
    own, edited = (
        table.take(i for i, edits in enumerate(by) if bool(edits) is is_edited) for is_edited in (False, True)
    )
    if not len(own):
        fix = "name a file with the rows that they were made from"
        raise DataError(f"all rows of the {split} data are edited ones", where=Where(table.files[0]), fix=fix)
    names = {str(own.where(i)): str(name) for i, name in enumerate(own[FROM]) if name}
    found = replace(found, tables={**found.tables, split: plain(own)}, names={**found.names, **names})
    if split == "train":
        return replace(found, edited=edited if len(edited) else None)
    for i in range(len(edited)):
        found.ledger.add("set aside", EDITED, file=edited.where(i).file, row=edited.where(i).row, detail=split)
    if len(edited):
        message = f"{does(len(edited), f'edited {split} row', 'is', 'are')} left out"
        found.notes.append(Note("warning", "edited rows", message, n_rows=len(edited)))
    return found
