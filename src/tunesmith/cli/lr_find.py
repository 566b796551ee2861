"""`tunesmith lr-find`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.progress import Progress

from tunesmith.cli import show
from tunesmith.cli.progress import MakingDisplay
from tunesmith.core.errors import RunError, Where
from tunesmith.recipe.compose import compose
from tunesmith.run.folder import RUNS

if TYPE_CHECKING:
    from tunesmith.workflow.lr_find import Found

BARS = 14
"""Lines of the picture on the screen."""


def lr_find(
    file: Path | None, overrides: Sequence[str], *, arguments: Mapping[str, Any], steps: int, out: Path | None
) -> None:
    """Raise the rate, print and draw the loss, say which rate to try."""
    composed = compose(file=file, overrides=overrides, arguments=arguments)
    from tunesmith.run.report.rates import write_page
    from tunesmith.workflow.lr_find import find_rate
    from tunesmith.workflow.prepare import prepare
    from tunesmith.workflow.resolve import resolve
    from tunesmith.workflow.start import data_stem, refuse_early

    refuse_early(composed[0])
    stem = data_stem(composed[0].data.path)
    target = out or RUNS / f"{stem}-lr.html"
    if out is not None and out.exists():
        raise RunError("this file exists already", where=Where(str(out)), fix="choose another --out")
    console = show.console()
    with MakingDisplay(console) as display:
        prepared = prepare(composed[0], tell=display)
    resolved = resolve(*composed, prepared=prepared)
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("raising the rate", total=steps)
        found = find_rate(resolved, steps=steps, on_step=lambda n: bar.update(task, completed=n))
    said = _said(found, float(resolved.recipe.train.lr))
    for rate, _, smooth in found.points[:: max(1, len(found.points) // BARS)]:
        top = max(one[2] for one in found.points)
        console.print(f"{rate:8.1e}  {smooth:8.3f}  {'#' * round(40 * smooth / top)}", highlight=False)
    console.print(escape(said))
    target.parent.mkdir(parents=True, exist_ok=True)
    write_page(target, found.points, title=stem, sentence=said)
    console.print(f"picture  {escape(str(target))}   [dim](open it in a browser)[/dim]")


def _said(found: Found, chosen: float) -> str:
    if found.steepest is None:
        return "The loss fell at no rate: something else is wrong, such as the labels, or too few steps."
    said = f"The loss fell fastest at {found.steepest:g} and was lowest at {found.lowest:.2g}. "
    if not found.is_clear:
        said += f"But it fell by {max(found.fall, 0):.2g} in all, and differs by {found.noise:.2g} from step to step: "
        return f"{said}this says nothing yet. The recipe trains with {chosen:g}; more --steps see more."
    return f"{said}As it is, the recipe trains with {chosen:g}; try: --set train.lr={found.steepest:g}"
