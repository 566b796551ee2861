"""What is learnt of tags: of each word by itself, or of sequences, with scores of one tag following another (a CRF).

While it is trained with a CRF the model holds these as one more parameter and gives them with its logits; then they
are taken out again, so that what is saved is a plain class of transformers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.models.layers import NEW
from tunesmith.models.words import IGNORED

NAME = "transitions"
GAIN = 100.0
"""Steps are the parameter times this: Adam moves every weight by the same amount, and these have to move far."""


def add_transitions(model: nn.Module, n_tags: int) -> None:
    """Give a model steps to learn, shape (tags + 1, tags + 1), all 0; they are in its output as "transitions"."""
    parameter = nn.Parameter(torch.zeros(n_tags + 1, n_tags + 1))
    setattr(parameter, NEW, True)
    model.register_parameter(NAME, parameter)

    def with_transitions(module: Any, _inputs: Any, out: Any) -> Any:
        if hasattr(module, NAME):  # not once they are taken
            out[NAME] = GAIN * module.transitions
        return out

    model.register_forward_hook(with_transitions)


def take_transitions(model: Any) -> tuple[tuple[float, ...], ...]:
    """Remove the steps from a model and return them."""
    steps = GAIN * model.transitions.detach().float().cpu()
    del model.transitions
    return tuple(tuple(row) for row in steps.tolist())


def sequence_loss(each: Tensor, targets: Tensor, steps: Tensor) -> Tensor:
    """Return the negative log-likelihood of each sequence under a linear-chain CRF, shape (batch,).

    (Lafferty et al. 2001; Lample et al. 2016, section 2.2.) Where a sequence is a part of a longer one, its likelihood
    is that given the tags around it: by the Markov property the rest of the text has no say then.

    Args:
        each: scores of tags by themselves, shape (batch, tokens, tags).
        targets: shape (batch, 2 + tokens): the tag before the sequence and the one after it (`tags`, where the text
            begins or ends there), then those of its tokens; tokens with `IGNORED` are passed over.
        steps: shape (tags + 1, tags + 1).
    """
    rows = torch.arange(len(each), device=each.device)
    before, after, tags = targets[:, 0], targets[:, 1], targets[:, 2:]
    score = each.new_zeros(len(each))
    total = each.new_zeros(each.shape[0], each.shape[2])  # over sequences up to here, by their last tag
    begun = torch.zeros_like(rows, dtype=torch.bool)
    last = before
    for t in range(each.shape[1]):
        counts = tags[:, t] != IGNORED
        tag = torch.where(counts, tags[:, t], last)
        score = score + torch.where(counts, steps[last, tag] + each[rows, t, tag.clamp(max=each.shape[2] - 1)], 0.0)
        ways = torch.where(
            begun[:, None], torch.logsumexp(total[:, :, None] + steps[None, :-1, :-1], dim=1), steps[before, :-1]
        )
        total = torch.where(counts[:, None], ways + each[:, t], total)
        begun, last = begun | counts, tag
    score = score + steps[last, after]
    norm = torch.logsumexp(total + steps[:-1, after].T, dim=1)
    return torch.where(begun, norm - score, 0.0)
