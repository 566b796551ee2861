"""What limits a result, in words: few rows, splits that disagree, weak classes, confidence that is off."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tunesmith.core.wording import count, rows
from tunesmith.data.labels import label_name
from tunesmith.metrics.evidence import Evidence, Finding, MoreRows
from tunesmith.metrics.more_rows import more_rows
from tunesmith.metrics.names import lower_is_better
from tunesmith.metrics.wording import amount, difference, listed, metric_name, points, quoted, width

WIDE = 0.03
"""Half an interval from which more test rows are advised."""
WEAK_BY = 0.05
"""How far a class's F1 is below the others' mean to be named."""
FEWEST = 20
"""Fewer rows of a split tell nothing of where they come from."""
FEWEST_TEXTS, SAME = 20, 0.5
"""Written texts from which, and share of all of them that are wrong and alike from which, it is told that they are."""
WRITER = (
    "Train on more rows, longer or at another rate; if the model was made to read, start from one that writes already, "
    "such as a T5 or BART: --model with a folder or a hub id"
)
OFF = 0.05
"""Calibration error from which stated confidence is not to be believed."""


def rough(n: float) -> int:
    """Round up to two digits: 1,234 gives 1,300."""
    step = 10 ** max(0, math.floor(math.log10(max(1.0, n))) - 1)
    return int(math.ceil(n / step) * step)


def few_rows(evidence: Evidence) -> list[Finding]:
    """Say how wide the interval is and how many rows would halve it; and what a perfect score may hide."""
    split = evidence.primary
    found, accuracy = evidence.measured(split), evidence.measured(split, "accuracy")
    if accuracy and accuracy.value == 1 and accuracy.n_rows:
        hidden = 1 - 0.05 ** (1 / accuracy.n_rows)
        return [
            Finding(
                f"It made no mistake in {rows(accuracy.n_rows, split)}; that still leaves room for up to "
                f"{100 * hidden:.2g}% of new texts to go wrong.",
                (more_rows(evidence, split, "measure on"),) if hidden > WIDE else (),
            )
        ]
    if found is None or found.half <= WIDE or lower_is_better(evidence.main):
        return []
    sentence = (
        f"With {rows(found.n_rows)} the {metric_name(evidence.main)} is only known to about "
        f"{width(evidence.main, found.half)} either way; about {rows(rough(4 * found.n_rows), split)} would halve that."
    )
    return [Finding(sentence, (more_rows(evidence, split, "measure on"),))]


def one_text(evidence: Evidence) -> list[Finding]:
    """Say that a model writes one text to most rows, whatever it reads."""
    said, n = evidence.splits[evidence.primary].get("repeated"), evidence.splits[evidence.primary].get("n_rows", 0)
    if not said or n < FEWEST_TEXTS or said["rows"] - said["right"] <= SAME * n:
        return []
    sentence = f"It writes {quoted(said['text'])} to {said['rows']:,} of {rows(n, evidence.primary)}, whatever they say"
    return [Finding(f"{sentence}: what it learnt is what texts often are, not yet to go by what it reads.", (WRITER,))]


def disagreement(evidence: Evidence) -> list[Finding]:
    """Say that dev and test rows differ by more than chance."""
    dev, test = evidence.measured("dev"), evidence.measured("test")
    if (
        dev is None
        or test is None
        or evidence.has_thresholds
        or min(dev.n_rows, test.n_rows) < FEWEST
        or abs(test.value - dev.value) <= math.hypot(dev.half, test.half)
    ):
        return []
    gap = difference(evidence.main, abs(test.value - dev.value))
    if (test.value > dev.value) == lower_is_better(evidence.main):
        sentence = (
            f"The test rows are harder than the dev rows, by {gap}, which is more than chance: they may come "
            "from another source or time, or be labeled differently."
        )
        advice = "Add training rows like the test rows"
    else:
        sentence = (
            f"The test rows are easier than the dev rows, by {gap}, which is more than chance: they may "
            "repeat training texts, or come from an easier source."
        )
        advice = f"Look for test texts that also stand in the training data: tunesmith check {evidence.data}"
    return [Finding(sentence, (advice,))]


def weak_classes(evidence: Evidence) -> list[Finding]:
    """Name classes that are never predicted, and the class with the lowest F1 with what it is taken for."""
    metrics = evidence.splits.get(evidence.primary) or {}
    classes = [c for c in metrics.get("per_class") or [] if c["support"] > 0]
    if len(classes) < 2 or not (_has_confusion(metrics) or "threshold" in classes[0]):
        return []
    never = [c for c in classes if c["precision"]["value"] is None]
    found = [_never(evidence, never)] if never else []
    rest = [c for c in classes if c not in never]
    return found + _weakest(evidence, rest, metrics)


def confidence(evidence: Evidence) -> list[Finding]:
    """Say how far stated confidence is from accuracy, before and after temperature scaling."""
    metrics = evidence.splits.get(evidence.primary) or {}
    ece = evidence.measured(evidence.primary, "ece")
    if ece is None or ece.n_rows < 20:
        return []
    scaled = _scaling(metrics, evidence.metrics.get("calibration") or {}, after=ece.value)
    if ece.value <= OFF:
        return [Finding(f"Its confidence can be believed: it is {points(ece.value)} off on average{scaled}.")]
    if ece.low is None or ece.low <= OFF / 2:
        sentence = f"Its confidence is {points(ece.value)} off on average{scaled}"
        return [Finding(f"{sentence}; with {rows(ece.n_rows)} that may be chance.")]
    side = _side(metrics.get("reliability") or [])
    return [
        Finding(
            f"Take its confidence with care: it is {points(ece.value)} off on average{side}{scaled}.",
            (_better_confidence(evidence),),
        )
    ]


def _better_confidence(evidence: Evidence) -> str | MoreRows:
    if evidence.settings.get("evaluate.calibrate") is False:
        return "Set its confidence by the dev rows: --set evaluate.calibrate=true"
    return more_rows(evidence, "dev", "set its confidence by")


def _never(evidence: Evidence, classes: list[Any]) -> Finding:
    names = listed([quoted(c["label"]) for c in classes])
    n_rows = sum(c["support"] for c in classes)
    verb = "is" if len(classes) == 1 else "are"
    missed = f"all {rows(n_rows)} with such labels are missed" if n_rows > 1 else "its only row is missed"
    return Finding(
        f"{names} {verb} never predicted: {missed}.",
        (*_balance(evidence, classes), MoreRows(tuple(quoted(c["label"]) for c in classes))),
    )


def _weakest(evidence: Evidence, classes: list[Any], metrics: Mapping[str, Any]) -> list[Finding]:
    if len(classes) < 2:
        return []
    worst = min(classes, key=lambda c: c["f1"]["value"])
    others = [c["f1"]["value"] for c in classes if c is not worst]
    if worst["f1"]["value"] > sum(others) / len(others) - WEAK_BY:
        return []
    name, f1 = quoted(worst["label"]), amount("f1", worst["f1"]["value"])
    why, check = _confused(metrics, worst) if _has_confusion(metrics) else _missed(worst)
    advice: tuple[str | MoreRows, ...] = (
        *_balance(evidence, [worst]),
        MoreRows((name,)),
        f"{check}: the rows it mistook are in the report",
    )
    kind = "class" if _has_confusion(metrics) else "label"
    return [Finding(f"The weakest {kind} is {name} (F1 {f1}): {why}.", advice)]


def _has_confusion(metrics: Mapping[str, Any]) -> bool:
    return len(metrics["per_class"]) == len(metrics.get("confusion") or [])


def _missed(worst: Mapping[str, Any]) -> tuple[str, str]:
    """Return in words how often a label is found and how often it is right, and what to check."""
    found, right = (amount(name, worst[name]["value"]) for name in ("recall", "precision"))
    why = f"it is found in {found} of its {rows(worst['support'])}, and right in {right} of those it is given to"
    return why, f"Check that {quoted(worst['label'])} stands wherever it belongs"


def _confused(metrics: Mapping[str, Any], worst: Mapping[str, Any]) -> tuple[str, str]:
    """Return the most frequent confusion of a class in words, and what to check."""
    confusion, labels, index = metrics["confusion"], metrics["labels"], metrics["per_class"].index(worst)
    why, other = _taken(confusion, labels, index)
    return why, f"Check that {quoted(worst['label'])} and {other} are told apart in the labels"


def _taken(confusion: Sequence[Sequence[int]], labels: Sequence[Any], index: int) -> tuple[str, str]:
    """Return in words what a class is taken for, or the other way round, and that other class."""
    missed = {j: n for j, n in enumerate(confusion[index]) if j != index}
    wrong = {i: row[index] for i, row in enumerate(confusion) if i != index}
    to, source = max(missed, key=lambda j: missed[j]), max(wrong, key=lambda i: wrong[i])
    if missed[to] >= wrong[source]:
        n, other = missed[to], quoted(labels[to])
        return f"{n:,} of its {rows(sum(confusion[index]))} {_was(n)} taken for {other}", other
    n, other = wrong[source], quoted(labels[source])
    n_answers = sum(row[index] for row in confusion)
    return f"{n:,} of the {count(n_answers, 'text')} given this label {_was(n)} {other}", other


def _was(n: int) -> str:
    return "was" if n == 1 else "were"


def _balance(evidence: Evidence, weak: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Advise weights where a weak class is rare among the rows that are learnt from (else among those measured)."""
    known = evidence.per_class("train") or evidence.per_class(evidence.primary)
    mean = sum(entry["support"] for entry in known.values()) / max(1, len(known))
    is_rare = any(known.get(label_name(c["label"]), c)["support"] < 0.5 * mean for c in weak)
    if evidence.settings.get("task.class_weights") == "balanced" or not is_rare:
        return ()
    return ("Give rare classes more weight: --set task.class_weights=balanced",)


def _scaling(metrics: Mapping[str, Any], calibration: Mapping[str, Any], *, after: float) -> str:
    before = (metrics.get("before_calibration") or {}).get("ece")
    temperature = calibration.get("temperature", 1.0)
    if before is None or temperature == 1.0:
        return ""
    if after > before + 0.005:
        did_not = "did not help on these rows; --set evaluate.calibrate=false leaves it out"
        return f" ({points(before)} without temperature scaling, which {did_not})"
    return f" ({points(before)} before temperature scaling, T = {temperature:.2f})"


def _side(reliability: list[Any]) -> str:
    """Say whether confidence is mostly too high or too low."""
    gaps = [b["n"] * (b["confidence"] - b["accuracy"]) for b in reliability if b["n"]]
    if not gaps or abs(sum(gaps)) < 0.5 * sum(map(abs, gaps)):
        return ""
    return ", mostly too high" if sum(gaps) > 0 else ", mostly too low"
