"""`train --dry-run`: everything once, small: resolve, check, some updates forward and backward, save and reload."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tunesmith.core import hardware
from tunesmith.core.allocator import memory_kept
from tunesmith.engine import checkpoint
from tunesmith.engine.infer import TOKENS_PER_BATCH, infer
from tunesmith.engine.loop import Setup, StepReport, train_steps
from tunesmith.engine.plan import Plan, pack_all
from tunesmith.recipe.recipe import Recipe
from tunesmith.tasks.base import Example
from tunesmith.workflow.assess import TRAIN_SAMPLE
from tunesmith.workflow.fit import SECONDS_BETWEEN_SAVES, due, make_plan, make_setup
from tunesmith.workflow.train import Resolved

TIMED_STEPS = 5
"""Updates that are timed, after two that warm up: the first, and the one that needs most memory."""
TIMED_ROWS = 64
"""Rows whose reading is timed."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the whole training will take, from a few updates of it.

    Attributes:
        steps: planned updates.
        seconds: of training and of measuring during and after it; give or take a third.
        memory_bytes: peak of this process so far, which holds model, gradients, optimizer and the largest batch.
        disk_bytes: of checkpoints and model when they need most; logs and reports are small beside them.
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
    recipe, examples = resolved.recipe, resolved.encoded.examples
    setup = make_setup(recipe, resolved.task, examples=examples["train"], tokenizer=resolved.tokenizer)
    plan = make_plan(recipe, setup.examples, world=setup.device.world)
    with memory_kept():
        reports = _some_steps(setup, plan)
    timed = reports[2:] or reports
    per_token = sum(r.seconds for r in timed) / sum(r.tokens for r in timed)
    learning = per_token * _tokens(examples["train"]) * plan.epoch_of(len(plan))
    reading = _seconds_per_token_read(resolved, setup) * _tokens_read(resolved, plan)
    memory = hardware.peak_memory_bytes()
    return Estimate(
        len(plan),
        learning + reading,
        memory,
        _disk_bytes(resolved, setup, n_saves=_n_saves(recipe, plan, seconds=learning + reading)),
        hardware.free_disk_bytes(out.absolute()),
        reports[0].loss,
    )


def _some_steps(setup: Setup, plan: Plan) -> list[StepReport]:
    """Run the first step, the one of the first epoch with the largest batch, and some ordinary ones."""
    first_epoch = range(min(len(plan), len(plan.epoch(0))))
    largest = max(first_epoch, key=lambda step: _padded_tokens(setup, plan, step))
    steps = [0, largest, *range(1, min(TIMED_STEPS + 1, len(plan)))]
    return [next(train_steps(setup, plan, start=step)) for step in steps]


def _padded_tokens(setup: Setup, plan: Plan, step: int) -> int:
    """Return the size of a step's largest batch in this process, padding counted."""
    batches = plan[step][setup.device.rank].batches
    return max(len(batch) * int(plan.lengths[batch].max()) for batch in batches)


def _tokens(examples: Sequence[Example]) -> int:
    return sum(example.n_tokens for example in examples)


def _tokens_read(resolved: Resolved, plan: Plan) -> float:
    """Return how many tokens are measured: dev rows on the way; dev, test and some training rows at the end."""
    examples, tables = resolved.encoded.examples, resolved.encoded.tables
    n_times = sum(due(resolved.recipe.evaluate.every, step, plan) for step in range(1, len(plan) + 1))
    share = min(1.0, TRAIN_SAMPLE / len(tables["train"]))
    dev, test = (_tokens(examples.get(split, [])) for split in ("dev", "test"))
    return (n_times + 1) * dev + test + share * _tokens(examples["train"])


def _seconds_per_token_read(resolved: Resolved, setup: Setup) -> float:
    """Time some training rows without gradients; few rows are padded more than many are, so padding is counted."""
    rows = np.random.default_rng(0).permutation(len(setup.examples))[:TIMED_ROWS]
    some = [setup.examples[i] for i in rows]
    began = time.perf_counter()
    infer(setup.model, some, task=resolved.task, pad_id=resolved.tokenizer.pad_id, run=resolved.task.dev_run)
    seconds = time.perf_counter() - began
    lengths = [example.n_tokens for example in some]
    batches = pack_all(lengths, tokens=TOKENS_PER_BATCH)
    n_tokens: int = sum(len(batch) * max(lengths[int(i)] for i in batch) for batch in batches)
    return seconds / n_tokens


def _n_saves(recipe: Recipe, plan: Plan, *, seconds: float) -> int:
    """Return how many checkpoints will be written; rather one too many, since the time is only estimated."""
    every = recipe.train.save_every
    if every == "auto":
        return int(1.33 * seconds / SECONDS_BETWEEN_SAVES)
    return sum(due(every, step, plan) for step in range(1, len(plan)))


def _disk_bytes(resolved: Resolved, setup: Setup, *, n_saves: int) -> int:
    """Save and load a checkpoint; return what checkpoints, best weights and model will need at the worst moment.

    That is when a new checkpoint is complete and the oldest one still there, or at the end.
    """
    plain = setup.device.plain(setup.model)
    with tempfile.TemporaryDirectory() as folder:
        saved = checkpoint.save(Path(folder), plain, setup.optimizer, step=1, state={})
        checkpoint.load(saved, plain, setup.optimizer)
        one, weights = _size(saved), (saved / "model.safetensors").stat().st_size
        resolved.tokenizer.plain.save_pretrained(Path(folder) / "tokenizer")
        model = weights + _size(Path(folder) / "tokenizer")
    keep = resolved.recipe.train.keep_checkpoints
    best = weights if resolved.encoded.examples.get("dev") else 0
    return best + max(min(n_saves, keep + 1) * one, min(n_saves, keep) * one + model)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())
