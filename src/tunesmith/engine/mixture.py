"""Several tasks in one training over one backbone: each update learns from one of them (Liu et al. 2019, MT-DNN).

Whose turn it is, is drawn before training from the seed, so a run can go on at any step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import nn

from tunesmith.core.errors import RecipeError, Where
from tunesmith.core.seed import derive
from tunesmith.engine.device import Device
from tunesmith.engine.loop import Setup
from tunesmith.engine.mix_spec import MixSpec
from tunesmith.engine.plan import Plan, Share
from tunesmith.engine.weighing import Weighing

GOLDEN = (5**0.5 - 1) / 2
"""Its multiples, without their whole parts, fill 0 to 1 more evenly than those of any other number."""
ANNEALED_BY = 0.8
"""How far the exponent of the numbers of rows falls from 1 (Stickland and Murray 2019)."""


@dataclass(frozen=True, eq=False)
class MixedPlan:
    """The steps of all tasks, in the order of their turns; read like a `Plan`.

    Attributes:
        plans: one a task, as long as the task has turns.
        turns: whose turn each step is: the number of a task.
        seed: changes the order and the noise.
    """

    plans: Sequence[Plan]
    turns: np.ndarray
    seed: int
    _own: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        own = np.zeros(len(self.turns), dtype=np.int64)
        for k in range(len(self.plans)):
            mine = self.turns == k
            own[mine] = np.arange(mine.sum())
        object.__setattr__(self, "_own", own)

    def __len__(self) -> int:
        return len(self.turns)

    def __getitem__(self, step: int) -> tuple[Share, ...]:
        """Return one `Share` per process for step `step` (from 0), of the task whose turn it is."""
        return self.plans[self.turn(step)][int(self._own[step])]

    def turn(self, step: int) -> int:
        """Return whose turn a step is."""
        return int(self.turns[step])

    def epochs(self, turn: int) -> float:
        """Return how many passes over its data a task makes."""
        return self.plans[turn].epochs(0)

    def epoch_of(self, step: int) -> float:
        """Return how many passes over the first task's data are complete after `step` steps."""
        return self.plans[0].epoch_of(int((self.turns[:step] == 0).sum()))


def mix(plans: Sequence[Plan], rows: Sequence[int], spec: MixSpec, *, names: Sequence[str], seed: int) -> MixedPlan:
    """Return the steps of several trainings as one.

    Args:
        plans: what each task would do alone.
        rows: training rows of each task.
        spec: how they are mixed.
        names: of the tasks, for errors.
        seed: of the order.

    Raises:
        RecipeError: a task would have no turn at all.
    """
    turns = _turns([len(plan) for plan in plans], np.asarray(rows, dtype=float), spec, seed=seed)
    counts = np.bincount(turns, minlength=len(plans))
    if not counts.all():
        where = Where(column="multitask.mixing", value=spec.mixing)
        message = f'of {len(turns):,} updates "{names[int(counts.argmin())]}" would have none'
        raise RecipeError(message, where=where, fix="--set multitask.mixing=uniform")
    return MixedPlan([replace(p, length=f"{n} steps") for p, n in zip(plans, counts, strict=True)], turns, seed)


def _turns(steps: Sequence[int], rows: np.ndarray, spec: MixSpec, *, seed: int) -> np.ndarray:
    rng = np.random.default_rng(derive(seed, "turns"))
    n = sum(steps)
    if spec.mixing == "planned":
        return rng.permutation(np.repeat(np.arange(len(steps)), steps))
    progress = np.arange(n) / max(1, n - 1)
    exponents = {
        "proportional": np.ones(n),
        "temperature": np.full(n, 1 / spec.temperature),
        "uniform": np.zeros(n),
        "annealed": 1 - ANNEALED_BY * progress,
    }
    shares = rows ** exponents[spec.mixing][:, None]
    reached = np.cumsum(shares / shares.sum(axis=1, keepdims=True), axis=1)
    # Spread evenly, not drawn: any stretch of steps has the shares it should have.
    spread = (rng.random() + GOLDEN * np.arange(n)) % 1
    found: np.ndarray = (spread[:, None] >= reached[:, :-1]).sum(axis=1)
    return found


class Members(nn.Module):
    """The models of several tasks, which have most weights in common, and what weighs their losses."""

    def __init__(self, models: Sequence[nn.Module], weighing: Weighing) -> None:
        super().__init__()
        self.tasks = nn.ModuleList(models)
        self.weighing = weighing


@dataclass(frozen=True)
class Mixture:
    """What a training of several tasks needs besides the plan; read like a `Setup`.

    Attributes:
        names: of the tasks.
        setups: one a task; device and optimizer are the same in all.
        model: all models, plain.
        weighing: what each task's loss is multiplied by.
    """

    names: Sequence[str]
    setups: Sequence[Setup]
    model: Members
    weighing: Weighing

    @property
    def device(self) -> Device:
        """Where all compute."""
        return self.setups[0].device

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """What updates the weights of all."""
        return self.setups[0].optimizer

    def member(self, turn: int) -> Setup:
        """Return the setup of the task whose turn it is."""
        return self.setups[turn]
