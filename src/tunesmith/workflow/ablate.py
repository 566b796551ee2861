"""Which techniques help here: a recipe as it is and with one switch turned at a time, over seeds, measured in pairs.

Every training is a run of its own in a process of its own, so that its time and memory are its own, and so that what
is done stays done: the same command goes on where it was interrupted.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from filecmp import cmp, cmpfiles
from pathlib import Path
from statistics import fmean
from typing import Any

from tunesmith.core.errors import RecipeError, RunError, Where
from tunesmith.core.files import write_json
from tunesmith.engine import checkpoint
from tunesmith.metrics.compare import paired
from tunesmith.metrics.gains import gain
from tunesmith.metrics.names import lower_is_better
from tunesmith.recipe.compose import compose
from tunesmith.recipe.recipe import Recipe
from tunesmith.run.folder import Run
from tunesmith.run.report.ablation import FOUND, write_page
from tunesmith.workflow.compare import said_on_test, scorers_on_shared
from tunesmith.workflow.train import failures_noted
from tunesmith.workflow.trials import BASELINE, RECIPE, claim, facts, note, refuse_changed, refuse_unmeasured, slug


@dataclass(frozen=True)
class Trial:
    """One training: a variant (a switch, or `BASELINE`) with a seed, in a run folder."""

    variant: str
    settings: tuple[str, ...]
    seed: int
    folder: Path


INTERRUPTED = 130
"""What a command ends with after a Ctrl-C."""
Tell = Callable[[Trial, str], None]
"""Told of each trial when it begins and ends: "training", "done", or why its switch is left out."""


def ablate(
    recipe: Recipe,
    switches: Mapping[str, tuple[str, ...]],
    *,
    seeds: Sequence[int],
    out: Path,
    tell: Tell,
    command: str = "",
) -> dict[str, Any]:
    """Train a recipe with and without each switch; return, and write to `out`, what each one gains and costs.

    Args:
        recipe: the baseline.
        switches: name to the settings that turn it on.
        seeds: each is trained with all variants, until none is left.
        out: a folder; runs that are done in it are not trained again.
        tell: told how it goes.
        command: the command line that began it.

    Returns:
        `metric`, `seeds`, `baseline` (value, None where the metric is undefined; seconds, memory), `switches` (see
        `metrics.gains.gain`, and what it costs), `skipped` (name to why), `tried` (names of what was trained).

    Raises:
        RecipeError: there are no rows to measure on.
        RunError: `out` holds the trials of another recipe or of other data, or the baseline can't be trained.
    """
    refuse_unmeasured(recipe)
    variants: dict[str, tuple[str, ...]] = {BASELINE: (), **switches}
    whole = claim(out, recipe, command=command)
    with whole.lock():
        now = facts(out, variants)
        refuse_changed(out, now)
        note(out, now)
        with failures_noted(whole):
            whole.mark("running")
            skipped, seeds = _train_all(variants, seeds, out, tell)
            named = [name for name in variants if name not in skipped]
            runs = {name: [Run.open(_folder(out, name, seed)) for seed in seeds] for name in named}
            tried = [name for name in switches if (_folder(out, name, seeds[0]) / "manifest.json").exists()]
            found = _measured(runs, switches, seeds) | {"skipped": skipped, "tried": tried}
            write_json(out / FOUND, found)
            write_page(out / "report.html", found, title=out.name)
            trained = [str(run.folder.relative_to(out)) for each in runs.values() for run in each]
            whole.update_manifest({"trials": trained})
            whole.mark("done")
    return found


def _folder(out: Path, variant: str, seed: int) -> Path:
    return out / "runs" / f"{slug(variant)}-seed{seed}"


def _train_all(
    variants: Mapping[str, tuple[str, ...]], seeds: Sequence[int], out: Path, tell: Tell
) -> tuple[dict[str, str], list[int]]:
    """Train what is not trained yet; return the variants that can't be or change nothing, why, and the seeds' share.

    A switch changes nothing only where it does not with any seed: whether a mean of weights is taken, for example, is
    a matter of the seed.
    """
    skipped: dict[str, str] = {}
    trained: list[int] = []
    for seed in seeds:
        if trained and len(skipped) == len(variants) - 1:  # nothing is left to be compared with the baseline
            break
        for name, settings in variants.items():
            trial = Trial(name, tuple(settings), seed, _folder(out, name, seed))
            if name not in skipped:
                refuse_changed(out, facts(out, {name: settings}))
                if why := _tried(trial, out, tell):
                    skipped[name] = why
            tell(trial, skipped.get(name, "done"))
        trained.append(seed)
    for name in [name for name in variants if name not in {BASELINE, *skipped}]:
        said = [_idle(_folder(out, name, seed), _folder(out, BASELINE, seed)) for seed in trained]
        if all(said):
            skipped[name] = said[0]
    return skipped, trained


def _tried(trial: Trial, out: Path, tell: Tell) -> str:
    """Train one trial unless it is done; return why its switch needs no other seed, "" if it does.

    Raises:
        RunError: it is the baseline, and can't be trained.
    """
    if trial.variant == BASELINE:
        if why := _train(trial, out / RECIPE, tell):
            raise RunError(f"the baseline can't be trained: {why}", where=Where(str(out)))
        return ""
    baseline = _folder(out, BASELINE, trial.seed)
    if _has(baseline, trial.settings):
        return "the baseline has it already"
    return _train(trial, out / RECIPE, tell) or _said_idle(trial.folder, baseline)


def _said_idle(folder: Path, baseline: Path) -> str:
    """Return why a switch changed nothing and can't with other seeds either, as its run says; "" otherwise."""
    is_said = any(note.topic == "no effect" for note in Run.open(folder).notes)
    return _idle(folder, baseline) if is_said else ""


