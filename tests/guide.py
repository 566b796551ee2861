"""What tests/test_guide.py needs of the guide: its blocks, a check of commands, and the table of all settings.

`python -m tests.guide` writes the table into docs/guide/recipe.md.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer

from tunesmith.cli.main import app
from tunesmith.core.spec import Spec
from tunesmith.engine.mix_spec import MixSpec
from tunesmith.recipe.compose import compose
from tunesmith.recipe.origins import flat
from tunesmith.recipe.problems import settings_of
from tunesmith.recipe.recipe import Recipe
from tunesmith.recipe.several import KINDS, MIX, compose_several, kind_of
from tunesmith.recipe.write import HIDDEN
from tunesmith.tasks import TASKS

ROOT = Path(__file__).resolve().parents[1]
GUIDE = ROOT / "docs" / "guide"
PAGES = sorted([*GUIDE.glob("*.md"), ROOT / "recipes" / "README.md"])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_RUN = re.compile(r"<!-- not run:[^>]*-->\s*\Z")
FOLLOWS = re.compile(r"<!-- run after the commands above -->\s*\Z")
BEGIN, END = "<!-- settings: made by `python -m tests.guide`, do not edit by hand -->", "<!-- end of settings -->"


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; `run` is false below a comment `<!-- not run: why -->`.

    `follows` is true below `<!-- run after the commands above -->`: it needs what these have made.
    """

    page: str
    line: int
    language: str
    text: str
    run: bool
    follows: bool


def blocks(page: Path, *languages: str) -> Iterator[Block]:
    """Yield the fenced blocks of a page in some languages, in order."""
    text = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        if match[1] in languages:
            before = text[: match.start()]
            runs, follows = not NOT_RUN.search(before), bool(FOLLOWS.search(before))
            yield Block(page.name, before.count("\n") + 1, match[1], match[2], runs, follows)


def commands(block: Block) -> Iterator[str]:
    """Yield what a reader would type: the lines after "$ "."""
    yield from (line[2:] for line in block.text.splitlines() if line.startswith("$ "))


def check_command(line: str, *, folder: Path) -> int:
    """Parse every `tunesmith` in a shell line without running it; return how many there were.

    Arguments and options go through the typer app itself, settings and recipes through `compose`; a recipe that is
    not in `folder` is left out.

    Raises:
        Exception: there is no such command, option or setting, or a value is not one.
    """
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|>")
    lexer.whitespace_split = True
    found = 0
    for part in _split(list(lexer), "|"):
        words = next(_split(part, ">"))
        if "tunesmith" in words:
            _compose(words[words.index("tunesmith") + 1 :], folder)
            found += 1
    return found


def parse(arguments: list[str]) -> Any:
    """Return the context of a command and its arguments, as typer reads them."""
    group: Any = typer.main.get_command(app)
    name, *rest = arguments
    if name not in group.commands:
        raise LookupError(f"there is no command {name}")
    return group.commands[name].make_context(name, list(rest))


def _compose(arguments: list[str], folder: Path) -> None:
    values = parse(arguments).params
    file = values.get("recipe")
    known = folder / file if file and (folder / file).is_file() else None
    named = {"preset": values.get("preset"), "task.kind": values.get("task"), "augment.copies": values.get("copies")}
    arguments_ = {key: value for key, value in named.items() if value}
    if kind_of(known):
        compose_several(known, overrides=values.get("settings") or [], arguments=arguments_)
        return
    if file and known is None:  # a recipe of the page, maybe of several parts
        values["settings"] = [s for s in values.get("settings") or [] if s.split(".")[0] not in (*KINDS, MIX)]
    compose(file=known, overrides=values.get("settings") or [], arguments=arguments_)


def _split(words: list[str], mark: str) -> Iterator[list[str]]:
    part: list[str] = []
    for word in words:
        if word == mark:
            yield part
            part = []
        else:
            part.append(word)
    yield part


def options() -> set[str]:
    """Return every option of every command."""
    group: Any = typer.main.get_command(app)
    parameters = [p for command in [group, *group.commands.values()] for p in command.params]
    return {option for p in parameters for option in p.opts} | {"--help"}


def settings() -> dict[str, Any]:
    """Return dotted name to field, of all settings a user can set, those of all tasks among them."""
    of_tasks = {f"task.{name}": field for kind in TASKS for name, field in TASKS[kind].model_fields.items()}
    usual = dict(settings_of(Recipe))
    found = {**usual, **{key: field for key, field in of_tasks.items() if key not in usual}}
    return {key: field for key, field in found.items() if key not in HIDDEN}


def settings_of_several() -> dict[str, Any]:
    """Return dotted name to field, of the settings of several tasks together."""
    return {f"{MIX}.{name}": field for name, field in MixSpec.model_fields.items()}


def table() -> str:
    """Return all settings as Markdown: a heading for each section, a row for each setting."""
    defaults = flat(Recipe())
    sections: dict[str, list[str]] = {}
    for key, field in settings().items():
        section, within = key.rpartition(".")[0], key.count(".") > 1
        if key in defaults or (section in defaults and within):
            # Settings of what is switched on by them stand below its switch.
            section = section.rpartition(".")[0] if section in defaults else section
            meaning = " ".join((field.description or "").split()).replace("|", "\\|")
            values = _choices(field.annotation)
            if values:
                meaning += f" One of: {', '.join(f'`{value}`' for value in values)}."
            default = _shown(defaults.get(key, field.default))
            sections.setdefault(section, []).append(f"| `{key}` | {default} | {meaning.strip()} |")
    parts = []
    for section in sorted(sections, key=lambda name: (name == "", list(sections).index(name))):
        title = f"### `{section}`" if section else "### The rest"
        field = settings().get(section)
        about = [" ".join(field.description.split()), ""] if field is not None and field.description else []
        parts += [title, "", *about, "| setting | default | meaning |", "|---|---|---|", *sections[section], ""]
    return "\n".join(parts)


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list | tuple):
        return ", ".join(f"`{item}`" if item else '`""`' for item in value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"`{k}: {v}`" for k, v in value.items()) or "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _choices(annotation: Any) -> list[str]:
    """Return the words a setting may be, where it is one of a few words."""
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        return []
    if get_origin(annotation) is tuple:
        annotation = get_args(annotation)[0]
    words = [str(value) for value in get_args(annotation)] if get_origin(annotation) is Literal else []
    return words if len(words) > 1 else []


def with_table(text: str) -> str:
    """Return the text of recipe.md with the table as it should be."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table()}\n{END}{after}"


if __name__ == "__main__":
    target = GUIDE / "recipe.md"
    target.write_text(with_table(target.read_text(encoding="utf-8")), encoding="utf-8")
