"""Training, dev and test rows, by a hash of each text: adding rows leaves the others where they are.

A text is placed where its hash falls (below `test`: test; below `test + dev`: dev). Classes whose share of a split
then strays by more than a tenth are evened out with the texts nearest to the border, so only those few can ever
move. Equal texts (apart from case, spaces and punctuation), their near copies and equal groups stay together: added
rows move others only where they join them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunesmith.core.notes import Note
from tunesmith.core.seed import derive
from tunesmith.core.wording import does
from tunesmith.core.wording import rows as rows_of
from tunesmith.data.near import Copies, text_key
from tunesmith.data.spec import SplitSpec
from tunesmith.data.table import Table

FEW = 500
"""Up to here no dev rows are taken away from training."""
MOST_TEST, MOST_DEV = 5000, 2000
STRAY = 0.1
WIDEST = 25
"""Points of an interval, either way, beyond which its width is not worth saying."""
FEW_JOINED, MOST_JOINED = 5, 2000
"""Near copies join at most a tenth of the rows, within these numbers: templates would else join everything."""
LARGEST_SHARED = 1 / 3
"""Rows with a text in common, such as the questions about one document, stay together up to this share of all rows."""

Couple = tuple[int, int]


@dataclass(frozen=True)
class Division:
    """Row indices of each split, and what is to be said about it."""

    parts: dict[str, list[int]]
    notes: list[Note] = field(default_factory=list)


@dataclass(slots=True)
class _Unit:
    """Rows that stay together, where their hash falls (0 to 1), and their most frequent class."""

    rows: list[int]
    place: float
    label: str


def shares(spec: SplitSpec, *, n_rows: int, have_dev: bool, have_test: bool) -> tuple[float, float]:
    """Return the shares of test and dev rows; "auto" depends on how many rows there are."""
    test: float = 0.0 if have_test else 0.2 if n_rows < 2000 else min(0.1, MOST_TEST / n_rows)
    if not have_test and spec.test != "auto":
        test = spec.test
    left = n_rows * (1 - test)
    dev: float = 0.0 if have_dev or left <= FEW else min(0.1, MOST_DEV / n_rows)
    if not have_dev and spec.dev != "auto":
        dev = spec.dev
    return test, dev


def divide(
    table: Table,
    *,
    texts: Sequence[str],
    classes: Sequence[str],
    spec: SplitSpec,
    together: Sequence[str] | None = None,
    copies: Copies | None = None,
    have_dev: bool = False,
    have_test: bool = False,
) -> Division:
    """Divide a table's rows into "train", "dev" and "test"; a split the user brought is not made again.

    Args:
        table: the rows.
        texts: what each row is placed by, and a copy by; shape (rows,).
        classes: whose shares are kept; shape (rows,), all alike where there are none.
        spec: the shares.
        together: what rows share that are to stay together, as far as that can be; the texts themselves if None.
        copies: near copies among these; without, only texts with the same letters and digits stay together.
        have_dev: whether the user brought dev rows.
        have_test: whether the user brought test rows.
    """
    test, dev = shares(spec, n_rows=len(table), have_dev=have_dev, have_test=have_test)
    labels = list(classes) if spec.stratify else [""] * len(table)
    groups = list(table[spec.group]) if spec.group else None
    together = texts if together is None else together
    near = copies.couples(together) if copies else []
    shared = _sharing(texts, together)
    units, loose = _units(texts, labels, groups, near=near, shared=shared, seed=spec.seed)
    parts: dict[str, list[int]] = {"train": [], "dev": [], "test": []}
    by_class: dict[str, list[_Unit]] = defaultdict(list)
    for unit in units:
        by_class[unit.label].append(unit)
    for members in by_class.values():
        for name, rows in _divide_class(sorted(members, key=lambda u: u.place), test, dev).items():
            parts[name] += rows
    parts = {name: sorted(rows) for name, rows in parts.items() if rows}
    given = {"have_dev": have_dev, "have_test": have_test, "near": len(near) + len(shared) > 0}
    return Division(parts, [*_notes(parts, spec, n=len(table), labels=labels, **given), *loose])


def _divide_class(units: list[_Unit], test: float, dev: float) -> dict[str, list[int]]:
    """Divide one class's units, ordered by place: lowest to test, next to dev, the rest to train."""
    n_test = _quota(units, 0.0, test)
    n_dev = _quota(units[n_test:], test, dev, of=len(units))
    while n_test + n_dev >= len(units) and n_test + n_dev > 0:  # training keeps at least one
        n_dev, n_test = (n_dev - 1, n_test) if n_dev else (n_dev, n_test - 1)
    cut = {"test": units[:n_test], "dev": units[n_test : n_test + n_dev], "train": units[n_test + n_dev :]}
    return {name: [row for unit in part for row in unit.rows] for name, part in cut.items()}


def _quota(units: list[_Unit], start: float, share: float, *, of: int | None = None) -> int:
    """How many of `units` fall below `start + share`, held to within a tenth of the fair number."""
    if share == 0:
        return 0
    fair = share * (of if of is not None else len(units))
    fell = sum(unit.place < start + share for unit in units)
    slack = STRAY * fair
    low, high = max(1 if fair >= 0.5 else 0, round(fair - slack)), max(1, round(fair + slack))
    return min(max(fell, low), high, len(units))


