"""What the lines of bench/techniques.py say: each switch's gain in RESULTS.md and in the guide.

    python bench/effects.py                      # write both pages anew from bench/lines/techniques.jsonl
    python bench/effects.py --add more.jsonl     # after adding what other files measured
    python bench/effects.py --table more.jsonl   # only show a file's table

A gain is that of a pair: the same rows and seed, with the switch and without, of one edition of the defaults (`EDITION`
in bench/techniques.py). Of pairs of several editions the last one counts.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from turns import half_width

ROOT = Path(__file__).resolve().parents[1]
LINES = ROOT / "bench/lines/techniques.jsonl"
RESULTS = ROOT / "bench/RESULTS.md"
GUIDE = ROOT / "docs/guide/techniques.md"

PLAIN = "plain"
RECIPE = "few-labels.yaml"
TRAINERS = {"trainer 5e-5": "`Trainer`, as many updates", "script 5e-5": "`Trainer`, as the example scripts have it"}
"""Plain transformers, as the table against it names them."""
NAMES = {
    "sst2-100": "SST-2",
    "ag-100": "AG News",
    "scicite-100": "SciCite",
    "sst2-500": "SST-2, 500",
    "ag-500": "AG News, 500",
    "scicite-500": "SciCite, 500",
    "conll-500": "CoNLL, 500",
    "emotions-500": "GoEmotions, 500",
    "emotions-2000": "GoEmotions, 2,000",
    "kinds-500": "kinds of names in CoNLL, 500",
}
"""Settings, as they are to stand, and their names in tables."""
FEWEST = 3
"""Pairs that a verdict takes."""
EDITS = ("typos", "substitute")
COSTS = {"cpu_seconds": "CPU time", "memory": "memory"}
MARK = re.compile(r"<!-- ([\w +]+) -->[^<|;]*?(?=\s*[|;])")
"""A switch's effect in a table of the guide."""
BLOCK = "<!-- {name}: written by bench/effects.py -->\n"
END = "<!-- end -->"

Rows = list[dict[str, Any]]
Gains = dict[str, dict[str, list[float]]]


def read(path: Path) -> Rows:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def add(lines: Path, more: Sequence[Path]) -> None:
    """Add lines of other files that are of no arm measured already; what was refused gives way to what was measured."""
    found = {_key(row): row for row in read(lines)}
    for row in (row for path in more for row in read(path)):
        known = found.get(_key(row))
        if known is None or ("refused" in known and "refused" not in row):
            found[_key(row)] = row
    lines.write_text("".join(json.dumps(row) + "\n" for row in found.values()), encoding="utf-8")


def _key(row: dict[str, Any]) -> tuple[str, str, int, int]:
    return row["setting"], row["arm"], row["seed"], row.get("edition", 1)


def latest(rows: Rows) -> Rows:
    """Return of each arm, setting and seed what was measured last."""
    return list({_key(row)[:3]: row for row in sorted(rows, key=_key)}.values())


def gains_of(rows: Rows, over: str = PLAIN) -> Gains:
    """Return what each arm gains over another in points, by setting and by edit, and the ratios of its costs."""
    found = {_key(row): row for row in rows if "refused" not in row}
    gains: Gains = defaultdict(lambda: defaultdict(list))
    paired = [row for row in found.values() if (row["setting"], over, *_key(row)[2:]) in found and row["arm"] != over]
    for row in latest(paired):
        setting, arm, *of = _key(row)
        base = found[setting, over, *of]
        gains[arm][setting].append(100 * (row["value"] - base["value"]))
        for edit in EDITS:
            if edit in row and edit in base:
                gains[arm][edit].append(100 * (row[edit] - base[edit]))
        for cost in COSTS:
            gains[arm][cost].append(row[cost] / base[cost])
    return gains


def table(rows: Rows) -> str:
    """Return a Markdown table: each switch's gain over "plain", over all pairs and in each setting; best first."""
    gains = gains_of(rows)
    names = [name for name in NAMES if any(one[name] for one in gains.values())]
    headings = [NAMES[name] for name in names]
    head = ["switch", "pairs", "gain", "verdict", *headings, *(f"with {edit}" for edit in EDITS), *COSTS.values()]
    lines = [*_head(head)]
    for arm, one in sorted(gains.items(), key=lambda item: -_mean(_all(item[1]))):
        every = _all(one)
        lines.append(
            _row(
                arm,
                len(every),
                _said(every),
                _verdict(every),
                *(_counted(one[name]) for name in names),
                *(f"{_mean(one[edit]):+.1f}" if one[edit] else "" for edit in EDITS),
                *(f"{_mean(one[cost]):.2f}" for cost in COSTS),
            )
        )
    return "\n".join(lines)


