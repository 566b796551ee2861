"""The live display of a training: a bar with time left on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from tunesmith.cli.show import duration, notes

SECONDS_BEFORE_BAR = 2.0
SECONDS_BETWEEN_LINES = 10.0
PHASES = {
    "reading": "reading the data",
    "measuring": "measuring",
    "baselines": "measuring the baselines",
    "saving": "saving, and loading again in a fresh process to check",
}


class MakingDisplay:
    """A listener that shows how far the making of rows is, once that takes a while."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._began = self._said = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __call__(self, event: dict[str, Any]) -> None:
        """Show one event."""
        now = time.monotonic()
        what, done, of, state = event["what"], event["done"], event["of"], event["state"]
        self._began = self._began or now
        if self._out.is_terminal and not self._bar and now - self._began > SECONDS_BEFORE_BAR:
            self._bar = Progress(
                TextColumn(what), BarColumn(), TextColumn("{task.completed:,}/{task.total:,}"),
                TextColumn("{task.fields[state]}"), console=self._out,
            )  # fmt: skip
            self._task = self._bar.add_task(what, total=of, state=state)
            self._bar.start()
        if self._bar:
            self._bar.update(self._task, completed=done, state=state)
        elif now - max(self._began, self._said) > SECONDS_BETWEEN_LINES:
            self._said = now
            self._out.print(f"{what}: {done:,}/{of:,}  {state}")
        if done == of:
            self.close()

    def close(self) -> None:
        """Take the bar off the screen."""
        if self._bar:
            self._bar.stop()
            self._bar = None


class TrainingDisplay:
    """A listener that shows the events of a training."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self._on_augment = MakingDisplay(out)
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._steps = 0
        self._first = 0
        self._best = ""
        self._began = self._said = time.monotonic()

    def __call__(self, event: dict[str, Any]) -> None:
        """Show one event."""
        show = getattr(self, f"_on_{event['event']}", None)
        if show:
            show(event)

    def _on_start(self, event: dict[str, Any]) -> None:
        self._steps, self._first, self._began = event["steps"], event["step"], time.monotonic()
        if event["step"]:
            self._out.print(f"going on after step {event['step']:,} of {event['steps']:,}")
        if not self._out.is_terminal:
            return
        self._bar = Progress(
            TextColumn("training"), BarColumn(), TextColumn("{task.completed:,}/{task.total:,}"), TimeRemainingColumn(),
            TextColumn("{task.fields[state]}"), console=self._out,
        )  # fmt: skip
        self._task = self._bar.add_task("training", total=event["steps"], completed=event["step"], state="")
        self._bar.start()

    def _on_step(self, event: dict[str, Any]) -> None:
        rate = event["tokens"] / max(event["seconds"], 1e-9)
        state = f"loss {event['loss']:.3f}  lr {event['lr']:.1e}  {rate:,.0f} tokens/s{self._best}"
        if self._bar:
            self._bar.update(self._task, completed=event["step"], state=state)
        elif time.monotonic() - self._said > SECONDS_BETWEEN_LINES:
            self._said = time.monotonic()
            done = event["step"] - self._first
            left = (self._said - self._began) / done * (self._steps - event["step"])
            self._out.print(f"step {event['step']:,}/{self._steps:,}  {state}  {duration(left)} left")
        if event["step"] == self._steps:
            self.close()

    def _on_evaluate(self, event: dict[str, Any]) -> None:
        name, value = next(
            iter((k, v) for k, v in event["metrics"].items() if k != "accuracy"), ("loss", event["loss"])
        )
        self._best = f"  dev {name} {value:.3f}"
        self._out.print(f"step {event['step']:,}  dev loss {event['loss']:.3f}{self._best}")

    def _on_note(self, event: dict[str, Any]) -> None:
        notes(self._out, [event["note"]])

    def _on_phase(self, event: dict[str, Any]) -> None:
        self.close()
        self._out.print(f"[dim]{PHASES.get(event['name'], event['name'])} …[/dim]")

    def close(self) -> None:
        """Take the bars off the screen."""
        self._on_augment.close()
        if self._bar:
            self._bar.stop()
            self._bar = None
