"""Numbers as people write them: decimal commas, "3.2 / 5", "64%", and what is no number at all."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunesmith.core.ledger import Entry
from tunesmith.core.notes import Note
from tunesmith.core.wording import count, does, rows
from tunesmith.data.labels import fold
from tunesmith.data.spec import DataSpec
from tunesmith.data.table import Table

SPACES = "'\u2019\u00a0\u202f "
"""What may stand between thousands, besides the mark that is not for decimals."""
GROUPED = re.compile(r"[1-9]\d{0,2}([., ])\d{3}(?:\1\d{3})*|[1-9]\d?(?:,\d{2})+,\d{3}")
"""1,234,567 and, as in India, 12,34,567."""
NUMBER = re.compile(
    rf"([-+]?[\d.,{SPACES}]*\d(?:[eE][-+]?\d+)?)\s*(%|(?:/|of|out of)\s*(\d+(?:[.,]\d+)?)|[^\W\d_]+\.?)?"
)
MANY_NUMBERS = 10
"""More different numbers than this, a quarter of them with decimals, are a score and no classes."""
FAR = 10.0
"""Distances between the quartiles by which a value is called far from all others."""
MOSTLY = 0.9
PLACES = 20


@dataclass
class NumberReading:
    """Numbers of a table's rows.

    Attributes:
        values: for each row its number; None where it has none that can be used.
        reasons: why not, "" where there is one.
        entries: ledger entries for numbers that were not written as such.
        notes: values far from all others.
    """

    values: list[float | None]
    reasons: list[str]
    entries: list[Entry] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


def read_number(written: Any, decimal: str = "") -> tuple[float | None, str]:
    """Return a number and the unit written after it: "", "%", what it is out of ("/5"), or a word in the singular.

    None if it is no number: "4,5 stars" is (4.5, "star"), "four" is (None, "").

    Args:
        written: a cell.
        decimal: what marks decimals in its column, "." or ","; "" where that is not known: see `decimal_mark`.
    """
    if isinstance(written, bool) or written is None:
        return None, ""
    if isinstance(written, int | float):
        return (float(written), "") if math.isfinite(written) else (None, "")
    match = NUMBER.fullmatch(str(written).strip())
    if match is None:
        return None, ""
    value = _plain(match[1], decimal)
    whole = _plain(match[3], decimal) if match[3] else None
    unit = (match[2] or "").casefold().rstrip(".")
    return value, unit.removesuffix("s") if whole is None else f"/{whole:g}"


def decimal_mark(cells: Iterable[Any]) -> str:
    """Return what marks decimals in a column, "." or ","; "" where no cell, or one against another, shows it.

    A mark with other than three digits behind it, or with nothing or zero alone before, can't group thousands; of both
    in one number the last marks decimals.
    """
    found = set()
    for cell in cells:
        match = NUMBER.fullmatch(cell.strip()) if isinstance(cell, str) else None
        body = match[1].lstrip("+-") if match else ""
        marks = [character for character in body if character in ".,"]
        if len(marks) != len(set(marks)) or not marks:
            continue
        whole, _, rest = re.split(r"[eE]", body)[0].rpartition(marks[-1])
        if len(marks) == 2 or len(rest) != 3 or whole in ("", "0") or (whole.isdigit() and len(whole) > 3):
            found.add(marks[-1])
    return found.pop() if len(found) == 1 else ""


def _plain(digits: str, decimal: str) -> float | None:
    """Return the value of digits with any marks; None where they group no thousands.

    Where it is not known which of "." and "," marks decimals, it is the last one, unless it groups.
    """
    bare, *exponent = re.split(r"[eE]", re.sub(f"[{SPACES}]", " ", digits))
    sign, bare = ("-" if bare.startswith("-") else ""), bare.lstrip("+-")
    last = max(bare.rfind("."), bare.rfind(","))
    mark = bare[last] if last >= 0 else ""
    is_decimal = mark == decimal if decimal else mark == "." or not GROUPED.fullmatch(bare)
    groups = not mark or bare.count(mark) > 1 or not is_decimal
    whole, rest = (bare, "") if groups else (bare[:last], bare[last + 1 :])
    if not (whole == "" or whole.isdigit() or GROUPED.fullmatch(whole)) or not (rest == "" or rest.isdigit()):
        return None
    return float(f"{sign}{re.sub('[^0-9]', '', whole) or 0}.{rest or 0}e{exponent[0] if exponent else 0}")


def are_scores(counts: Mapping[Any, int]) -> bool:
    """Whether values, with the rows of each, are numbers to predict and no classes.

    They are where there are many of them, a quarter with decimals, or so many that few rows have the same.
    Half stars (0.5 to 5) are classes, so are the numbers of 77 intents; the numbers of the rows are neither.
    """
    decimal = decimal_mark(counts)
    values = [value for value in (read_number(written, decimal)[0] for written in counts) if value is not None]
    if len(counts) <= MANY_NUMBERS or len(values) <= MOSTLY * len(counts):
        return False
    if sum(not value.is_integer() for value in values) > 0.25 * len(counts):
        return True
    n_rows = sum(counts.values())
    are_row_numbers = len(counts) == n_rows == max(values) - min(values) + 1
    return n_rows >= 20 and len(counts) > 0.5 * n_rows and not are_row_numbers


def read_numbers(table: Table, *, column: str, spec: DataSpec) -> NumberReading:
    """Read a column of numbers; a value in another unit than most is not guessed at but set aside.

    Where some values say "4 / 5", a percentage is of these 5; where the only word is "stars", 4 are 4 stars.
    """
    missing = {fold(word) for word in spec.missing}
    decimal = decimal_mark(table[column])
    found = [read_number(cell, decimal) for cell in table[column]]
    units = Counter(unit for value, unit in found if value is not None)
    usual = units.most_common(1)[0][0] if units else ""
    out_of = _out_of(units, usual)
    words = {unit for unit in units if unit.isalpha()}
    accepted = {usual, "", f"/{out_of:g}", "%"} if out_of else {usual}
    accepted |= {"", *words} if len(words) == 1 and usual in {"", *words} else set()
    reading = NumberReading([], [])
    for i, (written, (value, unit)) in enumerate(zip(table[column], found, strict=True)):
        reason = _reason(written, value, unit, missing=missing, accepted=accepted)
        read = value * out_of / 100 if out_of and value is not None and unit == "%" else value
        reading.values.append(None if reason else read)
        reading.reasons.append(reason)
        if not reason and isinstance(written, str) and not _is_plain(written):
            where = table.where(i)
            detail = f"{written} -> {read:g}"
            reading.entries.append(Entry("changed", "number rewritten", where.file, where.row, detail))
    reading.notes += [] if decimal else _ambiguous(table, column)
    reading.notes += _far(reading.values, table, column)
    return reading


def _ambiguous(table: Table, column: str) -> list[Note]:
    """Warn of commas with three digits behind them, read as thousands where no other number shows what they mark."""
    cells = [(i, cell.strip()) for i, cell in enumerate(table[column]) if isinstance(cell, str)]
    rows_ = [i for i, cell in cells if cell.count(",") == 1 and GROUPED.fullmatch(cell.lstrip("+-"))]
    if not rows_:
        return []
    first = table[column][rows_[0]].strip()
    message = (
        f'{count(len(rows_), "number")} in "{column}" may mean two things: {first} is read as {_plain(first, ""):g}'
    )
    fix = "if the comma marks decimals, write a point in its place"
    return [Note("warning", "commas", message, fix, tuple(table.where(i, column) for i in rows_[:PLACES]), len(rows_))]


def _is_plain(written: str) -> bool:
    try:
        float(written)
    except ValueError:
        return False
    return True


def _out_of(units: Counter[str], usual: str) -> float:
    """Return 5 where some numbers say "4 / 5" and none is out of another number; 0 where that can't be told."""
    found = {float(unit[1:]) for unit in units if unit.startswith("/")}
    return found.pop() if len(found) == 1 and usual != "%" else 0.0


