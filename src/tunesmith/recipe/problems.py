"""Mistakes in settings, said in plain words, all of them at once."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ValidationError

from tunesmith.core.errors import Problem, Where, did_you_mean
from tunesmith.core.spec import Spec
from tunesmith.core.wording import count, setting

Lines = Mapping[str, Where]
"""Dotted key to where the user wrote it."""


def problems_of(error: ValidationError, *, model: type[BaseModel], places: Lines) -> list[Problem]:
    """Turn pydantic's errors into problems with the user's places."""
    found = [(item, _problem(item, model, places)) for item in error.errors()]
    typed = {problem.where.column.partition("[")[0] for item, problem in found if item["type"] != "literal_error"}
    return [
        problem
        for item, problem in found
        # "3" or "auto": what matters is why it is no number, not that it is not "auto" either.
        if not (item["type"] == "literal_error" and problem.where.column in typed)
    ]


def format_problems(problems: Sequence[Problem], *, ending: str = "nothing was started") -> str:
    """Return problems as aligned lines, one each, and a closing line that counts them."""
    rows = [_cells(problem) for problem in problems]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = []
    for place, column, message, fix in rows:
        cells = [c.ljust(w) for c, w in zip((place, column, message), widths, strict=True) if w]
        lines.append("error  " + "  ".join(cells).rstrip() + (f"  fix: {fix}" if fix else ""))
    return "\n".join([*lines, f"{count(len(problems), 'problem')}, {ending}."])


def _cells(problem: Problem) -> tuple[str, str, str, str]:
    from tunesmith.core.errors import shorten

    where = problem.where
    place = where.file + (f":{where.row}" if where.row else "")
    value = "" if where.value in (None, "") else f" (got {shorten(where.value)})"
    return place, where.column, problem.message + value, problem.fix


def _problem(item: Any, model: type[BaseModel], places: Lines) -> Problem:
    location = [part for part in item["loc"] if not (isinstance(part, str) and part.startswith(_BRANCHES))]
    key = dotted(_without_union_tags(location, places))
    where = _place(key, places)
    value = item["input"] if not isinstance(item["input"], dict | list | tuple | BaseModel) else None
    where = Where(where.file, where.row, key, None if item["type"] == "extra_forbidden" else value)
    if item["type"] == "string_type" and isinstance(value, int | float):
        message, fix = _number_for_text(value, key, model, typed=where.file)
    else:
        message, fix = _words(item, key, model)
    return Problem(message, where, fix)


def _number_for_text(value: float, key: str, model: type[BaseModel], *, typed: str) -> tuple[str, str]:
    """Say of a number in the place of text what the setting's own check says of it ("3" lacks a unit), or to quote it.

    YAML reads 3 as a number, on the command line, too.
    """
    field = dict(settings_of(model)).get(key)
    for check in field.metadata if field else ():
        if isinstance(check, AfterValidator):
            try:
                check.func(str(value))  # type: ignore[call-arg]
            except ValueError as error:
                return _said(error)
    text = json.dumps(str(value))
    if typed.startswith("--set "):
        return "is a number, not text", setting(typed.removeprefix("--set ").partition("=")[0], text)
    return "is a number, not text", f"write {text}, with the quotes"


def _words(item: Any, key: str, model: type[BaseModel]) -> tuple[str, str]:
    kind, context = item["type"], item.get("ctx", {})
    if kind == "extra_forbidden":
        return "unknown setting", _nearest_setting(key, model)
    if kind == "missing":
        return "this setting is needed", "add it"
    if kind == "literal_error":
        return "is none of the choices", f"one of: {context['expected']}".replace("'", "").replace(" or ", ", ")
    if kind in _LIMITS:
        return "is out of range", f"must be {_LIMITS[kind]} {next(iter(context.values()))}"
    if kind in _TYPES:
        return f"is not {_TYPES[kind]}", f"write {_TYPES[kind]}"
    return _own_words(item)


def _own_words(item: Any) -> tuple[str, str]:
    """Return what a check of ours raised: a message, or a message and a fix."""
    raised = item.get("ctx", {}).get("error")
    if raised is not None and len(raised.args) == 2:
        return _said(raised)
    message = str(item["msg"]).removeprefix("Value error, ")
    return message[0].lower() + message[1:], ""


def _said(error: Exception) -> tuple[str, str]:
    message, fix = (*error.args, "")[:2]
    return str(message), str(fix)


_BRANCHES = ("function-", "literal[", "tuple[")
"""How pydantic calls what a setting may be, where it may be several things."""
_LIMITS = {
    "greater_than": "more than",
    "greater_than_equal": "at least",
    "less_than": "less than",
    "less_than_equal": "at most",
}
_TYPES = {
    "float_parsing": "a number",
    "float_type": "a number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a section with settings below it",
    "model_attributes_type": "a section with settings below it",
}


_CALLED_ELSEWHERE = {
    "batch_size": 'train.step_size="32 rows"',
    "per_device_train_batch_size": 'train.step_size="32 rows"',
    "epochs": 'train.length="3 epochs"',
    "num_epochs": 'train.length="3 epochs"',
    "num_train_epochs": 'train.length="3 epochs"',
    "max_steps": 'train.length="500 steps"',
    "learning_rate": "train.lr=5e-5",
    "max_length": "task.max_tokens=256",
    "max_seq_length": "task.max_tokens=256",
    "metric_for_best_model": "evaluate.metric=accuracy",
}
"""What settings are called in other tools, and how the same is set here."""


def _nearest_setting(key: str, model: type[BaseModel]) -> str:
    """Suggest a field of the same section, or say which section or task a field of this name belongs to."""
    parent, _, name = key.rpartition(".")
    known = dict(settings_of(model))
    usual = _CALLED_ELSEWHERE.get(name) or _CALLED_ELSEWHERE.get(_nearest(name, _CALLED_ELSEWHERE))
    if usual:
        return f"here it is {usual}"
    here = [k.rpartition(".")[2] for k in known if k.rpartition(".")[0] == parent]
    tasks = _tasks_with(name) if "kind" in known else []
    if tasks:
        named = " or ".join(f"--task {task}" for task in tasks)
        return f"leave it out; it belongs to {', '.join(tasks)}: {named}"
    near = did_you_mean(name, here)
    if near:
        return near
    elsewhere = [k for k in known if k.rpartition(".")[2] == name]
    if elsewhere and "." not in parent:
        return f'did you mean "{elsewhere[0]}"?'
    return f"settings here: {', '.join(here)}" if here else did_you_mean(key, list(known))


def _nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name that differs from this one by a slip of the fingers, or ""."""
    return next(iter(difflib.get_close_matches(name.casefold(), known, n=1, cutoff=0.85)), "")


