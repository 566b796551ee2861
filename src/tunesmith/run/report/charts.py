"""Charts as inline SVG: small, sharp at every size, readable without colour (each mark has a title)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from tunesmith.core.wording import count, does

Point = tuple[float, float]
WIDTH, HEIGHT = 640, 240
LEFT, RIGHT, TOP, BOTTOM = 52, 16, 14, 34
LETTER, MOST_LETTERS = 6.2, 44
"""How wide letters are, about, and how many of a name stand beside its mark."""


def lines(series: Sequence[tuple[str, Sequence[Point]]], *, label: str, x_label: str, low: float | None = None) -> str:
    """Return a line chart; each series is (name, points) and gets its own dash and shade."""
    points = [p for _, ps in series for p in ps if p[1] == p[1]]
    if len(points) < 2:
        return ""
    x_range = min(p[0] for p in points), max(p[0] for p in points)
    y_low = min(p[1] for p in points) if low is None else low
    y_range = y_low, max(*(p[1] for p in points), y_low + 1e-9)
    body = [_grid(x_range, y_range, x_label, counted="x")]
    for i, (name, ps) in enumerate(series):
        path = " ".join(f"{_x(x, x_range):.1f},{_y(y, y_range):.1f}" for x, y in thin(ps))
        body.append(f'<polyline class="s{i}" points="{path}"><title>{escape(name)}</title></polyline>')
        if len(ps) <= 40:
            body += [_dot(x, y, x_range, y_range, f"s{i}", f"{name}: {y:.4g} at {x:.4g}") for x, y in ps]
    legend = "".join(f'<span class="k{i}">{escape(name)}</span>' for i, (name, _) in enumerate(series))
    return _svg("".join(body), label) + f'<p class="legend">{legend}</p>'


def reliability(bins: Sequence[dict], *, before: Sequence[dict] = (), label: str) -> str:  # type: ignore[type-arg]
    """Return confidence against accuracy, with the diagonal of perfect calibration; dot size shows the rows."""
    unit = (0.0, 1.0)
    body = [_grid(unit, unit, "stated confidence")]
    body.append(f'<line class="diagonal" x1="{_x(0, unit)}" y1="{_y(0, unit)}" x2="{_x(1, unit)}" y2="{_y(1, unit)}"/>')
    total = max((b["n"] for b in bins), default=1) or 1
    for name, group, style in (("before", before, "s1"), ("", bins, "s0")):
        for b in group:
            if b["n"] and b["confidence"] is not None:
                say = does(b["n"], "row", "says", "say")
                title = f"{name} {say} {b['confidence']:.0%}, {b['accuracy']:.0%} are right".strip()
                body.append(
                    _dot(b["confidence"], b["accuracy"], unit, unit, style, title, 3 + 7 * (b["n"] / total) ** 0.5)
                )
    return _svg("".join(body), label)


def scatter(points: Sequence[Point], *, label: str, x_label: str) -> str:
    """Return points around the diagonal on which both numbers are equal."""
    if len(points) < 2:
        return ""
    ends = min(min(p) for p in points), max(max(p) for p in points)
    diagonal = f'<line class="diagonal" x1="{_x(ends[0], ends)}" y1="{_y(ends[0], ends)}" x2="{_x(ends[1], ends)}" '
    body = [_grid(ends, ends, x_label), f'{diagonal}y2="{_y(ends[1], ends)}"/>']
    body += [_dot(x, y, ends, ends, "s0", f"{y:.4g} said, {x:.4g} right") for x, y in points]
    return _svg("".join(body), label)


def bars(counts: Sequence[float], edges: Sequence[float], *, label: str, x_label: str) -> str:
    """Return a histogram."""
    top = max(counts, default=0)
    if not top:
        return ""
    x_range, y_range = (edges[0], edges[-1]), (0.0, float(top))
    body = [_grid(x_range, y_range, x_label, counted="xy")]
    for n, low, high in zip(counts, edges, edges[1:], strict=False):
        x, y = _x(low, x_range), _y(n, y_range)
        width = max(1.0, _x(high, x_range) - x - 1)
        title = f"{count(round(n), 'row')} with {low:.0f} to {high:.0f}"
        body.append(
            f'<rect class="bar" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{HEIGHT - BOTTOM - y:.1f}">'
            f"<title>{title}</title></rect>"
        )
    return _svg("".join(body), label)


def forest(rows: Sequence[tuple[str, float, float, float]], *, label: str) -> str:
    """Return a dot with its interval for each (name, value, low, high), one below the other, around a line at zero."""
    if not rows:
        return ""
    ends = min(0.0, *(low for _, _, low, _ in rows)), max(0.0, *(high for _, _, _, high in rows))
    longest = min(MOST_LETTERS, max(len(name) for name, *_ in rows))
    height, names = 22 * len(rows) + 30, max(170.0, LETTER * longest + 20)

    def x(value: float) -> float:
        return names + (value - ends[0]) / ((ends[1] - ends[0]) or 1) * (WIDTH - RIGHT - names)

    body = [f'<line class="diagonal" x1="{x(0):.1f}" x2="{x(0):.1f}" y1="4" y2="{height - 24}"/>']
    for i, (name, value, low, high) in enumerate(rows):
        y = 22 * i + 14
        title = f"<title>{escape(name)}: {value:+.4g} ({low:+.4g} to {high:+.4g})</title>"
        body.append(f'<text x="{names - 12}" y="{y + 4}" text-anchor="end">{escape(_fitting(name))}</text>')
        body.append(f'<line class="s0" x1="{x(low):.1f}" x2="{x(high):.1f}" y1="{y}" y2="{y}">{title}</line>')
        body.append(f'<circle class="s0" cx="{x(value):.1f}" cy="{y}" r="4">{title}</circle>')
    for tick in ticks(*ends):
        body.append(f'<text x="{x(tick):.1f}" y="{height - 8}" text-anchor="middle">{tick:+.3g}</text>')
    return _svg("".join(body), label, height=height)


def _fitting(name: str) -> str:
    """Return a name, without its middle where it is too long; the title has all of it."""
    half = MOST_LETTERS // 2
    return name if len(name) <= MOST_LETTERS else f"{name[: half - 1]}…{name[-half:]}"


def whisker(value: float, low: float, high: float) -> str:
    """Return a small dot with its interval on a scale from 0 to 1."""
    x = [max(0.0, min(1.0, v)) * 116 + 2 for v in (low, value, high)]
    return (
        f'<svg class="whisker" viewBox="0 0 120 12" role="img" aria-label="{value:.3f}, {low:.3f} to {high:.3f}">'
        f'<line class="axis" x1="2" x2="118" y1="6" y2="6"/>'
        f'<line class="range" x1="{x[0]:.1f}" x2="{x[2]:.1f}" y1="6" y2="6"/>'
        f'<circle cx="{x[1]:.1f}" cy="6" r="3.5"/></svg>'
    )


def thin(points: Sequence[Point], most: int = 300) -> Sequence[Point]:
    """Return at most about `most` points: averages of neighbours."""
    size = len(points) // most + 1
    if size == 1:
        return points
    groups = [points[i : i + size] for i in range(0, len(points), size)]
    return [(sum(p[0] for p in g) / len(g), sum(p[1] for p in g) / len(g)) for g in groups]


def _x(x: float, limits: Point) -> float:
    return LEFT + (x - limits[0]) / ((limits[1] - limits[0]) or 1) * (WIDTH - LEFT - RIGHT)


def _y(y: float, limits: Point) -> float:
    return HEIGHT - BOTTOM - (y - limits[0]) / ((limits[1] - limits[0]) or 1) * (HEIGHT - TOP - BOTTOM)


def _dot(  # noqa: PLR0917
    x: float, y: float, xs: Point, ys: Point, style: str, title: str, r: float = 3
) -> str:
    place = f'cx="{_x(x, xs):.1f}" cy="{_y(y, ys):.1f}" r="{r:.1f}"'
    return f'<circle class="{style}" {place}><title>{escape(title)}</title></circle>'


def ticks(low: float, high: float, *, whole: bool = False) -> list[float]:
    """Return round numbers between two ends (1, 2 or 5 times a power of ten apart; Heckbert 1990), six at most."""
    apart = 10.0 ** math.floor(math.log10((high - low) / 5 or 1))
    apart *= next(times for times in (1, 2, 5, 10) if apart * times * 5 >= (high - low) * (1 - 1e-9))
    apart = max(apart, 1.0) if whole else apart
    return [i * apart for i in range(math.ceil(low / apart - 1e-9), math.floor(high / apart + 1e-9) + 1)]


def _grid(xs: Point, ys: Point, x_label: str, *, counted: str = "") -> str:
    """Return the lines and numbers behind a chart; the axes in `counted` ("x", "xy") count things."""
    parts = []
    for y in ticks(*ys, whole="y" in counted):
        at = _y(y, ys)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{_number(y)}</text>')
    for x in ticks(*xs, whole="x" in counted):
        at = _x(x, xs)
        parts.append(f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{_number(x)}</text>')
    parts.append(
        f'<text class="axis-label" x="{WIDTH - RIGHT}" y="{HEIGHT - 3}" text-anchor="end">{escape(x_label)}</text>'
    )
    return "".join(parts)


def _number(value: float) -> str:
    return f"{round(value):,}" if abs(value - round(value)) < 1e-9 else f"{value:.4g}"


def _svg(body: str, label: str, *, height: int = HEIGHT) -> str:
    said = escape(label, quote=True)
    return f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{said}">{body}</svg>'
