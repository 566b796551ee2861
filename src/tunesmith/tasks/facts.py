"""What the choices of a recipe's "auto" settings depend on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tunesmith.models.tokenize import Tokenizer

Choices = dict[str, tuple[Any, str]]
"""Dotted setting to its value and the reason for it."""


NEXT_TO_NOTHING = 0.02
"""Up to this share of rows and of tokens, what is too long may be cut."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the choices depend on.

    Attributes:
        n_rows: training rows.
        n_dev: dev rows.
        n_classes: classes, 0 where there are none.
        mean_tokens: of a training row, special tokens counted, after cutting.
        may_cut: whether the task can do with a part of a long text.
        share_too_long: of the training rows, longer than the model reads.
        share_cut: of the training rows' tokens, those beyond what the model reads.
        max_tokens: the model reads at once.
        hidden_size: width of the model.
        pooling: how token vectors become one text vector, and why.
        has_gpu: whether training runs on a GPU.
        main_metric: of the task, or what training is judged by instead.
        length_factor: what the preset multiplies the length of training by.
        config: of the model, as transformers has it.
        tokenizer: of the model.
        answers: the targets of the training rows; see `Task.answers`.
    """

    n_rows: int
    n_dev: int
    n_classes: int
    mean_tokens: float
    share_too_long: float
    share_cut: float
    may_cut: bool
    max_tokens: int
    hidden_size: int
    pooling: tuple[str, str]
    has_gpu: bool
    main_metric: str
    length_factor: float = 1.0
    config: Any = None
    tokenizer: Tokenizer | None = None
    answers: Sequence[Any] = ()

    @property
    def loses_much(self) -> bool:
        """Whether cutting would take more than next to nothing from the rows."""
        return self.share_too_long > NEXT_TO_NOTHING or self.share_cut > NEXT_TO_NOTHING

    @property
    def too_long(self) -> str:
        """How many rows, and how much of all of them, the model can't read at once, as the beginning of a reason."""
        if not self.share_too_long:
            return f"no row is longer than {self.max_tokens} tokens"
        longer = f"{self.share_too_long:.1%} of the rows are longer than {self.max_tokens} tokens"
        return f"{longer}, by {self.share_cut:.1%} of all tokens"
