"""Whether labels can be classes, and what is unusual about them: variants, likely typos, rare ones."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from tunesmith.core.errors import DataError, Where
from tunesmith.core.notes import Note
from tunesmith.core.wording import count, does, rows, setting
from tunesmith.data.labels import LabelReading, fold, label_name, spellings
from tunesmith.data.labelsets import LabelSets, listing
from tunesmith.data.numbers import are_scores

TYPO_SHARE = 0.05
"""A label this rare beside one it resembles is called a likely typo ..."""
SHORT_SHARE, SHORTEST = 0.2, 3
"""... and this rare beside one it is the beginning of, such as "pos" beside "positive"."""
MOST_CLASSES = 1000
FEW_ROWS = 3
COMMON_SHARE = 0.1
"""Of the rows with a label; so many that say "none" may mean a class by it."""
NONE_IS_A_CLASS = "--set data.missing=[]"


def check_classes(reading: LabelReading, *, file: str, column: str) -> list[Note]:
    """Return notes on variants, likely typos and rare classes.

    Raises:
        DataError: no label at all, one class, several labels a row, or so many that this can't be a class label.
    """
    counts = Counter(v for v in reading.values if v is not None)
    where = Where(file, column=column)
    if several := listing(reading.written):
        fix = "--task multi-label-classification, or keep one label a row"
        raise DataError(several.said, where=where, fix=fix)
    unread = _words_for_none(reading)
    _refuse(counts, sum(counts.values()), where, unread)
    return [*_said_of(unread, sum(counts.values())), *look_at_names(reading.values)]


def look_at_names(values: Sequence[Any]) -> list[Note]:
    """Return notes on variants, likely typos and rare labels; None stands for rows without one."""
    counts = Counter(v for v in values if v is not None)
    return [*_variants(values), *_typos(counts), *_rare(counts)]


def _words_for_none(reading: LabelReading) -> Counter[str]:
    """Return the words that are read as no label, with the rows of each: they may be a class."""
    cells = zip(reading.written, reading.reasons, strict=False)
    return Counter(cell.strip() for cell, why in cells if why == "no label" and isinstance(cell, str) and cell.strip())


def _said_of(words: Counter[str], n_labelled: int) -> list[Note]:
    if not words or (n := words.most_common(1)[0][1]) < max(FEW_ROWS, COMMON_SHARE * n_labelled):
        return []
    word = words.most_common(1)[0][0]
    message = f'{does(n, "row", "says", "say")} "{word}", which is read as no label'
    return [Note("warning", "words for no label", message, f"if it is a class: {NONE_IS_A_CLASS}", n_rows=n)]


def _refuse(counts: Counter[Any], n_rows: int, where: Where, unread: Counter[str]) -> None:
    if not counts:
        raise DataError("no row has a label", where=where, fix="name another column with --label, or label some rows")
    if len(counts) == 1:
        only = label_name(next(iter(counts)))
        or_else = "".join(f', or, if "{word}" is one: {NONE_IS_A_CLASS}' for word, _ in unread.most_common(1))
        raise DataError(
            f'every row has the label "{only}": there is nothing to tell apart',
            where=where,
            fix="add rows of another class" + or_else,
        )
    different = f"{len(counts):,} different labels in {rows(n_rows)}"
    if are_scores(counts):
        fix = "--task text-regression, or name the label column with --label"
        raise DataError(f"{different}: this looks like a score to predict (regression)", where=where, fix=fix)
    if len(counts) > MOST_CLASSES or (n_rows >= 20 and len(counts) > 0.5 * n_rows):
        fix = "name another column with --label, or, for texts that are to be written, --task summarization"
        raise DataError(f"{different}: this looks like an id or a free text", where=where, fix=fix)


def _variants(values: Sequence[Any]) -> list[Note]:
    found = [s for s in spellings(values).values() if len(s) > 1]
    if not found:
        return []
    shown = "; ".join(", ".join(f"{label_name(v)!r} ({n:,})" for v, n in s.most_common(5)) for s in found[:4])
    return [
        Note(
            "warning",
            "label variants",
            f"labels that differ only in case, spaces or a full stop are separate classes: {shown}",
            fix="--set data.labels=merge_case",
            n_rows=sum(sum(s.values()) - max(s.values()) for s in found),
        )
    ]


def class_sizes(values: Sequence[Any]) -> Counter[str]:
    """Return the rows of each class: spellings of one label are counted together, likely typos not at all."""
    counts = Counter(values)
    folded, spelt = _folded(counts), _spelt(counts)
    return Counter({spelt[name]: n for name, n in folded.items() if name not in _near(folded)})


def _folded(counts: Counter[Any]) -> Counter[str]:
    folded: Counter[str] = Counter()
    for value, n in counts.items():
        folded[fold(value)] += n
    return folded


def _spelt(counts: Counter[Any]) -> dict[str, str]:
    """Return the most frequent spelling of each folded label."""
    return {fold(value): label_name(value) for value, _ in sorted(counts.items(), key=lambda item: item[1])}


def _near(folded: Counter[str]) -> dict[str, str]:
    """Return rare labels that a frequent one was probably meant by, and this one."""
    found: dict[str, str] = {}
    for rare, n in folded.items():
        frequent = [w for w, m in folded.items() if n <= TYPO_SHARE * m and not _numbered(rare, w)]
        longer = [w for w, m in folded.items() if n <= SHORT_SHARE * m and w.startswith(rare) and w.isalpha()]
        near = difflib.get_close_matches(rare, frequent, n=1, cutoff=0.8)
        if near or (len(rare) >= SHORTEST and len(longer) == 1):
            found[rare] = (near or longer)[0]
    return found


def _typos(counts: Counter[Any]) -> list[Note]:
    folded, spelt = _folded(counts), _spelt(counts)
    found = _near(folded)
    # One setting for all of them: a second --set of the same setting would replace the first.
    fix = setting("data.label_map", {spelt[rare]: spelt[near] for rare, near in found.items()})
    last = next(reversed(found), None)
    return [
        Note(
            "warning",
            "likely typo",
            f'"{spelt[rare]}" ({rows(folded[rare])}) is close to "{spelt[near]}" ({rows(folded[near])})',
            fix if rare == last else "",
            n_rows=folded[rare],
        )
        for rare, near in found.items()
    ]


def _rare(counts: Counter[Any]) -> list[Note]:
    rare = {value: n for value, n in counts.items() if n < FEW_ROWS}
    if not rare:
        return []
    shown = ", ".join(f'"{label_name(v)}" ({n})' for v, n in sorted(rare.items(), key=lambda item: item[1])[:10])
    return [
        Note(
            "warning",
            "rare classes",
            f"too few rows to be in training, dev and test alike: {shown}",
            fix="add rows of these classes, or merge them into others with data.label_map",
            n_rows=sum(rare.values()),
        )
    ]


def _numbered(a: str, b: str) -> bool:
    """Whether two labels differ in their digits only ("level 1", "level 2"): those are no typos."""
    return re.sub(r"\d", "", a) == re.sub(r"\d", "", b)


def check_sets(sets: LabelSets, where: Where) -> list[Note]:
    """Return notes on empty cells and on spellings.

    Raises:
        DataError: there are no labels to tell apart, or so many that these can't be labels.
    """
    values = [name for names in sets.values for name in names or ()]
    different = len(set(values))
    if not different:
        raise DataError("no row has a label", where=where, fix="name another column with --label")
    if different > MOST_CLASSES:
        fix = "name the label column with --label, or say what separates labels: --set task.separator=,"
        raise DataError(f"{different:,} different labels: this looks like free text", where=where, fix=fix)
    n_labelled = sum(names is not None for names in sets.values)
    if different == 1 and len(values) == n_labelled:
        message = f'every row has the label "{values[0]}" and no other: there is nothing to tell apart'
        raise DataError(message, where=where, fix="add rows without it")
    notes = look_at_names(values)
    if sets.n_empty:
        message = f'{count(sets.n_empty, "empty cell")} in "{where.column}": read as none of the labels'
        fix = "--set task.empty=missing if they are not labelled"
        notes.append(Note("info", "empty labels", message, fix, n_rows=sets.n_empty))
    return notes
