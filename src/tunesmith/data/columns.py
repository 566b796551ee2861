"""Which column is the text and which the label: by name and by content, announced, or asked for when unclear."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunesmith.core.errors import DataError, Where, did_you_mean
from tunesmith.core.notes import Note
from tunesmith.data.labelsets import are_flags
from tunesmith.data.table import Table

TEXT_NAMES = (
    "text", "texts", "review", "review text", "reviews", "message", "sentence", "content", "body", "comment", "tweet",
    "post", "document", "utterance", "description", "question", "abstract", "input", "string", "bewertung", "texto",
    "texte", "nachricht", "testo", "phrase", "content.body",
)  # fmt: skip
LABEL_NAMES = (
    "label", "labels", "class", "category", "sentiment", "intent", "target", "topic", "tag", "stars", "y", "output",
    "gold", "polarity", "emotion", "similarity", "urteil", "klasse", "kategorie", "etiqueta", "etiquette", "classe",
    "categoria", "is_spam", "spam", "rating", "score", "quality", "gold_label", "answer", "annotation",
    "tags", "categories", "topics", "emotions", "genres", "annotations",
)  # fmt: skip
PAIR_NAMES = (
    ("sentence1", "sentence2"), ("premise", "hypothesis"), ("question1", "question2"), ("text_a", "text_b"),
    ("sentence_a", "sentence_b"), ("text1", "text2"), ("text", "text_pair"), ("query", "passage"),
)  # fmt: skip
"""Names of two columns that belong together; the first pair that is there is taken."""
WORD_NAMES = ("tokens", "words", *TEXT_NAMES)
TAG_NAMES = ("tags", "ner_tags", "spans", "entities", "pos_tags", "chunk_tags", *LABEL_NAMES)
SAMPLE = 2000


@dataclass(frozen=True)
class ColumnChoice:
    """The columns of a text classification; `label` is None where none is needed and none is there.

    `text_pair` is "none" in a task on single texts.
    """

    text: str
    label: str | None
    text_pair: str = "none"
    notes: list[Note] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Profile:
    """What a sample of a column's values looks like: shares are of the non-empty ones."""

    filled: float
    distinct: int
    n: int
    words: float
    length: float
    scalar: bool


def choose_columns(
    table: Table,
    *,
    text: str | None,
    label: str | None,
    text_pair: str | None = None,
    need_label: bool = True,
    classes: bool = True,
) -> ColumnChoice:
    """Return the text and label columns, the named ones or the likeliest; two text columns where they are a known pair.

    Args:
        table: the rows.
        text: the column of texts, None where it is to be looked for.
        label: the column of labels, likewise.
        text_pair: the column of second texts, likewise; "none": there is none.
        need_label: whether there has to be a label column.
        classes: whether a label column holds few different values, as classes do.

    Raises:
        DataError: a named column is missing, or the choice is unclear; lists the candidates and the flags to use.
    """
    profiles = {name: profile(values) for name, values in table.columns.items()}
    chosen, pair = _pair(table, text, text_pair)
    text_column = _named(table, chosen, "--text") or _guess_text(table, profiles, label, needed=need_label)
    label_column = _named(table, label, "--label")
    free = {name: p for name, p in profiles.items() if name != pair}
    if label_column is None and (need_label or _by_name(LABEL_NAMES, free, {text_column})):
        label_column = _guess_label(table, free, text_column, need_label=need_label, classes=classes)
    if label_column == text_column:
        raise DataError(
            "text and label are the same column", where=Where(table.files[0], column=text_column), fix="name both"
        )
    notes = []
    if text is None or (label is None and label_column):
        texts = f'text column "{text_column}"' if pair is None else f'text columns "{text_column}" and "{pair}", a pair'
        shown = texts + (f', label column "{label_column}"' if label_column else "")
        others = [name for name in profiles if name not in (text_column, pair, label_column)]
        more = f"; not used: {', '.join(others)}" if others else ""
        notes.append(
            Note("info", "columns", f"{shown}{more}", fix="name others with --text and --label" if others else "")
        )
    return ColumnChoice(text_column, label_column, pair or "none", notes)


