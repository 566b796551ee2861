"""Several tasks in one training over one backbone; each ends as a run of its own, with a plain model of its own."""

from __future__ import annotations

import copy
import math
import shutil
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import fmean, geometric_mean
from typing import Any

from torch import nn

from tunesmith.core import hardware
from tunesmith.core.errors import ModelError, RecipeError, Where
from tunesmith.core.notes import Note
from tunesmith.data.learnt import Learnt
from tunesmith.engine.device import Device, from_main
from tunesmith.engine.loop import train_steps
from tunesmith.engine.mix_spec import MixSpec
from tunesmith.engine.mixture import Members, MixedPlan, Mixture, mix
from tunesmith.engine.optim import make_joint_optimizer
from tunesmith.engine.weighing import Weighing
from tunesmith.metrics.evidence import Together
from tunesmith.metrics.names import lower_is_better
from tunesmith.models.share import share
from tunesmith.models.vocabulary import has_rows_of_its_own, train_rows_of
from tunesmith.recipe.several import Several
from tunesmith.run.folder import Run
from tunesmith.workflow.again import free_of, parts_again
from tunesmith.workflow.before import rows_of, seen_before
from tunesmith.workflow.build import draws_tokens, ids_of, make_fast, make_model, put_together
from tunesmith.workflow.finish import finish
from tunesmith.workflow.fit import go, merged
from tunesmith.workflow.idle import idle_without_dev
from tunesmith.workflow.once import refuse_own
from tunesmith.workflow.order import make_plan
from tunesmith.workflow.prepare import Prepared, prepare
from tunesmith.workflow.resolve import Resolved, resolve
from tunesmith.workflow.session import Session, Watch, measure_split
from tunesmith.workflow.start import (
    interrupts_explained,
    refuse_all,
    refuse_done,
    refuse_early,
    reopen,
    write_inputs,
)
from tunesmith.workflow.track import tracking
from tunesmith.workflow.train import failures_noted, mark_interrupted

SHARED = ("lr", "layer_decay", "head_lr_factor", "average")
"""What one training has once: chosen for the task with most rows."""
TIMED_STEPS = 12
"""Updates of a rehearsal; the first one is not counted."""
MEANS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "arithmetic": fmean,
    "geometric": lambda values: geometric_mean([max(value, 1e-9) for value in values]),
    "lowest": min,
}


@dataclass(frozen=True)
class Member:
    """One of the tasks: its name, its data, and what was settled for it."""

    name: str
    prepared: Prepared
    resolved: Resolved


def start(several: Several, *, out: Path | None = None, watch: Watch | None = None, command: str = "") -> Run:
    """Prepare all data, make the folder of the whole and of each task, train, measure and save each.

    Returns:
        The run of the whole; those of the tasks are in its folder, under their names.

    Raises:
        TunesmithError: what the user can mend.
    """
    watch = watch or Watch()
    refuse(several, out)
    members = settled(several, watch)
    mixture, plan = make_mixture(members, several.mix)

    def create() -> Run:
        recipe = members[0].resolved.recipe
        facts = {"hardware": asdict(hardware.look()), "seed": recipe.seed, "started_in": str(Path.cwd())}
        parts = {"multitask": several.mix.model_dump(), "tasks": [one.name for one in members]}
        run = Run.create(out, name_hint="multitask", command=command, facts={**facts, **parts})
        with interrupts_explained(run):
            for one in members:
                more = {"data": one.prepared.sources, "part_of": run.name}
                child = Run.create(run.folder / one.name, command=command, facts={**facts, **more})
                write_inputs(child, one.prepared, one.resolved)
            run.save_recipe(several.text)
        return run

    run = from_main(create, on_cpu=members[0].resolved.recipe.train.device == "cpu")
    _train(members, mixture, plan, several.mix, run=run, watch=watch)
    return run


