"""The model card: what the model is, what it was made from, how good it is, how to use it."""

from __future__ import annotations

import io
import json
from typing import Any

from ruamel.yaml import YAML

from tunesmith.core.files import read_json
from tunesmith.core.wording import rows
from tunesmith.metrics.names import METRICS, shown, titled
from tunesmith.run.folder import Run
from tunesmith.run.report.numbers import ends, interval, primary_split
from tunesmith.run.usage import usage
from tunesmith.tasks import TASKS

_LONG_TEXTS = {
    "windows": ", and reads long texts in windows",
    "head": ", and reads the beginning of long texts only",
    "head_tail": ", and reads the beginning and the end of long texts only",
}


def model_card(run: Run) -> str:
    """Return the model folder's README.md, with the metadata the Hugging Face Hub reads; no user text is quoted."""
    settings = read_json(run.model_folder / "tunesmith.json")
    task = TASKS[settings["task"]["kind"]](**settings["task"])
    metrics = run.metrics
    split = primary_split(metrics)
    parts = [
        f"---\n{_metadata(run, settings, split)}---",
        f"# {_plain(run.name)}",
        f"A {task.noun}: {_linked(settings['base_model'])} fine-tuned with tunesmith. " + _promise(task),
        "## How good it is",
        _numbers(metrics, split),
        *[_plain(sentence) for sentence in metrics.get("verdict", {}).get("sentences", [])],
        "## What it was trained on",
        _rows(run),
        "## How to use it",
        f"```python\n{usage(run, task, 'path/to/this/folder')}\n```",
        _cleaning(task, settings["clean"])
        + _LONG_TEXTS.get(settings["task"].get("long_text", ""), "")
        + "."
        + _temperature(settings["temperature"]),
        "## Limits",
        "Measured on rows like those it was trained on; other sources, times or languages may give other numbers. "
        "Not checked for fairness towards groups of people.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _is_on_hub(name: str) -> bool:
    """Whether a model is called OWNER/NAME: the name of a folder might be that of somebody else's model."""
    return name.count("/") == 1 and not name.startswith((".", "/", "~"))


def _linked(name: str) -> str:
    return f"[{name}](https://huggingface.co/{name})" if _is_on_hub(name) else f"`{_plain(name)}`"


def _promise(task: Any) -> str:
    sentence: str
    sentence, names = task.promise()
    return sentence.rstrip(": ") + "." if not names else sentence + ", ".join(f"`{_plain(n)}`" for n in names) + "."


def _cleaning(task: Any, steps: list[str]) -> str:
    if not task.cleans:
        return "`tunesmith predict` takes texts as they are"
    return f"Texts were cleaned before training ({', '.join(steps)}); `tunesmith predict` does that, too"


def _temperature(value: float) -> str:
    if value == 1.0:
        return ""
    return f" Logits were divided by a temperature of {value:.3f}, which is in the head's weights."


def _metadata(run: Run, settings: dict[str, Any], split: str) -> str:
    measured = run.metrics.get("splits", {}).get(split)
    tag = TASKS[settings["task"]["kind"]].hub_tag
    values = [
        {"type": name, "value": round(number.value, 4), "name": titled(name), "verified": False}
        for name in METRICS
        if (number := interval(measured, name)).value is not None
    ]
    result = {
        "task": {"type": tag},
        "dataset": {"name": f"held-out {split} rows", "type": "custom", "split": split},
        "metrics": values,
    }
    data = {
        **({"base_model": settings["base_model"]} if _is_on_hub(settings["base_model"]) else {}),
        "library_name": "transformers",
        "pipeline_tag": tag,
        "tags": [settings["task"]["kind"], "tunesmith"],
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
        if name in measured["values"]:
            lines.append(f"| {metric.title} | {shown(name, interval(measured, name).value)} | {ends(measured, name)} |")
    return "\n".join(lines)


def _rows(run: Run) -> str:
    n = run.manifest.get("rows", {})
    counts = ", ".join(f"{n[s]:,} {s}" for s in ("train", "dev", "test", "unlabeled") if n.get(s))
    return f"Rows: {counts}; {n.get('set_aside', 0):,} of {rows(n.get('read', 0))} set aside."


def _plain(text: str) -> str:
    """Return user text that can't be read as Markdown or HTML."""
    one_line = json.dumps(text, ensure_ascii=False)[1:-1].replace('\\"', '"')
    return one_line.replace("`", "'").replace("<", "&lt;").replace("|", "\\|")
