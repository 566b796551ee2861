"""The page of a learning-rate range test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from tunesmith.core.files import write_text
from tunesmith.run.report import charts
from tunesmith.run.report.page import templates


def write_page(path: Path, points: Sequence[tuple[float, float, float]], *, title: str, sentence: str) -> None:
    """Write the page.

    Args:
        path: where.
        points: (rate, loss, smoothed loss) of each step.
        title: of the page.
        sentence: what was found.
    """
    each = [(math.log10(rate), loss) for rate, loss, _ in points]
    smooth = [(math.log10(rate), mean) for rate, _, mean in points]
    chart = charts.lines(
        [("smoothed loss", smooth), ("loss", each)],
        label="loss by learning rate",
        x_label="learning rate, as a power of ten",
    )
    content = {"title": title, "sentence": sentence, "chart": Markup(chart)}
    write_text(path, templates().get_template("rates.html").render(**content))