def _reason(written: Any, value: float | None, unit: str, *, missing: set[str], accepted: set[str]) -> str:
    empty = written is None or (isinstance(written, float) and math.isnan(written)) or str(written).strip() == ""
    if empty or (isinstance(written, str) and fold(written) in missing):
        return "no number"
    if value is None:
        return "not a number"
    return "" if unit in accepted else "number in another unit"


def _far(values: Sequence[float | None], table: Table, column: str) -> list[Note]:
    """Warn of values far outside the others."""
    import numpy as np

    known = np.array([v for v in values if v is not None])
    if len(known) < 20:
        return []
    low, high = np.percentile(known, [25, 75])
    width = max(high - low, 1e-12)
    far = [i for i, v in enumerate(values) if v is not None and not low - FAR * width <= v <= high + FAR * width]
    if not far or len(far) > (1 - MOSTLY) * len(known):
        return []
    shown = ", ".join(f"{v:g}" for v in sorted({float(values[i] or 0) for i in far})[:5])
    message = f'{does(len(far), "value", "lies", "lie")} far from all others in "{column}": {shown}'
    fix = f"mend or remove {rows(len(far))}, or write them as one of data.missing"
    return [Note("warning", "far values", message, fix, tuple(table.where(i, column) for i in far[:PLACES]), len(far))]
