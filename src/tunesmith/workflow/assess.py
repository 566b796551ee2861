"""What a fitted model is worth: its answers on dev, test and some training rows, measured beside simple baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tunesmith.core.seed import seed_all
from tunesmith.engine.infer import infer
from tunesmith.metrics.compare import paired
from tunesmith.metrics.names import lower_is_better
from tunesmith.metrics.scorer import Scorer, measure
from tunesmith.models.source import find
from tunesmith.objectives.base import Shaping
from tunesmith.tasks.parts import Tuned
from tunesmith.workflow.prepare import Prepared
from tunesmith.workflow.session import Fitted

TRAIN_SAMPLE = 2000
"""Training rows measured for the over- and under-fitting diagnosis."""


@dataclass(frozen=True)
class Answers:
    """What the model says of the rows of each split.

    Attributes:
        raw: as the model gave it; `tuned` is what was set on the dev rows.
        predictions: after tuning.
    """

    raw: dict[str, Sequence[Any]]
    tuned: Tuned
    predictions: dict[str, list[Any]]


def answer(resolved: Any, prepared: Prepared, fitted: Fitted) -> Answers:
    """Run the model over dev and test rows, and set on the dev rows what is set there."""
    tables = resolved.encoded.tables
    raw = {split: outputs(resolved, fitted, split) for split in ("dev", "test") if split in tables}
    tuned = _tune(resolved, prepared, raw)
    said = {split: tuned.task.predictions(tuned.applied(values), tables[split]) for split, values in raw.items()}
    return Answers(raw, tuned, said)


def outputs(resolved: Any, fitted: Fitted, split: str) -> Sequence[Any]:
    """Return what the model gives for each row of a split."""
    task, examples = resolved.task, resolved.encoded.examples[split]
    found = infer(fitted.model, examples, task=task, pad_id=resolved.tokenizer.pad_id)
    read: Sequence[Any] = task.read(
        task.merge(examples, found, n_rows=len(resolved.encoded.tables[split])), resolved.tokenizer
    )
    return read


def _tune(resolved: Any, prepared: Prepared, raw: Mapping[str, Sequence[Any]]) -> Tuned:
    task, recipe, tables = resolved.task, resolved.recipe, resolved.encoded.tables
    tuned: Tuned
    if not recipe.evaluate.calibrate:
        tuned = task.tune(None, None, why_not="switched off")
    elif "dev" not in raw:
        # Losses that are shaped make probabilities that training rows tell nothing of.
        if not any(isinstance(one, Shaping) for one in recipe.objectives.on):
            task = task.without_dev(prepared.tables["train"], prepared.row_of, seed=recipe.seed)
        tuned = task.tune(None, None, why_not="no dev rows to calibrate on")
    else:
        tuned = task.tune(raw["dev"], tables["dev"])
    return tuned


def assess(resolved: Any, fitted: Fitted, answers: Answers) -> dict[str, Any]:
    """Return what stands in `metrics.json`, but for baselines and verdict."""
    task, tables, resamples = answers.tuned.task, resolved.encoded.tables, resolved.recipe.evaluate.resamples
    splits: dict[str, Any] = {}
    for split, said in answers.predictions.items():
        splits[split] = measure(task.scorer(said, task.gold(tables[split])), resamples=resamples)
        if answers.tuned.facts.get("fitted_on") and "reliability" in splits[split]:
            before = _scorer(resolved.task, answers.raw[split], tables[split])
            splits[split]["before_calibration"] = _confidence(measure(before, resamples=1))
    if task.dev_metric and splits:
        split = "dev" if "dev" in splits else "test"
        splits[split]["values"] |= _surprise(resolved, fitted, split)
    splits["train"] = _train_sample(resolved, fitted, answers.tuned)
    main = task.main_metric if task.dev_metric else resolved.recipe.evaluate.metric
    judged = {"judged": task.dev_metric} if task.dev_metric else {}
    return {"main": main, **judged, "splits": splits, "calibration": answers.tuned.facts}


def _surprise(resolved: Any, fitted: Fitted, split: str) -> dict[str, Any]:
    """Measure the targets of a split's rows as training does on the way: what over-fitting is read from."""
    task, examples = resolved.task, resolved.encoded.examples[split]
    found = infer(fitted.model, examples, task=task, pad_id=resolved.tokenizer.pad_id, run=task.dev_run)
    values: dict[str, Any] = measure(task.dev_scorer(examples, found), resamples=resolved.recipe.evaluate.resamples)[
        "values"
    ]
    return values


