"""Which of several models is better, by how much, and how sure that is, on the same rows.

Two views: the paired bootstrap of a metric's difference (Efron and Tibshirani 1993; both models see the same
resamples, so what makes rows hard cancels out), and McNemar's test (1947) of who is right where the other is
wrong.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from tunesmith.core.errors import DataError, did_you_mean
from tunesmith.core.wording import rows
from tunesmith.metrics.bootstrap import affordable, interval, resampled_weights, two_sided_p, unit_weights
from tunesmith.metrics.names import lower_is_better
from tunesmith.metrics.scorer import Scorer
from tunesmith.metrics.wording import amount, bare, difference, listed, metric_name, p_value

Array = np.ndarray

SURE = 0.05
"""A p-value below this is called a difference."""
FEW_DISCORDANT = 25
"""Below this many rows on which exactly one model is right, McNemar's test is computed exactly."""


def paired(
    a: Scorer, b: Scorer, *, metric: str, names: tuple[str, str] = ("A", "B"), resamples: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """Compare two models on the same rows.

    Returns:
        `metric`, `a`, `b` (names), `n_rows`, `a_value`, `b_value`, `value` (b minus a) with `low`, `high` and
        `p` (all None where the metric is undefined), `better` ("a", "b", or "unclear" where the interval
        holds zero), `mcnemar` (see `mcnemar`; None where answers are not just right or wrong), `sentence`.

    Raises:
        DataError: an unknown metric, equal names, or different rows.
    """
    if names[0] == names[1]:
        raise DataError(f'both models are called "{names[0]}"', fix="give them different names")
    runs = dict(zip(names, (a, b), strict=True))
    draws = _draws(runs, metric, resamples=resamples, seed=seed)
    return _pair(runs, draws, metric=metric, names=names)


def against_best(runs: Mapping[str, Scorer], *, metric: str, resamples: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Compare several models with the best of them; p-values are corrected for their number, and for this choice.

    Args:
        runs: name to the model's answers on the same rows; two or more.
        metric: what "better" means.
        resamples: see `scorer.measure`.
        seed: see `scorer.measure`.

    Returns:
        `metric`, `n_rows`, `best` (name), `ranking` (`name`, `value`, `low`, `high`, best first), `pairs` (as
        of `paired`, b is the best; with `p_corrected`, also in `mcnemar`, and `better` decided by it), `sentence`.

    Raises:
        DataError: as `paired`, fewer than two models, or a metric that is undefined on these rows.
    """
    if len(runs) < 2:
        raise DataError("a comparison needs at least two models", fix="name two or more runs")
    draws = _draws(runs, metric, resamples=resamples, seed=seed)
    ranking = _ranking(draws, metric)
    best = ranking[0]["name"]
    others = [entry["name"] for entry in ranking[1:]]
    pairs = _corrected([_pair(runs, draws, metric=metric, names=(name, best)) for name in others], draws)
    return {
        "metric": metric,
        "n_rows": len(runs[best]),
        "best": best,
        "ranking": ranking,
        "pairs": pairs,
        "sentence": _summary(ranking[0], pairs, metric),
    }


def mcnemar(a_right: Array, b_right: Array) -> dict[str, Any]:
    """Test whether two models are right equally often (McNemar 1947; Dietterich 1998, section 3.1).

    Args:
        a_right: bool, shape (rows,).
        b_right: bool, shape (rows,).

    Returns:
        `only_a_right`, `only_b_right` (rows), `method` ("exact": two-sided binomial, below 25 such rows; else
        "chi-square" with continuity correction, Edwards 1948), `statistic` (None if exact), `p`.
    """
    only_a, only_b = int((a_right & ~b_right).sum()), int((b_right & ~a_right).sum())
    statistic, p = _exact(only_a, only_b) if only_a + only_b < FEW_DISCORDANT else _chi_square(only_a, only_b)
    return {
        "only_a_right": only_a,
        "only_b_right": only_b,
        "method": "exact" if statistic is None else "chi-square",
        "statistic": statistic,
        "p": p,
    }


def simultaneous_p(draws: Mapping[str, tuple[float, Array]]) -> dict[tuple[str, str], float]:
    """Return a p-value for the difference of each two models, corrected for having looked at all of them.

    It is the share of resamples in which some two models, each taken less its own value, lie farther apart than these
    two do, in standard deviations of their difference (the maximal t: Westfall and Young 1993, section 2.5).
    Which models are picked afterwards, the best among them, makes no difference to it.

    Args:
        draws: name to the metric on the rows as they are, and on resamples that all share.
    """
    found: dict[tuple[str, str], float] = {}
    farthest = np.zeros(0)
    for a, b in combinations(draws, 2):
        (a_value, a_draws), (b_value, b_draws) = draws[a], draws[b]
        spread = b_draws - a_draws
        deviation = float(np.nanstd(spread))
        unit = deviation if deviation > 0 else math.inf
        found[a, b] = abs(b_value - a_value) / unit
        each = np.nan_to_num(np.abs(spread - (b_value - a_value)) / unit)
        farthest = np.maximum(farthest, each) if len(farthest) else each
    return {pair: (1 + int((farthest >= t).sum())) / (len(farthest) + 1) for pair, t in found.items()}


def _exact(only_a: int, only_b: int) -> tuple[None, float]:
    from scipy.stats import binomtest

    n = only_a + only_b
    return None, float(binomtest(only_a, n).pvalue) if n else 1.0


def _chi_square(only_a: int, only_b: int) -> tuple[float, float]:
    from scipy.stats import chi2

    statistic = max(0, abs(only_a - only_b) - 1) ** 2 / (only_a + only_b)
    return statistic, float(chi2.sf(statistic, df=1))


def _draws(runs: Mapping[str, Scorer], metric: str, *, resamples: int, seed: int) -> dict[str, tuple[float, Array]]:
    """Return each model's metric: on the rows as they are, and on resamples that all models share."""
    first = next(iter(runs.values()))
    if metric not in first.names:
        fix = did_you_mean(metric, first.names) or f"one of: {', '.join(first.names)}"
        raise DataError(f'unknown metric "{metric}"', fix=fix)
    n_rows = len(first)
    if any(len(run) != n_rows for run in runs.values()):
        raise DataError("the models were measured on different numbers of rows", fix="measure them on the same rows")
    blocks: dict[str, list[Array]] = {name: [] for name in runs}
    n_resamples = affordable(resamples, n_rows=n_rows, cost=max(run.cost for run in runs.values()))
    for weights in resampled_weights(n_rows, resamples=n_resamples, seed=seed):
        for name, run in runs.items():
            blocks[name].append(run.only(metric, weights))
    point = {name: float(run.only(metric, unit_weights(n_rows))[0]) for name, run in runs.items()}
    return {name: (point[name], np.concatenate(blocks[name])) for name in runs}


def _pair(
    runs: Mapping[str, Scorer],
    draws: Mapping[str, tuple[float, Array]],
    *,
    metric: str,
    names: tuple[str, str],
) -> dict[str, Any]:
    (a_value, a_draws), (b_value, b_draws) = draws[names[0]], draws[names[1]]
    spread = b_draws - a_draws
    ends = interval(b_value - a_value, spread)
    a, b = runs[names[0]], runs[names[1]]
    result = {
        "metric": metric,
        "a": names[0],
        "b": names[1],
        "n_rows": len(a),
        "a_value": _or_none(a_value),
        "b_value": _or_none(b_value),
        "value": b_value - a_value if ends else None,
        "low": ends[0] if ends else None,
        "high": ends[1] if ends else None,
        "p": two_sided_p(spread) if ends else None,
        "mcnemar": None if a.right is None or b.right is None else mcnemar(a.right, b.right),
    }
    result["better"] = _better(result)
    return {**result, "sentence": _sentence(result, same_answers=a.said is not None and a.said == b.said)}


def _better(pair: Mapping[str, Any]) -> str:
    """Return who is surely better: the side of zero on which the whole interval lies."""
    low, high = pair["low"], pair["high"]
    if low is None or low <= 0 <= high:
        return "unclear"
    return "b" if (low > 0) != lower_is_better(pair["metric"]) else "a"


def _sentence(pair: Mapping[str, Any], *, same_answers: bool) -> str:
    a, b, metric = pair["a"], pair["b"], pair["metric"]
    if pair["value"] is None:
        return f"{a} and {b} cannot be compared: {metric_name(metric)} is undefined on these rows."
    if same_answers and pair["value"] == 0:
        return f"{a} and {b} give the same answers on {rows(pair['n_rows'])}."
    test = f"McNemar {p_value(pair['mcnemar']['p'])}" if pair["mcnemar"] else f"bootstrap {p_value(pair['p'])}"
    if pair["better"] == "unclear":
        return f"{_unclear(pair)}; {test}."
    better, worse = (a, b) if pair["better"] == "a" else (b, a)
    low, high = sorted((abs(pair["low"]), abs(pair["high"])))
    gain = difference(metric, abs(pair["value"]))
    ends = f"95% interval {bare(metric, low)} to {bare(metric, high)}"
    if pair["mcnemar"] and pair["mcnemar"]["p"] >= SURE:
        test = f"how many rows each has right may differ by chance ({test})"
    return f"{better} is better than {worse} by {gain} ({ends}); {test}."


def _unclear(pair: Mapping[str, Any]) -> str:
    metric = pair["metric"]
    ends = f"95% interval {bare(metric, pair['low'])} to {bare(metric, pair['high'])}"
    if pair["value"] == 0:
        return (
            f"No difference: {pair['a']} and {pair['b']} both have {amount(metric, pair['a_value'])} "
            f"{metric_name(metric)} ({ends})"
        )
    side = "above" if pair["value"] > 0 else "below"
    gap = difference(metric, abs(pair["value"]))
    return f"No clear difference: {pair['b']} is {gap} {side} {pair['a']}, within the noise ({ends})"


def _ranking(draws: Mapping[str, tuple[float, Array]], metric: str) -> list[dict[str, Any]]:
    ranking = []
    for name, (value, spread) in draws.items():
        ends = interval(value, spread, centred=metric == "ece")
        if ends is None:
            raise DataError(f"{metric_name(metric)} is undefined on these rows", fix="compare by another metric")
        ranking.append({"name": name, "value": value, "low": ends[0], "high": ends[1]})
    sign = 1 if lower_is_better(metric) else -1
    return sorted(ranking, key=lambda entry: sign * entry["value"])


def _corrected(pairs: list[dict[str, Any]], draws: Mapping[str, tuple[float, Array]]) -> list[dict[str, Any]]:
    of_all = simultaneous_p(draws) if len(pairs) > 1 else {}
    n_looked_at = math.comb(len(draws), 2)
    found = []
    for pair in pairs:
        names = pair["a"], pair["b"]
        p = max(pair["p"], of_all.get(names, of_all.get(names[::-1], 0.0)))
        test = pair["mcnemar"]
        more = {
            "p_corrected": p,
            "mcnemar": test and {**test, "p_corrected": min(1.0, n_looked_at * test["p"])},
            "better": pair["better"] if p < SURE else "unclear",
            "sentence": _with_correction(pair, p, n_models=len(draws)),
        }
        found.append(pair | more)
    return found


def _with_correction(pair: Mapping[str, Any], p: float, *, n_models: int) -> str:
    if n_models == 2 or pair["better"] == "unclear":
        return str(pair["sentence"])
    verdict = "" if p < SURE else ", so not sure"
    return f"{pair['sentence'][:-1]}; bootstrap {p_value(p)} corrected for the best of {n_models}{verdict}."


def _summary(best: Mapping[str, Any], pairs: Sequence[Mapping[str, Any]], metric: str) -> str:
    beaten = [pair["a"] for pair in pairs if pair["better"] == "b"]
    level = [pair["a"] for pair in pairs if pair["better"] != "b"]
    head = f"{best['name']} has the best {metric_name(metric)}, {amount(metric, best['value'])}"
    if not beaten:
        return f"{head}, but it is not clearly better than {listed(level)}."
    return f"{head}: clearly better than {listed(beaten)}" + (f", not clearly than {listed(level)}." if level else ".")


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
