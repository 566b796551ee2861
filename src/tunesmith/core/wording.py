"""Words that messages of all packages share: numbers of things, and settings that can be pasted into a shell."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping

PLAIN = re.compile(r"[^\W\d]\w*(?:[ -]\w+)*")
"""Text that YAML reads as text without quotes, unless it is one of these words."""
YAML_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "y", "n", "null"})


def rows(n: int, kind: str = "") -> str:
    """Say a number of rows: "1 row", "1,821 rows", "1,821 test rows"."""
    return count(n, f"{kind} row".strip())


def count(n: int, noun: str) -> str:
    """Say a number of things: "1 text", "2 texts", "1 class", "2 classes"."""
    ending = "es" if noun.endswith(("s", "tch")) else "s"
    return f"{n:,} {noun}{'' if n == 1 else ending}"


def does(n: int, noun: str, one: str, many: str) -> str:
    """Say what a number of things do: "1 row repeats", "2 rows repeat"."""
    return f"{count(n, noun)} {one if n == 1 else many}"


def setting(key: str, value: object) -> str:
    """Return "--set KEY=VALUE" as it can be typed into a shell; a mapping is written as YAML."""
    shown = _yaml(value) if isinstance(value, Mapping) else str(value)
    return f"--set {shlex.quote(f'{key}={shown}')}"


def _yaml(mapping: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{_yaml_text(key)}: {_yaml_text(value)}" for key, value in mapping.items()) + "}"


def _yaml_text(text: str) -> str:
    if PLAIN.fullmatch(text) and text.casefold() not in YAML_WORDS:
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())
