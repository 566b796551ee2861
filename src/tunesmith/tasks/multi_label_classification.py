"""Any number of labels for each text, or for each pair of texts: tags, emotions, kinds of abuse; or none of them.

Each label is a yes or no of its own. From which probability on it is yes is set on the dev rows, for each label, since
rare labels are seldom given at 0.5 (`metrics.thresholds`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from tunesmith.core.errors import DataError, Where, did_you_mean
from tunesmith.core.notes import Note
from tunesmith.core.wording import count
from tunesmith.data.classes import check_sets
from tunesmith.data.columns import choose_columns, flag_columns
from tunesmith.data.labels import fold, order
from tunesmith.data.labelsets import (
    LabelSets,
    are_flags,
    are_tags,
    find_separators,
    listing,
    lists_labels,
    parts_of,
    read_flags,
    read_sets,
)
from tunesmith.data.table import Table
from tunesmith.tasks.base import FROM_PIPELINE, Task
from tunesmith.tasks.decisions import Decisions
from tunesmith.tasks.facts import Choices, Facts
from tunesmith.tasks.labels_prediction import LabelsPrediction
from tunesmith.tasks.parts import Batch, Prediction, Tuned, Usable
from tunesmith.tasks.texts import ColumnsTask, column_names, named

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor
    from transformers import PreTrainedModel

    from tunesmith.data.spec import DataSpec
    from tunesmith.metrics.multilabel import MultiLabelScorer
    from tunesmith.models.source import Source
    from tunesmith.models.spec import ModelSpec

LR_AT_384 = 3e-4
"""Peak rate for a model of width 384."""
UNTUNED = 0.5
"""From which probability on a label is given where nothing says better."""
FROM_WORDS = "no dev rows: the best for a logistic regression on words, on training rows held back from it in turn"


class MultiLabelClassification(ColumnsTask):
    """Give each text, or pair of texts, any number of labels. Rows need a text and, for training, their labels."""

    main_metric: ClassVar[str] = "macro_f1"
    decides: ClassVar[Literal["one", "any", "number"]] = "any"
    metric_names: ClassVar[tuple[str, ...]] = ("macro_f1", "micro_f1", "mean_average_precision")
    prediction: ClassVar[type[Prediction]] = LabelsPrediction
    noun: ClassVar[str] = "classifier with several labels a text"
    counted: ClassVar[tuple[str, str]] = ("Rows with each label", "Label")
    usage: ClassVar[str] = FROM_PIPELINE + 'pipeline("text-classification", FOLDER, top_k=None)("your text")'

    kind: Literal["multi-label-classification"] = "multi-label-classification"
    """Which task it is."""
    separator: str = "auto"
    """What separates labels in a cell: each character of it does ("," or ",;|"). "auto" sees it in the training rows,
    "none": a cell is one label, or a list."""
    empty: Literal["auto", "none", "missing"] = "auto"
    """What an empty cell means: "none": the row has none of the labels, "missing": it is not labelled. "auto": missing
    where cells are lists, since an empty list says none; else none."""
    class_weights: Literal["none", "balanced"] = "none"
    """balanced: having a label counts as much as not having it, in inverse proportion to their rows."""
    labels: tuple[str, ...] = ()
    """All labels, in the order of the model's outputs; learnt from the training rows."""
    class_counts: tuple[int, ...] = ()
    """Training rows that have each label; learnt from the data."""
    n_rows: int = 0
    """Training rows, likewise."""
    thresholds: tuple[float, ...] = ()
    """From which probability on each label is given; set on the dev rows after training."""

    # The data's way.

    @classmethod
    def recognises(cls, table: Table, *, text: str, label: str) -> str:
        """Return what shows several labels a row: cells that list them, or several columns of 0 and 1."""
        columns = column_names(table, label)
        if len(columns) > 1:
            return _flags_said(columns) if all(are_flags(table[name]) for name in columns) else ""
        with suppress(DataError):
            if label == "auto" and (flags := flag_columns(table, text=named(text))):
                return _flags_said(flags)
            found = choose_columns(table, text=named(text), label=named(label), classes=False)
            cells = table[str(found.label)]
            if (several := listing(cells)) and not are_tags(table[found.text], cells):
                return several.said
        return ""

    def choose_columns(self, table: Table, *, need_label: bool = True) -> tuple[Self, list[Note]]:
        """Name the columns of texts and labels, and how labels are written; see `column_names`."""
        label = self.label
        if label == "auto" and need_label:
            with suppress(DataError):
                label = ", ".join(flag_columns(table, text=named(self.text), text_pair=named(self.text_pair))) or label
        first, *others = column_names(table, label)
        choice = choose_columns(
            table,
            text=named(self.text),
            label=named(first),
            text_pair=named(self.text_pair),
            need_label=need_label,
            classes=False,
        )
        label = ", ".join((choice.label or first, *others))
        found: dict[str, Any] = {"text": choice.text, "text_pair": choice.text_pair, "label": label}
        notes = choice.notes
        if not others and choice.label:
            written, more = self._written(table[choice.label])
            found, notes = found | written, [*notes, *more]
        return self.model_copy(update=found), notes

    def labelled(self, table: Table, *, label: str | None) -> Self:
        """Return the task reading one column of lists instead of a column for each label, or the other way round."""
        names = (label,) if label is None or label in table.columns else column_names(table, label)
        if label is None or min(len(names), 2) == min(len(self.target_columns), 2):
            return self
        if len(names) == 1:
            task = self.model_copy(update={"label": label, "separator": "auto", "empty": "auto"})
            return task.model_copy(update=task._written(table[label])[0])
        for name in set(names) - set(self.labels):
            fix = did_you_mean(name, list(self.labels)) or f"its labels: {', '.join(self.labels[:20])}"
            raise DataError(f'the model has no label "{name}"', where=Where(table.files[0], column=name), fix=fix)
        return self.model_copy(update={"label": ", ".join(self.labels)})

    def _written(self, cells: Sequence[Any]) -> tuple[dict[str, str], list[Note]]:
        """Return separator and meaning of empty cells, and what is to be said of a separator that was found."""
        found: dict[str, str] = {"separator": self.separator, "empty": self.empty}
        notes = []
        if self.separator == "auto":
            marks = find_separators(cells)
            found["separator"] = marks or "none"
            if marks:
                shown = " and ".join(f'"{mark}"' for mark in marks)
                fix = "--set task.separator=none if it does not"
                notes.append(Note("info", "separator", f"{shown} in a cell separates labels", fix))
        if self.empty == "auto":
            found["empty"] = "missing" if lists_labels(cells) else "none"
        return found, notes

    @property
    def _separators(self) -> str:
        return "" if self.separator in ("auto", "none") else self.separator

    def usable(
        self, table: Table, *, clean: Callable[[Any], str], spec: DataSpec, split: str, known: Sequence[Any] = ()
    ) -> Usable:
        """Keep the rows with a text whose labels are known, each row's as a tuple; see `Task.usable`."""
        classes = self.labels or {name for names in known for name in names}
        sets = self._read(table, spec, classes)
        found = self.sift(table, sets.values, sets.reasons, clean=clean, split=split)
        found.ledger.extend(sets.entries)
        where = Where(table.files[0], column=self.label)
        if not len(found.table):
            raise DataError("no row has a text and labels", where=where, fix="name other columns with --text, --label")
        if split == "train" and not known:
            found.notes += check_sets(sets, where)
        return found

    def _read(self, table: Table, spec: DataSpec, classes: Iterable[str]) -> LabelSets:
        if len(self.target_columns) > 1:
            return read_flags(table, columns=self.target_columns, spec=spec)
        empty = "missing" if self.empty == "missing" else "none"
        return read_sets(table, column=self.label, separators=self._separators, empty=empty, spec=spec, classes=classes)

    def written(self, table: Table) -> Iterable[Any]:
        """Return every label as it is written."""
        if len(self.target_columns) > 1:
            return self.target_columns
        return (part for cell in table[self.label] for part in parts_of(cell, self._separators))

    def answers(self, table: Table) -> list[Any]:
        """Return the labels, in one order."""
        return [tuple(sorted(names)) for names in table[self.label]]

    def lessons(self, table: Table) -> list[tuple[str, ...]]:
        """Return the labels, in one order."""
        return [(fold(sorted(names)),) for names in table[self.label]]

    def strata(self, table: Table) -> list[str]:
        """Return each row's rarest label: these are the ones that a split by chance may leave without rows."""
        counts = Counter(name for names in table[self.label] for name in names)
        return [min(names, key=lambda name: (counts[name], name), default="") for names in table[self.label]]

    def learn(self, table: Table) -> Self:
        """Return the task knowing its labels and how many training rows have each."""
        counts = Counter(name for names in table[self.label] for name in names)
        labels = self.target_columns if len(self.target_columns) > 1 else order(list(counts))
        found = {"labels": labels, "class_counts": tuple(counts[name] for name in labels), "n_rows": len(table)}
        return self.model_copy(update=found)

    def knows(self, table: Table) -> list[bool]:
        """Return for each row whether all its labels are among the training rows'."""
        known = set(self.labels)
        return [known.issuperset(names) for names in table[self.label]]

    def summary(self, tables: Mapping[str, Table]) -> dict[str, dict[str, int]]:
        """Return the rows that have each label."""
        counts = {split: Counter(n for names in table[self.label] for n in names) for split, table in tables.items()}
        return {split: {name: found[name] for name in self.labels} for split, found in counts.items()}

    # The model's way.

    @property
    def names(self) -> tuple[str, ...]:
        """The labels, as the saved model's config holds them."""
        return self.labels

    @property
    def n_outputs(self) -> int:
        """How many labels there are."""
        return len(self.labels)

    def numbers(self, table: Table) -> list[list[float]]:
        """Return 1 where a row has a label, else 0, shape (rows, labels)."""
        found: list[list[float]] = self.indicators(table[self.label]).astype(float).tolist()
        return found

    def indicators(self, sets: Sequence[Sequence[str]]) -> np.ndarray:
        """Return whether each row has each label, bool of shape (rows, labels)."""
        import numpy as np

        index = {name: i for i, name in enumerate(self.labels)}
        found = np.zeros((len(sets), len(self.labels)), dtype=bool)
        for row, names in enumerate(sets):
            found[row, [index[name] for name in names]] = True
        return found

    def build(self, source: Source, spec: ModelSpec) -> PreTrainedModel:
        """Return the family's own sequence classification class with one output per label.

        A new head begins with each label as likely as in the training rows, which spares it the first steps of
        learning that most labels are rare (Lin et al. 2017, section 4.1).
        """
        from tunesmith.models.classifier import build_classifier, head_of, shift_outputs
        from tunesmith.models.heads import is_new

        model = build_classifier(source, spec, self.names, problem_type="multi_label_classification")
        if self.class_weights == "none" and is_new(head_of(model), spec):
            shift_outputs(model, [math.log((n + 1) / (self.n_rows - n + 1)) for n in self.class_counts])
        return model

    def choices(self, facts: Facts) -> Choices:
        """Return higher rates than the usual: a rare yes moves a label's output little (measured; see docs/log.md)."""
        lr = float(f"{LR_AT_384 * 384 / facts.hidden_size:.1g}")
        return {
            "train.lr": (lr, "many labels that few rows have take higher rates than classes"),
            "train.head_lr_factor": (10.0, "the head has to learn what few rows say"),
        }

    def stack(self, targets: Sequence[Any]) -> Tensor:
        """Return indicators as numbers, shape (batch, labels)."""
        import torch

        return torch.tensor(targets, dtype=torch.float32)

    def decisions(self, out: Any, batch: Batch) -> Decisions:
        """Return a yes or no to each label for each example, which counts by its share of its row."""
        logits = out.logits.float()
        return Decisions("any", logits, batch.targets, batch.weights, batch.numbers, self._weights(logits))

    def _weights(self, like: Tensor) -> Tensor | None:
        """Rows without each label over rows with it, on the device of `like`."""
        import torch

        if self.class_weights == "none":
            return None
        counts = torch.tensor(self.class_counts, dtype=torch.float32, device=like.device).clamp(min=1)
        return (self.n_rows - counts).clamp(min=1) / counts

    # The answer's way.

    def predictions(self, outputs: Any, table: Table) -> list[LabelsPrediction]:
        """Return the labels whose probability reaches their threshold, and all probabilities."""
        from scipy.special import expit

        return self._predictions(expit(outputs), self.thresholds) if len(table) else []

    def _predictions(self, probabilities: np.ndarray, thresholds: Sequence[float]) -> list[LabelsPrediction]:
        limits = thresholds or (UNTUNED,) * self.n_outputs
        found = []
        for row in probabilities:
            shares = {name: float(p) for name, p in zip(self.labels, row, strict=True)}
            given = [name for name, limit in zip(self.labels, limits, strict=True) if shares[name] >= limit]
            found.append(LabelsPrediction(given, shares))
        return found

    def gold(self, table: Table) -> list[Any]:
        """Return each row's labels in the order of the model's outputs."""
        return [[name for name in self.labels if name in names] for names in map(set, table[self.label])]

    def scorer(self, predictions: Sequence[LabelsPrediction], gold: Sequence[Any]) -> MultiLabelScorer:
        """Return decisions and probabilities beside the right labels; see `metrics.multilabel`."""
        import numpy as np

        from tunesmith.metrics.multilabel import MultiLabelScorer

        probabilities = np.array([[said.probabilities[name] for name in self.labels] for said in predictions])
        given, right = self.indicators([said.labels for said in predictions]), self.indicators(gold)
        limits = self.thresholds or (UNTUNED,) * self.n_outputs
        return MultiLabelScorer(probabilities, given, right, self.labels, limits)

    def quick_metrics(self, outputs: Any, table: Table) -> dict[str, float]:
        """Return loss, F1s and mean average precision.

        Before thresholds are set, the F1s are those with the best thresholds for these rows: at 0.5 they stay 0 long
        after a model has begun to learn.
        """
        import numpy as np
        from scipy.special import expit

        from tunesmith.metrics.bootstrap import unit_weights
        from tunesmith.metrics.thresholds import best_thresholds

        logits, gold = np.asarray(outputs), self.indicators(table[self.label])
        probabilities = expit(logits)
        limits = self.thresholds or best_thresholds(probabilities, gold).values
        scorer = self.scorer(self._predictions(probabilities, limits), self.gold(table))
        values = scorer.at(unit_weights(len(table)), self.metric_names)
        loss = np.logaddexp(0, logits) - logits * gold
        return {"loss": float(loss.mean()), **{n: float(np.nan_to_num(values[n][0])) for n in self.metric_names}}

    def without_dev(self, train: Table, row_of: Sequence[int], *, seed: int) -> Self:
        """Return the task with one threshold for all labels; see `metrics.baselines_values.shared_threshold`.

        Weights of labels move probabilities, to where 0.5 is as good.
        """
        from tunesmith.metrics.baselines_values import shared_threshold

        if self.class_weights != "none":
            return self
        found = shared_threshold(self.key(train), self.indicators(train[self.label]), row_of, seed=seed)
        return self.model_copy(update={"thresholds": (found,) * self.n_outputs})

    def tune(self, outputs: Any, table: Table | None, *, why_not: str = "") -> Tuned:
        """Find the temperature that makes probabilities believable, then each label's threshold with the best F1."""
        import numpy as np
        from scipy.special import expit

        from tunesmith.metrics.calibration import find_shared_temperature
        from tunesmith.metrics.thresholds import best_thresholds
        from tunesmith.models.classifier import divide_logits

        if table is None:
            return self._untuned(why_not)
        logits, gold = np.asarray(outputs), self.indicators(table[self.label])
        scaled = find_shared_temperature(logits, gold)
        t = scaled.temperature
        found = best_thresholds(expit(logits / t), gold)
        each = zip(self.labels, found.values, found.reasons, strict=True)
        facts = {name: {"threshold": value, "reason": reason} for name, value, reason in each}
        saved = self.model_copy(update={"thresholds": tuple(found.values)})
        said = {"temperature": t, "fitted_on": "dev", "reason": scaled.reason, "thresholds": facts}
        return Tuned(saved, said, lambda values: np.asarray(values) / t, lambda model: divide_logits(model, t))

    def _untuned(self, why_not: str) -> Tuned:
        limits = self.thresholds or (UNTUNED,) * self.n_outputs
        each = zip(self.labels, limits, strict=True)
        known = {name: {"threshold": value, "reason": FROM_WORDS} for name, value in each} if self.thresholds else {}
        facts = {"temperature": 1.0, "fitted_on": None, "reason": why_not, "thresholds": known}
        return Tuned(self.model_copy(update={"thresholds": limits}), facts)

    def baselines(self, train: Table, test: Table, *, seed: int) -> dict[str, list[LabelsPrediction]]:
        """Return each label's share, and logistic regressions on words (TF-IDF); with thresholds of their own."""
        from tunesmith.metrics.baselines_values import label_shares, label_thresholds, tfidf_labels

        gold, texts = self.indicators(train[self.label]), [self.key(table) for table in (train, test)]
        shares = label_shares(gold, len(test))
        found = {"label_shares": (shares, label_shares(gold, 1)[0])}
        words = tfidf_labels(texts[0], gold, texts[1], seed=seed)
        found["tfidf_labels"] = words, label_thresholds(texts[0], gold, seed=seed)
        return {name: self._predictions(p, [float(t) for t in limits]) for name, (p, limits) in found.items()}

    def promise(self) -> tuple[str, Sequence[str]]:
        """Return that it gives any number of labels."""
        return "It gives each text any number of labels, each from its own probability on: ", self.labels

    @classmethod
    def wrongness(cls, row: Mapping[str, Any]) -> float:
        """Return how sure the most certain wrong yes or no is."""
        p = row["probabilities"]
        return max((abs(p[name] - (name in row["gold"])) for name in {*row["predicted"]} ^ {*row["gold"]}), default=0.0)

    @classmethod
    def told(cls, answer: Any, row: Mapping[str, Any]) -> str:
        """Return the labels."""
        del row
        return ", ".join(answer) or "none"

    def cell_names(self) -> list[str]:
        """Return "predicted" and a column for each label."""
        return ["predicted", *(f"p_{name}" for name in self.labels)]

    def is_like(self, other: Task) -> bool:
        """Whether both know the same labels."""
        return isinstance(other, MultiLabelClassification) and sorted(self.labels) == sorted(other.labels)

    def distance(self, one: Sequence[LabelsPrediction], other: Sequence[LabelsPrediction]) -> float:
        """Return the largest difference of a probability."""
        pairs = zip(one, other, strict=True)
        return max((abs(a.probabilities[n] - b.probabilities[n]) for a, b in pairs for n in self.labels), default=0.0)


def _flags_said(columns: Sequence[str]) -> str:
    return f"{count(len(columns), 'column')} of 0 and 1: {', '.join(columns)}"
