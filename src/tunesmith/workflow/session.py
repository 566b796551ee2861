"""One stretch of training: from a start or a checkpoint to the end or an interruption; measured, logged, saved."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from tunesmith.engine import checkpoint
from tunesmith.engine.average import WeightAverage
from tunesmith.engine.infer import infer
from tunesmith.engine.loop import Setup, StepReport, train_steps
from tunesmith.engine.mixture import MixedPlan, Mixture
from tunesmith.engine.plan import Plan
from tunesmith.engine.soup import Soup
from tunesmith.engine.spec import amount
from tunesmith.metrics.names import is_open, lower_is_better
from tunesmith.models.adapter import Adapter
from tunesmith.recipe.recipe import Recipe
from tunesmith.run.folder import Run
from tunesmith.workflow.resolve import Encoded

SECONDS_BETWEEN_SAVES = 120.0
"""With `train.save_every: auto`: lost work after a crash costs at most this, plus one evaluation."""


@dataclass(frozen=True, slots=True)
class Best:
    """The best measurement so far; `n_worse` measurements followed without a better one."""

    step: int = 0
    metric: float | None = None
    loss: float = 0.0
    n_worse: int = 0

    def after(self, step: int, metric: float, loss: float, *, sign: int = 1) -> Best:
        """Return what is best after one more measurement; equal metrics are told apart by the loss.

        Args:
            step: the updates done.
            metric: what was measured.
            loss: on the same rows.
            sign: -1 where a lower metric is better.
        """
        if self.metric is None or (sign * metric, -loss) > (sign * self.metric, -self.loss):
            return Best(step, metric, loss)
        return replace(self, n_worse=self.n_worse + 1)


@dataclass(frozen=True)
class Fitted:
    """A trained model.

    Attributes:
        model: with the best weights (the last ones where there are no dev rows), in evaluation mode.
        step: updates done; `planned` were planned; `best_step` is where the weights are from.
        averaged: how many steps' weights the model is the mean of, 0 where it has those of one step.
        stopped: "" when training ran to its end, else why not: "patience" or "interrupted".
        seconds: of training, evaluation included, `before` of them in stretches that were interrupted.
        tokens: real tokens read in `step_seconds` of updates, of the last stretch.
        adapter: what was learnt beside the source's weights, and is merged into them.
    """

    model: Any
    step: int
    planned: int
    best_step: int
    averaged: int
    stopped: str
    seconds: float
    before: float
    tokens: int
    step_seconds: float
    adapter: Adapter | None = None


@dataclass
class Watch:
    """Who is told what happens: functions that take an event (see `log.jsonl`)."""

    listeners: list[Callable[[dict[str, Any]], None]] = field(default_factory=list)

    def tell(self, event: dict[str, Any]) -> None:
        """Pass one event to everybody."""
        for listener in self.listeners:
            listener(event)


class Session:
    """One stretch of training, of one task.

    Attributes:
        best: the best measurement so far.
        step: the updates done.
    """

    def __init__(
        self,
        recipe: Recipe,
        setup: Setup | Mixture,
        plan: Plan | MixedPlan,
        *,
        encoded: Encoded,
        run: Run,
        watch: Watch,
    ) -> None:
        self.recipe, self.setup, self.plan, self.encoded = recipe, setup, plan, encoded
        self.run, self.watch, self.best = run, watch, Best()
        share, decay = float(recipe.train.average), recipe.train.average_decay
        self.average = WeightAverage(self.plain, n_steps=len(plan), share=share, decay=decay)
        self.soup = Soup(run.checkpoints_folder, n=recipe.train.soup)
        self.step = 0
        self.began = self.saved = time.monotonic()
        self.before = 0.0
        self.tokens, self.step_seconds = 0, 0.0

    @property
    def plain(self) -> Any:
        """The model, not wrapped for several processes."""
        return self.setup.device.plain(self.setup.model)

    @property
    def has_dev(self) -> bool:
        """Whether there are rows to measure by."""
        return bool(self.encoded.examples.get("dev"))

    @property
    def n_dev(self) -> int:
        """How many rows there are to measure by."""
        return len(self.encoded.tables["dev"])

    @property
    def metric(self) -> str:
        """What is measured."""
        return str(self.recipe.evaluate.metric)

    @property
    def sign(self) -> int:
        """-1 where a lower metric is better, else 1."""
        return -1 if lower_is_better(self.metric) else 1

    @property
    def seconds(self) -> float:
        """How long training has taken so far, earlier stretches counted."""
        return self.before + time.monotonic() - self.began

    def dev_values(self) -> dict[str, float]:
        """Measure the dev rows: `metric` and "loss", and whatever else."""
        assert isinstance(self.setup, Setup)
        return measure_split(self.setup, self.encoded, "dev")

    def restore(self) -> None:
        """Load the newest checkpoint of the run, if any, and tell where training goes on."""
        path = checkpoint.latest(self.run.checkpoints_folder)
        if path is not None:
            state = checkpoint.load(path, self.plain, self.setup.optimizer)
            self.soup.kept = [tuple(one) for one in state.get("soup", ())]
            self.average.restore(int(state.get("averaged", 0)), checkpoint.load_average(path))
            self.step, self.best = int(state["step"]), Best(**state["best"])
            self.before = float(state.get("seconds", 0.0))
        if self.setup.device.is_main:
            self.truncate_logs()
        begun = {"step": self.step, "steps": len(self.plan), "best_step": self.best.step, "best": self.best.metric}
        self.watch.tell({"event": "start", **begun})

    def truncate_logs(self) -> None:
        """Drop what was logged after the step that training goes on from."""
        self.run.truncate_log(self.step)

    def go(self, asked_to_stop: threading.Event) -> str:
        """Train to the end; return why it ended, "" for the plan's end."""
        if self.over_patience():
            return "patience"
        for report in train_steps(self.setup, self.plan, start=self.step):
            self.step = report.step
            self.average.after(report.step)
            self.log_step(report)
            if self.has_dev and due(self.recipe.evaluate.every, report.step, self.plan):
                self.measure()
            interrupted = self.setup.device.any(asked_to_stop.is_set())
            stop = "interrupted" if interrupted else "patience" if self.over_patience() else ""
            if stop or self.save_is_due():
                self.save()
            if stop:
                return stop if report.step < len(self.plan) else ""
        return ""

    def log_step(self, report: StepReport) -> None:
        """Write the step's line and tell the watchers."""
        self.tokens += report.tokens
        self.step_seconds += report.seconds
        event = {"event": "step", "epoch": self.plan.epoch_of(report.step), **asdict(report)}
        event["rows"] = event.pop("n_items")
        event |= self.named(event.pop("turn"))
        event |= {"terms": report.terms} if event.pop("terms") else {}
        self.emit(event)

    def named(self, turn: int) -> dict[str, Any]:
        """Return what the log says of whose turn a step was: nothing where there is one task."""
        del turn
        return {}

    def emit(self, event: dict[str, Any]) -> None:
        """Log an event and tell the watchers, in the main process."""
        if self.setup.device.is_main:
            self.run.log(event)
            self.watch.tell(event)

    def measure(self) -> None:
        """Measure the dev rows; keep the weights if they are the best so far."""
        values = self.dev_values()
        metric, loss = values[self.metric], values.pop("loss")
        self.best = self.best.after(self.step, metric, loss, sign=self.sign)
        self.emit({"event": "evaluate", "step": self.step, "split": "dev", "loss": loss, "metrics": values})
        is_main = self.setup.device.is_main
        self.soup.after(self.step, self.sign * metric, self.plain, is_main=is_main)
        if self.best.step == self.step and is_main:
            checkpoint.save_best(self.run.checkpoints_folder, self.plain, step=self.step)

    def over_patience(self) -> bool:
        """Whether the dev numbers have not improved for too long."""
        patience = int(self.recipe.evaluate.patience)
        return patience > 0 and self.best.n_worse >= patience

    def save_is_due(self) -> bool:
        """Whether a checkpoint is to be written after this step."""
        every = self.recipe.train.save_every
        if every != "auto":
            return due(every, self.step, self.plan) and self.step < len(self.plan)
        return time.monotonic() - self.saved > SECONDS_BETWEEN_SAVES and self.step < len(self.plan)

    def save(self) -> None:
        """Write a checkpoint to resume from."""
        self.saved = time.monotonic()
        if not self.setup.device.is_main:
            return
        folder = self.run.checkpoints_folder
        state = {"best": asdict(self.best), "averaged": self.average.n, "soup": self.soup.kept}
        state["seconds"] = self.seconds
        checkpoint.save(
            folder, self.plain, self.setup.optimizer, step=self.step, state=state, average=self.average.tensors
        )
        checkpoint.keep_newest(folder, self.recipe.train.keep_checkpoints)

    def finish(self, stopped: str) -> Fitted:
        """Measure the end, go back to the best weights and describe what was done."""
        if self.has_dev and not stopped and self.best.step + self.best.n_worse == 0:
            self.measure()
        self.setup.device.wait()
        is_whole, plain = stopped != "interrupted", self.plain
        averaged = self.put_mean(cut_short=stopped == "patience") if is_whole else 0
        if is_whole and not averaged and self.best.step not in (0, self.step):
            self.setup.device.wait()
            checkpoint.load_best(self.run.checkpoints_folder, plain)
        return Fitted(
            plain.eval(),
            self.step,
            len(self.plan),
            self.step if averaged else self.best.step or self.step,
            averaged,
            stopped,
            self.seconds,
            self.before,
            self.tokens,
            self.step_seconds,
        )

    def put_mean(self, *, cut_short: bool) -> int:
        """Put the mean of several steps' weights into the model, if it is good; return of how many, else 0.

        Where training was cut short, the mean may be of a few late steps, and has to be at least as good as the best.
        """
        if len(self.soup.kept) > 1:
            if self.is_good(self.soup.tried(self.plain), "soup"):
                self.soup.put(self.plain)
                return len(self.soup.kept)
        elif self.average.n and self.is_good(self.average.tried(), "average", strict=cut_short):
            self.average.put()
            return self.average.n
        return 0

    def is_good(self, tried: AbstractContextManager[None], what: str, *, strict: bool = False) -> bool:
        """Whether averaged weights are to be kept: unless dev rows show better ones, beyond chance if not strict."""
        if not self.has_dev:
            return True
        with tried:
            values = self.dev_values()
        loss, best = values.pop("loss"), self.best.metric
        margin = 0.0 if strict or best is None else chance(best, self.n_dev, is_error=is_open(self.metric))
        kept = best is None or self.sign * (values[self.metric] - best) >= -margin
        n = self.average.n if what == "average" else len(self.soup.kept)
        self.emit({"event": what, "step": self.step, "n": n, "loss": loss, "metrics": values, "kept": kept})
        return kept


