"""Notes: what was found in the data or chosen for the user, said once, in one place, with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tunesmith.core.errors import Where


@dataclass(frozen=True, slots=True)
class Note:
    """Something the user should know.

    Attributes:
        level: "info" (a choice or a fact), "warning" (numbers may mislead, or something was lost), "error" (cannot
            go on; only `tunesmith check` collects these, elsewhere they are raised).
        topic: short fixed phrase, for example "encoding", "near duplicates", "label variants".
        message: one sentence with the numbers in it.
        fix: what the user can do, as a command, a setting or a sentence; may be "".
        places: some of the rows it is about (at most 20 are kept).
        n_rows: how many rows it is about in all; 0 when it is not about rows.
    """

    level: Literal["info", "warning", "error"]
    topic: str
    message: str
    fix: str = ""
    places: tuple[Where, ...] = ()
    n_rows: int = 0
