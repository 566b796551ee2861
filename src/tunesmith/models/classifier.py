"""A pre-trained encoder with a classification head: one of transformers' own classes wherever one can hold it.

What none can hold, other ways to pool and deeper heads, is of tunesmith's own (`models/pooled.py`).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.utils import logging as transformers_logging

from tunesmith.core.errors import ModelError, Where
from tunesmith.models.dropout import keep_head_dropout, set_dropout, set_head_dropout
from tunesmith.models.heads import SCALE, is_new, names_of, rename_outputs
from tunesmith.models.layers import NEW, reinit_top
from tunesmith.models.opening import config_of, part_names, pooled_of
from tunesmith.models.pooled import PooledForSequenceClassification, bare
from tunesmith.models.pooled_config import PooledConfig
from tunesmith.models.pooling import POOLS_ITSELF, needs_own_class, pool_within, pooled_config, refuse_unpoolable
from tunesmith.models.prefix import OPENERS
from tunesmith.models.source import Source
from tunesmith.models.spec import ModelSpec

WHOLE_TEXTS = "AutoModelForSequenceClassification"
NAMED = (WHOLE_TEXTS, "AutoModelForTokenClassification")
"""Classes whose outputs mean what they are called; those of the others always mean the same."""
_OTHER = {
    "AutoModelForCausalLM": "choose a model that writes, such as GPT-2 or Llama, or an encoder such as BERT",
    WHOLE_TEXTS: "choose an encoder such as BERT, or one of tunesmith's own heads: --set model.pooling=mean",
}
"""What to choose instead of an architecture that has no head of a class."""

MEMORIES = ("use_cache", "use_mems_train", "use_mems_eval")
"""Settings of models that keep states for the next tokens, which a classifier never reads."""


def build_classifier(
    source: Source,
    spec: ModelSpec,
    names: Sequence[str],
    *,
    auto_class: str = WHOLE_TEXTS,
    problem_type: str | None = "single_label_classification",
) -> PreTrainedModel:
    """Load `source` with a head of one output for each of `names`, float32, on the CPU.

    The head is new, but where the checkpoint has one for the same names (`models/heads.py`).

    Args:
        source: the checkpoint.
        spec: how it is changed.
        names: of the outputs, as the saved config holds them.
        auto_class: of transformers: for whole texts, or for each token.
        problem_type: as transformers calls it; None where the class has none.

    Raises:
        ModelError: the architecture has no such head in transformers, or can't pool as asked.
    """
    own = auto_class == WHOLE_TEXTS and needs_own_class(source, spec)
    if auto_class != WHOLE_TEXTS and (spec.pooling not in ("auto", "first") or spec.head_layers != "auto"):
        raise ModelError(
            "only whole texts are pooled", fix="use --set model.pooling=first --set model.head_layers=auto"
        )
    config = config_of(source, spec)
    vars(config).pop(SCALE, None)
    set_dropout(config, spec)
    for memory in MEMORIES:
        if hasattr(config, memory):
            setattr(config, memory, False)
    if spec.pooling == "mean" and hasattr(config, POOLS_ITSELF) and not own:
        setattr(config, POOLS_ITSELF, "mean")
    whole = pooled_config(source, spec, config) if own else config
    whole.num_labels = len(names)
    whole.id2label = dict(enumerate(names))
    whole.label2id = {name: index for index, name in enumerate(names)}
    whole.problem_type = problem_type
    with quiet():
        model = _pooled(source, spec, whole) if own else load_with_head(source, spec, config, auto_class)
    if auto_class in NAMED and not is_new(head_of(model), spec):
        rename_outputs(model, head_of(model), names_of(source, spec), names)
    if own:
        refuse_unpoolable(model, source, spec)
        return model
    if spec.head_dropout != "auto":
        set_head_dropout(model, float(spec.head_dropout))
    elif spec.dropout != "auto":
        keep_head_dropout(model, _unfilled(source, spec, auto_class))
    pool_within(model, spec.pooling, source, spec)
    return model


def _pooled(source: Source, spec: ModelSpec, config: PooledConfig) -> PreTrainedModel:
    """Load `source` as tunesmith's own class; of a checkpoint of that class, the head as well where it fits."""
    if pooled_of(source, spec) is not None:
        return load_with_head(source, spec, config, WHOLE_TEXTS)
    backbone = bare(load_with_head(source, spec, config.backbone, "AutoModel"))
    config.backbone.architectures = [type(backbone).__name__]
    model = PooledForSequenceClassification(config, backbone)
    for parameter in model.output.parameters():
        setattr(parameter, NEW, True)
    return model


