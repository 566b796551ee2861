"""Training itself: examples in, weights out, everything on the way logged and resumable."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from tunesmith.core.allocator import memory_kept
from tunesmith.core.hardware import is_main_process
from tunesmith.engine.loop import Setup
from tunesmith.models.adapt import merge
from tunesmith.models.adapter import take
from tunesmith.models.source import find
from tunesmith.models.vocabulary import make_plain
from tunesmith.run.folder import Run
from tunesmith.workflow.order import make_plan
from tunesmith.workflow.resolve import Resolved
from tunesmith.workflow.session import Fitted, Session, Watch

STOPPING = b"\nstopping after this step, then saving; press Ctrl-C again to stop without saving\n"


def fit(resolved: Resolved, setup: Setup, *, run: Run, watch: Watch) -> Fitted:
    """Train, from the newest checkpoint of `run` where there is one.

    Raises:
        RunError: training broke; the run can be resumed.
    """
    plan = make_plan(resolved.recipe, setup.examples, world=setup.device.world)
    fitted = go(Session(resolved.recipe, setup, plan, encoded=resolved.encoded, run=run, watch=watch))
    return merged(fitted, resolved, is_main=setup.device.is_main)


def go(session: Session) -> Fitted:
    """Train from where a session's run was left to the end or an interruption."""
    session.restore()
    with interruptible() as asked_to_stop, memory_kept():
        stopped = session.go(asked_to_stop)
    return session.finish(stopped)


def merged(fitted: Fitted, resolved: Resolved, *, is_main: bool) -> Fitted:
    """Return a trained model as a plain one, and in the main process what peft's layers have learnt."""
    model, spec = fitted.model, resolved.recipe.model
    adapter = None
    if is_main and fitted.stopped != "interrupted" and hasattr(model, "peft_config"):
        adapter = take(model, find(spec), spec, auto_class=resolved.task.auto_class)
    merge(model)
    make_plain(model)
    return replace(fitted, adapter=adapter)


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """Turn Ctrl-C and SIGTERM into a wish to stop after the current step; a second Ctrl-C interrupts at once.

    The wish is acknowledged on standard error past Python's buffers, which may be in use when a signal comes.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def note(number: int, _frame: object) -> None:
        if asked.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not asked.is_set() and is_main_process():
            with suppress(OSError):
                os.write(2, STOPPING)
        asked.set()

    before: Mapping[int, Any] = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
