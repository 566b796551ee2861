"""One label for each text, or for each pair of texts: sentiment, topic, spam, intent, entailment, paraphrase."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field

from tunesmith.core.errors import DataError, Where
from tunesmith.core.notes import Note
from tunesmith.data.classes import check_classes
from tunesmith.data.columns import choose_columns, leaky_columns
from tunesmith.data.labels import LabelReading, label_name, order, read_labels
from tunesmith.data.shape import shape
from tunesmith.data.table import Table
from tunesmith.tasks.base import FROM_PIPELINE, Task
from tunesmith.tasks.decisions import Decisions
from tunesmith.tasks.parts import Batch, Prediction, Tuned, Usable
from tunesmith.tasks.texts import TextTask, named

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor
    from transformers import PreTrainedModel

    from tunesmith.data.spec import DataSpec
    from tunesmith.metrics.classification import ClassScorer
    from tunesmith.models.source import Source
    from tunesmith.models.spec import ModelSpec

Label = bool | int | float | str


@dataclass(frozen=True)
class ClassPrediction(Prediction):
    """The class of one text.

    Attributes:
        label: the most probable class, as the user wrote it in the training data.
        confidence: its probability, calibrated where the run had dev rows.
        probabilities: every class by its text form.
    """

    answer: ClassVar[str] = "label"
    label: Any
    confidence: float
    probabilities: dict[str, float]

    def cells(self) -> dict[str, Any]:
        """Return the label, its probability and each class's."""
        shares = {f"p_{name}": round(p, 6) for name, p in self.probabilities.items()}
        return {"predicted": self.label, "confidence": round(self.confidence, 6), **shares}