def load_with_head(source: Source, spec: ModelSpec, config: Any, auto_class: str) -> PreTrainedModel:
    """Load `source` as one of transformers' classes, float32; weights it lacks are new, with `weights: random` all.

    Raises:
        ModelError: the architecture has no such class, or the weights are of another one.
    """
    refuse_headless(source, config, auto_class)
    opener = getattr(transformers, auto_class)
    model: PreTrainedModel
    if spec.weights == "random":
        model = opener.from_config(config, trust_remote_code=spec.trust_remote_code)
        return model
    is_own = isinstance(config, PooledConfig)
    renamed = {} if is_own else part_names(source, spec) | _renamed(config, auto_class)
    model, report = opener.from_pretrained(
        source.folder,
        config=config,
        use_safetensors=True,
        trust_remote_code=spec.trust_remote_code,
        dtype=torch.float32,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
        **({"key_mapping": renamed} if renamed else {}),
    )
    _refuse_other_weights(source, model, report)
    if renamed:  # or the old names would be saved, which the class can't open
        del model._weight_conversions
    reinit_top(model, spec.reinit_layers, pooler=spec.pooling in ("auto", "first"))
    missing = set(report["missing_keys"])
    for name, parameter in model.named_parameters():
        if name in missing:
            setattr(parameter, NEW, True)
    return model


def _renamed(config: Any, auto_class: str) -> dict[str, str]:
    """Return patterns of names in a family's checkpoints, and what they are in one of its classes; mostly none.

    Llama's class for answers calls "transformer" what is "model" elsewhere. A decoder that is taken out of an
    encoder-decoder has its own name for the word vectors that both share.
    """
    classes = (getattr(transformers, name)._model_mapping.get(type(config), None) for name in (auto_class, *OPENERS))
    own, *others = [getattr(one, "base_model_prefix", "") for one in classes]
    found = {rf"^{other}\.": f"{own}." for other in others if own and other and other != own}
    if config.is_encoder_decoder and auto_class == "AutoModelForCausalLM":
        found[r"^(model\.)?shared\."] = "model.decoder.embed_tokens."
    return found


def _refuse_other_weights(source: Source, model: PreTrainedModel, report: Mapping[str, Any]) -> None:
    """Raise ModelError if the weights are not those that config.json speaks of; only a head may be new."""
    names = set(model.state_dict())
    inner = {name for name in names if name.startswith(f"{model.base_model_prefix}.")} or names
    other = sorted(inner.intersection(name for name, *_ in report["mismatched_keys"]))
    missing = inner.intersection(report["missing_keys"])
    vectors = {name for name, weight in model.named_parameters() if weight is model.get_input_embeddings().weight}
    if other or len(missing) > len(inner) / 2 or missing & vectors:
        said = f"{other[0]} has another shape" if other else f"{len(missing):,} of {len(inner):,} are missing"
        raise ModelError(
            f"the weights are not those of config.json: {said}",
            where=Where(str(source.folder)),
            fix="copy config.json and the weights from the same checkpoint",
        )


def head_of(model: PreTrainedModel) -> nn.Linear:
    """Return the last linear layer, the one with an output per class."""
    n_labels = model.config.num_labels
    layers = [m for m in model.modules() if isinstance(m, nn.Linear) and m.out_features == n_labels]
    return layers[-1]


