"""Questions about long contexts, end to end on a tiny model: learnt by heart, measured, saved, opened by transformers."""

import csv
import json
import random
import subprocess
import sys

import numpy as np
import pytest

import tunesmith as ts
from tests.tiny import BAD, GOOD, OTHER, tiny_bert
from tunesmith.inference.predictor import Predictor
from tunesmith.workflow.compare import compare
from tunesmith.workflow.evaluate import evaluate
from tunesmith.workflow.predict import predict_file

NAMES = [*GOOD, *BAD]
SETTINGS = {
    "train.length": "40 epochs",
    "train.step_size": "16 rows",
    "train.lr": 3e-3,
    "train.layer_decay": 1.0,
    "evaluate.resamples": 20,
    "evaluate.every": "10 epochs",
    "evaluate.patience": 0,
}


def passages(n, *, seed=0):
    """Yield (context, name, answer): the answer is the two words after a name, anywhere in up to 100 words."""
    rng = random.Random(seed)
    for _ in range(n):
        words = rng.choices(OTHER, k=rng.randint(10, 100))
        name, at = rng.choice(NAMES), rng.randint(0, len(words) - 2)
        answer = " ".join(words[at : at + 2])
        context = " ".join([*words[:at], name, *words[at:]])
        yield context, name, answer, len(" ".join([*words[:at], name])) + (1 if True else 0)
