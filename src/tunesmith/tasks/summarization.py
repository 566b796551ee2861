"""Summarization: a text in, what matters in it out: a summary, a headline, a subject line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tunesmith.data.sides import Pair, summaries
from tunesmith.data.table import Table
from tunesmith.tasks.seq2seq import Seq2SeqTask, TextPrediction, references, texts_of

if TYPE_CHECKING:
    from tunesmith.metrics.texts import SummaryScorer


class Summarization(Seq2SeqTask):
    """Summarize texts. Rows need a text and, for training, its summary. Of long texts the beginning is read."""

    noun: ClassVar[str] = "summarization model"
    done: ClassVar[str] = "summarized"
    hub_tag: ClassVar[str] = "summarization"
    main_metric: ClassVar[str] = "rougeL"
    longer_first: ClassVar[bool] = True

    kind: Literal["summarization"] = "summarization"
    """Which task it is."""
    no_repeat_ngram_size: int = 3
    """No sequence of so many tokens is written twice; 0: anything may be."""
    stemmer: bool = False
    """Whether ROUGE takes English words by their stems, "runs" for "running"."""

    @classmethod
    def known_columns(cls, names: Sequence[str]) -> Pair | None:
        """Return the columns of texts and summaries, by their usual names."""
        return summaries(names)

    def refuse_missing(self) -> None:
        """Raise DataError if rouge-score is missing."""
        from tunesmith.metrics.texts import ROUGE_SCORE, library

        library(ROUGE_SCORE)

    def scorer(self, predictions: Sequence[TextPrediction], gold: Sequence[Any]) -> SummaryScorer:
        """Return summaries beside the references, a sentence a line; see `metrics.texts`."""
        from tunesmith.metrics.texts import SummaryScorer

        said = [_lines(text) for text in texts_of(predictions)]
        return SummaryScorer(said, [[_lines(text) for text in row] for row in references(gold)], stemmer=self.stemmer)

    def promise(self) -> tuple[str, Sequence[str]]:
        """Return what it does with a text."""
        return "It summarizes texts", ()

    def baselines(self, train: Table, test: Table, *, seed: int) -> dict[str, list[TextPrediction]]:
        """Return the first sentences, as many as a training summary usually has."""
        from tunesmith.metrics.baselines_sequences import lead_sentences, usual_sentences

        del seed
        n = usual_sentences([targets[0] for targets in train[self.label]])
        return {"lead": [TextPrediction(text) for text in lead_sentences(test[self.text], n)]}


def _lines(text: str) -> str:
    """Return a text with a sentence a line, as ROUGE-Lsum takes them."""
    from tunesmith.metrics.sentences import split_sentences

    return "\n".join(split_sentences(text))
