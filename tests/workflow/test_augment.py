"""Augmentation of rows: training rows alone, targets that stay true, and a file with its provenance."""

import random
from collections import Counter
from contextlib import nullcontext

import pytest

from tests.objectives.test_objectives import rows_of
from tests.tiny import sentences, write_csv
from tests.workflow.small import prepared
from tests.writers import write_jsonl
from tunesmith.core.errors import RecipeError
from tunesmith.data.augment.balance import even_copies
from tunesmith.data.augment.edits import EDITS
from tunesmith.data.augment.spec import AugmentSpec
from tunesmith.models.neighbours import Neighbours
from tunesmith.models.spec import ModelSpec
from tunesmith.recipe.compose import compose
from tunesmith.workflow.augment import class_counts
from tunesmith.workflow.editors import refuse_unseen

ALL = [*EDITS]
WHOLE = {"data.split.test": 0.0, "data.split.dev": 0.0, "data.duplicates": "keep"}


def made(tmp_path, kind, **settings):
    path = write_jsonl(tmp_path / f"{kind}.jsonl", rows_of(kind))
    return prepared(path, **{"task.kind": kind, "augment.copies": 2, **WHOLE, **settings})


@pytest.mark.parametrize(
    "kind", ["text-classification", "text-regression", "multi-label-classification", "translation"]
)
def test_new_rows_keep_the_target_of_their_source(tmp_path, kind):
    found = made(tmp_path, kind, **{"augment.edits": ALL})
    table, task = found.tables["train"], found.task
    n = len(rows_of(kind))
    targets = {table.row_numbers[i]: task.answers(table)[i] for i in range(n)}
    assert 2 * n <= len(table) <= 3 * n
    for i in range(n, len(table)):
        assert task.answers(table)[i] == targets[table.row_numbers[i]]
    assert [note for note in found.notes if note.topic == "augmented"]


def test_a_column_may_have_any_name(tmp_path):
    path = write_jsonl(
        tmp_path / "rows.jsonl", [{**row, "self": i} for i, row in enumerate(rows_of("text-classification"))]
    )
    found = prepared(path, **{"task.kind": "text-classification", "augment.copies": 1}).made
    assert found.table["self"][found.n_old] == found.table["self"][found.sources[0]]


def test_answers_are_where_they_say_they_are(tmp_path):
    found = made(tmp_path, "question-answering", **{"augment.edits": ALL, "augment.rate": 0.5})
    table = found.tables["train"]
    for context, answers in zip(table["context"], table["answers"], strict=True):
        for one in answers:
            assert context[one["start"] : one["start"] + len(one["text"])] == one["text"]
    assert len(set(table["context"])) > len(rows_of("question-answering"))


def test_entities_stay_whole_or_become_others_of_their_type(tmp_path):
    rows = [
        {"tokens": ["Anna", "Berg", "saw", "Rome", "today"], "tags": ["B-PER", "I-PER", "O", "B-LOC", "O"]},
        {"tokens": ["In", "New", "York", "met", "Ben"], "tags": ["O", "B-LOC", "I-LOC", "O", "B-PER"]},
    ] * 6
    path = write_jsonl(tmp_path / "tags.jsonl", rows)
    settings = {"task.kind": "token-classification", "augment.copies": 4, **WHOLE}
    found = prepared(path, **settings, **{"augment.edits": ["entities", "swap", "delete", "typos"]})
    table = found.tables["train"]
    seen = set()
    for words, tags in zip(table["tokens"], table["tags"], strict=True):
        assert len(words) == len(tags)
        assert all(found.task.tagset.may_follow(a, b) for a, b in zip(["O", *tags], tags, strict=False))
        for kind, start in [(t[2:], i) for i, t in enumerate(tags) if t.startswith("B-")]:
            end = start + 1
            while end < len(tags) and tags[end] == f"I-{kind}":
                end += 1
            seen.add((kind, " ".join(words[start:end])))
    assert seen == {("PER", "Anna Berg"), ("PER", "Ben"), ("LOC", "Rome"), ("LOC", "New York")}
    places = {tuple(w) for w in table["tokens"]}
    assert any("Ben" in one and "Rome" in one for one in places), "an entity was swapped"