def against_trainer(rows: Rows) -> str:
    """Return a Markdown table: the accuracy of the defaults, plain transformers and the recipe with 100 rows."""
    names = [name for name in NAMES if name.endswith("-100")]
    arms = {
        PLAIN: "tunesmith, nothing set",
        **TRAINERS,
        RECIPE: f"[{RECIPE}](../recipes/{RECIPE}), texts without labels, too",
    }
    gains = gains_of(rows)
    lines = [*_head(["", *(NAMES[name] for name in names), "over the defaults, all pairs"])]
    for arm, said in arms.items():
        cells = []
        for name in names:
            values = [100 * row["value"] for row in latest(rows) if (row["setting"], row["arm"]) == (name, arm)]
            cells.append(f"{_said(values, '.1f')} ({len(values)})" if values else "")
        lines.append(_row(said, *cells, _counted(_all(gains[arm]), half=True) if arm != PLAIN else ""))
    return "\n".join(lines)


def of_recipe(rows: Rows) -> str:
    """Return sentences on what the recipe of few labels gains and costs."""
    over, beyond = gains_of(rows)[RECIPE], gains_of(rows, "trainer 5e-5")[RECIPE]
    pairs, cost = _all(over), _mean(over["cpu_seconds"])
    by_name = ", ".join(
        f"{NAMES[name]} {' '.join(f'{gain:+.1f}' for gain in over[name])}" for name in NAMES if over[name]
    )
    return (
        f"**{RECIPE}**: {_said(_all(beyond))} points over plain fine-tuning (`Trainer` with as many updates as the\n"
        f"defaults; {len(_all(beyond))} pairs), {_said(pairs)} over the defaults ({len(pairs)} pairs: {by_name}),\n"
        f"at {cost:.0f} times the CPU time of the defaults."
    )


def with_results(page: str, rows: Rows) -> str:
    """Return the page of results with its blocks written anew."""
    blocks = {"against Trainer": against_trainer(rows), "few labels": of_recipe(rows), "switches": table(rows)}
    for name, text in blocks.items():
        begin = BLOCK.format(name=name)
        before, found, rest = page.partition(begin)
        _, end, after = rest.partition(END)
        if not (found and end):
            raise SystemExit(f"no block '{name}' in {RESULTS.name}")
        page = f"{before}{begin}\n{text}\n\n{END}{after}"
    return page


def with_effects(page: str, rows: Rows) -> str:
    """Return a page of the guide with each switch's gain, and of how many pairs, after its mark `<!-- NAME -->`."""
    gains = gains_of(rows)
    refused = {row["arm"] for row in rows if "refused" in row}

    def effect(mark: re.Match[str]) -> str:
        every, name = _all(gains[mark[1]]), mark[1]
        nothing = "no meaning for this model or these rows" if name in refused else "not measured"
        return f"<!-- {name} -->" + (f"{_said(every)} ({len(every)})" if every else nothing)

    return MARK.sub(effect, page)


def _head(cells: Iterable[str]) -> tuple[str, str]:
    cells = list(cells)
    return _row(*cells), "|---" * len(cells) + "|"


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _all(gains: dict[str, list[float]]) -> list[float]:
    return [value for name in NAMES for value in gains[name]]


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _said(values: list[float], shape: str = "+.1f") -> str:
    """Return a mean with its interval, where there are several."""
    return f"{_mean(values):{shape}}" + (f" ± {half_width(values):.1f}" if len(values) > 1 else "")


def _counted(values: list[float], *, half: bool = False) -> str:
    """Return a mean and of how many pairs it is, or nothing."""
    if not values:
        return ""
    return f"{_said(values) if half else f'{_mean(values):+.1f}'} ({len(values)})"


def _verdict(values: list[float]) -> str:
    """Return what the pairs say; of twenty switches without effect one seems to have one."""
    if len(values) < FEWEST:
        return "too few"
    return (
        "no visible effect" if abs(_mean(values)) <= half_width(values) else "helps" if _mean(values) > 0 else "hurts"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--add", type=Path, nargs="+", default=[], help="lines that were measured elsewhere")
    parser.add_argument("--table", type=Path, help="only show the table of these lines")
    args = parser.parse_args()
    if args.table:
        print(table(read(args.table)))
        return
    add(LINES, args.add)
    rows = read(LINES)
    for path, written in ((RESULTS, with_results), (GUIDE, with_effects)):
        path.write_text(written(path.read_text(encoding="utf-8"), rows), encoding="utf-8")


if __name__ == "__main__":
    main()
