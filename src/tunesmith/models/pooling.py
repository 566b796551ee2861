"""How token vectors become one text vector: which class can hold it, and what is done to a plain one.

BERT has no class that pools by anything but the first token. The mean, and a mean weighted by what learnt queries find,
are expressed in its plain class all the same: one more encoder layer attends to all tokens, so that its first position
holds the mean. The saved model stays a `BertForSequenceClassification` that any tool opens (one layer more to compute).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES as MASKED

from tunesmith.core.errors import ModelError, Where
from tunesmith.models.layers import ADDED, NEW
from tunesmith.models.opening import config_of, pooled_of, pooling_layer, whole_config
from tunesmith.models.pooled_config import PooledConfig
from tunesmith.models.source import Source
from tunesmith.models.spec import ModelSpec

RESIDUAL_SHARE = 1000.0
"""How much larger the mean is than the residual it is added to; the layer norm after it removes the scale."""
FAMILYS_OWN = ("first", "this family's own head")
POOLS_ITSELF = "classifier_pooling"
"""What families that can pool by the mean themselves call the setting (ModernBERT, EuroBERT)."""
HEAD_DROPOUTS = (
    *("classifier_dropout", "hidden_dropout_prob", "seq_classif_dropout", "dropout", "hidden_dropout"),
    *("resid_pdrop", "dropout_rate"),
)
"""What families call the dropout that suits a head, the best one first."""
USUAL_DROPOUT = 0.1


def usual_pooling(source: Source, spec: ModelSpec) -> tuple[str, str]:
    """Return how texts are pooled where the recipe leaves it open, and why."""
    config, kept = config_of(source, spec), pooled_of(source, spec)
    if kept is not None and spec.head_layers == "auto":
        return kept.pooling, "as in the run it starts from"
    if config.model_type == "bert":
        return "mean", "the mean of the tokens needs less to learn from than the first token"
    if spec.head_layers == "auto":
        return FAMILYS_OWN
    if config.is_encoder_decoder:
        return "mean", "no token of its encoder stands for the text"
    if _reads_on(config):
        return "last", "the first token has not seen the others"
    return "first", "the token that this family's own head reads"


def needs_own_class(source: Source, spec: ModelSpec) -> bool:
    """Whether no class of transformers can hold what is asked for."""
    kept = pooled_of(source, spec)
    if spec.head_layers != "auto" or (kept is not None and kept.pooling == spec.pooling):
        return True
    config = config_of(source, spec)
    if spec.pooling in ("auto", "first"):
        return False
    is_bert = config.model_type == "bert" and spec.pooling in ("mean", "attention")
    has_setting = spec.pooling == "mean" and hasattr(config, POOLS_ITSELF)
    reads_last = spec.pooling == "last" and _reads_on(config) and config.model_type != "xlnet"
    return not (is_bert or has_setting or reads_last)


def _reads_on(config: Any) -> bool:
    """Whether a token sees those before it alone; XLNet's see all, but the one that stands for the text is the last."""
    return config.model_type in CAUSAL and config.model_type not in MASKED and not config.is_encoder_decoder


def pooled_config(source: Source, spec: ModelSpec, config: Any) -> PooledConfig:
    """Return the configuration of tunesmith's own class around the pre-trained part's.

    Raises:
        ModelError: the pre-trained part can't be opened without code of its own, or has no token vectors.
    """
    if spec.trust_remote_code and getattr(config, "auto_map", None):
        raise _impossible(source, spec, "a model with code of its own can't be pooled in another way")
    if not isinstance(getattr(config, "hidden_size", None), int):
        raise _impossible(source, spec, f'"{config.model_type}" can\'t be pooled in another way')
    vars(config).pop("auto_map", None)
    config.dtype = torch.float32
    pooling = "first" if spec.pooling == "auto" else spec.pooling
    head = _head(spec, config_of(source, spec), pooled_of(source, spec))
    return PooledConfig(backbone=config, pooling=pooling, **head)


def _head(spec: ModelSpec, config: Any, kept: PooledConfig | None) -> dict[str, Any]:
    """Return what is on top of the pooled vector; where that is left open, as it was in the run it starts from.

    Args:
        spec: what is asked for.
        config: as the checkpoint has it.
        kept: that of the run it starts from, if it is pooled.
    """
    dropouts = (getattr(config, name, None) for name in HEAD_DROPOUTS)
    head = {
        "head_layers": 0 if spec.head_layers == "auto" else spec.head_layers,
        "head_activation": spec.head_activation,
        "head_dropout": next((value for value in dropouts if value is not None), USUAL_DROPOUT),
    }
    if kept is not None and spec.head_layers == "auto":
        head |= {name: getattr(kept, name) for name in head}
    return head if spec.head_dropout == "auto" else head | {"head_dropout": spec.head_dropout}