def resume(run: Run, *, overrides: Sequence[str] = (), watch: Watch | None = None) -> Run:
    """Go on with an interrupted training of several tasks; it ends as it would have.

    Args:
        run: of the whole.
        overrides: "key=value" for all tasks, "tasks.NAME.key=value" for one.
        watch: told what happens.

    Raises:
        RecipeError: it would not end as it would have, or one task has of its own what there is once.
        RunError: the run is done, or its data changed.
    """
    watch = watch or Watch()
    refuse_done(run)
    spec = MixSpec.model_validate(run.manifest["multitask"])
    several = parts_again(run, overrides)
    refuse_own(several)
    members = []
    for name in run.manifest["tasks"]:
        watch.tell({"event": "task", "name": name})
        mine, part = Run.open(run.folder / name), several.parts[name]
        said = free_of(part.recipe, part.origins)
        members.append(Member(name, *reopen(mine, overrides=said, watch=watch, part=f"tasks.{name}.")))
    if overrides and hardware.is_main_process():
        run.save_recipe(several.text)
    mixture, plan = make_mixture(members, spec)
    _train(members, mixture, plan, spec, run=run, watch=watch)
    return run


def refuse(several: Several, out: Path | None = None) -> None:
    """Raise what is known to be wrong before any data is read."""
    checks = [partial(refuse_early, part.recipe) for part in several.parts.values()]
    refuse_all(
        *checks,
        partial(refuse_own, several),
        lambda: None if out is None else Run.refuse_taken(out),
    )


def settled(several: Several, watch: Watch) -> list[Member]:
    """Read all data and choose every "auto"; the task with most rows comes first, and chooses what is chosen once."""
    prepared = {}
    for name, part in several.parts.items():
        watch.tell({"event": "task", "name": name})
        watch.tell({"event": "phase", "name": "reading"})
        prepared[name] = prepare(part.recipe, tell=watch.tell)
        watch.tell({"event": "prepared", "prepared": prepared[name]})
    learnt = {name: Learnt.of(rows_of(one.task, one.tables["train"])) for name, one in prepared.items()}
    everything = Learnt.all_of(one.learnt for one in prepared.values())
    members: list[Member] = []
    for name in sorted(prepared, key=lambda name: -len(prepared[name].tables["train"])):
        recipe, origins = several.parts[name].recipe, several.parts[name].origins
        if members:
            first = members[0]
            reason = f'as for "{first.name}", which has most rows'
            choices = {
                f"train.{key}": (getattr(first.resolved.recipe.train, key), reason)
                for key in SHARED
                if getattr(recipe.train, key) == "auto"
            }
            recipe, origins = origins.choose(recipe, choices)
        mine = prepared[name]
        resolved = resolve(recipe, origins, prepared=mine, alone=False)
        beside = {f'task "{other}" on the same backbone': own for other, own in learnt.items() if other != name}
        resolved = replace(resolved, notes=[*resolved.notes, *seen_before(beside, mine.tables, mine.task)])
        members.append(Member(name, replace(mine, learnt=everything), resolved))
    plan = _plan(members, several.mix)
    found = [_with_turns(one, plan, k, several.mix) for k, one in enumerate(members)]
    if not any("dev" in one.prepared.tables for one in found):
        found = [_told(one) for one in found]
    for one in found:
        watch.tell({"event": "task", "name": one.name})
        watch.tell({"event": "resolved", "resolved": one.resolved})
    return found


def _plan(members: Sequence[Member], spec: MixSpec, *, world: int = 1) -> MixedPlan:
    plans = [make_plan(one.resolved.recipe, one.resolved.encoded.examples["train"], world=world) for one in members]
    rows = [len(one.prepared.tables["train"]) for one in members]
    names = [one.name for one in members]
    return mix(plans, rows, spec, names=names, seed=members[0].resolved.recipe.seed)


def _with_turns(member: Member, plan: MixedPlan, k: int, spec: MixSpec) -> Member:
    """Return a member whose recipe says how often it has its turn, and how often all are measured."""
    every = math.ceil(len(plan) / spec.measurements)
    choices = {
        "train.length": (plan.plans[k].length, f"its turns, of {len(plan):,} updates of all tasks"),
        "evaluate.every": (f"{every} steps", f"multitask.measurements: {spec.measurements}"),
        "evaluate.patience": (spec.patience, "multitask.patience"),
    }
    recipe, origins = member.resolved.origins.choose(member.resolved.recipe, choices)
    return replace(member, resolved=replace(member.resolved, recipe=recipe, origins=origins))


