"""What a model decides in a batch, in the one form that losses, divergences and objectives share.

A class of a text, a tag of a word, the next token and the start of an answer are all one of several; labels of a text
are yes or no each; and a score is a number. What shapes a loss or compares two passes needs to know no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tunesmith.models.words import IGNORED

if TYPE_CHECKING:
    from torch import Tensor

    from tunesmith.tasks.parts import Batch


@dataclass(frozen=True, slots=True)
class Decisions:
    """Attributes: `n` decisions of a batch, in any order.

    kind: "one" of several classes, "any" of several labels, or "number".
    logits: float32, shape (n, classes).
    targets: "one": class indices, shape (n,), `IGNORED` where there is nothing to learn; else shape (n, classes), of
        zeros and ones or of numbers.
    weights: of each in the loss, which is a sum; shape (n,).
    examples: from which example of the batch each is, shape (n,).
    class_weights: "one": what the loss of each class is multiplied by; "any": that of a label that is there.
    smoothing: "one": share of the target that is spread evenly over all classes.
    """

    kind: Literal["one", "any", "number"]
    logits: Tensor
    targets: Tensor
    weights: Tensor
    examples: Tensor
    class_weights: Tensor | None = None
    smoothing: float = 0.0

    def losses(self) -> Tensor:
        """Return cross-entropy or squared error: shape (n,) for "one", else (n, classes)."""
        import torch.nn.functional as F

        if self.kind == "one":
            return F.cross_entropy(
                self.logits,
                self.targets,
                weight=self.class_weights,
                label_smoothing=self.smoothing,
                ignore_index=IGNORED,
                reduction="none",
            )
        if self.kind == "any":
            return F.binary_cross_entropy_with_logits(
                self.logits, self.targets, pos_weight=self.class_weights, reduction="none"
            )
        errors: Tensor = (self.logits - self.targets) ** 2
        return errors

    def total(self, losses: Tensor) -> Tensor:
        """Return losses as `losses` gives them, the mean over labels or numbers, weighted and summed."""
        each = losses if losses.ndim == 1 else losses.mean(dim=1)
        return (each * self.weights).sum()

    def right(self) -> Tensor:
        """Return the probability of what is right, of the shape of `losses`; not for numbers."""
        if self.kind == "one":
            found: Tensor = self.logits.softmax(dim=1).gather(1, self.targets.clamp(min=0)[:, None])[:, 0]
            return found
        p = self.logits.sigmoid()
        return p * self.targets + (1 - p) * (1 - self.targets)

    def log_wrong(self) -> Tensor:
        """Return the logarithm of the probability of all that is wrong, of the shape of `losses`; not for numbers.

        Exact where `right` is rounded to 1, which in float32 is from a difference of logits of 17 on.
        """
        import torch
        import torch.nn.functional as F

        if self.kind == "any":
            return F.logsigmoid(self.logits * (1 - 2 * self.targets))
        least = torch.finfo(self.logits.dtype).min
        others = self.logits.scatter(1, self.targets.clamp(min=0)[:, None], least)
        found: Tensor = others.logsumexp(dim=1) - self.logits.logsumexp(dim=1)
        return found

    def divergences(self, other: Decisions) -> Tensor:
        """Return how far another pass over the same batch is from this one, shape (n,): the mean of `apart`."""
        each = self.apart(other)
        return each if each.ndim == 1 else each.mean(dim=1)

    def apart(self, other: Decisions) -> Tensor:
        """Return how far another pass over the same batch is from this one, of the shape of `losses`.

        The Kullback-Leibler divergence KL(this || other); of numbers the squared difference.
        """
        import torch
        import torch.nn.functional as F

        if self.kind == "one":
            mine, theirs = self.logits.log_softmax(dim=1), other.logits.log_softmax(dim=1)
            found: Tensor = (mine.exp() * (mine - theirs)).sum(dim=1)
            return found
        if self.kind == "number":
            differences: Tensor = (self.logits - other.logits) ** 2
            return differences
        p = self.logits.sigmoid()
        logs = [(F.logsigmoid(s * self.logits), F.logsigmoid(s * other.logits)) for s in (1, -1)]
        parts = [q * (a - b) for q, (a, b) in zip((p, 1 - p), logs, strict=True)]
        return torch.stack(parts).sum(dim=0)

    def detached(self) -> Decisions:
        """Return the same, through which no gradient flows."""
        from dataclasses import replace

        return replace(self, logits=self.logits.detach())


def of_tokens(logits: Tensor, targets: Tensor, batch: Batch, *, smoothing: float) -> Decisions:
    """Return a class for each token of the examples that count.

    Args:
        logits: shape (batch, tokens, classes).
        targets: shape (batch, tokens), `IGNORED` where there is nothing to learn.
        batch: which examples count.
        smoothing: of labels.
    """
    weights = ((targets != IGNORED) & (batch.weights > 0)[:, None]).float().flatten()
    numbers = batch.numbers.repeat_interleave(targets.shape[1])
    return Decisions("one", logits.float().flatten(0, 1), targets.flatten(), weights, numbers, smoothing=smoothing)


TOKENS_AT_ONCE = 64
"""So many tokens' logits are held in double precision at a time."""


def token_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the cross-entropy of each token as it is measured, 0 for `IGNORED`; float64, shape (tokens,), on the CPU.

    In single precision a sum over thousands of tokens would be right to eight digits only.

    Args:
        logits: shape (tokens, vocabulary).
        targets: shape (tokens,).
    """
    import torch
    import torch.nn.functional as F

    wide = torch.float32 if logits.device.type == "mps" else torch.float64  # MPS has no float64
    pairs = zip(torch.split(logits, TOKENS_AT_ONCE), torch.split(targets, TOKENS_AT_ONCE), strict=True)
    parts = [F.cross_entropy(part.to(wide), t, ignore_index=IGNORED, reduction="none") for part, t in pairs]
    return torch.cat(parts).cpu().double()
