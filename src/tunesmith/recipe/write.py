"""A recipe as YAML text: every setting with its value, in a fixed order, so that two recipes can be compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tunesmith.recipe.recipe import Recipe
from tunesmith.recipe.scalars import write

_WIDTH = 100
_LONGEST_KEY = 1000
"""YAML readers give up looking for the ":" after 1024 characters."""


def to_yaml(recipe: Recipe) -> str:
    """Return the whole recipe, defaults included; it loads back to an equal one."""
    return "\n".join(_mapping(recipe.model_dump(), 0)) + "\n"


def flow(value: object) -> str:
    """Return any value of a setting on one line: `[fix_unicode, strip_html]`."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{write(str(name))}: {flow(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    return write(value)


def _mapping(values: Mapping[str, object], indent: int) -> Iterator[str]:
    for name, value in values.items():
        key = write(str(name))
        if len(key) > _LONGEST_KEY:
            yield f"{' ' * indent}? {key}"
            key = ""
        yield from _entry(key, value, indent)


def _entry(key: str, value: object, indent: int) -> Iterator[str]:
    start = f"{' ' * indent}{key}:"
    if isinstance(value, Mapping) and value:
        yield start
        yield from _mapping(value, indent + 2)
    elif isinstance(value, Sequence) and not isinstance(value, str) and not _fits(value, len(start)):
        yield start
        for item in value:
            yield from _item(item, indent + 2)
    else:
        yield f"{start} {flow(value)}"


def _item(item: object, indent: int) -> Iterator[str]:
    if isinstance(item, Mapping) and item:
        first, *rest = _mapping(item, indent + 2)
        yield f"{' ' * indent}- {first.lstrip(' ')}"
        yield from rest
    else:
        yield f"{' ' * indent}- {flow(item)}"


def _fits(value: Sequence[object], used: int) -> bool:
    plain = not any(isinstance(item, Mapping) for item in value)
    return plain and used + 1 + len(flow(value)) <= _WIDTH
