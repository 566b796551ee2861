"""From a file, arguments and --set to one recipe: later ones win, all mistakes are reported together."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from tunesmith.core.errors import Problem, RecipeError, Where, did_you_mean, shorten
from tunesmith.recipe.origins import Kind, Origins, trace
from tunesmith.recipe.problems import problems_of, wrap_single_words
from tunesmith.recipe.recipe import DEFAULT_TASK, Recipe
from tunesmith.tasks.facts import Choices

DUPLICATE = re.compile(r'found duplicate key "([^"]*)"')
SHORT_FORMS = {"data": "path", "model": "source", "task": "kind"}
SET = "--set "
"""What the places of settings begin with that the command line names."""
VALUES = ("data.label_map",)
"""Settings that are mappings themselves, not sections."""


def compose(*, file: Path | None, overrides: Sequence[str], arguments: Mapping[str, Any]) -> tuple[Recipe, Origins]:
    """Return the recipe of defaults < `file` < `arguments` (dotted key to value) < `overrides` ("key=value").

    Raises:
        RecipeError: with every mistake that was found.
    """
    tree, places = ({}, {}) if file is None else read(file)
    return compose_tree(tree, places, overrides=overrides, arguments=arguments)


def compose_tree(
    tree: dict[str, Any], places: dict[str, Where], *, overrides: Sequence[str], arguments: Mapping[str, Any]
) -> tuple[Recipe, Origins]:
    """Likewise, of a file that was read: nested settings, and where each one stands."""
    given: dict[str, Kind] = {
        key: "--set" if where.file.startswith(SET) else "file"  # said of one of several
        for key, where in places.items()
        if not isinstance(tree.get(key), dict)
    }
    for key, value in leaves(arguments):
        put(tree, key, value)
        given[key] = "argument"
        places[key] = Where(column=key, value=None)
    for text in overrides:
        key, value = parse_override(text)
        if is_on(tree, key, value):
            continue
        put(tree, key, value)
        given = {name: kind for name, kind in given.items() if not is_inside(name, key)} | {key: "--set"}
        places[key] = Where(SET + text)
    suited = _suit(tree)
    recipe, origins = _build(tree, places, given)
    return origins.choose(recipe, suited)


def _suit(tree: dict[str, Any]) -> Choices:
    """Return what suits the data that the task's alias names, where nothing is said of it."""
    from tunesmith.tasks import SUITED

    task = tree.get("task")
    suited = SUITED.get(str(task.get("kind") if isinstance(task, dict) else task), {})
    return {key: choice for key, choice in suited.items() if not _is_said(tree, key)}


def _is_said(tree: dict[str, Any], key: str) -> bool:
    section, _, field = key.partition(".")
    inner = tree.get(section)
    return isinstance(inner, dict) and field in inner


def _build(tree: dict[str, Any], places: Mapping[str, Where], given: Mapping[str, Kind]) -> tuple[Recipe, Origins]:
    from tunesmith.tasks import TASKS

    problems: list[Problem] = []
    wrap_single_words(tree, Recipe)
    task = tree.get("task")
    if isinstance(task, dict):
        tree, problems = _check_task(tree, task, places, TASKS)
    try:
        recipe = Recipe.model_validate(tree)
    except ValidationError as error:
        found = [*problems, *problems_of(error, model=Recipe, places=places)]
        # In the order of the file; what stands on the command line last.
        raise RecipeError.of(sorted(found, key=lambda p: (not p.where.row, p.where.row))) from None
    if problems:
        raise RecipeError.of(problems)
    return recipe, trace(recipe, given)


def _check_task(
    tree: dict[str, Any], task: dict[str, Any], places: Mapping[str, Where], tasks: Any
) -> tuple[dict[str, Any], list[Problem]]:
    """Validate the task on its own, so that its mistakes stand beside the other sections'."""
    named = {"kind": str(task["kind"])} if "kind" in task else {}
    kind = named.get("kind", DEFAULT_TASK)
    try:
        model = tasks[kind]
    except RecipeError as error:
        where = places.get("task.kind", Where())
        return {**tree, "task": None}, [Problem(error.problems[0].message, where, error.problems[0].fix)]
    try:
        return {**tree, "task": model.model_validate({**task, **{key: tasks.canonical(kind) for key in named}})}, []
    except ValidationError as error:
        moved = {k.removeprefix("task."): v for k, v in places.items() if k.startswith("task.")}
        found = problems_of(error, model=model, places=moved)
        renamed = [
            Problem(p.message, Where(p.where.file, p.where.row, f"task.{p.where.column}", p.where.value), p.fix)
            for p in found
        ]
        return {**tree, "task": None}, renamed


