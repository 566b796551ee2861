"""The settings of augmentation."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, NonNegativeInt, model_validator

from tunesmith.core.spec import Spec

WordEdit = Literal["delete", "insert", "swap", "substitute", "typos", "case", "shuffle"]
"""Edits of words, whatever they are."""
EditName = Literal[WordEdit, "entities", "context", "translate"]
EDA: tuple[WordEdit, ...] = ("delete", "insert", "swap", "substitute")
"""Those of Wei and Zou (2019)."""


def not_empty(names: tuple[str, ...]) -> tuple[str, ...]:
    """Raise ValueError if no edit is named."""
    if not names:
        raise ValueError("names no edit", f"some of: {', '.join(get_args(WordEdit))}")
    return names


class AugmentSpec(Spec):
    """New training rows from old ones; dev and test rows are never touched."""

    copies: NonNegativeInt = 0
    """Edited copies of each training row; 0: none."""
    balance: bool = False
    """Also copy the rows of rarer classes until all have as many, at most ten times; of rows with several labels those
    that bring the rarer ones nearest to the most frequent."""
    edits: Annotated[tuple[EditName, ...], AfterValidator(not_empty)] = EDA
    """Each copy has one of these, drawn: the four of EDA (Wei and Zou 2019), slips on the keyboard (typos), small
    letters or capitals (case), sentences in another order (shuffle), other names of the same type (entities), words
    that a masked language model finds fitting (context), whole texts translated there and back (translate)."""
    rate: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Share of a text's words that an edit changes, at least one word."""
    model: str = "auto"
    """context: the masked language model, a run of `fill-mask`, a folder or a hub id; "auto": the one that is trained,
    where it can fill masks."""
    translators: tuple[str, ...] = ()
    """translate: two runs of `translation`, from the language of the texts and back to it."""
    sample: bool = False
    """translate: draw the words by their probability (Edunov et al. 2018), so that each copy of a row is another; off:
    the translators write as they were set to, and a row is translated once."""

    @model_validator(mode="after")
    def _refuse_idle(self) -> AugmentSpec:
        """Raise ValueError if a setting is changed and no rows are made."""
        idle = [name for name, field in type(self).model_fields.items() if getattr(self, name) != field.default]
        if idle and not self.is_on:
            have = f"{' and '.join(idle)} {'has' if len(idle) == 1 else 'have'}"
            raise ValueError(f"{have} no effect while copies is 0 and balance is false", "--set augment.copies=1")
        return self

    @property
    def is_on(self) -> bool:
        """Whether any rows are made."""
        return bool(self.copies or self.balance)
