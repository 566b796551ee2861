"""The predictor: cleans, windows, runs and calibrates exactly as training did."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import transformers
from transformers import PreTrainedModel

from tunesmith.core.errors import DataError, Where
from tunesmith.data.clean import cleaning
from tunesmith.data.table import Table
from tunesmith.engine.device import pick
from tunesmith.engine.infer import TOKENS_PER_BATCH, infer
from tunesmith.inference.settings import ModelSettings, load_settings
from tunesmith.models.classifier import quiet
from tunesmith.models.linear import use_onednn
from tunesmith.models.padding import fill_left_where_needed
from tunesmith.models.source import Source
from tunesmith.models.spec import ModelSpec
from tunesmith.models.tokenize import Tokenizer, load_tokenizer
from tunesmith.tasks.parts import Prediction


class Predictor:
    """A model ready to predict; make one with `Predictor.load(folder)`."""

    def __init__(self, model: PreTrainedModel, tokenizer: Tokenizer, settings: ModelSettings) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.settings = settings
        self.task = settings.build_task()
        self.clean = cleaning(settings.clean)

    @classmethod
    def load(cls, folder: Path, *, device: str = "auto") -> Self:
        """Load a model folder written by a run.

        Raises:
            ModelError: it is not one.
        """
        settings = load_settings(folder)
        source = Source(settings.base_model, folder)
        tokenizer = load_tokenizer(source, ModelSpec(), max_tokens=settings.max_tokens)
        with quiet():
            opener = getattr(transformers, settings.build_task().auto_class)
            model = opener.from_pretrained(folder, use_safetensors=True)
        model = model.float().to(pick(device)).eval()
        fill_left_where_needed(model)
        use_onednn(model)
        return cls(model, tokenizer, settings)

    def fingerprint(self) -> str:
        """Return a SHA-256 of weights and settings: equal for models that give the same answers."""
        digest = hashlib.sha256(self.settings.model_dump_json().encode())
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy())
        return digest.hexdigest()

    def outputs(self, table: Table, *, on_rows: Callable[[int], None] | None = None) -> Sequence[Any]:
        """Return what the model gives for each row of a table whose texts are cleaned."""
        examples = self.task.encode(table, self.tokenizer)
        found = infer(
            self.model,
            examples,
            task=self.task,
            pad_id=self.tokenizer.pad_id,
            tokens_per_batch=TOKENS_PER_BATCH,
            on_batch=on_rows,
        )
        read: Sequence[Any] = self.task.read(self.task.merge(examples, found, n_rows=len(table)), self.tokenizer)
        return read

    def answers(self, table: Table) -> list[Prediction]:
        """Return one prediction for each row of a table whose texts are cleaned."""
        said: list[Prediction] = self.task.predictions(self.outputs(table), table) if len(table) else []
        return said

    def predict(self, items: Sequence[Any]) -> list[Prediction]:
        """Return one prediction for each item, in order; an empty text is answered like any other.

        Args:
            items: texts (lists of words, for tasks that label these); for tasks that read several, tuples of texts or
                mappings by field or column name.

        Raises:
            DataError: it is one item and no list, or an item has another number of texts than the model reads.
        """
        return self.answers(self.table_of(items))

    def table_of(self, items: Sequence[Any]) -> Table:
        """Return items as a table with cleaned texts."""
        if isinstance(items, str | Mapping):
            raise DataError("one item, where a list of items is wanted", fix="put it into a list: predict([item])")
        columns = self.task.columns
        rows = [item if isinstance(item, Mapping) else self._named(item) for item in items]
        named = {
            column: [self.task.read_cell(row[field] if field in row else row[column], self.clean) for row in rows]
            for field, column in columns.items()
        }
        return Table.of(named)

    def _named(self, item: Any) -> dict[str, Any]:
        """Return a text, a list of words or a tuple of texts by field name."""
        fields = list(self.task.columns)
        if not isinstance(item, Iterable):
            fix = "leave it out, or give a text"
            raise DataError("not a text", where=Where(value=item), fix=fix)
        whole = isinstance(item, str) or (self.task.reads_words and isinstance(item, list))
        texts = (item,) if whole else tuple(item)
        if len(texts) != len(fields):
            raise DataError(f"{len(texts)} texts where the model reads {len(fields)}", fix=f"give {', '.join(fields)}")
        return dict(zip(fields, texts, strict=True))