class TextClassification(TextTask):
    """Give each text, or pair of texts, one label. Rows need a text and, for training, a label."""

    main_metric: ClassVar[str] = "macro_f1"
    metric_names: ClassVar[tuple[str, ...]] = ("macro_f1", "accuracy")
    prediction: ClassVar[type[Prediction]] = ClassPrediction
    noun: ClassVar[str] = "text classifier"
    usage: ClassVar[str] = FROM_PIPELINE + 'pipeline("text-classification", FOLDER)("your text")'

    kind: Literal["text-classification"] = "text-classification"
    """Which task it is."""
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
        choice = choose_columns(
            table,
            text=named(self.text),
            label=named(self.label),
            text_pair=named(self.text_pair),
            need_label=need_label,
        )
        columns = {"text": choice.text, "text_pair": choice.text_pair, "label": choice.label or self.label}
        return self.model_copy(update=columns), choice.notes

    def usable(
        self, table: Table, *, clean: Callable[[Any], str], spec: DataSpec, split: str, known: Sequence[Any] = ()
    ) -> Usable:
        """Keep the rows with a text and a label, both in the form they are used in; see `Task.usable`."""
        labels = read_labels(table, column=self.label, spec=spec, classes=known or self.labels)
        found = self.sift(table, labels.values, labels.reasons, clean=clean, split=split)
        found.ledger.extend(labels.entries)
        if not len(found.table):
            raise self._nothing(table, labels)
        if split == "train" and not known:
            found.notes += check_classes(labels, file=table.files[0], column=self.label)
        return found

    def _nothing(self, table: Table, labels: LabelReading) -> DataError:
        if all(labels.reasons):
            where = Where(table.files[0], column=self.label)
            return DataError("no row has a label", where=where, fix="name another column with --label")
        where = Where(table.files[0], column=self.text)
        return DataError("no row has a text and a label", where=where, fix="name other columns with --text and --label")

    def answers(self, table: Table) -> list[Any]:
        """Return the labels."""
        return [(type(value), value) for value in table[self.label]]

    def strata(self, table: Table) -> list[str]:
        """Return the labels' names."""
        return [label_name(value) for value in table[self.label]]

    def look(self, table: Table) -> list[Note]:
        """Return what gives the label away, and what is unusual about the classes."""
        read = table.named({name: name for name in table.columns if name != self.text_pair})
        return [
            *leaky_columns(read, text=self.text, label=self.label),
            *shape(read, text=self.text, label=self.label),
        ]

    def learn(self, table: Table) -> Self:
        """Return the task knowing its classes and how many training rows each has."""
        labels = order(table[self.label])
        counts = Counter((type(v), v) for v in table[self.label])
        found = tuple(counts[type(label), label] for label in labels)
        return self.model_copy(update={"labels": labels, "class_counts": found})

    def knows(self, table: Table) -> list[bool]:
        """Return for each row whether its label is one of the training rows'."""
        return [index >= 0 for index in self.indices(table).tolist()]

    def summary(self, tables: Mapping[str, Table]) -> dict[str, dict[str, int]]:
        """Return the rows of each class."""
        counts = {split: Counter(self.indices(table).tolist()) for split, table in tables.items()}
        return {split: {name: n[i] for i, name in enumerate(self.names)} for split, n in counts.items()}

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

    @property
    def n_outputs(self) -> int:
        """How many classes there are."""
        return len(self.labels)

    def numbers(self, table: Table) -> list[int]:
        """Return the class indices."""
        found: list[int] = self.indices(table).tolist()
        return found

    def indices(self, table: Table) -> np.ndarray:
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

    def build(self, source: Source, spec: ModelSpec) -> PreTrainedModel:
        """Return the family's own sequence classification class with one output per label."""
        from tunesmith.models.classifier import build_classifier

        return build_classifier(source, spec, self.names)

    def stack(self, targets: Sequence[Any]) -> Tensor:
        """Return class indices, shape (batch,)."""
        import torch

        return torch.tensor(targets, dtype=torch.long)

    def decisions(self, out: Any, batch: Batch) -> Decisions:
        """Return one class for each example, which counts by its share of its row."""
        return Decisions(
            "one",
            out.logits.float(),
            batch.targets,
            batch.weights,
            batch.numbers,
            self._weights(out.logits),
            self.label_smoothing,
        )

    def predictions(self, outputs: Any, table: Table) -> list[ClassPrediction]:
        """Return the most probable class of each row with all probabilities."""
        from tunesmith.metrics.calibration import softmax

        return self._predictions(softmax(outputs)) if len(table) else []

    def _predictions(self, probabilities: np.ndarray) -> list[ClassPrediction]:
        found = []
        for row in probabilities:
            best = int(row.argmax())
            named = {name: float(p) for name, p in zip(self.names, row, strict=True)}
            found.append(ClassPrediction(self.labels[best], float(row[best]), named))
        return found

    def scorer(self, predictions: Sequence[ClassPrediction], gold: Sequence[Any]) -> ClassScorer:
        """Return the probabilities beside the labels; see `metrics.classification`."""
        import numpy as np

        from tunesmith.metrics.classification import ClassScorer

        probabilities = np.array([[p.probabilities[name] for name in self.names] for p in predictions])
        indices = self.indices(Table.of({self.label: gold}))
        return ClassScorer(probabilities, indices, self.labels)

    def quick_metrics(self, outputs: Sequence[np.ndarray], table: Table) -> dict[str, float]:
        """Return loss, accuracy and macro F1 over the classes that occur in the labels or in the predictions."""
        import numpy as np
        from scipy.special import log_softmax
        from sklearn.metrics import f1_score

        gold = self.indices(table)
        logits = np.asarray(outputs)
        predicted = logits.argmax(axis=1)
        return {
            "loss": float(-np.mean(log_softmax(logits, axis=1)[np.arange(len(gold)), gold])),
            "accuracy": float(np.mean(predicted == gold)),
            "macro_f1": float(f1_score(gold, predicted, average="macro", zero_division=0)),
        }

    def tune(self, outputs: Any, table: Table | None, *, why_not: str = "") -> Tuned:
        """Find the temperature that makes probabilities believable (Guo et al. 2017)."""
        import numpy as np

        from tunesmith.metrics.calibration import find_temperature
        from tunesmith.models.classifier import divide_logits

        if table is None:
            return Tuned(self, {"temperature": 1.0, "fitted_on": None, "reason": why_not})
        found = find_temperature(np.asarray(outputs), self.indices(table))
        t = found.temperature
        facts = {"temperature": t, "fitted_on": "dev", "reason": found.reason}
        return Tuned(self, facts, lambda logits: np.asarray(logits) / t, lambda model: divide_logits(model, t))

    def baselines(self, train: Table, test: Table, *, seed: int) -> dict[str, list[ClassPrediction]]:
        """Return the most frequent class, and logistic regression on words (TF-IDF)."""
        from tunesmith.metrics.baselines import majority, tfidf_logistic

        gold, n = self.indices(train), len(self.labels)
        texts = [self.key(table) for table in (train, test)]
        found = {
            "majority": majority(gold, len(test), n_classes=n),
            "tfidf": tfidf_logistic(texts[0], gold, texts[1], n_classes=n, seed=seed),
        }
        return {name: self._predictions(probabilities) for name, probabilities in found.items()}

    def promise(self) -> tuple[str, Sequence[str]]:
        """Return that it gives one label."""
        return "It gives each text one of these labels: ", self.names

    def cell_names(self) -> list[str]:
        """Return "predicted", "confidence" and a column for each class."""
        return ["predicted", "confidence", *(f"p_{name}" for name in self.names)]

    def is_like(self, other: Task) -> bool:
        """Whether both know the same classes."""
        return isinstance(other, TextClassification) and sorted(self.names) == sorted(other.names)

    def distance(self, one: Sequence[ClassPrediction], other: Sequence[ClassPrediction]) -> float:
        """Return the largest difference of a probability."""
        pairs = zip(one, other, strict=True)
        return max((abs(a.probabilities[n] - b.probabilities[n]) for a, b in pairs for n in self.names), default=0.0)

    def _weights(self, like: Tensor) -> Tensor | None:
        """Class weights that average to 1 over the training rows, on the device of `like`."""
        import torch

        if self.class_weights == "none":
            return None
        counts = torch.tensor(self.class_counts, dtype=torch.float32, device=like.device)
        return counts.sum() / (counts.clamp(min=1) * len(self.class_counts))