def refuse_unpoolable(model: PreTrainedModel, source: Source, spec: ModelSpec) -> None:
    """Try two texts that differ in their last token.

    Raises:
        ModelError: the model has no vector for each token in each layer, or the one that is to stand for the text has
            not seen all of it.
    """
    ids = torch.arange(10, 20).remainder(model.get_input_embeddings().num_embeddings).view(2, 5)
    ids[1, :-1] = ids[0, :-1]
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        out = model.backbone(input_ids=ids, attention_mask=torch.ones_like(ids), output_hidden_states=True)
    model.train(was_training)
    config, top = model.config, getattr(out, "last_hidden_state", None)
    shape = (*ids.shape, config.backbone.hidden_size)
    layers = (out.hidden_states or ()) if config.pooling == "layers" else ()
    lacks = bool(layers) != (config.pooling == "layers") or len(layers) not in (
        0,
        1 + config.backbone.num_hidden_layers,
    )
    if top is None or lacks or any(layer.shape != shape for layer in (top, *layers)):
        raise _impossible(source, spec, f'"{config.backbone.model_type}" has no vector for each token of a text')
    if config.pooling == "first" and torch.equal(top[0, 0], top[1, 0]):
        where = Where(column="model.pooling", value=spec.pooling)
        message = f'the first token of "{config.backbone.model_type}" has not seen the others'
        raise ModelError(message, where=where, fix="use --set model.pooling=last")


def _impossible(source: Source, spec: ModelSpec, message: str) -> ModelError:
    if spec.head_layers == "auto":
        return ModelError(message, where=Where(str(source.folder), column="model.pooling", value=spec.pooling),
                          fix="use --set model.pooling=first")  # fmt: skip
    return ModelError(message, where=Where(str(source.folder), column="model.head_layers", value=spec.head_layers),
                      fix="use --set model.pooling=first --set model.head_layers=auto")  # fmt: skip


def pool_within(model: PreTrainedModel, pooling: str, source: Source, spec: ModelSpec) -> None:
    """Let a plain class pool as `needs_own_class` says it can; one that has a setting for it was built so.

    A layer that pooled so in the run it starts from goes on as it was.
    """
    if model.config.model_type != "bert" or pooling not in ("mean", "attention"):
        return
    _add_layer(model, attends=pooling == "attention")
    kept = pooling_layer(source, whole_config(source, spec)) if spec.weights == "pretrained" else {}
    if kept and bool(kept["attention.self.key.weight"].any()) == (pooling == "attention"):
        pooler = {name: kept.pop(name) for name in list(kept) if name.startswith("pooler.")}
        model.bert.encoder.layer[-1].load_state_dict(kept)
        model.bert.load_state_dict(pooler, strict=False)


def _add_layer(model: PreTrainedModel, *, attends: bool) -> None:
    """Append a layer to a BERT classifier that makes its first position the mean of all tokens, or a weighted mean.

    Queries, keys and feed-forward weights are zero and frozen; the values start as the identity and learn. The pooler
    starts as the identity too, since the checkpoint's was made for the first token.

    With `attends` each head has a query of its own, the bias of the zero query weights, and keys, which start as the
    head's part of the token vectors; both learn. They are scaled so that a token's score is the product of query and
    key, as in `pooled.Pooling`, and not that over the root of the head's width.
    """
    config, encoder = model.config, model.bert.encoder
    layer = type(encoder.layer[0])(config, layer_idx=len(encoder.layer))
    looks = layer.attention.self
    identity = torch.eye(config.hidden_size)
    with torch.no_grad():
        for weight in layer.parameters():
            weight.zero_()
        looks.value.weight.copy_(identity)
        layer.attention.output.dense.weight.copy_(RESIDUAL_SHARE * identity)
        layer.attention.output.LayerNorm.weight.fill_(1.0)
        layer.output.LayerNorm.weight.fill_(1.0)
        model.bert.pooler.dense.weight.copy_(identity)
        model.bert.pooler.dense.bias.zero_()
    for part in (looks.query, looks.key, layer.intermediate, layer.output.dense, layer.attention.output.dense):
        part.requires_grad_(False)
    if attends:
        _learn_to_look(looks, identity)
    setattr(layer, ADDED, True)
    encoder.layer.append(layer)
    config.num_hidden_layers = len(encoder.layer)


def _learn_to_look(looks: Any, identity: Tensor) -> None:
    with torch.no_grad():
        looks.key.weight.copy_(looks.attention_head_size**0.5 * identity)
    looks.query.bias.requires_grad_(True)
    looks.key.weight.requires_grad_(True)
    for part in (looks.query, looks.key):
        setattr(part, NEW, True)


def new_parts(model: nn.Module, head: nn.Linear) -> nn.Module:
    """Return what no pre-training has seen: the head, and what pools where that is learnt."""
    found = [module for module in model.modules() if hasattr(module, NEW)]
    return nn.ModuleList([*found, head]) if found else head
