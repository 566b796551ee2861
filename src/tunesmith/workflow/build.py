"""From a resolved recipe to what trains: model, head, optimizer, device and the order of the examples."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from torch import nn
from transformers import PreTrainedModel

from tunesmith.core.seed import seed_all
from tunesmith.engine.anchor import Anchor
from tunesmith.engine.device import Device
from tunesmith.engine.freeze import Thaw, freeze
from tunesmith.engine.loop import Setup
from tunesmith.engine.optim import make_optimizer
from tunesmith.engine.twins import Twins
from tunesmith.models.adapt import adapt
from tunesmith.models.dropout import use_byte_dropout
from tunesmith.models.layers import drop_layers
from tunesmith.models.linear import use_onednn
from tunesmith.models.prefix import add_prefixes
from tunesmith.models.prompt import add_vectors
from tunesmith.models.source import find
from tunesmith.models.vocabulary import train_rows_of
from tunesmith.workflow.editors import near_words
from tunesmith.workflow.probe import start_head
from tunesmith.workflow.resolve import Resolved


def make_setup(resolved: Resolved) -> Setup:
    """Build model, head start, optimizer and device.

    Raises:
        TunesmithError: the checkpoint can't carry the task.
    """
    recipe, task = resolved.recipe, resolved.task
    device = Device(recipe.train)
    model = make_model(resolved)
    if not draws_tokens(resolved):
        train_rows_of(model, ids_of(resolved), extra=[resolved.tokenizer.pad_id])
    make_fast(model, device)
    optimizer = make_optimizer(model, recipe.train, head=task.head(model))
    return put_together(resolved, device, *device.prepare(model, optimizer))


def make_model(resolved: Resolved) -> PreTrainedModel:
    """Return the model as training starts from it, on the CPU: head, added and frozen parts as the recipe has them."""
    recipe, task, tokenizer = resolved.recipe, resolved.task, resolved.tokenizer
    seed_all(recipe.seed, "head")
    model: PreTrainedModel = task.build(find(recipe.model), recipe.model)
    task.equip(model, tokenizer)
    if tokenizer.prompt:
        add_vectors(model, tokenizer, ids_of(resolved), seed=recipe.seed)
    if recipe.model.adapt.kind == "prefix":
        add_prefixes(model, ids_of(resolved), recipe.model.adapt.tokens, seed=recipe.seed)
    if recipe.model.head_start == "probe":
        start_head(model, resolved.encoded.examples["train"], task=task, pad_id=tokenizer.pad_id, seed=recipe.seed)
    drop_layers(model, recipe.model.drop_layers)
    adapt(model, recipe.model.adapt, head=task.head(model), prompt=tokenizer.prompt)
    freeze(model, recipe.train.freeze, head=task.head(model), adapted=recipe.model.adapt.kind != "none")
    return model


def draws_tokens(resolved: Resolved) -> bool:
    """Whether training may read tokens that no training row holds."""
    return bool(resolved.task.draws_tokens or resolved.recipe.objectives.consistency)


def ids_of(resolved: Resolved) -> Iterator[Sequence[int]]:
    """Yield the token ids of each training example."""
    return (example.ids for example in resolved.encoded.examples["train"])


def make_fast(model: nn.Module, device: Device) -> None:
    """Put in the forms of layers that are fast on a CPU, where it is one; parameters stay."""
    if device.torch_device.type == "cpu":
        use_byte_dropout(model)
        use_onednn(model)


def put_together(
    resolved: Resolved, device: Device, model: nn.Module, optimizer: Any, *, own: Collection[str] | None = None
) -> Setup:
    """Return what a training step needs, from a model and an optimizer that are prepared for a device; see `Thaw`."""
    recipe, task = resolved.recipe, resolved.task
    plain: Any = device.plain(model)
    head = task.head(plain)
    return Setup(
        task,
        recipe.train,
        device,
        model,
        optimizer,
        resolved.encoded.examples["train"],
        resolved.tokenizer.pad_id,
        recipe.objectives.active(task),
        Anchor(plain, recipe.train, head=head),
        Thaw(plain, recipe.train, head=head, own=own),
        twins=_twins(resolved),
        may_skip=recipe.model.drop_layers > 0,
    )


def _twins(resolved: Resolved) -> Twins | None:
    """Return what unlabeled examples are drawn from; None where nothing learns from them."""
    recipe, spec = resolved.recipe, resolved.recipe.objectives.consistency
    if spec is None:
        return None
    table = resolved.encoded.tables["train"] if resolved.unlabeled is None else resolved.unlabeled
    return Twins(
        table,
        task=resolved.task,
        tokenizer=resolved.tokenizer,
        spec=spec,
        near=near_words(spec.edits, recipe.model),
        tokens_per_batch=int(recipe.train.tokens_per_batch),
        taught=resolved.taught,
    )
