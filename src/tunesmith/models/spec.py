"""The settings of the model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tunesmith.core.spec import Spec

Probability = Annotated[float, Field(ge=0, lt=1)]


class ModelSpec(Spec):
    """Which pre-trained weights to start from, and what is put on top."""

    source: str = "minilm"
    """"minilm" (comes with tunesmith), a folder with config.json and safetensors, a run folder (its model is trained
    further), or a hub id such as "FacebookAI/roberta-base" (the only case that uses the network, and only if it is not
    cached)."""
    revision: str = "main"
    """Branch, tag or commit of a hub id."""
    trust_remote_code: bool = False
    """Run Python code that comes with a checkpoint. Leave off unless you have read that code."""
    weights: Literal["pretrained", "random"] = "pretrained"
    """random: the same architecture trained from nothing, to see what the pre-trained weights bring."""
    pooling: Literal["auto", "first", "mean"] = "auto"
    """How token vectors become one text vector: the family's own head on the first token, or their mean."""
    head_start: Literal["auto", "random", "probe"] = "auto"
    """probe: the head starts from a logistic regression on the frozen text vectors."""
    dropout: Probability | Literal["auto"] = "auto"
    """Dropout of hidden layers and attention; "auto" keeps the checkpoint's."""
    head_dropout: Probability | Literal["auto"] = "auto"
    """Dropout before the last linear layer; "auto" keeps the checkpoint's."""
