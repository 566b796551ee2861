"""The first page of a run: what was started, with which versions, how far it came, how it ended.

`manifest.json` is written when the run is created, so that even a run killed in its first second says what it was.
"""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from tunesmith.core.errors import RunError, Where

FORMAT = 1
Status = Literal["running", "done", "stopped", "failed"]
_PACKAGES = ("tunesmith", "torch", "transformers", "tokenizers", "accelerate", "scikit-learn", "numpy")


def new_manifest(name: str, *, command: str) -> dict[str, Any]:
    """Return the manifest of a run that starts now; times are UTC in ISO 8601."""
    return {
        "format": FORMAT,
        "name": name,
        "status": "running",
        "reason": "",
        "created": now(),
        "finished": None,
        "command": command,
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Return the version of Python and of the packages that decide about the numbers, as far as installed.

    Nothing is imported: torch alone would take a second.
    """
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def now() -> str:
    """Return the present moment, for example "2026-03-01T14:05:09+00:00"."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def check_manifest(value: object, path: Path) -> dict[str, Any]:
    """Return `value` if it is a manifest this version can read.

    Raises:
        RunError: it is no manifest, or was written by a newer tunesmith.
    """
    if not isinstance(value, dict) or not isinstance(value.get("format"), int) or "name" not in value:
        raise RunError(
            "this is not the manifest of a tunesmith run", where=Where(str(path)), fix="choose another folder"
        )
    if value["format"] > FORMAT:
        raise RunError(
            f"this run was written by a newer tunesmith (format {value['format']}, known here: {FORMAT})",
            where=Where(str(path)),
            fix="pip install --upgrade tunesmith",
        )
    return value
