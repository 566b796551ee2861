"""A number for each text, or for each pair of texts: a score, a rating, a similarity; or several numbers.

The model learns standardised numbers (mean 0, deviation 1), so that losses and rates fit any scale; afterwards the
scale is written into the head, and the saved model gives the numbers themselves in every tool. Heads without a bias
(GPT-2, Llama) can't hold a mean: there, numbers are divided by their deviation only.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from tunesmith.core.errors import DataError, Where
from tunesmith.core.notes import Note
from tunesmith.data.columns import choose_columns
from tunesmith.data.labelsets import are_flags
from tunesmith.data.numbers import are_scores, read_number, read_numbers
from tunesmith.data.table import Table
from tunesmith.tasks.base import FROM_PIPELINE, Task
from tunesmith.tasks.decisions import Decisions
from tunesmith.tasks.parts import Batch, Prediction, Tuned, Usable
from tunesmith.tasks.texts import ColumnsTask, column_names, named

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor
    from transformers import PreTrainedModel

    from tunesmith.data.spec import DataSpec
    from tunesmith.metrics.regression import RegressionScorer
    from tunesmith.models.source import Source
    from tunesmith.models.spec import ModelSpec


@dataclass(frozen=True)
class NumberPrediction(Prediction):
    """The numbers of one text.

    Attributes:
        value: the number; with several targets a number for each, by its name.
    """

    answer: ClassVar[str] = "value"
    value: float | dict[str, float]

    def cells(self) -> dict[str, Any]:
        """Return the number, or one column a target."""
        if isinstance(self.value, dict):
            return {f"predicted_{name}": value for name, value in self.value.items()}
        return {"predicted": self.value}


class TextRegression(ColumnsTask):
    """Give each text, or pair of texts, one number or several. Rows need a text and, for training, the numbers."""

    main_metric: ClassVar[str] = "pearson"
    decides: ClassVar[Literal["one", "any", "number"]] = "number"
    metric_names: ClassVar[tuple[str, ...]] = ("pearson", "spearman", "r2", "rmse", "mae")
    one_answer: ClassVar[bool] = False  # people who give scores differ
    prediction: ClassVar[type[Prediction]] = NumberPrediction
    noun: ClassVar[str] = "regression model"
    done: ClassVar[str] = "scored"
    usage: ClassVar[str] = (
        FROM_PIPELINE + 'pipeline("text-classification", FOLDER, function_to_apply="none")("your text")'
    )

    kind: Literal["text-regression"] = "text-regression"
    """Which task it is."""
    means: tuple[float, ...] = ()
    """Mean of each target over the training rows, while it is learnt; 0 in a saved model."""
    deviations: tuple[float, ...] = ()
    """Standard deviation of each target, likewise; 1 in a saved model."""

    @classmethod
    def recognises(cls, table: Table, *, text: str, label: str) -> str:
        """Return what shows scores: several columns of numbers, or one with decimals or hardly a number twice."""
        with suppress(DataError):
            columns = column_names(table, label)
            if len(columns) > 1:
                return f"columns of numbers: {label}" if all(_are_numbers(table[name]) for name in columns) else ""
            found = choose_columns(table, text=named(text), label=named(label), classes=False)
            cells = [cell for cell in table[str(found.label)] if cell not in (None, "")]
            if all(isinstance(cell, str | int | float) for cell in cells) and are_scores(counts := Counter(cells)):
                return f'{len(counts):,} different numbers in "{found.label}"'
        return ""

    def choose_columns(self, table: Table, *, need_label: bool = True) -> tuple[Self, list[Note]]:
        """Name the columns of texts and numbers; several targets are named with commas: "valence, arousal"."""
        first, *others = column_names(table, self.label)
        choice = choose_columns(
            table,
            text=named(self.text),
            label=named(first),
            text_pair=named(self.text_pair),
            need_label=need_label,
            classes=False,
        )
        label = ", ".join((choice.label or self.label, *others))
        found = {"text": choice.text, "text_pair": choice.text_pair, "label": label}
        return self.model_copy(update=found), choice.notes

    def usable(
        self, table: Table, *, clean: Callable[[Any], str], spec: DataSpec, split: str, known: Sequence[Any] = ()
    ) -> Usable:
        """Keep the rows with a text and all numbers; see `Task.usable`."""
        del known
        readings = [read_numbers(table, column=column, spec=spec) for column in self.target_columns]
        values = list(zip(*(r.values for r in readings), strict=True))
        reasons = [next(filter(None, row), "") for row in zip(*(r.reasons for r in readings), strict=True)]
        found = self.sift(table, values, reasons, clean=clean, split=split)
        found.ledger.extend(entry for r in readings for entry in r.entries)
        found.notes += [note for r in readings for note in r.notes] if split == "train" else []
        if not len(found.table):
            where = Where(table.files[0], column=self.label)
            fix = "name other columns with --text, --label"
            raise DataError("no row has a text and a number", where=where, fix=fix)
        return found

    def written(self, table: Table) -> Iterable[Any]:
        """Return nothing: numbers are not renamed."""
        del table
        return ()

    def answers(self, table: Table) -> list[Any]:
        """Return the numbers."""
        return list(table[self.label])

    def learn(self, table: Table) -> Self:
        """Return the task knowing the scale of its targets.

        Raises:
            DataError: a target has the same value everywhere.
        """
        columns = list(zip(*table[self.label], strict=True))
        deviations = tuple(statistics.pstdev(values) for values in columns)
        for name, deviation in zip(self.target_columns, deviations, strict=True):
            if deviation == 0:
                where = Where(table.files[0], column=name)
                raise DataError("every row has the same number: there is nothing to learn", where=where, fix="add rows")
        means = tuple(statistics.fmean(values) for values in columns)
        return self.model_copy(update={"means": means, "deviations": deviations})

    def as_learnt(self, outputs: np.ndarray) -> np.ndarray:
        """Return numbers as differences from their mean, in standard deviations."""
        import numpy as np

        found: np.ndarray = ((outputs - np.array(self.means)) / np.array(self.deviations)).astype(np.float32)
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """The targets, as the saved model's config holds them."""
        return self.target_columns

    def announce(self, source: Source, spec: ModelSpec) -> list[Note]:
        """Return whether a head for other numbers begins anew; one for unnamed numbers does so, too."""
        return [note for note in super().announce(source, spec) if note.topic == "new head"]

    @property
    def n_outputs(self) -> int:
        """How many targets there are."""
        return len(self.target_columns)

    def numbers(self, table: Table) -> list[list[float]]:
        """Return standardised numbers, shape (rows, targets)."""
        scale = list(zip(self.means, self.deviations, strict=True))
        return [
            [(value - mean) / deviation for value, (mean, deviation) in zip(row, scale, strict=True)]
            for row in table[self.label]
        ]

    def suited(self, source: Source, spec: ModelSpec) -> Self:
        """Return the task learning numbers as far from 0 as they are, where the head has no bias to add their mean."""
        from tunesmith.models.classifier import has_bias

        if has_bias(source, spec):
            return self
        return self.model_copy(update={"means": (0.0,) * self.n_outputs})

    def build(self, source: Source, spec: ModelSpec) -> PreTrainedModel:
        """Return the family's own sequence classification class with one output per target.

        A head for the same numbers gives them standardised again, as they are learnt; one of unknown scale begins anew.
        """
        from tunesmith.models.classifier import build_classifier, head_of, scale_outputs
        from tunesmith.models.heads import is_new, scale_of
        from tunesmith.models.layers import draw_anew

        model = build_classifier(source, spec, self.target_columns, problem_type="regression")
        if is_new(head_of(model), spec):
            return model
        scale = scale_of(source, spec, self.target_columns)
        if scale is None:
            draw_anew(model, head_of(model))
        else:
            scale_outputs(model, [1 / each for _, each in scale], [-mean / each for mean, each in scale])
        return model

    def stack(self, targets: Sequence[Any]) -> Tensor:
        """Return standardised numbers, shape (batch, targets)."""
        import torch

        return torch.tensor(targets, dtype=torch.float32)

    def decisions(self, out: Any, batch: Batch) -> Decisions:
        """Return the numbers of each example, which counts by its share of its row."""
        return Decisions("number", out.logits.float(), batch.targets, batch.weights, batch.numbers)

    def predictions(self, outputs: Any, table: Table) -> list[NumberPrediction]:
        """Return the numbers on their own scale."""
        return self._said(self._scaled(outputs)) if len(table) else []

    def _said(self, values: np.ndarray) -> list[NumberPrediction]:
        """Return one prediction a row of numbers."""
        return [NumberPrediction(self._named([float(value) for value in row])) for row in values]

    def _named(self, values: Sequence[float]) -> Any:
        """Return one number as it is, several by the names of their targets."""
        return values[0] if len(values) == 1 else dict(zip(self.target_columns, values, strict=True))

    def _scaled(self, outputs: Any) -> np.ndarray:
        import numpy as np

        scaled: np.ndarray = np.asarray(outputs) * np.array(self.deviations) + np.array(self.means)
        return scaled

    def gold(self, table: Table) -> list[Any]:
        """Return the numbers."""
        return [self._named(row) for row in table[self.label]]

    def scorer(self, predictions: Sequence[NumberPrediction], gold: Sequence[Any]) -> RegressionScorer:
        """Return the numbers side by side; see `metrics.regression`."""
        import numpy as np

        from tunesmith.metrics.regression import RegressionScorer

        values = [_list(said.value) for said in predictions]
        return RegressionScorer(np.array(values), np.array([_list(right) for right in gold]), self.target_columns)

    def quick_metrics(self, outputs: Any, table: Table) -> dict[str, float]:
        """Return the loss on the standardised scale, correlations and R²."""
        import numpy as np

        from tunesmith.metrics.bootstrap import unit_weights

        values = self.scorer(self.predictions(outputs, table), self.gold(table)).at(unit_weights(len(table)))
        errors = (np.asarray(outputs) - np.array(self.numbers(table))) ** 2
        named_values = {name: float(np.nan_to_num(values[name][0])) for name in self.metric_names}
        return {"loss": float(errors.mean()), **named_values}

    def tune(self, outputs: Any, table: Table | None, *, why_not: str = "") -> Tuned:
        """Return how the saved model gives numbers on their own scale: its head has it, and its config says which."""
        del outputs, table, why_not
        n = self.n_outputs
        saved = self.model_copy(update={"means": (0.0,) * n, "deviations": (1.0,) * n})
        return Tuned(saved, {"fitted_on": None}, self._scaled, self._give_scale)

    def _give_scale(self, model: PreTrainedModel) -> None:
        from tunesmith.models.classifier import scale_outputs
        from tunesmith.models.heads import SCALE

        scale_outputs(model, self.deviations, self.means)
        setattr(model.config, SCALE, [list(pair) for pair in zip(self.means, self.deviations, strict=True)])

    def baselines(self, train: Table, test: Table, *, seed: int) -> dict[str, list[NumberPrediction]]:
        """Return the mean of the training rows, and ridge regression on words (TF-IDF)."""
        import numpy as np

        from tunesmith.metrics.baselines_values import mean_values, tfidf_ridge

        gold = np.array(train[self.label])
        texts = [self.key(table) for table in (train, test)]
        found = {"mean": mean_values(gold, len(test)), "tfidf_ridge": tfidf_ridge(texts[0], gold, texts[1], seed=seed)}
        return {name: self._said(values) for name, values in found.items()}

    def promise(self) -> tuple[str, Sequence[str]]:
        """Return that it gives numbers."""
        return "It gives each text a number: ", self.target_columns

    @classmethod
    def wrongness(cls, row: Mapping[str, Any]) -> float:
        """Return the largest error of a row."""
        pairs = zip(_list(row["gold"]), _list(row["predicted"]), strict=True)
        return max(abs(gold - said) for gold, said in pairs)

    @classmethod
    def told(cls, answer: Any, row: Mapping[str, Any]) -> str:
        """Return the numbers with four digits."""
        del row
        return ", ".join(f"{value:.4g}" for value in _list(answer))

    def cell_names(self) -> list[str]:
        """Return "predicted", or a column for each target."""
        return ["predicted"] if self.n_outputs == 1 else [f"predicted_{name}" for name in self.target_columns]

    def is_like(self, other: Task) -> bool:
        """Whether both learnt the same targets."""
        return isinstance(other, TextRegression) and self.target_columns == other.target_columns

    def distance(self, one: Sequence[NumberPrediction], other: Sequence[NumberPrediction]) -> float:
        """Return the largest difference, in standard deviations of the predictions, or hundredths of their size."""
        import numpy as np

        a, b = (np.array([_list(said.value) for said in said_]) for said_ in (one, other))
        unit = np.maximum(b.std(axis=0), 0.01 * np.abs(b).max(axis=0))
        return float((np.abs(a - b) / np.maximum(unit, 1e-12)).max())


def _list(value: Any) -> list[float]:
    """Return the number, or the numbers, of one row."""
    return list(value.values()) if isinstance(value, dict) else [value]


def _are_numbers(cells: Iterable[Any]) -> bool:
    """Whether nearly all cells hold numbers, and not just 0 and 1."""
    filled = [cell for cell in cells if cell not in (None, "")]
    return sum(read_number(cell)[0] is not None for cell in filled) > 0.9 * len(filled) and not are_flags(filled)