def read(file: Path) -> tuple[dict[str, Any], dict[str, Where]]:
    """Return what a recipe file says, and where each setting stands.

    Raises:
        RecipeError: it is not there, or no recipe.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        near = [p.name for p in file.parent.glob("*.y*ml")] if file.parent.is_dir() else []
        raise RecipeError(
            "there is no such recipe",
            where=Where(str(file)),
            fix=did_you_mean(file.name, near) or "tunesmith init makes one",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"cannot read the recipe: {error}", where=Where(str(file))) from None
    try:
        loaded = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        words = _yaml_words(error, text, line)
        fix = "remove one of them" if DUPLICATE.match(str(error.problem)) else _yaml_fix(text, line)
        raise RecipeError(words, where=Where(str(file), line), fix=fix) from None
    except YAMLError as error:
        raise RecipeError(f"not valid YAML: {error}", where=Where(str(file))) from None
    if loaded is None:
        return {}, {}
    if not isinstance(loaded, CommentedMap):
        raise RecipeError(
            "a recipe is a list of sections",
            where=Where(str(file), 1, "", shorten(loaded, 40)),
            fix="start with data: FILE",
        )
    places: dict[str, Where] = {}
    _note_places(loaded, str(file), "", places)
    return _plain(loaded), places


def _note_places(node: Any, file: str, prefix: str, places: dict[str, Where]) -> None:
    if isinstance(node, CommentedMap):
        for key, value in node.items():
            dotted = f"{prefix}.{key}" if prefix else str(key)
            places[dotted] = Where(file, node.lc.key(key)[0] + 1)
            _note_places(value, file, dotted, places)
    elif isinstance(node, CommentedSeq):
        for i, value in enumerate(node):
            places[f"{prefix}[{i}]"] = Where(file, node.lc.item(i)[0] + 1)
            _note_places(value, file, f"{prefix}[{i}]", places)


def _plain(node: Any) -> Any:
    """Return ruamel's nodes as plain Python; text that reads as a number (1e-4) becomes one."""
    if isinstance(node, CommentedMap):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        return [_plain(value) for value in node]
    if isinstance(node, bool) or node is None:
        return node
    for kind in (int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node


def parse_override(text: str) -> tuple[str, Any]:
    """Return key and value of "key=value"."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise RecipeError("not a setting", where=Where(f"--set {text}"), fix="write --set section.name=value")
    try:
        parsed = YAML(typ="safe", pure=True).load(io.StringIO(value)) if value.strip() else ""
    except YAMLError:
        parsed = value
    return key.strip(), parsed


def leaves(arguments: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted keys and values; a section given as a mapping adds to what else is said of it."""
    for key, value in arguments.items():
        whole = isinstance(value, Mapping) and f"{prefix}{key}" not in VALUES
        yield from leaves(value, f"{prefix}{key}.") if whole else [(prefix + key, value)]


def is_inside(key: str, section: str) -> bool:
    """Whether a dotted key is one of a section, or of a list."""
    return key.startswith((f"{section}.", f"{section}["))


def is_on(tree: Mapping[str, Any], key: str, value: Any) -> bool:
    """Whether a key is to be switched on that has settings of its own already: these stay."""
    node: Any = tree
    for name in key.split("."):
        node = node.get(name) if isinstance(node, Mapping) else None
    return value is True and isinstance(node, Mapping)


def put(tree: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key in nested dictionaries, keeping what a short form (`data: FILE`) said, and what `is_on`."""
    if is_on(tree, key, value):
        return
    *parents, last = key.split(".")
    node = tree
    for parent in parents:
        inner = node.get(parent)
        if isinstance(inner, str | list) and parent in SHORT_FORMS:
            inner = {SHORT_FORMS[parent]: inner}
        if not isinstance(inner, dict):
            inner = {}
        node[parent] = inner
        node = inner
    node[last] = list(value) if isinstance(value, tuple) else value


def _yaml_words(error: MarkedYAMLError, text: str, line: int) -> str:
    lines = text.splitlines()
    if 0 < line <= len(lines) and "\t" in lines[line - 1]:
        return "a tab, where YAML wants spaces"
    if twice := DUPLICATE.match(str(error.problem)):
        return f'"{twice[1]}" stands twice in this section'
    return f"not valid YAML: {error.problem or error.context}".splitlines()[0]


def _yaml_fix(text: str, line: int) -> str:
    lines = text.splitlines()
    if 0 < line <= len(lines) and "\t" in lines[line - 1]:
        return "replace the tab by two spaces"
    return "check colons, quotes and indentation around this line"
