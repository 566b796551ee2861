"""What tasks hand to the engine and back: rows that can be used, examples, batches, predictions, what was tuned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Self

from tunesmith.core.ledger import Ledger
from tunesmith.core.notes import Note
from tunesmith.data.table import Table

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Example:
    """One encoded row, or one window of it.

    Attributes:
        ids: token ids, special tokens included.
        row: index of the row in its table.
        target: what should come out, in the task's own form; None for rows to predict.
        weight: how many of the items that the loss averages over are in this example; where the item is a row, its
            share of the row. An example of weight 0 adds nothing to the loss.
        extras: the model's other inputs, such as "token_type_ids"; each is padded with 0.
        place: where a window lies in its row, in the task's own form.
        n_written: tokens the model reads besides `ids`: those of a target text.
        taught: what a teacher gives for it, shape (outputs,), on the scale of this model's outputs; None without one.
    """

    ids: Sequence[int]
    row: int
    target: Any = None
    weight: float = 1.0
    extras: Mapping[str, Sequence[int]] = field(default_factory=dict)
    place: Any = None
    n_written: int = 0
    taught: Any = None

    @property
    def n_tokens(self) -> int:
        """How many tokens it costs to learn from."""
        return len(self.ids) + self.n_written


@dataclass(frozen=True, slots=True)
class Batch:
    """What one forward pass takes.

    Attributes:
        inputs: the model's keyword arguments, tensors of shape (batch, tokens).
        targets: the examples' targets, stacked by the task; None when predicting.
        weights: shape (batch,).
        taught: what a teacher gives, float32, shape (batch, outputs); None without one.
    """

    inputs: Mapping[str, Tensor]
    weights: Tensor
    targets: Any = field(default=None)
    taught: Tensor | None = None

    @property
    def numbers(self) -> Tensor:
        """The examples' places in the batch, shape (batch,)."""
        import torch

        return torch.arange(len(self.weights), device=self.weights.device)


@dataclass(frozen=True)
class Prediction:
    """What a model says of one row; each task has its own, with fields ready for JSON."""

    answer: ClassVar[str]
    """The field that is compared with the right answer."""

    def record(self) -> dict[str, Any]:
        """Return the fields, the answer under the name "predicted"; `of` gives the prediction back."""
        values = asdict(self)
        return {"predicted": values.pop(self.answer), **values}

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """Return the prediction of a record, which may hold more."""
        names = {one.name for one in fields(cls)} - {cls.answer}
        return cls(**{cls.answer: record["predicted"], **{name: record[name] for name in names}})

    def cells(self) -> dict[str, Any]:
        """Return the columns that `tunesmith predict` adds to a row."""
        return self.record()


@dataclass
class Usable:
    """Rows that can be learnt from or measured.

    Attributes:
        table: these rows, their inputs cleaned and their targets in the form the task works on.
        ledger: the rows that are not among them, and those that are not as they were written.
        notes: what else was noticed.
    """

    table: Table
    ledger: Ledger = field(default_factory=Ledger)
    notes: list[Note] = field(default_factory=list)

    def leave_out(self, reasons: Sequence[str], *, split: str) -> None:
        """Set aside the rows with a reason against them, "" being none."""
        for row, reason in enumerate(reasons):
            if reason:
                where = self.table.where(row)
                self.ledger.add("set aside", reason, file=where.file, row=where.row, detail=split)
        self.table = self.table.take(row for row, reason in enumerate(reasons) if not reason)


@dataclass(frozen=True)
class Tuned:
    """What was set on the dev rows after training.

    Attributes:
        task: as it is saved, with its thresholds where it has any.
        facts: what is told about it, in `metrics.json` under "calibration".
        applied: this process's outputs as those of the saved model.
        fold: writes what was set into the model's weights, so that every tool that opens it gives the same.
    """

    task: Any
    facts: dict[str, Any]
    applied: Callable[[Any], Any] = lambda outputs: outputs
    fold: Callable[[Any], None] = lambda _model: None


def padded(rows: Sequence[Sequence[int]], fill: int) -> Tensor:
    """Return rows of numbers as one tensor, filled up on the right."""
    import torch

    found = torch.full((len(rows), max(map(len, rows))), fill, dtype=torch.long)
    for i, row in enumerate(rows):
        found[i, : len(row)] = torch.as_tensor(row, dtype=torch.long)
    return found
