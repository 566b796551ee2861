"""docs/families.md: the matrix as the tests found it.

`python -m tests.families.page` runs the matrix and writes the page.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "families.md"
REFRESH = "run: python -m tests.families.page"


def page(found: Mapping[tuple[str, str], str]) -> str:
    """Return the page; `found` is why a cell (family, task) is empty, "" where it isn't."""
    return json_like(found)


def json_like(found):
    return "\n".join(f"{k}: {v}" for k, v in found.items())
