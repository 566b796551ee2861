"""The settings of the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from tunesmith.core.spec import Spec

Probability = Annotated[float, Field(ge=0, lt=1)]


BESIDE_LINEAR = frozenset({"rank", "alpha", "dropout", "targets"})
HEEDED: Mapping[str, frozenset[str]] = {
    "lora": BESIDE_LINEAR,
    "dora": BESIDE_LINEAR,
    "ia3": frozenset({"targets"}),
    "bitfit": frozenset(),
    "adapter": BESIDE_LINEAR - {"targets"},
    "prompt": frozenset({"tokens"}),
    "prefix": frozenset({"tokens"}),
}
"""Which settings of `AdaptSpec` have an effect on each kind."""


class AdaptSpec(Spec):
    """Few weights learn in the place of all; they are merged into the model when training ends."""

    kind: Literal["none", "lora", "dora", "ia3", "bitfit", "adapter", "prompt", "prefix"] = "none"
    """lora: low-rank changes beside linear layers (Hu et al. 2022); dora: likewise, size and direction apart (Liu et
    al. 2024); ia3: factors on what linear layers receive or give (Liu et al. 2022); bitfit: the biases (Ben Zaken et
    al. 2022); adapter: a narrow feed-forward beside each feed-forward (He et al. 2022); prompt: vectors before the text
    (Lester et al. 2021); prefix: keys and values before those of the text in every layer (Li and Liang 2021).
    The new head learns in any case."""
    rank: PositiveInt = 8
    """lora, dora: of the changes; adapter: how wide it is."""
    alpha: PositiveInt = 16
    """lora, dora, adapter: the changes are multiplied by alpha / rank."""
    dropout: Probability = 0.0
    """lora, dora, adapter: of what goes into the changes."""
    tokens: PositiveInt = 16
    """prompt, prefix: how many."""
    targets: tuple[str, ...] | Literal["auto"] = "auto"
    """lora, dora, ia3: which linear layers, by their last name, such as query and value; "auto": all of the
    transformer's."""

    @model_validator(mode="after")
    def _refuse_idle(self) -> AdaptSpec:
        """Raise ValueError if a setting is changed and there is no adaptation."""
        if self.kind == "none" and self.idle:
            raise ValueError(f"{self.idle[0]} has no effect while kind is none", "--set model.adapt.kind=lora")
        return self

    @property
    def idle(self) -> list[str]:
        """The settings that are changed and have no effect on this kind."""
        fields, heeded = type(self).model_fields, {"kind", *HEEDED.get(self.kind, ())}
        return [name for name in fields if name not in heeded and getattr(self, name) != fields[name].default]


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
    pooling: Literal["auto", "first", "mean", "max", "attention", "last", "layers"] = "auto"
    """How token vectors become one text vector. first: the family's own head, mostly on the first token; mean, max: of
    all tokens; attention: a mean weighted by what a learnt query finds in them; last: the last token; layers: a learnt
    mix of all layers' means (Peters et al. 2018, equation 1)."""
    head_layers: NonNegativeInt | Literal["auto"] = "auto"
    """Hidden layers between the text vector and the last linear layer; "auto" keeps the family's own head, or has none
    where the text is pooled in another way."""
    head_activation: Literal["tanh", "gelu"] = "tanh"
    """What these hidden layers end with."""
    head_start: Literal["auto", "random", "probe"] = "auto"
    """probe: the head starts from a logistic regression on the frozen text vectors."""
    reinit_layers: NonNegativeInt = 0
    """So many top layers start anew, from random weights (Zhang et al. 2021, section 4.2)."""
    drop_layers: Probability = 0.0
    """How often the top layer is left out of a pass of training; lower ones less often, in a line (stochastic depth,
    Huang et al. 2016)."""
    adapt: AdaptSpec = AdaptSpec()
    """Few weights learn in the place of all; they are merged into the model when training ends."""
    dropout: Probability | Literal["auto"] = "auto"
    """Dropout of hidden layers, embeddings and attention; "auto" keeps the checkpoint's."""
    attention_dropout: Probability | Literal["auto"] = "auto"
    """Dropout of attention alone, where the family tells it apart; "auto": that of `dropout`."""
    head_dropout: Probability | Literal["auto"] = "auto"
    """Dropout before the last linear layer; "auto" keeps the checkpoint's."""
