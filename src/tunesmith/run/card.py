"""The model card: what the model is, what it was made from, how good it is, how to use it."""

from __future__ import annotations

import io
import json
from typing import Any

from ruamel.yaml import YAML

from tunesmith.core.files import read_json
from tunesmith.core.wording import rows
from tunesmith.inference.settings import load_settings
from tunesmith.metrics.names import METRICS, shown, titled
from tunesmith.run.folder import Run
from tunesmith.run.report.numbers import interval, primary_split
from tunesmith.tasks.base import Task

_LONG_TEXTS = {
    "windows": ", and reads long texts in windows",
    "head": ", and reads the beginning of long texts only",
    "head_tail": ", and reads the beginning and the end of long texts only",
}


def model_card(run: Run) -> str:
    """Return the model folder's README.md, with the metadata the Hugging Face Hub reads; no user text is quoted."""
    settings = read_json(run.model_folder / "tunesmith.json")
    task = load_settings(run.model_folder).build_task()
    metrics = run.metrics
    split = primary_split(metrics)
    parts = [
        f"---\n{_metadata(run, settings, task, split)}---",
        f"# {_plain(run.name)}",
        f"A model for {task.kind}: [{settings['base_model']}](https://huggingface.co/{settings['base_model']}) "
        f"fine-tuned with tunesmith. It gives each text {task.gives(lambda name: f'`{_plain(name)}`')}.",
        "## How good it is",
        _numbers(metrics, split),
        *[_plain(sentence) for sentence in metrics.get("verdict", {}).get("sentences", [])],
        "## What it was trained on",
        _rows(run),
        "## How to use it",
        "```python\nfrom transformers import pipeline\n\n"
        f'pipeline("{task.pipeline}", "path/to/this/folder")("your text")\n```',
        "Texts were cleaned before training ("
        + ", ".join(settings["clean"])
        + "); `tunesmith predict` does that, too"
        + _LONG_TEXTS.get(settings["task"].get("long_text", ""), "")
        + ". "
        + _temperature(metrics),
        "## Limits",
        "Measured on rows like those it was trained on; other sources, times or languages may give other numbers. "
        "Not checked for fairness towards groups of people.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _temperature(metrics: dict[str, Any]) -> str:
    found = metrics.get("calibration", {}).get("temperature")
    return f"Logits were divided by a temperature of {found:.3f}, which is in the head's weights." if found else ""


def _metadata(run: Run, settings: dict[str, Any], task: Task, split: str) -> str:
    measured = run.metrics.get("splits", {}).get(split)
    values = [
        {"type": name, "value": round(number.value, 4), "name": titled(name), "verified": False}
        for name in task.metric_names
        if (number := interval(measured, name)).value is not None
    ]
    result = {
        "task": {"type": task.pipeline},
        "dataset": {"name": f"held-out {split} rows", "type": "custom", "split": split},
        "metrics": values,
    }
    data = {
        "base_model": settings["base_model"],
        "library_name": "transformers",
        "pipeline_tag": task.pipeline,
        "tags": [task.kind, "tunesmith"],
        **({"model-index": [{"name": run.name, "results": [result]}]} if values else {}),
    }
    stream = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.dump(data, stream)
    return stream.getvalue()


def _numbers(metrics: dict[str, Any], split: str) -> str:
    measured = metrics.get("splits", {}).get(split)
    if not measured:
        return "Not measured: there were no rows to spare."
    lines = [f"On {rows(measured['n_rows'], split)}:", "", "| metric | value | 95% interval |", "|---|---|---|"]
    for name, metric in METRICS.items():
        number = interval(measured, name)
        if number.value is not None:
            value, low, high = (shown(name, end) for end in number)
            lines.append(f"| {metric.title} | {value} | {low} to {high} |")
    return "\n".join(lines)


def _rows(run: Run) -> str:
    n = run.manifest.get("rows", {})
    counts = ", ".join(f"{n[s]:,} {s}" for s in ("train", "dev", "test") if n.get(s))
    return f"Rows: {counts}; {n.get('set_aside', 0):,} of {rows(n.get('read', 0))} set aside."


def _plain(text: str) -> str:
    """Return user text that can't be read as Markdown or HTML."""
    one_line = json.dumps(text, ensure_ascii=False)[1:-1].replace('\\"', '"')
    return one_line.replace("`", "'").replace("<", "&lt;").replace("|", "\\|")
