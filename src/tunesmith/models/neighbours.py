"""Words near a word in the vector space of a model's vocabulary: what could stand in its place, with no dictionary.

Word vectors put opposites near each other, too ("good", "bad"): only nearest words above a similarity count, and an
edit changes few words of a text. Nothing is read but the checkpoint that is trained anyway.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from tunesmith.models.classifier import quiet
from tunesmith.models.opening import pooled_of
from tunesmith.models.source import find
from tunesmith.models.spec import ModelSpec
from tunesmith.models.words import whole_words

N_NEAR = 8
LEAST = 0.55
"""Cosine similarity below which a word is not near another."""


class Neighbours:
    """Looks up words near a word; called with a word, it gives others, the nearest first."""

    def __init__(self, spec: ModelSpec) -> None:
        """Read the word vectors of a model's vocabulary."""
        import torch
        from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

        source = find(spec)
        folder = source.folder
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=spec.trust_remote_code)
        with quiet(), torch.no_grad():
            options = {"use_safetensors": True, "trust_remote_code": spec.trust_remote_code}
            opener = AutoModel if pooled_of(source, spec) is None else AutoModelForSequenceClassification
            table = opener.from_pretrained(folder, **options).get_input_embeddings().weight
            vectors = table.float().numpy()
        names = whole_words(tokenizer)[: len(vectors)]
        kept = [i for i, name in enumerate(names) if len(name) > 2 and name.isalpha()]
        self._names = [names[i] for i in kept]
        self._place = {name: i for i, name in enumerate(self._names)}
        found = vectors[kept] - vectors[kept].mean(axis=0)
        self._vectors = found / np.linalg.norm(found, axis=1, keepdims=True).clip(min=1e-9)

    @lru_cache(maxsize=50_000)  # noqa: B019  (lives as long as one augmentation)
    def __call__(self, word: str) -> tuple[str, ...]:
        """Return at most eight words near a word; none where it is not in the vocabulary."""
        at = self._place.get(word, self._place.get(word.lower()))
        if at is None:
            return ()
        alike = self._vectors @ self._vectors[at]
        best = np.argsort(-alike)[1 : N_NEAR + 1]
        return tuple(self._names[i] for i in best if alike[i] >= LEAST and self._names[i].lower() != word.lower())
