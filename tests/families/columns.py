"""The tasks of the matrix: data to learn from, and how transformers' pipeline is asked for the same thing.

A new task is one entry in `COLUMNS`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.tiny import sentences, write_csv

N_ROWS = 48
NAMES = {"PER": ["Anna Berg", "Otto", "Mia O'Neil"], "LOC": ["New York", "the U.S.", "Köln"]}


@dataclass(frozen=True)
class Column:
    """One task of the matrix.

    Attributes:
        data: writes a training file into a folder.
        differ: how far the pipeline is from the predictor for some inputs, both loaded from a model folder.
        settings: of the recipe.
    """

    data: Callable[[Path], Path]
    differ: Callable[[Any, str, Sequence[Any]], float]
    settings: dict[str, Any] = field(default_factory=dict)


def rows(n: int = N_ROWS) -> list[tuple[str, str]]:
    """Return rows of several lengths: every eighth is longer than any model of the matrix with positions reads."""
    return [(" ".join([text] * 12) if i % 8 == 7 else text, label) for i, (text, label) in enumerate(sentences(n))]


def classes(folder: Path) -> Path:
    """Write texts with one of two labels."""
    return write_csv(folder / "classes.csv", rows())


def pairs(folder: Path) -> Path:
    """Write pairs of texts with a label."""
    lines = [{"premise": a, "hypothesis": b, "label": x} for (a, x), (b, _) in zip(rows(), rows()[::-1], strict=True)]
    return _jsonl(folder / "pairs.jsonl", lines)


def numbers(folder: Path) -> Path:
    """Write texts with a number on a scale far from the standardised one."""
    lines = [{"text": text, "score": 40 + 2.5 * i + (label == "pos")} for i, (text, label) in enumerate(rows())]
    return _jsonl(folder / "numbers.jsonl", lines)


def entities(folder: Path) -> Path:
    """Write texts with spans of characters."""
    lines = []
    for i, (text, _) in enumerate(rows()):
        kind = list(NAMES)[i % 2]
        name = NAMES[kind][i // 2 % 3]
        start = len(text) // 2
        start = text.find(" ", start) + 1 or 0
        marked = {"start": start, "end": start + len(name), "label": kind}
        lines.append({"text": f"{text[:start]}{name}, {text[start:]}", "entities": [marked]})
    return _jsonl(folder / "entities.jsonl", lines)


def _jsonl(path: Path, lines: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    return path


def pipeline(task: str, folder: str, **more: Any) -> Any:
    """Return transformers' pipeline on the CPU; it pads texts in batches of four."""
    import transformers

    return transformers.pipeline(task, folder, device="cpu", batch_size=4, **more)


def class_difference(predictor: Any, folder: str, items: Sequence[Any]) -> float:
    """Return the largest difference of a probability."""
    asked = [{"text": item[0], "text_pair": item[1]} if isinstance(item, tuple) else item for item in items]
    found = pipeline("text-classification", folder, top_k=None)(asked)
    said = [{entry["label"]: entry["score"] for entry in one} for one in found]
    ours = predictor.predict(items)
    return max(abs(p.probabilities[n] - q[n]) for p, q in zip(ours, said, strict=True) for n in p.probabilities)


def number_difference(predictor: Any, folder: str, items: Sequence[str]) -> float:
    """Return the largest difference of a number."""
    found = pipeline("text-classification", folder, function_to_apply="none")(list(items))
    ours = predictor.predict(items)
    return max(abs(p.value - q["score"]) for p, q in zip(ours, found, strict=True))


def tag_difference(predictor: Any, folder: str, items: Sequence[str]) -> float:
    """Return the largest difference of a word's highest probability; 1 where another tag has it."""
    from tunesmith.data.table import Table

    found = pipeline("token-classification", folder, ignore_labels=[])(list(items))
    table = Table.of({predictor.task.text: list(items)})
    examples = predictor.task.encode(table, predictor.tokenizer)
    worst = 0.0
    for example, lattice, tokens in zip(examples, predictor.outputs(table), found, strict=True):
        by_index = {token["index"]: token for token in tokens}
        for word, place in zip(example.place.words, example.place.tokens, strict=True):
            logp = lattice.each[word]
            best = int(logp.argmax())
            same = by_index[place]["entity"] == predictor.task.labels[best]
            worst = max(worst, abs(by_index[place]["score"] - math.exp(logp[best])) if same else 1.0)
    return worst


COLUMNS = {
    "text-classification": Column(classes, class_difference),
    "text-classification, pairs": Column(pairs, class_difference),
    "text-regression": Column(numbers, number_difference, {"task.kind": "text-regression", "task.label": "score"}),
    "token-classification": Column(entities, tag_difference, {"task.kind": "token-classification"}),
}
"""Name of a task to how it is tried."""
