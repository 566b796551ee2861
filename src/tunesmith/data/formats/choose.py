"""Which format a file is: the one the user names, or the first that recognises it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.core.notes import Note
from tunesmith.core.wording import setting
from tunesmith.data.formats import FORMATS, LIKE, PLAIN
from tunesmith.data.formats.base import BundleFormat, Content, FileFormat, Format, RowFormat

HEAD_ROWS = 50


@dataclass(frozen=True)
class Choice:
    """Which formats a file may be of.

    Attributes:
        named: the format the user names; "auto" if none, "table" for rows and columns as they are.
        task: the task at hand: its formats alone are tried, and may be guessed from less; None where it is not known:
            then all formats are tried, and taken where a plain table makes no sense.
        flat: whether objects inside the objects of a plain JSON file become columns with dotted names.
    """

    named: str = "auto"
    task: str | None = None
    flat: bool = True

    @property
    def is_named(self) -> bool:
        """Whether the user says what it is."""
        return self.named not in ("auto", PLAIN)

    def of_text(self, content: Content) -> FileFormat | None:
        """Return the format of a file's text, if it is one."""
        forms: Iterable[FileFormat] = self._of_kind(FileFormat)
        for form in forms:
            if self.is_named or form.sniff(content, sure=self.task is None):
                return form
        return None

    def of_rows(self, rows: Sequence[Mapping[str, Any]], *, by_name: bool = True) -> RowFormat | None:
        """Return the format of rows, if it is one; with `by_name`, the one the user names whatever they look like."""
        forms: Iterable[RowFormat] = self._of_kind(RowFormat)
        for form in forms:
            if (by_name and self.is_named) or form.sniff(rows[:HEAD_ROWS], sure=self.task is None):
                return form
        return None

    def of_files(self, paths: Sequence[Path]) -> list[tuple[BundleFormat, tuple[Path, ...]]]:
        """Return which files belong together, and as what."""
        found: list[tuple[BundleFormat, tuple[Path, ...]]] = []
        forms: Iterable[BundleFormat] = self._of_kind(BundleFormat)
        for form in forms:
            taken = {path for _, bundle in found for path in bundle}
            free = [path for path in paths if path not in taken]
            found += [(form, bundle) for bundle in form.bundles(free, sure=not self.is_named)]
        return found

    def suffixes(self) -> set[str]:
        """Return the endings of file names that formats have to themselves."""
        return {suffix for form in self._of_kind(Format) for suffix in form.suffixes}

    def _of_kind(self, kind: type) -> Iterator[Any]:
        if self.named == PLAIN:
            return
        for name in [self.named] if self.is_named else FORMATS:
            form = FORMATS[name]
            right_task = self.is_named or self.task is None or form.task == LIKE.get(self.task, self.task)
            if right_task and issubclass(form, kind):
                yield form()


def announcement(form: Format, file: str, columns: Iterable[str], *, named: bool) -> Note:
    """Say that a file was not read as a plain table."""
    shown = ", ".join(columns)
    fix = (
        "" if named or not isinstance(form, RowFormat) else f"{setting('data.format', PLAIN)} to read it as plain rows"
    )
    return Note("info", "format", f"{file} is read as {form.title}: {shown}", fix=fix)
