"""What language models share: a text is its own target, and a row is measured by how much it surprised the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tunesmith.core.errors import DataError, Where
from tunesmith.core.notes import Note
from tunesmith.core.wording import count
from tunesmith.data.table import Table
from tunesmith.models.words import IGNORED
from tunesmith.tasks.base import Task
from tunesmith.tasks.decisions import Decisions, token_losses
from tunesmith.tasks.facts import Choices, Facts
from tunesmith.tasks.parts import Batch, Example, Prediction, Usable, padded

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn
    from transformers import PreTrainedModel

    from tunesmith.metrics.perplexity import PerplexityScorer
    from tunesmith.models.source import Source
    from tunesmith.models.spec import ModelSpec
    from tunesmith.models.tokenize import Tokenizer

LEARNT = "text that is learnt"
"""Column of what is learnt, where it is the text itself; it stands in tables that are trained on or measured."""
OVERLAP = 8
"""A window repeats one part in this many of the one before it, as context: nothing in it is predicted twice."""
FEW_TOKENS = 500_000
"""Up to here steps are small."""
UPDATES, FEWEST_EPOCHS, MOST_EPOCHS = 600, 2, 10


@dataclass(frozen=True)
class Surprise(Prediction):
    """How much one row surprised the model.

    Attributes:
        loss: negative log-likelihood (natural logarithm), summed over the tokens that were predicted.
        tokens: how many these were.
        hits: how many of them were thought most likely.
        n_bytes: length in UTF-8 of what was predicted; 0 where only parts of words were.
    """

    answer: ClassVar[str] = "loss"
    loss: float
    tokens: int
    hits: int
    n_bytes: int


class LanguageTask(Task):
    """Base of the tasks that predict tokens; measured by perplexity, the model before training beside it."""

    can_be_edited: ClassVar[bool] = False
    main_metric: ClassVar[str] = "perplexity"
    metric_names: ClassVar[tuple[str, ...]] = ("perplexity", "token_accuracy")
    drops_before_head: ClassVar[bool] = False
    may_cut: ClassVar[bool] = False
    one_answer: ClassVar[bool] = False
    answers_untrained: ClassVar[bool] = True
    prediction: ClassVar[type[Prediction]] = Surprise

    text: str = "auto"
    """Column with the text; "auto" looks for it."""
    long_text: Literal["auto", "windows", "error"] = "auto"
    """What happens to texts longer than the model reads: windows (all of it is read), error."""
    vocabulary: tuple[int, ...] = ()
    """What is known of the tokenizer; see `with_tokenizer`."""

    @property
    def target_column(self) -> str:
        """The column of what is learnt."""
        return LEARNT

    @property
    def target_columns(self) -> tuple[str, ...]:
        """Return none: the user's files need no labels."""
        return ()

    @property
    def answered_from(self) -> tuple[str, ...]:
        """The columns that answers to measured rows follow from: without the target, a row is one to be answered."""
        return (*self.columns.values(), self.target_column)

    def is_measured(self, table: Table) -> bool:
        """Whether rows have their target; otherwise masks are filled, prompts continued."""
        return self.target_column in table.columns

    def kept(self, table: Table, reasons: Sequence[str], *, split: str) -> Usable:
        """Return the rows without a reason against them.

        Raises:
            DataError: there are none.
        """
        found = Usable(table)
        found.leave_out(reasons, split=split)
        if not len(found.table):
            where = Where(table.files[0], column=self.text)
            raise DataError(f"no row can be used: {reasons[0]}", where=where, fix="name another column with --text")
        return found

    def answers(self, table: Table) -> list[Any]:
        """Return what is learnt."""
        return list(table[self.target_column])

    def lessons(self, table: Table) -> list[tuple[str, ...]]:
        """Return nothing but the text itself."""
        return [("",)] * len(table)

    def announce(self, source: Source, spec: ModelSpec) -> list[Note]:
        """Say whether the architecture changes and the head is new."""
        from tunesmith.models.language import announce

        return announce(source, spec, auto_class=self.auto_class)

    def refuse_long(self, table: Table, lengths: Sequence[int], *, room: int) -> None:
        """Raise DataError if texts are too long and the recipe wants that to be an error."""
        if self.long_text != "error":
            return
        for row, n in enumerate(lengths):
            if n > room:
                raise DataError(
                    f"the text has {count(n, 'token')}, the model reads {room:,}",
                    where=table.where(row, self.text),
                    fix="shorten it, or use --set task.long_text=windows",
                )

    def build(self, source: Source, spec: ModelSpec) -> PreTrainedModel:
        """Return the family's own class with a head over the vocabulary."""
        from tunesmith.models.language import build_language_model

        return build_language_model(source, spec, auto_class=self.auto_class)

    def head(self, model: PreTrainedModel) -> nn.Module | None:
        """Return None: the head is mostly the word vectors, which are pre-trained."""
        del model
        return None

    def choices(self, facts: Facts) -> Choices:
        """Choose steps of tokens, a length by updates, and rates that let all layers move."""
        n_tokens = facts.n_rows * facts.mean_tokens
        step = 1024 if n_tokens <= FEW_TOKENS else 4096
        per_epoch = max(1.0, n_tokens / step)
        epochs = min(MOST_EPOCHS, max(FEWEST_EPOCHS, round(UPDATES / per_epoch)))
        lr = float(f"{self.lr_at_384 * 384 / facts.hidden_size:.1g}")
        return {
            "train.step_size": (f"{step} tokens", f"of {n_tokens:,.0f}; rows differ too much in length to count them"),
            "train.length": (
                count(epochs, "epoch"),
                f"{count(round(per_epoch), 'update')} an epoch; about {UPDATES} are wanted, in 2 to 10 epochs",
            ),
            "train.tokens_per_batch": (1024 if not facts.has_gpu else 4096, "logits over a vocabulary are large"),
            "train.lr": (lr, f"suits a model of width {facts.hidden_size}; wider ones take less"),
            "train.layer_decay": (1.0, "all layers have something to learn of a new kind of text"),
        }

    lr_at_384: ClassVar[float]
    """Learning rate that suits a model of width 384."""

    def stack(self, targets: Sequence[Any]) -> Tensor:
        """Return token ids, shape (batch, tokens)."""
        return padded(targets, IGNORED)

    def forward(self, model: nn.Module, batch: Batch) -> Any:
        """Return what the model gives, with logits only where there is a target."""
        from tunesmith.models.language import logits_at

        wanted, inputs = self.read_at_once(batch)
        with logits_at(model, wanted):
            return model(**inputs)

    def read_at_once(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return which tokens have a target, and the model's inputs."""
        return batch.targets != IGNORED, batch.inputs

    def decisions(self, out: Any, batch: Batch) -> Decisions:
        """Return a token for each place that is predicted; there are logits of these alone."""
        wanted = batch.targets != IGNORED
        examples = wanted.nonzero()[:, 0]
        weights = (batch.weights > 0).float()[examples]
        return Decisions("one", out.logits.float(), batch.targets[wanted], weights, batch.numbers[examples])

    def surprise(self, model: nn.Module, batch: Batch) -> np.ndarray:
        """Return loss, tokens and hits of each example, shape (batch, 3)."""
        import torch

        wanted = batch.targets != IGNORED
        logits, targets = self.forward(model, batch).logits, batch.targets[wanted]
        losses, hits = token_losses(logits, targets), (logits.argmax(dim=1) == targets).cpu()
        parts = torch.stack([losses, torch.ones_like(losses), hits.double()], dim=1)
        sums = torch.zeros(len(wanted), 3, dtype=torch.float64)
        found: np.ndarray = sums.index_add(0, wanted.nonzero()[:, 0].cpu(), parts).numpy()
        return found

    def summed(self, examples: Sequence[Example], outputs: Sequence[np.ndarray], *, n_rows: int) -> np.ndarray:
        """Return loss, tokens and hits of each row, shape (rows, 3)."""
        import numpy as np

        sums = np.zeros((n_rows, 3))
        np.add.at(sums, [example.row for example in examples], np.array(outputs).reshape(-1, 3))
        return sums

    def n_bytes(self, table: Table) -> list[int]:
        """Return the length of what is predicted of each row, in UTF-8."""
        return [0] * len(table)

    def surprises(self, outputs: np.ndarray, table: Table) -> list[Surprise]:
        """Return how much each row surprised the model."""
        sizes = zip(outputs, self.n_bytes(table), strict=True)
        return [Surprise(float(loss), int(tokens), int(hits), size) for (loss, tokens, hits), size in sizes]

    def gold(self, table: Table) -> list[Any]:
        """Return nothing: the text stands in the row."""
        return [None] * len(table)

    def scorer(self, predictions: Sequence[Surprise], gold: Sequence[Any]) -> PerplexityScorer:
        """Return the rows' sums; see `metrics.perplexity`."""
        from tunesmith.metrics.perplexity import PerplexityScorer

        del gold
        columns = {
            name: [getattr(said, name) for said in predictions] for name in ("loss", "tokens", "hits", "n_bytes")
        }
        n_bytes = columns["n_bytes"] if any(columns["n_bytes"]) else None
        return PerplexityScorer(columns["loss"], columns["tokens"], n_bytes, columns["hits"])  # type: ignore[arg-type]

    def quick_metrics(self, outputs: Any, table: Table) -> dict[str, float]:
        """Return the loss of a token, and the metrics."""
        from tunesmith.metrics.bootstrap import unit_weights

        values = self.scorer(self.surprises(outputs, table), self.gold(table)).at(unit_weights(len(table)))
        loss = float(outputs[:, 0].sum() / max(1.0, outputs[:, 1].sum()))
        return {"loss": loss, **{name: float(value[0]) for name, value in values.items()}}

    def taught(self, example: Example) -> list[int]:
        """Return the tokens that an example may teach."""
        return [token for token in example.target if token != IGNORED]

    def baseline_outputs(
        self, train: Sequence[Example], test: Sequence[Example], *, tokenizer: Tokenizer, n_rows: int
    ) -> dict[str, Any]:
        """Return guessing each token by how often it occurs in the training rows."""
        import numpy as np

        from tunesmith.metrics.baselines_sequences import unigram_losses

        n_tokens = max(len(tokenizer.plain), 1 + max(max(e.ids, default=0) for e in (*train, *test)))
        seen, asked = [self.taught(e) for e in train], [[i for i in e.target if i != IGNORED] for e in test]
        losses = unigram_losses(seen, asked, n_tokens=n_tokens)
        likeliest = np.bincount([i for row in seen for i in row], minlength=1).argmax()
        rows = zip(losses, asked, strict=True)
        return {
            "unigram": self.summed(
                test, [np.array([x, len(ids), ids.count(likeliest)]) for x, ids in rows], n_rows=n_rows
            )
        }

    @classmethod
    def wrongness(cls, row: Mapping[str, Any]) -> float:
        """Return 0: a row is more or less surprising, not wrong."""
        del row
        return 0.0

    def is_like(self, other: Task) -> bool:
        """Whether both split texts into the same tokens, as far as can be told."""
        return isinstance(other, type(self)) and self.vocabulary == other.vocabulary

    def distance(self, one: Sequence[Surprise], other: Sequence[Surprise]) -> float:
        """Return the largest difference of a row's loss for a token."""
        pairs = zip(one, other, strict=True)
        return max((abs(a.loss - b.loss) / max(1, a.tokens) + abs(a.tokens - b.tokens) for a, b in pairs), default=0.0)


def as_lines(value: Any, clean: Callable[[Any], str]) -> str:
    """Return a cell as clean text whose line breaks stay, "" where it holds none."""
    return "" if not clean(value) else "\n".join(map(clean, str(value).replace("\r\n", "\n").split("\n")))
