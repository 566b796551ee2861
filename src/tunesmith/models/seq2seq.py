"""Encoder-decoders: those that were pre-trained as such, and two encoders made into one.

An encoder such as BERT only reads. It becomes an encoder-decoder as in Rothe et al. (2020, "Leveraging Pre-trained
Checkpoints for Sequence Generation Tasks"): its layers serve as encoder and, with a causal mask, as decoder; only the
attention from decoder to encoder is new. The result is transformers' `EncoderDecoderModel`.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers import AutoModel, AutoModelForCausalLM, EncoderDecoderModel, PreTrainedModel

from tunesmith.core.errors import ModelError, RecipeError, Where
from tunesmith.models.classifier import load_with_head, quiet
from tunesmith.models.dropout import set_dropout
from tunesmith.models.layers import reinit_top
from tunesmith.models.opening import config_of, part_names
from tunesmith.models.source import Source
from tunesmith.models.spec import ModelSpec
from tunesmith.models.targets import MOST_TOKENS, Target, own_tokenizer
from tunesmith.models.tokenize import Tokenizer

N_TOKENS = 8000
"""Tokens of a target side of its own: a German sentence of Multi30k takes 15 of them, and 25 of MiniLM's 30,522."""
MAY_CHANGE = 0.02
"""Share of the targets that the model's own tokens may change before others are learnt ..."""
SAMPLE = 2000
"""... seen on so many of them."""


def build_seq2seq(source: Source, spec: ModelSpec, *, decoder_layers: int | None) -> PreTrainedModel:
    """Load `source` as an encoder-decoder, float32, on the CPU.

    Args:
        source: the checkpoint.
        spec: how it is changed.
        decoder_layers: how many of an encoder's layers make the decoder, from the lowest, None for all; of no effect on
            a model that has a decoder.

    Raises:
        ModelError: the architecture can't write.
    """
    config = config_of(source, spec)
    set_dropout(config, spec)
    with quiet():
        if config.is_encoder_decoder:
            return load_with_head(source, spec, config, "AutoModelForSeq2SeqLM")
        refuse_unable(config, source)
        return _from_encoder(source, spec, config, decoder_layers)


def refuse_unable(config: Any, source: Source) -> None:
    """Raise ModelError if a family has no decoder that looks at an encoder's output."""
    known = transformers.models.auto.modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING
    decoder = known.get(type(config), None)
    if decoder is None or "encoder_hidden_states" not in inspect.signature(decoder.forward).parameters:
        raise ModelError(
            f'"{config.model_type}" has no decoder in transformers that looks at a source',
            where=Where(str(source.folder)),
            fix="choose T5, BART, Marian or the like, or what can be made one: BERT, RoBERTa, ELECTRA, XLM-R, GPT-2",
        )


def _from_encoder(source: Source, spec: ModelSpec, config: Any, decoder_layers: int | None) -> PreTrainedModel:
    decoder_config = copy.deepcopy(config)
    decoder_config.is_decoder, decoder_config.add_cross_attention = True, True
    decoder_config.num_hidden_layers = min(decoder_layers or config.num_hidden_layers, config.num_hidden_layers)
    encoder = _open(AutoModel, source, spec, config)
    decoder = _open(AutoModelForCausalLM, source, spec, decoder_config)
    for name, parameter in encoder.named_parameters():
        # Nothing reads what a pooler gives; left out, it would come back with random weights when the model is opened.
        parameter.requires_grad_(not name.startswith("pooler."))
    return EncoderDecoderModel(encoder=encoder, decoder=decoder)


def _open(auto: Any, source: Source, spec: ModelSpec, config: Any) -> PreTrainedModel:
    model: PreTrainedModel
    if spec.weights == "random":
        model = auto.from_config(config)
    else:
        opened = {"use_safetensors": True, "dtype": torch.float32, "trust_remote_code": spec.trust_remote_code}
        opened |= {"key_mapping": renamed} if (renamed := part_names(source, spec)) else {}
        model = auto.from_pretrained(source.folder, config=config, **opened)
        reinit_top(model, spec.reinit_layers)
    return model


