"""Parallel text: two files whose lines belong together, such as `train.en` and `train.de`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tunesmith.core.errors import DataError, Where
from tunesmith.core.ledger import Entry
from tunesmith.core.notes import Note
from tunesmith.data.formats.base import BundleFormat, Found, Written
from tunesmith.data.formats.languages import SIDES, is_language
from tunesmith.data.formats.outofstep import first_gap
from tunesmith.data.formats.pairs import LANGUAGES, NAMES, UNNAMED, add, apart, by_languages, languages_lost
from tunesmith.data.sources import PACKED, Blob, split_of
from tunesmith.data.table import Table

BREAKS = re.compile(r"[\r\n]+")
LONG = 60


class Parallel(BundleFormat):
    """Two files of one name that end in a language, or in src and tgt; the first named is the source."""

    name = "parallel"
    title = "parallel text"
    task = "translation"
    columns = ("source", "target")

    def bundles(self, paths: Sequence[Path], *, sure: bool) -> list[tuple[Path, ...]]:
        """Return pairs of files; of a folder's files, the source is the one its name says, else the first by name."""
        if not sure and len(paths) == 2 and not all(side_of(path) for path in paths):
            return [(paths[0], paths[1])]
        groups: dict[str, list[Path]] = {}
        for path in paths:
            if side_of(path):
                groups.setdefault(stem_of(path), []).append(path)
        found: list[tuple[Path, ...]] = []
        for stem, files in groups.items():
            if len(files) > 2:
                shown = ", ".join(path.name for path in files)
                fix = f"name the two to use: {files[0]} {files[1]}"
                raise DataError(f'there are {len(files)} files for "{stem}": {shown}', where=Where(stem), fix=fix)
            if len(files) == 2:
                found.append(_ordered(files[0], files[1]))
        if not sure and not found:
            where = Where(str(paths[0]) if paths else "")
            raise DataError(
                "there are no two files that belong together", where=where, fix="name both: train.en train.de"
            )
        return found

    def split(self, files: Sequence[Path]) -> str:
        """Return the split the first file's name says."""
        return split_of(files[0].name)

    def read(self, blobs: Sequence[tuple[Blob, str]]) -> Found:
        """Return `source` and `target` of each line, and their languages where the names say them."""
        (one, text), (other, other_text) = blobs
        lines, other_lines = lines_of(text), lines_of(other_text)
        if len(lines) != len(other_lines):
            raise _out_of_step(one.file, lines, other.file, other_lines)
        found = Found((one.file,))
        sides = side_of(Path(one.name)), side_of(Path(other.name))
        languages = sides if is_language(sides[0]) and is_language(sides[1]) else ("", "")
        for number, pair in enumerate(zip(lines, other_lines, strict=True), 1):
            add(found, number, pair, languages, {})
        said = [f"{side} ({blob.file})" for side, blob in zip(sides, (one, other), strict=True)]
        message = f"source: {said[0]}, target: {said[1]}"
        found.notes.append(
            Note("info", "languages", message, fix="name the two files in the other order to turn it round")
        )
        return found

    def write(self, table: Table, out: Path) -> Written:
        """Return two files, `out` with the languages, or with src and tgt, at its end; of several pairs, two each."""
        self.need(table)
        written = Written({}, notes=self.kept(table, "source", "target", *LANGUAGES))
        written.notes += languages_lost(table, self.title)
        groups = by_languages(table)
        for languages, place in apart(out, groups).items():
            for column, language in zip(NAMES[0], languages if all(languages) else UNNAMED, strict=True):
                lines = []
                for i in groups[languages]:
                    text = table[column][i]
                    lines.append(BREAKS.sub(" ", text) + "\n")
                    if BREAKS.search(text):
                        where = table.where(i)
                        entry = Entry("changed", "line break became a space", where.file, where.row, column)
                        written.entries.append(entry)
                written.files[place.with_name(f"{place.name}.{language}")] = "".join(lines)
        return written


def side_of(path: Path) -> str:
    """Return the language, or the side, a file's name ends in; "" where it doesn't."""
    name = _bare(path).removesuffix(".txt")
    side = name.rpartition(".")[2] if "." in name else name
    return side if is_language(side) or side in SIDES else ""


def refuse_one_side(file: Path, *, sure: bool) -> None:
    """Raise DataError, which names the other, if a file is one side of parallel text; with `sure`, if it lies there."""
    beside = sorted(file.parent.iterdir()) if side_of(file) and file.parent.is_dir() else []
    others = [path for path in beside if path.name != file.name and stem_of(path) == stem_of(file) and side_of(path)]
    if others:
        message = f"this is one side of parallel text, and {others[0].name} lies beside it"
        raise DataError(message, where=Where(str(file)), fix=f"name both, the source first: {file} {others[0]}")
    if side_of(file) and not sure:
        fix = "name both, the source first: train.en train.de"
        raise DataError("this is one side of parallel text", where=Where(str(file)), fix=fix)


def stem_of(path: Path) -> str:
    """Return the name of a file without its language."""
    return _bare(path).removesuffix(".txt").rpartition(".")[0]


def _bare(path: Path) -> str:
    name = path.name
    for packed in PACKED:
        name = name.removesuffix(packed)
    return name


def _ordered(one: Path, other: Path) -> tuple[Path, Path]:
    """Return two files of a folder, source first: src before tgt, and de before en in `news.de-en.de`."""
    sides = side_of(one), side_of(other)
    if all(side in SIDES for side in sides):
        return (one, other) if SIDES[sides[0]] <= SIDES[sides[1]] else (other, one)
    named = stem_of(one).rpartition(".")[2]
    turned = named in (f"{sides[1]}-{sides[0]}", f"{sides[1]}_{sides[0]}", f"{sides[1]}2{sides[0]}")
    return (other, one) if turned else (one, other)


def lines_of(text: str) -> list[str]:
    """Return all lines without their ends, empty ones too."""
    lines = [line.rstrip("\r") for line in text.split("\n")]
    return lines[:-1] if lines and not lines[-1] else lines


def _out_of_step(file: str, lines: Sequence[str], other: str, other_lines: Sequence[str]) -> DataError:
    message = (
        f"{file} has {len(lines):,} lines and {other} {len(other_lines):,}: they do not belong together line by line"
    )
    gap = first_gap(lines, other_lines)
    if gap is None:
        return DataError(message, where=Where(other), fix="give files with one translation a line, in the same order")
    shorter, longer = (other, lines) if len(lines) > len(other_lines) else (file, other_lines)
    shown = longer[gap][:LONG] + ("…" if len(longer[gap]) > LONG else "")
    fix = f"the counterpart of this line, or of one near it, seems to be missing in {shorter}: {shown!r}"
    return DataError(
        f"{message}; they look out of step from about line {gap + 1}", where=Where(shorter, gap + 1), fix=fix
    )
