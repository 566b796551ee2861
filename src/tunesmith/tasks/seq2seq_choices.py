"""The "auto" settings of tasks that write, with reasons."""

from __future__ import annotations

import math
from typing import Any

from tunesmith.core.wording import count
from tunesmith.models.targets import MOST_TOKENS
from tunesmith.tasks.facts import Choices, Facts

TOKENS_PER_STEP = 1024
UPDATES = 2000
MOST_EPOCHS, FEWEST_EPOCHS = 40, 3
ROOM = 1.25
N_TOKENS = 8000


def choices(task: Any, facts: Facts) -> Choices:
    """Return a value and a reason for what suits a task that writes."""
    return {**_texts(task, facts), **_model(facts), **_training(task, facts)}


def _texts(task: Any, facts: Facts) -> Choices:
    assert facts.tokenizer and facts.tokenizer.target
    share = f"{facts.share_too_long:.1%} of the sources are longer than {facts.max_tokens} tokens"
    cut = task.is_cut != "error"
    longest = max(map(len, facts.tokenizer.target.ids([targets[0] for targets in facts.answers])))
    most = min(MOST_TOKENS, facts.tokenizer.target.max_tokens - 1, math.ceil(ROOM * longest))
    return {
        "task.long_text": (
            task.is_cut,
            f"{share}: " + ("of these only the beginning is read" if cut else "a part of one can't be translated"),
        ),
        "task.max_new_tokens": (most, f"the longest training target has {count(longest, 'token')}"),
    }


def _model(facts: Facts) -> Choices:
    config, target = facts.config, facts.tokenizer.target
    own = (
        (N_TOKENS, "learnt from the training targets: the model's own tokens would change them")
        if target.is_own
        else ("model", "the model's own tokens can write the targets")
    )
    if config.is_encoder_decoder:
        return {"task.target_tokens": own}
    layers = config.num_hidden_layers
    reason = f"{config.model_type} only reads: a decoder is made of its layers, with new attention to the source"
    return {"task.target_tokens": own, "task.decoder_layers": (layers, reason)}


def _training(task: Any, facts: Facts) -> Choices:
    return {}
