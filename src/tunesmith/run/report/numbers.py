"""Small readings of `metrics.json` that the report, the card and the list of runs share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tunesmith.metrics.names import shown


class Interval(NamedTuple):
    """A value with its 95% interval; all None where it was not measured."""

    value: float | None
    low: float | None
    high: float | None


def primary_split(metrics: Mapping[str, Any]) -> str:
    """Return where the headline number is from: "test", else "dev", else ""."""
    return next((name for name in ("test", "dev") if name in metrics.get("splits", {})), "")


def interval(measured: Mapping[str, Any] | None, name: str) -> Interval:
    """Return one value of a split's METRICS."""
    entry = (measured or {}).get("values", {}).get(name) or {}
    return Interval(entry.get("value"), entry.get("low"), entry.get("high"))


def ends(measured: Mapping[str, Any], name: str) -> str:
    """Return the ends of a value's interval as text ("91.0% to 93.4%"), or why the value is undefined."""
    number = interval(measured, name)
    if number.value is None:
        return str(measured.get("values", {}).get(name, {}).get("reason", ""))
    return f"{shown(name, number.low)} to {shown(name, number.high)}"
