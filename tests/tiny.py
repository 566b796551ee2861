"""Tiny random checkpoints and data for tests of mechanics: 2 layers, width 32, built in a moment."""

from __future__ import annotations

import csv
import random
from pathlib import Path

GOOD = ["good", "great", "lovely", "fine", "warm", "bright", "happy", "sweet"]
BAD = ["bad", "awful", "dull", "poor", "cold", "dark", "sad", "bitter"]
OTHER = [
    "the",
    "a",
    "film",
    "book",
    "day",
    "it",
    "was",
    "and",
    "very",
    "so",
    "then",
    "they",
    "we",
    "saw",
    "had",
    "long",
    "short",
    "new",
    "old",
]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def tiny_bert(
    folder: Path,
    *,
    dropout: float = 0.1,
    max_tokens: int = 32,
    width: int = 32,
    unused_words: int = 0,
    spread: float = 0.02,
) -> Path:
    """Write a random BERT with a word-level vocabulary into `folder`.

    `spread` is the deviation of its weights: with a larger one attention learns where to look in fewer steps.
    From width 64 on, and with many unused words, training takes the fast forms of layers as with a real model.
    """
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text(
        "\n".join([*SPECIAL, *GOOD, *BAD, *OTHER, *(f"unused{i}" for i in range(unused_words))]) + "\n"
    )
    tokenizer = BertTokenizerFast(vocab=str(folder / "vocab.txt"), model_max_length=max_tokens)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=2 * width,
        max_position_embeddings=max_tokens,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        initializer_range=spread,
    )
    torch.manual_seed(0)
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def sentences(n: int, *, seed: int = 0) -> list[tuple[str, str]]:
    """Return `n` distinct-looking (text, label) rows that can be learnt from single words."""
    rng = random.Random(seed)
    rows = []
    for i in range(n):
        label, words = (("pos", GOOD), ("neg", BAD))[i % 2]
        text = [*rng.choices(OTHER, k=rng.randint(2, 14)), *rng.choices(words, k=2)]
        rng.shuffle(text)
        rows.append((" ".join(text), label))
    return rows


def write_csv(path: Path, rows: list[tuple[str, str]], *, header: tuple[str, str] = ("text", "label")) -> Path:
    """Write rows as CSV."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows(rows)
    return path
