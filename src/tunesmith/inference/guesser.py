"""Which words fit into gaps of texts: a masked language model, asked for whole words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig

from tunesmith.core.errors import RecipeError, Where
from tunesmith.data.augment.by_models import Guesses
from tunesmith.data.augment.words import alike
from tunesmith.data.table import Table
from tunesmith.engine.device import pick
from tunesmith.engine.infer import infer
from tunesmith.inference.settings import NAME, load_settings
from tunesmith.models.classifier import has_class
from tunesmith.models.language import build_language_model, has_head, logits_at
from tunesmith.models.linear import use_onednn
from tunesmith.models.source import Source, find
from tunesmith.models.spec import ModelSpec
from tunesmith.models.tokenize import load_tokenizer
from tunesmith.models.words import whole_words
from tunesmith.tasks.fill_mask import FillMask
from tunesmith.tasks.parts import Batch

KIND = "fill-mask"
N_GUESSES = 10
"""Words that are drawn from in each place."""
TOKENS_PER_BATCH = 2048
"""Fewer than elsewhere: scores of all words for each gap are large."""
TEXT = "text"


class WordGuesser:
    """A masked language model that says which words fit into gaps; see `data.augment.by_models.Guesser`."""

    def __init__(self, spec: ModelSpec, *, device: str, on_texts: Callable[[int], None] | None = None) -> None:
        """Load the model.

        Args:
            spec: names it; nothing else of it counts but how it is found.
            device: where it computes; "auto" is the GPU where there is one.
            on_texts: told of how many texts more all is guessed.

        Raises:
            RecipeError: it can't fill masks.
        """
        source = refuse_unable(spec)
        plain_spec = ModelSpec(source=spec.source, revision=spec.revision, trust_remote_code=spec.trust_remote_code)
        tokenizer = load_tokenizer(source, plain_spec)
        self._task, self._tokenizer = FillMask(text=TEXT).with_tokenizer(tokenizer, Table.of({TEXT: []}))
        self._on_texts = on_texts
        model = build_language_model(source, plain_spec, auto_class=FillMask.auto_class)
        self._model = model.to(pick(device)).eval()
        use_onednn(self._model)
        words = whole_words(self._tokenizer.plain)
        self._ids = torch.tensor([i for i, word in enumerate(words) if word], device=self._model.device)
        self._words = [word for word in words if word]
        self._known = {alike(word) for word in self._words}
        self.mask = self._task.mask_token
        self.name = source.name

    @property
    def device(self) -> str:
        """Where it computes."""
        return str(self._model.device)

    def knows(self, word: str) -> bool:
        """Whether it could guess a word."""
        return alike(word) in self._known

    def __call__(self, texts: Sequence[str]) -> list[list[Guesses]]:
        """Return the likeliest words for each gap of each text."""
        examples = self._task.encode(Table.of({TEXT: texts}), self._tokenizer)
        examples = [one for one in examples if self._task.vocabulary[0] in one.ids]
        found = infer(
            self._model,
            examples,
            task=self._task,
            pad_id=self._tokenizer.pad_id,
            tokens_per_batch=TOKENS_PER_BATCH,
            run=self._likeliest,
            on_batch=self._on_texts,
        )
        return self._task.of_rows(examples, found, n_rows=len(texts))

    def _likeliest(self, model: nn.Module, batch: Batch) -> list[list[Guesses]]:
        """Return the likeliest words for each gap of each example."""
        gaps = batch.inputs["input_ids"] == self._task.vocabulary[0]
        with logits_at(model, gaps):
            logits = model(**batch.inputs).logits.float()[:, self._ids]
        # One more than wanted: the word that stood there may be among them.
        best = logits.topk(min(N_GUESSES + 1, len(self._words)))
        found: list[list[Guesses]] = [[] for _ in range(len(gaps))]
        rows = gaps.nonzero()[:, 0].tolist()
        for row, scores, places in zip(rows, best.values.tolist(), best.indices.tolist(), strict=True):
            found[row].append([(self._words[i], score) for i, score in zip(places, scores, strict=True)])
        return found


def refuse_unable(spec: ModelSpec) -> Source:
    """Return the checkpoint of a model that fills masks.

    Raises:
        RecipeError: it doesn't.
        ModelError: there is no such model.
    """
    source = find(spec)
    why = _why_not(source, spec)
    if not why:
        return source
    fix = (
        "make one of texts like yours, tunesmith train TEXTS.txt --task fill-mask, and name its run: "
        "--set augment.model=runs/texts-1"
    )
    raise RecipeError(f"this model can't fill masks: {why}", where=Where(column="augment.model", value=source.name),
                      fix=fix)  # fmt: skip


def _why_not(source: Source, spec: ModelSpec) -> str:
    """Return why a model can't fill masks, "" if it can."""
    config: Any = AutoConfig.from_pretrained(source.folder, trust_remote_code=spec.trust_remote_code)
    kind = load_settings(source.folder).task["kind"] if (source.folder / NAME).is_file() else KIND
    if kind != KIND:
        return f"it was trained for {kind}"
    if not has_class(config, FillMask.auto_class) or getattr(config, "is_decoder", False):
        return f'"{config.model_type}" has no class for that'
    return "" if has_head(source, spec) else "it comes without a head over its vocabulary"
