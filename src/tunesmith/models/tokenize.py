"""From texts to token ids: one place that knows special tokens, limits and what to do with long texts.

Windows overlap by an eighth of the limit, so that a phrase cut by one window is whole in the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from tunesmith.models.source import Source
from tunesmith.models.spec import ModelSpec

LongText = Literal["windows", "head", "head_tail", "error"]

MOST_TOKENS = 1024
"""The limit where a model states none (relative positions): longer texts are windowed all the same."""
OVERLAP = 8
"""A window repeats one part in this many of the window before it."""
CHUNK = 1024


@dataclass(frozen=True)
class Tokenizer:
    """A fast tokenizer and the most tokens the model reads at once, special tokens counted."""

    plain: Any
    max_tokens: int

    @cached_property
    def specials(self) -> tuple[list[int], list[int]]:
        """The ids put before and after every text."""
        with_specials = self.plain("x")["input_ids"]
        bare = self.plain("x", add_special_tokens=False)["input_ids"]
        for start in range(len(with_specials) - len(bare) + 1):
            if with_specials[start : start + len(bare)] == bare:
                return with_specials[:start], with_specials[start + len(bare) :]
        return [], []

    @property
    def room(self) -> int:
        """How many tokens of text fit beside the special ones."""
        before, after = self.specials
        return self.max_tokens - len(before) - len(after)

    @property
    def pad_id(self) -> int:
        """The id that fills short rows."""
        return int(self.plain.pad_token_id or 0)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return each text's token ids, uncut and without special tokens."""
        found: list[list[int]] = []
        for start in range(0, len(texts), CHUNK):
            chunk = list(texts[start : start + CHUNK])
            found += self.plain(
                chunk, add_special_tokens=False, return_attention_mask=False, return_token_type_ids=False, verbose=False
            )["input_ids"]
        return found

    def pieces(self, ids: list[int], policy: LongText) -> list[list[int]]:
        """Return what the model reads of one text: one or more lists of ids, special tokens added.

        `head_tail` keeps a quarter of the room for the beginning and the rest for the end (Sun et al. 2019,
        section 5.3.1). `error` cuts like `head`; the caller refuses long texts before.
        """
        before, after = self.specials
        room = self.room
        if len(ids) <= room:
            parts = [ids]
        elif policy == "windows":
            stride = room - room // OVERLAP
            starts = range(0, len(ids) - room + stride, stride)
            parts = [ids[start : start + room] for start in starts]
        elif policy == "head_tail":
            parts = [ids[: room // 4] + ids[len(ids) - (room - room // 4) :]]
        else:
            parts = [ids[:room]]
        return [before + part + after for part in parts]


def load_tokenizer(source: Source, spec: ModelSpec, *, max_tokens: int | Literal["auto"] = "auto") -> Tokenizer:
    """Load the tokenizer of `source`; `max_tokens` is held to what the model can read."""
    from transformers import AutoConfig, AutoTokenizer

    plain = AutoTokenizer.from_pretrained(source.folder, trust_remote_code=spec.trust_remote_code, use_fast=True)
    if plain.pad_token is None:
        plain.pad_token = plain.eos_token
    config = AutoConfig.from_pretrained(source.folder, trust_remote_code=spec.trust_remote_code)
    limit = _limit(plain, config)
    return Tokenizer(plain, limit if max_tokens == "auto" else min(max_tokens, limit))


def _limit(plain: Any, config: Any) -> int:
    """The smaller of what the tokenizer and the model's position table state."""
    limits = [MOST_TOKENS]
    if 0 < plain.model_max_length < 10**6:
        limits = [int(plain.model_max_length)]
    positions = getattr(config, "max_position_embeddings", None)
    if isinstance(positions, int) and positions > 0:
        # RoBERTa's table starts after the padding index, so two of its positions can't be used.
        offset = 2 if config.model_type in {"roberta", "xlm-roberta", "camembert", "mpnet", "longformer"} else 0
        limits.append(positions - offset)
    return min(limits)
