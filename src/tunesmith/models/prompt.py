"""Prompt tuning: learnt vectors before the text, and nothing else of the model changes (Lester et al. 2021).

The vectors are those of new tokens of the vocabulary, which the tokenizer puts before every text (or the first of two)
as it puts special tokens. So the saved model and tokenizer are plain ones, which any tool opens. What they take of the
most tokens that are read at once, texts lack; longer ones are windowed or cut as ever.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from tunesmith.core.errors import ModelError, RecipeError, Where
from tunesmith.core.seed import derive
from tunesmith.models.vocabulary import train_few_rows

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from tunesmith.models.tokenize import Frame, Tokenizer

NAME = "<prompt_{}>"
COMMON = 5000
"""The vectors start as those of words among so many of the most common (Lester et al. 2021, section 3.2)."""
SPECIAL = ("unk_token", "pad_token", "mask_token", "cls_token", "sep_token", "bos_token", "eos_token")


def with_prompt(tokenizer: Tokenizer, n: int) -> Tokenizer:
    """Return a tokenizer that puts `n` new tokens before every text, after the special tokens that stand there.

    Raises:
        TunesmithError: it can't be given tokens, or they leave no room for texts.
    """
    where = Where(column="model.adapt.tokens", value=n)
    if tokenizer.room(2) - n < 2:
        fix = "choose fewer, or a model that reads longer texts"
        raise RecipeError(f"of {tokenizer.max_tokens} tokens none would be left for texts", where=where, fix=fix)
    if not tokenizer.plain.is_fast:
        raise ModelError("this model's tokenizer can't be given tokens", fix="--set model.adapt.kind=lora")
    plain, ids = _with_tokens(tokenizer.plain, tokenizer.frames, n)
    return replace(tokenizer, plain=plain, prompt=tuple(ids))


def _with_tokens(plain: Any, frames: tuple[Frame, Frame], n: int) -> tuple[Any, list[int]]:
    """Return the tokenizer as one of transformers' general class, and the new tokens' ids.

    A family's own class would put its special tokens around texts as ever.
    """
    from tokenizers import AddedToken
    from tokenizers import Tokenizer as Backend
    from transformers import PreTrainedTokenizerFast

    n_there = sum(name.startswith(NAME[:-3]) for name in plain.get_added_vocab())
    names = [NAME.format(i) for i in range(n_there, n_there + n)]
    backend = plain.backend_tokenizer
    backend.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])
    ids = [int(backend.token_to_id(name)) for name in names]
    state = json.loads(backend.to_str())
    state["post_processor"] = _processor(state["post_processor"], frames, ids, names, plain)
    made = PreTrainedTokenizerFast(
        tokenizer_object=Backend.from_str(json.dumps(state)),
        model_max_length=plain.model_max_length,
        model_input_names=plain.model_input_names,
        padding_side=plain.padding_side,
        split_special_tokens=plain.split_special_tokens,
        **{name: str(token) for name in SPECIAL if (token := getattr(plain, name, None))},
    )
    return made, ids


def _processor(old: Any, frames: tuple[Frame, Frame], ids: list[int], names: list[str], plain: Any) -> dict[str, Any]:
    """Return what puts special tokens around texts, as the library tokenizers writes it down."""
    known = {"prompt": {"id": "prompt", "ids": ids, "tokens": names}}
    for token_id in {token_id for frame in frames for part in frame.ids for token_id in part}:
        token = str(plain.convert_ids_to_tokens(token_id))
        known[token] = {"id": token, "ids": [token_id], "tokens": [token]}
    one, two = (_template(frame, plain) for frame in frames)
    new = {"type": "TemplateProcessing", "single": one, "pair": two, "special_tokens": known}
    if not (old or {}).get("trim_offsets"):
        return new
    # Where a token is in its text, without the white space before it: what the old one saw to as well.
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    byte_level["add_prefix_space"] = bool(old.get("add_prefix_space"))
    return {"type": "Sequence", "processors": [byte_level, new]}


def _template(frame: Frame, plain: Any) -> list[dict[str, Any]]:
    """Return what stands around one text or two, the prompt before the first."""
    found: list[dict[str, Any]] = []
    for i, part in enumerate(frame.ids):
        types = frame.types[i] or [0] * len(part)
        for token_id, kind in zip(part, types, strict=True):
            found.append({"SpecialToken": {"id": str(plain.convert_ids_to_tokens(token_id)), "type_id": kind}})
        if i == 0:
            found.append({"SpecialToken": {"id": "prompt", "type_id": frame.of_text[0]}})
        if i < len(frame.of_text):
            found.append({"Sequence": {"id": "AB"[i], "type_id": frame.of_text[i]}})
    return found


def add_vectors(model: PreTrainedModel, tokenizer: Tokenizer, texts: Iterable[Sequence[int]], *, seed: int) -> None:
    """Give a model a vector for each token of the prompt, which starts as that of a word of the training rows.

    Args:
        model: just built.
        tokenizer: with its prompt.
        texts: token ids of the training rows.
        seed: of the words that are drawn.

    Raises:
        ModelError: the model writes: it would have to learn not to write the prompt.
    """
    if model.get_output_embeddings() is not None:
        where = Where(column="model.adapt.kind", value="prompt")
        message = "models that write words can't have a prompt: they would learn to write it, too"
        raise RecipeError(message, where=where, fix="--set model.adapt.kind=lora")
    counts = Counter(token_id for ids in texts for token_id in ids)
    special = {*tokenizer.prompt, *tokenizer.plain.all_special_ids}
    words = [token_id for token_id, _ in counts.most_common(COMMON + len(special)) if token_id not in special]
    drawn = np.random.default_rng(derive(seed, "prompt")).permutation(words or [tokenizer.pad_id])
    ids = list(tokenizer.prompt)
    table = model.get_input_embeddings()
    if table.num_embeddings <= max(ids):
        table = model.resize_token_embeddings(max(ids) + 1, mean_resizing=False)
    with torch.no_grad():
        table.weight[ids] = table.weight[np.resize(drawn, len(ids)).tolist()]


def learn_prompt(model: nn.Module, ids: Sequence[int]) -> None:
    """Let the vectors of the prompt learn, and no others.

    Raises:
        ModelError: the model's word vectors are read in several places, or in a way of their own.
    """
    if not train_few_rows(model, ids):
        where = Where(column="model.adapt.kind", value="prompt")
        message = "this family's word vectors are read in several places, or in a way of its own"
        raise ModelError(message, where=where, fix="--set model.adapt.kind=lora")
