"""Unlabeled texts beside themselves with edited words: which ones a step sees is a pure function of seed and step.

Each example of a step brings its own, so that they are the same however a step is cut and over however many processes.
A text that is too long to be read at once is halved until its parts are not; a part stands for its text.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from tunesmith.core.seed import derive
from tunesmith.data.augment.edits import Near, edited
from tunesmith.data.augment.words import cut, join
from tunesmith.data.table import Table
from tunesmith.engine.plan import pack
from tunesmith.models.tokenize import Tokenizer
from tunesmith.objectives.consistency import Consistency
from tunesmith.tasks.base import Task
from tunesmith.tasks.parts import Example

Texts = dict[str, str]
"""The texts of a row by their columns."""


@dataclass(frozen=True)
class Twins:
    """What unlabeled examples are drawn from.

    Attributes:
        task: how texts are encoded: none of them in windows.
        tokenizer: likewise.
        spec: how many, and which noise.
        near: words that could stand in a word's place.
        tokens_per_batch: most tokens, padding counted, in one forward pass.
        rows: the parts of each row.
    """

    task: Task
    tokenizer: Tokenizer
    spec: Consistency
    near: Near
    tokens_per_batch: int
    rows: Sequence[Sequence[Texts]]

    @classmethod
    def of(
        cls, table: Table, *, task: Task, tokenizer: Tokenizer, spec: Consistency, near: Near, tokens_per_batch: int
    ) -> Self:
        """Return what is drawn from the rows of a table.

        Raises:
            DataError: a text is too long, and `task.long_text` makes that an error.
        """
        texts = table.named({column: column for column in task.columns.values()})
        if task.long_text == "error":
            task.encode(texts, tokenizer)

        def fits(row: Texts) -> bool:
            one = Table.of({name: [text] for name, text in row.items()})
            return task.lengths(one, tokenizer)[0] <= tokenizer.max_tokens

        long = [task.long_text == "windows" and n > tokenizer.max_tokens for n in task.lengths(texts, tokenizer)]
        rows = [in_parts(texts.row(i), fits) if long[i] else [texts.row(i)] for i in range(len(texts))]
        cutting = task.model_copy(update={"long_text": "head_tail" if task.long_text == "head_tail" else "head"})
        return cls(cutting, tokenizer, spec, near, tokens_per_batch, rows)

    def beside(self, weights: Mapping[int, float], *, seed: int) -> Iterator[tuple[list[Example], list[Example]]]:
        """Yield batches of unlabeled examples, as they are and edited, that together weigh what their bringers do.

        Args:
            weights: in the loss, of each example that brings some, by its index.
            seed: of the step.
        """
        n = self.spec.ratio
        couples = [self._drawn(random.Random(derive(seed, i, k))) for i in weights for k in range(n)]
        shares = [weight / n for weight in weights.values() for _ in range(n)]
        still, noisy = (self._encoded([couple[side] for couple in couples], shares) for side in (0, 1))
        lengths = np.array([max(a.n_tokens, b.n_tokens) for a, b in zip(still, noisy, strict=True)])
        for some in pack(lengths, np.argsort(-lengths, kind="stable"), tokens=self.tokens_per_batch):
            yield [still[i] for i in some], [noisy[i] for i in some]

    def _drawn(self, chance: random.Random) -> tuple[Texts, Texts]:
        """Return a row, or a part of it, as it is and edited."""
        row = chance.choice(chance.choice(self.rows))
        found = edited(self.task.words(row), self.spec.edits, chance, rate=self.spec.rate, near=self.near, pool={})
        return row, self.task.edited(row, found[1]) if found else row

    def _encoded(self, rows: Sequence[Texts], weights: Sequence[float]) -> list[Example]:
        table = Table.of({name: [row[name] for row in rows] for name in rows[0]})
        examples = self.task.encode(table, self.tokenizer)
        return [replace(example, weight=weight) for example, weight in zip(examples, weights, strict=True)]


def in_parts(row: Texts, fits: Callable[[Texts], bool]) -> list[Texts]:
    """Return a row in parts that fit: the longer text is halved, between words if it has some, and each half again."""
    column = max(row, key=lambda name: len(row[name]))
    text, words = row[column], cut(row[column])
    if fits(row) or len(text) < 2:
        return [row]
    middle = len(words) // 2
    halves = (
        (join(words[:middle]), join(words[middle:])) if middle else (text[: len(text) // 2], text[len(text) // 2 :])
    )
    return [part for half in halves for part in in_parts({**row, column: half}, fits)]
