"""The recipe that `tunesmith init` writes: what most people touch, ready to edit, and the rest to switch on.

Made from the settings' own docstrings and defaults, so that it cannot fall behind them.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from tunesmith.core.spec import Spec
from tunesmith.recipe.hints import field_hint, model_of, words_of
from tunesmith.recipe.keys import Key, dotted, parse
from tunesmith.recipe.override import argument_layer
from tunesmith.recipe.recipe import Recipe
from tunesmith.recipe.write import flow

_WIDTH = 100
_FIRST = frozenset(
    "data.path data.split.test data.split.dev task.kind task.text task.label model.source train.length train.lr"
    " evaluate.metric seed preset".split()
)
_LEARNT = frozenset({"task.labels", "task.class_counts"})

_HEADER = """\
# A tunesmith recipe. Try it without training:  tunesmith train -c THIS_FILE --dry-run
# What is "auto" is chosen from the data, and the choice is shown with its reason.
# A line like "#name: value" is a setting at its default: take the "#" away to change it.
"""


def template(values: Mapping[str, object] | None = None) -> str:
    """Return a commented recipe.

    Args:
        values: dotted key to value, to be filled in ("data.path": ["reviews.csv"]); these are never commented out.
    """
    given: dict[Key, Any] = {}
    for name, value in (values or {}).items():
        given |= argument_layer(name, value, {}).leaves
    return "\n".join([_HEADER, *_top_level(given)]) + "\n"


def _top_level(given: Mapping[Key, Any]) -> Iterator[str]:
    recipe = Recipe()
    for name, field in Recipe.model_fields.items():
        value = getattr(recipe, name)
        model = model_of(field_hint(Recipe, name), value)
        if model is None:
            yield from _setting(Recipe, (name,), value, given)
        else:
            yield f"# ---- {name}: {_sentence(field.description or '')} ".ljust(_WIDTH, "-")
            yield f"{name}:"
            yield from _section(type(value), (name,), value, given)
        yield ""


def _section(model: type[Spec], at: Key, values: Spec, given: Mapping[Key, Any]) -> Iterator[str]:
    """Yield the settings of a section: first the ones to touch, then the others."""
    names = [name for name in model.model_fields if dotted((*at, name)) not in _LEARNT]
    names.sort(key=lambda name: not _is_shown((*at, name), given))
    for name in names:
        value = getattr(values, name)
        if isinstance(value, Spec):
            yield f"{_indent(at)}{name}:"
            yield from _section(type(value), (*at, name), value, given)
        else:
            yield from _setting(model, (*at, name), value, given)


def _setting(model: type[Spec], key: Key, default: object, given: Mapping[Key, Any]) -> Iterator[str]:
    """Yield the comment and the line of one setting; on one line if it is a seldom one and short."""
    name = str(key[-1])
    indent = _indent(key[:-1])
    text = _about(model, name)
    if _is_shown(key, given):
        yield from textwrap.wrap(text, _WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")
        yield f"{indent}{name}: {flow(given.get(key, default))}"
        return
    line = f"{indent}#{name}: {flow(default)}"
    short = f"{line.ljust(28)}  # {_sentence(text)}"
    if len(short) <= _WIDTH:
        yield short
    else:
        yield from textwrap.wrap(text, _WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")
        yield line


def _about(model: type[Spec], name: str) -> str:
    text = " ".join((model.model_fields[name].description or "").split())
    words = words_of(field_hint(model, name))
    options = f" One of: {', '.join(words)}." if len(words) > 1 else ""
    return (text + options).strip()


def _sentence(text: str) -> str:
    """Return the first sentence and, if there is one, the list of options at the end."""
    first = re.split(r"(?<=[a-z\)\"])\.(?: |$)", text)[0]
    options = re.search(r"One of: .*", text)
    return first + (f". {options[0]}" if options and options[0] not in first else "")


def _is_shown(key: Key, given: Mapping[Key, Any]) -> bool:
    if dotted(key) in _FIRST:
        return True
    return any(name[: len(key)] == key for name in [*given, *(parse(first) or () for first in _FIRST)])


def _indent(at: Key) -> str:
    return "  " * len(at)
