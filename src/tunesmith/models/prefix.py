"""Prefix tuning: keys and values that all tokens see in every layer learn, and nothing else of the model changes.

Li and Liang (2021, "Prefix-Tuning: Optimizing Continuous Prompts for Generation"), with an attention's prefix P_k, P_v:

    softmax(q [P_k; k] / sqrt(d)) [P_v; v]

Learnt as they are, without the network they come from there (section 4.3): they start as keys and values of words of
the training rows, which settles training as well (section 7.4). A prefix has no positions: texts keep all their room.

No class of transformers can hold a prefix. The model becomes one of a class derived from its family's, which opens in
every tool of transformers once tunesmith is imported; see ADR 10.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from tunesmith.core.errors import ModelError, Where
from tunesmith.core.seed import derive
from tunesmith.models.layers import ADDED
from tunesmith.models.prefix_config import Prefixes, prefixed_config

ATTENTION = "tunesmith_prefix"
"""What transformers calls the attention that looks for prefixes."""
NAME = "learnt_prefix"
"""The attribute of an attention that holds its prefix."""
OPENERS = (
    *("AutoModelForSequenceClassification", "AutoModelForTokenClassification", "AutoModelForQuestionAnswering"),
    *("AutoModelForCausalLM", "AutoModelForMaskedLM", "AutoModelForSeq2SeqLM", "AutoModel"),
)
COMMON = 5000
"""Prefixes start from words among so many of the most common."""


class Prefix(nn.Module):
    """Learnt keys and values, each of shape (heads, tokens, width of a head)."""

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.keys = nn.Parameter(torch.empty(*shape))
        self.values = nn.Parameter(torch.empty(*shape))

    def forward(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Put the learnt ones before those of the tokens, shape (batch, heads, tokens, width of a head)."""
        pairs = ((self.keys, key), (self.values, value))
        own, other = (torch.cat([one.to(of).expand(len(of), *one.shape), of], dim=2) for one, of in pairs)
        return own, other


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    is_causal: bool | None = None,
    position_bias: Tensor | None = None,
    **more: Any,
) -> tuple[Tensor, None]:
    """Attend as torch does, to the prefix of the attention `module` as well, which every token sees."""
    prefix, n_tokens = getattr(module, NAME, None), key.shape[2]
    if prefix is not None:
        key, value = prefix(key, value)
    n = key.shape[2] - n_tokens
    if n:
        reads_on = getattr(module, "is_causal", True) if is_causal is None else is_causal
        if attention_mask is None and reads_on and query.shape[2] > 1:
            ones = torch.ones(query.shape[2], n_tokens, dtype=torch.bool, device=query.device)
            attention_mask = ones.tril(n_tokens - query.shape[2])
        if attention_mask is not None:
            sees = True if attention_mask.dtype == torch.bool else 0.0
            attention_mask = F.pad(attention_mask, (n, 0), value=sees)
        position_bias = None if position_bias is None else F.pad(position_bias, (n, 0))
        is_causal = False
    if position_bias is not None:
        more["position_bias"] = position_bias
    found: tuple[Tensor, None] = sdpa_attention_forward(
        module, query, key, value, attention_mask, is_causal=is_causal, **more
    )
    return found


AttentionInterface.register(ATTENTION, attend)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)


