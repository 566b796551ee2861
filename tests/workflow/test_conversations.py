"""Conversations that can't be read, or that a chat template refuses: set aside with their row, or one clear error."""

import json

import pytest

import tunesmith as ts
from tests.tiny_writers import END, tiny_writer, write_rows
from tests.workflow.small import ended_after, prepared
from tunesmith.core.errors import DataError
from tunesmith.data.table import Table
from tunesmith.models.conversation import with_spans, written
from tunesmith.models.source import Source
from tunesmith.models.spec import ModelSpec
from tunesmith.models.tokenize import load_tokenizer
from tunesmith.recipe.compose import compose
from tunesmith.tasks.text_generation import TextGeneration
from tunesmith.workflow.evaluate import evaluate
from tunesmith.workflow.prepare import prepare
from tunesmith.workflow.resolve import resolve

STRICT = (
    "{% for m in messages %}"
    "{% if m['role'] != ('user', 'assistant')[loop.index0 % 2] %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}"
    "{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
)
"""A template as those of Llama 2, Mistral and Gemma: user and assistant in turn, the user first."""


@pytest.fixture(scope="module")
def writer(tmp_path_factory):
    return tiny_writer(tmp_path_factory.mktemp("plain") / "tiny-gpt2")


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    folder = tiny_writer(tmp_path_factory.mktemp("strict") / "tiny-gpt2")
    (folder / "chat_template.jinja").write_text(STRICT)
    return folder


def plain_of(source, task=None):
    tokenizer = load_tokenizer(Source("tiny", source), ModelSpec())
    return (task or TextGeneration()).with_tokenizer(tokenizer, Table({}))[1].plain


def said(*turns):
    return [{"role": role, "content": content} for role, content in turns]


def chats(n):
    return [{"messages": said(("user", f"the {i}"), ("assistant", "bad film"))} for i in range(n)]


def test_an_assistant_who_speaks_first_is_learnt_from_where_it_begins(writer):
    plain = plain_of(writer)
    whole, spans = with_spans(said(("assistant", "film"), ("user", "the"), ("assistant", "bad")), plain)
    assert whole == f"{END}assistant: film{END}\nuser: the\nassistant: bad{END}\n"
    assert [whole[start:end] for start, end in spans] == [f" film{END}", f" bad{END}"]


@pytest.mark.parametrize(
    "turns", [[("assistant", "film")], [("user", "a"), ("narrator", "b")], [("user", "a"), ("user", "b")]]
)
def test_what_a_template_refuses_is_an_error_with_its_words(strict, turns):
    with pytest.raises(DataError, match="refuses the conversation: roles must alternate"):
        with_spans(said(*turns), plain_of(strict))


def test_a_template_that_does_not_say_who_speaks_can_not_begin_with_the_assistant(writer):
    plain = plain_of(writer)
    plain.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    assert written(said(("user", "a")), plain, asks=True) == "a"
    with pytest.raises(DataError, match="the assistant speaks first"):
        with_spans(said(("assistant", "film")), plain)


def test_rows_that_the_template_refuses_are_set_aside_with_row_and_reason(strict, tmp_path):
    odd = [
        {"messages": said(("assistant", "bad"), ("user", "good"), ("assistant", "film"))},
        {"messages": said(("user", "the"), ("narrator", "good"), ("assistant", "film"))},
    ]
    data = write_rows(tmp_path / "chat.jsonl", [*chats(30), *odd])
    settings = {"train.length": "2 steps", "data.split.dev": 0, "data.near_duplicates": "off"}
    run = ts.train(data, model=str(strict), out=tmp_path / "run", settings=settings)
    entries = [entry for entry in run.run.ledger if "template" in entry.reason]
    assert {(entry.kind, entry.reason) for entry in entries} == {("set aside", "refused by the model's chat template")}
    assert sorted(entry.row for entry in entries) == [31, 32]
    assert all("roles must alternate" in entry.detail for entry in entries)
    recipe, origins = compose(file=run.run.recipe_path, overrides=[], arguments={})
    resolved = resolve(recipe, origins, prepared=prepare(recipe))
    (note,) = [note for note in resolved.notes if "template" in note.topic]
    assert (note.level, note.n_rows) == ("warning", 2)
    assert sum(map(len, resolved.encoded.tables.values())) == 30
    asked = write_rows(tmp_path / "new.jsonl", odd)
    with pytest.raises(DataError, match=r"new\.jsonl:1.*roles must alternate"):
        evaluate(run.run, [str(asked)])
    measured = evaluate(run.run, [str(write_rows(tmp_path / "more.jsonl", [*odd, *chats(3)]))])
    assert [(entry.row, entry.reason) for entry in measured.ledger] == [(row, entries[0].reason) for row in (1, 2)]
    assert (len(measured.said), measured.notes[-1].n_rows) == (3, 2)
    with pytest.raises(DataError, match="roles must alternate"):
        run.predict([odd[0]])
    with pytest.raises(DataError, match="a message without text"):
        run.predict([{"messages": said(("user", None))}])
    assert run.predict([""]) == run.predict([{"messages": said(("user", ""))}])