def chance(value: float, n_rows: int, *, is_error: bool) -> float:
    """Return the standard error of a metric measured on some rows: a share's, or about that of a typical error.

    The root mean square of n normal errors has a standard error of its 1 / sqrt(2 n).
    """
    if is_error:
        return abs(value) / math.sqrt(2 * n_rows)
    return math.sqrt(max(0.0, value * (1 - value)) / n_rows)


def measure_split(setup: Setup, encoded: Encoded, split: str) -> dict[str, float]:
    """Return the task's quick metrics of one split; processes share the work."""
    examples, table = encoded.examples[split], encoded.tables[split]
    device = setup.device
    mine = list(range(device.rank, len(examples), device.world))
    plain = device.plain(setup.model)
    found = infer(plain, [examples[i] for i in mine], task=setup.task, pad_id=setup.pad_id, run=setup.task.dev_run)
    by_index = dict(device.gather(list(zip(mine, found, strict=True))))
    outputs = [by_index[i] for i in range(len(examples))]
    return setup.task.dev_metrics(examples, outputs, table)


def due(every: str, step: int, plan: Plan | MixedPlan) -> bool:
    """Whether something that happens "every 200 steps" or "every 0.5 epochs" happens after `step`, or at the end."""
    if step == len(plan):
        return True
    number, unit = amount(every)
    if unit == "steps":
        return step % int(number) == 0
    return int(plan.epoch_of(step) / number + 1e-9) > int(plan.epoch_of(step - 1) / number + 1e-9)
