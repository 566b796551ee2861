"""Samples that come with tunesmith, written for it: one file a task, one entry here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tunesmith.core.errors import DataError, did_you_mean


class Sample(NamedTuple):
    """Attributes: the file beside this one; the settings it is trained with; a text to try the model on, or ""."""

    file: str
    settings: Mapping[str, Any]
    question: str = ""


SAMPLES = {
    "classification": Sample(
        "support.csv",
        {
            "task.text": "message",
            "task.label": "intent",
            # The consent that the sample's misspelt labels need; see what `tunesmith check` says of it without.
            "data.labels": "merge_case",
            "data.label_map": {"damagd_item": "damaged_item"},
            "train.length": "6 epochs",
        },
        "Where is my parcel? It should have been here on Monday.",
    ),
    "ner": Sample("mails.jsonl", {"task.kind": "token-classification"}),
    "fill-mask": Sample("notes.txt", {"task.kind": "fill-mask", "train.step_size": "512 tokens"}),
    "text-generation": Sample("notes.txt", {"task.kind": "text-generation", "train.step_size": "512 tokens"}),
    "qa": Sample("questions.json", {"train.length": "12 epochs"}),
    # A decoder of two layers takes two thirds of the time of six.
    "translation": Sample(
        "phrases.tsv",
        {"task.kind": "translation", "task.decoder_layers": 2, "train.length": "300 steps"},
        "If the room is dirty, we will leave tomorrow.",
    ),
    "summarization": Sample(
        "letters.jsonl",
        {"task.kind": "summarization", "task.decoder_layers": 2, "train.length": "200 steps"},
        "Hello everybody, the projector in the library has stopped working. A mechanic comes on Friday.",
    ),
    # Each label has a threshold of its own where there are dev rows to set it on.
    "multilabel": Sample("town.csv", {"data.split.dev": 0.2}),
    "regression": Sample("stay.csv", {}),
}


def find_sample(name: str) -> Sample:
    """Return a sample by its name.

    Raises:
        DataError: there is none.
    """
    if name not in SAMPLES:
        fix = did_you_mean(name, list(SAMPLES)) or f"one of: {', '.join(SAMPLES)}"
        raise DataError(f'there is no sample "{name}"', fix=fix)
    return SAMPLES[name]
