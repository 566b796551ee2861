"""One label for each text: sentiment, topic, spam, intent.

Long texts are read in windows, and the logits of a row's windows are averaged: the same in training (each window
carries its share of the row's loss), evaluation and prediction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field

from tunesmith.core.errors import DataError
from tunesmith.core.notes import Note
from tunesmith.core.wording import count
from tunesmith.data.columns import choose_columns
from tunesmith.data.labels import label_name
from tunesmith.data.table import Table
from tunesmith.tasks.base import Batch, Example, Task

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor
    from transformers import PreTrainedModel

    from tunesmith.models.source import Source
    from tunesmith.models.spec import ModelSpec
    from tunesmith.models.tokenize import Tokenizer

Label = bool | int | float | str


class TextClassification(Task):
    """Give each text one label. Rows need a text and, for training, a label."""

    main_metric: ClassVar[str] = "macro_f1"
    metric_names: ClassVar[tuple[str, ...]] = ("macro_f1", "accuracy")

    kind: Literal["text-classification"] = "text-classification"
    """Which task it is."""
    text: str = "auto"
    """Column with the text; "auto" looks for it."""
    label: str = "auto"
    """Column with the label; "auto" looks for it."""
    labels: tuple[Label, ...] = ()
    """The classes, in the order of the model's outputs; learnt from the training rows."""
    class_weights: Literal["none", "balanced"] = "none"
    """balanced: rows of rare classes count more, in inverse proportion to their class's share."""
    class_counts: tuple[int, ...] = ()
    """Training rows of each class; learnt from the data."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the target spread evenly over all classes (Szegedy et al. 2016, section 7)."""

    def choose_columns(self, table: Table, *, need_label: bool = True) -> tuple[Self, list[Note]]:
        """Name the text and label columns; see `tunesmith.data.columns`."""
        choice = choose_columns(table, text=_named(self.text), label=_named(self.label), need_label=need_label)
        return self.model_copy(update={"text": choice.text, "label": choice.label or self.label}), choice.notes

    def with_labels(self, labels: Sequence[Label], counts: Sequence[int]) -> Self:
        """Return the task knowing its classes and how many training rows each has."""
        return self.model_copy(update={"labels": tuple(labels), "class_counts": tuple(counts)})

    @property
    def names(self) -> tuple[str, ...]:
        """The classes as text, unique, as the saved model's config holds them."""
        return tuple(label_name(label) for label in self.labels)

    def index_of(self, label: object) -> int:
        """Return the class index of a label value; -1 for one never seen in training."""
        table: dict[tuple[type, object], int] = {(type(known), known): index for index, known in enumerate(self.labels)}
        if (type(label), label) in table:
            return table[type(label), label]
        name = label_name(label)
        return self.names.index(name) if name in self.names else -1

    def gold(self, table: Table) -> np.ndarray:
        """Return each row's class index, -1 for unknown labels, shape (rows,)."""
        import numpy as np

        known: dict[tuple[type, object], int] = {}
        indices = np.empty(len(table), dtype=np.int64)
        for row, label in enumerate(table[self.label]):
            key = (type(label), label)
            if key not in known:
                known[key] = self.index_of(label)
            indices[row] = known[key]
        return indices

    def encode(self, table: Table, tokenizer: Tokenizer) -> list[Example]:
        """Encode texts; a long one gives several examples under the policy `windows`."""
        targets = self.gold(table).tolist() if self.label in table.columns else [None] * len(table)
        policy = "head" if self.long_text == "auto" else self.long_text
        examples: list[Example] = []
        for row, ids in enumerate(tokenizer.ids(table[self.text])):
            if policy == "error" and len(ids) > tokenizer.room:
                raise DataError(
                    f"the text has {count(len(ids), 'token')}, the model reads {tokenizer.room:,}",
                    where=table.where(row, self.text),
                    fix="shorten it, or use --set task.long_text=windows",
                )
            pieces = tokenizer.pieces(ids, policy)
            examples += [Example(piece, row, targets[row], 1 / len(pieces)) for piece in pieces]
        return examples

    def build(self, source: Source, spec: ModelSpec) -> PreTrainedModel:
        """Return the family's own sequence classification class with one output per label."""
        from tunesmith.models.classifier import build_classifier

        return build_classifier(source, spec, self.names)

    def stack(self, targets: Sequence[Any]) -> Tensor:
        """Return class indices, shape (batch,)."""
        import torch

        return torch.tensor(targets, dtype=torch.long)

    def loss(self, out: Any, batch: Batch) -> Tensor:
        """Return cross-entropy summed over the batch, each example by its share of its row."""
        import torch.nn.functional as F

        each = F.cross_entropy(
            out.logits.float(),
            batch.targets,
            weight=self._weights(out.logits),
            label_smoothing=self.label_smoothing,
            reduction="none",
        )
        return (each * batch.weights).sum()

    def read_out(self, out: Any) -> np.ndarray:
        """Return logits, shape (batch, classes)."""
        logits: np.ndarray = out.logits.detach().float().cpu().numpy()
        return logits

    def merge(self, examples: Sequence[Example], outputs: Sequence[np.ndarray], *, n_rows: int) -> np.ndarray:
        """Average each row's window logits, shape (rows, classes)."""
        import numpy as np

        merged = np.zeros((n_rows, len(self.labels)))
        for example, logits in zip(examples, outputs, strict=True):
            merged[example.row] += example.weight * logits
        return merged

    def quick_metrics(self, outputs: np.ndarray, gold: np.ndarray) -> dict[str, float]:
        """Return loss, accuracy and macro F1 over the classes that occur in `gold` or in the predictions."""
        import numpy as np
        from scipy.special import log_softmax
        from sklearn.metrics import f1_score

        predicted = outputs.argmax(axis=1)
        logp = log_softmax(outputs, axis=1)
        return {
            "loss": float(-np.mean(logp[np.arange(len(gold)), gold])),
            "accuracy": float(np.mean(predicted == gold)),
            "macro_f1": float(f1_score(gold, predicted, average="macro", zero_division=0)),
        }

    def _weights(self, like: Tensor) -> Tensor | None:
        """Class weights that average to 1 over the training rows, on the device of `like`."""
        import torch

        if self.class_weights == "none":
            return None
        counts = torch.tensor(self.class_counts, dtype=torch.float32, device=like.device)
        return counts.sum() / (counts.clamp(min=1) * len(self.class_counts))


def _named(column: str) -> str | None:
    return None if column == "auto" else column
