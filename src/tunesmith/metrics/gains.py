"""What a change gains over several trainings: the mean of paired differences, and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any, Literal

from tunesmith.metrics.names import lower_is_better

Verdict = Literal["helps", "no visible effect", "hurts", "one seed"]


def gain(pairs: Sequence[Mapping[str, Any]], *, same_rows: bool) -> dict[str, Any]:
    """Return the mean difference over seeds, with a 95% interval and a verdict.

    Two things could have fallen otherwise: the seeds (Student's t over their differences) and the rows that were
    measured (the paired bootstrap). On the same rows both count, as independent errors. Where every seed was measured
    on rows of its own, the first holds the second; but few seeds may be alike by chance, so that the larger counts. One
    seed is no verdict: its interval holds the chance of the rows alone, and two trainings that differ by nothing but
    chance differ as well (Dodge et al. 2020, "Fine-Tuning Pretrained Language Models", section 3).

    Args:
        pairs: of `compare.paired`, one a seed: a without the change, b with it.
        same_rows: whether all seeds were measured on the same rows.

    Returns:
        `value` (b minus a), `low`, `high`, `each` (the seeds' differences), `verdict`; None for numbers where the
        metric is undefined.
    """
    from scipy.stats import t

    each = [pair["value"] for pair in pairs]
    if not each or any(value is None for value in each):
        return {"value": None, "low": None, "high": None, "each": each, "verdict": "no visible effect"}
    value, n = fmean(each), len(each)
    of_rows = fmean((pair["high"] - pair["low"]) / 2 for pair in pairs)
    of_seeds = float(t.ppf(0.975, n - 1)) * stdev(each) / n**0.5 if n > 1 else 0.0
    half = (of_rows**2 + of_seeds**2) ** 0.5 if same_rows else max(of_seeds, of_rows / n**0.5)
    low, high = value - half, value + half
    sign = -1 if lower_is_better(pairs[0]["metric"]) else 1
    verdict: Verdict = "no visible effect" if n > 1 else "one seed"
    if n > 1 and (low > 0 or high < 0):
        verdict = "helps" if sign * value > 0 else "hurts"
    return {"value": value, "low": low, "high": high, "each": each, "verdict": verdict}