def test_a_run_without_the_refused_rows_is_resumed_exactly(strict, tmp_path, monkeypatch):
    odd = {"messages": said(("assistant", "bad"), ("user", "good"), ("assistant", "film"))}
    data = write_rows(tmp_path / "chat.jsonl", [odd, *chats(30)])
    settings = {"train.length": "8 steps", "train.step_size": "256 tokens", "data.near_duplicates": "off"}
    whole = ts.train(data, model=str(strict), out=tmp_path / "whole", settings=settings)
    with ended_after(5, monkeypatch), pytest.raises(KeyboardInterrupt):
        ts.train(data, model=str(strict), out=tmp_path / "cut", settings={**settings, "train.save_every": "3 steps"})
    again = ts.resume(tmp_path / "cut")
    one, other = ((run.run.model_folder / "model.safetensors").read_bytes() for run in (whole, again))
    assert one == other


def test_no_row_that_a_template_writes_is_one_error(strict, tmp_path):
    rows = [{"messages": said(("assistant", f"bad {i}"), ("user", "good"), ("assistant", "film"))} for i in range(20)]
    data = write_rows(tmp_path / "chat.jsonl", rows)
    with pytest.raises(DataError, match=r"no row can be used: .*roles must alternate"):
        ts.train(data, model=str(strict), out=tmp_path / "run", settings={"data.near_duplicates": "off"})


ODD = [
    {"messages": []},
    {"messages": None},
    {"messages": said(("user", "q"), ("assistant", [{"type": "image_url", "image_url": "x"}]))},
    {"messages": said(("user", None), ("assistant", "hello"))},
    {"messages": said(("", "a"), ("assistant", "b"))},
    {"messages": [None, *said(("user", "a"), ("assistant", "b"))]},
]


@pytest.mark.parametrize("form", ["auto", "table"])
@pytest.mark.parametrize("kind", [{}, {"task.kind": "text-generation"}])
def test_odd_conversations_do_not_let_the_others_be_misread(tmp_path, form, kind):
    data = write_rows(tmp_path / "chat.jsonl", [*ODD, *chats(30)])
    found = prepared(data, **kind, **{"data.format": form, "data.near_duplicates": "off"})
    assert found.task.form == "chat"
    assert sum(map(len, found.tables.values())) == 30
    reasons = {entry.row: entry.reason for entry in found.ledger}
    assert reasons == {
        1: "no messages",
        2: "no messages",
        3: "a message that holds something other than text",
        4: "a message without text",
        5: "a message without role and content",
        6: "a message without role and content",
    }


def test_unknown_roles_are_said(tmp_path):
    rows = [*chats(20), {"messages": said(("user", "a"), ("Narrator", "b"), ("assistant", "c"), ("tool", "d"))}]
    found = prepared(write_rows(tmp_path / "chat.jsonl", rows), **{"data.near_duplicates": "off"})
    (note,) = [note for note in found.notes if note.topic == "roles"]
    assert note.message.endswith('nothing is learnt: "narrator" in 1 row')
    found = prepared(write_rows(tmp_path / "known.jsonl", chats(20)), **{"data.near_duplicates": "off"})
    assert not any(note.topic == "roles" for note in found.notes)


def test_a_conversation_in_a_plain_table_is_read_as_one(tmp_path):
    rows = [{"messages": said(("Human", f"the {i}"), ("GPT", "film"))} for i in range(20)]
    data = write_rows(tmp_path / "chat.jsonl", rows)
    found = prepared(data, **{"data.format": "table", "data.near_duplicates": "off"})
    assert json.loads(found.tables["train"]["messages"][0])[1] == {"role": "assistant", "content": "film"}
