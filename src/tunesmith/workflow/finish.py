"""After the last step: tune, measure, compare with baselines, save, reload in a fresh process, report."""

from __future__ import annotations

import shlex
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tunesmith.core import hardware
from tunesmith.core.files import write_text
from tunesmith.data.table import Table
from tunesmith.metrics.evidence import Together
from tunesmith.metrics.verdict import verdict
from tunesmith.recipe.origins import flat
from tunesmith.run.card import model_card
from tunesmith.run.folder import Run
from tunesmith.run.report import write_report
from tunesmith.workflow.assess import add_baselines, answer, assess
from tunesmith.workflow.prepare import Prepared
from tunesmith.workflow.save import save_model, verify
from tunesmith.workflow.session import Fitted, Watch


def finish(
    resolved: Any,
    prepared: Prepared,
    *,
    fitted: Fitted,
    run: Run,
    watch: Watch,
    began: float,
    together: Together | None = None,
) -> None:
    """Measure and write everything a finished run holds."""
    watch.tell({"event": "phase", "name": "measuring"})
    resolved = replace(resolved, task=resolved.task.finished(fitted.model))
    answers = answer(resolved, prepared, fitted)
    seconds = {"train": round(fitted.seconds, 2), "total": round(fitted.before + time.monotonic() - began, 2)}
    metrics = assess(resolved, fitted, answers)
    if resolved.recipe.evaluate.baselines:
        watch.tell({"event": "phase", "name": "baselines"})
        add_baselines(resolved, prepared, fitted, answers, metrics)
    metrics["verdict"] = verdict(
        metrics,
        events=list(run.events()),
        n_train=len(prepared.written),
        settings=flat(resolved.recipe),
        data=shlex.join(resolved.recipe.data.path),
        together=together,
    )
    run.save_metrics(metrics)
    for split, said in answers.predictions.items():
        run.write_predictions(split, prediction_rows(answers.tuned.task, prepared.tables[split], said))
    watch.tell({"event": "phase", "name": "saving"})
    save_model(resolved, fitted, answers, run=run)
    verify(resolved, answers, run=run)
    run.update_manifest(_facts(prepared, resolved, fitted, seconds=seconds))
    write_text(run.model_folder / "README.md", model_card(run))
    run.mark("done", reason=fitted.stopped)
    # Nothing is left to resume; the best weights are in model/.
    shutil.rmtree(run.checkpoints_folder, ignore_errors=True)
    write_report(run)


def prediction_rows(task: Any, table: Table, said: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """Yield the lines of `predictions/*.jsonl`: where a row stands, what was read, what is right, what was said."""
    gold = task.gold(table)
    for i, prediction in enumerate(said):
        where = table.where(i)
        read = {name: table[column][i] for name, column in task.columns.items()}
        yield {"file": where.file, "row": where.row, **read, "gold": gold[i], **prediction.record()}


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
        "labels": resolved.task.summary(prepared.tables),
    }


def histogram(lengths: Sequence[int]) -> dict[str, Any]:
    """Return counts of token lengths in 20 equal bins, for the report."""
    counts, edges = np.histogram(lengths, bins=20)
    return {"edges": [float(e) for e in edges], "counts": [int(c) for c in counts]}
