"""Language models: pre-trained weights with a head over the vocabulary, and the tokenizer that goes with writing.

An encoder such as BERT becomes a causal decoder by its family's own class: attention looks back only. A checkpoint
without the weights of such a head (sentence encoders are saved without) gets a new one, tied to the word vectors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from tunesmith.core.errors import ModelError, Where
from tunesmith.core.notes import Note
from tunesmith.models.classifier import load_with_head, quiet
from tunesmith.models.dropout import set_dropout
from tunesmith.models.opening import config_of
from tunesmith.models.source import Source
from tunesmith.models.spec import ModelSpec

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ message['role'] }}:"
    "{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ ' ' + message['content'] + eos_token }}{% endgeneration %}"
    "{% else %}{{ ' ' + message['content'] }}{% endif %}{{ '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}"
)
"""How a conversation is written where the checkpoint does not say: "user: ..." and "assistant: ..." on lines."""


def build_language_model(source: Source, spec: ModelSpec, *, auto_class: str) -> PreTrainedModel:
    """Load `source` with a head over its vocabulary, float32, on the CPU.

    Args:
        source: the checkpoint.
        spec: how it is changed.
        auto_class: of transformers: "AutoModelForMaskedLM" or "AutoModelForCausalLM".

    Raises:
        ModelError: the architecture has no such head in transformers.
    """
    config = _config(source, spec, auto_class)
    set_dropout(config, spec)
    with quiet():
        model = load_with_head(source, spec, config, auto_class)
    if model.get_output_embeddings() is None:
        raise ModelError(
            f'"{config.model_type}" has no output layer that can be found', where=Where(str(source.folder))
        )
    if auto_class == "AutoModelForCausalLM":
        refuse_foresight(model)
    return model


def announce(source: Source, spec: ModelSpec, *, auto_class: str) -> list[Note]:
    """Return notes on what of the model is new or changed: its architecture, its head."""
    notes = []
    config = config_of(source, spec)
    changed = _change(source.name, config) if auto_class == "AutoModelForCausalLM" else ""
    if changed:
        notes.append(Note("info", "architecture", changed, fix="a model made for writing starts from more: --model"))
    if not has_head(source, spec):
        message = (
            f"{source.name} comes without a head over its vocabulary: a new one is trained, tied to its word vectors"
        )
        notes.append(Note("info", "new head", message))
    return notes


def _change(name: str, config: Any) -> str:
    """Return what becomes of a model that was not made to write on, "" of one that was."""
    if _is_encoder(config):
        return f"{name} is an encoder: it becomes a causal decoder, which sees only what stands before a word"
    if config.is_encoder_decoder:
        return f"{name} is an encoder and a decoder: only the decoder is kept, which reads no other text"
    return ""


@contextmanager
def logits_at(model: nn.Module, wanted: Tensor) -> Iterator[None]:
    """Compute logits only where they are wanted, inside the `with`: they have the shape (positions, vocabulary).

    Logits of all tokens would be the largest tensors of a training by far.

    Args:
        model: with an output layer over the vocabulary; maybe wrapped for several processes.
        wanted: bool, shape (batch, tokens).
    """
    plain: Any = getattr(model, "module", model)
    hook = plain.get_output_embeddings().register_forward_pre_hook(lambda _layer, args: (args[0][wanted],))
    try:
        yield
    finally:
        hook.remove()


def packed(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a padded batch as one row without padding, in which each text sees itself alone.

    Positions begin anew with each text, and attention is causal inside it (block-diagonal). Logits of the tokens come
    in the order of the padded batch.

    Args:
        inputs: "input_ids" and "attention_mask" of shape (batch, tokens), padded on the right.

    Returns:
        "input_ids" and "position_ids", shape (1, all tokens), and "attention_mask", what is added to attention scores,
        shape (1, 1, all tokens, all tokens).
    """
    there = inputs["attention_mask"].bool()
    text, place = there.nonzero(as_tuple=True)
    sees = (text[:, None] == text) & (place[:, None] >= place)
    closed = torch.zeros(sees.shape, device=sees.device).masked_fill(~sees, torch.finfo(torch.float32).min)
    return {
        "input_ids": inputs["input_ids"][there][None],
        "position_ids": place[None],
        "attention_mask": closed[None, None],
    }


def refuse_mixing(model: PreTrainedModel) -> None:
    """Try two short texts packed and apart.

    Raises:
        ModelError: they give other logits: this family lets packed texts see one another, or counts positions its way.
    """
    apart = {"input_ids": _some_ids(model), "attention_mask": torch.tensor([[1] * 5, [1] * 3 + [0] * 2])}
    with _measuring(model):
        wanted = model(**apart).logits[apart["attention_mask"].bool()]
        found = model(**packed(apart)).logits[0]
    if not torch.allclose(wanted, found, atol=1e-3):
        message = f'texts of a "{model.config.model_type}" can\'t be packed: they would see one another'
        raise ModelError(message, fix="use --set task.pack=false")


def refuse_foresight(model: PreTrainedModel) -> None:
    """Try whether a token changes what is said before it.

    Raises:
        ModelError: it does: the model would learn to copy the next token, and write nonsense.
    """
    ids = _some_ids(model)
    with _measuring(model):
        one, other = (model(each).logits[:, :-1] for each in (ids, torch.cat([ids[:, :-1], ids[:, :1]], dim=1)))
    if not torch.allclose(one, other, atol=1e-5):
        message = f'"{model.config.model_type}" sees the words to come: it can\'t be trained to write them one by one'
        raise ModelError(message, fix="choose a model that writes, such as GPT-2 or Llama, or an encoder such as BERT")


