"""Texts in, texts out: what translation and summarization share.

The loss is the mean cross-entropy of a target token, and dev rows are measured by it while training: writing them out
would take longer than learning from them. The final numbers are of texts as the model writes them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from tunesmith.core.errors import DataError, Where
from tunesmith.core.notes import Note
from tunesmith.core.wording import count
from tunesmith.data.columns import is_index
from tunesmith.data.formats.pairs import LANGUAGES
from tunesmith.data.labels import fold
from tunesmith.data.sides import Pair, are_texts, choose_sides
from tunesmith.data.table import Table
from tunesmith.models.tokenize import LongText
from tunesmith.models.words import IGNORED
from tunesmith.tasks.base import Task
from tunesmith.tasks.decisions import Decisions, of_tokens, token_losses
from tunesmith.tasks.facts import Choices, Facts
from tunesmith.tasks.parts import Batch, Example, Prediction, Usable, padded

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn
    from transformers import PreTrainedModel

    from tunesmith.data.spec import DataSpec
    from tunesmith.metrics.perplexity import PerplexityScorer
    from tunesmith.models.source import Source
    from tunesmith.models.spec import ModelSpec
    from tunesmith.models.tokenize import Tokenizer

REFERENCES = "references"
"""A column of this name holds further good targets of a row."""
ROWS_AT_ONCE = 32
"""Texts written together; more need memory and gain nothing on a CPU."""

USAGE = """from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