def _pair(table: Table, text: str | None, text_pair: str | None) -> tuple[str | None, str | None]:
    """Return the columns of a pair of texts: the named ones, or two whose names say so; the second is None if none."""
    if text_pair == "none":
        return text, None
    if text_pair is not None:
        return text, _named(table, text_pair, "set task.text_pair")
    if text is not None:
        return text, None
    plain = {same_name(name): name for name in table.columns}
    known = [
        (plain[a], plain[b]) for a, b in ((same_name(x), same_name(y)) for x, y in PAIR_NAMES) if {a, b} <= set(plain)
    ]
    return known[0] if known else (None, None)


def choose_tagged(table: Table, *, text: str, label: str, need_label: bool = True) -> ColumnChoice:
    """Return the columns of texts (or lists of words) and of their tags or spans, "auto" ones by name and content.

    Raises:
        DataError: a named column is missing, or none fits; says what is needed.
    """
    found = None if text == "auto" else _named(table, text, "--text")
    tags = _holding(table, TAG_NAMES, _is_list, found) if label == "auto" else _named(table, label, "--label")
    if found is None and tags and _hold_spans(table[tags]):
        found = _holding(table, TEXT_NAMES, lambda cell: isinstance(cell, str), tags)
    found = found or _holding(table, WORD_NAMES, lambda cell: isinstance(cell, str) or _is_words(cell), tags)
    for what, column, need in (("text", found, "texts or lists of words"), ("label", tags, "tags or spans")):
        if column is None and (what == "text" or need_label):
            fix = f"columns here: {', '.join(table.columns)}; name it with --{what}, or see the formats that are read"
            raise DataError(f"there is no column with {need}", where=Where(table.files[0]), fix=fix)
    chosen = {"text": str(found)} | ({"label": tags} if tags else {})
    message = ", ".join(f'{what} column "{column}"' for what, column in chosen.items())
    notes = [Note("info", "columns", message)] if "auto" in (text, label) else []
    return ColumnChoice(str(found), tags, "none", notes)


def _holding(table: Table, names: Sequence[str], fits: Callable[[Any], bool], taken: str | None) -> str | None:
    """Return the first column of these names that holds what fits, beside one that is taken; None if there is none."""
    able = {n: profile(v) for n, v in table.columns.items() if any(map(fits, v[:SAMPLE]))}
    return next(iter(_by_name(names, able, {taken} if taken else set())), None)


def _is_list(cell: Any) -> bool:
    return isinstance(cell, list | tuple)


def _hold_spans(cells: Sequence[Any]) -> bool:
    """Whether lists hold places in a text: lists of words beside it are not what they count in."""
    return any(
        _is_list(item) or isinstance(item, Mapping) for cell in cells[:SAMPLE] if _is_list(cell) for item in cell
    )


def choose_text(table: Table, text: str) -> tuple[str, list[Note]]:
    """Return the column of texts that are learnt from as they are; "auto" is found by name and content.

    Raises:
        DataError: it is missing, or the choice is unclear.
    """
    if text != "auto":
        return str(_named(table, text, "--text")), []
    profiles = {name: profile(values) for name, values in table.columns.items()}
    found = _guess_text(table, profiles, None, needed=False)
    others = [name for name in profiles if name != found]
    more = f"; not used: {', '.join(others)}" if others else ""
    return found, [Note("info", "columns", f'text column "{found}"{more}')]


