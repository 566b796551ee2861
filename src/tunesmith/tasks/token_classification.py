"""A label for words: named entities, chunks, parts of speech. Whole documents, in overlapping windows.

A word is labelled by its first token, in the window where it has the most text around it; other tokens carry no loss
(Devlin et al. 2019, section 5.3). Tags that can't follow one another (I- without B-) never come out: the best sequence
that can is found by the Viterbi algorithm.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field

from tunesmith.core.errors import DataError, Where
from tunesmith.core.ledger import Ledger
from tunesmith.core.notes import Note
from tunesmith.core.wording import count
from tunesmith.data import tagging
from tunesmith.data.columns import choose_tagged
from tunesmith.data.table import Table
from tunesmith.tasks.base import FROM_PIPELINE, Batch, Example, Prediction, Task, Usable, padded

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn
    from transformers import PreTrainedModel

    from tunesmith.data.spec import DataSpec
    from tunesmith.metrics.spans import SpanScorer
    from tunesmith.models.source import Source
    from tunesmith.models.spec import ModelSpec
    from tunesmith.models.tokenize import Tokenizer

IGNORED = -100
"""Target of tokens that carry no loss."""
Places = list[tuple[int, int]]


@dataclass(frozen=True)
class TagPrediction(Prediction):
    """What was found in one text.

    Attributes:
        tags: one for each word, in IOB2.
        entities: "start" and "end" (characters of the text), "label", "text", and "score": the lowest probability of a
            word's tag.
        words: where the words are: "start" and "end" of each.
    """

    answer: ClassVar[str] = "tags"
    tags: list[str]
    entities: list[dict[str, Any]]
    words: list[list[int]]

    def cells(self) -> dict[str, Any]:
        """Return the entities and the tags."""
        return {"entities": self.entities, "tags": self.tags}


class TokenClassification(Task):
    """Label words. Rows need a text or a list of words and, for training, spans or a tag for each word."""

    main_metric: ClassVar[str] = "entity_f1"
    metric_names: ClassVar[tuple[str, ...]] = ("entity_f1", "word_accuracy")
    auto_class: ClassVar[str] = "AutoModelForTokenClassification"
    may_cut: ClassVar[bool] = False
    prediction: ClassVar[type[Prediction]] = TagPrediction
    hub_tag: ClassVar[str] = "token-classification"
    noun: ClassVar[str] = "tagger of words"
    counted: ClassVar[tuple[str, str]] = ("Entities of each type", "Type")
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
    long_text: Literal["auto", "windows", "error"] = "auto"
    """What happens to texts longer than the model reads: windows (all of it is read), error."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the target spread evenly over all tags (Szegedy et al. 2016, section 7)."""

    def choose_columns(self, table: Table, *, need_label: bool = True) -> tuple[Self, list[Note]]:
        """Name the columns of texts and labels, and see how tags are written."""
        choice = choose_tagged(table, text=self.text, label=self.label, need_label=need_label)
        scheme = self.scheme
        if scheme == "auto" and choice.label:
            scheme = tagging.detect(cell for cell in table[choice.label] if _is_tags(cell))
        found = {"text": choice.text, "label": choice.label or self.label, "scheme": scheme}
        return self.model_copy(update=found), choice.notes

    def read_cell(self, value: Any, clean: Callable[[Any], str]) -> Any:
        """Return a text or a list of words as it is: positions in it count."""
        del clean
        return value

    def usable(
        self, table: Table, *, clean: Callable[[Any], str], spec: DataSpec, split: str, known: Sequence[Any] = ()
    ) -> Usable:
        """Keep the rows with words and labels, these as one IOB2 tag a word; see `Task.usable`."""
        del clean, spec, known
        found, kept, tags = Usable(table), [], []
        for row in range(len(table)):
            read, repairs, reason = self._read(table[self.text][row], table[self.label][row])
            where = table.where(row)
            if reason:
                found.ledger.add("set aside", reason, file=where.file, row=where.row, detail=split)
                continue
            _note(found.ledger, repairs, where)
            kept.append(row)
            tags.append(read)
        if not kept:
            fix = "name other columns with --text and --label"
            raise DataError("no row has words and labels", where=Where(table.files[0], column=self.label), fix=fix)
        found.table = table.take(kept).replace(**{self.label: tags})
        return found

    def _read(self, cell: Any, label: Any) -> tuple[list[str], list[tagging.Repair], str]:
        """Return a row's tags, what was repaired, and why the row can't be used ("" if it can)."""
        text, places = words_of(cell)
        if not places:
            return [], [], "no text"
        if not isinstance(label, list | tuple):
            return [], [], "no label"
        if _is_tags(label):
            if len(label) != len(places):
                return [], [], "not one tag a word"
            scheme = "iob2" if self.scheme == "auto" else self.scheme
            return *tagging.to_iob2([str(tag) for tag in label], scheme), ""
        spans, repairs = tagging.align(map(_span, label), places, text)
        return tagging.of_spans(spans, len(places)), repairs, ""

    def key(self, table: Table) -> list[str]:
        """Return the texts."""
        return [words_of(cell)[0] for cell in table[self.text]]

    def answers(self, table: Table) -> list[Any]:
        """Return the tags."""
        return [tuple(tags) for tags in table[self.label]]

    def learn(self, table: Table) -> Self:
        """Return the task knowing its tags: O, then B- and I- of each type."""
        kinds = Counter(label for tags in table[self.label] for _, _, label in tagging.to_spans(tags))
        pairs = [tagging.join_tag(prefix, kind) for kind in sorted(kinds) for prefix in ("B", "I")]
        return self.model_copy(update={"labels": ("O", *pairs)})

    def knows(self, table: Table) -> list[bool]:
        """Return for each row whether all its tags are known."""
        known = set(self.labels)
        return [known.issuperset(tags) for tags in table[self.label]]

    def summary(self, tables: Mapping[str, Table]) -> dict[str, dict[str, int]]:
        """Return the entities of each type."""
        kinds = [tag[2:] for tag in self.labels if tag.startswith("B")]
        found = {}
        for split, table in tables.items():
            counts = Counter(span.label for tags in table[self.label] for span in tagging.to_spans(tags))
            found[split] = {kind: counts[kind] for kind in kinds}
        return found

    def lengths(self, table: Table, tokenizer: Tokenizer) -> list[int]:
        """Return each row's tokens, uncut, special tokens counted."""
        extra = tokenizer.max_tokens - tokenizer.room()
        return [len(ids) + extra for ids in tokenizer.ids(self.key(table))]

    def encode(self, table: Table, tokenizer: Tokenizer) -> list[Example]:
        """Encode texts; a word without a token (an unknown control character) is O."""
        examples: list[Example] = []
        index = {tag: i for i, tag in enumerate(self.labels)}
        for row, (ids, offsets) in enumerate(tokenizer.with_offsets(self.key(table))):
            if self.long_text == "error" and len(ids) > tokenizer.room():
                raise DataError(
                    f"the text has {count(len(ids), 'token')}, the model reads {tokenizer.room():,}",
                    where=table.where(row, self.text),
                    fix="shorten it, or use --set task.long_text=windows",
                )
            first = _first_tokens(offsets, words_of(table[self.text][row])[1])
            tags = [index[tag] for tag in table[self.label][row]] if self.label in table.columns else None
            examples += _windows(row, ids, first, tags, tokenizer)
        return examples

    def build(self, source: Source, spec: ModelSpec) -> PreTrainedModel:
        """Return the family's own token classification class with one output per tag."""
        from tunesmith.models.classifier import build_classifier

        return build_classifier(source, spec, self.labels, auto_class=self.auto_class, problem_type=None)

    def equip(self, model: PreTrainedModel, tokenizer: Tokenizer) -> None:
        """Make the model and the tokenizer agree on how short rows are filled."""
        from tunesmith.models.padding import agree_on_padding

        agree_on_padding(model, tokenizer)

    def stack(self, targets: Sequence[Any]) -> Tensor:
        """Return tag indices, shape (batch, tokens)."""
        return padded(targets, IGNORED)

    def loss(self, out: Any, batch: Batch) -> Tensor:
        """Return cross-entropy summed over the words of the batch."""
        import torch.nn.functional as F

        each = F.cross_entropy(
            out.logits.float().transpose(1, 2),
            batch.targets,
            ignore_index=IGNORED,
            label_smoothing=self.label_smoothing,
            reduction="none",
        )
        return (each.sum(dim=1) * (batch.weights > 0)).sum()

    def run(self, model: nn.Module, batch: Batch) -> list[np.ndarray]:
        """Return the log-probabilities of each token, shape (tokens, tags) for each example."""
        import torch

        return list(torch.log_softmax(model(**batch.inputs).logits.detach().float(), dim=-1).cpu().numpy())

    def merge(self, examples: Sequence[Example], outputs: Sequence[np.ndarray], *, n_rows: int) -> list[np.ndarray]:
        """Return the log-probabilities of each row's words, shape (words, tags)."""
        import numpy as np

        parts: list[list[tuple[list[int], np.ndarray]]] = [[] for _ in range(n_rows)]
        for example, found in zip(examples, outputs, strict=True):
            words, tokens = example.place
            parts[example.row].append((words, found[tokens]))
        merged = []
        for row in parts:
            n = max((word + 1 for words, _ in row for word in words), default=0)
            logp = np.full((n, len(self.labels)), -20.0)
            logp[:, 0] = 0.0  # O, where nothing was read
            for words, found in row:
                logp[words] = found
            merged.append(logp)
        return merged

    def predictions(self, outputs: Sequence[np.ndarray], table: Table) -> list[TagPrediction]:
        """Return the best sequence of tags for each row that can be."""
        import numpy as np

        allowed = allowed_steps(self.labels)
        found = []
        for logp, cell in zip(outputs, table[self.text], strict=True):
            text, places = words_of(cell)
            path = viterbi(logp, allowed)
            tags = [self.labels[i] for i in path] + ["O"] * (len(places) - len(path))
            shares = np.exp(logp[np.arange(len(path)), path])
            found.append(TagPrediction(tags, _entities(tags, shares, text, places), [list(place) for place in places]))
        return found

    def gold(self, table: Table) -> list[Any]:
        """Return the tags."""
        return [list(tags) for tags in table[self.label]]

    def scorer(self, predictions: Sequence[TagPrediction], gold: Sequence[Any]) -> SpanScorer:
        """Return the tags side by side; see `metrics.spans`."""
        from tunesmith.metrics.spans import SpanScorer

        return SpanScorer([said.tags for said in predictions], gold)

    def quick_metrics(self, outputs: Sequence[np.ndarray], table: Table) -> dict[str, float]:
        """Return the loss of a word, entity F1 and the accuracy of words."""
        from tunesmith.metrics.bootstrap import unit_weights

        scorer = self.scorer(self.predictions(outputs, table), self.gold(table))
        values = scorer.at(unit_weights(len(table)))
        index = {tag: i for i, tag in enumerate(self.labels)}
        losses = [
            -logp[i, index[tag]]
            for logp, tags in zip(outputs, table[self.label], strict=True)
            for i, tag in enumerate(tags[: len(logp)])
        ]
        f1 = float(values["entity_f1"][0])
        return {
            "loss": float(sum(losses) / max(1, len(losses))),
            "entity_f1": 0.0 if math.isnan(f1) else f1,  # no entity anywhere
            "word_accuracy": float(values["word_accuracy"][0]),
        }

    def promise(self) -> tuple[str, Sequence[str]]:
        """Return that it finds entities."""
        return "It finds entities of these types: ", [tag[2:] for tag in self.labels if tag.startswith("B")]

    @classmethod
    def wrongness(cls, row: Mapping[str, Any]) -> float:
        """Return how many words have a wrong tag."""
        return float(sum(gold != said for gold, said in zip(row["gold"], row["predicted"], strict=True)))

    @classmethod
    def told(cls, answer: Any, row: Mapping[str, Any]) -> str:
        """Return the entities of a list of tags: "Ada Lovelace (PER), London (LOC)"."""
        text = words_of(row["text"])[0]
        spans = [(row["words"][s.start][0], row["words"][s.end - 1][1], s.label) for s in tagging.to_spans(answer)]
        return ", ".join(f"{text[start:end]} ({label})" for start, end, label in spans) or "none"

    def cell_names(self) -> list[str]:
        """Return "entities" and "tags"."""
        return ["entities", "tags"]

    def is_like(self, other: Task) -> bool:
        """Whether both know the same tags."""
        return isinstance(other, TokenClassification) and sorted(self.labels) == sorted(other.labels)

    def distance(self, one: Sequence[TagPrediction], other: Sequence[TagPrediction]) -> float:
        """Return the share of words with other tags."""
        pairs = [(a, b) for x, y in zip(one, other, strict=True) for a, b in zip(x.tags, y.tags, strict=True)]
        return len([1 for a, b in pairs if a != b]) / max(1, len(pairs))


