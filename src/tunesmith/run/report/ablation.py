"""The page of an ablation: what each switch gains and costs, as a picture and a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from tunesmith.core.errors import RunError, Where
from tunesmith.core.files import read_json, write_text
from tunesmith.metrics.names import is_share, shown, titled
from tunesmith.metrics.wording import bare
from tunesmith.run.folder import Run
from tunesmith.run.report import charts
from tunesmith.run.report.page import templates

FOUND = "ablation.json"
"""What `workflow.ablate` found, in the folder of the ablation."""
HOW = (
    "Pairs with the same seed are measured on the same rows. A gain is called one where its whole interval lies on one "
    "side of zero; of switches that do nothing, about one in twenty would be called so by chance."
)


def write_page(path: Path, found: Mapping[str, Any], *, title: str) -> None:
    """Write the page of what `workflow.ablate` found."""
    metric, switches = found["metric"], found["switches"]
    rows = [
        {
            "name": name,
            "gain": signed(metric, one["value"]),
            "range": between(metric, one),
            "verdict": one["verdict"],
            "time": f"{one['times_seconds']:.2f}",
            "memory": f"{one['times_memory']:.2f}",
            "settings": one["settings"],
        }
        for name, one in switches.items()
    ]
    unit = 100.0 if is_share(metric) else 1.0  # as in the table: points of what is told in percent
    ends = {name: [one[end] for end in ("value", "low", "high")] for name, one in switches.items()}
    drawn = [(name, *(unit * end for end in three)) for name, three in ends.items() if None not in three]
    content = {
        "title": title,
        "seeds": len(found["seeds"]),
        "baseline": of_baseline(found),
        "metric": titled(metric),
        "sentence": sentence(found),
        "how": HOW,
        "rows": rows,
        "chart": Markup(charts.forest(drawn, label=f"gain in {titled(metric)}, with 95% intervals")),
        "skipped": found["skipped"],
    }
    write_text(path, templates().get_template("ablation.html").render(**content))


def of_baseline(found: Mapping[str, Any]) -> str:
    """Return the metric of the recipe as it is."""
    value = found["baseline"]["value"]
    return "undefined on these rows" if value is None else shown(found["metric"], value)


def write_again(run: Run) -> Path:
    """Write the page of an ablation from its folder.

    Raises:
        RunError: it is not done.
    """
    if not (run.folder / FOUND).exists():
        fix = "repeat the command that it was begun with"
        raise RunError("this ablation is not done", where=Where(str(run.folder)), fix=fix)
    write_page(run.report_path, read_json(run.folder / FOUND), title=run.name)
    return run.report_path


def sentence(found: Mapping[str, Any]) -> str:
    """Say which switches help and which hurt."""
    if not found["switches"]:
        return "No switch was measured: all are left out."
    if len(found["seeds"]) == 1:
        return "One seed is no verdict: trainings that differ by nothing but chance differ as well. Name more --seeds."
    of = {v: [n for n, one in found["switches"].items() if one["verdict"] == v] for v in ("helps", "hurts")}
    helps = f"Helps: {', '.join(of['helps'])}." if of["helps"] else "No switch shows a gain beyond chance."
    return helps + (f" Hurts: {', '.join(of['hurts'])}." if of["hurts"] else "") + _hidden(found)


def _hidden(found: Mapping[str, Any]) -> str:
    """Say how large an effect may be that is not visible."""
    ones = [one for one in found["switches"].values() if one["verdict"] not in ("helps", "hurts")]
    most = max((max(abs(one["low"]), abs(one["high"])) for one in ones if one["low"] is not None), default=0.0)
    if not most:
        return ""
    size = bare(found["metric"], most)
    return f" Where none is visible, one of up to {size} may be hidden: more --seeds or test rows show smaller ones."


def signed(metric: str, value: float | None) -> str:
    """Return a difference with its sign."""
    return "?" if value is None else f"{'+' if value >= 0 else '-'}{bare(metric, abs(value))}"


def between(metric: str, one: Mapping[str, Any]) -> str:
    """Return the ends of a gain's interval."""
    return "undefined" if one["low"] is None else f"{signed(metric, one['low'])} to {signed(metric, one['high'])}"
