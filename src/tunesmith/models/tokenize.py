"""From texts to token ids: one place that knows special tokens, limits and what to do with long texts.

Windows overlap by an eighth of the limit, so that a phrase cut by one window is whole in the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, Literal, NamedTuple, Self

from tunesmith.core.errors import ModelError, Where
from tunesmith.models.prompt import with_prompt
from tunesmith.models.source import Source
from tunesmith.models.spec import ModelSpec
from tunesmith.models.targets import Target

LongText = Literal["windows", "head", "head_tail", "error"]

MOST_TOKENS = 1024
"""The limit where neither tokenizer nor model states one (relative positions): longer texts are windowed."""
AFTER_PADDING = {
    *("roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod", "camembert"),
    *("mpnet", "longformer", "luke", "ibert", "data2vec-text"),
}
"""Families whose table of positions starts after the padding index, so that two of them can't be used."""
OVERLAP = 8
"""A window repeats one part in this many of the window before it."""
CHUNK = 1024


class Piece(NamedTuple):
    """What the model reads at once.

    Attributes:
        ids: special tokens included.
        types: for each token which text it is of, where that tells something; empty otherwise.
    """

    ids: list[int]
    types: list[int]

    @property
    def extras(self) -> dict[str, list[int]]:
        """The model's inputs besides the ids."""
        return {"token_type_ids": self.types} if self.types else {}


@dataclass(frozen=True)
class Frame:
    """What a tokenizer puts around one text, or around and between two.

    Attributes:
        ids: before the first text, (between the two,) after the last.
        types: of these; empty lists where the model does not ask.
        of_text: the type of each text's own tokens.
        blank: the id that stands for a text without tokens where nothing is around it (GPT-2); models read at least
            one.
    """

    ids: tuple[list[int], ...]
    types: tuple[list[int], ...]
    of_text: tuple[int, ...]
    blank: int

    @classmethod
    def of(cls, plain: Any, *texts: str) -> Self:
        """Find it in how a tokenizer encodes texts of one token."""
        whole = plain(*texts)
        ids, types = list(whole["input_ids"]), list(whole.get("token_type_ids", []))
        around, of_text, start = [], [], 0
        for text in texts:
            bare = plain(text, add_special_tokens=False)["input_ids"]
            places = range(start, len(ids) - len(bare) + 1)
            place = next((i for i in places if ids[i : i + len(bare)] == bare), start)
            around.append((start, place))
            of_text.append(types[place] if types else 0)
            start = place + len(bare)
        around.append((start, len(ids)))
        parts = [tuple(values[i:j] for i, j in around) for values in (ids, types)]
        return cls(parts[0], parts[1], tuple(of_text), int(plain.pad_token_id or 0))

    def __len__(self) -> int:
        return sum(map(len, self.ids))

    def filled(self, *texts: list[int]) -> Piece:
        """Return texts with their special tokens."""
        ids, types = [*self.ids[0]], [*self.types[0]]
        for i, text in enumerate(texts):
            ids += text + self.ids[i + 1]
            types += [self.of_text[i]] * len(text) + self.types[i + 1]
        return Piece(ids or [self.blank], types if any(map(any, self.types)) or any(self.of_text) else [])


