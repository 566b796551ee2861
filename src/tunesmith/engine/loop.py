"""The training loop: a generator that yields after every update, so that its caller logs, saves, measures, stops.

Every loss is a sum over items. The loop divides once, by the items of the whole step over all processes, so neither
accumulation nor uneven batches can bias the gradient. Noise is reseeded from (seed, step, rank) before each step:
a checkpoint is model + optimizer + step, and nothing else.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from tunesmith.core.errors import RunError
from tunesmith.core.seed import derive, seed_all
from tunesmith.engine.anchor import Anchor
from tunesmith.engine.batch import collate, to_device
from tunesmith.engine.device import Device
from tunesmith.engine.freeze import Thaw
from tunesmith.engine.optim import set_lr
from tunesmith.engine.passes import Learner
from tunesmith.engine.plan import Plan, Share
from tunesmith.engine.schedule import lr_factor
from tunesmith.engine.spec import TrainSpec
from tunesmith.engine.twins import Twins
from tunesmith.engine.weighing import Weighing
from tunesmith.objectives.base import Objective
from tunesmith.tasks.base import Task
from tunesmith.tasks.parts import Batch, Example

if TYPE_CHECKING:
    from tunesmith.engine.mixture import MixedPlan, Mixture


@dataclass(frozen=True, slots=True)
class Setup:
    """All that a training step needs besides the plan.

    Attributes:
        model: prepared for the device (maybe wrapped); `device.plain(model)` is the plain one.
        optimizer: prepared for the device.
        pad_id: the token id that fills short rows.
        objectives: what shapes the loss beside the task.
        anchor: where the weights started, if that is to hold them.
        thaw: which weights learn from when on.
        schedule: progress (0 to 1) to what the peak rate is multiplied by; None for that of the settings.
        twins: unlabeled texts, where an objective learns from them.
        shared: the weights that other tasks learn in the same training.
        may_skip: a pass may leave layers out, whose weights then get no gradient.
    """

    task: Task
    spec: TrainSpec
    device: Device
    model: nn.Module
    optimizer: torch.optim.Optimizer
    examples: Sequence[Example]
    pad_id: int
    objectives: Sequence[Objective] = ()
    anchor: Anchor | None = None
    thaw: Thaw | None = None
    schedule: Callable[[float], float] | None = None
    twins: Twins | None = None
    shared: Sequence[nn.Parameter] = ()
    may_skip: bool = False

    @property
    def exchanges_late(self) -> bool:
        """Whether processes exchange gradients at a step's end: passes go backward one by one, or some weights rest."""
        return bool(self.objectives or self.shared or self.may_skip) or bool(self.thaw and self.thaw.is_on)

    @property
    def weighing(self) -> Weighing | None:
        """What weighs the losses of several tasks: nothing (see `Mixture`)."""
        return None

    def member(self, turn: int) -> Setup:
        """Return the setup of the task whose turn it is: the only one (see `Mixture`)."""
        del turn
        return self


@dataclass(frozen=True, slots=True)
class StepReport:
    """What one update did.

    Attributes:
        step: updates done, so 1 after the first.
        loss: the task's mean loss per item, over all processes.
        terms: likewise those of the objectives, by name.
        lr: rate of the top layer in this step.
        grad_norm: before clipping.
        tokens: real tokens read, padding not counted, over all processes.
        n_items: items learned from, over all processes.
        seconds: wall time of the step.
        turn: which of several tasks it learnt from.
    """

    step: int
    loss: float
    terms: Mapping[str, float]
    lr: float
    grad_norm: float
    tokens: int
    n_items: float
    seconds: float
    turn: int = 0


def train_steps(setup: Setup | Mixture, plan: Plan | MixedPlan, *, start: int = 0) -> Iterator[StepReport]:
    """Run updates `start` .. `len(plan)`, yielding after each.

    Raises:
        RunError: loss or gradient is not a finite number, or memory ran out. The weights are those of the last
            complete step.
    """
    learners: dict[int, Learner] = {}
    for step in range(start, len(plan)):
        setup.model.train()
        turn = plan.turn(step)
        mine = setup.member(turn)
        if turn not in learners:
            learners[turn] = Learner(mine.task, mine.objectives, mine.model, device=mine.device)
        yield _update(mine, learners[turn], plan, step, turn=turn, weighing=setup.weighing)


