"""`tunesmith convert` loses nothing unsaid: odd rows are set aside, and what a format can't hold is told."""

import io
import json

import pytest

from tests.tiny_writers import write_rows
from tunesmith.data.convert import convert
from tunesmith.data.formats import FORMATS
from tunesmith.data.read import read
from tunesmith.data.spec import DataSpec
from tunesmith.data.table import Table

CONTEXT = "Anna met Bob. Bob met Eve in Bonn."


def put(folder, name, content):
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def rows_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def said(done):
    return [(entry.kind, entry.reason, entry.row) for entry in done.entries]


def notes(done):
    return [note.message for note in done.notes]


# Plain rows are read as the format their columns name.


def test_flat_questions_keep_their_answers(tmp_path):
    text = f'id,question,context,answer,level\n1,who?,"{CONTEXT}",Eve,a\n2,where?,"{CONTEXT}",Ulm,b\n'
    done = convert([str(put(tmp_path, "a.csv", text))], tmp_path / "b.json")
    assert (done.source, done.target, done.n_rows) == ("qa", "squad", 2)
    (qa,) = json.loads((tmp_path / "b.json").read_text())["data"][0]["paragraphs"][0]["qas"]
    answers = [{"text": "Eve", "answer_start": CONTEXT.index("Eve")}]
    assert qa == {"id": "1", "question": "who?", "level": "a", "answers": answers}
    assert said(done) == [("set aside", "answer not in the context", 3)]


def test_one_answer_without_offset_does_not_leave_the_others_unmended(tmp_path):
    cells = [(["Bob"], [8]), (["Bob", "Eve"], [9]), ([], [])]
    rows = [
        {"question": "q", "context": CONTEXT, "answers": {"text": texts, "answer_start": starts}, "meta": {"a": 1}}
        for texts, starts in cells
    ]
    done = convert([str(write_rows(tmp_path / "a.jsonl", rows))], tmp_path / "b.jsonl")
    assert said(done) == [("changed", "answer moved", 1)]
    back = rows_of(tmp_path / "b.jsonl")
    assert [row["answers"]["answer_start"] for row in back] == [[9], [9, CONTEXT.index("Eve")], []]
    assert [row["meta"] for row in back] == [{"a": 1}] * 3


GOOD = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
ODD = [
    {"messages": []},
    {"messages": [GOOD[0], {"role": "assistant", "content": [{"type": "image_url", "image_url": "x"}]}]},
    {"messages": [{"role": "Human", "content": "Hi"}, {"role": "assistant", "content": None}]},
    {"messages": [{"role": "", "content": "Hi"}, GOOD[1]]},
]


@pytest.mark.parametrize("to", ["", "chat", "prompts"])
@pytest.mark.parametrize("form", ["auto", "table", "chat"])
def test_odd_conversations_are_set_aside(tmp_path, to, form):
    path = write_rows(tmp_path / "a.jsonl", [*ODD, {"messages": GOOD, "id": 5}])
    done = convert([str(path)], tmp_path / "b.jsonl", to=to, form=form)
    assert done.n_rows == 5
    assert said(done) == [
        ("set aside", "no messages", 1),
        ("set aside", "a message that holds something other than text", 2),
        ("set aside", "a message without text", 3),
        ("set aside", "a message without role and content", 4),
    ]
    kept = {"prompt": "Hi", "completion": "Hello"} if to == "prompts" else {"messages": GOOD}
    assert rows_of(tmp_path / "b.jsonl") == [{**kept, "id": 5}]


@pytest.mark.parametrize("to", ["", "chat", "prompts"])
def test_prompts_without_a_side_are_set_aside(tmp_path, to):
    rows = [
        {"prompt": "a", "completion": "b"},
        {"prompt": "c", "completion": None},
        {"prompt": None, "completion": "d"},
    ]
    done = convert([str(write_rows(tmp_path / "a.jsonl", rows))], tmp_path / "b.jsonl", to=to)
    assert said(done) == [("set aside", "no completion", 2), ("set aside", "no prompt", 3)]
    assert len(rows_of(tmp_path / "b.jsonl")) == 1


@pytest.mark.parametrize(("one", "other"), [("prompt", "completion"), ("source", "target")])
def test_lists_are_no_texts(tmp_path, one, other):
    rows = [{one: GOOD[:1], other: GOOD[1:]}, {one: "a", other: ["b"]}, {one: "a", other: "b"}]
    done = convert([str(write_rows(tmp_path / "a.jsonl", rows))], tmp_path / "b.jsonl")
    assert said(done) == [("set aside", "a list where a text is wanted", row) for row in (1, 2)]