@dataclass(frozen=True)
class Tokenizer:
    """A fast tokenizer and the most tokens the model reads at once, special tokens counted.

    Attributes:
        target: how the model writes, where it does.
        prompt: ids of the tokens before every text whose vectors are learnt.
    """

    plain: Any
    max_tokens: int
    target: Target | None = None
    prompt: tuple[int, ...] = ()

    @cached_property
    def frames(self) -> tuple[Frame, Frame]:
        """What stands around one text, and around two."""
        return Frame.of(self.plain, "x"), Frame.of(self.plain, "x", "y")

    def room(self, n_texts: int = 1) -> int:
        """How many tokens of one text, or of two together, fit beside the special ones."""
        return self.max_tokens - len(self.frames[n_texts - 1])

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
        return self._as_text(found) if self.plain.split_special_tokens else found

    def _as_text(self, rows: list[list[int]]) -> list[list[int]]:
        """Return ids in which nothing is a special token; Unigram tokenizers find them in texts whatever is set."""
        special = set(self.plain.all_special_ids)
        return [[self.plain.unk_token_id if i in special else i for i in ids] for ids in rows]

    def with_offsets(self, texts: Sequence[str]) -> Iterator[tuple[list[int], list[tuple[int, int]]]]:
        """Yield each text's token ids, uncut and without special tokens, and where in the text each token is.

        Raises:
            ModelError: the tokenizer does not know where.
        """
        if not self.plain.is_fast:
            fix = "choose a model with a tokenizer.json"
            raise ModelError("this model's tokenizer does not say where in a text its tokens are", fix=fix)
        for start in range(0, len(texts), CHUNK):
            found = self.plain(
                list(texts[start : start + CHUNK]),
                add_special_tokens=False,
                return_attention_mask=False,
                return_token_type_ids=False,
                return_offsets_mapping=True,
                verbose=False,
            )
            yield from zip(found["input_ids"], found["offset_mapping"], strict=True)

    def with_words(self, texts: Sequence[str]) -> Iterator[tuple[list[int], list[int | None]]]:
        """Yield each text's token ids, uncut and without special tokens but those written in it, and their words."""
        as_written = {"add_special_tokens": False, "split_special_tokens": False, "verbose": False}
        for start in range(0, len(texts), CHUNK):
            found = self.plain(list(texts[start : start + CHUNK]), **as_written)
            yield from ((ids, found.word_ids(i)) for i, ids in enumerate(found["input_ids"]))

    def pieces(self, *texts: list[int], policy: LongText) -> list[Piece]:
        """Return what the model reads of a row: one or more pieces, special tokens added.

        Of two texts that are too long together, the longer one is windowed or cut and the other one stays whole; where
        the shorter one, too, has more than half of the room, each gets half.

        Args:
            texts: token ids of the row's text, or of its two texts, without special tokens.
            policy: `head_tail` keeps a quarter of the room for the beginning and the rest for the end (Sun et al. 2019,
                section 5.3.1). `error` cuts like `head`; the caller refuses long texts before.
        """
        frame, room = self.frames[len(texts) - 1], self.room(len(texts))
        rooms = (room,) if len(texts) == 1 else _rooms(*map(len, texts), room=room)
        parts = [cut(ids, n, policy) for ids, n in zip(texts, rooms, strict=True)]
        return [frame.filled(*chosen) for chosen in product(*parts)]


def cut(ids: list[int], room: int, policy: LongText) -> list[list[int]]:
    """Return the parts of one text that are read: all of it in overlapping windows, or what a cut leaves."""
    if len(ids) <= room:
        return [ids]
    if policy == "windows":
        stride = room - room // OVERLAP
        return [ids[start : start + room] for start in range(0, len(ids) - room + stride, stride)]
    if policy == "head_tail":
        return [ids[: room // 4] + ids[len(ids) - (room - room // 4) :]]
    return [ids[:room]]


def _rooms(one: int, other: int, *, room: int) -> tuple[int, int]:
    """Return how many tokens each of two texts of these lengths may have."""
    if one + other <= room:
        return one, other
    half = room // 2
    if one <= half:
        return one, room - one
    if other <= half:
        return room - other, other
    return room - half, half


def load_tokenizer(source: Source, spec: ModelSpec, *, max_tokens: int | Literal["auto"] = "auto") -> Tokenizer:
    """Load the tokenizer of `source`; `max_tokens` is held to what the model can read.

    Raises:
        TunesmithError: it needs a library that isn't there, or can't be given a prompt.
    """
    from transformers import AutoTokenizer

    from tunesmith.models.opening import config_of

    own_code = spec.trust_remote_code
    config = config_of(source, spec)
    # Encoder-decoders pool at the end-of-text token: "</s>" in a text (struck out, in HTML) must not become one.
    as_text = {"split_special_tokens": True} if config.is_encoder_decoder else {}
    try:
        plain = AutoTokenizer.from_pretrained(source.folder, trust_remote_code=own_code, **as_text)
    except ImportError as error:
        where = Where(str(source.folder))
        fix = "pip install 'tunesmith[sentencepiece]', which the family's own tokenizer needs"
        raise ModelError("the tokenizer can't be loaded", where=where, fix=fix) from error
    if plain.pad_token is None:
        plain.pad_token = plain.eos_token or plain.unk_token or plain.bos_token
    limit = _limit(plain, config)
    target = Target.find(source.folder, plain, config)
    found = Tokenizer(plain, limit if max_tokens == "auto" else min(max_tokens, limit), target)
    return with_prompt(found, spec.adapt.tokens) if spec.adapt.kind == "prompt" else found


def _limit(plain: Any, config: Any) -> int:
    """The smaller of what the tokenizer and the model's position table state."""
    limits = []
    if 0 < plain.model_max_length < 10**6:
        limits.append(int(plain.model_max_length))
    positions = getattr(getattr(config, "encoder", config), "max_position_embeddings", None)
    if isinstance(positions, int) and positions > 0:
        limits.append(positions - 2 * (config.model_type in AFTER_PADDING))
    return min(limits, default=MOST_TOKENS)
