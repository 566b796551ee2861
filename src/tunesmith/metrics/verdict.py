"""The verdict: what a run's numbers mean, in plain sentences, and what to try next.

Every statement follows from numbers that are in the metrics, and a difference is only called one beyond its
95% interval. Nothing here measures; the thresholds are constants with their meaning beside them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.core.wording import rows
from tunesmith.metrics.evidence import Evidence, Finding, MoreRows, Together
from tunesmith.metrics.fitting import LARGER_MODEL, diagnose, half_as_long_again
from tunesmith.metrics.more_rows import few_to_train_on, label_more, more_to_train_on
from tunesmith.metrics.names import is_open, lower_is_better, number
from tunesmith.metrics.weaknesses import confidence, disagreement, few_rows, one_text, rough, weak_classes
from tunesmith.metrics.wording import amount, bare, difference, metric_name

WORTH_POINTS = 0.01
"""A gain below this counts as small ..."""
WORTH_SHARE = 0.1
"""... unless it takes away this share of the baseline's error."""
FEWEST_ROWS = 20
"""Fewer test rows never decide."""
MOST_ADVICE = 5
_SET = re.compile(r"--set (\S+?)=")
_BASELINES = {
    "majority": "always answering the most frequent class",
    "tfidf": "TF-IDF with logistic regression",
    "frequent_tags": "giving each word the tag it most often has",
    "copy": "leaving the text as it is",
    "lead": "taking the first sentences",
    "embeddings": "logistic regression on frozen text vectors",
    "unigram": "guessing tokens by how often they occur",
    "before": "the model before training",
    "nearest sentence": "answering with the sentence that shares most with the question",
    "no answer": "never giving an answer",
    "mean": "always answering the mean",
    "tfidf_ridge": "TF-IDF with ridge regression",
    "label_shares": "always giving every label",
    "tfidf_labels": "TF-IDF with logistic regression for each label",
}


@dataclass(frozen=True, slots=True)
class Gain:
    """What fine-tuning gains over the best baseline in the main metric: positive is better, for every metric."""

    metric: str
    value: float
    low: float
    high: float
    n_rows: int
    name: str
    baseline: float

    @property
    def said(self) -> str:
        """The gain in words: "2.1 points of macro F1 better than NAME (82.0%; 95% interval ...)"."""
        ends = f"95% interval of the difference {bare(self.metric, self.low)} to {bare(self.metric, self.high)}"
        against = f"{self.name} ({amount(self.metric, self.baseline)}; {ends})"
        if self.value == 0:
            return f"level with {against}"
        side = "better" if self.value > 0 else "worse"
        return f"{difference(self.metric, abs(self.value))} {side} than {against}"

    def matters(self, gain: float) -> bool:
        """Whether a gain of this size is large, in itself or beside the baseline's error."""
        error = self.baseline if lower_is_better(self.metric) else 1 - self.baseline
        return (gain >= WORTH_POINTS and not is_open(self.metric)) or gain >= WORTH_SHARE * error > 0


