"""A tiny tagger's checkpoint and data: names of several sub-tokens, to be told from the words between them."""

from __future__ import annotations

import json
import random
from pathlib import Path

from tests.tiny import OTHER, SPECIAL

PEOPLE = ["anna", "anna bell", "tom", "tom bell"]
PLACES = ["bonn", "north bonn", "oslo"]
PIECES = ["an", "##na", "be", "##ll", "to", "##m", "bo", "##nn", "north", "os", "##lo", ".", ",", "in", "met"]
PARTS = {"the": "DET", "a": "DET", "in": "ADP", "met": "VERB", "saw": "VERB", "had": "VERB", ".": "PUNCT"}

Row = list[tuple[str, str]]
"""Words with tags in IOB2."""


def tiny_tagger(folder: Path, *, max_tokens: int = 32) -> Path:
    """Write a random BERT into `folder` whose tokenizer cuts names into two tokens, and knows some words."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join([*SPECIAL, *OTHER, *PIECES]) + "\n")
    tokenizer = BertTokenizerFast(vocab=str(folder / "vocab.txt"), model_max_length=max_tokens)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=max_tokens,
    )  # fmt: skip
    torch.manual_seed(0)
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def rows(n: int, *, seed: int = 0, n_parts: int = 3) -> list[Row]:
    """Return sentences of fillers, people and places."""
    rng = random.Random(seed)
    found = []
    for _ in range(n):
        row: Row = []
        for _ in range(n_parts):
            row += [(word, "O") for word in rng.choices([*OTHER, "in", "met"], k=rng.randint(1, 4))]
            kind, names = rng.choice([("PER", PEOPLE), ("LOC", PLACES)])
            name = rng.choice(names).split()
            row += [(word, f"{'I' if i else 'B'}-{kind}") for i, word in enumerate(name)]
        found.append([*row, (".", "O")])
    return found


def parts_of_speech(n: int, *, seed: int = 0) -> list[Row]:
    """Return the same sentences with parts of speech."""
    names = {"PER": "NAME", "LOC": "NAME"}
    return [[(w, names[t[2:]] if t != "O" else PARTS.get(w, "NOUN")) for w, t in row] for row in rows(n, seed=seed)]


def write_conll(path: Path, given: list[Row]) -> Path:
    """Write rows as CoNLL columns."""
    path.write_text("\n".join("".join(f"{word} {tag}\n" for word, tag in row) for row in given))
    return path


def write_spans(path: Path, given: list[Row]) -> Path:
    """Write rows as texts with spans of characters, one JSON object a line."""
    lines = []
    for row in given:
        text, spans = "", []
        for word, tag in row:
            start = len(text) + bool(text) if word != "." else len(text)
            text = text + " " * (start - len(text)) + word
            if tag.startswith("B-"):
                spans.append({"start": start, "end": len(text), "label": tag[2:]})
            elif tag.startswith("I-"):
                spans[-1]["end"] = len(text)
        lines.append(json.dumps({"text": text, "spans": spans}))
    path.write_text("\n".join(lines) + "\n")
    return path
