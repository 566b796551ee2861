"""Tiny random causal models, and texts of a toy grammar: what follows a word is nearly certain."""

from __future__ import annotations

import json
import random
from pathlib import Path

from tests.tiny import BAD, GOOD

END = "<|endoftext|>"


def grammar(n: int, *, seed: int = 0, most: int = 4) -> list[str]:
    """Return texts in which each word of one list is followed by its partner, after "the", before "film"."""
    rng = random.Random(seed)
    return [
        " ".join(f"the {GOOD[a]} {BAD[a]} film" for a in rng.choices(range(8), k=rng.randint(1, most)))
        for _ in range(n)
    ]


def write_text(path: Path, texts: list[str]) -> Path:
    """Write texts, one a line."""
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return path


def write_rows(path: Path, rows: list[dict[str, object]]) -> Path:
    """Write rows as JSON Lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def tiny_writer(folder: Path, *, family: str = "gpt2", max_tokens: int = 32, dropout: float = 0.1) -> Path:
    """Write a random GPT-2 or Llama with a byte-level tokenizer, of whole words for the toy grammar."""
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    bpe = ByteLevelBPETokenizer(add_prefix_space=False)
    bpe.train_from_iterator(
        [*grammar(50), "user: assistant:\n"], vocab_size=400, special_tokens=[END], show_progress=False
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe._tokenizer, bos_token=END, eos_token=END, unk_token=END, model_max_length=max_tokens
    )
    torch.manual_seed(0)
    size = len(tokenizer)
    ends = {"bos_token_id": 0, "eos_token_id": 0}
    if family == "gpt2":
        drop = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), dropout)
        config = GPT2Config(vocab_size=size, n_embd=32, n_layer=2, n_head=2, n_positions=max_tokens, **drop, **ends)
        GPT2LMHeadModel(config).save_pretrained(folder)
    else:
        shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
        LlamaForCausalLM(
            LlamaConfig(vocab_size=size, max_position_embeddings=max_tokens, **shape, **ends)
        ).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
