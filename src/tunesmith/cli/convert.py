"""`tunesmith convert`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape

from tunesmith.cli import show
from tunesmith.core.wording import rows
from tunesmith.data import convert as conversion


def convert(paths: Sequence[str], out: Path, *, to: str, form: str) -> None:
    """Convert files and print what was written and what was not kept."""
    done = conversion.convert(paths, out, to=to, form=form)
    console = show.console()
    console.print(f"[bold]{done.source} → {done.target}: {rows(done.n_rows)} read[/bold]")
    show.notes(console, done.notes)
    for (kind, reason), n in Counter((entry.kind, entry.reason) for entry in done.entries).most_common():
        console.print(f"  {n:>7,}  {kind}: {escape(reason)}")
    for path in done.files:
        console.print(f"wrote {escape(str(path))}")