reads = AutoTokenizer.from_pretrained(FOLDER)
writes = AutoTokenizer.from_pretrained(FOLDER, subfolder="target_tokenizer")
model = AutoModelForSeq2SeqLM.from_pretrained(FOLDER)
written = model.generate(**reads("your text", return_tensors="pt", return_token_type_ids=False))
writes.batch_decode(written, skip_special_tokens=True)"""


@dataclass(frozen=True)
class TextPrediction(Prediction):
    """What was written for one text."""

    answer: ClassVar[str] = "text"
    text: str


class Seq2SeqTask(Task):
    """Base of the tasks whose answer is a text that an encoder-decoder writes."""

    metric_names: ClassVar[tuple[str, ...]] = ("perplexity", "token_accuracy")
    dev_metric: ClassVar[str] = "perplexity"
    auto_class: ClassVar[str] = "AutoModelForSeq2SeqLM"
    drops_before_head: ClassVar[bool] = False
    one_answer: ClassVar[bool] = False
    prediction: ClassVar[type[Prediction]] = TextPrediction
    usage: ClassVar[str] = USAGE
    longer_first: ClassVar[bool] = False
    """Whether of two columns without telling names the longer texts are the sources."""
    is_cut: ClassVar[LongText] = "head"
    """What "auto" does with long texts."""

    text: str = "auto"
    """Column with the sources; "auto" looks for it."""
    label: str = "auto"
    """Column with the targets; "auto" looks for it. A column "references" may hold lists of further good ones."""
    prefix: str = ""
    """What stands before each source, for T5: "translate English to German: "."""
    long_text: Literal["auto", "head", "head_tail", "error"] = "auto"
    """What happens to sources longer than the model reads: head or head_tail (the rest is cut), error."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the target spread evenly over all tokens (Szegedy et al. 2016, section 7)."""
    target_tokens: PositiveInt | Literal["auto", "model"] = "auto"
    """Tokens to write with: the model's, or so many learnt from the training targets. "auto": 8,000 where the model was
    made for reading and its own would change the targets, as by leaving out capitals."""
    decoder_layers: PositiveInt | Literal["auto"] = "auto"
    """Layers of the decoder that is made where a model has none; "auto": as many as it has for reading."""
    max_new_tokens: PositiveInt | Literal["auto"] = "auto"
    """Most tokens that are written; "auto": a quarter more than the longest training target has."""
    num_beams: PositiveInt = 4
    """Texts that are followed at once in beam search; 1 takes the likeliest token each time."""
    length_penalty: float = 1.0
    """Beam search: above 1 longer texts win more often, below 1 shorter ones."""
    no_repeat_ngram_size: NonNegativeInt = 0
    """No sequence of so many tokens is written twice; 0: anything may be."""
    sample: bool = False
    """Draw tokens by their probability instead of beam search; the same text gives the same answer all the same."""
    temperature: PositiveFloat = 1.0
    """Sampling: below 1 likely tokens become likelier."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Sampling: only of the likeliest tokens that together have this probability."""

    # The data's way.

    @classmethod
    def known_columns(cls, names: Sequence[str]) -> Pair | None:
        """Return the columns of sources and targets, if their names say so."""
        raise TypeError(f"{cls.__name__} must define known_columns")

    @classmethod
    def recognises(cls, table: Table, *, text: str, label: str) -> str:
        """Return what is seen where two columns have the usual names, hold texts, and nothing else is to be learnt.

        Reviews with a summary and a rating are meant for a classifier.
        """
        pair = cls.known_columns(list(table.columns))
        if not pair or text not in ("auto", pair[0]) or label not in ("auto", pair[1]):
            return ""
        others = {*table.columns} - {*pair, REFERENCES, *LANGUAGES}
        fits = all(map(is_index, others)) and are_texts(table, pair)
        return f'there are columns "{pair[0]}" and "{pair[1]}"' if fits else ""

    def choose_columns(self, table: Table, *, need_label: bool = True) -> tuple[Self, list[Note]]:
        """Name the columns of sources and targets; see `data.sides`."""
        text, label, notes = choose_sides(
            table,
            text=None if self.text == "auto" else self.text,
            label=None if self.label == "auto" else self.label,
            known=self.known_columns,
            longer_first=self.longer_first,
            need_label=need_label,
        )
        return self.model_copy(update={"text": text, "label": label or self.label}), notes

    @property
    def optional_columns(self) -> tuple[str, ...]:
        """The column of further references."""
        return (REFERENCES,) if self.label != REFERENCES else ()

    def usable(
        self, table: Table, *, clean: Callable[[Any], str], spec: DataSpec, split: str, known: Sequence[Any] = ()
    ) -> Usable:
        """Keep the rows with a source and a target, this as a tuple of texts; see `Task.usable`.

        Of a training row with several targets each becomes a row.
        """
        del spec, known
        sources = [clean(value) for value in table[self.text]]
        targets = [self._targets(table, row, clean) for row in range(len(table))]
        found = Usable(table.replace(**{self.text: sources}).replace(**{self.label: targets}))
        pairs = zip(sources, targets, strict=True)
        found.leave_out([("" if given else "no target") if text else "no source" for text, given in pairs], split=split)
        if not len(found.table):
            fix = "name other columns with --text and --label"
            raise DataError("no row has a source and a target", where=Where(table.files[0]), fix=fix)
        if split == "train":
            each = [(row, (one,)) for row, given in enumerate(found.table[self.label]) for one in given]
            rows = found.table.take(row for row, _ in each)
            found.table = rows.replace(**{self.label: [one for _, one in each]})
        return found

    def _targets(self, table: Table, row: int, clean: Callable[[Any], str]) -> tuple[str, ...]:
        """Return the different targets of a row, cleaned."""
        cells = [table.columns[name][row] for name in (self.label, *self.optional_columns) if name in table.columns]
        texts = [clean(one) for cell in cells for one in (cell if isinstance(cell, list | tuple) else [cell])]
        return tuple(dict.fromkeys(filter(None, texts)))

    def answers(self, table: Table) -> list[Any]:
        """Return the targets."""
        return list(table[self.label])

    def lessons(self, table: Table) -> list[tuple[str, ...]]:
        """Return the targets, each of which alone may have been learnt."""
        return [tuple(map(fold, targets)) for targets in table[self.label]]

    def to_file(self, row: Mapping[str, Any], read: Mapping[str, Any]) -> dict[str, Any]:
        """Return a training row as a file holds it: with its one target, and no others."""
        del read
        return {name: row[name] for name in row if name not in self.optional_columns} | {self.label: row[self.label][0]}

    # The model's way.

    def with_tokenizer(self, tokenizer: Tokenizer, table: Table) -> tuple[Self, Tokenizer]:
        """Return the tokenizer with what the model writes with; see `models.targets`."""
        from tunesmith.models.seq2seq import with_target

        self.refuse_missing()
        learnt = [targets[0] for targets in table[self.label]]
        return self, with_target(tokenizer, learnt, wanted=self.target_tokens)

    def refuse_missing(self) -> None:
        """Raise DataError if a library is missing that measures the answers."""
        raise TypeError(f"{type(self).__name__} must define refuse_missing")

    def _sources(self, table: Table) -> list[str]:
        return [self.prefix + text for text in table[self.text]]

    def lengths(self, table: Table, tokenizer: Tokenizer) -> list[int]:
        """Return the tokens of each row's source, uncut, special tokens counted."""
        extra = tokenizer.max_tokens - tokenizer.room()
        return [len(ids) + extra for ids in tokenizer.ids(self._sources(table))]

    def encode(self, table: Table, tokenizer: Tokenizer) -> list[Example]:
        """Encode a row as one example; of several targets the first is the one that is learnt."""
        sources = tokenizer.ids(self._sources(table))
        policy: LongText = self.is_cut if self.long_text == "auto" else self.long_text
        targets: list[Any] = [None] * len(table)
        if self.label in table.columns and tokenizer.target:
            targets = tokenizer.target.ids([texts[0] for texts in table[self.label]])
        examples = []
        for row, (ids, target) in enumerate(zip(sources, targets, strict=True)):
            if policy == "error" and len(ids) > tokenizer.room():
                raise self._too_long(table, row, len(ids), tokenizer.room())
            (piece,) = tokenizer.pieces(ids, policy=policy)
            examples.append(_example(piece.ids, row, target, piece.extras, tokenizer))
        return examples

    def _too_long(self, table: Table, row: int, n: int, room: int) -> DataError:
        return DataError(
            f"the source has {count(n, 'token')}, the model reads {room:,}",
            where=table.where(row, self.text),
            fix="split it, or have the end cut with --set task.long_text=head",
        )

    def build(self, source: Source, spec: ModelSpec) -> PreTrainedModel:
        """Return an encoder-decoder: the family's own, or one made of an encoder."""
        from tunesmith.models.seq2seq import build_seq2seq

        layers = None if self.decoder_layers == "auto" else self.decoder_layers
        return build_seq2seq(source, spec, decoder_layers=layers)

    def equip(self, model: PreTrainedModel, tokenizer: Tokenizer) -> None:
        """Give the model its target vocabulary, and how it generates."""
        from tunesmith.models.seq2seq import equip

        equip(model, tokenizer)
        self.write_as_set(model)

    def write_as_set(self, model: PreTrainedModel) -> None:
        """Write how the model generates into its `generation_config`."""
        drawn = {"temperature": self.temperature, "top_p": self.top_p, "top_k": 0} if self.sample else {}
        model.generation_config.update(
            num_beams=1 if self.sample else self.num_beams,
            do_sample=self.sample,
            length_penalty=self.length_penalty,
            no_repeat_ngram_size=self.no_repeat_ngram_size,
            max_new_tokens=self.max_new_tokens,
            max_length=None,
            min_length=0,
            **drawn,
        )

    def head(self, model: PreTrainedModel) -> nn.Module | None:
        """Return what is new in the model."""
        from tunesmith.models.seq2seq import new_parts

        return new_parts(model)

    def choices(self, facts: Facts) -> Choices:
        """Return what suits models that write; see `tasks.seq2seq_choices`."""
        from tunesmith.tasks.seq2seq_choices import choices

        return choices(self, facts)

    def stack(self, targets: Sequence[Any]) -> Tensor:
        """Return token ids, shape (batch, tokens)."""
        return padded(targets, IGNORED)

    def decisions(self, out: Any, batch: Batch) -> Decisions:
        """Return the next token after each of the target's."""
        return of_tokens(out.logits, batch.targets, batch, smoothing=self.label_smoothing)

    def dev_run(self, model: nn.Module, batch: Batch) -> np.ndarray:
        """Return the loss of each example and how many tokens were thought likeliest, shape (batch, 2)."""
        import numpy as np
        import torch

        logits = model(**batch.inputs).logits
        losses = token_losses(logits.flatten(0, 1), batch.targets.flatten()).view(batch.targets.shape)
        right = (logits.argmax(dim=-1) == batch.targets).cpu()
        return np.asarray(torch.stack([losses.sum(dim=1), right.sum(dim=1).double()], dim=1))

    def dev_metrics(self, examples: Sequence[Example], outputs: Sequence[Any], table: Table) -> dict[str, float]:
        """Return the loss of a target token, the perplexity and the share of tokens thought likeliest."""
        del table
        n = sum(example.weight for example in examples)
        loss, right = (float(sum(row[i] for row in outputs)) / n for i in (0, 1))
        return {"loss": loss, "perplexity": math.exp(min(loss, 50.0)), "token_accuracy": right}

    def dev_scorer(self, examples: Sequence[Example], outputs: Sequence[Any]) -> PerplexityScorer:
        """Return how much the targets surprise, and how many of their tokens were thought likeliest."""
        import numpy as np

        from tunesmith.metrics.perplexity import PerplexityScorer

        losses, hits = np.array(outputs, dtype=float).reshape(-1, 2).T
        return PerplexityScorer(losses, np.array([example.weight for example in examples]), None, hits)

    def run(self, model: nn.Module, batch: Batch) -> list[list[int]]:
        """Return the token ids written for each example; what is drawn depends on its text alone."""
        return self.write(model, batch, at_once=1 if self.sample else ROWS_AT_ONCE)

    def write(self, model: nn.Module, batch: Batch, *, at_once: int = ROWS_AT_ONCE, seed: int = 0) -> list[list[int]]:
        """Return the token ids written for each example; draws depend on `seed` and the texts written `at_once`."""
        ids, mask = batch.inputs["input_ids"], batch.inputs["attention_mask"]
        found: list[list[int]] = []
        for start in range(0, len(ids), at_once):
            rows = slice(start, start + at_once)
            width = int(mask[rows].sum(dim=1).max())
            found += self._write(model, ids[rows, :width], mask[rows, :width], seed)
        return found

    def _write(self, model: Any, ids: Tensor, mask: Tensor, seed: int) -> list[list[int]]:
        found: list[list[int]]
        if not self.sample:
            found = model.generate(input_ids=ids, attention_mask=mask).tolist()
            return found
        from tunesmith.core.seed import generators_kept, seed_all

        with generators_kept():
            seed_all(seed, "sample", *ids.flatten().tolist())
            found = model.generate(input_ids=ids, attention_mask=mask).tolist()
        return found

    def merge(self, examples: Sequence[Example], outputs: Sequence[Any], *, n_rows: int) -> list[Any]:
        """Return the token ids of each row."""
        del examples, n_rows
        return list(outputs)

    # The answer's way.

    def read(self, outputs: Sequence[Any], tokenizer: Tokenizer) -> list[str]:
        """Return the texts."""
        assert tokenizer.target is not None
        return tokenizer.target.texts(outputs)

    def predictions(self, outputs: Sequence[Any], table: Table) -> list[TextPrediction]:
        """Return the texts."""
        del table
        return [TextPrediction(text) for text in outputs]

    def gold(self, table: Table) -> list[Any]:
        """Return the target, or the list of targets where there are several."""
        return [targets[0] if len(targets) == 1 else list(targets) for targets in table[self.label]]

    @classmethod
    def wrongness(cls, row: Mapping[str, Any]) -> float:
        """Return how little of what was written stands in the target, from 0 to 1."""
        return min(_unlike(row["predicted"], text) for text in references([row["gold"]])[0])

    @classmethod
    def told(cls, answer: Any, row: Mapping[str, Any]) -> str:
        """Return a text, or the first of several."""
        del row
        return str(answer if isinstance(answer, str) else answer[0])

    def cell_names(self) -> list[str]:
        """Return "predicted"."""
        return ["predicted"]

    def distance(self, one: Sequence[TextPrediction], other: Sequence[TextPrediction]) -> float:
        """Return how much of the texts differs: beams that are level may fall one way or the other by rounding."""
        unlike = [_unlike(a.text, b.text) for a, b in zip(one, other, strict=True)]
        return sum(unlike) / max(1, len(unlike))


def references(gold: Sequence[Any]) -> list[list[str]]:
    """Return the targets of each row as scorers take them."""
    return [[targets] if isinstance(targets, str) else list(targets) for targets in gold]


def texts_of(predictions: Sequence[TextPrediction]) -> list[str]:
    """Return the texts that were written."""
    return [said.text for said in predictions]


def _unlike(one: str, other: str) -> float:
    """Return the share of two texts' words that the other has not, or elsewhere."""
    from difflib import SequenceMatcher

    return 1 - SequenceMatcher(None, one.split(), other.split(), autojunk=False).ratio()


def _example(
    ids: list[int], row: int, target: list[int] | None, extras: Mapping[str, list[int]], tokenizer: Tokenizer
) -> Example:
    """Return an example whose decoder reads its target one token late (teacher forcing)."""
    if target is None or tokenizer.target is None:
        return Example(ids, row, extras=extras)
    late = {"decoder_input_ids": [tokenizer.target.start, *target[:-1]]}
    return Example(ids, row, target, float(len(target)), {**extras, **late}, n_written=len(target))
