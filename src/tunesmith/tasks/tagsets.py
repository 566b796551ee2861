"""What tags of words mean: entities (B- begins one, I- goes on with it, O is outside), or plain tags by themselves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from tunesmith.core.errors import Where
from tunesmith.core.notes import Note
from tunesmith.data import tagging
from tunesmith.data.labels import fold

if TYPE_CHECKING:
    from tunesmith.metrics.scorer import Scorer

Tags = Sequence[Sequence[str]]


class Tagset(ABC):
    """One way of reading tags: what is learnt from them, what may follow what, how answers are measured."""

    main_metric: ClassVar[str]
    metric_names: ClassVar[tuple[str, ...]]
    promise: ClassVar[str]
    """What a model does, followed by its labels."""

    @abstractmethod
    def learn(self, rows: Tags) -> tuple[str, ...]:
        """Return the tags a model of these training rows gives; the first is for words it can't read."""

    @abstractmethod
    def counts(self, rows: Tags) -> Counter[str]:
        """Return how often each type of entity, or each tag, occurs."""

    @abstractmethod
    def renamed(self, tag: str, names: Mapping[str, str]) -> str:
        """Return a tag with another label, if `names` has one for its own, which stands there folded."""

    @abstractmethod
    def may_follow(self, before: str, after: str) -> bool:
        """Whether a tag may follow another."""

    @abstractmethod
    def scorer(self, predicted: Tags, gold: Tags) -> Scorer:
        """Return the tags ready to be measured."""

    @abstractmethod
    def baseline(self, train_words: Tags, train_tags: Tags, words: Tags) -> list[list[str]]:
        """Return the tags that words most often have in the training rows."""


class Entities(Tagset):
    """Tags in IOB2."""

    main_metric = "entity_f1"
    metric_names = ("entity_f1", "macro_f1", "word_accuracy")
    promise = "It finds entities of these types: "

    def learn(self, rows: Tags) -> tuple[str, ...]:
        """Return O, then B- and I- of each type."""
        pairs = [tagging.join_tag(prefix, kind) for kind in sorted(self.counts(rows)) for prefix in ("B", "I")]
        return ("O", *pairs)

    def counts(self, rows: Tags) -> Counter[str]:
        """Count entities."""
        return Counter(span.label for tags in rows for span in tagging.to_spans(tags))

    def renamed(self, tag: str, names: Mapping[str, str]) -> str:
        """Return B-PERSON for B-PER; entities whose type becomes O are none."""
        prefix, kind = tagging.split_tag(tag)
        new = names.get(fold(kind), kind)
        return "O" if new == "O" else tagging.join_tag(prefix, new)

    def may_follow(self, before: str, after: str) -> bool:
        """Return False for an I- that goes on with nothing, or with another type."""
        prefix, kind = tagging.split_tag(after)
        return prefix != "I" or (before != "O" and tagging.split_tag(before)[1] == kind)

    def scorer(self, predicted: Tags, gold: Tags) -> Scorer:
        """Return the metrics of entities."""
        from tunesmith.metrics.spans import SpanScorer

        return SpanScorer(predicted, gold)

    def baseline(self, train_words: Tags, train_tags: Tags, words: Tags) -> list[list[str]]:
        """Return O for words that are not there."""
        from tunesmith.metrics.baselines_sequences import frequent_tags

        return frequent_tags(train_words, train_tags, words)


class PlainTags(Tagset):
    """Tags without prefixes."""

    main_metric = "word_accuracy"
    metric_names = ("word_accuracy", "macro_f1")
    promise = "It gives each word one of these tags: "

    def learn(self, rows: Tags) -> tuple[str, ...]:
        """Return the tags, most frequent first."""
        counts = self.counts(rows)
        return tuple(sorted(counts, key=lambda tag: (-counts[tag], tag)))

    def counts(self, rows: Tags) -> Counter[str]:
        """Count words."""
        return Counter(tag for tags in rows for tag in tags)

    def renamed(self, tag: str, names: Mapping[str, str]) -> str:
        """Return the other tag."""
        return names.get(fold(tag), tag)

    def may_follow(self, before: str, after: str) -> bool:
        """Return True."""
        del before, after
        return True

    def scorer(self, predicted: Tags, gold: Tags) -> Scorer:
        """Return the metrics of words."""
        from tunesmith.metrics.tags import TagScorer

        return TagScorer(predicted, gold)

    def baseline(self, train_words: Tags, train_tags: Tags, words: Tags) -> list[list[str]]:
        """Return the most frequent tag for words that are not there."""
        from tunesmith.metrics.baselines_sequences import usual_tags

        return usual_tags(train_words, train_tags, words, unseen=self.learn(train_tags)[0])


ENTITIES, PLAIN = Entities(), PlainTags()


def unknown_labels(tagset: Tagset, tags: Tags, known: Tags, split: str) -> list[Note]:
    """Warn of labels that can't be found, since no training row has them; they are measured all the same."""
    names = tagset.counts(known)
    new = {name: n for name, n in sorted(tagset.counts(tags).items()) if name not in names}
    if not new:
        return []
    shown = ", ".join(f"{name} ({n:,})" for name, n in list(new.items())[:8])
    message = f"the {split} rows have labels that no training row has, so that all of these are missed: {shown}"
    return [Note("warning", "unknown labels", message, n_rows=sum(new.values()))]


def numbered_tags(rows: Tags, file: str) -> list[Note]:
    """Warn of tags that are numbers: which of them begin entities can't be known."""
    if not rows or not all(tag.isdigit() for tags in rows for tag in tags):
        return []
    message = "tags are numbers, taken as labels by themselves; entities are only found where tags are named"
    return [Note("warning", "numbered tags", message, "write O, B-PER, I-PER ... in their place", (Where(file),))]
