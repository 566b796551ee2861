"""After the last step: calibrate, measure, compare with baselines, save, reload in a fresh process, report."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tunesmith.core import hardware
from tunesmith.core.errors import RunError, Where
from tunesmith.core.files import replacing_folder, write_text
from tunesmith.data.labels import label_name
from tunesmith.data.table import Table
from tunesmith.engine.infer import infer
from tunesmith.inference.settings import ModelSettings
from tunesmith.metrics.baselines import majority, tfidf_logistic
from tunesmith.metrics.calibration import find_temperature, softmax
from tunesmith.metrics.classification import measure
from tunesmith.metrics.compare import paired
from tunesmith.metrics.verdict import verdict
from tunesmith.models.classifier import divide_logits, quiet
from tunesmith.models.source import find
from tunesmith.recipe.origins import flat
from tunesmith.run.card import model_card
from tunesmith.run.folder import Run
from tunesmith.run.manifest import versions
from tunesmith.run.report import write_report
from tunesmith.workflow.fit import Fitted, Watch
from tunesmith.workflow.prepare import Prepared

TRAIN_SAMPLE = 2000
"""Training rows measured for the over- and under-fitting diagnosis."""
CHECKED_ROWS = 32
"""Rows whose probabilities the saved model must reproduce in a fresh process."""


def finish(resolved: Any, prepared: Prepared, *, fitted: Fitted, run: Run, watch: Watch, began: float) -> None:
    """Measure and write everything a finished run holds."""
    watch.tell({"event": "phase", "name": "measuring"})
    present: list[str] = [split for split in ("dev", "test") if split in prepared.tables]
    logits = {split: _logits(resolved, fitted, split) for split in present}
    temperature, calibration = _calibrate(resolved, logits)
    seconds = {"train": round(fitted.seconds, 2), "total": round(time.monotonic() - began, 2)}
    probabilities = {split: softmax(values / temperature) for split, values in logits.items()}
    metrics = _measure(resolved, prepared, probabilities=probabilities, logits=logits)
    metrics["calibration"] = calibration
    _train_sample(resolved, fitted, metrics)
    if resolved.recipe.evaluate.baselines:
        watch.tell({"event": "phase", "name": "baselines"})
        _baselines(resolved, prepared, metrics, probabilities)
    metrics["verdict"] = verdict(
        metrics,
        events=list(run.events()),
        n_train=len(prepared.tables["train"]),
        settings=flat(resolved.recipe),
        data=shlex.join(resolved.recipe.data.path),
    )
    run.save_metrics(metrics)
    for split, values in probabilities.items():
        run.write_predictions(split, _prediction_rows(resolved, prepared.tables[split], values, split))
    watch.tell({"event": "phase", "name": "saving"})
    _save_model(resolved, fitted, temperature=temperature, run=run)
    _verify(resolved, prepared, run=run, temperature=temperature, logits=logits)
    run.update_manifest(_facts(prepared, resolved, fitted, seconds=seconds))
    write_text(run.model_folder / "README.md", model_card(run))
    run.mark("done", reason=fitted.stopped)
    shutil.rmtree(
        run.checkpoints_folder, ignore_errors=True
    )  # nothing is left to resume; the best weights are in model/
    write_report(run)


def _logits(resolved: Any, fitted: Fitted, split: str) -> np.ndarray:
    examples = resolved.encoded.examples[split]
    outputs = infer(fitted.model, examples, task=resolved.task, pad_id=resolved.tokenizer.pad_id)
    merged: np.ndarray = resolved.task.merge(examples, outputs, n_rows=len(resolved.encoded.gold[split]))
    return merged


def _calibrate(resolved: Any, logits: Mapping[str, np.ndarray]) -> tuple[float, dict[str, Any]]:
    if not resolved.recipe.evaluate.calibrate:
        return 1.0, {"temperature": 1.0, "fitted_on": None, "reason": "switched off"}
    if "dev" not in logits:
        return 1.0, {"temperature": 1.0, "fitted_on": None, "reason": "no dev rows to fit a temperature on"}
    gold = resolved.encoded.gold["dev"]
    known = gold >= 0
    found = find_temperature(logits["dev"][known], gold[known])
    return found.temperature, {"temperature": found.temperature, "fitted_on": "dev", "reason": found.reason}


def _measure(
    resolved: Any, prepared: Prepared, *, probabilities: Mapping[str, np.ndarray], logits: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    splits = {}
    for split, values in probabilities.items():
        gold = resolved.encoded.gold[split]
        known = gold >= 0
        splits[split] = measure(
            values[known], gold[known], resolved.task.labels, resamples=resolved.recipe.evaluate.resamples
        )
        if "dev" in logits and resolved.recipe.evaluate.calibrate:
            before = measure(softmax(logits[split][known]), gold[known], resolved.task.labels, resamples=1)
            splits[split]["before_calibration"] = {
                "ece": before["values"]["ece"]["value"],
                "reliability": before["reliability"],
            }
    return {"main": resolved.recipe.evaluate.metric, "splits": splits}


def _train_sample(resolved: Any, fitted: Fitted, metrics: dict[str, Any]) -> None:
    """Measure a sample of the training rows, point values only: what over-fitting is read from."""
    gold = resolved.encoded.gold["train"]
    rows = np.random.default_rng(resolved.recipe.seed).permutation(len(gold))[:TRAIN_SAMPLE]
    place = {int(row): i for i, row in enumerate(rows)}
    chosen = [e for e in resolved.encoded.examples["train"] if e.row in place]
    outputs = infer(fitted.model, chosen, task=resolved.task, pad_id=resolved.tokenizer.pad_id)
    moved = [type(e)(e.ids, place[e.row], e.target, e.weight) for e in chosen]
    merged = resolved.task.merge(moved, outputs, n_rows=len(rows))
    values = resolved.task.quick_metrics(merged, gold[rows])
    per_class = measure(softmax(merged), gold[rows], resolved.task.labels, resamples=1)["per_class"]
    metrics["splits"]["train"] = {
        "n_rows": len(rows),
        "values": {name: {"value": value} for name, value in values.items()},
        "per_class": per_class,
    }


def _baselines(
    resolved: Any, prepared: Prepared, metrics: dict[str, Any], probabilities: Mapping[str, np.ndarray]
) -> None:
    """Measure majority class and TF-IDF + logistic regression beside the model, on the same rows."""
    split = "test" if "test" in probabilities else "dev"
    if split not in probabilities:
        return
    column = resolved.task.text
    gold = resolved.encoded.gold[split]
    known = np.flatnonzero(gold >= 0)
    train_gold = resolved.encoded.gold["train"]
    texts = [prepared.tables[split][column][int(i)] for i in known]
    n_classes = len(resolved.task.labels)
    found = {
        "majority": majority(train_gold, len(known), n_classes=n_classes),
        "tfidf": tfidf_logistic(
            prepared.tables["train"][column], train_gold, texts, n_classes=n_classes, seed=resolved.recipe.seed
        ),
    }
    resamples = resolved.recipe.evaluate.resamples
    metrics["baselines"] = {
        name: measure(values, gold[known], resolved.task.labels, resamples=resamples) for name, values in found.items()
    }
    main = metrics["main"]
    best = max(found, key=lambda name: metrics["baselines"][name]["values"][main]["value"])
    metrics["comparison"] = {
        "baseline": best,
        **paired(
            found[best],
            probabilities[split][known],
            gold[known],
            resolved.task.labels,
            metric=main,
            names=(best, "model"),
            resamples=resamples,
        ),
    }


def _prediction_rows(resolved: Any, table: Table, probabilities: np.ndarray, split: str) -> Iterator[dict[str, Any]]:
    task = resolved.task
    names = task.names
    for i, row in enumerate(probabilities):
        best = int(row.argmax())
        where = table.where(i)
        yield {
            "file": where.file,
            "row": where.row,
            "text": table[task.text][i],
            "gold": table[task.label][i] if task.label in table.columns else None,
            "predicted": task.labels[best],
            "confidence": float(row[best]),
            "probabilities": {name: float(p) for name, p in zip(names, row, strict=True)},
        }


def _save_model(resolved: Any, fitted: Fitted, *, temperature: float, run: Run) -> None:
    source = find(resolved.recipe.model)
    settings = ModelSettings(
        version=versions().get("tunesmith", ""),
        task=resolved.task.model_dump(mode="json"),
        clean=resolved.recipe.data.clean,
        max_tokens=resolved.tokenizer.max_tokens,
        temperature=temperature,
        base_model=source.name,
    )
    divide_logits(fitted.model, temperature)
    with replacing_folder(run.model_folder) as folder:
        fitted.model.config.name_or_path = source.name
        with quiet():
            fitted.model.save_pretrained(folder)
        plain = resolved.tokenizer.plain
        plain.model_max_length = resolved.tokenizer.max_tokens
        plain.save_pretrained(folder)
        settings.save(folder)


def _verify(
    resolved: Any, prepared: Prepared, *, run: Run, temperature: float, logits: Mapping[str, np.ndarray]
) -> None:
    """Reload the saved model in a fresh process: it must reproduce this process's probabilities.

    Raises:
        RunError: it does not.
    """
    split = next((name for name in ("test", "dev") if name in logits), None)
    if split is None:
        return
    texts = list(prepared.tables[split][resolved.task.text][:CHECKED_ROWS])
    done = subprocess.run(
        [sys.executable, "-m", "tunesmith.inference.reload", str(run.model_folder)],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RunError(
            f"the saved model could not be loaded again: {done.stderr.strip().splitlines()[-1]}",
            where=Where(str(run.model_folder)),
            fix="please report this; the checkpoints are kept",
        )
    again = np.array(json.loads(done.stdout.strip().splitlines()[-1]))
    difference = float(np.abs(again - softmax(logits[split][: len(texts)] / temperature)).max())
    if difference > TOLERANCE:
        raise RunError(
            f"the saved model does not reproduce its own predictions (largest difference {difference:.2g})",
            where=Where(str(run.model_folder)),
            fix="please report this; the checkpoints are kept",
        )


TOLERANCE = 0.02
"""Largest difference of a probability: other batches, and bf16 against float32, round differently."""


def _facts(prepared: Prepared, resolved: Any, fitted: Fitted, *, seconds: Mapping[str, float]) -> dict[str, Any]:
    return {
        "rows": {
            **prepared.n_rows,
            "set_aside": sum(prepared.ledger.counts("set aside").values()),
            "read": prepared.n_read,
        },
        "seconds": dict(seconds),
        "peak_memory_bytes": hardware.peak_memory_bytes(),
        "tokens_per_second": round(fitted.tokens / fitted.step_seconds, 1) if fitted.step_seconds else None,
        "step": fitted.step,
        "steps": fitted.planned,
        "best_step": fitted.best_step,
        "averaged": fitted.averaged,
        "lengths": histogram(resolved.lengths),
        "tokens_cut": resolved.n_cut,
        "labels": _class_counts(resolved, prepared),
    }


def histogram(lengths: Sequence[int]) -> dict[str, Any]:
    """Return counts of token lengths in 20 equal bins, for the report."""
    counts, edges = np.histogram(lengths, bins=20)
    return {"edges": [float(e) for e in edges], "counts": [int(c) for c in counts]}


def _class_counts(resolved: Any, prepared: Prepared) -> dict[str, dict[str, int]]:
    found = {}
    for split in prepared.tables:
        gold = resolved.encoded.gold[split]
        found[split] = {label_name(v): int((gold == i).sum()) for i, v in enumerate(resolved.task.labels)}
    return found
