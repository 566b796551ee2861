"""A label for words: named entities, chunks, parts of speech. Whole documents, in overlapping windows.

A word is labelled by its first token, in the window where it has the most text around it; other tokens carry no loss
(Devlin et al. 2019, section 5.3). Tags that can't follow one another (I- without B-) never come out: the best sequence
that can is found by the Viterbi algorithm, with learnt scores of one tag following another where `crf` is on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from tunesmith.core.errors import DataError
from tunesmith.core.ledger import Ledger
from tunesmith.core.notes import Note
from tunesmith.core.wording import count
from tunesmith.data import tagging
from tunesmith.data.augment.words import Word
from tunesmith.data.columns import choose_tagged
from tunesmith.data.labels import fold
from tunesmith.data.table import Table
from tunesmith.data.tagged import is_tags, read_table, read_tags, shared, split_words, tagged_rows, words_of
from tunesmith.data.tagging import Scheme
from tunesmith.models.words import IGNORED
from tunesmith.tasks.base import FROM_PIPELINE, Task
from tunesmith.tasks.decisions import Decisions, of_tokens
from tunesmith.tasks.parts import Batch, Example, Prediction, Tuned, Usable
from tunesmith.tasks.tag_prediction import TagPrediction, told
from tunesmith.tasks.tagsets import ENTITIES, PLAIN, Tagset, numbered_tags, unknown_labels
from tunesmith.tasks.words import Target, as_text, entity_tags, entity_words, join_windows, stack_targets, word_examples

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn
    from transformers import PreTrainedModel

    from tunesmith.data.spec import DataSpec
    from tunesmith.metrics.scorer import Scorer
    from tunesmith.models.chain import Lattice
    from tunesmith.models.source import Source
    from tunesmith.models.spec import ModelSpec
    from tunesmith.models.tokenize import Tokenizer


class TokenClassification(Task):
    """Label words. Rows need a text or a list of words and, for training, spans or a tag for each word."""

    can_be_reworded: ClassVar[bool] = False
    auto_class: ClassVar[str] = "AutoModelForTokenClassification"
    may_cut: ClassVar[bool] = False
    reads_words: ClassVar[bool] = True
    cleans: ClassVar[bool] = False
    prediction: ClassVar[type[Prediction]] = TagPrediction
    hub_tag: ClassVar[str] = "token-classification"
    noun: ClassVar[str] = "tagger of words"
    counted: ClassVar[tuple[str, str]] = ("How often each label occurs", "Label")
    usage: ClassVar[str] = (
        FROM_PIPELINE + 'pipeline("token-classification", FOLDER, aggregation_strategy="first")("your text")'
    )

    kind: Literal["token-classification"] = "token-classification"
    """Which task it is."""
    text: str = "auto"
    """Column with the texts, or with lists of words; "auto" looks for it."""
    label: str = "auto"
    """Column with a list of tags for the words, or with spans ("start", "end", "label"); "auto" looks for it."""
    scheme: Literal["auto", "iob1", "iob2", "bioes", "bilou", "bmes", "plain"] = "auto"
    """How tags mark where an entity begins; "auto" sees it in the training rows. plain: tags are labels by themselves,
    such as parts of speech."""
    labels: tuple[str, ...] = ()
    """The tags, in the order of the model's outputs; learnt from the training rows."""
    crf: bool = False
    """Whether scores of one tag following another are learnt, too (Lample et al. 2016)."""
    transitions: tuple[tuple[float, ...], ...] = ()
    """These scores, as `models.chain` has them; learnt in training."""
    long_text: Literal["auto", "windows", "error"] = "auto"
    """What happens to texts longer than the model reads: windows (all of it is read), error."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the target spread evenly over all tags (Szegedy et al. 2016, section 7); not with a CRF."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.crf and self.label_smoothing:
            raise ValueError("a CRF has no label smoothing", "leave one of the two settings out")
        return self

    @property
    def tagset(self) -> Tagset:
        """What the tags mean."""
        return PLAIN if self.scheme == "plain" else ENTITIES

    @property
    def main_metric(self) -> str:  # type: ignore[override]
        """Entity F1; of plain tags, word accuracy."""
        return self.tagset.main_metric

    @property
    def metric_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """The names `quick_metrics` gives."""
        return self.tagset.metric_names

    # The data's way.

    @classmethod
    def recognises(cls, table: Table, *, text: str, label: str) -> str:
        """Return what shows it: lists of words beside as many tags, or texts beside spans."""
        try:
            choice = choose_tagged(table, text=text, label=label)
        except DataError:
            return ""
        if choice.label is None or not tagged_rows(table[choice.text], table[choice.label]):
            return ""
        return f'"{choice.label}" holds labels for words of "{choice.text}"'

    def choose_columns(self, table: Table, *, need_label: bool = True) -> tuple[Self, list[Note]]:
        """Name the columns of texts and labels, and see how tags are written."""
        choice = choose_tagged(table, text=self.text, label=self.label, need_label=need_label)
        scheme, notes = self.scheme, list(choice.notes)
        if choice.label:
            rows = [list(map(str, cell)) for cell in table[choice.label] if is_tags(cell)]
            scheme = tagging.detect(rows) if scheme == "auto" else scheme
            notes += numbered_tags(rows, table.files[0])
        found = {"text": choice.text, "label": choice.label or self.label, "scheme": scheme}
        return self.model_copy(update=found), notes

    def read_cell(self, value: Any, clean: Callable[[Any], str]) -> Any:
        """Return a text or a list of words as it is: positions in it count."""
        del clean
        return value

    def usable(
        self, table: Table, *, clean: Callable[[Any], str], spec: DataSpec, split: str, known: Sequence[Any] = ()
    ) -> Usable:
        """Keep the rows with words and labels, these as one tag a word; see `Task.usable`."""
        del clean
        found = Usable(*read_table(table, text=self.text, label=self.label, scheme=self._written_in, split=split))
        if spec.label_map:
            found.table = self._renamed(found.table, spec.label_map, found.ledger)
        if split != "train":
            found.notes += unknown_labels(self.tagset, found.table[self.label], known or [self.labels], split)
        return found

    @property
    def _written_in(self) -> Scheme:
        return "iob2" if self.scheme == "auto" else self.scheme

    def _renamed(self, table: Table, names: Mapping[str, str], ledger: Ledger) -> Table:
        folded = {fold(old): new for old, new in names.items()}
        rows = [[self.tagset.renamed(tag, folded) for tag in tags] for tags in table[self.label]]
        for row, (old, new) in enumerate(zip(table[self.label], rows, strict=True)):
            where = table.where(row)
            for before, after in dict.fromkeys(pair for pair in zip(old, new, strict=True) if len({*pair}) > 1):
                ledger.add("changed", "label rewritten", file=where.file, row=where.row, detail=f"{before} -> {after}")
        return table.replace(**{self.label: rows})

    def written(self, table: Table) -> Iterable[Any]:
        """Return the types of entities, or the plain tags."""
        cells = zip(table[self.text], table[self.label], strict=True)
        return self.tagset.counts([read_tags(*pair, self._written_in).tags for pair in cells])

    def key(self, table: Table) -> list[str]:
        """Return the texts."""
        return [words_of(cell)[0] for cell in table[self.text]]

    def answers(self, table: Table) -> list[Any]:
        """Return the tags."""
        return [tuple(tags) for tags in table[self.label]]

    def contradicting(self, table: Table, couples: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """Return the couples in which a word that both have, in the same order among the others, has another tag."""
        found = []
        for i, j in super().contradicting(table, couples):
            one, other = ([word.casefold() for word in split_words(table[self.text][row])] for row in (i, j))
            pairs = shared(one, other)
            if any(table[self.label][i][a] != table[self.label][j][b] for a, b in pairs):
                found.append((i, j))
        return found

    def learn(self, table: Table) -> Self:
        """Return the task knowing its tags."""
        return self.model_copy(update={"labels": self.tagset.learn(table[self.label])})

    def summary(self, tables: Mapping[str, Table]) -> dict[str, dict[str, int]]:
        """Return the entities of each type, or the words of each tag."""
        names = sorted(self.tagset.counts([self.labels]))
        counts = {split: self.tagset.counts(table[self.label]) for split, table in tables.items()}
        return {split: {name: n[name] for name in names} for split, n in counts.items()}

    @property
    def can_be_edited(self) -> bool:  # type: ignore[override]
        """Whether words have no tag of their own, as those between entities."""
        return self.tagset is ENTITIES

    def words(self, row: Mapping[str, Any]) -> dict[str, list[Word]]:
        """Return the words; those of an entity have a group, and its type as their kind."""
        return {self.text: entity_words(row[self.text], row[self.label])}

    def edited(self, row: Mapping[str, Any], words: Mapping[str, Sequence[Word]]) -> dict[str, Any]:
        """Return a row with other words and their tags: a text where it was one, if it is cut into these words."""
        mine = words[self.text]
        text = as_text(mine) if isinstance(row[self.text], str) else None
        listed = [word.text for word in mine]
        return {**row, self.text: listed if text is None else text, self.label: entity_tags(mine)}

    def to_file(self, row: Mapping[str, Any], read: Mapping[str, Any]) -> dict[str, Any]:
        """Return a row with its words and tags as lists, in the columns where these are looked for."""
        kept = {name: row[name] for name in row if name not in (self.text, self.label)}
        return kept | {"tokens": split_words(row[self.text]), "tags": row[self.label]}

    # The model's way.

    def lengths(self, table: Table, tokenizer: Tokenizer) -> list[int]:
        """Return each row's tokens, uncut, special tokens counted."""
        extra = tokenizer.max_tokens - tokenizer.room()
        return [len(ids) + extra for ids in tokenizer.ids(self.key(table))]

    def encode(self, table: Table, tokenizer: Tokenizer) -> list[Example]:
        """Encode texts, one example a window."""
        examples: list[Example] = []
        index = {tag: i for i, tag in enumerate(self.labels)}
        for row, (ids, offsets) in enumerate(tokenizer.with_offsets(self.key(table))):
            if self.long_text == "error" and len(ids) > tokenizer.room():
                raise DataError(
                    f"the text has {count(len(ids), 'token')}, the model reads {tokenizer.room():,}",
                    where=table.where(row, self.text),
                    fix="shorten it, or use --set task.long_text=windows",
                )
            tags = None
            if self.label in table.columns:
                tags = [index.get(tag, IGNORED) for tag in table[self.label][row]]
            places = words_of(table[self.text][row])[1]
            examples += word_examples(row, (ids, offsets), places, tags, tokenizer=tokenizer, n_tags=len(index))
        return examples

    def announce(self, source: Source, spec: ModelSpec) -> list[Note]:
        """Return what is to be said of a head whose outputs are other tags."""
        from tunesmith.models.heads import announce

        return announce(source, spec, self.labels, auto_class=self.auto_class)

    def build(self, source: Source, spec: ModelSpec) -> PreTrainedModel:
        """Return the family's own token classification class with one output per tag."""
        from tunesmith.models.classifier import build_classifier
        from tunesmith.models.tags import add_transitions

        model = build_classifier(source, spec, self.labels, auto_class=self.auto_class, problem_type=None)
        if self.crf:
            add_transitions(model, len(self.labels))
        return model

    def finished(self, model: Any) -> Self:
        """Return the task with the scores of one tag following another, which the model no longer has."""
        from tunesmith.models.tags import take_transitions

        return self.model_copy(update={"transitions": take_transitions(model)}) if self.crf else self

    def equip(self, model: PreTrainedModel, tokenizer: Tokenizer) -> None:
        """Make the model and the tokenizer agree on how short rows are filled."""
        from tunesmith.models.padding import agree_on_padding

        agree_on_padding(model, tokenizer)

    def stack(self, targets: Sequence[Target]) -> Tensor:
        """Return tag indices, shape (batch, 2 + tokens); see `stack_targets`."""
        return stack_targets(targets)

    def decisions(self, out: Any, batch: Batch) -> Decisions:
        """Return one tag for each token, as if words were independent."""
        return of_tokens(out.logits, batch.targets[:, 2:], batch, smoothing=self.label_smoothing)

    def loss(self, out: Any, batch: Batch) -> Tensor:
        """Return the negative log-likelihood of the words' tags, summed over the batch.

        Without a CRF words are independent; with one it is that of sequences (`models.tags.sequence_loss`).
        """
        from tunesmith.models.tags import sequence_loss

        if not self.crf:
            return super().loss(out, batch)
        logits = out.logits.float()
        steps = out.transitions.float() + logits.new_tensor(self._allowed())
        return (sequence_loss(logits, batch.targets, steps) * (batch.weights > 0)).sum()

    def _allowed(self) -> np.ndarray:
        from tunesmith.models.chain import allowed

        return allowed(self.labels, self.tagset.may_follow)

    def run(self, model: nn.Module, batch: Batch) -> list[Lattice]:
        """Return the scores of each example's tokens, and of one tag following another."""
        import numpy as np
        import torch

        from tunesmith.models.chain import Lattice

        out = model(**batch.inputs)
        each = torch.log_softmax(out.logits.detach().float(), dim=-1).cpu().numpy()
        steps = self._allowed()
        if "transitions" in out:
            steps = steps + out.transitions.detach().float().cpu().numpy()
        elif self.transitions:
            steps = steps + np.array(self.transitions)
        return [Lattice(one, steps) for one in each]

    def merge(self, examples: Sequence[Example], outputs: Sequence[Lattice], *, n_rows: int) -> list[Lattice]:
        """Return the scores of each row's words."""
        return join_windows(examples, outputs, n_rows=n_rows, n_tags=len(self.labels))

    # The answer's way.

    def predictions(self, outputs: Sequence[Lattice], table: Table) -> list[TagPrediction]:
        """Return the best sequence of tags for each row that can be."""
        import numpy as np

        from tunesmith.models.chain import marginals, viterbi

        found = []
        for lattice, cell in zip(outputs, table[self.text], strict=True):
            path = viterbi(lattice)
            shares = np.exp(marginals(lattice)[np.arange(len(path)), path])
            found.append(self._said(cell, [self.labels[i] for i in path], shares.tolist()))
        return found

    def _said(self, cell: Any, tags: list[str], scores: list[float]) -> TagPrediction:
        return TagPrediction.about(cell, tags, scores, plain=self.scheme == "plain")

    def gold(self, table: Table) -> list[Any]:
        """Return the tags."""
        return [list(tags) for tags in table[self.label]]

    def scorer(self, predictions: Sequence[TagPrediction], gold: Sequence[Any]) -> Scorer:
        """Return the tags side by side; see `metrics.spans` and `metrics.tags`."""
        return self.tagset.scorer([said.tags for said in predictions], gold)

    def quick_metrics(self, outputs: Sequence[Lattice], table: Table) -> dict[str, float]:
        """Return the loss of a word, and the metrics; one that is undefined (no entity anywhere) as 0."""
        import numpy as np

        from tunesmith.metrics.bootstrap import unit_weights
        from tunesmith.models.chain import word_losses

        scorer = self.scorer(self.predictions(outputs, table), self.gold(table))
        values = scorer.at(unit_weights(len(table)))
        losses = word_losses(outputs, table[self.label], self.labels)
        metrics = {name: float(np.nan_to_num(values[name][0])) for name in self.metric_names}
        return {"loss": math.fsum(losses) / max(1, len(losses)), **metrics}

    def tune(self, outputs: Any, table: Table | None, *, why_not: str = "") -> Tuned:
        """Find the temperature that makes the probabilities of words believable; it changes no answer.

        (Guo et al. 2017.) A CRF's are taken as they are.
        """
        import numpy as np
        from scipy.special import log_softmax

        from tunesmith.metrics.calibration import find_temperature
        from tunesmith.models.classifier import divide_logits

        if table is None or self.crf:
            reason = why_not or "the scores of a CRF are taken as they are"
            return Tuned(self, {"temperature": 1.0, "fitted_on": None, "reason": reason})
        index = {tag: i for i, tag in enumerate(self.labels)}
        gold = np.array([index.get(tag, -1) for tags in table[self.label] for tag in tags])
        logits = np.concatenate([lattice.each for lattice in outputs])
        found = find_temperature(logits[gold >= 0], gold[gold >= 0], noun="word")
        t = found.temperature
        facts = {"temperature": t, "fitted_on": "dev", "reason": found.reason}

        def applied(lattices: Sequence[Lattice]) -> list[Lattice]:
            return [lattice._replace(each=log_softmax(lattice.each / t, axis=1)) for lattice in lattices]

        return Tuned(self, facts, applied, lambda model: divide_logits(model, t))

    def baselines(self, train: Table, test: Table, *, seed: int) -> dict[str, list[TagPrediction]]:
        """Return each word's most frequent tag in the training rows."""
        del seed
        words = [[self._said(cell, [], []).words for cell in table[self.text]] for table in (train, test)]
        found = self.tagset.baseline(words[0], train[self.label], words[1])
        said = [self._said(cell, tags, [1.0] * len(tags)) for cell, tags in zip(test[self.text], found, strict=True)]
        return {"frequent_tags": said}

    def promise(self) -> tuple[str, Sequence[str]]:
        """Return what it finds."""
        return self.tagset.promise, sorted(self.tagset.counts([self.labels]))

    @classmethod
    def wrongness(cls, row: Mapping[str, Any]) -> float:
        """Return how many words have a wrong tag."""
        return float(sum(gold != said for gold, said in zip(row["gold"], row["predicted"], strict=True)))

    @classmethod
    def told(cls, answer: Any, row: Mapping[str, Any]) -> str:
        """Return the entities, or the plain tags in dispute."""
        return told(answer, row)

    def cell_names(self) -> list[str]:
        """Return "entities" (but for plain tags), "words" and "tags"."""
        return [*([] if self.scheme == "plain" else ["entities"]), "words", "tags"]

    def is_like(self, other: Task) -> bool:
        """Whether both know the same tags."""
        return isinstance(other, TokenClassification) and sorted(self.labels) == sorted(other.labels)

    def distance(self, one: Sequence[TagPrediction], other: Sequence[TagPrediction]) -> float:
        """Return the share of words with other tags."""
        pairs = [(a, b) for x, y in zip(one, other, strict=True) for a, b in zip(x.tags, y.tags, strict=True)]
        return len([1 for a, b in pairs if a != b]) / max(1, len(pairs))