def _tasks_with(name: str) -> list[str]:
    from tunesmith.tasks import TASKS

    return [task for task in TASKS if name in TASKS[task].model_fields]


def settings_of(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, field) for a model and the sections in it; a section itself too."""
    from tunesmith.tasks import TASKS
    from tunesmith.tasks.base import Task

    for name, field in model.model_fields.items():
        key = f"{prefix}{name}"
        yield key, field
        inner = TASKS["text-classification"] if field.annotation is Task else section(field.annotation)
        if inner is not None:
            yield from settings_of(inner, f"{key}.")


def section(annotation: Any) -> type[Spec] | None:
    """Return the settings that a field holds, which may be left out; None where it holds a value."""
    kinds = [one for one in (annotation, *get_args(annotation)) if isinstance(one, type) and issubclass(one, Spec)]
    return kinds[0] if kinds else None


def wrap_single_words(tree: dict[str, Any], model: type[BaseModel]) -> None:
    """Make a single word given for a list setting a list of one, in place; "auto" stays where it is a choice."""
    for key, field in settings_of(model):
        is_list = get_origin(field.annotation) is tuple
        branches = (field.annotation,) if is_list else get_args(field.annotation)
        if any(get_origin(branch) is tuple for branch in branches):
            words = {word for branch in branches if get_origin(branch) is Literal for word in get_args(branch)}
            *parents, name = key.split(".")
            node: Any = tree
            for parent in parents:
                node = node.get(parent) if isinstance(node, dict) else None
            if isinstance(node, dict) and isinstance(node.get(name), str) and node[name] not in words:
                node[name] = [node[name]]


def dotted(parts: Sequence[str | int]) -> str:
    """Return "objectives[0].alpha" for ("objectives", 0, "alpha")."""
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _without_union_tags(location: Sequence[str | int], places: Lines) -> list[str | int]:
    """Drop the names pydantic adds for the branch of a union ("float", "constrained-str")."""
    kept = list(location)
    tags = {"float", "int", "str", "bool", "constrained-float", "constrained-int", "function-after"}
    while len(kept) > 1 and isinstance(kept[-1], str) and kept[-1] in tags and dotted(kept) not in places:
        kept.pop()
    return kept


def _place(key: str, places: Lines) -> Where:
    """Where the key, or the nearest section around it, was written."""
    while key and key not in places:
        key = key.rpartition("[")[0] if key.endswith("]") else key.rpartition(".")[0]
    return places.get(key, Where())