def words_of(cell: Any) -> tuple[str, Places]:
    """Return the text of a cell and where its words are: of a list its items, of a text what `tagging.words` says."""
    if isinstance(cell, list | tuple):
        return tagging.joined([str(word) for word in cell])
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return "", []
    return str(cell), tagging.words(str(cell))


def allowed_steps(labels: Sequence[str]) -> np.ndarray:
    """Return which tag may follow which, bool of shape (1 + tags, tags); the first row is the beginning of a text."""
    import numpy as np

    def may(before: str, after: str) -> bool:
        prefix, kind = tagging.split_tag(after)
        return prefix != "I" or (before != "O" and tagging.split_tag(before)[1] == kind)

    return np.array([[may(before, after) for after in labels] for before in ("O", *labels)])


def viterbi(logp: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Return the most probable sequence of tag indices with allowed steps only (Viterbi 1967).

    Args:
        logp: log-probabilities, shape (words, tags).
        allowed: as `allowed_steps` gives it.
    """
    import numpy as np

    if not len(logp):
        return np.zeros(0, dtype=np.int64)
    steps = np.where(allowed, 0.0, -np.inf)
    best = logp[0] + steps[0]
    back = np.zeros(logp.shape, dtype=np.int64)
    for i in range(1, len(logp)):
        ways = best[:, None] + steps[1:]
        back[i] = ways.argmax(axis=0)
        best = ways.max(axis=0) + logp[i]
    path = [int(best.argmax())]
    for i in range(len(logp) - 1, 0, -1):
        path.append(int(back[i, path[-1]]))
    return np.array(path[::-1])


def _windows(
    row: int, ids: list[int], first: dict[int, int], tags: list[int] | None, tokenizer: Tokenizer
) -> list[Example]:
    """Return a row's examples: each word belongs to the window where it has the most tokens on its narrower side."""
    frame, room = tokenizer.frames[0], tokenizer.room()
    starts = [0]
    while starts[-1] + room < len(ids):
        starts.append(min(starts[-1] + room - room // 4, len(ids) - room))
    owner = {word: _widest(token, starts, room, len(ids)) for word, token in first.items()}
    examples = []
    for w, start in enumerate(starts):
        piece = frame.filled(ids[start : start + room])
        words = [word for word in first if owner[word] == w]
        tokens = [first[word] - start + len(frame.ids[0]) for word in words]
        target = None
        if tags is not None:
            target = [IGNORED] * len(piece.ids)
            for word, token in zip(words, tokens, strict=True):
                target[token] = tags[word]
        examples.append(Example(piece.ids, row, target, float(len(words)), piece.extras, (words, tokens)))
    return examples


def _widest(token: int, starts: Sequence[int], room: int, n: int) -> int:
    """Return the window in which a token is farthest from a cut; the ends of the text are no cuts."""

    def margin(start: int) -> int:
        left = token - start if start else n
        right = start + room - 1 - token if start + room < n else n
        return min(left, right)

    return max(range(len(starts)), key=lambda w: margin(starts[w]))


def _first_tokens(offsets: Sequence[tuple[int, int]], places: Places) -> dict[int, int]:
    """Return word to its first token, of the words that have one."""
    found: dict[int, int] = {}
    word = 0
    for token, (start, end) in enumerate(offsets):
        while word < len(places) and places[word][1] <= start:
            word += 1
        if word < len(places) and end > places[word][0] and start < end:
            found.setdefault(word, token)
    return found


def _entities(tags: Sequence[str], shares: np.ndarray, text: str, places: Places) -> list[dict[str, Any]]:
    found = []
    for span in tagging.to_spans(tags):
        start, end = places[span.start][0], places[span.end - 1][1]
        score = float(shares[span.start : span.end].min())
        found.append({"start": start, "end": end, "label": span.label, "text": text[start:end], "score": score})
    return found


def _is_tags(cell: Any) -> bool:
    """Whether a cell is a list of tags (rather than of spans)."""
    return isinstance(cell, list | tuple) and bool(cell) and all(isinstance(tag, str) for tag in cell)


def _span(value: Any) -> tagging.Span:
    return tagging.Span(int(value["start"]), int(value["end"]), str(value["label"]))


def _note(ledger: Ledger, repairs: Sequence[tagging.Repair], where: Where) -> None:
    for repair in repairs:
        detail = f"{repair.before} -> {repair.after}" if repair.after else repair.before
        ledger.add("changed", repair.reason, file=where.file, row=where.row, detail=detail)
