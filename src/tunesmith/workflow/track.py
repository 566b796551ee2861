"""Connect the trackers a recipe asks for to the events of a training."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from tunesmith.core.hardware import is_main_process
from tunesmith.core.notes import Note
from tunesmith.recipe.recipe import Recipe
from tunesmith.run.folder import Run
from tunesmith.run.trackers import Ending, Hook, make_tracker
from tunesmith.workflow.session import Watch


@contextmanager
def tracking(run: Run, recipe: Recipe, watch: Watch) -> Iterator[Watch]:
    """Yield a watch that also tells TensorBoard and the trackers named in `recipe.track`; closes them at the end."""
    names = dict.fromkeys(("tensorboard", *recipe.track)) if is_main_process() else {}
    trackers = Trackers(run, list(names), watch)
    ending: Ending = "failed"
    try:
        yield Watch([trackers.tell, *watch.listeners])  # first, so that a tracker can ask for a login before the bar
        ending = "done" if run.status == "done" else "stopped"
    except KeyboardInterrupt:
        ending = "stopped"
        raise
    finally:
        trackers.end(ending)


class Trackers:
    """Passes events on to hooks; what goes wrong in one is said once and does not stop the training."""

    def __init__(self, run: Run, names: Sequence[str], watch: Watch) -> None:
        self._run, self._names, self._watch = run, names, watch
        self._hooks: dict[str, Hook] = {}
        self._warned: set[str] = set()

    def tell(self, event: dict[str, Any]) -> None:
        """Pass one event on; trackers start with the training."""
        if event["event"] == "start":
            for name in self._names:
                self._start(name, step=event["step"])
        elif event["event"] in ("step", "evaluate"):
            for name, hook in self._hooks.items():
                with self._safely(name):
                    (hook.on_step if event["event"] == "step" else hook.on_evaluate)(self._run, event)

    def end(self, ending: Ending) -> None:
        """Tell the hooks that started how training ended."""
        for name, hook in self._hooks.items():
            with self._safely(name):
                hook.on_end(self._run, ending=ending)

    def _start(self, name: str, *, step: int) -> None:
        with self._safely(name):
            hook = make_tracker(name, self._run)
            try:
                page = hook.on_start(self._run, step=step)
            except Exception:
                with suppress(Exception):
                    hook.on_end(self._run, ending="failed")
                raise
            self._hooks[name] = hook
            if page:
                self._watch.tell({"event": "note", "note": Note("info", "tracker", f"{name} shows this run at {page}")})

    @contextmanager
    def _safely(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if name not in self._warned:
                self._warned.add(name)
                self._warn(name, error)

    def _warn(self, name: str, error: Exception) -> None:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        reason = re.sub(r"//[^/@\s]+@", "//", reason)[:200]  # a server's address can hold a password
        note = Note("warning", "tracker", f"{name} could not be told of this run, training goes on: {reason}")
        with suppress(OSError):
            self._run.save_notes([*(old for old in self._run.notes if old != note), note])
        self._watch.tell({"event": "note", "note": note})
