"""From a resolved recipe to what trains: model, head, optimizer, device and the order of the examples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tunesmith.core.seed import seed_all
from tunesmith.engine.anchor import Anchor
from tunesmith.engine.device import Device
from tunesmith.engine.freeze import Thaw, freeze
from tunesmith.engine.loop import Setup
from tunesmith.engine.optim import make_optimizer
from tunesmith.engine.plan import Plan
from tunesmith.engine.twins import Twins
from tunesmith.models.adapt import adapt
from tunesmith.models.dropout import use_byte_dropout
from tunesmith.models.layers import drop_layers
from tunesmith.models.linear import use_onednn
from tunesmith.models.source import find
from tunesmith.models.vocabulary import train_rows_of
from tunesmith.recipe.recipe import Recipe
from tunesmith.tasks.parts import Example
from tunesmith.workflow.augment import near_words
from tunesmith.workflow.probe import start_head
from tunesmith.workflow.resolve import Resolved


def make_plan(recipe: Recipe, examples: Sequence[Example], *, world: int = 1) -> Plan:
    """Return the plan of a resolved recipe."""
    return Plan(
        np.array([example.n_tokens for example in examples]),
        row_shares(examples),
        recipe.train.length,
        recipe.train.step_size,
        int(recipe.train.tokens_per_batch),
        recipe.seed,
        world,
    )


def row_shares(examples: Sequence[Example]) -> np.ndarray:
    """Return which part of its row each example is; what a step of "32 rows" is counted by."""
    rows = np.array([example.row for example in examples])
    shares: np.ndarray = 1 / np.bincount(rows)[rows]
    return shares


def make_setup(resolved: Resolved) -> Setup:
    """Build model, head start, optimizer and device.

    Raises:
        TunesmithError: the checkpoint can't carry the task.
    """
    recipe, task, tokenizer = resolved.recipe, resolved.task, resolved.tokenizer
    examples = resolved.encoded.examples["train"]
    device = Device(recipe.train)
    seed_all(recipe.seed, "head")
    model = task.build(find(recipe.model), recipe.model)
    task.equip(model, tokenizer)
    if recipe.model.head_start == "probe":
        start_head(model, examples, task=task, pad_id=tokenizer.pad_id)
    drop_layers(model, recipe.model.drop_layers)
    adapt(model, recipe.model.adapt, head=task.head(model))
    freeze(model, recipe.train.freeze, head=task.head(model))
    twins = _twins(resolved)
    if twins is None and not task.draws_tokens:  # others hold tokens that no training row does
        train_rows_of(model, (example.ids for example in examples), extra=[tokenizer.pad_id])
    if device.torch_device.type == "cpu":
        use_byte_dropout(model)
        use_onednn(model)
    optimizer = make_optimizer(model, recipe.train, head=task.head(model))
    prepared, wrapped = device.prepare(model, optimizer)
    plain, head = device.plain(prepared), task.head(model)
    return Setup(
        task,
        recipe.train,
        device,
        prepared,
        wrapped,
        examples,
        tokenizer.pad_id,
        recipe.objectives.active(task),
        Anchor(plain, recipe.train, head=head),
        Thaw(plain, recipe.train, head=head),
        twins=twins,
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
    )