def choose_by_name(
    table: Table, wanted: Mapping[str, tuple[str, Sequence[str]]], *, optional: Sequence[str] = ()
) -> tuple[dict[str, str], list[Note]]:
    """Return the column of each field, "auto" ones by their usual names, and a note on these.

    Args:
        table: the rows.
        wanted: field to the column the user names ("auto" if none) and the usual names, best first.
        optional: fields that may have no column; they are left out then.

    Raises:
        DataError: a column is missing.
    """
    found: dict[str, str] = {}
    full = {name: profile(values) for name, values in table.columns.items()}
    for field_, (named, usual) in wanted.items():
        flag = f"--set task.{field_}=COLUMN"
        column = _named(table, None if named == "auto" else named, flag)
        column = column or next(iter(_by_name(usual, full, set(found.values()))), None)
        if column is not None:
            found[field_] = column
        elif field_ not in optional:
            fix = f"columns here: {', '.join(table.columns)}; name it with {flag}"
            raise DataError(f"there is no column with the {field_}", where=Where(table.files[0]), fix=fix)
    message = ", ".join(f'{name} column "{column}"' for name, column in found.items())
    is_seen = any(named == "auto" for named, _ in wanted.values())
    return found, [Note("info", "columns", message)] if is_seen else []


def _is_words(cell: Any) -> bool:
    return isinstance(cell, list | tuple) and all(isinstance(word, str) for word in cell)


