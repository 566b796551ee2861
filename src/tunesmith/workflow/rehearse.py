"""`train --dry-run`: everything once, small: resolve, check, one batch through forward, backward, save and reload."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tunesmith.core import hardware
from tunesmith.engine import checkpoint
from tunesmith.engine.infer import infer
from tunesmith.engine.loop import train_steps
from tunesmith.workflow.fit import make_plan, make_setup
from tunesmith.workflow.train import Resolved

STEPS = 3
"""Updates that are timed; the first is left out, it warms up."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the whole training will take, from a few updates of it.

    Attributes:
        steps: planned updates.
        seconds: of training, measuring the dev rows included; give or take a third.
        memory_bytes: peak of this process so far, which holds model, gradients and optimizer.
        disk_bytes: of the run folder at its largest.
        free_disk_bytes: where it will be written.
        loss: of the first step.
    """

    steps: int
    seconds: float
    memory_bytes: int
    disk_bytes: int
    free_disk_bytes: int
    loss: float


def rehearse(resolved: Resolved, *, out: Path) -> Estimate:
    """Run a few updates in a temporary place; nothing stays behind.

    Raises:
        RunError: training would break.
    """
    examples = resolved.encoded.examples
    setup = make_setup(resolved.recipe, resolved.task, examples=examples["train"], tokenizer=resolved.tokenizer)
    plan = make_plan(resolved.recipe, setup.examples, world=setup.device.world)
    reports = []
    for report in train_steps(setup, plan):
        reports.append(report)
        if len(reports) == STEPS:
            break
    timed = reports[1:] or reports
    per_token = sum(r.seconds for r in timed) / sum(r.tokens for r in timed)
    epochs = plan.epoch_of(len(plan))
    tokens = sum(len(e.ids) for e in examples["train"]) * epochs
    seconds = per_token * tokens + _dev_seconds(resolved, setup) * epochs
    with tempfile.TemporaryDirectory() as folder:
        saved = checkpoint.save(Path(folder), setup.device.plain(setup.model), setup.optimizer, step=1, state={})
        checkpoint.load(saved, setup.device.plain(setup.model), setup.optimizer)
        one = sum(f.stat().st_size for f in saved.iterdir())
    disk = one * (resolved.recipe.train.keep_checkpoints + 2)
    return Estimate(
        len(plan),
        seconds,
        hardware.peak_memory_bytes(),
        disk,
        hardware.free_disk_bytes(out.absolute()),
        reports[0].loss,
    )


def _dev_seconds(resolved: Resolved, setup: object) -> float:
    """Time some dev rows and scale up."""
    dev = resolved.encoded.examples.get("dev", [])
    if not dev:
        return 0.0
    some = [dev[i] for i in np.random.default_rng(0).permutation(len(dev))[:32]]
    began = time.perf_counter()
    infer(setup.model, some, task=resolved.task, pad_id=resolved.tokenizer.pad_id)  # type: ignore[attr-defined]
    return (time.perf_counter() - began) * len(dev) / len(some)
