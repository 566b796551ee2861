"""Over- or under-fitting, read from training against unseen rows and from the learning curves.

A gap between training and unseen rows is normal after fine-tuning; it counts once it is beyond chance and
large.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.core.wording import count, rows
from tunesmith.metrics.evidence import Evaluation, Evidence, Finding, Measured
from tunesmith.metrics.more_rows import more_rows, more_to_train_on
from tunesmith.metrics.names import is_open
from tunesmith.metrics.wording import amount, difference, metric_name

LARGE_GAP = 0.05
"""Training rows this much better than unseen ones: over-fitting."""
NOTABLE_GAP = 0.02
"""The same where the dev loss also rose again."""
LOW = 0.25
"""An error on training rows above this is called low quality."""
HARDLY_LEARNT = 0.5
"""An error on training rows above this is under-fitting first, however much worse unseen rows are."""
RISE = 1.1
"""Last dev loss over lowest dev loss from which it is said to have risen."""
STILL_GAINING = 0.01
"""Gain in the last third of training from which more training is advised."""
LARGER_MODEL = "Take a larger model: --model with a folder or a hub id"
STUCK = 0.95
"""Late training loss over early training loss above which nothing was learnt."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Training against unseen rows in one metric, on the same classes.

    Attributes:
        size: positive where training rows do better.
        metric: that of `Evidence.judged`, or accuracy where it can't be had for the same classes.
        aside: said of classes that the unseen rows lack, "" where they have all.
    """

    train: Measured
    unseen: Measured
    split: str
    size: float
    metric: str
    aside: str = ""

    @property
    def share(self) -> float:
        """The size, of an error without an upper end as a share of itself."""
        return self.size / self.unseen.value if is_open(self.metric) else self.size

    @property
    def noise(self) -> float:
        """How large a gap may be by chance (95%, both sides' intervals taken together)."""
        return math.hypot(self.train.half, self.unseen.half)

    @property
    def is_sure(self) -> bool:
        """Whether the gap is beyond chance."""
        return self.size > self.noise


def diagnose(evidence: Evidence) -> tuple[str, list[Finding]]:
    """Return "over", "under", "good" or "unknown", and why, in words."""
    gap = gap_of(evidence)
    if gap is None:
        missing = "training" if evidence.held_out else "unseen"
        return "unknown", [Finding(f"Over- or under-fitting cannot be told: no {missing} rows were measured.")]
    curve = [*_rising(evidence)]
    # What models that write know better of training texts is no harm as long as unseen ones become likelier, too.
    under_first = evidence.is_open or evidence.error(gap.train.value) > HARDLY_LEARNT
    signs = (_under, _over) if under_first else (_over, _under)
    for fit, finding in (sign(evidence, gap) for sign in (_nothing_learnt, *signs)):
        if finding:
            return fit, [finding, *curve]
    if gap.share >= LARGE_GAP:
        return "unknown", [_unsure(evidence, gap), *curve]
    return "good", [_good(evidence, gap), *curve]


def gap_of(evidence: Evidence) -> Gap | None:
    """Compare training rows with dev rows (test rows where there is no dev); None if one side is missing.

    Macro F1 is only compared over the classes that both have: a class of one training row, missed, costs as much as
    a large one, and the unseen rows can't have it.
    """
    split, metric, aside = evidence.held_out, evidence.judged, ""
    train, unseen = evidence.measured("train", metric), evidence.measured(split, metric)
    n_missing = _n_missing(evidence, split) if metric == "macro_f1" else 0
    if n_missing and train and unseen:
        lacking = f"the {split} rows lack {n_missing} of the {count(_n_classes(evidence, split), evidence.class_noun)}"
        shared = _on_shared_classes(evidence, train, unseen, split)
        if shared:
            (train, unseen), aside = shared, f" ({lacking}, which are left out)"
        else:
            metric, aside = "accuracy", f" (accuracy, because {lacking})"
            train, unseen = evidence.measured("train", metric), evidence.measured(split, metric)
    if train is None or unseen is None:
        return None
    return Gap(train, unseen, split, evidence.error(unseen.value) - evidence.error(train.value), metric, aside)


def _n_classes(evidence: Evidence, split: str) -> int:
    return len((evidence.splits.get(split) or {}).get("per_class") or [])


def _n_missing(evidence: Evidence, split: str) -> int:
    return _n_classes(evidence, split) - len(evidence.per_class(split))


def _on_shared_classes(
    evidence: Evidence, train: Measured, unseen: Measured, split: str
) -> tuple[Measured, Measured] | None:
    """Return both sides' macro F1 over the classes that occur in both; None if classes were not counted in both."""
    known, seen = evidence.per_class("train"), evidence.per_class(split)
    names = [name for name in seen if name in known]
    if not names:
        return None
    return _mean_f1(train, [known[name] for name in names]), _mean_f1(unseen, [seen[name] for name in names])


def _mean_f1(measured: Measured, classes: Sequence[Mapping[str, Any]]) -> Measured:
    """Return the mean F1 of some classes; the interval keeps its width."""
    value = sum(float(entry["f1"]["value"]) for entry in classes) / len(classes)
    by = value - measured.value
    low, high = (None if end is None else end + by for end in (measured.low, measured.high))
    return Measured(value, measured.n_rows, low, high)


def risen_loss(evidence: Evidence) -> tuple[Evaluation, Evaluation] | None:
    """Return the dev measurements with the lowest loss and the last, if the loss rose clearly between."""
    curve = evidence.evaluations
    if len(curve) < 3:
        return None
    lowest, last = min(curve, key=lambda e: e.loss), curve[-1]
    after = sum(e.step > lowest.step for e in curve)
    return (lowest, last) if after >= 2 and last.loss > RISE * lowest.loss else None


def still_gaining(evidence: Evidence) -> float:
    """Return what the last third of training gained by `Evidence.judged` if it was best at the end, else 0."""
    curve = [(e, e.value) for e in evidence.evaluations if e.value is not None]
    if len(curve) < 3 or curve[-1][0].loss > min(e.loss for e, _ in curve):
        return 0.0
    last = curve[-1][1]
    earlier = [main for e, main in curve if e.step <= 2 / 3 * curve[-1][0].step] or [curve[0][1]]
    gains = [evidence.error(main) - evidence.error(last) for main in earlier]
    return max(0.0, min(gains))


def longer(evidence: Evidence) -> str:
    """Advise twice the training, or, where patience ended it, more patience."""
    number, unit = evidence.planned
    if evidence.ended_early:
        patience = evidence.settings.get("evaluate.patience") or 3
        key = "multitask.patience" if evidence.together else "evaluate.patience"
        return (
            f"Wait longer for a gain: --set {key}={2 * patience} (training ended at "
            f"{unit.removesuffix('s')} {math.ceil(evidence.trained - 1e-6):,} of {number:,g}, after "
            f"{count(patience, 'measurement')} without one)"
        )
    return f"Train longer: {_so_long(evidence, 2)}"


def half_as_long_again(evidence: Evidence) -> tuple[str, ...]:
    """Advise somewhat more training, where it was not ended for want of gain and something is left to gain."""
    found = evidence.measured(evidence.primary, evidence.judged)
    if evidence.ended_early or not evidence.planned[0] or (found and evidence.error(found.value) == 0):
        return ()
    return (f"Train half as long again: {_so_long(evidence, 1.5)}",)


def _so_long(evidence: Evidence, factor: float) -> str:
    """Return the setting that trains so many times as long: of tasks that share their updates out, all of them."""
    together, key = evidence.together, "train.length"
    number, unit = evidence.length
    if together and together.has_own_length:
        key = f"tasks.{together.name}.train.length"
    elif together:
        number, unit = together.n_updates / together.n_tasks, "steps"
    return f'--set {key}="{_length(factor * number or 10, unit)}"'


def _length(number: float, unit: str) -> str:
    """Return a whole length as it is set: "1 epoch", "10 steps"."""
    return f"{math.ceil(number)} {unit if math.ceil(number) > 1 else unit.removesuffix('s')}"


def rate(evidence: Evidence, factor: float) -> str:
    """Advise another learning rate."""
    word = "higher" if factor > 1 else "lower"
    value = f"{evidence.peak_lr * factor:.2g}" if evidence.peak_lr else ("1e-4" if factor > 1 else "1e-5")
    return f"Try a {word} learning rate: --set train.lr={value}"


def _sides(gap: Gap) -> str:
    train, unseen = amount(gap.metric, gap.train.value), amount(gap.metric, gap.unseen.value)
    return f"{train} {metric_name(gap.metric)} on training rows, {unseen} on {gap.split} rows{gap.aside}"


def _nothing_learnt(evidence: Evidence, gap: Gap) -> tuple[str, Finding | None]:
    """Answers that have nothing to do with the labels, or a training loss that stood still."""
    advice = (longer(evidence), rate(evidence, 2 if _is_calm(evidence) else 0.3))
    sentence = _no_relation(evidence, gap.split)
    if sentence:
        return "under", Finding(sentence, advice)
    first, last = _early_and_late(evidence.training_losses)
    if evidence.is_open or last <= STUCK * first or evidence.error(gap.train.value) <= LOW:
        return "under", None
    sentence = f"The training loss hardly moved, from {first:.2f} to {last:.2f}: {_sides(gap)}."
    return "under", Finding(sentence, advice)


def _no_relation(evidence: Evidence, split: str) -> str:
    """Say so if unseen rows show no correlation (MCC) and training rows no gain over the largest class."""
    train, unseen = evidence.measured("train", "accuracy"), evidence.measured(split, "accuracy")
    mcc, constant = evidence.measured(split, "mcc"), evidence.largest_share(split)
    if train is None or unseen is None or mcc is None or constant is None:
        return ""
    if (mcc.low if mcc.low is not None else mcc.value) > 0 or train.value - constant > train.half:
        return ""
    return (
        f"The model has learnt next to nothing: it is right on {amount('accuracy', train.value)} of the "
        f"training rows and {amount('accuracy', unseen.value)} of the {split} rows, and always answering the "
        f"most frequent class on {amount('accuracy', constant)}."
    )


def _early_and_late(losses: list[float]) -> tuple[float, float]:
    """Return the mean loss of the first and of the last tenth of the steps; (0, 0) below 20 steps."""
    if len(losses) < 20:
        return 0.0, 0.0
    tenth = len(losses) // 10
    return sum(losses[:tenth]) / tenth, sum(losses[-tenth:]) / tenth


def _is_calm(evidence: Evidence) -> bool:
    """Whether the training loss did not grow: then the rate was too low rather than too high."""
    losses = evidence.training_losses
    half = len(losses) // 2
    return not half or sum(losses[half:]) / (len(losses) - half) <= 1.02 * sum(losses[:half]) / half


def _over(evidence: Evidence, gap: Gap) -> tuple[str, Finding | None]:
    enough = NOTABLE_GAP if risen_loss(evidence) else LARGE_GAP
    if not gap.is_sure or gap.share < enough:
        return "over", None
    sentence = (
        f"It over-fits: {_sides(gap)}. The gap of {difference(gap.metric, gap.size)} is more "
        "than chance: it knows its training rows better than it understands new ones. That is usual with few rows "
        f"and no reason to throw it away: the {gap.split} rows' numbers are what it does on new ones."
    )
    return "over", Finding(sentence, (more_to_train_on(evidence), *_held_back(evidence), rate(evidence, 0.5)))


def _held_back(evidence: Evidence) -> tuple[str, ...]:
    """Advise dropout and label smoothing, what of them the task has and is not in force."""
    wanted = {"model.dropout": 0.2, "task.label_smoothing": 0.1}
    if "task.kind" in evidence.settings:  # all settings are there
        wanted = {key: value for key, value in wanted.items() if key in evidence.settings}
    now = {key: evidence.settings.get(key) for key in wanted}
    low = [key for key, value in now.items() if not isinstance(value, int | float) or value < wanted[key]]
    settings = " ".join(f"--set {key}={wanted[key]}" for key in low)
    return (f"Hold it back a little: {settings}",) if settings else ()


def _under(evidence: Evidence, gap: Gap) -> tuple[str, Finding | None]:
    gain = still_gaining(evidence)
    if (
        gain >= STILL_GAINING * (gap.unseen.value if evidence.is_open else 1)
        and evidence.error(gap.unseen.value) > NOTABLE_GAP
    ):
        sentence = (
            f"It was still learning when training ended: the last third brought "
            f"{difference(evidence.judged, gain)} on dev rows ({_sides(gap)})."
        )
        return "under", Finding(sentence, (longer(evidence),))
    if evidence.is_open or evidence.error(gap.train.value) <= LOW:
        return "under", None
    sentence = (
        f"It under-fits: {_sides(gap)}. It misses many of the very rows it learnt from, so either "
        "it needs more training or a larger model, or the labels contradict each other."
    )
    advice = (
        longer(evidence),
        LARGER_MODEL,
        f"Look for wrong labels: tunesmith check {evidence.data}",
    )
    return "under", Finding(sentence, advice)


def _unsure(evidence: Evidence, gap: Gap) -> Finding:
    return Finding(
        f"Over-fitting cannot be told: {_sides(gap)}, but with {rows(gap.unseen.n_rows)} such a gap may be chance.",
        (more_rows(evidence, "dev", "judge by"),) if gap.split == "dev" else (),
    )


def _good(evidence: Evidence, gap: Gap) -> Finding:
    return Finding(f"It fits well, neither too tightly nor too loosely: {_sides(gap)}.")


def _rising(evidence: Evidence) -> list[Finding]:
    """Say that the dev loss rose after its best, and whether the main metric paid for it."""
    risen = risen_loss(evidence)
    if risen is None:
        return []
    lowest, last = risen
    head = (
        f"The dev loss was lowest at step {lowest.step:,} ({lowest.loss:.3f}) and rose to {last.loss:.3f} "
        f"by step {last.step:,}"
    )
    if lowest.value is not None and last.value is not None:
        gain = evidence.error(lowest.value) - evidence.error(last.value)
        if gain > 0.005:
            gained = difference(evidence.judged, gain)
            return [Finding(f"{head}: the later steps still brought {gained}, but made the model too sure of itself.")]
    return [Finding(f"{head}: the later steps fitted the training rows rather than the task.")]