def profile(values: Sequence[Any]) -> Profile:
    """Describe a column by a sample spread over all its rows."""
    step = max(1, len(values) // SAMPLE)
    sample = [v for v in values[::step] if v is not None and v != ""]
    texts = [str(v) for v in sample]
    n = len(texts)
    return Profile(
        filled=n / max(1, len(values[::step])),
        distinct=len(set(texts)),
        n=n,
        words=sum(t.count(" ") + 1 for t in texts) / max(1, n),
        length=sum(map(len, texts)) / max(1, n),
        scalar=not any(isinstance(v, dict) for v in sample),
    )


def _named(table: Table, wanted: str | None, flag: str) -> str | None:
    if wanted is None or wanted in table.columns:
        return wanted
    alike = [name for name in table.columns if same_name(name) == same_name(wanted)]
    if len(alike) == 1:
        return alike[0]
    names = list(table.columns)
    fix = did_you_mean(wanted, names) or f"columns here: {', '.join(names)}"
    raise DataError(f'there is no column "{wanted}"', where=Where(table.files[0]), fix=f"{flag}: {fix}")


def _guess_text(table: Table, profiles: dict[str, Profile], label: str | None, *, needed: bool) -> str:
    taken = {label} if label else set()
    able = {n: p for n, p in profiles.items() if n not in taken and p.n and p.scalar}
    longest = max((p.length for p in able.values()), default=0)
    named = [n for n in _by_name(TEXT_NAMES, able, taken) if able[n].length >= 0.3 * longest or able[n].words >= 3]
    if len(named) == 1:
        return named[0]
    free = {n: p for n, p in able.items() if p.words >= 2.5 and p.distinct > 0.05 * p.n + 1}
    if len(able) == 1 and not needed:
        return next(iter(able))
    ranked = sorted(free, key=lambda n: -free[n].length)
    if ranked and (len(ranked) == 1 or free[ranked[0]].length > 2.5 * free[ranked[1]].length) and not named:
        return ranked[0]
    raise _unclear(table, "text", named or ranked or list(profiles))


def flag_columns(table: Table, *, text: str | None, text_pair: str | None = None) -> tuple[str, ...]:
    """Return the columns of 0 and 1, if there are several and no other column could be the label; else none.

    Raises:
        DataError: it is not clear which column is the text.
    """
    chosen = choose_columns(table, text=text, label=None, text_pair=text_pair, need_label=False)
    if chosen.label is not None:
        return ()
    profiles = {name: profile(values) for name, values in table.columns.items()}
    able = {n: p for n, p in profiles.items() if n not in (chosen.text, chosen.text_pair) and p.n and p.scalar}
    likely = _like_classes(able)
    return tuple(likely) if len(likely) > 1 and all(are_flags(table[name]) for name in likely) else ()


def _like_classes(profiles: dict[str, Profile]) -> list[str]:
    """Return the columns with few different values."""
    return [n for n, p in profiles.items() if 2 <= p.distinct <= min(100, max(2, 0.2 * p.n)) and not is_index(n)]


def _guess_label(
    table: Table, profiles: dict[str, Profile], text: str, *, need_label: bool, classes: bool
) -> str | None:
    longest = 60 if classes else 300
    able = {n: p for n, p in profiles.items() if n != text and p.n and p.scalar and p.length <= longest}
    named = _by_name(LABEL_NAMES, able, set())
    named = [n for n in named if not classes or able[n].distinct <= max(2, 0.5 * able[n].n)]
    if named:
        return named[0]
    likely = _like_classes(able)
    if not classes and len(able) == 1:
        return next(iter(able))
    if len(likely) == 1:
        return likely[0]
    if not need_label:
        return None
    if len(profiles) == 1:
        raise DataError(
            f'there is only one column, "{text}": a classifier needs labels',
            where=Where(table.files[0]),
            fix="add a column with the class of each text, or learn from the texts alone: --task fill-mask (a model "
            "that knows such texts) or --task text-generation (one that writes them)",
        )
    raise _unclear(table, "label", likely or [n for n in profiles if n != text])


def _by_name(hints: Sequence[str], profiles: dict[str, Profile], taken: set[str]) -> list[str]:
    """Return the columns named like one of `hints`, best hint first."""
    plain = {same_name(name): name for name in profiles if name not in taken}
    return [plain[same_name(hint)] for hint in hints if same_name(hint) in plain]


def _unclear(table: Table, what: str, candidates: Sequence[str]) -> DataError:
    flags = " or ".join(f"--{what} {shlex.quote(name)}" for name in candidates[:6])
    return DataError(f"it is not clear which column is the {what}", where=Where(table.files[0]), fix=f"say {flags}")


def same_name(name: str) -> str:
    """Return what names of columns have in common that differ in case and punctuation only."""
    return re.sub(r"[\W_]+", "", name.casefold())


def is_index(name: str) -> bool:
    """Whether a column is called as one that numbers rows."""
    return same_name(name) in {"id", "index", "no", "nr", "number", "row", "sentenceno"} or name.casefold().endswith(
        ("_id", "_no")
    )


def leaky_columns(table: Table, *, text: str, label: str) -> list[Note]:
    """Return warnings for other columns, and words at the start of the texts, that give the label away."""
    labels = [str(v) for v in table[label]]
    notes = []
    for name, values in table.columns.items():
        if name in (text, label):
            continue
        keys = [str(v) for v in values]
        for what, chosen in (("column", keys), ("first letter of column", [k[:1] for k in keys])):
            if _gives_away(chosen, labels):
                message = f'the {what} "{name}" gives the label away; the model does not see it'
                notes.append(Note("warning", "label leak", message, fix="leave it out of the text, too"))
                break
    for n_words in (1, 2):
        starts = [" ".join(str(v).split(None, n_words)[:n_words]).casefold() for v in table[text]]
        if _gives_away(starts, labels):
            common = ", ".join(f'"{s}"' for s, _ in Counter(starts).most_common(2))
            message = f"how the texts begin gives the label away ({common}): the model will score high and know nothing"
            notes.append(Note("warning", "label leak", message, fix="remove that beginning from the texts"))
            break
    return notes


def _gives_away(keys: Sequence[str], labels: Sequence[str]) -> bool:
    """Whether few, often repeated keys decide the label almost always, far beyond the largest class."""
    n, classes = len(keys), len(set(labels))
    groups: dict[str, Counter[str]] = {}
    for key, label in zip(keys, labels, strict=True):
        groups.setdefault(key, Counter())[label] += 1
    if n < 20 or not 2 <= len(groups) <= max(classes * 5, 10) or len(groups) > 0.2 * n:
        return False
    right = sum(max(counter.values()) for counter in groups.values())
    most = max(Counter(labels).values())
    return right >= 0.97 * n and most <= 0.9 * n