def add_prefixes(model: PreTrainedModel, texts: Iterable[Sequence[int]], n: int, *, seed: int) -> None:
    """Give every attention a prefix of `n` tokens, which starts as what it makes of words of the training rows.

    Args:
        model: just built; it becomes one of the class that can hold prefixes.
        texts: token ids of the training rows.
        n: tokens.
        seed: of the words that are drawn.

    Raises:
        ModelError: the family computes attention in a way of its own, or the model has prefixes already.
    """
    where = Where(column="model.adapt.kind", value="prefix")
    if getattr(model.config, "prefixes", None):
        message = "this model has learnt prefixes already"
        raise ModelError(message, where=where, fix="start from what it was made from, or --set model.adapt.kind=lora")
    _use(model)
    found = _seen(model, _words(texts, n, seed))
    if not found:
        message = f'"{model.config.model_type}" computes attention in a way of its own'
        raise ModelError(message, where=where, fix="--set model.adapt.kind=lora")
    prefixes = {name: list(keys.shape) for name, (keys, _) in found.items()}
    config: Any = model.config
    config.__class__ = prefixed_config(config.__class__)
    config.prefixes = prefixes
    plain: Any = model.__class__
    model.__class__ = prefixed_class(plain)
    _attach(model, prefixes)
    for name, values in found.items():
        with torch.no_grad():
            for parameter, value in zip(model.get_submodule(f"{name}.{NAME}").parameters(), values, strict=True):
                parameter.copy_(value)


def _words(texts: Iterable[Sequence[int]], n: int, seed: int) -> Tensor:
    """Return the ids of `n` tokens that are common in the texts, drawn, shape (1, n)."""
    counts = Counter(token_id for ids in texts for token_id in ids)
    words = [token_id for token_id, _ in counts.most_common(COMMON)]
    drawn = np.random.default_rng(derive(seed, "prefix")).permutation(words)
    return torch.tensor(np.resize(drawn, (1, n)))


def _seen(model: PreTrainedModel, ids: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Return the keys and values that each pre-trained attention makes of tokens, by its name."""
    added = {part for module in model.modules() if hasattr(module, ADDED) for part in module.modules()}
    names = {module: name for name, module in model.named_modules() if module not in added}
    found: dict[str, tuple[Tensor, Tensor]] = {}
    for module, name in names.items():

        def look(key: Tensor, value: Tensor, name: str = name) -> tuple[Tensor, Tensor]:
            found[name] = (key[0].clone(), value[0].clone())
            return key, value

        setattr(module, NAME, look)
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            inputs = {"input_ids": ids}
            if model.config.is_encoder_decoder:
                n_words = model.get_decoder().get_input_embeddings().num_embeddings
                inputs["decoder_input_ids"] = ids.remainder(n_words)
            getattr(model, model.base_model_prefix, model)(**inputs)
    finally:
        model.train(was_training)
        for module in names:
            delattr(module, NAME)
    return found


def _attach(model: PreTrainedModel, prefixes: Prefixes) -> None:
    """Put prefixes where they belong, as far as the model has such parts: of some, one class holds the encoder alone.

    A family's base model calls its parts as the models with a head do, but for what these put before all their names.
    """
    modules, base = dict(model.named_modules()), f"{model.base_model_prefix}."
    for name, shape in prefixes.items():
        for there in (name, base + name, name.removeprefix(base)):
            if there in modules:
                setattr(modules[there], NAME, Prefix(shape))
                break
    _use(model)


def _use(model: nn.Module) -> None:
    """Let all parts of a model look for prefixes when they attend."""
    for module in model.modules():
        if config := getattr(module, "config", None):
            config._attn_implementation = ATTENTION


@cache
def prefixed_class(plain: Any) -> Any:
    """Return a class of transformers, with prefixes as its configuration has them."""

    def __init__(self: Any, config: Any, *args: Any, **more: Any) -> None:
        plain.__init__(self, config, *args, **more)
        _attach(self, config.prefixes)

    own = {"__init__": __init__, "config_class": prefixed_config(plain.config_class)}
    return type(f"Prefixed{plain.__name__}", (plain,), own)


@cache
def register_classes(plain: Any) -> None:
    """Let transformers find the classes with prefixes of the family that has this class of configurations."""
    for name in OPENERS:
        opener = getattr(transformers, name)
        known = opener._model_mapping.get(plain, None)
        if isinstance(known, type):
            opener.register(prefixed_config(plain), prefixed_class(known), exist_ok=True)
