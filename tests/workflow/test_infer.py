"""Which task is learnt where the user names none."""

import json

import pytest

import tunesmith as ts
from tests.tiny import sentences, write_csv
from tests.workflow.small import quick
from tunesmith.core.errors import DataError, RecipeError
from tunesmith.data.read import read
from tunesmith.data.spec import DataSpec
from tunesmith.data.table import Table
from tunesmith.recipe.compose import compose
from tunesmith.tasks import TASKS
from tunesmith.workflow.prepare import prepare
from tunesmith.workflow.resolve import resolve

WORDS = "Ada B-PER\nLovelace I-PER\nmet O\n{name} B-PER\nin O\nLondon B-LOC\n\n"
CONLL = "".join(WORDS.format(name=name) for name in ("Charles", "Mary", "George", "Michael", "Augustus") * 4)


def composed(path, *, overrides=(), **arguments):
    return compose(file=None, overrides=overrides, arguments={"data.path": [str(path)], **arguments})


@pytest.fixture(scope="module")
def tagged(tmp_path_factory):
    path = tmp_path_factory.mktemp("conll") / "names.conll"
    path.write_text(CONLL)
    return path


def test_what_the_files_are_made_for_is_learnt_and_said(tagged, tiny):
    recipe, origins = composed(tagged, **{"model.source": str(tiny)})
    resolved = resolve(recipe, origins, prepared=prepare(recipe))
    assert resolved.recipe.task.kind == resolved.task.kind == "token-classification"
    chosen = resolved.origins.entries["task.kind"]
    assert (chosen.value, chosen.origin) == ("token-classification", "chosen")
    assert "CoNLL" in chosen.reason
    assert resolved.recipe.task.long_text == "windows"
    assert "task.class_weights" not in resolved.origins.entries


def test_a_text_and_a_label_are_a_classification(tiny, reviews):
    recipe, origins = composed(reviews, **{"model.source": str(tiny)})
    resolved = resolve(recipe, origins, prepared=prepare(recipe))
    assert resolved.origins.entries["task.kind"].reason == "a text and a label in each row"
    assert resolved.recipe.task.kind == "text-classification"


def test_settings_that_were_given_go_over_to_the_task(tagged):
    recipe, _ = composed(tagged, overrides=["task.label_smoothing=0.1"])
    assert prepare(recipe).kind[0].label_smoothing == 0.1


def test_settings_the_task_has_not_are_refused(tagged):
    recipe, _ = composed(tagged, overrides=["task.class_weights=balanced"])
    with pytest.raises(RecipeError, match=r"token-classification has no such setting.*CoNLL") as caught:
        prepare(recipe)
    assert "--task" in caught.value.problems[0].fix


@pytest.mark.parametrize("alias", ["text-classification", "spam"])
def test_a_task_that_is_named_stays(tmp_path, alias):
    path = write_csv(tmp_path / "reviews.csv", sentences(40))
    recipe, _ = composed(path, **{"task.kind": alias})
    found = prepare(recipe)
    assert (found.kind[0].kind, found.kind[1]) == ("text-classification", "")


@pytest.mark.parametrize("alias", ["spam", "sentiment", "topic"])
def test_a_run_by_an_alias_learns_with_what_suits_it(tiny, tmp_path, alias):
    good, bad = ([text for text, label in sentences(200) if label == one] for one in ("pos", "neg"))
    rare = [(text, ("spam", "Spam", "SPAM")[i % 3]) for i, text in enumerate(good[:30])]
    path = write_csv(tmp_path / "mails.csv", [*rare, *((text, "ham") for text in bad)])
    run = ts.train(path, out=tmp_path / "run", **quick(tiny, **{"task.kind": alias}))
    task = run.predictor.task
    assert len(task.labels) == 2
    assert "ham" in task.labels
    assert task.class_weights == ("none" if alias == "topic" else "balanced")
    assert task.class_counts[task.labels.index("ham")] > 2 * min(task.class_counts)
    origins = json.loads((tmp_path / "run" / "origins.json").read_text())
    assert origins["data.labels"]["origin"] == "chosen"
    assert "two classes" in origins["data.labels"]["reason"]
    assert (origins["task.class_weights"]["origin"] == "chosen") == (alias != "topic")


