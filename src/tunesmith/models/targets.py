"""The written side of an encoder-decoder: target texts to token ids, and what the model wrote back to text.

A model made for writing has its tokens. One that was only made for reading may lack them: MiniLM's 30,522 are English
and without capitals. Then the target side gets its own, learnt from the training targets: byte pairs (Sennrich et al.
2016), which any text can be written with, and of which a few thousand do; fewer make the output layer cheaper, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

FOLDER = "target_tokenizer"
"""Where a model folder holds the tokenizer of its targets, if that is another than that of its sources."""
PAD, START, END = "<pad>", "<s>", "</s>"
MOST_TOKENS = 1024
"""The longest target where a model states no limit (relative positions)."""
SEEN_AT_LEAST = 2
"""A pair of tokens that occurs less often becomes no token of its own."""


@dataclass(frozen=True)
class Target:
    """How a model writes.

    Attributes:
        plain: the tokenizer, which may be the one that reads as well.
        config_start: the id the decoder starts from; None where that is the last of each target,
            which names the language (mBART).
        max_tokens: of a target, special ones counted.
        is_own: whether it was learnt from targets, apart from the one that reads.
    """

    plain: Any
    config_start: int | None
    max_tokens: int
    is_own: bool = False

    @classmethod
    def find(cls, folder: Path, plain: Any, config: Any) -> Self | None:
        """Return how the model in a folder writes; None if it can only read.

        Args:
            folder: of the checkpoint.
            plain: its tokenizer.
            config: its configuration.
        """
        if not config.is_encoder_decoder:
            return None
        is_own = (folder / FOLDER).is_dir()
        if is_own:
            from transformers import AutoTokenizer

            plain = AutoTokenizer.from_pretrained(folder / FOLDER)
        start = None if config.model_type == "mbart" else config.decoder_start_token_id
        positions = getattr(getattr(config, "decoder", config), "max_position_embeddings", None)
        return cls(plain, start, int(positions or MOST_TOKENS), is_own)

    @cached_property
    def frame(self) -> tuple[list[int], list[int]]:
        """The special tokens before and after a target, the end in any case; not the start, given to the decoder."""
        whole = list(self.plain(text_target="x")["input_ids"])
        bare = self._bare(["x"])[0]
        at = next(i for i in range(len(whole)) if whole[i : i + len(bare)] == bare)
        before, after = whole[:at], whole[at + len(bare) :]
        after += [] if self.end in after else [self.end]  # GPT-2's puts nothing around a text
        return before[before[:1] == [self.config_start] :], after

    @property
    def start(self) -> int:
        """The id that the decoder starts from."""
        return self.frame[1][-1] if self.config_start is None else self.config_start

    @property
    def end(self) -> int:
        """The id that ends a text."""
        found = self.plain.eos_token_id
        return int(self.plain.sep_token_id if found is None else found)

    @property
    def pad(self) -> int:
        """The id that fills short texts."""
        return int(self.plain.pad_token_id)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return each target as the model is to write it; one that is too long loses its last words."""
        before, after = self.frame
        room = self.max_tokens - len(before) - len(after)
        return [before + ids[:room] + after for ids in self._bare(texts)]

    def texts(self, ids: Iterable[Sequence[int]]) -> list[str]:
        """Return what was written."""
        return [self.plain.decode(list(one), skip_special_tokens=True).strip() for one in ids]

    def loses(self, texts: Sequence[str]) -> float:
        """Return the share of texts that don't come back as they are, white space apart."""
        back = self.texts(self._bare(texts))
        lost = [1 for a, b in zip(texts, back, strict=True) if "".join(a.split()) != "".join(b.split())]
        return len(lost) / max(1, len(texts))

    def _bare(self, texts: Sequence[str]) -> list[list[int]]:
        found: list[list[int]] = self.plain(text_target=list(texts), add_special_tokens=False, verbose=False)[
            "input_ids"
        ]
        return found


def own_tokenizer(texts: Sequence[str], *, n_tokens: int) -> Any:
    """Learn a tokenizer from texts, at most `n_tokens` byte pairs; the same texts give the same one."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    raw.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)])
    trainer = trainers.BpeTrainer(
        vocab_size=n_tokens,
        min_frequency=SEEN_AT_LEAST,
        special_tokens=[PAD, START, END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    raw.train_from_iterator(texts, trainer)
    raw.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(START, raw.token_to_id(START)), (END, raw.token_to_id(END))]
    )
    return PreTrainedTokenizerFast(tokenizer_object=raw, pad_token=PAD, bos_token=START, eos_token=END)