def _some_ids(model: PreTrainedModel) -> Tensor:
    """Return two texts of five tokens, shape (2, 5)."""
    return torch.arange(10, 20).remainder(model.config.vocab_size).view(2, 5)


@contextmanager
def _measuring(model: PreTrainedModel) -> Iterator[None]:
    """Keep dropout and gradients off inside the `with`."""
    training = model.training
    model.eval()
    with torch.inference_mode():
        yield
    model.train(training)


def read_special(plain: Any) -> None:
    """Let a tokenizer read special tokens that are written in texts: masks, or the turns of a conversation.

    Those of encoder-decoders take them as other text; see `load_tokenizer`.
    """
    plain.split_special_tokens = plain.init_kwargs["split_special_tokens"] = False


def writing_tokenizer(plain: Any) -> Any:
    """Return a tokenizer that puts a start token before a text and nothing after it, with a chat template.

    The start token is what the family has: BOS, CLS or, as in GPT-2's training data, EOS; the end is EOS or SEP.
    """
    read_special(plain)
    start = plain.bos_token or plain.cls_token or plain.eos_token
    end = plain.eos_token or plain.sep_token
    if start and plain("x")["input_ids"] != [_id(plain, start), *plain("x", add_special_tokens=False)["input_ids"]]:
        plain = _starting_with(plain, start)
    plain.bos_token, plain.eos_token, plain.padding_side = start, end, "left"
    plain.chat_template = plain.chat_template or CHAT_TEMPLATE
    return plain


def _starting_with(plain: Any, start: str) -> Any:
    """Return the tokenizer as one of transformers' general class: a family's own would put its special tokens back.

    Raises:
        ModelError: it is none of the library tokenizers.
    """
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    if not plain.is_fast:
        fix = "choose a model with a tokenizer.json"
        raise ModelError("this model's tokenizer can't put a start token before a text", fix=fix)
    backend = plain.backend_tokenizer
    special = [(start, _id(plain, start))]
    backend.post_processor = TemplateProcessing(single=f"{start} $A", pair=f"{start} $A $B", special_tokens=special)
    names = ("unk_token", "pad_token", "mask_token", "cls_token", "sep_token")
    kept = {name: str(token) for name in names if (token := getattr(plain, name, None))}
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=plain.model_max_length,
        model_input_names=["input_ids", "attention_mask"],
        chat_template=plain.chat_template,
        **kept,
    )


def _id(plain: Any, token: str) -> int:
    return int(plain.convert_tokens_to_ids(token))


def _config(source: Source, spec: ModelSpec, auto_class: str) -> Any:
    config = config_of(source, spec)
    if auto_class == "AutoModelForCausalLM" and _is_encoder(config):
        config.is_decoder = True
    return config


def _is_encoder(config: Any) -> bool:
    """Whether the family is one of encoders that can be made to look back only, and is not so already."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES as MASKED

    both = config.model_type in CAUSAL and config.model_type in MASKED
    return both and not config.is_encoder_decoder and not getattr(config, "is_decoder", False)


def has_head(source: Source, spec: ModelSpec) -> bool:
    """Whether the checkpoint holds weights of a head over the vocabulary, or is of a class that ties all of it."""
    from safetensors import safe_open

    names: set[str] = set()
    for file in source.folder.glob("*.safetensors"):
        with safe_open(file, framework="pt") as opened:
            names.update(opened.keys())
    heads = ("cls.predictions", "lm_head", "vocab_", "generator_", "predictions.", "lm_predictions", "decoder.")
    config = config_of(source, spec)
    kinds = ("LMHeadModel", "CausalLM", "MaskedLM", "ConditionalGeneration", "MTModel")
    whole = any(str(name).endswith(kinds) for name in config.architectures or [])
    return whole or any(name.startswith(heads) for name in names)


def generate(model: nn.Module, ids: Tensor, lengths: Tensor, *, seeds: list[int]) -> list[list[int]]:
    """Return what a causal model writes after each prompt, up to the end token, as its generation settings say.

    Prompts of one length are read together, so no padding stands before any of them: families that count positions
    from the first token, padding or not, write the same alone and in a batch.

    Args:
        model: in evaluation mode.
        ids: prompts, padded on the right, shape (batch, tokens).
        lengths: of each prompt, shape (batch,).
        seeds: of what is drawn, where the settings say to draw; prompts are then taken one by one.
    """
    written: list[list[int]] = [[] for _ in range(len(ids))]
    settings: Any = model.generation_config
    for length in sorted(set(lengths.tolist())):
        same = (lengths == length).nonzero()[:, 0]
        for rows in same.split(1) if settings.do_sample else [same]:
            torch.manual_seed(seeds[int(rows[0])])
            prompt = ids[rows, :length]
            whole = model.generate(prompt, attention_mask=torch.ones_like(prompt))  # type: ignore[operator]
            for row, new in zip(rows.tolist(), whole[:, length:].tolist(), strict=True):
                written[row] = _until(new, settings.eos_token_id)
    return written


def _until(ids: list[int], end: int | list[int] | None) -> list[int]:
    """Return the ids before the first end token."""
    ends = set(end) if isinstance(end, list) else {end}
    return ids[: next((i for i, token in enumerate(ids) if token in ends), len(ids))]
