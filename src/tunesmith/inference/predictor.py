"""The predictor: cleans, windows, runs and calibrates exactly as training did."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from scipy.special import softmax
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from tunesmith.data.clean import Cleaner
from tunesmith.data.labels import label_name
from tunesmith.data.table import Table
from tunesmith.engine.device import pick
from tunesmith.engine.infer import TOKENS_PER_BATCH, infer
from tunesmith.inference.settings import ModelSettings, load_settings
from tunesmith.models.classifier import quiet
from tunesmith.models.linear import use_onednn
from tunesmith.models.source import Source
from tunesmith.models.spec import ModelSpec
from tunesmith.models.tokenize import Tokenizer, load_tokenizer


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the model says of one text.

    Attributes:
        label: the most probable class, as the user wrote it in the training data.
        confidence: its probability, calibrated where the run had dev rows.
        probabilities: every class by its text form.
    """

    label: Any
    confidence: float
    probabilities: dict[str, float]


class Predictor:
    """A model ready to predict; make one with `Predictor.load(folder)`."""

    def __init__(self, model: PreTrainedModel, tokenizer: Tokenizer, settings: ModelSettings) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.settings = settings
        self.task = settings.build_task()
        self.clean = Cleaner(settings.clean)

    @classmethod
    def load(cls, folder: Path, *, device: str = "auto") -> Self:
        """Load a model folder written by a run.

        Raises:
            ModelError: it is not one.
        """
        settings = load_settings(folder)
        source = Source(settings.base_model, folder)
        tokenizer = load_tokenizer(source, ModelSpec(), max_tokens=settings.max_tokens)
        with quiet():
            model = AutoModelForSequenceClassification.from_pretrained(folder, use_safetensors=True)
        model = model.float().to(pick(device)).eval()
        use_onednn(model)
        return cls(model, tokenizer, settings)

    def fingerprint(self) -> str:
        """Return a SHA-256 of weights and settings: equal for models that give the same answers."""
        digest = hashlib.sha256(self.settings.model_dump_json().encode())
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy())
        return digest.hexdigest()

    def logits(
        self, texts: Sequence[str], *, cleaned: bool = False, on_rows: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """Return logits, shape (texts, classes); `cleaned` says the texts went through cleaning before."""
        ready = list(texts) if cleaned else [self.clean(text) for text in texts]
        examples = self.task.encode(Table.of({self.task.text: ready}), self.tokenizer)
        outputs = infer(
            self.model,
            examples,
            task=self.task,
            pad_id=self.tokenizer.pad_id,
            tokens_per_batch=TOKENS_PER_BATCH,
            on_batch=on_rows,
        )
        merged: np.ndarray = self.task.merge(examples, outputs, n_rows=len(ready))
        return merged

    def probabilities(self, texts: Sequence[str], *, cleaned: bool = False) -> np.ndarray:
        """Return calibrated probabilities, shape (texts, classes)."""
        found: np.ndarray = softmax(self.logits(texts, cleaned=cleaned), axis=1)
        return found

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Return one prediction for each text, in order; no texts, no predictions."""
        if not len(texts):
            return []
        return [self.prediction(row) for row in self.probabilities(texts)]

    def prediction(self, probabilities: np.ndarray) -> Prediction:
        """Put one row of probabilities into words."""
        best = int(probabilities.argmax())
        named = {label_name(label): float(p) for label, p in zip(self.task.labels, probabilities, strict=True)}
        return Prediction(self.task.labels[best], float(probabilities[best]), named)
