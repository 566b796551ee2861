"""The settings of augmentation."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, NonNegativeInt

from tunesmith.core.spec import Spec

WordEdit = Literal["delete", "insert", "swap", "substitute", "typos", "case", "shuffle"]
"""Edits of words, whatever they are."""
EditName = Literal[WordEdit, "entities"]
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
    """Also copy the rows of rarer classes until all have as many, at most ten times."""
    edits: Annotated[tuple[EditName, ...], AfterValidator(not_empty)] = EDA
    """Each copy has one of these, drawn: the four of EDA (Wei and Zou 2019), slips on the keyboard (typos), small
    letters or capitals (case), sentences in another order (shuffle), other names of the same type (entities)."""
    rate: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Share of a text's words that an edit changes, at least one word."""
