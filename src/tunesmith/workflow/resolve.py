"""From a recipe and its data to values for every "auto", and the examples they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunesmith.core import hardware
from tunesmith.core.errors import DataError, RecipeError, Where, did_you_mean
from tunesmith.core.ledger import Ledger
from tunesmith.core.notes import Note
from tunesmith.core.wording import count, does
from tunesmith.data.findings import PLACES
from tunesmith.data.table import Table
from tunesmith.models.opening import config_of
from tunesmith.models.pooling import FAMILYS_OWN, usual_pooling
from tunesmith.models.source import find
from tunesmith.models.tokenize import Tokenizer, load_tokenizer
from tunesmith.recipe.choose import LENGTH_FACTORS, choose
from tunesmith.recipe.origins import Origins
from tunesmith.recipe.recipe import Recipe
from tunesmith.run.trackers import refuse_missing
from tunesmith.tasks.facts import Facts
from tunesmith.tasks.parts import Example
from tunesmith.workflow.idle import idle_beside, idle_without_dev, read_alone, refuse_idle, too_late
from tunesmith.workflow.prepare import Prepared

REFUSED = "refused by the model's chat template"


@dataclass(frozen=True)
class Encoded:
    """The rows, and how the model reads them: examples by split."""

    examples: dict[str, list[Example]]
    tables: Mapping[str, Table]


@dataclass(frozen=True)
class Resolved:
    """A recipe without any "auto", and the examples it makes.

    Attributes:
        lengths: tokens of each training row, uncut, special tokens counted.
        n_cut: tokens of all rows that no example holds.
        notes: on what of the model is new or changed.
        unlabeled: texts without labels that are learnt from, where there are any.
        taught: what a teacher gives for them, or else for the training rows, on the scale of what is learnt; or None.
    """

    recipe: Recipe
    origins: Origins
    task: Any
    tokenizer: Tokenizer
    encoded: Encoded
    lengths: list[int]
    n_cut: int
    notes: Sequence[Note] = ()
    unlabeled: Table | None = None
    taught: np.ndarray | None = None


def resolve(recipe: Recipe, origins: Origins, *, prepared: Prepared, alone: bool = True) -> Resolved:
    """Choose every "auto" from the data and the model, then encode all splits.

    Args:
        recipe: as it was composed.
        origins: of its settings.
        prepared: the rows.
        alone: whether these rows are all there are, or others are learnt from, and measured by, in the same training.
    """
    if prepared.kind[1]:
        recipe, origins = origins.retask(recipe, *prepared.kind)
    refuse_unknown_metric(recipe, prepared.task)
    refuse_idle(recipe, prepared.task)
    refuse_missing(recipe.track)
    tokenizer = load_tokenizer(find(recipe.model), recipe.model, max_tokens=prepared.task.max_tokens)
    known, tokenizer = prepared.task.with_tokenizer(tokenizer, prepared.tables["train"])
    refused = set_aside(known, tokenizer, prepared.tables, prepared.ledger)
    train = prepared.tables["train"]
    lengths = known.lengths(train, tokenizer)
    choices = choose(recipe, look_at(recipe, prepared, tokenizer=tokenizer, lengths=lengths))
    idle = idle_without_dev(recipe) if alone and "dev" not in prepared.tables else []
    recipe, origins = origins.choose(recipe, choices)
    idle += idle_beside(recipe)
    chosen = {key.removeprefix("task."): value for key, (value, _) in choices.items() if key.startswith("task.")}
    task = known.suited(find(recipe.model), recipe.model).model_copy(update=chosen)
    recipe.objectives.active(task)  # refused here, if at all
    examples = {name: task.encode(table, tokenizer) for name, table in prepared.tables.items()}
    if prepared.unlabeled is not None and task.long_text == "error":
        task.encode(prepared.unlabeled, tokenizer)  # refused here, if at all
    read = [*prepared.tables.values(), *([] if prepared.unlabeled is None else [prepared.unlabeled])]
    idle += too_late(recipe, examples["train"]) if alone else []
    n_cut = sum(_note_cuts(task.cut(table, tokenizer), table, prepared) for table in read)
    notes = [*refused, *idle, *read_alone(recipe, examples["train"]), *task.announce(find(recipe.model), recipe.model)]
    encoded = Encoded(examples, prepared.tables)
    taught = None if prepared.taught is None else task.as_learnt(prepared.taught.outputs)
    return Resolved(recipe, origins, task, tokenizer, encoded, lengths, n_cut, notes, prepared.unlabeled, taught)


def set_aside(
    task: Any, tokenizer: Tokenizer, tables: dict[str, Table], ledger: Ledger, *, needed: str = "train"
) -> list[Note]:
    """Take the rows that this model can't read out of tables by split, and say so.

    Raises:
        DataError: none is left of the split that is needed.
    """
    places, first = [], ""
    for split, table in list(tables.items()):
        refused = task.refused(table, tokenizer)
        for i, why in refused.items():
            where = table.where(i)
            ledger.add("set aside", REFUSED, file=where.file, row=where.row, detail=why)
            places.append(where)
            first = first or why
        if refused and len(refused) == len(table) and split == needed:
            fix = "name another model, or mend the rows"
            raise DataError(f"no row can be used: {first}", where=table.where(0), fix=fix)
        if refused and len(refused) == len(table):
            del tables[split]
        elif refused:
            tables[split] = table.take(i for i in range(len(table)) if i not in refused)
    if not places:
        return []
    message = f"{does(len(places), 'row', 'is', 'are')} set aside, first {places[0]}: {first}"
    return [Note("warning", REFUSED, message, "", tuple(places[:PLACES]), len(places))]


def _note_cuts(cuts: Sequence[int], table: Table, prepared: Prepared) -> int:
    """Put the rows that are not read to their end into the ledger; return how many tokens that are."""
    for i, n in enumerate(cuts):
        if n:
            where, detail = table.where(i), count(n, "token")
            prepared.ledger.add("cut", "longer than the model reads", file=where.file, row=where.row, detail=detail)
    return sum(cuts)


def refuse_unknown_metric(recipe: Recipe, task: Any) -> None:
    """Raise RecipeError if training can't be judged by `evaluate.metric`."""
    wanted, known = recipe.evaluate.metric, task.metric_names
    if wanted not in ("auto", *known):
        raise RecipeError(
            "training can't be judged by this metric",
            where=Where(column="evaluate.metric", value=wanted),
            fix=did_you_mean(wanted, known) or f"one of: {', '.join(known)}",
        )