def has_bias(source: Source, spec: ModelSpec) -> bool:
    """Whether the head that `source` gets for whole texts adds a number of its own to each output."""
    if needs_own_class(source, spec):
        return True
    return head_of(_unfilled(source, spec, WHOLE_TEXTS)).bias is not None


def _unfilled(source: Source, spec: ModelSpec, auto_class: str) -> PreTrainedModel:
    """Return a model as the checkpoint's config has it, without numbers in its weights."""
    config = config_of(source, spec)
    refuse_headless(source, config, auto_class)
    with torch.device("meta"), quiet():
        opener = getattr(transformers, auto_class)
        model: PreTrainedModel = opener.from_config(config, trust_remote_code=spec.trust_remote_code)
    return model


def has_class(config: Any, auto_class: str) -> bool:
    """Whether an architecture has a class for a task, in transformers or in code of its own."""
    has_own = auto_class in (getattr(config, "auto_map", None) or {})
    return has_own or type(config) in getattr(transformers, auto_class)._model_mapping


def refuse_headless(source: Source, config: Any, auto_class: str) -> None:
    """Raise ModelError if an architecture has no class for a task, in transformers or in code of its own."""
    if has_class(config, auto_class):
        return
    raise ModelError(
        f'"{config.model_type}" has no such head in transformers: {auto_class.removeprefix("AutoModelFor")}',
        where=Where(str(source.folder)),
        fix=_OTHER.get(auto_class, "choose an encoder such as BERT, RoBERTa, DistilBERT"),
    )


def divide_logits(model: PreTrainedModel, temperature: float) -> None:
    """Divide all logits the model will ever give by `temperature`: its head's weights and biases are divided."""
    with torch.no_grad():
        for parameter in head_of(model).parameters():
            parameter.div_(temperature)


def scale_outputs(model: PreTrainedModel, factors: Sequence[float], shifts: Sequence[float]) -> None:
    """Multiply each output the model will ever give by its factor and add its shift, in the head's weights."""
    head = head_of(model)
    bias: Tensor | None = head.bias
    with torch.no_grad():
        factor = head.weight.new_tensor(factors)
        head.weight.mul_(factor[:, None])
        if bias is not None:
            bias.mul_(factor).add_(head.weight.new_tensor(shifts))
        elif any(shifts):
            raise ValueError("a head without a bias can't add anything to its outputs")


def shift_outputs(model: PreTrainedModel, shifts: Sequence[float]) -> None:
    """Add a number to each output, in the head's biases; a head without biases stays as it is."""
    head = head_of(model)
    if head.bias is not None:
        with torch.no_grad():
            head.bias.add_(head.bias.new_tensor(shifts))


def head_inputs(model: PreTrainedModel, inputs: dict[str, Tensor]) -> Tensor:
    """Return what the last linear layer receives, shape (batch, features): the frozen features of a probe."""
    seen: list[Tensor] = []
    hook = head_of(model).register_forward_pre_hook(lambda _module, args: seen.append(args[0].detach()))
    try:
        model(**inputs)
    finally:
        hook.remove()
    return seen[0]


class quiet:
    """Silence transformers' progress bars and load reports inside the `with`, one thread of the process at a time.

    transformers replaces functions of its own and of torch while it opens a model and puts back what it found: two
    threads that did so at once would leave them replaced, and no model opened later would have its weights tied.
    """

    _turn = threading.RLock()

    def __enter__(self) -> None:
        self._turn.acquire()
        self._level = transformers_logging.get_verbosity()
        transformers_logging.set_verbosity_error()
        transformers_logging.disable_progress_bar()

    def __exit__(self, *_: object) -> None:
        transformers_logging.set_verbosity(self._level)
        transformers_logging.enable_progress_bar()
        self._turn.release()