def _units(
    texts: Sequence[str],
    labels: Sequence[str],
    groups: Sequence[Any] | None,
    *,
    near: Sequence[Couple],
    shared: Sequence[Couple],
    seed: int,
) -> tuple[list[_Unit], list[Note]]:
    """Join rows that share a text or a group or are near copies; also say what would join too many."""
    keys = [text_key(text) for text in texts]
    n, same = len(texts), [keys, groups or ()]
    most_near, most_shared = max(FEW_JOINED, min(n // 10, MOST_JOINED)), max(FEW_JOINED, int(LARGEST_SHARED * n))
    near_held = _within(most_near, near, _join(n, same, [*near, *shared]))
    held = [*near_held, *_within(most_shared, shared, _join(n, same, [*near_held, *shared]))]
    joined = _join(n, same, held)
    loose = [*_loose(_apart(near, joined), _apart(shared, joined))]
    members: dict[int, list[int]] = defaultdict(list)
    for i, unit in enumerate(joined):
        members[unit].append(i)
    found = []
    for rows in members.values():
        mine = [str(groups[i]) for i in rows if not _is_empty(groups[i])] if groups else []
        name = min(mine or [keys[i] for i in rows])
        label = Counter(labels[i] for i in rows).most_common(1)[0][0]
        found.append(_Unit(rows, derive(seed, "split", name) / 2**63, label))
    return found, loose


def _within(most: int, couples: Sequence[Couple], joined: Sequence[int]) -> list[Couple]:
    """Return the couples that are in units of at most so many rows."""
    sizes = Counter(joined)
    return [couple for couple in couples if sizes[joined[couple[0]]] <= most]


def _apart(couples: Sequence[Couple], joined: Sequence[int]) -> int:
    """Return how many rows are in another unit than a row they are coupled with."""
    return len({row for i, j in couples if joined[i] != joined[j] for row in (i, j)})


def _join(n: int, shared: Sequence[Sequence[Any]], couples: Sequence[Couple]) -> list[int]:
    """Return for each of `n` rows the number of its unit: rows with a value in common or coupled, and on from there."""
    parent = list(range(n))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for values in shared:
        first: dict[Any, int] = {}
        for i, value in enumerate(values):
            if not _is_empty(value):
                parent[root(i)] = root(first.setdefault(value, i))
    for i, j in couples:
        parent[root(i)] = root(j)
    return [root(i) for i in range(n)]


def _is_empty(value: Any) -> bool:
    """Whether a cell names no group, or holds no text; a number that is none is unlike itself."""
    return value is None or value == "" or value != value  # noqa: PLR0124


def _sharing(texts: Sequence[str], together: Sequence[str]) -> list[Couple]:
    """Return rows of different texts that share what keeps them together, each with the first of them."""
    first: dict[str, int] = {}
    couples = [(first.setdefault(shared, i), i) for i, shared in enumerate(together)]
    return [(i, j) for i, j in couples if texts[i] != texts[j]]


def _loose(n_near: int, n_shared: int) -> Iterator[Note]:
    """Say that rows are not kept together because there are too many of them."""
    fix = "name what belongs together with --group"
    if n_near:
        message = (
            f"{n_near:,} rows are near copies of too many others to stay in one split (made from a template?): "
            "the numbers may flatter"
        )
        yield Note("warning", "many near copies", message, fix, n_rows=n_near)
    if n_shared:
        message = (
            f"{n_shared:,} rows share a text with more than a third of all rows and can't stay in one split: "
            "the numbers are for texts that were seen in training"
        )
        yield Note(
            "warning", "many rows of one text", message, "bring rows of other texts with --test", n_rows=n_shared
        )


def _notes(
    parts: dict[str, list[int]],
    spec: SplitSpec,
    *,
    n: int,
    near: bool,
    have_dev: bool,
    have_test: bool,
    labels: Sequence[str],
) -> list[Note]:
    kept = (f'"{spec.group}"' if spec.group else "texts") + (" and near copies" if near else "")
    said = ", ".join(f"{len(rows):,} {name}" for name, rows in parts.items())
    fix = f"--set data.split.{'dev' if have_test else 'test'}=0.3 for another share"
    notes = [Note("info", "split", f"{rows_of(n)} divided: {said}; equal {kept} stay together", fix)]
    if not have_dev and "dev" not in parts and spec.dev == "auto":
        message = f"{does(n, 'row', 'is', 'are')} too few to spare any for early stopping"
        notes.append(Note("info", "no dev rows", message, fix="--set data.split.dev=0.1"))
    if not have_test and 0 < len(parts.get("test", ())) < 200:
        half = 100 * 1.96 * (0.25 / len(parts["test"])) ** 0.5
        is_known = half <= WIDEST and any(labels)
        expect = f"expect intervals of up to +-{half:.0f} points" if is_known else "too few to judge a model by"
        message = f"{rows_of(len(parts['test']), 'test')}: {expect}"
        notes.append(Note("warning", "few test rows", message))
    return notes
