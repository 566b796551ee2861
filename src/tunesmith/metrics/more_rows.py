"""How to come by more rows: by labelling, which is one piece of advice however many reasons there are, or a share."""

from __future__ import annotations

from collections.abc import Sequence

from tunesmith.core.wording import count, rows
from tunesmith.data.spec import SplitSpec
from tunesmith.data.split import shares
from tunesmith.metrics.evidence import Evidence, MoreRows
from tunesmith.metrics.wording import listed

SHARES = (0.2, 0.3)
"""Shares of all rows that may be advised; more would take too much from training."""
FEW_TRAINING_ROWS = 30
"""Training rows a class below which they are called few."""


def more_rows(evidence: Evidence, split: str, purpose: str) -> str | MoreRows:
    """Advise more rows of a split, for a purpose such as "judge by"."""
    if evidence.settings.get(f"data.{split}"):
        return MoreRows(why=f"also in your {split} file, to {purpose}")
    now = max(evidence.share(split), _set_share(evidence, split))
    share = next((share for share in SHARES if share > 1.25 * now), None)
    if share is None:
        return MoreRows(why=f"to {purpose}, since {now:.0%} of them are {split} rows already")
    setting = f"--set data.split.{split}={share}"
    if split not in evidence.splits:
        return f"Keep back {split} rows to {purpose}, there are none now: {setting}"
    return MoreRows(purpose=f"to {purpose}", setting=setting)


def more_to_train_on(evidence: Evidence) -> MoreRows:
    """Advise more training rows."""
    if few_to_train_on(evidence):
        classes = f" for {count(evidence.n_classes, evidence.class_noun)}" if evidence.n_classes > 1 else ""
        return MoreRows(why=f"{rows(evidence.n_train)} to train on are few{classes}")
    now = f" ({evidence.n_train:,} to train on now)" if evidence.n_train else ""
    return MoreRows(why=f"the surest cure{now}")


def few_to_train_on(evidence: Evidence) -> bool:
    """Whether the training rows, where their number is known, are few for so many classes."""
    return 0 < evidence.n_train < FEW_TRAINING_ROWS * evidence.n_classes


def label_more(reasons: Sequence[MoreRows], *, wanted: str = "Label more rows") -> str:
    """Say all reasons to label more rows, or what else is wanted, as one piece of advice; settings come last."""
    names = list(dict.fromkeys(name for reason in reasons for name in reason.classes))
    whys = list(dict.fromkeys(reason.why for reason in reasons if reason.why))
    settings = {reason.setting: reason.purpose for reason in reasons if reason.setting}
    alone = not (whys or settings)
    said = wanted + (f"{'' if alone else ', above all'} of {listed(names)}" if names else "")
    if whys:
        said += f": {'; '.join(whys)}"
    if settings:
        purposes = listed(list(dict.fromkeys(settings.values())))
        said += f"{';' if whys else ','} or keep back more of them {purposes}: {' '.join(settings)}"
    return said


def _set_share(evidence: Evidence, split: str) -> float:
    """Return the share that was asked for, by the user or for them: of few rows it may not come out."""
    share = evidence.settings.get(f"data.split.{split}")
    if isinstance(share, int | float):
        return float(share)
    if split not in evidence.splits or not evidence.n_train:
        return 0.0
    test, dev = shares(SplitSpec(), n_rows=evidence.n_rows, have_dev=False, have_test=False)
    return test if split == "test" else dev
