"""What the benches share: arms in turns, each in a process of its own, one JSON line each; and tables of these."""

from __future__ import annotations

import json
import math
import multiprocessing
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

One = Callable[[str, str, int], dict[str, Any]]


def in_turns(one: One, settings: Sequence[str], arms: Sequence[str], seeds: Sequence[int], *, out: Path) -> None:
    """Run `one(setting, arm, seed)` for all that `out` has no line of yet, and append what it returns."""
    done = set()
    if out.exists():
        rows = map(json.loads, out.read_text().splitlines())
        done = {(row["setting"], row["arm"], row["seed"]) for row in rows}
    for seed in seeds:
        for name in settings:
            for arm in arms:
                if (name, arm, seed) in done:
                    continue
                line = json.dumps(one(name, arm, seed))
                with out.open("a") as stream:
                    stream.write(line + "\n")
                print(line, flush=True)


def started(script: str, more: Sequence[str] = ()) -> One:
    """Return what runs one arm in a fresh process: `script --one --settings NAME --arms NAME --seeds N`."""

    def one(name: str, arm: str, seed: int) -> dict[str, Any]:
        command = [sys.executable, script, "--one", "--settings", name, "--arms", arm, "--seeds", str(seed), *more]
        said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        found: dict[str, Any] = json.loads(said.splitlines()[-1])
        return found

    return one


def forked(one: One) -> One:
    """Return the same in a process forked from this one, which spares short runs the seconds that imports take.

    Nothing may have been computed in this one: torch's threads do not survive a fork.
    """

    def run(name: str, arm: str, seed: int) -> dict[str, Any]:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
            return pool.submit(one, name, arm, seed).result()

    return run


def table(path: Path, *, names: Sequence[str], order: Sequence[str]) -> str:
    """Return a Markdown table: means over seeds, the first metric with its 95% Student-t interval.

    Args:
        path: lines of `in_turns`.
        names: metrics, shares of 1, shown as percentages; a row shows those it has.
        order: settings and arms as they are to stand.
    """
    import numpy as np

    found = defaultdict(list)
    for line in path.read_text().splitlines():
        row = json.loads(line)
        found[row["setting"], row["arm"]].append(row)
    columns = [name for name in names if any(name in row for rows in found.values() for row in rows)]
    lines = [f"| setting | arm | seeds | {' | '.join(columns)} | train s | CPU s |", "|---" * (5 + len(columns)) + "|"]
    rank = {name: i for i, name in enumerate(order)}
    for (setting, arm), rows in sorted(found.items(), key=lambda item: [rank[part] for part in item[0]]):
        cells = [mean(rows, name) for name in columns]
        seconds = [f"{np.mean([row[key] for row in rows]):.0f}" if key in rows[0] else "" for key in TIMES]
        lines.append(f"| {setting} | {arm} | {len(rows)} | {' | '.join([*cells, *seconds])} |")
    return "\n".join(lines)


TIMES = ("seconds", "cpu_seconds")


def mean(rows: Sequence[dict[str, Any]], name: str) -> str:
    """Return a metric's mean, with an interval where there are several seeds."""
    values = [row[name] * 100 for row in rows if name in row]
    half = f" ± {half_width(values):.1f}" if len(values) > 1 else ""
    return f"{sum(values) / len(values):.1f}{half}" if values else ""


def half_width(values: Sequence[float]) -> float:
    """Return half the width of a mean's 95% Student-t interval; infinite of one value."""
    import numpy as np
    from scipy.stats import t

    n = len(values)
    return float(t.ppf(0.975, n - 1) * np.std(values, ddof=1) / n**0.5) if n > 1 else math.inf