def with_target(tokenizer: Tokenizer, texts: Sequence[str], *, wanted: int | str) -> Tokenizer:
    """Return the tokenizer of a model with how it writes.

    Args:
        tokenizer: as it was loaded.
        texts: the training targets.
        wanted: so many tokens learnt from these, "model": those it reads with, or "auto": the first where the others
            would change more than 2% of the targets.

    Raises:
        RecipeError: the model writes already, with tokens of its own.
    """
    if tokenizer.target is not None:
        if isinstance(wanted, int) and not tokenizer.target.is_own:
            where = Where(column="task.target_tokens", value=wanted)
            raise RecipeError("this model has tokens to write with", where=where, fix="leave it at auto")
        return tokenizer
    plain = tokenizer.plain
    start = plain.cls_token_id if plain.bos_token_id is None else plain.bos_token_id
    most = min(MOST_TOKENS, int(plain.model_max_length))
    reading = Target(plain, start, most)
    if wanted == "model" or (wanted == "auto" and reading.loses(texts[:SAMPLE]) <= MAY_CHANGE):
        return replace(tokenizer, target=reading)
    own = own_tokenizer(texts, n_tokens=N_TOKENS if wanted == "auto" else int(wanted))
    return replace(tokenizer, target=Target(own, own.bos_token_id, most, is_own=True))


def equip(model: PreTrainedModel, tokenizer: Tokenizer) -> None:
    """Give a model the vocabulary of its targets, and the ids with which generation starts and ends."""
    target = tokenizer.target
    assert target is not None
    if isinstance(model, EncoderDecoderModel):
        if target.is_own and model.decoder.get_input_embeddings().num_embeddings != len(target.plain):
            _take_vocabulary(model, tokenizer, target)
        _name_ids(model, target)
    _name_languages(model, target)


def _take_vocabulary(model: EncoderDecoderModel, tokenizer: Tokenizer, target: Target) -> None:
    decoder = model.decoder
    vectors = _vectors(model.get_input_embeddings().weight.detach(), tokenizer, target.plain)
    decoder.resize_token_embeddings(len(target.plain), mean_resizing=False)
    with torch.no_grad():
        decoder.get_input_embeddings().weight.copy_(vectors)
        bias = getattr(decoder.get_output_embeddings(), "bias", None)
        if bias is not None:
            bias.zero_()


def _vectors(table: Tensor, tokenizer: Tokenizer, plain: Any) -> Tensor:
    """Return a vector for each target token: the mean of those with which the reading side spells it (Gee et al. 2022).

    A token that spells as nothing, such as a control token, gets the mean of all.

    Args:
        table: the reading side's word vectors, shape (tokens, width).
        tokenizer: of the reading side.
        plain: the tokenizer of targets.

    Returns:
        Shape (target tokens, width).
    """
    special = set(plain.all_special_ids)
    texts = ["" if i in special else plain.decode([i]) for i in range(len(plain))]
    mean = table.mean(dim=0)
    return torch.stack([table[ids].mean(dim=0) if ids else mean for ids in tokenizer.ids(texts)])


def _name_ids(model: PreTrainedModel, target: Target) -> None:
    """Write the ids that start, end and fill a text where transformers looks for them."""
    ids = {"decoder_start_token_id": target.start, "eos_token_id": target.end, "pad_token_id": target.pad}
    for holder in (model.config, model.generation_config):
        for name, value in ids.items():
            setattr(holder, name, value)
    for name in ("eos_token_id", "pad_token_id"):
        setattr(model.config.decoder, name, ids[name])
    model.config.decoder.bos_token_id = target.start


def _name_languages(model: PreTrainedModel, target: Target) -> None:
    """Let a model of many languages write the one it is tuned for."""
    if getattr(target.plain, "tgt_lang", None) is None:
        return
    before, _ = target.frame
    if target.config_start is None:
        model.generation_config.decoder_start_token_id = model.config.decoder_start_token_id = target.start
    elif before:
        model.generation_config.forced_bos_token_id = before[0]


def new_parts(model: PreTrainedModel) -> nn.Module | None:
    """Return what no pre-training has seen: of two encoders joined, the attention between them and the output."""
    if not isinstance(model, EncoderDecoderModel):
        return None
    named = [module for name, module in model.decoder.named_modules() if name.endswith("crossattention")]
    return nn.ModuleList([*named, model.decoder.get_output_embeddings()])
