"""What all tasks on whole texts share: a text or a pair of texts in, one vector of numbers out.

Long texts are read in windows, and the outputs of a row's windows are averaged: the same in training (each window
carries its share of the row's loss), evaluation and prediction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tunesmith.core.errors import DataError, Where
from tunesmith.core.notes import Note
from tunesmith.core.wording import count
from tunesmith.data.table import Table
from tunesmith.tasks.base import Task
from tunesmith.tasks.parts import Batch, Example, Usable

if TYPE_CHECKING:
    import numpy as np
    from torch import nn
    from transformers import PreTrainedModel

    from tunesmith.models.source import Source
    from tunesmith.models.spec import ModelSpec
    from tunesmith.models.tokenize import Tokenizer


class TextTask(Task):
    """Base of the tasks whose model is one of transformers' sequence classification classes."""

    pools: ClassVar[bool] = True
    hub_tag: ClassVar[str] = "text-classification"
    auto_class: ClassVar[str] = "AutoModelForSequenceClassification"

    text: str = "auto"
    """Column with the text; "auto" looks for it."""
    text_pair: str = "auto"
    """Column with a second text, for tasks on pairs; "auto" knows the usual names, "none": there is no such column."""
    label: str = "auto"
    """Column with what is to be learnt; "auto" looks for it."""

    @property
    def columns(self) -> dict[str, str]:
        """The column of the text, and of its partner in a task on pairs."""
        pair = {} if self.text_pair in ("auto", "none") else {"text_pair": self.text_pair}
        return {"text": self.text, **pair}

    def sift(
        self, table: Table, targets: Sequence[Any], reasons: Sequence[str], *, clean: Callable[[Any], str], split: str
    ) -> Usable:
        """Return the rows with texts, cleaned, and their targets; those with a reason against them are left out."""
        texts = {column: [clean(value) for value in table[column]] for column in self.columns.values()}
        found = Usable(table.replace(**texts, **{self.label: targets}))
        rows = zip(reasons, *texts.values(), strict=True)
        found.leave_out([reason or ("" if all(read) else "no text") for reason, *read in rows], split=split)
        return found

    def numbers(self, table: Table) -> Sequence[Any]:
        """Return each row's target as the loss takes it."""
        raise TypeError(f"{type(self).__name__} must define numbers")

    @property
    def names(self) -> tuple[str, ...]:
        """What the saved model's config calls its outputs."""
        raise TypeError(f"{type(self).__name__} must define names")

    def announce(self, source: Source, spec: ModelSpec) -> list[Note]:
        """Return what is to be said of a head whose outputs have other names."""
        from tunesmith.models.heads import announce

        return announce(source, spec, self.names, auto_class=self.auto_class)

    @property
    def n_outputs(self) -> int:
        """How many numbers the model gives for a text."""
        raise TypeError(f"{type(self).__name__} must define n_outputs")

    def encode(self, table: Table, tokenizer: Tokenizer) -> list[Example]:
        """Encode rows; a long one gives several examples under the policy `windows`."""
        targets = self.numbers(table) if self.target_column in table.columns else [None] * len(table)
        policy = "head" if self.long_text == "auto" else self.long_text
        columns = [tokenizer.ids(table[column]) for column in self.columns.values()]
        room = tokenizer.room(len(columns))
        examples: list[Example] = []
        for row, texts in enumerate(zip(*columns, strict=True)):
            n = sum(map(len, texts))
            if policy == "error" and n > room:
                raise DataError(
                    f"the text has {count(n, 'token')}, the model reads {room:,}",
                    where=table.where(row, self.text),
                    fix="shorten it, or use --set task.long_text=windows",
                )
            pieces = tokenizer.pieces(*texts, policy=policy)
            examples += [Example(p.ids, row, targets[row], 1 / len(pieces), p.extras) for p in pieces]
        return examples

    def equip(self, model: PreTrainedModel, tokenizer: Tokenizer) -> None:
        """Make the model and the tokenizer agree on how short rows are filled."""
        from tunesmith.models.padding import agree_on_padding

        agree_on_padding(model, tokenizer)

    def head(self, model: PreTrainedModel) -> nn.Module:
        """Return the last linear layer, with what pools before it and its hidden layers where these are new as well."""
        from tunesmith.models.classifier import head_of
        from tunesmith.models.pooling import new_parts

        return new_parts(model, head_of(model))

    def run(self, model: nn.Module, batch: Batch) -> np.ndarray:
        """Return logits, shape (batch, outputs)."""
        logits: np.ndarray = model(**batch.inputs).logits.detach().float().cpu().numpy()
        return logits

    def merge(self, examples: Sequence[Example], outputs: Sequence[np.ndarray], *, n_rows: int) -> np.ndarray:
        """Average each row's windows, shape (rows, outputs)."""
        import numpy as np

        merged = np.zeros((n_rows, self.n_outputs))
        for example, logits in zip(examples, outputs, strict=True):
            merged[example.row] += example.weight * logits
        return merged


class ColumnsTask(TextTask):
    """Base of the tasks that may learn several columns, one output each: their names have commas between them."""

    @property
    def target_columns(self) -> tuple[str, ...]:
        """The columns that are learnt: "valence, arousal" names two."""
        return tuple(name.strip() for name in self.label.split(","))


def column_names(table: Table, label: str) -> tuple[str, ...]:
    """Return the columns that are named: one, or several with commas between them ("valence, arousal").

    Raises:
        DataError: there is no such column, or its name has a comma itself.
    """
    if "," not in label:
        return (label,)
    if label in table.columns:
        where = Where(table.files[0], column=label)
        raise DataError("a comma in this column's name divides columns here", where=where, fix="rename the column")
    names = tuple(name.strip() for name in label.split(",") if name.strip())
    for name in names:
        table[name]  # a wrong name is an error here
    return names


def named(column: str) -> str | None:
    """Return a column's name; None where it is to be looked for."""
    return None if column == "auto" else column
