"""A table of names that imports what a name stands for only when it is asked for.

`LazyTable({"text-classification": "tunesmith.tasks.text_classification:TextClassification"})`: adding a feature is
one file and one line. Other packages add theirs through an entry-point group of the same name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from tunesmith.core.errors import RecipeError, did_you_mean


class LazyTable(Mapping[str, Any]):
    """Names to importable objects. Aliases are looked up but not listed."""

    def __init__(
        self, what: str, entries: Mapping[str, str], *, aliases: Mapping[str, str] | None = None, group: str = ""
    ) -> None:
        self._what = what
        self._entries = dict(entries)
        self._aliases = dict(aliases or {})
        self._group = group
        self._plugins_read = not group

    def __getitem__(self, name: str) -> Any:
        module, _, attribute = self._find(name).partition(":")
        return getattr(import_module(module), attribute)

    def __contains__(self, name: object) -> bool:
        try:
            self._find(str(name))
        except RecipeError:
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        self._read_plugins()
        return iter(self._entries)

    def __len__(self) -> int:
        self._read_plugins()
        return len(self._entries)

    def canonical(self, name: str) -> str:
        """Return the listed name that `name` (a name or an alias) stands for."""
        self._find(name)
        return self._aliases.get(name, name)

    def _find(self, name: str) -> str:
        key = self._aliases.get(name, name)
        if key not in self._entries:
            self._read_plugins()
        if key not in self._entries:
            near = did_you_mean(name, [*self._entries, *self._aliases])
            raise RecipeError(
                f'unknown {self._what} "{name}"', fix=near or f"one of: {', '.join(sorted(self._entries))}"
            )
        return self._entries[key]

    def _read_plugins(self) -> None:
        if not self._plugins_read:
            self._plugins_read = True
            for point in entry_points(group=self._group):
                self._entries.setdefault(point.name, point.value)