def _update(
    setup: Setup, learner: Learner, plan: Plan | MixedPlan, step: int, *, turn: int, weighing: Weighing | None
) -> StepReport:
    """Do one update of the task whose turn it is."""
    began = time.perf_counter()
    seed_all(plan.seed, "noise", step, setup.device.rank)
    # The rate of a step is that of its middle: the first step of a warm-up learns, the last one of a decay too.
    progress = (step + 0.5) / len(plan)
    factor = setup.schedule(progress) if setup.schedule else lr_factor(setup.spec, progress)
    set_lr(setup.optimizer, factor)
    shares = plan[step]
    examples = drawn(setup, shares, seed=plan.seed, step=step)
    n_items = _items(examples, shares)
    if setup.thaw:
        setup.thaw.before(step, plan)
    scale = setup.device.world / n_items * (weighing.weight(turn) if weighing else 1.0)
    compares = any(one.compares for one in setup.objectives)
    with memory_errors(int(setup.spec.tokens_per_batch), compares=compares):
        with setup.anchor.mixed(seed=plan.seed, step=step) if setup.anchor else nullcontext():
            seed = derive(plan.seed, "twins", step)
            sums = _accumulate(setup, learner, examples, shares[setup.device.rank], scale=scale, seed=seed)
        terms = {name: float(setup.device.add_up(sums[name])) / n_items for name in sorted(sums)}
        if weighing:
            learnt = sum(terms.values()) - (1 - learner.part) * terms["loss"]
            weighing.learn(turn, learnt, setup.shared)
        norm = float(setup.device.clip(setup.model, setup.spec.clip_norm))
    _refuse_nan(sum(terms.values()), norm, step + 1)
    setup.optimizer.step()
    if weighing:
        weighing.settle()
    if setup.anchor:
        setup.anchor.pull(setup.optimizer)
    setup.optimizer.zero_grad(set_to_none=True)
    return StepReport(
        step + 1,
        terms.pop("loss"),
        terms,
        float(setup.spec.lr) * factor,
        norm,
        _tokens(examples, shares),
        n_items,
        time.perf_counter() - began,
        turn,
    )


def drawn(setup: Setup, shares: Sequence[Share], *, seed: int, step: int) -> Mapping[int, Example]:
    """Return the examples of a step by their index, with what is drawn anew in it: the same on every process."""
    indices = {int(i) for share in shares for batch in share.batches for i in batch}
    return {i: setup.task.fresh(setup.examples[i], seed=derive(seed, "draw", step, i)) for i in indices}


def _accumulate(
    setup: Setup, learner: Learner, examples: Mapping[int, Example], share: Share, *, scale: float, seed: int
) -> dict[str, Tensor]:
    """Add up the gradients of one process's batches; return the sums of what was learnt, scalar tensors by name."""
    sums: dict[str, Tensor] = {}
    for i, indices in enumerate(share.batches):
        batch = load(setup, [examples[int(i)] for i in indices], blank=share.blank)
        weights = {int(i): 0.0 if share.blank else examples[int(i)].weight for i in indices}
        twins = _twins(setup, weights, seed=seed) if setup.twins else None
        sync = not setup.exchanges_late and i == len(share.batches) - 1
        with setup.device.forward(setup.model, sync=sync):
            # Several processes average their gradients; `scale` holds the factor that undoes it.
            for name, term in learner.learn(batch, scale=scale, twins=twins):
                sums[name] = sums.get(name, torch.zeros_like(term)) + term
    if setup.exchanges_late:
        setup.device.exchange(setup.model)
    return sums


def _twins(setup: Setup, weights: Mapping[int, float], *, seed: int) -> Iterator[tuple[Batch, Batch]]:
    """Yield batches of the unlabeled examples that some examples bring, as they are and edited."""
    assert setup.twins is not None
    for still, edited in setup.twins.beside(weights, seed=seed):
        yield load(setup, still), load(setup, edited)


def load(setup: Setup, examples: Sequence[Example], *, blank: bool = False) -> Batch:
    """Return the batch of some examples, on the device."""
    batch = collate(examples, setup.task, pad_id=setup.pad_id, blank=blank)
    return to_device(batch, setup.device.torch_device)


def _items(examples: Mapping[int, Example], shares: Sequence[Share]) -> float:
    """Items of a step over all processes; the plan is the same everywhere, so nobody has to ask."""
    indices = [int(i) for share in shares if not share.blank for batch in share.batches for i in batch]
    return float(sum(examples[i].weight for i in indices)) or 1.0


def _tokens(examples: Mapping[int, Example], shares: Sequence[Share]) -> int:
    return sum(examples[int(i)].n_tokens for s in shares if not s.blank for batch in s.batches for i in batch)


class DivergedError(RunError):
    """The loss or its slope is no finite number any more."""


def _refuse_nan(loss: float, norm: float, step: int) -> None:
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise DivergedError(
            f"training broke at step {step}: loss {loss:g}, gradient norm {norm:g}",
            fix="lower the learning rate, for example --set train.lr=1e-5, or use --set train.precision=float32",
        )


class memory_errors:
    """Turn "out of memory", in torch's several spellings, into one clear RunError inside the `with`."""

    def __init__(self, tokens: int, *, compares: bool = False) -> None:
        """Know how many tokens a pass may hold, and whether its texts are compared: fewer of them are learnt from then.

        A run may be resumed with smaller passes unless they are.
        """
        smaller = f"--set train.tokens_per_batch={max(1, tokens // 4)}"
        self.fix = f"resume with smaller passes, for example {smaller} (slower; updates learn from as many rows)"
        if compares:
            self.fix = f"begin anew with smaller passes, for example {smaller} (fewer texts are compared)"

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        spellings = ("out of memory", "can't allocate memory", "not enough memory")
        short = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if short or (isinstance(error, RuntimeError) and any(s in str(error) for s in spellings)):
            raise RunError("out of memory", fix=self.fix) from error
