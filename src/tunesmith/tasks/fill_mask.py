"""Guessing masked words: the pre-training of BERT, gone on with on your texts so that a model knows their language.

The result fills masks, and is a better start for a classifier or tagger of such texts (Gururangan et al. 2020). Masks
are drawn anew in every step, as a function of seed, step and row; measured rows keep the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, PositiveInt

from tunesmith.core.errors import ModelError
from tunesmith.core.notes import Note
from tunesmith.core.seed import derive
from tunesmith.data.columns import choose_text
from tunesmith.data.table import Table
from tunesmith.tasks.base import FROM_PIPELINE
from tunesmith.tasks.language import LEARNT, OVERLAP, LanguageTask
from tunesmith.tasks.parts import Batch, Example, Prediction, Usable

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from tunesmith.data.spec import DataSpec
    from tunesmith.models.tokenize import Tokenizer


@dataclass(frozen=True)
class Filling(Prediction):
    """A text whose masks are filled.

    Attributes:
        text: with the likeliest token in the place of each mask.
        fills: for each mask the likeliest tokens, best first: "token" and "score", its probability.
    """

    answer: ClassVar[str] = "text"
    text: str
    fills: list[list[dict[str, Any]]]


class Window(NamedTuple):
    """What is read at once.

    Attributes:
        ids: unmasked, special tokens included, shape (tokens,).
        words: number of each token's word, FIXED for tokens that belong to no word or to another window.
        n_repeated: so many tokens at the beginning belong to the window before.
        plain: the tokenizer, which says what an id stands for.
    """

    ids: np.ndarray
    words: np.ndarray
    n_repeated: int
    plain: Any


class FillMask(LanguageTask):
    """Guess masked words. Rows need a text."""

    auto_class: ClassVar[str] = "AutoModelForMaskedLM"
    draws_tokens: ClassVar[bool] = True
    lr_at_384: ClassVar[float] = 3e-4
    noun: ClassVar[str] = "masked language model"
    done: ClassVar[str] = "filled"
    hub_tag: ClassVar[str] = "fill-mask"
    usage: ClassVar[str] = (
        FROM_PIPELINE + 'fill = pipeline("fill-mask", FOLDER)\nfill(f"your {fill.tokenizer.mask_token} text")'
    )

    kind: Literal["fill-mask"] = "fill-mask"
    """Which task it is."""
    mask_share: Annotated[float, Field(gt=0, lt=1)] = 0.15
    """Share of the tokens to guess; of these 80% are masked, 10% are another token, 10% stay (Devlin et al. 2019,
    section 3.1)."""
    whole_words: bool = True
    """Mask all tokens of a word together."""
    top_k: PositiveInt = 5
    """How many tokens `tunesmith predict` lists for each mask."""
    mask_token: str = ""
    """What stands for a missing word in texts to fill; learnt from the tokenizer."""

    def choose_columns(self, table: Table, *, need_label: bool = True) -> tuple[Self, list[Note]]:
        """Name the text column."""
        del need_label
        column, notes = choose_text(table, self.text)
        return self.model_copy(update={"text": column}), notes

    def usable(
        self, table: Table, *, clean: Callable[[Any], str], spec: DataSpec, split: str, known: Sequence[Any] = ()
    ) -> Usable:
        """Keep the rows with a text; see `Task.usable`."""
        del spec, known
        texts = [clean(value) for value in table[self.text]]
        ready = table.replace(**{self.text: texts, LEARNT: texts})
        return self.kept(ready, ["" if text else "no text" for text in texts], split=split)

    def with_tokenizer(self, tokenizer: Tokenizer, table: Table) -> tuple[Self, Tokenizer]:
        """Take the mask token, and the ids that may stand for others: (mask id, size of the vocabulary, special ids).

        Raises:
            ModelError: there is no mask token.
        """
        del table
        from tunesmith.models.language import read_special

        plain = tokenizer.plain
        read_special(plain)
        if plain.mask_token is None:
            raise ModelError(
                "the tokenizer has no mask token: this model was not made to fill masks",
                fix="choose an encoder such as BERT, or use --task text-generation",
            )
        vocabulary = (int(plain.mask_token_id), len(plain), *sorted(plain.all_special_ids))
        return self.model_copy(update={"vocabulary": vocabulary, "mask_token": plain.mask_token}), tokenizer

    def encode(self, table: Table, tokenizer: Tokenizer) -> list[Example]:
        """Encode rows: with fixed masks where they are measured; `fresh` draws others for each step."""
        rows = list(tokenizer.with_words(table[self.text]))
        self.refuse_long(table, [len(ids) for ids, _ in rows], room=tokenizer.room())
        examples = [one for i, row in enumerate(rows) for one in self._windows(i, *row, tokenizer)]
        if not self.is_measured(table):
            return examples
        return [self.fresh(one, seed=derive("masks", *map(int, one.ids))) for one in examples]

    def _windows(self, row: int, ids: list[int], words: list[int | None], tokenizer: Tokenizer) -> list[Example]:
        """Return a row's windows, unmasked; a token belongs to one of them, the next has it as context."""
        import numpy as np

        from tunesmith.models.masking import FIXED, word_numbers

        special, room, (before, after) = self.vocabulary[2:], tokenizer.room(), tokenizer.frames[0].ids
        numbers = word_numbers([None if i in special else word for i, word in zip(ids, words, strict=True)])
        if not self.whole_words:
            numbers = np.where(numbers == FIXED, FIXED, np.arange(len(numbers)))
        overlap, found = room // OVERLAP, []
        for start in range(0, max(1, len(ids) - overlap), room - overlap):
            piece, n_context = tokenizer.frames[0].filled(ids[start : start + room]), overlap if start else 0
            n_repeated = len(before) + n_context if start else 0
            own = [FIXED] * (len(before) + n_context), numbers[start + n_context : start + room], [FIXED] * len(after)
            window = Window(np.array(piece.ids), np.concatenate(own).astype(int), n_repeated, tokenizer.plain)
            found.append(Example(piece.ids, row, None, 0.0, piece.extras, window))
        return found

    def fresh(self, example: Example, *, seed: int) -> Example:
        """Return the example with masks drawn by `seed`."""
        from tunesmith.models.masking import mask

        mask_id, n_tokens, *special = self.vocabulary
        others, window = _others(n_tokens, tuple(special)), example.place
        found = mask(window.ids, window.words, share=self.mask_share, mask_id=mask_id, others=others, seed=seed)
        return replace(example, ids=found.ids.tolist(), target=found.targets.tolist(), weight=float(found.n))

    def taught(self, example: Example) -> list[int]:
        """Return all tokens that may be masked in some step."""
        from tunesmith.models.masking import FIXED

        found: list[int] = example.place.ids[example.place.words != FIXED].tolist()
        return found

    def run(self, model: nn.Module, batch: Batch) -> Any:
        """Return how much measured rows surprise, shape (batch, 3); otherwise the likeliest tokens of each mask."""
        import torch

        from tunesmith.models.language import logits_at

        if batch.targets is not None:
            return self.surprise(model, batch)
        masks = batch.inputs["input_ids"] == self.vocabulary[0]
        with logits_at(model, masks):
            best = torch.softmax(model(**batch.inputs).logits.float(), dim=-1).topk(self.top_k)
        found: list[list[Any]] = [[] for _ in range(len(masks))]
        rows = masks.nonzero()[:, 0].tolist()
        for row, scores, ids in zip(rows, best.values.tolist(), best.indices.tolist(), strict=True):
            found[row].append(list(zip(ids, scores, strict=True)))
        return found

    def merge(self, examples: Sequence[Example], outputs: Sequence[Any], *, n_rows: int) -> Any:
        """Join each row's windows: sums of what was measured, or the masks in the order of the text."""
        if examples and examples[0].target is not None:
            return self.summed(examples, outputs, n_rows=n_rows)
        rows = self.of_rows(examples, outputs, n_rows=n_rows)
        plain: Any = examples[0].place.plain if examples else None
        return [[[{"token": plain.decode([i]), "score": score} for i, score in fill] for fill in row] for row in rows]

    def of_rows(self, examples: Sequence[Example], fills: Sequence[Sequence[Any]], *, n_rows: int) -> list[list[Any]]:
        """Return what fills each mask of each row, in the order of the text, from what does in each window."""
        rows: list[list[Any]] = [[] for _ in range(n_rows)]
        for example, mine in zip(examples, fills, strict=True):
            window = example.place
            rows[example.row] += mine[int((window.ids[: window.n_repeated] == self.vocabulary[0]).sum()) :]
        return rows

    def predictions(self, outputs: Any, table: Table) -> list[Any]:
        """Return how much each measured row surprised, otherwise the texts with their masks filled."""
        if self.is_measured(table):
            return self.surprises(outputs, table)
        found = []
        for text, fills in zip(table[self.text], outputs, strict=True):
            filled = text
            for fill in fills:
                filled = filled.replace(self.mask_token, fill[0]["token"].strip(), 1)
            found.append(Filling(filled, fills))
        return found

    def promise(self) -> tuple[str, Sequence[str]]:
        """Return that it fills masks."""
        return f"It says which words fit in the place of {self.mask_token}, and knows the texts it was trained on", []

    def cell_names(self) -> list[str]:
        """Return "predicted" and "fills"."""
        return ["predicted", "fills"]


@lru_cache
def _others(n_tokens: int, special: tuple[int, ...]) -> np.ndarray:
    """Return the ids that may stand in a token's place: all but special ones."""
    import numpy as np

    return np.setdiff1d(np.arange(n_tokens), special)