def verdict(
    metrics: Mapping[str, Any],
    *,
    events: Sequence[Mapping[str, Any]] = (),
    n_train: int = 0,
    settings: Mapping[str, Any] | None = None,
    data: str = "DATA",
    together: Together | None = None,
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
        together: how it was trained with other tasks.

    Returns:
        `worth_it` ("yes", "no", "unclear"), `fit` ("over", "under", "good", "unknown"), `sentences`, and
        `try_next`: at most five pieces of advice with the setting or command, the most promising first.
    """
    evidence = Evidence(metrics, events, n_train, settings or {}, data, together)
    if not evidence.primary:
        return _nothing_measured()
    worth, worth_findings = _worth(evidence)
    fit, fit_findings = diagnose(evidence)
    wrong = half_as_long_again(evidence) if fit == "over" else ()
    findings = [
        *_nothing_found(evidence),
        *one_text(evidence),
        *_headline(evidence),
        *worth_findings,
        *fit_findings,
        *disagreement(evidence),
        *few_rows(evidence),
        *weak_classes(evidence),
        *confidence(evidence),
    ]
    tried = _advice(
        [*fit_findings, *findings],
        more=half_as_long_again(evidence) if worth == "yes" and fit in ("good", "unknown") else (),
        wanted=evidence.wanted,
        wrong=wrong,
    )
    return {
        "worth_it": worth,
        "fit": fit,
        "sentences": [finding.sentence for finding in findings],
        "try_next": [_for_task(evidence, advice) for advice in tried],
    }


def _nothing_measured() -> dict[str, Any]:
    return {
        "worth_it": "unclear",
        "fit": "unknown",
        "sentences": ["No rows were kept back, so nothing can be said about new texts."],
        "try_next": ["Keep back rows to judge by: --set data.split.test=0.2 --set data.split.dev=0.1"],
    }


def _nothing_found(evidence: Evidence) -> list[Finding]:
    """Say that the model gives no label at all, where rows need not have one, and some here do."""
    metrics = evidence.splits[evidence.primary]
    classes = metrics.get("per_class") or []
    wanted = sum(entry["support"] for entry in classes)
    if "labels" in metrics or not wanted or any(entry["precision"]["value"] is not None for entry in classes):
        return []
    noun = "entity" if evidence.main == "entity_f1" else "label"
    return [Finding(f"The model found no {noun} at all, of {wanted:,} in {rows(_n_rows(evidence), evidence.primary)}.")]


def _headline(evidence: Evidence) -> list[Finding]:
    found = evidence.measured(evidence.primary)
    if found is None:
        return [Finding(f"The {metric_name(evidence.main)} is undefined on these {rows(_n_rows(evidence))}.")]
    ends = f" (95% interval {_ends(evidence.main, found.low, found.high)})" if found.low is not None else ""
    value = f"{amount(evidence.main, found.value)} {metric_name(evidence.main)}"
    return [Finding(f"On {rows(found.n_rows, evidence.primary)} the model has {value}{ends}.")]


def _worth(evidence: Evidence) -> tuple[str, list[Finding]]:
    """Decide whether fine-tuning beats the best baseline by enough to matter."""
    gain = _gain(evidence)
    if gain is None:
        return _without_comparison()
    if gain.n_rows < FEWEST_ROWS:
        return "unclear", [_undecided(evidence, gain)]
    if gain.low > 0:
        worth = gain.matters(gain.value)
        return ("yes" if worth else "unclear"), [_better(evidence, gain, worth=worth)]
    if not gain.matters(gain.high):
        most = f", and better by {bare(gain.metric, gain.high)} at most" if gain.high > 0 else ""
        sentence = f"Fine-tuning is not worth it here: it is {gain.said}{most}."
        return "no", [Finding(sentence, _not_worth(evidence))]
    return "unclear", [_undecided(evidence, gain)]


def _better(evidence: Evidence, gain: Gain, *, worth: bool) -> Finding:
    if worth:
        return Finding(f"Fine-tuning is worth it here: it is {gain.said}.{_mistakes(evidence)}")
    return Finding(
        f"Fine-tuning is better here, but by little: it is {gain.said}. Whether that is worth a larger and "
        "slower model is for you to say."
    )


def _undecided(evidence: Evidence, gain: Gain) -> Finding:
    few = gain.n_rows < FEWEST_ROWS
    why = f", but {rows(gain.n_rows, evidence.primary)} are too few to tell by" if few else ", which may be chance"
    sentence = f"Whether fine-tuning is worth it here cannot be told yet: it is {gain.said}{why if gain.value else ''}."
    needed = gain.n_rows * ((gain.high - gain.low) / 2 / gain.value) ** 2 if gain.value > 0 else 0
    if not few and gain.n_rows < needed <= 20 * gain.n_rows:
        sentence += f" If it is real, about {rows(rough(needed), evidence.primary)} would show it."
    return Finding(sentence, _not_worth(evidence))


def _without_comparison() -> tuple[str, list[Finding]]:
    return "unclear", [
        Finding(
            "Whether fine-tuning is worth it here cannot be told: no simple baseline was measured on the same rows.",
            ("Measure the baselines too: --set evaluate.baselines=true",),
        )
    ]


def _gain(evidence: Evidence) -> Gain | None:
    """Return the gain over the baseline, positive if better; None if there was no comparison."""
    pair = evidence.metrics.get("comparison") or {}
    if pair.get("value") is None or pair.get("low") is None:
        return None
    value, low, high = float(pair["value"]), float(pair["low"]), float(pair["high"])
    if lower_is_better(evidence.main):
        value, low, high = -value, -high, -low
    if low == high:
        # Resampling cannot show what these rows never do: at 95%, this share of others still may (rule of three).
        high = max(high, 1 - 0.05 ** (1 / pair["n_rows"]))
    name = str(pair.get("baseline", pair["a"]))
    baseline = float(pair["a_value"])
    return Gain(evidence.main, value, low, high, pair["n_rows"], _BASELINES.get(name, name), baseline)


def _mistakes(evidence: Evidence) -> str:
    """Say the gain as wrong answers in a hundred texts, where it can be seen in whole numbers, or as a mean error."""
    name = str(evidence.metrics["comparison"].get("baseline", ""))
    ours, theirs = evidence.measured(evidence.primary, "mae"), evidence.baseline(name, "mae")
    if ours and theirs:
        off, instead = number(ours.value), number(theirs.value)
        return f" On average it is off by {off} instead of {instead}." if ours.value < theirs.value else ""
    ours, theirs = evidence.measured(evidence.primary, "accuracy"), evidence.baseline(name, "accuracy")
    if ours is None or theirs is None:
        return ""
    wrong, before = round(100 * (1 - ours.value)), round(100 * (1 - theirs.value))
    count = f"about {wrong}" if wrong else "fewer than 1"
    return f" In 100 texts it gets {count} wrong instead of {before}." if wrong < before else ""


def _not_worth(evidence: Evidence) -> tuple[str | MoreRows, ...]:
    few = (more_to_train_on(evidence),) if few_to_train_on(evidence) else ()
    return (*few, *half_as_long_again(evidence))


def _advice(findings: Sequence[Finding], *, more: Sequence[str], wanted: str, wrong: Sequence[str] = ()) -> list[str]:
    """Collect advice in the order of the findings, each once, then `more`, what could add a little; none that is wrong.

    Of several values for one setting the first is advised.
    """
    found = [*(advice for finding in findings for advice in finding.advice), *more]
    reasons = [advice for advice in found if isinstance(advice, MoreRows)]
    said = [label_more(reasons, wanted=wanted) if isinstance(advice, MoreRows) else advice for advice in found]
    first = {key: advice for advice in reversed(said) for key in _SET.findall(advice)}
    kept = [
        advice for advice in said if advice not in wrong and all(first[key] == advice for key in _SET.findall(advice))
    ]
    return list(dict.fromkeys(kept))[:MOST_ADVICE] or [LARGER_MODEL]


def _for_task(evidence: Evidence, advice: str) -> str:
    """Return advice as the recipe of several tasks takes it: what each has of its own is set for this one."""
    if evidence.together is None:
        return advice
    return re.sub(r"--set (?=task\.|data\.|evaluate\.)", f"--set tasks.{evidence.together.name}.", advice)


def _ends(metric: str, low: float | None, high: float | None) -> str:
    return f"{bare(metric, low or 0.0)} to {bare(metric, high or 0.0)}"


def _n_rows(evidence: Evidence) -> int:
    return int((evidence.splits.get(evidence.primary) or {}).get("n_rows", 0))
