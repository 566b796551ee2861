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

from tests.families.build import LIMIT
from tests.tiny import sentences, write_csv

N_ROWS = 32
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
    """Return rows of several lengths: every fifth is longer than any model of the matrix with positions reads."""
    return [(_long(text) if i % 5 == 4 else text, label) for i, (text, label) in enumerate(sentences(n))]


def _long(text: str) -> str:
    """Return a text of `LIMIT` words or some more."""
    return " ".join([text] * (1 + LIMIT // len(text.split())))


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


def labels(folder: Path) -> Path:
    """Write texts with any of three labels."""
    lines = [{"text": text, "labels": [name for j, name in enumerate("xyz") if (i + j) % (j + 2) == 0]}
             for i, (text, _) in enumerate(rows())]  # fmt: skip
    return _jsonl(folder / "labels.jsonl", lines)


def questions(folder: Path) -> Path:
    """Write contexts with questions; every fourth has no answer."""
    lines = []
    for i, (text, label) in enumerate(rows()):
        words = text.split()
        start = len(" ".join(words[: len(words) // 2])) + 1
        found = {"text": [words[len(words) // 2]], "answer_start": [start]} if i % 4 else _NO_ANSWER
        lines.append({"question": f"What is {label} in {i}?", "context": text, "answers": found})
    return _jsonl(folder / "questions.jsonl", lines)


_NO_ANSWER: dict[str, list[Any]] = {"text": [], "answer_start": []}


def translations(folder: Path) -> Path:
    """Write texts with their words turned round."""
    lines = [{"source": text, "target": " ".join(text.split()[::-1][:12])} for text, _ in rows()]
    return _jsonl(folder / "translations.jsonl", lines)


def summaries(folder: Path) -> Path:
    """Write texts, and of each its first and last words."""
    lines = [{"text": text, "summary": " ".join(text.split()[:3] + text.split()[-3:])} for text, _ in rows()]
    return _jsonl(folder / "summaries.jsonl", lines)


def prompts(folder: Path) -> Path:
    """Write prompts with completions."""
    lines = [{"prompt": f"Of {text}:", "completion": f"It was {label}."} for text, label in rows()]
    return _jsonl(folder / "prompts.jsonl", lines)


def chats(folder: Path) -> Path:
    """Write conversations: of two turns, and every third of four, after what the system says."""
    lines = []
    for i, (text, label) in enumerate(rows()):
        said = [("user", text), ("assistant", f"It was {label}.")]
        more = [("system", "We saw a film."), *said, ("user", "and"), ("assistant", "so")]
        chosen = more if i % 3 == 0 else said
        lines.append({"messages": [{"role": role, "content": content} for role, content in chosen]})
    return _jsonl(folder / "chats.jsonl", lines)


def texts(folder: Path) -> Path:
    """Write texts, each its own target."""
    return _jsonl(folder / "texts.jsonl", [{"text": text} for text, _ in rows()])


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


def answer_difference(predictor: Any, folder: str, items: Sequence[tuple[str, str]]) -> float:
    """Return the largest difference of the log-odds of an answer's start or end against those of none.

    transformers has no pipeline for it: the plain class reads all items as one batch.
    """
    import torch
    from transformers import AutoModelForQuestionAnswering, AutoTokenizer

    from tunesmith.data.table import Table

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForQuestionAnswering.from_pretrained(folder)
    inputs = tokenizer(*map(list, zip(*items, strict=True)), return_tensors="pt", padding=True)
    with torch.inference_mode():
        out = model(**inputs)
    table = Table.of(dict(zip(predictor.task.columns.values(), zip(*items, strict=True), strict=True)))
    worst = 0.0
    examples = predictor.task.encode(table, predictor.tokenizer)
    for i, (example, read) in enumerate(zip(examples, predictor.outputs(table), strict=True)):
        _, first, offsets = example.place
        (window,) = read.scores.windows
        there = inputs["attention_mask"][i].bool()
        for said, logits in ((window.starts, out.start_logits), (window.ends, out.end_logits)):
            odds = logits[i][there] - logits[i][there][0]
            worst = max(worst, float((odds[first : first + len(offsets)] - torch.as_tensor(said)).abs().max()))
    return worst


def translation_difference(predictor: Any, folder: str, items: Sequence[str]) -> float:
    """Return the largest difference of a first token's logit, or the share of texts that are written differently.

    transformers has no pipeline for it either: the plain class reads all items as one batch.
    """
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    from tunesmith.data.table import Table

    reads, writes = AutoTokenizer.from_pretrained(folder), AutoTokenizer.from_pretrained(f"{folder}/target_tokenizer")
    model = AutoModelForSeq2SeqLM.from_pretrained(folder)
    inputs = reads(list(items), return_tensors="pt", padding=True, return_token_type_ids=False)
    found = writes.batch_decode(model.generate(**inputs), skip_special_tokens=True)
    unlike = _share_unlike([one.text for one in predictor.predict(items)], [text.strip() for text in found])
    start = torch.tensor([[predictor.tokenizer.target.start]])
    with torch.inference_mode():
        theirs = model(**inputs, decoder_input_ids=start.expand(len(items), 1)).logits
        read = predictor.task.encode(Table.of({predictor.task.text: list(items)}), predictor.tokenizer)
        ours = [predictor.model(input_ids=torch.tensor([one.ids]), decoder_input_ids=start).logits for one in read]
    assert theirs.std(dim=0).max() > 2e-4, "texts must matter"
    return max(unlike, float((torch.cat(ours) - theirs).abs().max()))


def continuation_difference(predictor: Any, folder: str, items: Sequence[str]) -> float:
    """Return the share of prompts that the pipeline continues differently."""
    return writing_difference(predictor, folder, [" ".join(item.split()[:4]) for item in items])


def reply_difference(predictor: Any, folder: str, items: Sequence[str]) -> float:
    """Return the share of conversations that the pipeline, which has the template, goes on with differently."""
    return writing_difference(predictor, folder, [json.loads(item)[:-1] for item in items])


def writing_difference(predictor: Any, folder: str, prompts: Sequence[Any]) -> float:
    """Return the share of prompts that the pipeline continues differently, of those that leave room for new tokens."""
    table = predictor.table_of([{predictor.task.text: prompt} for prompt in prompts])
    room = predictor.tokenizer.max_tokens - predictor.task.max_new_tokens
    read = predictor.task.encode(table, predictor.tokenizer)  # cut to the room
    fit = [prompt for prompt, one in zip(prompts, read, strict=True) if len(one.ids) < room]
    write = pipeline("text-generation", folder)
    found = [write(prompt, return_full_text=False)[0]["generated_text"].strip() for prompt in fit]
    ours = predictor.predict([{predictor.task.text: prompt} for prompt in fit])
    return _share_unlike([one.text.strip() for one in ours], found)


def _share_unlike(ours: Sequence[str], theirs: Sequence[str]) -> float:
    assert any(ours), "nothing was written"
    return sum(a != b for a, b in zip(ours, theirs, strict=True)) / len(ours)


def filling_difference(predictor: Any, folder: str, items: Sequence[str]) -> float:
    """Return the largest relative difference of a listed token's probability; infinite where another is listed."""
    mask = predictor.task.mask_token
    masked = [" ".join([*words[:1], mask, *words[2:]]) for words in map(str.split, items)]
    worst = 0.0
    for said, found in zip(predictor.predict(masked), pipeline("fill-mask", folder)(masked), strict=True):
        for one, other in zip(said.fills[0], found, strict=True):
            same = one["token"] == other["token_str"]
            worst = max(worst, abs(math.log(one["score"] / other["score"])) if same else math.inf)
    return worst


WRITTEN = {"task.max_new_tokens": 6}

COLUMNS = {
    "text-classification": Column(classes, class_difference),
    "text-classification, pairs": Column(pairs, class_difference),
    "multi-label-classification": Column(labels, class_difference),
    "text-regression": Column(numbers, number_difference, {"task.kind": "text-regression", "task.label": "score"}),
    "token-classification": Column(entities, tag_difference, {"task.kind": "token-classification"}),
    "question-answering": Column(questions, answer_difference),
    "translation": Column(
        translations,
        translation_difference,
        {**WRITTEN, "task.kind": "translation", "task.num_beams": 2, "task.long_text": "head"},
    ),
    "summarization": Column(
        summaries, translation_difference, {**WRITTEN, "task.kind": "summarization", "task.num_beams": 2}
    ),
    "text-generation": Column(texts, continuation_difference, {**WRITTEN, "task.kind": "text-generation"}),
    "text-generation, prompts": Column(prompts, writing_difference, {**WRITTEN, "task.kind": "text-generation"}),
    "text-generation, chat": Column(chats, reply_difference, {**WRITTEN, "task.kind": "text-generation"}),
    "fill-mask": Column(texts, filling_difference, {"task.kind": "fill-mask"}),
}
"""Name of a task to how it is tried."""
