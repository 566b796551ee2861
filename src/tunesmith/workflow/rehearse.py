"""`train --dry-run`: everything once, small: resolve, check, some updates forward and backward, save and reload."""

from __future__ import annotations

import itertools
import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tunesmith.core import hardware
from tunesmith.core.allocator import memory_kept
from tunesmith.engine import checkpoint
from tunesmith.engine.average import WeightAverage
from tunesmith.engine.infer import TOKENS_PER_BATCH, infer
from tunesmith.engine.loop import Setup, StepReport, train_steps
from tunesmith.engine.plan import Plan, pack_all
from tunesmith.recipe.recipe import Recipe
from tunesmith.tasks.parts import Example
from tunesmith.workflow.assess import TRAIN_SAMPLE
from tunesmith.workflow.build import make_setup
from tunesmith.workflow.order import make_plan
from tunesmith.workflow.resolve import Resolved
from tunesmith.workflow.session import SECONDS_BETWEEN_SAVES, due

TIMED_STEPS = 5
"""Updates that are timed, after two that warm up: the first, and the one that needs most memory."""
TIMED_ROWS = 64
"""Rows whose reading is timed."""
MOST_STEPS = 32
"""Updates that are made on a CPU, after those two; no more than `TIMED_STEPS` once they have taken `MOST_SECONDS`."""
MOST_SECONDS = 30.0
STEPS_LOOKED_AT = 5000
"""Steps of the plan in which new shapes of batches are looked for."""
BROKEN_UP = 1.08
"""On a CPU, peak memory of a whole training over that of the rehearsal: the longer, the more freed memory is broken up
(1.00 to 1.07 were measured)."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the whole training will take, from a few updates of it.

    Attributes:
        steps: planned updates.
        seconds: of training and of measuring during and after it; give or take a third.
        memory_bytes: peak of this process with model, gradients, optimizer, batches of many shapes and a checkpoint,
            and what a whole training adds to it.
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
    setup = make_setup(resolved)
    plan = make_plan(recipe, setup.examples, world=setup.device.world)
    with tempfile.TemporaryDirectory() as folder:
        with memory_kept():
            average = _average(recipe, setup)
            reports = _some_steps(setup, plan)
            saved = _save(setup, average, Path(folder))
            trained = hardware.peak_memory_bytes()
            per_token_read = _seconds_per_token_read(resolved, setup)
            # Without dev rows nothing is read before the memory of training is given back.
            memory = hardware.peak_memory_bytes() if examples.get("dev") else trained
        sizes = _sizes(resolved, setup, saved)
    seconds = _seconds_learning(resolved, plan, reports) + per_token_read * _tokens_read(resolved, plan)
    return Estimate(
        len(plan),
        seconds,
        round(memory * (BROKEN_UP if _on_cpu(setup) else 1.0)),
        _disk_bytes(resolved, *sizes, n_saves=_n_saves(recipe, plan, seconds=seconds)),
        hardware.free_disk_bytes(out.absolute()),
        reports[0].loss,
    )


def _average(recipe: Recipe, setup: Setup) -> WeightAverage:
    """Take the weights' average, which training holds beside each step of its last part, where there will be one."""
    average = WeightAverage(setup.device.plain(setup.model), n_steps=1, share=math.ceil(float(recipe.train.average)))
    average.after(1)
    return average


def _some_steps(setup: Setup, plan: Plan) -> list[StepReport]:
    """Run the first step, the one of the first epoch with the largest batch, and some more.

    On a CPU oneDNN makes code for every shape of batch and keeps the latest, and blocks of new sizes break up memory
    around it: there steps with new shapes follow, each of which may take some that stays.
    """
    first_epoch = range(min(len(plan), len(plan.epoch(0))))
    largest = max(first_epoch, key=lambda step: _padded_tokens(setup, plan, step))
    reports = [next(train_steps(setup, plan, start=step)) for step in (0, largest)]
    for step in itertools.islice(_telling_steps(setup, plan), MOST_STEPS if _on_cpu(setup) else TIMED_STEPS):
        if len(reports) >= 2 + TIMED_STEPS and sum(r.seconds for r in reports) > MOST_SECONDS:
            break
        reports.append(next(train_steps(setup, plan, start=step)))
    return reports


def _telling_steps(setup: Setup, plan: Plan) -> Iterator[int]:
    """Yield the first `TIMED_STEPS` steps after step 0, then those that have a batch of a new shape."""
    seen: set[tuple[int, int]] = set()
    for step in range(1, min(len(plan), STEPS_LOOKED_AT)):
        batches = plan[step][setup.device.rank].batches
        shapes = {(len(batch), int(plan.lengths[batch].max())) for batch in batches}
        if step <= TIMED_STEPS or not shapes <= seen:
            yield step
        seen |= shapes


def _seconds_learning(resolved: Resolved, plan: Plan, reports: Sequence[StepReport]) -> float:
    timed = reports[2:] or reports
    per_token = sum(r.seconds for r in timed) / sum(r.tokens for r in timed)
    return per_token * _tokens(resolved.encoded.examples["train"]) * plan.epoch_of(len(plan))


def _on_cpu(setup: Setup) -> bool:
    return setup.device.torch_device.type == "cpu"


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
    """Time some dev rows, else training rows, without gradients; few are padded more than many, so padding counts."""
    examples = resolved.encoded.examples.get("dev") or setup.examples
    some = [examples[i] for i in np.random.default_rng(0).permutation(len(examples))[:TIMED_ROWS]]
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


def _save(setup: Setup, average: WeightAverage, folder: Path) -> Path:
    """Write a checkpoint."""
    plain = setup.device.plain(setup.model)
    return checkpoint.save(folder, plain, setup.optimizer, step=1, state={}, average=average.tensors)


def _sizes(resolved: Resolved, setup: Setup, saved: Path) -> tuple[int, int, int]:
    """Load a checkpoint again; return the bytes of it, of its weights alone, and of the model folder."""
    checkpoint.load(saved, setup.device.plain(setup.model), setup.optimizer)
    weights = (saved / "model.safetensors").stat().st_size
    resolved.tokenizer.plain.save_pretrained(saved.parent / "tokenizer")
    return _size(saved), weights, weights + _size(saved.parent / "tokenizer")


def _disk_bytes(resolved: Resolved, one: int, weights: int, model: int, *, n_saves: int) -> int:
    """Return what checkpoints, best weights and model will need at the worst moment.

    That is when a new checkpoint is complete and the oldest one still there, or at the end.
    """
    keep = resolved.recipe.train.keep_checkpoints
    best = weights if resolved.encoded.examples.get("dev") else 0
    return best + max(min(n_saves, keep + 1) * one, min(n_saves, keep) * one + model)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())