def _scorer(task: Any, raw: Sequence[Any], table: Any) -> Scorer:
    scorer: Scorer = task.scorer(task.predictions(raw, table), task.gold(table))
    return scorer


def _confidence(measured: Mapping[str, Any]) -> dict[str, Any]:
    return {"ece": measured["values"]["ece"]["value"], "reliability": measured["reliability"]}


def _train_sample(resolved: Any, fitted: Fitted, tuned: Tuned) -> dict[str, Any]:
    """Measure a sample of the training rows, point values only: what over-fitting is read from."""
    task, table = tuned.task, resolved.encoded.tables["train"]
    rows = np.random.default_rng(resolved.recipe.seed).permutation(len(table))[:TRAIN_SAMPLE]
    place = {int(row): i for i, row in enumerate(rows)}
    chosen = [replace(e, row=place[e.row]) for e in resolved.encoded.examples["train"] if e.row in place]
    found = infer(fitted.model, chosen, task=task, pad_id=resolved.tokenizer.pad_id, run=task.dev_run)
    sample = table.take(int(row) for row in rows)
    if task.dev_metric:
        values, per_class = task.dev_metrics(chosen, found, sample), []
    else:
        merged = tuned.applied(task.merge(chosen, found, n_rows=len(rows)))
        values = task.quick_metrics(merged, sample)
        per_class = measure(_scorer(task, merged, sample), resamples=1).get("per_class", [])
    return {
        "n_rows": len(rows),
        "values": {name: {"value": value} for name, value in values.items()},
        "per_class": per_class,
    }


def add_baselines(resolved: Any, prepared: Prepared, fitted: Fitted, answers: Answers, metrics: dict[str, Any]) -> None:
    """Measure simple methods beside the model, on the same rows, and compare it with the best of them."""
    task, tables = answers.tuned.task, resolved.encoded.tables
    split = next((name for name in ("test", "dev") if name in answers.predictions), None)
    if split is None:
        return
    found = {
        **task.baselines(prepared.written, tables[split], seed=resolved.recipe.seed),
        **_by_tokens(resolved, fitted, task, split),
    }
    gold = task.gold(tables[split])
    scorers = {name: task.scorer(said, gold) for name, said in found.items()}
    resamples, main = resolved.recipe.evaluate.resamples, metrics["main"]
    metrics["baselines"] = {name: measure(scorer, resamples=resamples) for name, scorer in scorers.items()}
    found_values = {name: metrics["baselines"][name]["values"][main]["value"] for name in scorers}
    values = {name: value for name, value in found_values.items() if value is not None}
    if not values:
        return
    best = (min if lower_is_better(main) else max)(values, key=lambda name: values[name])
    model = task.scorer(answers.predictions[split], gold)
    pair = paired(scorers[best], model, metric=main, names=(best, "model"), resamples=resamples)
    metrics["comparison"] = {"baseline": best, **pair}


def _by_tokens(resolved: Any, fitted: Fitted, task: Any, split: str) -> dict[str, list[Any]]:
    """Return the predictions of baselines that work on tokens, and of the model before it was trained."""
    examples, table = resolved.encoded.examples, resolved.encoded.tables[split]
    found = task.baseline_outputs(examples["train"], examples[split], tokenizer=resolved.tokenizer, n_rows=len(table))
    if task.answers_untrained:
        seed_all(resolved.recipe.seed, "head")
        model = task.build(find(resolved.recipe.model), resolved.recipe.model).to(fitted.model.device)
        before = infer(model, examples[split], task=task, pad_id=resolved.tokenizer.pad_id)
        found["before"] = task.merge(examples[split], before, n_rows=len(table))
    return {name: task.predictions(outputs, table) for name, outputs in found.items()}
