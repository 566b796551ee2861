"""Gathers what the run folder holds and fills the template; everything of the user's is escaped by it."""

from __future__ import annotations

import heapq
import math
import shlex
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tunesmith.core.files import write_text
from tunesmith.core.wording import count
from tunesmith.metrics.names import METRICS, shown, titled
from tunesmith.recipe.recipe import DEFAULT_TASK
from tunesmith.run.folder import Run
from tunesmith.run.report import charts
from tunesmith.run.report.numbers import ends, interval, primary_split
from tunesmith.run.usage import usage
from tunesmith.tasks import TASKS
from tunesmith.tasks.base import Task

N_ERRORS = 15
MOST_CLASSES_SHOWN = 25
MOST_DOTS = 1000


def write_report(run: Run) -> Path:
    """Write `report.html` of a run from its folder; parts that are not there are left out."""
    write_text(run.report_path, templates().get_template("report.html").render(**content(run)))
    return run.report_path


@cache
def templates() -> Environment:
    """Return the pages' templates."""
    environment = Environment(
        loader=PackageLoader("tunesmith.run.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["thousands"] = lambda n: f"{n:,}"
    environment.filters["counted"] = count
    return environment


def content(run: Run) -> dict[str, Any]:
    """Return all the template needs."""
    metrics, manifest = run.metrics, run.manifest
    split = primary_split(metrics)
    measured = metrics.get("splits", {}).get(split, {})
    main = metrics.get("main", "")
    number = interval(measured, main)
    task = TASKS[task_of(run)]
    return {
        "name": run.name,
        "status": run.status,
        "manifest": manifest,
        "split": split,
        "measured": measured,
        "headline": shown(main, number.value),
        "headline_name": titled(main),
        "headline_range": f"{'' if number.value is None else '95% interval '}{ends(measured, main)}",
        "verdict": metrics.get("verdict", {}),
        "rows": metric_rows(metrics, split),
        "baselines": list(metrics.get("baselines", {})),
        "confusion": confusion(measured),
        "calibration": metrics.get("calibration", {}),
        "per_target": target_rows(measured),
        "scatter_chart": scatter_chart(run, split),
        "reliability_chart": _reliability(measured),
        "loss_chart": loss_chart(run),
        "metric_chart": metric_chart(run, run.origins.get("evaluate.metric", {}).get("value", main)),
        "length_chart": _lengths(manifest),
        "notes": run.notes,
        "ledger": run.ledger.counts("set aside"),
        "changed": run.ledger.counts("changed"),
        "errors": worst(run, split, task),
        "counted": task.counted,
        "folder": shlex.quote(str(seen_from_start(run))),
        "usage": usage(run, task, str(seen_from_start(run) / "model")),
        "origins": run.origins,
        "whisker": lambda low, value, high: Markup(charts.whisker(value, low, high)),
        "model": run.origins.get("model.source", {}).get("value", ""),
    }


def seen_from_start(run: Run) -> Path:
    """Return the run's folder as it is seen from where the run was started, wherever it was resumed."""
    home, folder = Path(run.manifest.get("started_in", ".")).resolve(), run.folder.resolve()
    return folder.relative_to(home) if folder.is_relative_to(home) else run.folder


def metric_rows(metrics: Mapping[str, Any], split: str) -> list[dict[str, Any]]:
    """Return one row a metric: title, meaning, value with interval, the baselines' values."""
    measured = metrics.get("splits", {}).get(split)
    rows = []
    for name, metric in METRICS.items():
        if not measured or name not in measured["values"]:
            continue
        number = interval(measured, name)
        rows.append(
            {
                "title": metric.title,
                "meaning": metric.meaning,
                "value": shown(name, number.value),
                "range": ends(measured, name),
                "interval": number if metric.on_scale and number.value is not None else None,
                "others": [shown(name, interval(b, name).value) for b in metrics.get("baselines", {}).values()],
            }
        )
    return rows


def confusion(measured: Mapping[str, Any]) -> dict[str, Any]:
    """Return cells with their shade for few classes; the most confused pairs in any case."""
    matrix, labels = measured.get("confusion", []), [str(label) for label in measured.get("labels", [])]
    pairs = [(n, labels[i], labels[j]) for i, row in enumerate(matrix) for j, n in enumerate(row) if i != j and n]
    cells = [
        {
            "label": labels[i],
            "cells": [{"n": n, "share": n / (sum(row) or 1), "right": i == j} for j, n in enumerate(row)],
        }
        for i, row in enumerate(matrix)
    ]
    return {
        "labels": labels,
        "rows": cells if len(labels) <= MOST_CLASSES_SHOWN else [],
        "pairs": heapq.nlargest(8, pairs),
    }


def worst(run: Run, split: str, task: type[Task]) -> list[dict[str, Any]]:
    """Return the rows the model is most wrong about: of a classifier, those it is surest of."""
    rows = ((task.wrongness(row), row) for row in run.predictions(split or "test"))
    chosen = heapq.nlargest(N_ERRORS, (pair for pair in rows if pair[0] > 0), key=lambda pair: pair[0])
    return [
        {
            "file": row["file"],
            "row": row["row"],
            "text": read_text(row),
            "lead": f"{100 * row['confidence']:.0f}% sure of" if "confidence" in row else "said",
            "said": task.told(row["predicted"], row),
            "right": task.told(row["gold"], row),
        }
        for _, row in chosen
    ]


def read_text(row: Mapping[str, Any]) -> str:
    """Return what the model read of a row: the fields between its place and its answer."""
    names = list(row)
    parts = [row[name] for name in names[names.index("row") + 1 : names.index("gold")]]
    return "\n".join(" ".join(map(str, part)) if isinstance(part, list) else str(part) for part in parts)


def task_of(run: Run) -> str:
    """Return the kind of task a run is of."""
    return str(run.origins.get("task.kind", {}).get("value", DEFAULT_TASK))


def target_rows(measured: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the numbers of each target, where there are several."""
    return [
        {
            "target": one["target"],
            "values": [(titled(n), shown(n, v["value"])) for n, v in one.items() if n != "target"],
        }
        for one in measured.get("per_target", [])
    ]


def scatter_chart(run: Run, split: str) -> Markup:
    """Return what was said beside what is right, for rows with one number each."""
    pairs = [(row["gold"], row["predicted"]) for row in run.predictions(split or "test")]
    if not all(isinstance(x, int | float) and not isinstance(x, bool) for pair in pairs for x in pair):
        return Markup()
    some = pairs[:: math.ceil(len(pairs) / MOST_DOTS) or 1]
    return Markup(charts.scatter(some, label="What the model says beside the right number", x_label="right number"))


def loss_chart(run: Run) -> Markup:
    """Return training and dev loss over the steps."""
    events = list(run.events())
    train = [(e["step"], e["loss"]) for e in events if e["event"] == "step" and e["loss"] is not None]
    dev = [(e["step"], e["loss"]) for e in events if e["event"] == "evaluate" and e["loss"] is not None]
    series = [("training loss", charts.thin(train, 120))] + ([("dev loss", dev)] if dev else [])
    return Markup(charts.lines(series, label="Loss over the training steps", x_label="step", low=0.0))


def metric_chart(run: Run, main: str) -> Markup:
    """Return the main metric on the dev rows over the steps."""
    dev = [(e["step"], e["metrics"][main]) for e in run.events() if e["event"] == "evaluate" and main in e["metrics"]]
    return Markup(charts.lines([(f"dev {titled(main)}", dev)], label="Dev metric over the steps", x_label="step"))


def _reliability(measured: Mapping[str, Any]) -> Markup:
    bins = measured.get("reliability", [])
    before = measured.get("before_calibration", {}).get("reliability", [])
    return (
        Markup(charts.reliability(bins, before=before, label="Stated confidence against the share that is right"))
        if bins
        else Markup()
    )


def _lengths(manifest: Mapping[str, Any]) -> Markup:
    found = manifest.get("lengths")
    return (
        Markup(charts.bars(found["counts"], found["edges"], label="Tokens of the training texts", x_label="tokens"))
        if found
        else Markup()
    )