def look_at(recipe: Recipe, prepared: Prepared, *, tokenizer: Tokenizer, lengths: Sequence[int]) -> Facts:
    """Gather what the defaults depend on."""
    source = find(recipe.model)
    config = config_of(source, recipe.model)
    array = np.array(lengths)
    train = prepared.tables["train"]
    gpu = recipe.train.device != "cpu" and bool(hardware.look().accelerators)
    return Facts(
        n_rows=len(train),
        n_dev=len(prepared.tables.get("dev", ())),
        n_classes=len(prepared.task.summary({"train": train}).get("train", ())),
        mean_tokens=float((np.minimum(array, tokenizer.max_tokens) if prepared.task.may_cut else array).mean()),
        may_cut=prepared.task.may_cut,
        share_too_long=float((array > tokenizer.max_tokens).mean()),
        share_cut=float(np.maximum(array - tokenizer.max_tokens, 0).sum() / max(1, array.sum())),
        max_tokens=tokenizer.max_tokens,
        hidden_size=int(getattr(getattr(config, "decoder", config), "hidden_size", 768)),
        pooling=usual_pooling(source, recipe.model) if prepared.task.pools else FAMILYS_OWN,
        has_gpu=gpu,
        main_metric=prepared.task.dev_metric or prepared.task.main_metric,
        length_factor=LENGTH_FACTORS[recipe.preset],
        config=config,
        tokenizer=tokenizer,
        answers=prepared.task.answers(train),
    )