def test_one_instruction_without_answer_does_not_hide_what_the_others_are(tmp_path):
    rows = [{"instruction": "Add", "input": "1 2", "output": "3"}] * 2 + [{"instruction": None, "output": None}]
    done = convert([str(write_rows(tmp_path / "a.jsonl", rows))], tmp_path / "b.jsonl", to="chat")
    assert said(done) == [
        ("changed", "input put after its instruction", 1),
        ("changed", "input put after its instruction", 2),
        ("set aside", "no prompt", 3),
    ]


@pytest.mark.parametrize("to", ["conll", "doccano", "spacy"])
def test_lists_of_other_lengths_are_set_aside(tmp_path, to):
    rows = [{"tokens": ["a", "b"], "tags": ["B-X", "O"]}, {"tokens": ["c"], "tags": ["O", "O"]}]
    done = convert([str(write_rows(tmp_path / "a.jsonl", rows))], tmp_path / "b", to=to)
    assert said(done) == [("set aside", "not as many tags as words", 2)]


def test_plain_rows_from_standard_input(tmp_path, monkeypatch):
    content = b'{"prompt": "a", "completion": "b", "meta": {"c": 1}}\n{"prompt": "c", "completion": null}\n'
    monkeypatch.setattr("sys.stdin", type("Stdin", (), {"buffer": io.BytesIO(content)}))
    done = convert(["-"], tmp_path / "b.jsonl", to="prompts")
    assert said(done) == [("set aside", "no completion", 2)]
    assert rows_of(tmp_path / "b.jsonl") == [{"prompt": "a", "completion": "b", "meta": {"c": 1}}]


# What formats can't hold.


def test_messages_say_more_than_prompts_hold(tmp_path):
    more = [{**GOOD[0], "name": "bob"}, {**GOOD[1], "weight": 0}]
    rows = [{"messages": more, "prompt": "Hi"}, {"messages": GOOD, "prompt": "Hi"}]
    done = convert([str(write_rows(tmp_path / "a.jsonl", rows))], tmp_path / "b.jsonl", to="prompts")
    assert [(entry.reason, entry.row, entry.detail) for entry in done.entries] == [
        ("other keys of messages left out", 1, "name, weight")
    ]
    assert notes(done) == ["columns that prompts with completions can't hold beside the messages are left out: prompt"]
    assert rows_of(tmp_path / "b.jsonl") == [{"prompt": "Hi", "completion": "Hello"}] * 2


def test_what_squad_says_beside_its_questions(tmp_path):
    answers = [{"text": "Bob", "answer_start": 9, "answer_id": 5}]
    paragraph = {"context": CONTEXT, "id": "p", "qas": [{"id": "1", "question": "Who?", "answers": answers}]}
    articles = [
        {"title": "A", "url": "x", "paragraphs": [paragraph, {"context": "None."}, {"context": "Empty.", "qas": []}]},
        {"title": "B", "paragraphs": "oops"},
    ]
    source = put(tmp_path, "a.json", {"version": "1.1", "extra": 1, "data": articles})
    done = convert([str(source)], tmp_path / "b.jsonl")
    (row,) = rows_of(tmp_path / "b.jsonl")
    assert (row["id"], row["paragraph_id"], row["url"], row["title"]) == ("1", "p", "x", "A")
    assert notes(done) == [
        f'{source}: left out: "answer_id" of 1 answer',
        f'{source}: left out: 2 paragraphs without questions, 1 article without paragraphs, "extra" of the whole file',
    ]


MIXED = [
    ("one", "eins", "en", "de"),
    ("two", "deux", "en", "fr"),
    ("drei", "three", "de", "en"),
    ("x", "y", None, None),
]


def mixed(folder):
    names = ("source", "target", "source_language", "target_language")
    return str(write_rows(folder / "a.jsonl", [dict(zip(names, row, strict=True)) for row in MIXED]))


def test_languages_are_not_mixed_in_one_file(tmp_path):
    done = convert([mixed(tmp_path)], tmp_path / "b.tsv")
    assert notes(done)[0].endswith("pairs of several languages: en to de (1), en to fr (1), de to en (1)")
    found = {path.name: path.read_text() for path in tmp_path.glob("b.*")}
    assert found == {
        "b.en-de.tsv": "en\tde\none\teins\n",
        "b.en-fr.tsv": "en\tfr\ntwo\tdeux\n",
        "b.de-en.tsv": "de\ten\ndrei\tthree\n",
        "b.src-tgt.tsv": "source\ttarget\nx\ty\n",
    }
    done = convert([mixed(tmp_path)], tmp_path / "c", to="parallel")
    found = {path.name: path.read_text() for path in done.files}
    assert found == {
        "c.en-de.en": "one\n", "c.en-de.de": "eins\n", "c.en-fr.en": "two\n", "c.en-fr.fr": "deux\n",
        "c.de-en.de": "drei\n", "c.de-en.en": "three\n", "c.src-tgt.src": "x\n", "c.src-tgt.tgt": "y\n",
    }  # fmt: skip


