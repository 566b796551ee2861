"""Tiny random checkpoints of the families of models, each with its own kind of tokenizer, made without a network."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from tests.tiny import sentences
from tunesmith.models.classifier import quiet

WIDTH = 32
LIMIT = 64
"""Tokens that a model with a table of positions reads."""
CLASSIC = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
FAIRSEQ = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
GPT = ("<|endoftext|>",)


def corpus() -> list[str]:
    """Return the texts tokenizers are made from: the words of the tests' rows, names, punctuation, other scripts."""
    more = ["Anna Berg lives in New York, near the old bridge.", 'the U.S. said: "no" (twice)', "naïve café — über"]
    return [text for text, _ in sentences(60)] + [text.capitalize() for text, _ in sentences(30, seed=1)] + 4 * more


def wordpiece(kind: str, special: Sequence[str] = CLASSIC, **more: Any) -> Callable[[], Any]:
    """Return what makes a WordPiece tokenizer of a class of transformers (BERT)."""

    def make() -> Any:
        raw = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        raw.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(vocab_size=220, special_tokens=list(special), show_progress=False)
        raw.train_from_iterator([text.lower() for text in corpus()], trainer)
        return getattr(hf, kind)(vocab=raw.get_vocab(), **more)

    return make


def byte_bpe(kind: str, special: Sequence[str], **more: Any) -> Callable[[], Any]:
    """Return what makes a byte-level BPE tokenizer (GPT-2)."""
    return lambda: getattr(hf, kind)(**dict(zip(("vocab", "merges"), _bytes(special), strict=True)), **more)


def _bytes(special: Sequence[str]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=list(special), initial_alphabet=alphabet, show_progress=False
    )
    raw.train_from_iterator(corpus(), trainer)
    return raw.get_vocab(), _merges(raw)


def _merges(raw: Tokenizer) -> list[tuple[str, str]]:
    return [tuple(pair) for pair in json.loads(raw.to_str())["model"]["merges"]]


def unigram(kind: str, special: Sequence[str], *, after: Sequence[str] = (), **more: Any) -> Callable[[], Any]:
    """Return what makes a Unigram tokenizer, as SentencePiece has it; `after` are special tokens behind the pieces."""

    return lambda: getattr(hf, kind)(vocab=[*_pieces(special), *((token, 0.0) for token in after)], **more)


def _pieces(special: Sequence[str]) -> list[tuple[str, float]]:
    raw = Tokenizer(models.Unigram())
    raw.pre_tokenizer = pre_tokenizers.Metaspace()
    unknown = next(token for token in special if "unk" in token.lower())
    trainer = trainers.UnigramTrainer(
        vocab_size=200, special_tokens=list(special), unk_token=unknown, show_progress=False
    )
    raw.train_from_iterator(corpus(), trainer)
    by_id = {i: piece for piece, i in raw.get_vocab().items()}
    return [(by_id[i], 0.0 if by_id[i] in special else -5.0 - i / 100) for i in range(len(by_id))]


def piece_bpe() -> Any:
    """Return a BPE tokenizer on pieces with bytes as a last resort and no padding token (Llama 2)."""
    raw = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    raw.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256))]
    raw.train_from_iterator(corpus(), trainers.BpeTrainer(vocab_size=480, special_tokens=special, show_progress=False))
    made = hf.LlamaTokenizer(vocab=raw.get_vocab(), merges=_merges(raw))
    made.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B:1", special_tokens=[("<s>", 1)]
    )
    return made


def framed_bpe() -> Any:
    """Return a byte-level BPE tokenizer with BERT's frame and no token types (ModernBERT)."""
    vocab, merges = _bytes(CLASSIC)
    raw = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    raw.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = dict(zip(("pad", "unk", "cls", "sep", "mask"), CLASSIC, strict=True))
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=raw,
        model_input_names=["input_ids", "attention_mask"],
        **{f"{name}_token": token for name, token in names.items()},
    )


