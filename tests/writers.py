"""Tiny random encoder-decoders, and a language that can be learnt word by word."""

from __future__ import annotations

import json
import random
from pathlib import Path

from tests.tiny import BAD, GOOD, OTHER

SPREAD = 0.1
"""Deviation of the random weights: with a larger one attention learns where to look in fewer steps."""
WORDS = [*GOOD, *BAD, *OTHER]
TRANSLATED = {word: word[::-1].capitalize() for word in WORDS}


def pairs(n: int, *, seed: int = 0, most: int = 3) -> list[dict[str, str]]:
    """Return `n` sources of up to `most` of eight words, and targets: each word has its own translation."""
    rng = random.Random(seed)
    sources = [rng.choices(GOOD, k=rng.randint(1, most)) for _ in range(n)]
    return [{"source": " ".join(s), "target": " ".join(TRANSLATED[word] for word in s)} for s in sources]


def write_jsonl(path: Path, rows: list[dict[str, str]]) -> Path:
    """Write rows as JSON Lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def word_tokenizer(*, pad: str = "<pad>", end: str = "</s>", start: str = "<s>", starts: bool = False):
    """Return a tokenizer of whole words, sources and targets, that ends texts with `end` and may start them."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = [start, pad, end, "<unk>"]
    words = [*special, *WORDS, *TRANSLATED.values()]
    raw = Tokenizer(models.WordLevel({word: i for i, word in enumerate(dict.fromkeys(words))}, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    ids = [(token, raw.token_to_id(token)) for token in (start, end)]
    raw.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}" if starts else f"$A {end}", special_tokens=ids
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token=pad, eos_token=end, bos_token=start, unk_token="<unk>", model_max_length=32
    )


def many_languages():
    """Return a tokenizer as mBART's, from English into German."""
    from transformers import MBartTokenizer

    special = [(token, 0.0) for token in ("<s>", "<pad>", "</s>", "<unk>")]
    words = [(f"▁{word}", -2.0) for word in dict.fromkeys([*WORDS, *TRANSLATED.values()])]
    return MBartTokenizer(vocab=[*special, *words], src_lang="en_XX", tgt_lang="de_DE", model_max_length=32)


def tiny_writer(folder: Path, family: str) -> Path:
    """Write a random T5, BART, mBART, Marian or Pegasus into `folder`."""
    import torch
    import transformers

    tokenizer = many_languages() if family == "mbart" else word_tokenizer(starts=family == "bart")
    ids = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    start = {"t5": ids["pad_token_id"], "bart": ids["eos_token_id"]}.get(family, ids["pad_token_id"])
    common = {"vocab_size": len(tokenizer), "d_model": 32, "decoder_start_token_id": start, **ids}
    if family == "t5":
        config = transformers.T5Config(d_kv=16, d_ff=64, num_layers=2, num_heads=2, **common)
    else:
        kind = {"bart": "BartConfig", "marian": "MarianConfig", "pegasus": "PegasusConfig", "mbart": "MBartConfig"}
        sides = {
            f"{side}_{name}": value
            for side in ("encoder", "decoder")
            for name, value in (("layers", 2), ("attention_heads", 2), ("ffn_dim", 64))
        }
        more = {"bos_token_id": tokenizer.bos_token_id, "forced_eos_token_id": tokenizer.eos_token_id}
        more |= {"max_position_embeddings": 64, "init_std": SPREAD}
        config = getattr(transformers, kind[family])(**sides, **common, **more)
    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    transformers.AutoModelForSeq2SeqLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