def _told(member: Member) -> Member:
    """Return a member with what is to be said where no task has rows to measure by."""
    idle = idle_without_dev(member.resolved.recipe, patience="multitask.patience")
    return replace(member, resolved=replace(member.resolved, notes=[*member.resolved.notes, *idle]))


def make_mixture(members: Sequence[Member], spec: MixSpec) -> tuple[Mixture, MixedPlan]:
    """Build all models over one backbone, one optimizer, and the order of all updates.

    Raises:
        TunesmithError: the checkpoint can't carry a task, or the models have no weights in common.
    """
    recipes = [one.resolved.recipe for one in members]
    tasks = [one.resolved.task for one in members]
    device = Device(recipes[0].train)
    models: list[Any] = [make_model(one.resolved) for one in members]
    if not any(draws_tokens(one.resolved) for one in members) and all(map(has_rows_of_its_own, models)):
        ids = [one for member in members for one in ids_of(member.resolved)]
        pads = [one.resolved.tokenizer.pad_id for one in members]
        for model in models:
            train_rows_of(model, ids, extra=pads)
    learnt = [{name for name, p in model.named_parameters() if p.requires_grad} for model in models]
    heads = [task.head(model) for task, model in zip(tasks, models, strict=True)]
    common = share(models, heads, drawn=recipes[0].model.weights == "random")
    if not common:
        what = ", ".join(dict.fromkeys(type(model).__name__ for model in models))
        fix = "leave one of these tasks out"
        raise ModelError(f"the models have no weights in common: {what}", where=Where(column="model"), fix=fix)
    if spec.weighting == "grad_norm":
        _refuse_without_pull(members, models, learnt, common)
    for model in models:
        make_fast(model, device)
    weighing = Weighing([spec.weights.get(one.name, 1.0) for one in members], spec.weighting, alpha=spec.alpha)
    more = weighing.group(spec.rate)
    heads = [task.head(model) for task, model in zip(tasks, models, strict=True)]
    optimizer = make_joint_optimizer(models, [r.train for r in recipes], heads, more=[more] if more else [])
    wrapped, prepared = device.prepare_all(models, optimizer)
    weighing.to(device.torch_device)
    setups = [
        replace(put_together(one.resolved, device, model, prepared, own=own), shared=common)
        for one, model, own in zip(members, wrapped, learnt, strict=True)
    ]
    names = [one.name for one in members]
    mixture = Mixture(names, setups, Members([device.plain(model) for model in wrapped], weighing), weighing)
    return mixture, _plan(members, spec, world=device.world)


def _refuse_without_pull(
    members: Sequence[Member], models: Sequence[Any], learnt: Sequence[Collection[str]], common: Sequence[nn.Parameter]
) -> None:
    """Raise RecipeError if a task never pulls at the weights that GradNorm balances the pull at."""
    ids = {id(parameter) for parameter in common}
    for one, model, names in zip(members, models, learnt, strict=True):
        if not any(id(p) in ids for name, p in model.named_parameters() if name in names):
            where = Where(column="multitask.weighting", value="grad_norm")
            message = f'"{one.name}" learns none of the weights that the tasks share: it pulls at nothing'
            raise RecipeError(message, where=where, fix="--set multitask.weighting=uncertainty")


def rehearse(members: Sequence[Member], spec: MixSpec) -> tuple[int, float]:
    """Run a few updates; return how many there are and the seconds that all will take."""
    mixture, plan = make_mixture(members, spec)
    seconds = [report.seconds for report in islice(train_steps(mixture, plan), TIMED_STEPS)]
    return len(plan), fmean(seconds[1:] or seconds) * len(plan)


