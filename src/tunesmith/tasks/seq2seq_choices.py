"""The "auto" settings of tasks that write, with reasons.

A model that has never written needs thousands of updates at a high rate, however few the rows; one that has been
pre-trained to write is only told what.
"""

from __future__ import annotations

import math
from typing import Any

from tunesmith.core.wording import count
from tunesmith.models.seq2seq import N_TOKENS
from tunesmith.models.targets import MOST_TOKENS
from tunesmith.tasks.facts import Choices, Facts

ROOM = 1.25
"""How much longer than the longest training target an answer may get."""
ROWS_A_STEP = {True: 16, False: 32}
FEW_ROWS = 2000
NEW_UPDATES, NEW_EPOCHS, NEW_LR, NEW_FACTOR = 8000, 40, 5e-4, 2.0
"""For a decoder that is new: updates, most epochs, rate at width 384, and how much faster the new parts learn."""
OLD_UPDATES, OLD_EPOCHS, OLD_LR = 1500, 15, 1e-4
"""For a model that writes already; the rate is at width 512."""
FEWEST_EPOCHS = 3


def choices(task: Any, facts: Facts) -> Choices:
    """Return a value and a reason for what suits a task that writes."""
    return {**_texts(task, facts), **_model(facts), **_training(facts)}


def _texts(task: Any, facts: Facts) -> Choices:
    target = _target(facts)
    longest = max(map(len, target.ids([targets[0] for targets in facts.answers])))
    most = min(MOST_TOKENS, target.max_tokens - 1, math.ceil(ROOM * longest))
    then = "half a text can't be translated" if task.is_cut == "error" else "only the beginning of such is read"
    told = f"the longest training target has {count(longest, 'token')}"
    if longest == target.max_tokens:
        told = f"training targets longer than the model can write are cut at {count(longest, 'token')}"
    return {
        "task.long_text": (task.is_cut, f"{facts.too_long}: {then}"),
        "task.max_new_tokens": (most, told),
    }


def _model(facts: Facts) -> Choices:
    found: Choices = {"task.target_tokens": ("model", "the model's own tokens can write the targets")}
    if _target(facts).is_own:
        reason = "learnt from the training targets, which the model's own tokens would change"
        found["task.target_tokens"] = (N_TOKENS, reason)
    if not facts.config.is_encoder_decoder:
        made = "a decoder is made of its layers, with new attention to the source"
        reason = f"{facts.config.model_type} is no encoder-decoder: {made}"
        found["task.decoder_layers"] = (facts.config.num_hidden_layers, reason)
    return found


def _training(facts: Facts) -> Choices:
    is_new = not facts.config.is_encoder_decoder
    updates, most = (NEW_UPDATES, NEW_EPOCHS) if is_new else (OLD_UPDATES, OLD_EPOCHS)
    lr = NEW_LR * 384 / facts.hidden_size if is_new else OLD_LR * 512 / facts.hidden_size
    per_epoch = math.ceil(facts.n_rows / ROWS_A_STEP[facts.n_rows <= FEW_ROWS])
    epochs = min(most, max(FEWEST_EPOCHS, math.ceil(updates / per_epoch)))
    what = "learning to write" if is_new else "a model that writes already"
    reason = (
        f"{count(per_epoch, 'update')} an epoch; {what} takes about {updates:,}, in {FEWEST_EPOCHS} to {most} epochs"
    )
    return {
        "train.length": (count(max(1, round(epochs * facts.length_factor)), "epoch"), reason),
        "train.lr": (float(f"{lr:.1g}"), f"suits a model of width {facts.hidden_size}; wider ones take less"),
        "train.layer_decay": (1.0, "all layers have a new kind of text to learn"),
        "train.head_lr_factor": (
            (NEW_FACTOR, "the new attention and the output learn faster") if is_new else (1.0, "nothing in it is new")
        ),
    }


def _target(facts: Facts) -> Any:
    assert facts.tokenizer is not None
    return facts.tokenizer.target
