"""What a task is: the one abstraction that knows what a row means, what is learned from it and what is answered.

A task is frozen settings plus pure functions of them; what it learns from the data (columns, labels, thresholds)
makes a new task. A new task is one file and one line in `tasks/__init__.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from tunesmith.core.notes import Note
from tunesmith.core.spec import Spec
from tunesmith.data.augment.words import Word, cut, join
from tunesmith.data.labels import fold
from tunesmith.data.table import Table
from tunesmith.tasks.facts import Choices, Facts
from tunesmith.tasks.parts import Batch, Example, Prediction, Tuned, Usable

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn
    from transformers import PreTrainedModel

    from tunesmith.data.spec import DataSpec
    from tunesmith.metrics.scorer import Scorer
    from tunesmith.models.source import Source
    from tunesmith.models.spec import ModelSpec
    from tunesmith.models.tokenize import Tokenizer
    from tunesmith.tasks.decisions import Decisions


FROM_PIPELINE = "from transformers import pipeline\n\n"


class Task(Spec):
    """Base of all tasks: settings as fields, what to do with them as methods."""

    main_metric: ClassVar[str]
    """The metric that early stopping and comparisons use."""
    metric_names: ClassVar[tuple[str, ...]]
    """What `evaluate.metric` may be: the names `quick_metrics` gives."""
    dev_metric: ClassVar[str] = ""
    """What training is judged by where the main metric takes too long to measure on the way, as of texts that the model
    writes; one of `metric_names`. Empty where it is the main metric."""
    auto_class: ClassVar[str]
    """The class of transformers that opens the saved model."""
    inputs: ClassVar[tuple[str, ...]] = ("text",)
    """The fields that name the columns of texts the model reads."""
    target: ClassVar[str] = "label"
    """The field that names the column to learn."""
    decides: ClassVar[Literal["one", "any", "number"]] = "one"
    """What `decisions` are: one of several classes, any of several labels, or numbers."""
    pools: ClassVar[bool] = False
    """Whether the model makes one vector of a text, so that it can be their mean."""
    drops_before_head: ClassVar[bool] = True
    """Whether the head that the task puts on a model has a dropout."""
    may_cut: ClassVar[bool] = True
    """Whether a part of a long text can do."""
    reads_words: ClassVar[bool] = False
    """Whether an input may also be a list of words."""
    updates: ClassVar[int] = 400
    """How many updates training wants, besides those for each class."""
    cleans: ClassVar[bool] = True
    """Whether texts are cleaned; not so where positions in them count (see `read_cell`)."""
    one_answer: ClassVar[bool] = True
    """Whether equal inputs should have equal targets; not so where there are several good ones, as in translation."""
    prediction: ClassVar[type[Prediction]]
    """What an answer is."""
    answers_untrained: ClassVar[bool] = False
    """Whether the pre-trained model gives answers that can be measured beside those of the trained one."""
    can_be_edited: ClassVar[bool] = True
    """Whether a text with a word more or less still has its target; not where the text itself is learnt."""
    can_be_reworded: ClassVar[bool] = True
    """Whether a text in other words still has its target; not so where words of it are the target."""
    draws_tokens: ClassVar[bool] = False
    """Whether `fresh` may put in tokens that no training row holds."""
    tokens_per_pass: ClassVar[int] = 4096
    """Padded tokens in one forward pass without gradients, at most."""
    noun: ClassVar[str] = "model"
    """What the result is called: "text classifier"."""
    done: ClassVar[str] = "labelled"
    """What was done with rows that were predicted."""
    counted: ClassVar[tuple[str, str]] = ("Rows of each class", "Class")
    """What `summary` counts: the title of its table, and of its first column."""
    hub_tag: ClassVar[str]
    """What the Hugging Face Hub calls the task."""
    usage: ClassVar[str]
    """How transformers opens the saved model: Python code, FOLDER standing for its folder."""

    kind: str
    long_text: Literal["auto", "windows", "head", "head_tail", "error"] = "auto"
    """What happens to texts longer than the model reads: windows (all of it is read, results are averaged), head or
    head_tail (the rest is cut), error. "auto": windows if more than 2% of the rows are too long or 2% of the tokens
    would be lost, else head."""
    max_tokens: int | Literal["auto"] = "auto"
    """Most tokens read at once; "auto" is what the model was made for."""

    # The data's way.

    @classmethod
    def recognises(cls, table: Table, *, text: str, label: str) -> str:
        """Return what shows that rows are meant for this task, "" where nothing does.

        Args:
            table: the training rows as they were read.
            text: the column of texts, "auto" where the user names none.
            label: the column to be learnt, likewise.
        """
        del table, text, label
        return ""

    def choose_columns(self, table: Table, *, need_label: bool = True) -> tuple[Self, list[Note]]:
        """Return the task with every "auto" column named, and why these."""
        raise _missing(self, "choose_columns")

    def labelled(self, table: Table, *, label: str | None) -> Self:
        """Return the task reading what it learnt from columns that a user names, where these hold it in another form.

        Args:
            table: rows to be measured, as they were read.
            label: the column, or several with commas between them; None where none is named.

        Raises:
            DataError: they can't hold it.
        """
        del table, label
        return self

    @property
    def columns(self) -> dict[str, str]:
        """The columns the model reads: field to column name."""
        return {name: getattr(self, name) for name in self.inputs}

    @property
    def target_column(self) -> str:
        """The column that is learnt."""
        return str(getattr(self, self.target))

    @property
    def target_columns(self) -> tuple[str, ...]:
        """The columns that hold what is learnt, as the user's files have them."""
        return (self.target_column,)

    @property
    def optional_columns(self) -> tuple[str, ...]:
        """Columns that are read where rows have them."""
        return ()

    def usable(
        self, table: Table, *, clean: Callable[[Any], str], spec: DataSpec, split: str, known: Sequence[Any] = ()
    ) -> Usable:
        """Return the rows with inputs and a target; the others go to the ledger with a reason.

        Args:
            table: rows as they were read.
            clean: what makes a cell a clean text, "" where it holds none.
            spec: how the data is read.
            split: where the rows are from: "train", "dev", "test".
            known: targets of the training rows, in whose spelling labels are read; none while these are read.

        Raises:
            DataError: nothing usable is left.
        """
        raise _missing(self, "usable")

    def read_cell(self, value: Any, clean: Callable[[Any], str]) -> Any:
        """Return a cell of an input column as the model reads it; cleaned text, but where positions in it count."""
        return clean(value)

    def key(self, table: Table) -> list[str]:
        """Return the text by which each row is split and recognised as a copy of another."""
        texts = [table[column] for column in self.columns.values()]
        return ["\n".join(parts) for parts in zip(*texts, strict=True)]

    def together(self, table: Table) -> list[str]:
        """Return the text that keeps each row in one split with its like and its near copies: the key, or a part of it.

        Such a part is a context that several questions share.
        """
        return self.key(table)

    def written(self, table: Table) -> Iterable[Any]:
        """Return the labels, or cells of them, of a table as it was read: what `data.label_map` can name."""
        return table[self.target_column]

    def answers(self, table: Table) -> list[Any]:
        """Return each row's target as something that can be hashed and compared: equal texts should have equal ones."""
        return [str(value) for value in table[self.target_column]]

    def lessons(self, table: Table) -> list[tuple[str, ...]]:
        """Return what can be learnt of each row, in any spelling: its target, or each of several that are all right."""
        return [(fold(value),) for value in table[self.target_column]]

    def contradicting(self, table: Table, couples: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """Return the couples, of rows that are near copies, whose targets can't both be right."""
        answers = self.answers(table)
        return [(i, j) for i, j in couples if answers[i] != answers[j]]

    def strata(self, table: Table) -> list[str]:
        """Return each row's class, whose shares a split keeps; all alike where there is none."""
        return [""] * len(table)

    def look(self, table: Table) -> list[Note]:
        """Return what is to be said of the usable training rows."""
        del table
        return []

    def learn(self, table: Table) -> Self:
        """Return the task knowing what it takes from the training rows, such as its labels."""
        del table
        return self

    def knows(self, table: Table) -> list[bool]:
        """Return for each row whether its target is one that was learnt; others can't be measured."""
        return [True] * len(table)

    def summary(self, tables: Mapping[str, Table]) -> dict[str, dict[str, int]]:
        """Return split to the number of rows of each class; empty where there are no classes."""
        del tables
        return {}

    def words(self, row: Mapping[str, Any]) -> dict[str, list[Word]]:
        """Return the words of each input column of a usable row; those that the target is about have a group."""
        return {column: cut(str(row[column] or "")) for column in self.columns.values()}

    def edited(self, row: Mapping[str, Any], words: Mapping[str, Sequence[Word]]) -> dict[str, Any]:
        """Return a row with other words, which has the same target."""
        return {**row, **{column: join(mine) for column, mine in words.items()}}

    def to_file(self, row: Mapping[str, Any], read: Mapping[str, Any]) -> dict[str, Any]:
        """Return a usable row as a file holds it: its target as it was `read`, where no words of the text are that."""
        return {**row, **({name: read[name] for name in self.target_columns} if self.can_be_reworded else {})}

    # The model's way.

    def with_tokenizer(self, tokenizer: Tokenizer, table: Table) -> tuple[Self, Tokenizer]:
        """Return the task knowing what it takes from the tokenizer, and the tokenizer as the training rows need it.

        It is the last look at what could go wrong before training.

        Raises:
            TunesmithError: what the user can mend.
        """
        del table
        return self, tokenizer

    def announce(self, source: Source, spec: ModelSpec) -> list[Note]:
        """Return what is to be said of the model: an architecture that is changed, a head that is new."""
        del source, spec
        return []

    def refused(self, table: Table, tokenizer: Tokenizer) -> dict[int, str]:
        """Return the rows that this model can't read, and why; they are set aside."""
        del table, tokenizer
        return {}

    def lengths(self, table: Table, tokenizer: Tokenizer) -> list[int]:
        """Return each row's tokens, uncut, special tokens counted."""
        columns = [tokenizer.ids(table[column]) for column in self.columns.values()]
        extra = tokenizer.max_tokens - tokenizer.room(len(columns))
        return [sum(map(len, parts)) + extra for parts in zip(*columns, strict=True)]

    def cut(self, table: Table, tokenizer: Tokenizer) -> list[int]:
        """Return how many tokens of each row no example holds."""
        if self.long_text == "windows":
            return [0] * len(table)
        return [max(0, n - tokenizer.max_tokens) for n in self.lengths(table, tokenizer)]

    def encode(self, table: Table, tokenizer: Tokenizer) -> list[Example]:
        """Return the examples of all rows, in row order; without targets where the table has no such column."""
        raise _missing(self, "encode")

    def fresh(self, example: Example, *, seed: int) -> Example:
        """Return an example as one training step reads it, a pure function of `seed`: its masks, drawn anew."""
        del seed
        return example

    def suited(self, source: Source, spec: ModelSpec) -> Self:
        """Return the task as the model's plain class can hold it."""
        del source, spec
        return self

    def build(self, source: Source, spec: ModelSpec) -> PreTrainedModel:
        """Return the pre-trained model with this task's head."""
        raise _missing(self, "build")

    def equip(self, model: PreTrainedModel, tokenizer: Tokenizer) -> None:
        """Give a model that was just built what it has to know of the tokenizer and of the task's settings."""

    def head(self, model: PreTrainedModel) -> nn.Module | None:
        """Return the part of the model that is new and learns at its own rate; None where all is pre-trained."""
        from tunesmith.models.classifier import head_of

        return head_of(model)

    def choices(self, facts: Facts) -> Choices:
        """Return values with reasons for "auto" settings where this task wants others than the usual ones."""
        del facts
        return {}

    def finished(self, model: Any) -> Self:
        """Return the task with what was learnt beside the model's own weights, which is taken out of the model."""
        del model
        return self

    def stack(self, targets: Sequence[Any]) -> Tensor:
        """Return the targets of a batch as one tensor."""
        raise _missing(self, "stack")

    def forward(self, model: nn.Module, batch: Batch) -> Any:
        """Return what the model gives for a batch, as `loss` takes it."""
        return model(**batch.inputs)

    def decisions(self, out: Any, batch: Batch) -> Decisions:
        """Return what `out` decides in a batch, beside what is right."""
        raise _missing(self, "decisions")

    def loss(self, out: Any, batch: Batch) -> Tensor:
        """Return the loss of a batch as a **sum** over its items; the loop divides once a step."""
        found = self.decisions(out, batch)
        return found.total(found.losses())

    def run(self, model: nn.Module, batch: Batch) -> Any:
        """Return what is kept of each example, first axis = examples; called without gradients."""
        raise _missing(self, "run")

    def dev_run(self, model: nn.Module, batch: Batch) -> Any:
        """Return what is kept of each example when rows are measured by `dev_metrics`."""
        return self.run(model, batch)

    def dev_metrics(self, examples: Sequence[Example], outputs: Sequence[Any], table: Table) -> dict[str, float]:
        """Return point values for learning curves from what `dev_run` kept: `metric_names` and "loss"."""
        return self.quick_metrics(self.merge(examples, outputs, n_rows=len(table)), table)

    def dev_scorer(self, examples: Sequence[Example], outputs: Sequence[Any]) -> Scorer:
        """Return what `dev_run` kept, ready to be measured; asked for where there is a `dev_metric`."""
        raise _missing(self, "dev_scorer")

    def merge(self, examples: Sequence[Example], outputs: Sequence[Any], *, n_rows: int) -> Any:
        """Join the windows of each row; first axis = rows."""
        raise _missing(self, "merge")

    def as_learnt(self, outputs: np.ndarray) -> np.ndarray:
        """Return what a finished model gives on the scale of the outputs that are learnt."""
        return outputs

    # The answer's way.

    def read(self, outputs: Any, tokenizer: Tokenizer) -> Any:
        """Return merged outputs as `predictions` takes them: what the model wrote in tokens becomes text."""
        del tokenizer
        return outputs

    def predictions(self, outputs: Sequence[Any], table: Table) -> list[Any]:
        """Return what is answered for each row."""
        raise _missing(self, "predictions")

    @property
    def answered_from(self) -> tuple[str, ...]:
        """The columns that answers to measured rows follow from: what the model reads."""
        return tuple(self.columns.values())

    def gold(self, table: Table) -> list[Any]:
        """Return each row's right answer, ready for JSON, as it stands beside the prediction."""
        return list(table[self.target_column])

    def scorer(self, predictions: Sequence[Any], gold: Sequence[Any]) -> Scorer:
        """Return the predictions ready to be measured."""
        raise _missing(self, "scorer")

    def quick_metrics(self, outputs: Sequence[Any], table: Table) -> dict[str, float]:
        """Return point values for learning curves, `main_metric` and "loss" among them (no intervals)."""
        raise _missing(self, "quick_metrics")

    def without_dev(self, train: Table, row_of: Sequence[int], *, seed: int) -> Self:
        """Return the task with what is else set on dev rows, as far as the training rows tell.

        Args:
            train: the training rows.
            row_of: for each the row that it was made from, by an edit; itself for others.
            seed: of what is random in it.
        """
        del train, row_of, seed
        return self

    def tune(self, outputs: Any, table: Table | None, *, why_not: str = "") -> Tuned:
        """Return what is set after training, on dev rows: a temperature, thresholds.

        Args:
            outputs: of the dev rows; None where there are none or nothing is to be set on them.
            table: the dev rows, or None.
            why_not: why they are None.
        """
        del outputs, table
        return Tuned(self, {"fitted_on": None, "reason": why_not})

    def baselines(self, train: Table, test: Table, *, seed: int) -> dict[str, list[Any]]:
        """Return simple methods' predictions of the test rows, by name."""
        del train, test, seed
        return {}

    def baseline_outputs(
        self, train: Sequence[Example], test: Sequence[Example], *, tokenizer: Tokenizer, n_rows: int
    ) -> dict[str, Any]:
        """Return outputs, as `merge` gives them, of simple methods that work on tokens, by name."""
        del train, test, tokenizer, n_rows
        return {}

    def promise(self) -> tuple[str, Sequence[str]]:
        """Return what the model does, as a sentence that may end with names (": "), and these names."""
        raise _missing(self, "promise")

    @classmethod
    def wrongness(cls, row: Mapping[str, Any]) -> float:
        """Return how wrong a line of `predictions/*.jsonl` is, 0 where it is right; the report shows the worst."""
        return float(row.get("confidence", 1.0)) if row["gold"] != row["predicted"] else 0.0

    @classmethod
    def told(cls, answer: Any, row: Mapping[str, Any]) -> str:
        """Return an answer, or the right one, as a person reads it beside the text of its row."""
        del row
        return str(answer)

    def cell_names(self) -> list[str]:
        """Return the columns that `tunesmith predict` adds; see `Prediction.cells`."""
        raise _missing(self, "cell_names")

    def is_like(self, other: Task) -> bool:
        """Whether two models' answers can be compared."""
        return self.kind == other.kind

    def distance(self, one: Sequence[Any], other: Sequence[Any]) -> float:
        """Return how far two sets of predictions of the same rows are apart, from 0 to 1."""
        n_other = len([1 for a, b in zip(one, other, strict=True) if a != b])
        return n_other / max(1, len(one))


def _missing(task: Task, method: str) -> TypeError:
    return TypeError(f"{type(task).__name__} must define {method}")