class MixedSession(Session):
    """A training of several tasks: all are measured at once, and logged in their own runs too."""

    def __init__(self, members: Sequence[Member], spec: MixSpec, *, mixture: Mixture, plan: MixedPlan, run: Run,
                 watch: Watch) -> None:  # fmt: skip
        first = members[0].resolved
        super().__init__(first.recipe, mixture, plan, encoded=first.encoded, run=run, watch=watch)
        self.members, self.mixture, self.spec = members, mixture, spec
        self.runs = [Run(run.folder / one.name) for one in members]
        self.each: dict[str, dict[str, float]] = {}

    @property
    def has_dev(self) -> bool:
        """Whether any task has rows to measure by."""
        return any(one.resolved.encoded.examples.get("dev") for one in self.members)

    @property
    def n_dev(self) -> int:
        """How many rows the task with the fewest has to measure by."""
        tables = [one.resolved.encoded.tables.get("dev", ()) for one in self.members]
        return min(len(table) for table in tables if len(table))

    @property
    def metric(self) -> str:
        """What training is judged by: the mean of the tasks' own metrics."""
        return "mean"

    def dev_values(self) -> dict[str, float]:
        """Measure the dev rows of all tasks."""
        self.each, goods, shown = {}, [], {}
        for one, setup in zip(self.members, self.mixture.setups, strict=True):
            if one.resolved.encoded.examples.get("dev"):
                values = measure_split(setup, one.resolved.encoded, "dev")
                name = str(one.resolved.recipe.evaluate.metric)
                self.each[one.name] = values
                shown[f"{one.name} {name}"] = values[name]
                goods.append(1 / (1 + values[name]) if lower_is_better(name) else values[name])
        loss = fmean(values["loss"] for values in self.each.values())
        return {"mean": MEANS[self.spec.mean](goods), **shown, "loss": loss}

    def named(self, turn: int) -> dict[str, Any]:
        """Return the name of the task whose turn a step was."""
        return {"task": self.members[turn].name}

    def emit(self, event: dict[str, Any]) -> None:
        """Log an event here and in the runs of the tasks that it is about."""
        super().emit(event)
        if not self.setup.device.is_main:
            return
        for one, run in zip(self.members, self.runs, strict=True):
            if event.get("task") == one.name:
                run.log(event)
            elif "metrics" in event and one.name in self.each:
                values = self.each[one.name]
                mine = {name: value for name, value in values.items() if name != "loss"}
                run.log({**event, "loss": values["loss"], "metrics": mine})

    def truncate_logs(self) -> None:
        """Drop what was logged after the step that training goes on from."""
        for run in (self.run, *self.runs):
            run.truncate_log(self.step)


def _train(
    members: Sequence[Member], mixture: Mixture, plan: MixedPlan, spec: MixSpec, *, run: Run, watch: Watch
) -> None:
    began = time.monotonic()
    with interrupts_explained(run):
        watch.tell({"event": "run", "run": run})
        with tracking(run, members[0].resolved.recipe, watch) as tracked:
            session = MixedSession(members, spec, mixture=mixture, plan=plan, run=run, watch=tracked)
            if not hardware.is_main_process():
                go(session)
                return
            with run.lock(), failures_noted(run):
                _train_in(session, began)


def _train_in(session: MixedSession, began: float) -> None:
    run = session.run
    run.mark("running")
    fitted = go(session)
    if fitted.stopped == "interrupted":
        mark_interrupted(run, fitted)
        return
    for member, model, child in zip(session.members, session.mixture.model.tasks, session.runs, strict=True):
        if child.status != "done":
            session.watch.tell({"event": "task", "name": member.name})
            mine = merged(replace(fitted, model=copy.deepcopy(model)), member.resolved, is_main=True)
            _note_others(member, child, session)
            together = Together(
                member.name, len(session.members), fitted.planned, has_own_length=session.spec.mixing == "planned"
            )
            finish(
                member.resolved,
                member.prepared,
                fitted=mine,
                run=child,
                watch=session.watch,
                began=began,
                together=together,
            )
    seconds = {"train": round(fitted.seconds, 2), "total": round(fitted.before + time.monotonic() - began, 2)}
    run.update_manifest({"seconds": seconds, "step": fitted.step, "steps": fitted.planned})
    run.mark("done", reason=fitted.stopped)
    shutil.rmtree(run.checkpoints_folder, ignore_errors=True)


def _note_others(member: Member, run: Run, session: MixedSession) -> None:
    """Say in the run of one task how it was trained."""
    others = ", ".join(one.name for one in session.members if one is not member)
    together = f"trained together with {others}; train {session.run.recipe_path} again for the same model"
    notes = [note for note in run.notes if note.topic != "multi-task"]
    run.save_notes([*notes, Note("info", "multi-task", together)])
