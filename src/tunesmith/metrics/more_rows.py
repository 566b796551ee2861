"""How to come by more dev or test rows: by another share, unless it is in force, or by labelling."""

from __future__ import annotations

from tunesmith.metrics.evidence import Evidence

SHARES = (0.2, 0.3)
"""Shares of all rows that may be advised; more would take too much from training."""


def more_rows(evidence: Evidence, split: str, purpose: str) -> str:
    """Advise more rows of a split: "Label more dev rows to judge by, or keep back more: --set ..."."""
    if evidence.settings.get(f"data.{split}"):
        return f"Label more {split} rows to {purpose}: they come from a file of yours"
    now = max(evidence.share(split), _set_share(evidence, split))
    share = next((share for share in SHARES if share > 1.1 * now), None)
    if share is None:
        return f"Label more rows to {purpose}: {now:.0%} of them are {split} rows already"
    if split not in evidence.splits:
        return f"Keep back {split} rows to {purpose}, there are none now: --set data.split.{split}={share}"
    return f"Label more rows, or keep back more of them to {purpose}: --set data.split.{split}={share}"


def _set_share(evidence: Evidence, split: str) -> float:
    """Return the share the user set, 0 where it was chosen for them."""
    share = evidence.settings.get(f"data.split.{split}")
    return float(share) if isinstance(share, int | float) else 0.0
