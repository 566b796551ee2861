"""The edits of a recipe, ready to be done: what reads a model is loaded, and told apart where it can't be used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

from tunesmith.core.errors import RecipeError, Where
from tunesmith.core.notes import Note
from tunesmith.core.seed import derive
from tunesmith.core.wording import does, setting
from tunesmith.data.augment.by_models import RoundTrip, in_context
from tunesmith.data.augment.copies import Copy, Editor, Words, one_by_one
from tunesmith.data.augment.edits import EDITS, Near, swap_groups
from tunesmith.data.augment.spec import AugmentSpec
from tunesmith.data.augment.words import Word
from tunesmith.data.findings import PLACES
from tunesmith.data.table import Table
from tunesmith.models.spec import ModelSpec
from tunesmith.run.folder import Run
from tunesmith.tasks.base import Task

if TYPE_CHECKING:
    from tunesmith.inference.translator import Translator

BY_MODELS = frozenset({"context", "translate"})
"""Edits that run a model."""
Tell = Callable[[dict[str, Any]], None]
"""Told of events, as the listeners of a training are."""


@dataclass
class Progress:
    """Tells how far the making of rows is.

    Attributes:
        tell: listens.
        of: copies to be made.
        done: copies that were edited, or given up.
    """

    tell: Tell
    of: int
    done: int = 0
    _read: int = field(default=0, repr=False)

    def read(self, n: int, *, edit: str) -> None:
        """Say that a model has read some texts more."""
        self._read += n
        self.say(f"{edit}: {does(self._read, 'text', 'read', 'read')}")

    def finish(self, n: int) -> None:
        """Say that some copies more are finished."""
        self.done += n
        self.say()

    def say(self, state: str = "") -> None:
        """Tell how far it is."""
        self.tell({"event": "augment", "what": "making rows", "done": self.done, "of": self.of, "state": state})


@dataclass(frozen=True)
class Editors:
    """Attributes: name to edit; what to say of the models behind them; the translation, if it is one of them."""

    by_name: dict[str, Editor]
    models: Sequence[str] = ()
    round_trip: RoundTrip | None = None

    def notes(self, table: Table) -> list[Note]:
        """Return what is to be said when all is done: where models ran, which rows could not be translated."""
        found = [Note("info", "augmenting models", "; ".join(self.models))] if self.models else []
        if self.round_trip and self.round_trip.too_long:
            rows = sorted(self.round_trip.too_long)
            are = does(len(rows), "row", "is", "are")
            message = f"{are} longer than the translators read or write: left alone, not cut"
            places = tuple(table.where(i) for i in rows[:PLACES])
            found.append(Note("info", "not translated", message, "", places, len(rows)))
        if self.round_trip and self.round_trip.again:
            were = does(len(self.round_trip.again), "row", "was", "were")
            message = f"{were} to be translated more than once, which would give the same again"
            found.append(Note("info", "translated once", message, "use --set augment.sample=true"))
        return found


def make_editors(
    rows: Iterable[Words], spec: AugmentSpec, *, model: ModelSpec, device: str, seed: int, progress: Progress
) -> Editors:
    """Return the edits that a recipe names.

    Args:
        rows: the words of all rows, which are only looked at where entities are exchanged.
        spec: which edits.
        model: that is trained.
        device: where models compute.
        seed: of what they draw.
        progress: told what models have done.
    """
    wanted = {*spec.edits}
    near = near_words(spec.edits, model)
    found: dict[str, Editor] = {name: one_by_one(EDITS[name], spec.rate, near) for name in spec.edits if name in EDITS}
    models, round_trip = [], None
    if "entities" in wanted:
        found["entities"] = _exchange(rows)
    if "context" in wanted:
        from tunesmith.inference.guesser import WordGuesser

        guess = WordGuesser(_guesser(spec, model), device=device, on_texts=partial(progress.read, edit="context"))
        found["context"] = partial(in_context, rate=spec.rate, guess=guess)
        models.append(f"words in context are those of {guess.name}, on {guess.device}")
    if "translate" in wanted:
        there, back = (_translator(name, spec, device, seed, progress) for name in spec.translators)
        found["translate"] = round_trip = _round_trip(there, back)
        models.append(f"translated by {spec.translators[0]}, and back by {spec.translators[1]}, on {there.device}")
    return Editors(found, models, round_trip)


def refuse_edits(task: Task, spec: AugmentSpec) -> None:
    """Raise RecipeError where edits would make what is learnt wrong."""
    if not task.can_be_edited:
        where = Where(column="augment.copies", value=spec.copies)
        raise RecipeError(f"edited texts would teach {task.kind} their mistakes", where=where, fix="leave it out")
    if spec.balance and type(task).strata is Task.strata:
        where = Where(column="augment.balance", value=True)
        fix = "leave it out, or copy all rows: --set augment.copies=1"
        raise RecipeError(f"{task.kind} has no classes to balance", where=where, fix=fix)
    others = f"some of: {', '.join([*EDITS, 'context'])}"
    if "entities" in spec.edits and task.kind != "token-classification":
        where = Where(column="augment.edits", value="entities")
        raise RecipeError(f"{task.kind} has no entities", where=where, fix=others)
    if "translate" in spec.edits and not task.can_be_reworded:
        where = Where(column="augment.edits", value="translate")
        raise RecipeError(f"a translated text has lost the words that {task.kind} is about", where=where, fix=others)


def refuse_models(spec: AugmentSpec, model: ModelSpec) -> None:
    """Raise what is wrong with the models that are to edit, before any row is read.

    Raises:
        RecipeError: a model can't do it, or none is named.
        TunesmithError: there is no such model.
    """
    if not spec.is_on:
        return
    if "context" in spec.edits:
        from tunesmith.inference.guesser import refuse_unable

        refuse_unable(_guesser(spec, model))
    if "translate" in spec.edits:
        from tunesmith.inference.translator import refuse_other_kind

        if len(spec.translators) != 2:
            where = Where(column="augment.translators", value=", ".join(spec.translators))
            named = setting("augment.translators", "[runs/there-1, runs/back-1]")
            message = "translating there and back takes two runs of --task translation"
            raise RecipeError(message, where=where, fix=f"name yours: {named}")
        for name in spec.translators:
            refuse_other_kind(Run.with_model(name).model_folder, name)


def refuse_unseen(augment: AugmentSpec, noise: Sequence[str], model: ModelSpec) -> None:
    """Raise RecipeError if capitals are edited, in rows or as noise, and the model that is trained sees none."""
    edited = {"augment.edits": augment.edits, "objectives.consistency.edits": noise}
    blind = next((key for key, names in edited.items() if "case" in names), "")
    if not blind:
        return
    from tunesmith.models.source import find
    from tunesmith.models.tokenize import load_tokenizer

    source = find(model)
    seen = load_tokenizer(source, model).ids(["a film", "A FILM"])
    if seen[0] == seen[1]:
        where = Where(column=blind, value="case")
        message = f"{source.name} reads capitals as small letters: nothing would change for it"
        others = [name for name in edited[blind] if name != "case"] or ["typos"]
        named = setting(blind, others[0] if len(others) == 1 else f"[{', '.join(others)}]")
        raise RecipeError(message, where=where, fix=f"name others: {named}")


def _guesser(spec: AugmentSpec, model: ModelSpec) -> ModelSpec:
    return model if spec.model == "auto" else ModelSpec(source=spec.model)


def _translator(name: str, spec: AugmentSpec, device: str, seed: int, progress: Progress) -> Translator:
    from tunesmith.inference.translator import Translator

    on_texts = partial(progress.read, edit="translate")
    folder, own = Run.with_model(name).model_folder, derive(seed, "translate", spec.translators.index(name))
    return Translator(folder, device=device, seed=own, sample=spec.sample, on_texts=on_texts)


def _round_trip(there: Translator, back: Translator) -> RoundTrip:
    from tunesmith.inference.translator import there_and_back

    return RoundTrip(partial(there_and_back, there, back), varies=there.varies or back.varies)


def near_words(edits: Iterable[str], model: ModelSpec) -> Near:
    """Return what tells words near a word in a model's vocabulary; nothing, where no edit puts in words."""
    if not {"insert", "substitute"} & {*edits}:
        return lambda _word: ()
    from tunesmith.models.neighbours import Neighbours

    return Neighbours(model)


def _exchange(rows: Iterable[Words]) -> Editor:
    """Return the edit that puts things of the same kind, from all rows, in the place of things."""
    pool: dict[object, list[list[Word]]] = {}
    for row in rows:
        for words in row.values():
            for group, part in groupby(words, key=lambda word: word.group):
                mine = list(part)
                if group is not None:
                    pool.setdefault(mine[0].kind, []).append(mine)

    def exchange(copies: Sequence[Copy]) -> list[Words]:
        return [
            {column: swap_groups(words, copy.chance, pool) for column, words in copy.words.items()} for copy in copies
        ]

    return exchange
