"""Formats of tagged text: nothing that a file says is lost or changed without being said."""

import json
from pathlib import Path

import pytest

from tests.writers import write_jsonl
from tunesmith.core.errors import DataError
from tunesmith.data.columns import choose_tagged
from tunesmith.data.convert import convert
from tunesmith.data.read import for_task, read
from tunesmith.data.spec import DataSpec
from tunesmith.data.stream import stream
from tunesmith.data.table import Table
from tunesmith.data.tagged import read_table, tagged_rows
from tunesmith.recipe.compose import compose
from tunesmith.workflow.prepare import prepare


def put(folder, name, content):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


def lines(*rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def reading(*paths, task=None, **spec):
    return read(DataSpec(path=tuple(map(str, paths)), **spec), task=task)


def converted(folder, source, name, content, **more):
    """Return what a conversion did, and what it wrote."""
    done = convert([str(put(folder, source, content))], folder / name, **more)
    return done, (folder / name).read_text(encoding="utf-8")


def rows_of(text):
    return [json.loads(line) for line in text.splitlines()]


def said(done):
    return [(entry.kind, entry.reason, entry.row) for entry in done.entries]


def messages(done):
    return " | ".join(note.message for note in done.notes)


# Text, spans, and lists of words beside them.

QUOTED = '(Yes), "Anna", (no): she saw Bob.'
WORDS = ["(", "Yes", ")", ",", '"', "Anna", '"', ",", "(", "no", ")", ":", "she", "saw", "Bob", "."]
PEOPLE = [[8, 12, "PER"], [29, 32, "PER"]]
TAGGED = [(word, "B-PER" if word in ("Anna", "Bob") else "O") for word in WORDS]


@pytest.mark.parametrize("name", ["tokens", "words"])
@pytest.mark.parametrize("form", ["auto", "table"])
def test_spans_count_in_the_text_not_in_the_words_beside_it(tmp_path, name, form):
    row = {"text": QUOTED, "label": PEOPLE, name: WORDS}
    found = for_task(reading(put(tmp_path, "a.jsonl", lines(row)), format=form), "token-classification")
    table = found.tables["train"]
    choice = choose_tagged(table, text="auto", label="auto")
    kept, _ = read_table(table, text=choice.text, label=choice.label, scheme="iob2", split="train")
    assert choice.text == "text"
    assert kept[choice.label] == [[tag for _, tag in TAGGED]]


@pytest.mark.parametrize("name", ["tokens", "words"])
def test_words_beside_a_text_say_where_its_words_are(tmp_path, name):
    row = {"text": "U.S. (Bonn)", "label": [[0, 4, "LOC"], [6, 10, "LOC"]], name: ["U.S.", "(", "Bonn", ")"]}
    done, text = converted(tmp_path, "a.jsonl", "a.conll", lines(row))
    assert text == "U.S.\tB-LOC\n(\tO\nBonn\tB-LOC\n)\tO\n\n"
    assert not [note for note in done.notes if note.level == "warning"]
    for to in ("prodigy", "spacy"):
        convert([str(tmp_path / "a.jsonl")], tmp_path / f"a.{to}", to=to)
        convert([str(tmp_path / f"a.{to}")], tmp_path / f"{to}.conll")
        assert (tmp_path / f"{to}.conll").read_text() == text


def test_words_that_are_not_those_of_the_text_are_not_used_and_said(tmp_path):
    row = {"text": "Anna ran", "label": [[0, 4, "PER"]], "tokens": ["An", "##na", "ran"]}
    done, text = converted(tmp_path, "a.jsonl", "a.conll", lines(row))
    assert text == "Anna\tB-PER\nran\tO\n\n"
    assert said(done) == [("changed", "given words are not those of the text", 1)]


def test_docs_of_spacy(tmp_path):
    tokens = [{"id": i, "start": s, "end": e, "pos": "X"} for i, (s, e) in enumerate([(0, 4), (5, 8), (8, 9), (9, 14)])]
    row = {"text": "Anna met.Bob.x", "ents": [{"start": 0, "end": 4, "label": "PER"}], "tokens": tokens}
    done, text = converted(tmp_path, "a.jsonl", "a.conll", lines(row))
    assert text == "Anna\tB-PER\nmet\tO\n.\tO\nBob.x\tO\n\n"
    assert "left out: pos of words" in messages(done)
    done, text = converted(tmp_path, "b.jsonl", "c.jsonl", lines(row))
    assert rows_of(text) == [{"text": row["text"], "label": [[0, 4, "PER"]], "tokens": tokens}]
    done, text = converted(tmp_path, "d.jsonl", "d.prodigy", lines(row), to="prodigy")
    assert [token["pos"] for token in rows_of(text)[0]["tokens"]] == ["X"] * 4
    back = reading(tmp_path / "d.prodigy").tables["train"]
    assert [token["pos"] for token in back["tokens"][0]] == ["X"] * 4


def test_words_with_tags_keep_their_own_text(tmp_path):
    rows = [
        {"text": "U.S.-based.", "tokens": ["U.S.", "-based", "."], "tags": ["B-LOC", "O", "O"]},
        {"text": "other", "tokens": ["Bob", "ran"], "tags": ["B-PER", "O"]},
    ]
    done, text = converted(tmp_path, "a.jsonl", "b.jsonl", lines(*rows))
    assert [(row["text"], row["label"]) for row in rows_of(text)] == [
        ("U.S.-based.", [[0, 4, "LOC"]]),
        ("Bob ran", [[0, 3, "PER"]]),
    ]
    assert said(done) == [("changed", "text without its words replaced by them", 2)]


def test_words_with_tags_that_are_named_are_taken_though_there_are_spans(tmp_path):
    row = {"text": "a b", "spans": [[0, 1, "X"]], "tokens": ["a", "b"], "tags": ["O", "B-Y"]}
    found = reading(put(tmp_path, "a.jsonl", lines(row)), format="tokens")
    assert "spans" not in found.tables["train"].columns
    assert any("1 row has spans, too" in note.message for note in found.notes)
    done, text = converted(tmp_path, "b.jsonl", "b.conll", lines(row))
    assert text == "a\tB-X\nb\tO\n\n"
    assert "left out: tags" in messages(done)


# Rows that are not as the others.


def test_a_row_with_another_number_of_tags_is_set_aside_alone(tmp_path):
    rows = [
        {"tokens": ["a", "b"], "tags": ["B-X", "O"]},
        {"tokens": ["c"], "tags": ["O", "O"]},
        {"tokens": "d", "tags": ["O"]},
        {"tokens": ["e"], "tags": [["O"]]},
        {"tokens": ["f"], "tags": ["O"]},
    ]
    for to, name in (("conll", "a.conll"), ("doccano", "b.jsonl"), ("tokens", "c.jsonl"), ("word-rows", "d.csv")):
        done = convert([str(put(tmp_path, "rows.jsonl", lines(*rows)))], tmp_path / name, to=to)
        assert said(done) == [
            ("set aside", "not as many tags as words", 2),
            ("set aside", "no words", 3),
            ("set aside", "tags that are no list of texts", 4),
        ]
    assert (tmp_path / "a.conll").read_text() == "a\tB-X\nb\tO\n\nf\tO\n\n"
    with pytest.raises(DataError, match="the file has no usable rows; the first was set aside: "):
        convert([str(put(tmp_path, "odd.jsonl", lines(rows[1])))], tmp_path / "odd.conll")


def test_one_odd_row_does_not_hide_what_a_csv_file_is(tmp_path):
    text = "tokens,tags\n\"['a', 'b']\",\"['B-X', 'O']\"\n\"['c']\",\"['O', 'O']\"\n\"['d']\",\"['O']\"\n"
    done, text = converted(tmp_path, "a.csv", "a.conll", text)
    assert (done.source, text) == ("tokens", "a\tB-X\nb\tO\n\nd\tO\n\n")
    assert said(done) == [("set aside", "not as many tags as words", 3)]


@pytest.mark.parametrize("place", range(5))
def test_one_odd_item_does_not_hide_spacy_pairs(tmp_path, place):
    pairs = [["Anna saw Bob", {"entities": [[0, 4, "PER"]]}]] * 4
    pairs.insert(place, ["no dict"])
    done, text = converted(tmp_path, "a.json", "b.jsonl", pairs)
    assert (done.source, len(rows_of(text))) == ("spacy", 4)
    assert said(done) == [("set aside", "not a pair of text and entities", place + 1)]


GAPS = [
    {"text": "Anna saw Bob", "label": [[0, 4, "PER"]]},
    {"text": "Cid", "label": None},
    {"text": "Dan", "label": "x"},
    {"text": "Eve", "label": []},
]


@pytest.mark.parametrize("form", ["auto", "doccano"])
def test_no_label_is_not_taken_as_no_entities(tmp_path, form):
    done, text = converted(tmp_path, "a.jsonl", "b.jsonl", lines(*GAPS), form=form)
    assert (done.n_rows, [row["text"] for row in rows_of(text)]) == (4, ["Anna saw Bob", "Eve"])
    assert said(done) == [("set aside", "no label", 2), ("set aside", "no label", 3)]
    assert done.entries[1].detail == "x"
    table = reading(tmp_path / "a.jsonl", format=form).tables["train"]
    kept, ledger = read_table(table, text="text", label="spans", scheme="iob2", split="train")
    assert list(kept["text"]) == ["Anna saw Bob", "Eve"]
    assert ledger.counts("set aside") == {"no label": 2}


def test_rows_without_labels_can_be_predicted(tmp_path):
    (table,) = stream(str(put(tmp_path, "a.jsonl", lines(*GAPS))), DataSpec(), task="token-classification")
    assert list(table["text"]) == ["Anna saw Bob", "Cid", "Dan", "Eve"]


def test_spans_of_plain_rows_are_checked(tmp_path):
    rows = [{"text": "Anna", "spans": [[0, 4]]}, {"text": "Bob", "spans": []}]
    done, text = converted(tmp_path, "a.jsonl", "a.conll", lines(*rows))
    assert done.source == "doccano"
    assert text == "Bob\tO\n\n"
    assert said(done) == [("changed", "not a span", 1), ("set aside", "no label", 1)]


# CoNLL columns.


def test_more_columns_than_most_lines(tmp_path):
    text = "New York B-LOC\nis O\nbig O\n\nAnna B-PER\nin O\nBonn B-LOC\n\nTab\tNN\tB-X\na\tO\n\nb\tc\td\n\n"
    found = reading(put(tmp_path, "a.conll", text))
    assert list(found.tables["train"]["tokens"]) == [["Anna", "in", "Bonn"], ["Tab", "a"]]
    assert found.tables["train"]["tags"][1] == ["B-X", "O"]
    assert [(entry.kind, entry.reason, entry.row, entry.detail) for entry in found.ledger] == [
        ("set aside", "more columns than most lines have", 1, 'line 1: "New York B-LOC"'),
        ("changed", "more or fewer columns than most lines have", 9, 'line 9: "Tab NN B-X"'),
        ("set aside", "a word without a tag", 12, 'line 12: "b c d"'),
    ]


def test_fewer_columns_than_most_lines(tmp_path):
    whole = "EU NNP B-ORG\nsays VBZ O\n\n" * 3
    found = reading(put(tmp_path, "a.conll", whole + "Bonn B-ORG\n\nUlm NNP\n\n"))
    table = found.tables["train"]
    assert (list(table["tokens"][3]), table["tags"][3], table["column2"][3]) == (["Bonn"], ["B-ORG"], ["_"])
    assert [(entry.kind, entry.reason, entry.row) for entry in found.ledger] == [
        ("changed", "more or fewer columns than most lines have", 10),
        ("set aside", "a word without a tag", 12),
    ]


def test_lines_of_several_words_are_said(tmp_path):
    text = "1-2\tdu\t_\t_\n1\tde\tADP\tO\n2\tle\tDET\tO\n\n1\tAnna\tPROPN\tB-PER\n2\tva\tVERB\tO\n"
    found = reading(put(tmp_path, "a.conllu", text))
    assert list(found.tables["train"]["tokens"]) == [["de", "le"], ["Anna", "va"]]
    assert [(e.kind, e.reason, e.row, e.detail) for e in found.ledger] == [
        ("changed", "line of several words or of none left out", 2, "1-2 du _ _")
    ]
    assert any("1 sentence has lines of several words" in note.message for note in found.notes)


# Tags without prefixes, and schemes.

POS = "The\tDT\nman\tNN\nman\tNN\nruns\tVBZ\n\na\tDT\nman\tNN\n\n"
TYPES = "Anna\tPER\nBerg\tPER\nis\tO\nin\tO\nBonn\tLOC\n\n"


@pytest.mark.parametrize(("text", "n_spans"), [(POS, 6), (TYPES, 2)])
@pytest.mark.parametrize("to", ["doccano", "label-studio", "spacy", "prodigy"])
def test_plain_tags_come_back_from_spans(tmp_path, text, n_spans, to):
    done, _ = converted(tmp_path, "a.conll", "b.json", text, to=to)
    table = reading(tmp_path / "b.json").tables["train"]
    assert sum(map(len, table["spans"])) == n_spans
    assert "tags without B- and I- are spans now" in messages(done)
    convert([str(tmp_path / "b.json")], tmp_path / "c.conll")
    assert (tmp_path / "c.conll").read_text() == text


def test_tags_that_name_no_kind_are_said(tmp_path):
    done, text = converted(tmp_path, "a.conll", "b.jsonl", "x O\ny B\nz I\n\nw B\n\n")
    assert [row["label"] for row in rows_of(text)] == [[[2, 5, "ENTITY"]], [[0, 1, "ENTITY"]]]
    assert "2 spans have no label, tagged B and I alone: ENTITY now" in messages(done)


SCHEMES = {
    "iob1": "New I-LOC\nYork I-LOC\nUlm B-LOC\nis O\n\nBonn I-LOC\n\n",
    "bioes": "New B-LOC\nYork E-LOC\nUlm S-LOC\nis O\n\nBonn S-LOC\n\n",
    "bmes": "New B-LOC\nYork E-LOC\nUlm S-LOC\nis O\n\nBonn S-LOC\n\nA B-X\nB M-X\nC E-X\n\n",
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_formats_of_words_are_written_in_iob2(tmp_path, scheme):
    done, text = converted(tmp_path, "a.conll", "b.conll", SCHEMES[scheme])
    assert text.startswith("New\tB-LOC\nYork\tI-LOC\nUlm\tB-LOC\nis\tO\n\nBonn\tB-LOC\n\n")
    assert f"tags written in {scheme.upper()} are IOB2 now" in messages(done)
    assert not done.entries


@pytest.mark.parametrize(("to", "name"), [("tokens", "b.jsonl"), ("conll", "b.conll"), ("word-rows", "b.csv")])
def test_tags_are_mended_between_formats_of_words(tmp_path, to, name):
    text = "Ann B-PER\nBerg I-PER\n\nA B-PER\nB I-ORG\n\nAnna b-per\n\nLost I-PER\n\nUlm E-LOC\n\n"
    done, _ = converted(tmp_path, "a.conll", name, text, to=to)
    table = reading(tmp_path / name, format=to).tables["train"]
    assert list(table["tags"]) == [["B-PER", "I-PER"], ["B-PER", "B-ORG"], ["B-per"], ["B-PER"], ["B-LOC"]]
    assert [(entry.reason, entry.row, entry.detail) for entry in done.entries] == [
        ("I- after another label", 4, "B I-ORG → B-ORG"),
        ("tag in small letters", 7, "Anna b-per → B-per"),
        ("I- without B-", 9, "Lost I-PER → B-PER"),
        ("stray E- or S-", 11, "Ulm E-LOC → B-LOC"),
    ]


# What spans say beside their label.

DOCCANO = {
    "id": 1,
    "text": "Anna went to Bonn.",
    "entities": [
        {"id": 10, "label": "PER", "start_offset": 0, "end_offset": 4},
        {"id": 11, "label": "LOC", "start_offset": 13, "end_offset": 17},
    ],
    "relations": [{"id": 1, "from_id": 10, "to_id": 11, "type": "x"}],
}


def test_doccano_keeps_the_ids_that_relations_name(tmp_path):
    _, text = converted(tmp_path, "a.jsonl", "b.jsonl", lines(DOCCANO))
    assert rows_of(text) == [DOCCANO]


def test_prodigy_keeps_what_spans_say(tmp_path):
    span = {"start": 0, "end": 4, "label": "PER", "source": "model", "score": 0.3}
    row = {"text": "Anna ran", "spans": [span], "answer": "accept"}
    _, text = converted(tmp_path, "a.jsonl", "b.jsonl", lines(row), to="prodigy")
    assert rows_of(text)[0]["spans"] == [{**span, "token_start": 0, "token_end": 0}]
    convert([str(tmp_path / "b.jsonl")], tmp_path / "c.jsonl")
    convert([str(tmp_path / "c.jsonl")], tmp_path / "d.jsonl", to="prodigy")
    assert (tmp_path / "d.jsonl").read_text() == text


@pytest.mark.parametrize("to", ["conll", "tokens", "word-rows", "spacy", "label-studio", "brat"])
def test_formats_that_can_not_hold_what_spans_say_say_so(tmp_path, to):
    done = convert([str(put(tmp_path, "a.jsonl", lines(DOCCANO)))], tmp_path / "b", to=to)
    assert "are left out: id (2 spans have it)" in messages(done)
    assert ("changed", "attributes of spans left out", 1) in said(done)


def test_a_label_of_the_text_does_not_take_the_place_of_the_spans(tmp_path):
    row = {"text": "Anna ran", "spans": [[0, 4, "PER"]], "label": "news"}
    _, text = converted(tmp_path, "a.jsonl", "b.jsonl", lines(row))
    assert rows_of(text) == [{"text": "Anna ran", "entities": [[0, 4, "PER"]], "label": "news"}]


# brat and Label Studio.


def test_files_of_brat_without_a_partner_are_said(tmp_path):
    for name, content in {"a.txt": "Anna", "a.ann": "", "b.txt": "alone", "c.ann": "T1\tX 0 1\tc"}.items():
        put(tmp_path, f"docs/{name}", content)
    put(tmp_path, "docs/inner/d.ann", "T1\tX 0 1\tc")
    found = reading(tmp_path / "docs")
    assert list(found.tables["train"]["doc"]) == ["a"]
    assert [(entry.reason, Path(entry.file).name) for entry in found.ledger] == [
        ("no .ann of this name", "b.txt"),
        ("no .txt of this name", "c.ann"),
        ("no .txt of this name", "d.ann"),
    ]
    for name in ("train/e.txt", "train/e.ann", "train/.f.txt"):
        put(tmp_path, f"docs/{name}", "" if name.endswith(".ann") else "Eve")
    found = reading(tmp_path / "docs")
    assert list(found.tables["train"]["doc"]) == ["e"]
    assert [Path(entry.file).name for entry in found.ledger] == ["a.ann", "a.txt", "b.txt", "c.ann", "d.ann"]
    assert found.ledger.counts("set aside")["not in a folder of a split"] == 2
    one = reading(tmp_path / "docs" / "a.txt", tmp_path / "docs" / "a.ann")
    assert not len(one.ledger)


def result(start, end, label, text, to="text"):
    value = {"start": start, "end": end, "labels": [label], "text": text}
    return {"from_name": "label", "to_name": to, "type": "labels", "value": value}


DATA = {"text": "Anna went to Bonn.", "title": "Bonn trip"}
ANNA, TITLE = result(0, 4, "PER", "Anna"), result(0, 4, "LOC", "Bonn", "title")


@pytest.mark.parametrize("names", [("text", "title"), ("box1", "box2")])
def test_spans_on_another_field_are_not_moved_into_the_text(tmp_path, names):
    results = [{**ANNA, "to_name": names[0]}, result(13, 17, "LOC", "Bonn", names[0]), {**TITLE, "to_name": names[1]}]
    rows = [{"data": DATA, "annotations": [{"result": results}]}]
    found = reading(put(tmp_path, "a.json", rows))
    assert [(s["start"], s["label"]) for s in found.tables["train"]["spans"][0]] == [(0, "PER"), (13, "LOC")]
    assert list(found.tables["train"]["title"]) == ["Bonn trip"]
    assert [(e.kind, e.reason, e.row, e.detail) for e in found.ledger] == [
        ("changed", "span about another field left out", 1, "title: 0-4 ['LOC'] Bonn")
    ]
    assert any("1 span is about another field" in note.message for note in found.notes)


def test_the_field_most_spans_are_about_is_the_text_of_every_row(tmp_path):
    rows = [{"data": DATA, "annotations": [{"result": [TITLE]}]}] * 2
    rows += [{"data": DATA, "annotations": [{"result": []}]}]
    table = reading(put(tmp_path, "a.json", rows)).tables["train"]
    assert list(table["text"]) == ["Bonn trip"] * 3


def test_what_is_not_used_of_label_studio_is_listed_by_row(tmp_path):
    choice = {"type": "choices", "from_name": "c", "to_name": "text", "value": {"choices": ["x"]}}
    annotations = [{"result": [ANNA, choice]}, {"result": [result(13, 17, "LOC", "Bonn")]}, {"result": []}]
    found = reading(put(tmp_path, "a.json", [{"data": DATA, "annotations": annotations}]))
    assert [(e.kind, e.reason, e.row, e.detail) for e in found.ledger] == [
        ("changed", "another annotation not used", 1, "13-17 ['LOC']"),
        ("changed", "another annotation not used", 1, "without spans"),
        ("changed", "result that is no span not used", 1, json.dumps(choice)),
    ]


def test_columns_of_words_and_tags_are_chosen_as_before():
    table = Table.of({"text": ["a b"], "tokens": [["a", "b"]], "ner_tags": [["O", "B-X"]]})
    assert choose_tagged(table, text="auto", label="auto").text == "tokens"
    spans = Table.of({"tokens": [["a", "b"]], "spans": [[{"start": 0, "end": 1, "label": "X"}]]})
    assert choose_tagged(spans, text="auto", label="auto").text == "tokens"


@pytest.mark.parametrize("tags", [[["O"], ["O"]], [None, "O"], []])
def test_tags_that_are_none_are_no_label(tags):
    table = Table.of({"tokens": [["a", "b"], ["c"]], "tags": [tags, ["B-X"]]})
    kept, ledger = read_table(table, text="tokens", label="tags", scheme="iob2", split="train")
    assert list(kept["tags"]) == [["B-X"]]
    assert ledger.counts("set aside") == {"no label": 1}


def test_one_odd_row_does_not_hide_the_task():
    assert tagged_rows([["a", "b"], ["c"], ["d"]], [["O", "B-X"], ["O", "O"], ["O"]])
    assert tagged_rows(["Anna ran", "Bob", "Cid"], [[{"start": 0, "end": 4, "label": "X"}], None, []])
    assert not tagged_rows(["Anna ran", "Bob"], [[{"start": 0, "end": 4, "label": "X"}], "pos"])
    assert not tagged_rows([], [])


@pytest.mark.parametrize("columns", [("text", "entities"), ("sentence", "labels")])
@pytest.mark.parametrize(("spans", "reason"), [([[0, 4]], "not a span"), ([[90, 99, "PER"]], "span outside the text")])
def test_a_row_of_which_no_span_can_be_used_is_not_learnt_as_one_without(tmp_path, columns, spans, reason):
    rows = [{columns[0]: "Anna sings", columns[1]: spans}]
    rows += [{columns[0]: f"Bob{i} runs", columns[1]: [[0, 4, "PER"]]} for i in range(8)]
    path = write_jsonl(tmp_path / "a.jsonl", rows)
    recipe, _ = compose(file=None, overrides=(), arguments={"data.path": [str(path)], "data.split.test": 0.0})
    prepared = prepare(recipe)
    assert sum(len(table) for table in prepared.tables.values()) == 8
    said = {entry.reason for entry in prepared.ledger if entry.row == 1}
    assert reason in said