def test_dev_and_test_rows_are_never_touched(tmp_path):
    path = write_csv(tmp_path / "rows.csv", sentences(80))
    plain = prepared(path, **{"data.split.dev": 0.2})
    more = prepared(path, **{"data.split.dev": 0.2, "augment.copies": 3})
    for split in ("dev", "test"):
        assert plain.tables[split].columns == more.tables[split].columns
    n = len(plain.tables["train"])
    assert more.tables["train"].take(range(n)).columns == plain.tables["train"].columns
    assert more.task.class_counts == plain.task.class_counts


def test_the_same_seed_makes_the_same_rows(tmp_path):
    path = write_csv(tmp_path / "rows.csv", sentences(60))
    texts = [
        list(prepared(path, **{"augment.copies": 1, "seed": seed, **WHOLE}).tables["train"]["text"])
        for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]


def test_classes_are_brought_to_one_size(tmp_path):
    rows = [(f"some good film number {i}", "pos") for i in range(40)] + [
        (f"a bad book {i} here", "neg") for i in range(9)
    ]
    path = write_csv(tmp_path / "rows.csv", rows)
    found = prepared(path, **{"augment.balance": True, **WHOLE})
    assert Counter(found.tables["train"]["label"]) == {"pos": 40, "neg": 40}


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("text-generation", {}, "would teach text-generation their mistakes"),
        ("text-classification", {"augment.edits": ["entities"]}, "has no entities"),
        ("text-regression", {"augment.balance": True}, "text-regression has no classes"),
        ("token-classification", {"augment.balance": True}, "token-classification has no classes"),
        ("translation", {"augment.balance": True}, "translation has no classes"),
    ],
)
def test_what_would_make_targets_wrong_is_refused(tmp_path, kind, settings, message):
    with pytest.raises(RecipeError, match=message):
        made(tmp_path, kind, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"augment.balance": True}, "all classes have as many"),
        ({"augment.copies": 2, "augment.edits": ["shuffle"]}, "these edits change none"),
    ],
)
def test_where_no_row_is_made_it_is_said(tmp_path, settings, message):
    rows = [(f"some good film number {i}", "pos") for i in range(20)]
    rows += [(f"a bad book {i} here", "neg") for i in range(20)]
    with pytest.raises(RecipeError, match=message):
        prepared(write_csv(tmp_path / "rows.csv", rows), **settings, **WHOLE)


@pytest.mark.parametrize(
    ("edits", "named"),
    [
        (("case",), "=typos"),
        (("case", "swap"), "=swap"),
        (("typos", "case", "shuffle"), "=[typos, shuffle]'"),
        (("typos", "shuffle"), ""),
    ],
)
def test_capitals_are_not_edited_for_a_model_that_does_not_see_them(edits, named):
    for key, given in (
        ("augment.edits", (AugmentSpec(copies=1, edits=edits), ())),
        ("objectives.consistency.edits", (AugmentSpec(), edits)),
    ):
        with pytest.raises(RecipeError, match="capitals as small letters") if named else nullcontext() as error:
            refuse_unseen(*given, ModelSpec())
        if error:
            (problem,) = error.value.problems
            assert (problem.where.column, problem.where.value) == (key, "case")
            assert problem.fix.endswith(key + named)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"edits": "typos"}, "edits has no effect while copies is 0 and balance is false"),
        ({"rate": 0.2, "sample": True}, "rate and sample have no effect"),
        ({"model": "elsewhere", "balance": False}, "model has no effect"),
        ({"translators": ["a", "b"]}, "translators has no effect"),
    ],
)
def test_settings_that_make_no_row_are_refused(settings, message):
    named = {f"augment.{name}": value for name, value in settings.items()}
    with pytest.raises(RecipeError, match=message) as error:
        compose(file=None, overrides=[], arguments=named)
    assert error.value.problems[0].fix == "--set augment.copies=1"
    for more in ({"augment.copies": 1}, {"augment.balance": True}):
        compose(file=None, overrides=[], arguments={**named, **more})