def _idle(folder: Path, baseline: Path) -> str:
    """Return why a switch changed nothing at all, weights and answers being the baseline's; "" if it did."""
    mine, theirs = Run.open(folder), Run.open(baseline)
    weights = sorted(path.name for path in mine.model_folder.glob("*.safetensors"))
    _, *others = cmpfiles(mine.model_folder, theirs.model_folder, weights, shallow=False)
    if any(others) or not cmp(mine.predictions_path("test"), theirs.predictions_path("test"), shallow=False):
        return ""
    said = [note.message for note in mine.notes if note.topic == "no effect"]
    return "; ".join(said) or "it changes nothing: weights and answers are the baseline's"


def _has(baseline: Path, settings: Sequence[str]) -> bool:
    """Whether a trained baseline has what a switch would set: its recipe says so, or it was chosen."""
    path = Run(baseline).recipe_path
    if not path.exists():
        return False
    try:
        one, other = (compose(file=path, overrides=more, arguments={})[0] for more in ((), settings))
    except RecipeError:  # it is refused when it is tried
        return False
    return one == other


def _train(trial: Trial, recipe: Path, tell: Tell) -> str:
    """Train one trial unless it is done; return why that is not possible, "" if it is."""
    if (trial.folder / "manifest.json").exists() and Run.open(trial.folder).status == "done":
        return ""
    tell(trial, "training")
    log = recipe.parent / "logs" / f"{trial.folder.name}.txt"
    log.parent.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "tunesmith", "train"]
    if checkpoint.latest(trial.folder / "checkpoints"):
        command += ["--resume", str(trial.folder)]
    else:
        _remove_unstarted(trial.folder)
        command += ["-c", str(recipe), "--out", str(trial.folder), "--seed", str(trial.seed)]
        command += [part for setting in trial.settings for part in ("--set", setting)]
    code = _run(command, log)
    if code == INTERRUPTED:
        raise KeyboardInterrupt(f"{trial.folder.name} was interrupted; the same command goes on")
    return "" if code == 0 else _reason(log)


def _run(command: Sequence[str], log: Path) -> int:
    """Run a command, what it prints going to a file; return its exit status, `INTERRUPTED` after a Ctrl-C.

    The command gets each Ctrl-C from here alone, and the time to save what it has.
    """
    was_interrupted = False
    with (
        log.open("w", encoding="utf-8") as stream,
        subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, process_group=0) as process,
    ):
        while True:
            try:
                code = process.wait()
            except KeyboardInterrupt:
                was_interrupted = True
                process.send_signal(signal.SIGINT)
            else:
                return INTERRUPTED if was_interrupted else code


def _remove_unstarted(folder: Path) -> None:
    """Remove a run of ours that ended before its first checkpoint, or before anything was written."""
    import shutil

    if (folder / "manifest.json").exists() or (folder.is_dir() and not any(folder.iterdir())):
        shutil.rmtree(folder)


def _reason(log: Path) -> str:
    """Return what a training that was refused said."""
    lines = [line for line in log.read_text(encoding="utf-8").splitlines() if line.strip()]
    errors = [" ".join(line.removeprefix("error").split()) for line in lines if line.startswith("error")]
    return "; ".join(errors) or f"see {log}"


def _measured(
    runs: Mapping[str, Sequence[Run]], switches: Mapping[str, tuple[str, ...]], seeds: Sequence[int]
) -> dict[str, Any]:
    base = runs[BASELINE]
    metric = str(base[0].metrics["main"])
    rows = [{(row["file"], row["row"]) for row in run.predictions("test")} for run in base]
    same_rows = all(one == rows[0] for one in rows)
    found = {
        name: {
            "settings": list(switches[name]),
            **_costs(mine, base),
            **gain([_pair(a, b, metric) for a, b in zip(base, mine, strict=True)], same_rows=same_rows),
        }
        for name, mine in runs.items()
        if name != BASELINE
    }
    values = [run.metrics["splits"]["test"]["values"][metric]["value"] for run in base]
    return {
        "metric": metric,
        "seeds": list(seeds),
        "same_rows": same_rows,
        "baseline": {"value": None if None in values else fmean(values), "each": values, **_of(base)},
        "switches": best_first(found, metric),
    }


def best_first(found: Mapping[str, dict[str, Any]], metric: str) -> dict[str, dict[str, Any]]:
    """Return switches in the order of what they gain."""
    sign = 1 if lower_is_better(metric) else -1
    return dict(sorted(found.items(), key=lambda item: sign * (item[1]["value"] or 0.0)))


def _pair(without: Run, with_it: Run, metric: str) -> dict[str, Any]:
    named = dict(zip(("without", "with"), said_on_test([without, with_it]), strict=True))
    a, b = scorers_on_shared(named).values()
    return paired(a, b, metric=metric, names=("without", "with"))


def _of(runs: Sequence[Run]) -> dict[str, float]:
    seconds = fmean(run.manifest["seconds"]["train"] for run in runs)
    return {"seconds": seconds, "memory_bytes": fmean(run.manifest["peak_memory_bytes"] for run in runs)}


def _costs(runs: Sequence[Run], base: Sequence[Run]) -> dict[str, float]:
    mine, theirs = _of(runs), _of(base)
    return {
        "times_seconds": mine["seconds"] / max(theirs["seconds"], 1e-9),
        "times_memory": mine["memory_bytes"] / max(theirs["memory_bytes"], 1.0),
        **mine,
    }
