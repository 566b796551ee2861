"""The verdict: what a run's numbers mean, in plain sentences, and what to try next.

Every statement follows from numbers that are in the metrics, and a difference is only called one beyond its
95% interval. Nothing here measures; the thresholds are constants with their meaning beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunesmith.metrics.evidence import Evidence, Finding
from tunesmith.metrics.fitting import diagnose
from tunesmith.metrics.scores import LOWER_IS_BETTER
from tunesmith.metrics.weaknesses import confidence, disagreement, few_rows, rough, weak_classes
from tunesmith.metrics.wording import amount, bare, difference, metric_name, rows

WORTH_POINTS = 0.01
"""A gain below this counts as small ..."""
WORTH_SHARE = 0.1
"""... unless it takes away this share of the baseline's error."""
MOST_ADVICE = 5
FEW_TRAINING_ROWS = 30
"""Training rows a class below which more of them are the first advice."""
_BASELINES = {
    "majority": "always answering the most frequent class",
    "tfidf": "TF-IDF with logistic regression",
    "embeddings": "logistic regression on frozen text vectors",
}


def verdict(
    metrics: Mapping[str, Any],
    *,
    events: Sequence[Mapping[str, Any]] = (),
    n_train: int = 0,
    settings: Mapping[str, Any] | None = None,
    data: str = "DATA",
) -> dict[str, Any]:
    """Judge a run.

    Args:
        metrics: what stands in `metrics.json`: `main`, `splits` (of which `train` may hold values only),
            `baselines`, `comparison` (as of `compare.paired`: a is the baseline, b the model), `calibration`.
            All but `splits` may be missing; what cannot be told is then said or left out.
        events: the entries of `log.jsonl`.
        n_train: rows trained on; 0 if not known.
        settings: dotted setting to value, so that nothing is advised that is set already.
        data: the data as it stands in advised commands.

    Returns:
        `worth_it` ("yes", "no", "unclear"), `fit` ("over", "under", "good", "unknown"), `sentences`, and
        `try_next`: at most five pieces of advice with the setting or command, the most promising first.
    """
    evidence = Evidence(metrics, events, n_train, settings or {}, data)
    if not evidence.primary:
        return _nothing_measured()
    worth, worth_findings = _worth(evidence)
    fit, fit_findings = diagnose(evidence)
    findings = [
        *_headline(evidence),
        *worth_findings,
        *fit_findings,
        *disagreement(evidence),
        *few_rows(evidence),
        *weak_classes(evidence),
        *confidence(evidence),
    ]
    return {
        "worth_it": worth,
        "fit": fit,
        "sentences": [finding.sentence for finding in findings],
        "try_next": _advice(evidence, findings, worth=worth, fit=fit),
    }


def _nothing_measured() -> dict[str, Any]:
    return {
        "worth_it": "unclear",
        "fit": "unknown",
        "sentences": ["No rows were kept back, so nothing can be said about new texts."],
        "try_next": ["Keep back rows to judge by: --set data.split.test=0.2 --set data.split.dev=0.1"],
    }


def _headline(evidence: Evidence) -> list[Finding]:
    found = evidence.measured(evidence.primary)
    if found is None:
        return [Finding(f"The {metric_name(evidence.main)} is undefined on these {rows(_n_rows(evidence))}.")]
    ends = f" (95% interval {_ends(evidence.main, found.low, found.high)})" if found.low is not None else ""
    value = f"{amount(evidence.main, found.value)} {metric_name(evidence.main)}"
    return [Finding(f"On {rows(found.n_rows, evidence.primary)} the model has {value}{ends}.")]


def _worth(evidence: Evidence) -> tuple[str, list[Finding]]:
    """Decide whether fine-tuning beats the best baseline by enough to matter."""
    pair = _oriented(evidence.metrics.get("comparison") or {}, evidence.main)
    if pair is None:
        return _without_comparison(evidence)
    model, baseline, (gain, low, high) = pair
    main, name = evidence.main, _baseline_name(evidence)
    sides = f"{amount(main, model)} {metric_name(main)} against {amount(main, baseline)} for {name}"
    ends = f"95% interval {_ends(main, low, high)}"
    if low > 0:
        worth = _matters(evidence, gain, baseline)
        gained = f"{sides}, a gain of {difference(main, gain)} ({ends})"
        return ("yes" if worth else "unclear"), [_better(evidence, gained, worth=worth)]
    if not _matters(evidence, max(high, 0.0), baseline):
        most = f"better by {difference(main, high)} at most" if high > 0 else "not better"
        sentence = f"Fine-tuning is not worth it here: {sides}, so it is {most} ({ends})."
        return "no", [Finding(sentence, _not_worth(evidence))]
    return "unclear", [_undecided(evidence, sides, ends, gain=gain, half=(high - low) / 2)]


