"""Translation: a text in one language in, the same in another out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from tunesmith.core.errors import RecipeError, Where
from tunesmith.data.sides import Pair, languages
from tunesmith.data.table import Table
from tunesmith.models.tokenize import LongText, Tokenizer
from tunesmith.tasks.seq2seq import Seq2SeqTask, TextPrediction, references, texts_of

if TYPE_CHECKING:
    from tunesmith.metrics.texts import TranslationScorer


class Translation(Seq2SeqTask):
    """Translate texts. Rows need a source and, for training, a target; a translation is measured as it is written.

    A source that is longer than the model reads is an error: a translation of its beginning would read well and miss
    the rest.
    """

    noun: ClassVar[str] = "translation model"
    done: ClassVar[str] = "translated"
    hub_tag: ClassVar[str] = "translation"
    main_metric: ClassVar[str] = "bleu"
    is_cut: ClassVar[LongText] = "error"

    kind: Literal["translation"] = "translation"
    """Which task it is."""
    source_language: str = ""
    """For models of many languages (mBART, NLLB): the source's, as they call it, such as "en_XX"."""
    target_language: str = ""
    """Likewise the target's, such as "de_DE"."""
    bleu_tokens: Literal["13a", "intl", "zh", "char", "none"] = "13a"
    """How BLEU cuts words: 13a for most languages, zh for Chinese, char for other scripts without spaces."""

    @classmethod
    def known_columns(cls, names: Sequence[str]) -> Pair | None:
        """Return the columns of sources and targets, by their names or languages."""
        return languages(names)

    def with_tokenizer(self, tokenizer: Tokenizer, table: Table) -> tuple[Self, Tokenizer]:
        """Return the tokenizer set to the languages; see `Seq2SeqTask.with_tokenizer`.

        Raises:
            RecipeError: the model does not ask for languages, or does not know one.
        """
        plain = tokenizer.plain
        for name, value in (("src_lang", self.source_language), ("tgt_lang", self.target_language)):
            if value and (not hasattr(plain, name) or plain.convert_tokens_to_ids(value) == plain.unk_token_id):
                setting = "task.source_language" if name == "src_lang" else "task.target_language"
                fix = "leave it out, or write it as the model's tokenizer does"
                raise RecipeError("the model knows no such language", where=Where(column=setting, value=value), fix=fix)
            if value:
                setattr(plain, name, value)
        return super().with_tokenizer(tokenizer, table)

    def refuse_missing(self) -> None:
        """Raise DataError if sacreBLEU is missing."""
        from tunesmith.metrics.texts import SACREBLEU, library

        library(SACREBLEU)

    def scorer(self, predictions: Sequence[TextPrediction], gold: Sequence[Any]) -> TranslationScorer:
        """Return translations beside the references; see `metrics.texts`."""
        from tunesmith.metrics.texts import TranslationScorer

        return TranslationScorer(texts_of(predictions), references(gold), tokenizer=self.bleu_tokens)

    def promise(self) -> tuple[str, Sequence[str]]:
        """Return what it does with a text."""
        return "It translates texts", ()

    def baselines(self, train: Table, test: Table, *, seed: int) -> dict[str, list[TextPrediction]]:
        """Return the sources as they are."""
        from tunesmith.metrics.baselines_sequences import copy_source

        del train, seed
        return {"copy": [TextPrediction(text) for text in copy_source(test[self.text])]}