@pytest.mark.parametrize(("one", "other"), [("en", "en"), ("English", "../de"), (7, None)])
@pytest.mark.parametrize("to", ["tsv", "parallel"])
def test_names_that_are_no_codes_of_two_languages_are_told(tmp_path, one, other, to):
    table = Table.of({"source": ["a"], "target": ["b"], "source_language": [one], "target_language": [other]})
    written = FORMATS[to]().write(table, tmp_path / "x")
    assert sorted(written.files.values()) == (["source\ttarget\na\tb\n"] if to == "tsv" else ["a\n", "b\n"])
    (note,) = written.notes
    assert "are left out: " in note.message and str(one) in note.message


def test_units_of_another_direction_come_back_turned_and_told(tmp_path):
    convert([mixed(tmp_path)], tmp_path / "b.tmx")
    assert (tmp_path / "b.tmx").read_text().count('<tu srclang="de">') == 1
    done = convert([str(tmp_path / "b.tmx")], tmp_path / "c.jsonl")
    assert [(row["source"], row["target"]) for row in rows_of(tmp_path / "c.jsonl")] == [
        ("one", "eins"),
        ("three", "drei"),
    ]
    assert ("changed", "turned round", 7) in said(done)
    assert [entry.detail for entry in done.entries if entry.kind == "set aside"] == ["it has en, fr", "it has und, mul"]


TMX = """<tmx version="1.4"><header srclang="EN-us"/><body>
<tu tuid="1"><prop type="x">y</prop><tuv xml:lang="en-US" creationdate="2"><seg>Click <bpt>b</bpt>here</seg></tuv>
<tuv xml:lang="de"><seg>Klick</seg></tuv><tuv xml:lang="DE"><seg>Hier</seg></tuv></tu>
<tu><tuv xml:lang="en_us"><seg>Two</seg></tuv><tuv xml:lang="de"><seg>Zwei</seg></tuv></tu>
<tu><tuv xml:lang="en-US"><seg>Only</seg></tuv></tu>
</body></tmx>"""


def test_what_tmx_says_beside_its_texts(tmp_path):
    source = put(tmp_path, "a.tmx", TMX)
    done = convert([str(source)], tmp_path / "b.jsonl")
    languages = {"source_language": "en-US", "target_language": "de"}
    assert rows_of(tmp_path / "b.jsonl") == [
        {"source": "Click here", "target": "Klick", **languages},
        {"source": "Two", "target": "Zwei", **languages},
    ]
    assert [(entry.reason, entry.row, entry.detail) for entry in done.entries] == [
        ("formatting codes left out", 2, ""),
        ("second text in one language left out", 2, "Hier"),
        ("no target text", 5, "it has en-US"),
    ]
    assert notes(done) == [f"{source}: left out: tuid (1), prop (1), creationdate (1)"]


def test_first_lines_of_tsv(tmp_path):
    done = convert(
        [str(put(tmp_path, "a.tsv", "en\tde\tid\nyes\tja\t7\nno\tnein\t8\t9\n"))], tmp_path / "b.jsonl", form="tsv"
    )
    assert [(row["id"], row.get("column4")) for row in rows_of(tmp_path / "b.jsonl")] == [("7", None), ("8", "9")]
    assert any("the first line names the languages: en, de" in message for message in notes(done))
    convert([str(put(tmp_path, "c.tsv", "so\tso\nyes\tja\n"))], tmp_path / "d.jsonl", form="tsv")
    assert [row["source"] for row in rows_of(tmp_path / "d.jsonl")] == ["so", "yes"]


def test_pairs_have_one_direction_whatever_the_order_of_their_names(tmp_path):
    rows = [{"en": "one", "de": "eins"}, {"de": "zwei", "en": "two"}, {"id": 3}, {"en": "four", "de": None}]
    for name, given in (("a", rows), ("b", [row if "id" in row else {"translation": row} for row in rows])):
        found = read(DataSpec(path=(str(write_rows(tmp_path / f"{name}.jsonl", given)),)), task="translation")
        assert list(found.tables["train"]["source"]) == ["one", "two"]
        assert [(entry.reason, entry.row) for entry in found.ledger] == [
            ("not a pair of texts", 3),
            ("no target text", 4),
        ]