def test_defaults_that_are_written_out_are_no_idle_settings():
    assert AugmentSpec.model_validate(AugmentSpec().model_dump()) == AugmentSpec()


def labels_of(rows, numbers):
    return Counter(name for names, n in zip(rows, numbers, strict=True) for name in names * (1 + n))


def test_labels_beside_a_rare_one_grow_as_little_as_can_be(tmp_path):
    rows = [{"text": f"some good film number {i}", "labels": ["a", "b"] if i < 5 else ["a"]} for i in range(30)]
    arguments = {"task.kind": "multi-label-classification", "augment.balance": True, **WHOLE}
    table = prepared(write_jsonl(tmp_path / "rows.jsonl", rows), **arguments).tables["train"]
    found = Counter(label for labels in table["labels"] for label in labels)
    assert found == {"a": 42, "b": 17}, "another copy would take a as far from 30 as it brings b near"


def test_rows_whose_other_labels_are_rare_are_copied_first():
    rows = [("a",)] * 20 + [("a", "b")] * 4 + [("b",)] * 2 + [()] * 3
    numbers = even_copies(rows)
    assert numbers == [0] * 24 + [9, 9] + [0] * 3
    assert labels_of(rows, numbers) == {"a": 24, "b": 24}
    scarce = even_copies([*rows[:24], ("b",)])
    assert scarce[24] == 10, "as often as can be"
    assert sum(scarce[20:24]) == 4, "then those beside the frequent label"


@pytest.mark.parametrize("grown", [1, 3])
def test_single_labels_come_to_one_size_and_rows_are_copied_ten_times_at_most(grown):
    rows = [("a",)] * 500 + [("b",)] * 123 + [("c",)] * 7
    numbers = even_copies(rows, grown=grown)
    sizes = labels_of(rows, [grown - 1 + n for n in numbers])
    assert sizes == {"a": 500 * grown, "b": 500 * grown, "c": 7 * (grown + 10)}
    assert max(numbers[500:623]) - min(numbers[500:623]) <= 1


def test_copies_never_take_labels_further_apart():
    chance = random.Random(1)
    for _ in range(300):
        names, weights = "abcdef", [0.02 + chance.random() ** 2 for _ in range(6)]
        sets = [{*chance.choices(names, weights, k=chance.randint(0, 3))} for _ in range(chance.randint(5, 60))]
        rows = [tuple(sorted(one)) for one in sets if one]
        before, after = labels_of(rows, [0] * len(rows)), labels_of(rows, even_copies(rows))
        assert max(after.values()) / min(after.values()) <= max(before.values()) / min(before.values())


def test_labels_of_one_size_are_left(tmp_path):
    rows = [{"text": f"some good film number {i}", "labels": ["a", "b"]} for i in range(20)]
    arguments = {"task.kind": "multi-label-classification", "augment.balance": True, **WHOLE}
    with pytest.raises(RecipeError, match="no copies bring the labels nearer to each other"):
        prepared(write_jsonl(tmp_path / "rows.jsonl", rows), **arguments)


def test_classes_are_counted_before_and_after(tmp_path):
    rows = rows_of("question-answering")
    rows += [{**row, "answers": {"text": [], "answer_start": []}} for row in rows[:6]]
    path = write_jsonl(
        tmp_path / "rows.jsonl", [{**row, "context": f"{row['context']} {i}"} for i, row in enumerate(rows)]
    )
    found = prepared(path, **{"task.kind": "question-answering", "augment.balance": True, **WHOLE})
    old = found.tables["train"].take(range(found.made.n_old))
    counts = class_counts({"before": old, "after": found.tables["train"]}, found.task)
    assert counts["before"] == {"answerable": 24, "unanswerable": 6}
    assert counts["after"]["unanswerable"] > 20


def test_the_embedded_model_knows_words_near_words():
    near = Neighbours(ModelSpec())
    assert "film" in near("movie")
    assert "awful" in near("Terrible")
    assert near("xqzzt") == ()
