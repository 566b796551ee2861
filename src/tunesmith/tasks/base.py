"""What a task is: the one abstraction that knows what a row means and what the model should learn from it.

A task is frozen settings plus pure functions of them; what it learns from the data (columns, labels) makes a new
task. A new task is one file and one line in `tasks/__init__.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from tunesmith.core.notes import Note
from tunesmith.core.spec import Spec
from tunesmith.data.table import Table

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor
    from transformers import PreTrainedModel

    from tunesmith.models.source import Source
    from tunesmith.models.spec import ModelSpec
    from tunesmith.models.tokenize import Tokenizer


@dataclass(frozen=True, slots=True)
class Example:
    """One encoded row, or one window of it.

    Attributes:
        ids: token ids, special tokens included.
        row: index of the row in its table.
        target: what should come out, in the task's own form; None for rows to predict.
        weight: this example's share of its row; the examples of a row add up to 1.
    """

    ids: Sequence[int]
    row: int
    target: Any = None
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Batch:
    """What one forward pass takes.

    Attributes:
        inputs: the model's keyword arguments, tensors of shape (batch, tokens).
        targets: the examples' targets, stacked by the task; None when predicting.
        weights: shape (batch,).
    """

    inputs: Mapping[str, Tensor]
    weights: Tensor
    targets: Any = field(default=None)


class Task(Spec):
    """Base of all tasks: settings as fields, what to do with them as methods."""

    main_metric: ClassVar[str]
    """The metric that early stopping and comparisons use; larger is better."""
    metric_names: ClassVar[tuple[str, ...]]
    """What `evaluate.metric` may be: the names `quick_metrics` gives, all better when larger."""

    kind: str
    long_text: Literal["auto", "windows", "head", "head_tail", "error"] = "auto"
    """What happens to texts longer than the model reads: windows (all of it is read, results are averaged), head or
    head_tail (the rest is cut), error. "auto": windows if more than 2% of the rows are too long, else head."""
    max_tokens: int | Literal["auto"] = "auto"
    """Most tokens read at once; "auto" is what the model was made for."""

    def choose_columns(self, table: Table, *, need_label: bool = True) -> tuple[Self, list[Note]]:
        """Return the task with every "auto" column named, and why these."""
        raise TypeError(f"{type(self).__name__} must define choose_columns")

    def encode(self, table: Table, tokenizer: Tokenizer) -> list[Example]:
        """Return the examples of all rows, in row order; without targets where the table has no label column."""
        raise TypeError(f"{type(self).__name__} must define encode")

    def build(self, source: Source, spec: ModelSpec) -> PreTrainedModel:
        """Return the pre-trained model with this task's head."""
        raise TypeError(f"{type(self).__name__} must define build")

    def stack(self, targets: Sequence[Any]) -> Tensor:
        """Return the targets of a batch as one tensor."""
        raise TypeError(f"{type(self).__name__} must define stack")

    def loss(self, out: Any, batch: Batch) -> Tensor:
        """Return the loss of a batch as a **sum** over its items; the loop divides once a step."""
        raise TypeError(f"{type(self).__name__} must define loss")

    def n_items(self, weights: Sequence[float]) -> float:
        """Return how many items examples of these weights hold, so what the loss is averaged over."""
        return float(sum(weights))

    def read_out(self, out: Any) -> np.ndarray:
        """Return what is kept of a forward pass, first axis = examples."""
        raise TypeError(f"{type(self).__name__} must define read_out")

    def merge(self, examples: Sequence[Example], outputs: Sequence[np.ndarray], *, n_rows: int) -> np.ndarray:
        """Join the windows of each row; first axis = rows."""
        raise TypeError(f"{type(self).__name__} must define merge")

    def quick_metrics(self, outputs: np.ndarray, gold: np.ndarray) -> dict[str, float]:
        """Return point values for learning curves, `main_metric` and "loss" among them (no intervals)."""
        raise TypeError(f"{type(self).__name__} must define quick_metrics")
