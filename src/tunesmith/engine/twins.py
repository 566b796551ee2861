"""Unlabeled texts beside themselves with edited words: which ones a step sees is a pure function of seed and step.

Each example of a step brings its own, so that they are the same however a step is cut and over however many processes.
Of a text that is too long to be read at once, a half is drawn, and of that a half, until it is not.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tunesmith.core.seed import derive
from tunesmith.data.augment.copies import Copy, Editor, edit_all, one_by_one
from tunesmith.data.augment.edits import EDITS, Near
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
        table: the texts.
        task: how they are encoded.
        tokenizer: likewise.
        spec: how many, and which noise.
        near: words that could stand in a word's place.
        tokens_per_batch: most tokens, padding counted, in one forward pass.
        taught: what a teacher gives for each row of the table, shape (rows, outputs); None without one.
    """

    table: Table
    task: Task
    tokenizer: Tokenizer
    spec: Consistency
    near: Near
    tokens_per_batch: int
    taught: np.ndarray | None = None

    def beside(self, weights: Mapping[int, float], *, seed: int) -> Iterator[tuple[list[Example], list[Example]]]:
        """Yield batches of unlabeled examples, as they are and edited, that together weigh what their bringers do.

        Args:
            weights: in the loss, of each example that brings some, by its index.
            seed: of the step.
        """
        n = self.spec.ratio
        chances = [random.Random(derive(seed, i, k)) for i in weights for k in range(n)]
        shares = [weight / n for weight in weights.values() for _ in range(n)]
        places, rows = self._drawn(chances)
        still, noisy = self._encoded(rows, shares), self._encoded(self._edited(rows, chances), shares)
        if self.taught is not None:
            still = [replace(one, taught=self.taught[i].tolist()) for i, one in zip(places, still, strict=True)]
        lengths = np.array([max(a.n_tokens, b.n_tokens) for a, b in zip(still, noisy, strict=True)])
        for some in pack(lengths, np.argsort(-lengths, kind="stable"), tokens=self.tokens_per_batch):
            yield [still[i] for i in some], [noisy[i] for i in some]

    def _drawn(self, chances: Sequence[random.Random]) -> tuple[list[int], list[Texts]]:
        """Return for each source of chance the place of a row, and the row or a part that can be read at once."""
        columns = self.task.columns.values()
        places = [chance.randrange(len(self.table)) for chance in chances]
        rows = [{column: str(self.table[column][i]) for column in columns} for i in places]
        while long := self._too_long(rows):
            for i in long:
                rows[i] = chances[i].choice(halves(rows[i]))
        return places, rows

    def _too_long(self, rows: Sequence[Texts]) -> list[int]:
        """Return the rows of which a part is to be drawn."""
        if self.task.long_text != "windows":
            return []
        lengths = self.task.lengths(_table(rows), self.tokenizer)
        able = [max(map(len, row.values())) > 1 for row in rows]
        return [i for i, n in enumerate(lengths) if able[i] and n > self.tokenizer.max_tokens]

    def _edited(self, rows: Sequence[Texts], chances: Sequence[random.Random]) -> list[Texts]:
        """Return the rows, each with an edit, or as it is where none changes it."""
        editors: dict[str, Editor] = {
            name: one_by_one(EDITS[name], self.spec.rate, self.near) for name in self.spec.edits
        }
        copies = [
            Copy(i, self.task.words(row), chance) for i, (row, chance) in enumerate(zip(rows, chances, strict=True))
        ]
        edit_all(copies, editors, self.spec.edits)
        return [self.task.edited(row, one.words) if one.edit else row for row, one in zip(rows, copies, strict=True)]

    def _encoded(self, rows: Sequence[Texts], weights: Sequence[float]) -> list[Example]:
        """Return an example for each row: what an edit made too long is cut."""
        policy = "head_tail" if self.task.long_text == "head_tail" else "head"
        examples = self.task.model_copy(update={"long_text": policy}).encode(_table(rows), self.tokenizer)
        return [replace(example, weight=weight) for example, weight in zip(examples, weights, strict=True)]


def halves(row: Texts) -> tuple[Texts, Texts]:
    """Return a row twice, with either half of its longest text; words stay whole where there are several."""
    column = max(row, key=lambda name: len(row[name]))
    text, words = row[column], cut(row[column])
    middle = len(words) // 2
    one, other = (
        (join(words[:middle]), join(words[middle:])) if middle else (text[: len(text) // 2], text[len(text) // 2 :])
    )
    return {**row, column: one}, {**row, column: other}


def _table(rows: Sequence[Texts]) -> Table:
    return Table.of({name: [row[name] for row in rows] for name in rows[0]})
