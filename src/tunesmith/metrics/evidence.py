"""What a verdict is based on: the metrics of a run, its log and the number of its training rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tunesmith.data.labels import label_name
from tunesmith.metrics.names import is_open, lower_is_better


@dataclass(frozen=True, slots=True)
class Measured:
    """A metric on some rows, with its 95% interval where one was measured."""

    value: float
    n_rows: int
    low: float | None = None
    high: float | None = None

    @property
    def half(self) -> float:
        """Half the width of the interval; where none was measured, that of a share of so many rows.

        Where all that was drawn is alike, what these rows never show: at 95%, a share (rule of three), or any error.
        """
        if self.low is not None and self.high is not None:
            unseen = 1 - 0.05 ** (1 / max(1, self.n_rows)) if abs(self.value) <= 1 else math.inf
            return (self.high - self.low) / 2 if self.low < self.high else unseen
        share = min(max(self.value, 0.0), 1.0)
        return 1.96 * math.sqrt(share * (1 - share) / max(1, self.n_rows))


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One measurement of the dev rows during training; `value`, of what it is judged by, None if not logged."""

    step: int
    loss: float
    value: float | None


@dataclass(frozen=True, slots=True)
class MoreRows:
    """A reason to label more rows; all reasons of a verdict become one piece of advice.

    Attributes:
        classes: names of those that need rows most, quoted.
        why: follows "Label more rows: "; may be "".
        setting: one that would keep back more of the rows there are, for the `purpose`; may be "".
    """

    classes: tuple[str, ...] = ()
    why: str = ""
    setting: str = ""
    purpose: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a reader should know, and what to try about it.

    Attributes:
        sentence: ends with a full stop.
        advice: commands or settings, most promising first.
    """

    sentence: str
    advice: tuple[str | MoreRows, ...] = ()


@dataclass(frozen=True, slots=True)
class Together:
    """How a task was trained with others.

    Attributes:
        name: of the task.
        n_tasks: how many tasks there are.
        n_updates: how many updates were planned for all of them.
        has_own_length: whether the task says how long it is trained, rather than all of them in common.
    """

    name: str
    n_tasks: int
    n_updates: int
    has_own_length: bool


@dataclass(frozen=True)
class Evidence:
    """The facts of one run.

    Attributes:
        metrics: as in `metrics.json`.
        events: as in `log.jsonl`.
        n_train: rows trained on.
        settings: dotted setting to value, as far as known.
        data: the data as the user names it in commands.
        together: how it was trained with other tasks; None where it was trained alone.
    """

    metrics: Mapping[str, Any]
    events: Sequence[Mapping[str, Any]] = ()
    n_train: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    data: str = "DATA"
    together: Together | None = None

    @property
    def main(self) -> str:
        """The metric by which models are judged."""
        return str(self.metrics.get("main", "macro_f1"))

    @property
    def judged(self) -> str:
        """The metric by which training is judged: the main one, or perplexity where a model's texts are."""
        return str(self.metrics.get("judged") or self.main)

    @property
    def splits(self) -> Mapping[str, Any]:
        """Split name to its metrics."""
        found: Mapping[str, Any] = self.metrics.get("splits") or {}
        return found

    @property
    def primary(self) -> str:
        """The split that counts: test, else dev; "" if neither was measured."""
        return next((name for name in ("test", "dev") if name in self.splits), "")

    @property
    def n_classes(self) -> int:
        """How many classes or labels there are, at least 2; 1 where what is learnt is no class."""
        found = self.splits.get(self.primary) or {}
        n = len(found.get("labels") or found.get("per_class") or [])
        return max(2, n) if n or "per_class" in found else 1

    @property
    def held_out(self) -> str:
        """The split over- and under-fitting is read from: dev, else test; "" if neither was measured.

        Where thresholds were set on the dev rows it is test, since these flatter.
        """
        order = ("test", "dev") if self.has_thresholds else ("dev", "test")
        return next((name for name in order if name in self.splits), "")

    @property
    def has_thresholds(self) -> bool:
        """Whether the answers depend on thresholds that were set on the dev rows."""
        return bool((self.metrics.get("calibration") or {}).get("thresholds"))

    def measured(self, split: str, metric: str = "") -> Measured | None:
        """Return a metric (by default the main one) of a split; None where it is missing or undefined."""
        return _measured(self.splits.get(split), metric or self.main)

    def baseline(self, name: str, metric: str = "") -> Measured | None:
        """Return a metric (by default the main one) of a baseline; None where it is missing or undefined."""
        return _measured((self.metrics.get("baselines") or {}).get(name), metric or self.main)

    def largest_share(self, split: str) -> float | None:
        """Return the share of a split's rows that have its most frequent label; None if it was not counted."""
        support = [sum(row) for row in (self.splits.get(split) or {}).get("confusion") or []]
        return max(support) / sum(support) if sum(support) else None

    def per_class(self, split: str) -> dict[str, Mapping[str, Any]]:
        """Return class name to its numbers, of the classes that occur in a split; empty if they were not counted."""
        found = (self.splits.get(split) or {}).get("per_class") or []
        return {label_name(entry["label"]): entry for entry in found if entry["support"]}

    def share(self, split: str) -> float:
        """Return the share of all rows that a split has; 0 where it has none or the training rows are not known."""
        return self._n_measured(split) / self.n_rows if self.n_train else 0.0

    @property
    def n_rows(self) -> int:
        """How many rows are trained on, or measured on."""
        return self.n_train + self._n_measured("dev") + self._n_measured("test")

    def _n_measured(self, split: str) -> int:
        return int((self.splits.get(split) or {}).get("n_rows", 0))

    def error(self, value: float) -> float:
        """Return how far the metric of `judged` is from perfect; smaller is better for every metric."""
        return value if lower_is_better(self.judged) else 1 - value

    @property
    def is_open(self) -> bool:
        """Whether training is judged by an error without an upper end, as that of models that write is."""
        return is_open(self.judged)

    @property
    def wanted(self) -> str:
        """What more of would help: labels, but where texts are learnt from."""
        if not self.is_open:
            return "Label more rows"
        return "Bring more text" if self.judged == self.main else "Bring more texts with their targets"

    @property
    def class_noun(self) -> str:
        """What one of `n_classes` is called: a class where each row has one, else a label."""
        return "class" if "labels" in (self.splits.get(self.primary) or {}) else "label"

    @cached_property
    def evaluations(self) -> list[Evaluation]:
        """The dev measurements during training, by step; those with a loss that is no number are left out."""
        found = [
            Evaluation(int(e["step"]), float(e["loss"]), (e.get("metrics") or {}).get(self.judged))
            for e in self.events
            if e.get("event") == "evaluate" and e.get("split", "dev") == "dev" and _is_number(e.get("loss"))
        ]
        return sorted(found, key=lambda e: e.step)

    @cached_property
    def training_losses(self) -> list[float]:
        """The training loss of each logged step."""
        return [float(e["loss"]) for e in self._steps if _is_number(e.get("loss"))]

    @property
    def epochs(self) -> float | None:
        """How many passes over the data were made; None where the log does not say."""
        return max((float(e["epoch"]) for e in self._steps if _is_number(e.get("epoch"))), default=None)

    @property
    def planned(self) -> tuple[float, str]:
        """How long training was to be, of all tasks together; see `length`."""
        return (float(self.together.n_updates), "steps") if self.together else self.length

    @property
    def length(self) -> tuple[float, str]:
        """How long training was to be, in "epochs" or "steps"; as long as it was where no plan is known, else 0."""
        number, _, unit = str(self.settings.get("train.length", "")).partition(" ")
        if unit:
            return float(number), unit.removesuffix("s") + "s"
        return self.epochs or 0.0, "epochs"

    @property
    def trained(self) -> float:
        """How long training was, in the unit of the plan."""
        if self.planned[1] == "epochs":
            return self.epochs or 0.0
        return max((float(e["step"]) for e in self._steps), default=0.0)

    @property
    def ended_early(self) -> bool:
        """Whether patience ended training before the planned length; nothing else does in a finished run."""
        return 0 < self.trained < self.planned[0] * (1 - 1e-6)

    @property
    def peak_lr(self) -> float | None:
        """The highest learning rate; None where the log does not say."""
        return max((float(e["lr"]) for e in self._steps if _is_number(e.get("lr"))), default=None)

    @cached_property
    def _steps(self) -> list[Mapping[str, Any]]:
        return [e for e in self.events if e.get("event") == "step"]


def _measured(metrics: Mapping[str, Any] | None, metric: str) -> Measured | None:
    entry = ((metrics or {}).get("values") or {}).get(metric)
    if not metrics or not entry or entry.get("value") is None:
        return None
    return Measured(float(entry["value"]), int(metrics.get("n_rows", 0)), entry.get("low"), entry.get("high"))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
