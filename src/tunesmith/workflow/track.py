"""Connect the trackers a recipe asks for to the events of a training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tunesmith.core.hardware import is_main_process
from tunesmith.recipe.recipe import Recipe
from tunesmith.run.folder import Run
from tunesmith.run.trackers import make_trackers
from tunesmith.workflow.fit import Watch


@contextmanager
def tracking(run: Run, recipe: Recipe, watch: Watch) -> Iterator[Watch]:
    """Yield a watch that also tells TensorBoard and the trackers named in `recipe.track`; closes them at the end."""
    hooks = make_trackers(recipe.track, run=run) if is_main_process() else []

    def listen(event: dict[str, Any]) -> None:
        for hook in hooks:
            if event["event"] == "start":
                hook.on_start(run, step=event["step"])
            elif event["event"] == "step":
                hook.on_step(run, event)
            elif event["event"] == "evaluate":
                hook.on_evaluate(run, event)

    try:
        yield Watch([*watch.listeners, listen])
    finally:
        for hook in hooks:
            hook.on_end(run)