def test_a_named_task_reads_its_own_formats_only(tagged):
    recipe, _ = composed(tagged, **{"task.kind": "text-classification"})
    with pytest.raises(DataError):
        prepare(recipe)


TASKS_OF_ALPACA = [
    {"instruction": "Turn it round", "input": f"one {i}", "output": f"{i} eno"} if i % 2
    else {"instruction": f"Say {i}", "input": "", "output": f"It is {i}"}
    for i in range(20)
]  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "first"),
    [
        (TASKS_OF_ALPACA[::-1], ("Turn it round\n\none 19", "19 eno")),
        ([{"instruction": f"Say {i}", "response": f"{i}", "context": "Be short"} for i in range(20)],
         ("Say 0\n\nBe short", "0")),
        ([{"question": f"What is {i}?", "answer": f"A number, {i}"} for i in range(20)],
         ("What is 0?", "A number, 0")),
        ([{"prompt": f"Say {i}", "response": f"It is {i}"} for i in range(20)], ("Say 0", "It is 0")),
    ],
)  # fmt: skip
def test_instructions_are_followed(rows, first, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe, _ = composed(path, **{"data.split.test": 0.0, "data.split.dev": 0.0})
    found = prepare(recipe)
    assert found.kind[0].kind == "text-generation"
    assert found.kind[1].startswith("there are columns ")
    assert (found.task.form, found.task.text, found.task.label) == ("prompts", "prompt", "completion")
    table = found.tables["train"]
    assert (table["prompt"][0], table["completion"][0]) == first
    assert found.n_read == 20
    assert any(note.topic == "format" and "prompts with completions" in note.message for note in found.notes)


@pytest.mark.parametrize(
    "rows",
    [
        [{"question": f"Is {i} odd?", "answer": "yes" if i % 2 else "no"} for i in range(20)],
        [{"instruction": f"Do {i}", "output": "good" if i % 2 else "bad"} for i in range(20)],
        [{"question": f"Is {i} odd?", "answer": f"It is {i}", "topic": "maths" if i % 2 else "art"} for i in range(20)],
    ],
)
def test_answers_that_may_be_classes_are_not_prompts(rows):
    table = Table.of({name: [row[name] for row in rows] for name in rows[0]})
    assert not TASKS["text-generation"].recognises(table, text="auto", label="auto")


def test_rows_of_several_files_keep_their_places(tmp_path):
    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for path, rows in zip(paths, (TASKS_OF_ALPACA[:10], TASKS_OF_ALPACA[10:]), strict=True):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = {"data.path": [str(path) for path in paths], "data.split.test": 0.0, "data.split.dev": 0.0}
    table = prepare(compose(file=None, overrides=[], arguments=arguments)[0]).tables["train"]
    assert [(table.where(i).file, table.where(i).row) for i in (0, 19)] == [(str(paths[0]), 1), (str(paths[1]), 10)]


def test_what_is_seen_is_read_as_it_will_be_when_it_is_measured(tmp_path):
    path = tmp_path / "pairs.jsonl"
    rows = [{"src": f"a man of number {i}", "tgt": f"ein Mann mit Nummer {i}"} for i in range(30)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = prepare(composed(path)[0]).task
    measured = read(DataSpec(path=(str(path),)), task=task.kind).tables["train"]
    assert {task.text, task.label} <= set(measured.columns)


def test_where_most_rows_are_lost_it_is_a_warning(tmp_path):
    path = write_csv(tmp_path / "notes.csv", [("", "pos")] * 30 + sentences(20))
    found = prepare(composed(path)[0])
    (note,) = [note for note in found.notes if note.topic == "most rows lost"]
    assert note.level == "warning"
    assert note.message == "most rows are not used: 30 no text of 50"
    few = write_csv(tmp_path / "few.csv", [("", "pos")] * 10 + sentences(20))
    assert not [note for note in prepare(composed(few)[0]).notes if note.topic == "most rows lost"]