def _better(evidence: Evidence, gained: str, *, worth: bool) -> Finding:
    if worth:
        return Finding(f"Fine-tuning is worth it here: {gained}.{_mistakes(evidence)}")
    return Finding(
        f"Fine-tuning is better here, but by little: {gained}. Whether that is worth a larger and slower "
        "model is for you to say."
    )


def _undecided(evidence: Evidence, sides: str, ends: str, *, gain: float, half: float) -> Finding:
    sentence = (
        f"Whether fine-tuning is worth it here cannot be told yet: {sides}, a difference of "
        f"{difference(evidence.main, gain)} that may be chance ({ends})."
    )
    needed = _n_rows(evidence) * (half / gain) ** 2 if gain > 0 else 0
    if not 0 < needed <= 100_000:
        return Finding(sentence, _not_worth(evidence))
    n = f"{rough(needed):,} {evidence.primary} rows"
    return Finding(f"{sentence} If it is real, about {n} would show it.", _not_worth(evidence))


def _without_comparison(evidence: Evidence) -> tuple[str, list[Finding]]:
    return "unclear", [
        Finding(
            "Whether fine-tuning is worth it here cannot be told: no simple baseline was measured on the same rows.",
            ("Measure the baselines too: --set evaluate.baselines=true",),
        )
    ]


def _oriented(pair: Mapping[str, Any], main: str) -> tuple[float, float, tuple[float, float, float]] | None:
    """Return the model's value, the baseline's, and the gain with its interval (positive: better)."""
    if pair.get("value") is None or pair.get("low") is None:
        return None
    gain, low, high = float(pair["value"]), float(pair["low"]), float(pair["high"])
    if main in LOWER_IS_BETTER:
        gain, low, high = -gain, -high, -low
    return float(pair["b_value"]), float(pair["a_value"]), (gain, low, high)


def _matters(evidence: Evidence, gain: float, baseline: float) -> bool:
    return gain >= WORTH_POINTS or gain >= WORTH_SHARE * evidence.error(baseline) > 0


def _baseline_name(evidence: Evidence) -> str:
    pair = evidence.metrics["comparison"]
    name = str(pair.get("baseline", pair.get("a", "the baseline")))
    return _BASELINES.get(name, name)


def _mistakes(evidence: Evidence) -> str:
    """Say the gain as wrong answers in a hundred texts, where it can be seen in whole numbers."""
    name = str(evidence.metrics["comparison"].get("baseline", ""))
    ours, theirs = evidence.measured(evidence.primary, "accuracy"), evidence.baseline(name, "accuracy")
    if ours is None or theirs is None:
        return ""
    wrong, before = round(100 * (1 - ours.value)), round(100 * (1 - theirs.value))
    return f" In 100 texts it gets about {wrong} wrong instead of {before}." if wrong < before else ""


def _not_worth(evidence: Evidence) -> tuple[str, ...]:
    few = 0 < evidence.n_train < FEW_TRAINING_ROWS * _n_classes(evidence)
    more = (f"Label more rows: {rows(evidence.n_train)} to train on are few for {_n_classes(evidence)} classes",)
    return (*(more if few else ()), "Use the careful settings: --preset best")


def _advice(evidence: Evidence, findings: Sequence[Finding], *, worth: str, fit: str) -> list[str]:
    """Collect advice in the order of the findings, each once."""
    found = list(dict.fromkeys(advice for finding in findings for advice in finding.advice))
    if worth == "yes" and fit in ("good", "unknown"):
        found.append("For a little more: --preset best, or a larger model with --model")
    return found[:MOST_ADVICE] or ["Try a larger model: --model with a folder or a hub id"]


def _ends(metric: str, low: float | None, high: float | None) -> str:
    return f"{bare(metric, low or 0.0)} to {bare(metric, high or 0.0)}"


def _n_rows(evidence: Evidence) -> int:
    return int((evidence.splits.get(evidence.primary) or {}).get("n_rows", 0))


def _n_classes(evidence: Evidence) -> int:
    return max(2, len((evidence.splits.get(evidence.primary) or {}).get("labels") or []))
