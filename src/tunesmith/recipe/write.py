"""Recipes as text: the resolved one in a run folder, and the commented one `tunesmith init` gives."""

from __future__ import annotations

import io
import textwrap
from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo
from ruamel.yaml import YAML

from tunesmith.core.spec import Spec
from tunesmith.recipe.recipe import Recipe

FIRST = {
    "data.path",
    "data.test",
    "task.text",
    "task.label",
    "model.source",
    "train.length",
    "train.lr",
    "preset",
    "seed",
}
"""What most people touch; everything else is commented out in the template."""
LINE_ENDS = "\r\x85\u2028\u2029"
HIDDEN = {
    "task.labels", "task.class_counts", "task.n_rows", "task.thresholds", "task.means", "task.deviations",
    "task.transitions", "task.vocabulary", "task.mask_token",
}  # fmt: skip
"""Learnt, not set."""


def to_yaml(recipe: Recipe) -> str:
    """Return the recipe as YAML, every setting written out; loading it gives an equal recipe."""
    return dump(recipe.model_dump(mode="json"))


def dump(content: object) -> str:
    """Return settings as YAML."""
    text = _dump(content)
    # YAML reads some letters that a column name may hold as line ends; escaping every non-ASCII letter is the way out.
    return _dump(content, escape=True) if any(c in text for c in LINE_ENDS) else text


def _dump(content: object, *, escape: bool = False) -> str:
    yaml, stream = _yaml(), io.StringIO()
    yaml.allow_unicode = not escape
    yaml.dump(content, stream)
    return stream.getvalue()


def template(recipe: Recipe) -> str:
    """Return a commented recipe: each setting with its meaning, choices and default."""
    lines = [
        "# A tunesmith recipe. Run it with: tunesmith train -c recipe.yaml",
        "# A setting behind # shows its default; remove the # to change it. auto: chosen from your data, and said why.",
        "",
    ]
    for name, field in Recipe.model_fields.items():
        value = getattr(recipe, name)
        if isinstance(value, Spec):
            lines += [f"# {field.description or ''}", f"{name}:", *_section(value, f"{name}.", indent=2), ""]
        else:
            lines += [*_entry(name, value, field, indent=0, key=name), ""]
    return "\n".join(lines).rstrip() + "\n"


def _section(spec: Spec, prefix: str, *, indent: int) -> list[str]:
    lines: list[str] = []
    for name, field in type(spec).model_fields.items():
        value, key = getattr(spec, name), prefix + name
        if key in HIDDEN:
            continue
        if isinstance(value, Spec):
            pad = " " * indent
            lines += [f"{pad}# {field.description or ''}", f"{pad}{name}:"]
            lines += _section(value, f"{key}.", indent=indent + 2)
        else:
            lines += _entry(name, value, field, indent=indent, key=key)
    # A section needs one live line to be a section.
    if not any(line.strip() and not line.strip().startswith("#") for line in lines):
        name = next(iter(type(spec).model_fields))
        first = next(i for i, line in enumerate(lines) if line.startswith(f"{' ' * indent}# {name}: "))
        lines[first] = lines[first].replace("# ", "", 1)
    return lines


def _entry(name: str, value: Any, field: FieldInfo, *, indent: int, key: str) -> list[str]:
    pad = " " * indent
    words = " ".join((field.description or "").split())
    choices = _choices(field.annotation)
    if choices:
        words += f" Choices: {', '.join(choices)}."
    comment = [f"{pad}# {line}" for line in textwrap.wrap(words, 100 - indent)]
    mark = "" if key in FIRST or name == "kind" else "# "
    return [*comment, f"{pad}{mark}{name}: {_scalar(value)}"]


def _choices(annotation: Any) -> list[str]:
    if get_origin(annotation) is not None and str(get_origin(annotation)) == "typing.Literal":
        return [str(choice) for choice in get_args(annotation)]
    return []


def _scalar(value: Any) -> str:
    stream = io.StringIO()
    yaml = _yaml()
    yaml.default_flow_style = True
    yaml.dump({"x": list(value) if isinstance(value, tuple) else value}, stream)
    return " ".join(stream.getvalue().split())[len("{x: ") : -1]


def _yaml() -> YAML:
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 4096
    yaml.allow_unicode = True
    return yaml