def two_sided() -> Any:
    """Return Marian's tokenizer: a SentencePiece model for each language, and one vocabulary of both."""
    folder = Path(tempfile.mkdtemp())
    pieces: list[str] = []
    for side, texts in (("source", corpus()), ("target", [" ".join(reversed(text.split())) for text in corpus()])):
        SentencePieceTrainer.train(
            sentence_iterator=iter(texts), model_prefix=str(folder / side), vocab_size=100, bos_id=-1, eos_id=0,
            unk_id=1, minloglevel=2,
        )  # fmt: skip
        learnt = SentencePieceProcessor(model_file=str(folder / f"{side}.model"))
        pieces += [learnt.id_to_piece(i) for i in range(learnt.get_piece_size())]
    names = [*dict.fromkeys(["</s>", "<unk>", *pieces]), "<pad>"]
    (folder / "vocab.json").write_text(json.dumps({name: i for i, name in enumerate(names)}))
    return hf.MarianTokenizer(*(str(folder / name) for name in ("source.model", "target.model", "vocab.json")))


@dataclass(frozen=True)
class Family:
    """How to make a tiny model of a family.

    Attributes:
        name: as people write it.
        config: the class of its config.
        model: the class of what was pre-trained, which `folder` holds.
        tokenizer: makes the tokenizer.
        sizes: fields of the config besides the vocabulary's size.
    """

    name: str
    config: str
    model: str
    tokenizer: Callable[[], Any]
    sizes: dict[str, Any]

    def write(self, folder: Path) -> Path:
        """Write config, random weights (seed 0) and tokenizer into `folder`."""
        tokenizer = self.tokenizer()
        last = len(tokenizer) - 1
        sizes = {"pad_token_id": last, "decoder_start_token_id": last} if self.name == "Marian" else {}
        config = getattr(hf, self.config)(vocab_size=len(tokenizer), **self.sizes, **sizes)
        torch.manual_seed(0)
        with quiet():
            getattr(hf, self.model)(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder


USUAL = {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
BERTS = {**USUAL, "max_position_embeddings": LIMIT}
DISENTANGLED = {
    "relative_attention": True, "position_buckets": 16, "norm_rel_ebd": "layer_norm", "share_att_key": True,
    "pos_att_type": ["p2c", "c2p"], "position_biased_input": False, "type_vocab_size": 0,
}  # fmt: skip
"""Attention of DeBERTa v2 and v3 (He et al. 2021); v2 has a convolution beside its first layer."""
ROTARY = {**USUAL, "max_position_embeddings": LIMIT, "num_key_value_heads": 1}
BARTS = {
    "d_model": WIDTH,
    **{f"{part}_{what}": n for part in ("encoder", "decoder") for what, n in
       (("layers", 2), ("attention_heads", 2), ("ffn_dim", 64))},
    "max_position_embeddings": LIMIT,
}  # fmt: skip
ROBERTA = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}

FAMILIES = {
    one.name: one
    for one in (
        Family("BERT", "BertConfig", "BertModel", wordpiece("BertTokenizer", model_max_length=LIMIT), BERTS),
        Family("RoBERTa", "RobertaConfig", "RobertaForMaskedLM", byte_bpe("RobertaTokenizer", FAIRSEQ),
               {**BERTS, **ROBERTA, "max_position_embeddings": LIMIT + 2, "type_vocab_size": 1}),
        Family("DistilBERT", "DistilBertConfig", "DistilBertForMaskedLM", wordpiece("DistilBertTokenizer"),
               {"dim": WIDTH, "n_layers": 2, "n_heads": 2, "hidden_dim": 64, "max_position_embeddings": LIMIT}),
        Family("ALBERT", "AlbertConfig", "AlbertModel",
               unigram("AlbertTokenizer", ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]")),
               {**BERTS, "embedding_size": 16}),
        Family("ELECTRA", "ElectraConfig", "ElectraForPreTraining", wordpiece("ElectraTokenizer"),
               {**BERTS, "embedding_size": 16}),
        Family("DeBERTa-v2", "DebertaV2Config", "DebertaV2ForMaskedLM",
               unigram("DebertaV2Tokenizer", ("[PAD]", "[CLS]", "[SEP]", "[UNK]"), after=("[MASK]",)),
               {**BERTS, **DISENTANGLED, "conv_kernel_size": 3, "conv_act": "gelu"}),
        Family("DeBERTa-v3", "DebertaV2Config", "DebertaV2Model",
               unigram("DebertaV2Tokenizer", ("[PAD]", "[CLS]", "[SEP]", "[UNK]"), after=("[MASK]",)),
               {**BERTS, **DISENTANGLED}),
        Family("MPNet", "MPNetConfig", "MPNetForMaskedLM",
               wordpiece("MPNetTokenizer", ("<s>", "<pad>", "</s>", "[UNK]", "<mask>")),
               {**BERTS, "max_position_embeddings": LIMIT + 2}),
        Family("XLNet", "XLNetConfig", "XLNetLMHeadModel",
               unigram("XLNetTokenizer", ("<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>")),
               {"d_model": WIDTH, "n_layer": 2, "n_head": 2, "d_inner": 64, "pad_token_id": 5}),
        Family("ModernBERT", "ModernBertConfig", "ModernBertForMaskedLM", framed_bpe,
               {**BERTS, "pad_token_id": 0, "bos_token_id": 2, "cls_token_id": 2, "eos_token_id": 3, "sep_token_id": 3,
                "local_attention": 16}),
        Family("XLM-R", "XLMRobertaConfig", "XLMRobertaForMaskedLM",
               unigram("XLMRobertaTokenizer", ("<s>", "<pad>", "</s>", "<unk>"), after=("<mask>",)),
               {**BERTS, **ROBERTA, "max_position_embeddings": LIMIT + 2, "type_vocab_size": 1}),
        Family("GPT-2", "GPT2Config", "GPT2LMHeadModel", byte_bpe("GPT2Tokenizer", GPT),
               {"n_embd": WIDTH, "n_layer": 2, "n_head": 2, "n_positions": LIMIT, "bos_token_id": 0,
                "eos_token_id": 0}),
        Family("GPT-NeoX", "GPTNeoXConfig", "GPTNeoXForCausalLM", byte_bpe("GPTNeoXTokenizer", GPT),
               {**BERTS, "bos_token_id": 0, "eos_token_id": 0}),
        Family("Llama", "LlamaConfig", "LlamaForCausalLM", piece_bpe, ROTARY),
        Family("Qwen2", "Qwen2Config", "Qwen2ForCausalLM", byte_bpe("Qwen2Tokenizer", GPT), ROTARY),
        Family("Qwen3", "Qwen3Config", "Qwen3ForCausalLM", byte_bpe("Qwen2Tokenizer", GPT),
               {**ROTARY, "head_dim": 16}),
        Family("T5", "T5Config", "T5ForConditionalGeneration",
               unigram("T5Tokenizer", ("<pad>", "</s>", "<unk>"), extra_ids=4,
                       after=[f"<extra_id_{i}>" for i in range(3, -1, -1)]),
               {"d_model": WIDTH, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2,
                "decoder_start_token_id": 0}),
        Family("BART", "BartConfig", "BartForConditionalGeneration", byte_bpe("BartTokenizer", FAIRSEQ), BARTS),
        Family("mBART", "MBartConfig", "MBartForConditionalGeneration",
               unigram("MBartTokenizer", ("<s>", "<pad>", "</s>", "<unk>"), after=("en_XX", "de_DE", "<mask>")),
               BARTS),
        Family("Marian", "MarianConfig", "MarianMTModel", two_sided, {**BARTS, "eos_token_id": 0}),
        Family("Pegasus", "PegasusConfig", "PegasusForConditionalGeneration",
               unigram("PegasusTokenizer", ("<pad>", "</s>", "<mask_1>", "<mask_2>", "<unk>"), offset=4), BARTS),
    )
}  # fmt: skip
"""Name to family."""
