"""Texts translated there and back by two trained models: never cut, and left alone where they are too long."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from tunesmith.core.errors import RecipeError, Where
from tunesmith.core.seed import derive
from tunesmith.engine.infer import infer
from tunesmith.inference.predictor import Predictor
from tunesmith.inference.settings import load_settings
from tunesmith.tasks.parts import Batch

KIND = "translation"
TOKENS_PER_BATCH = 1024
"""Writing takes long: few texts at a time show how far it is, and more would not be faster."""


class Translator:
    """A model that translates; the same calls in the same order give the same texts."""

    def __init__(
        self,
        folder: Path,
        *,
        device: str,
        seed: int,
        sample: bool = False,
        on_texts: Callable[[int], None] | None = None,
    ) -> None:
        """Load the model.

        Args:
            folder: of the model.
            device: where it computes; "auto" is the GPU where there is one.
            seed: of what is drawn.
            sample: whether to draw, also where the model is set to search.
            on_texts: told how many texts more are translated.
        """
        self._predictor, self._seed, self._on_texts = Predictor.load(folder, device=device), seed, on_texts
        self._task: Any = self._predictor.task
        if sample and not self._task.sample:
            self._task = self._task.model_copy(update={"sample": True})
            self._task.write_as_set(self._predictor.model)
        self._n_calls = 0

    @property
    def varies(self) -> bool:
        """Whether a text may be translated in another way the next time."""
        return bool(self._task.sample)

    @property
    def device(self) -> str:
        """Where it computes."""
        return str(self._predictor.model.device)

    def __call__(self, texts: Sequence[str]) -> list[str | None]:
        """Return translations; None where a text is longer than the model reads, or its translation than it writes."""
        tokenizer = self._predictor.tokenizer
        table = self._predictor.table_of(texts)
        lengths = self._task.lengths(table, tokenizer)
        short = [i for i, n in enumerate(lengths) if n <= tokenizer.max_tokens]
        self._n_calls += 1
        written = infer(
            self._predictor.model,
            self._task.encode(table.take(short), tokenizer),
            task=self._task,
            pad_id=tokenizer.pad_id,
            tokens_per_batch=TOKENS_PER_BATCH,
            run=partial(self._write, seed=derive(self._seed, self._n_calls)),
            on_batch=self._on_texts,
        )
        found: list[str | None] = [None] * len(texts)
        for i, ids, text in zip(short, written, self._task.read(written, tokenizer), strict=True):
            found[i] = text if self._has_end(ids) else None
        return found

    def _write(self, model: nn.Module, batch: Batch, *, seed: int) -> list[list[int]]:
        found: list[list[int]] = self._task.write(model, batch, seed=seed)
        return found

    def _has_end(self, ids: Sequence[int]) -> bool:
        """Whether a text was written to its end; at the limit some models write an end in any case."""
        new = list(ids[1:])  # without what the decoder starts from, which may be the token that ends, too
        end = self._predictor.tokenizer.target.end  # type: ignore[union-attr]
        return end in new and new.index(end) + 1 < self._predictor.model.generation_config.max_new_tokens


def there_and_back(there: Translator, back: Translator, texts: Sequence[str]) -> list[str | None]:
    """Return texts as they come back from two translations; None where one of these is not whole."""
    found: list[str | None] = list(texts)
    for translate in (there, back):
        going = [(i, text) for i, text in enumerate(found) if text]
        for (i, _), text in zip(going, translate([text for _, text in going]), strict=True):
            found[i] = text
    return found


def refuse_other_kind(folder: Path, name: str) -> None:
    """Raise RecipeError if a model does something else than translate.

    Args:
        folder: of the model.
        name: as the user called it.
    """
    kind = load_settings(folder).task["kind"]
    if kind != KIND:
        where = Where(column="augment.translators", value=name)
        raise RecipeError(f"this is no translator: it was trained for {kind}", where=where,
                          fix="name two runs of --task translation")  # fmt: skip
