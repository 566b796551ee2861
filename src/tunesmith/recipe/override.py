"""Single settings from outside a file: `--set train.lr=3e-5`, and keyword arguments of Python calls."""

from __future__ import annotations

from tunesmith.core.errors import Problem, RecipeError, Where
from tunesmith.recipe.document import read_text
from tunesmith.recipe.hints import hint_at
from tunesmith.recipe.keys import Key, parse
from tunesmith.recipe.layers import Layer, OriginName, flatten
from tunesmith.recipe.recipe import Recipe
from tunesmith.recipe.scalars import resolve
from tunesmith.recipe.shape import Sheet, shape

FLAG = "--set"
_EXAMPLE = "write KEY=VALUE, like train.lr=3e-5"


def override_layer(text: str, below: object) -> Layer:
    """Read one `--set` argument. `below` holds the nested values it is put upon.

    A value that starts with a bracket, a brace or a quote is YAML; any other is one word or number as it stands, so
    `data.delimiter=|` and `task.text=review: body` need no second quoting.
    """
    name, equals, written = text.partition("=")
    key = parse(name)
    if not equals or key is None:
        return _refused(Problem(f'"{text}" names no setting and value', Where(FLAG), _EXAMPLE))
    written = written.strip()
    if not written.startswith(("[", "{", '"', "'")):
        return setting_layer("--set", key, resolve(written), below=below, texts={key: written})
    try:
        document = read_text(written)
    except RecipeError as error:
        return _refused(Problem(error.problems[0].message, Where(FLAG, 0, name, written), error.problems[0].fix))
    if document.problems:
        return _refused(Problem(document.problems[0].message, Where(FLAG, 0, name, written), "keep one of them"))
    texts = {(*key, *inner): value for inner, value in document.texts.items()}
    return setting_layer("--set", key, document.values, below=below, texts=texts)


def argument_layer(name: str, value: object, below: object) -> Layer:
    """Read one argument: `name` is a dotted key, `value` any Python value, settings objects included."""
    key = parse(name)
    if key is None:
        return Layer("argument", {}, problems=(Problem("no name of a setting", Where(column=name), _EXAMPLE),))
    return setting_layer("argument", key, value, below=below, texts={})


def setting_layer(origin: OriginName, key: Key, value: object, *, below: object, texts: dict[Key, str]) -> Layer:
    """Turn one setting into a layer: short forms spelt out, the value fitted to its type."""
    sheet = Sheet(texts)
    hint = hint_at(Recipe, key, below)
    leaves = dict(flatten(hint, shape(hint, value, sheet, at=key), at=key))
    return Layer(origin, leaves, FLAG if origin == FLAG else "", mistakes=tuple(sheet.mistakes))


def _refused(problem: Problem) -> Layer:
    return Layer("--set", {}, FLAG, problems=(problem,))
