"""The file formats of all tasks: what each gives, what is repaired, what is an error, and the ways there and back."""

import datetime
import gzip
import io
import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.core.errors import DataError, RecipeError
from tunesmith.data.formats import FORMATS
from tunesmith.data.formats.base import Content, FileFormat, Format, RowFormat
from tunesmith.data.read import read
from tunesmith.data.spec import DataSpec
from tunesmith.data.stream import stream
from tunesmith.data.table import Table


def put(folder, name, content):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if not isinstance(content, str | bytes):
        content = json.dumps(content, ensure_ascii=False)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def lines(rows):
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n"


def reading(*paths, task=None, **spec):
    return read(DataSpec(path=tuple(map(str, paths)), **spec), task=task)


def train(*paths, **spec):
    return reading(*paths, **spec).tables["train"]


def said(found, kind="changed"):
    return found.ledger.counts(kind)


def forms(found):
    return [form.name for form in found.forms]


def test_every_format_is_whole():
    for name in FORMATS:
        form = FORMATS[name]()
        assert isinstance(form, Format)
        assert (form.name, bool(form.title), bool(form.columns)) == (name, True, True)


def test_the_format_can_be_named_and_a_wrong_name_is_an_error():
    assert DataSpec(format="iob").format == "conll"
    with pytest.raises(ValueError, match="unknown format"):
        DataSpec(format="connl")
    with pytest.raises(RecipeError, match='did you mean "conll"'):
        FORMATS["connl"]


# CoNLL.

FOUR = """-DOCSTART- -X- -X- O

EU NNP B-NP B-ORG
rejects VBZ B-VP O

Peter NNP B-NP B-PER
Blackburn NNP I-NP I-PER

-DOCSTART- -X- -X- O

BRUSSELS NNP B-NP B-LOC
"""


def test_conll_four_columns_with_documents(tmp_path):
    found = reading(put(tmp_path, "eng.testa", FOUR.replace("\n", "\r\n")))
    table = found.tables["train"]
    assert list(table["tokens"]) == [["EU", "rejects"], ["Peter", "Blackburn"], ["BRUSSELS"]]
    assert list(table["tags"]) == [["B-ORG", "O"], ["B-PER", "I-PER"], ["B-LOC"]]
    assert table["column2"][0] == ["NNP", "VBZ"]
    assert list(table["doc"]) == [1, 1, 2]
    assert list(table.row_numbers) == [3, 6, 11]
    assert forms(found) == ["conll"]
    assert any("tags column 4 of 4" in note.message for note in found.notes)


def test_conll_tabs_keep_words_with_spaces(tmp_path):
    table = train(put(tmp_path, "a.tsv", "New York\tB-LOC\nis\tO\n\nbig \t O\n\n"))
    assert list(table["tokens"]) == [["New York", "is"], ["big"]]
    assert list(table["tags"]) == [["B-LOC", "O"], ["O"]]


def test_conll_mixed_separators_and_odd_blank_lines(tmp_path):
    table = train(put(tmp_path, "a.txt", "EU B-ORG\nsays\tO\n \t \n\n\nno  O\n"))
    assert list(table["tokens"]) == [["EU", "says"], ["no"]]
    assert list(table.row_numbers) == [1, 6]


def test_conll_no_break_spaces_are_words(tmp_path):
    table = train(put(tmp_path, "a.conll", "a O\n\u00a0 O\n\u200b\tO\nb B-X\n"))
    assert list(table["tokens"]) == [["a", "\u00a0", "\u200b", "b"]]


def test_conll_comments_and_hashtags(tmp_path):
    text = "# id 17\n# text = We love #NLP\nWe O\nlove O\n#NLP B-topic\n# O\n"
    found = reading(put(tmp_path, "a.conll", text))
    assert list(found.tables["train"]["tokens"]) == [["We", "love", "#NLP", "#"]]
    assert any("2 lines begin with #" in note.message for note in found.notes)


def test_conll_numbered_words(tmp_path):
    text = "1\tSchartau\tB-PER\tO\n2\tsagte\tO\tO\n\n1\tIn\tO\tO\n2-3\tzum\tO\tO\n2\tBonn\tB-LOC\tO\n"
    table = train(put(tmp_path, "a.conll", text))
    assert list(table["tokens"]) == [["Schartau", "sagte"], ["In", "Bonn"]]
    assert list(table["column3"]) == [["B-PER", "O"], ["O", "B-LOC"]]


def test_conll_a_word_without_a_tag_sets_its_sentence_aside(tmp_path):
    found = reading(put(tmp_path, "a.conll", "a O\nb B-X\n\nc\nd O\n\ne O\n"))
    assert list(found.tables["train"]["tokens"]) == [["a", "b"], ["e"]]
    assert said(found, "set aside") == {"a word without a tag": 1}
    assert [entry.row for entry in found.ledger] == [4]


def test_conll_without_tags_is_for_prediction(tmp_path):
    table = train(put(tmp_path, "a.conll", "one\ntwo\n\nthree\n"))
    assert list(table.columns) == ["tokens"]


def test_conll_parts_of_speech_only_where_they_are_wanted(tmp_path):
    path = put(tmp_path, "a.txt", "The DT\nman NN\nsees VB\nthe DT\ndog NN\n\n" * 10)
    assert list(train(path).columns) == ["text"]
    assert train(path, task="token-classification")["tags"][0] == ["DT", "NN", "VB", "DT", "NN"]
    assert list(train(path, format="conll").columns) == ["tokens", "tags"]


@pytest.mark.parametrize("content", ["# only\n# comments\n", "\n \n"])
def test_conll_without_words_is_an_error(tmp_path, content):
    with pytest.raises(DataError, match=r"no words in it|the file is empty"):
        train(put(tmp_path, "a.conll", content))


def test_a_folder_of_conll_splits(tmp_path):
    for name in ("train.conll", "dev.conll", "test.conll"):
        put(tmp_path, f"set/{name}", FOUR)
    put(tmp_path, "set/README.md", "about")
    assert sorted(reading(tmp_path / "set").tables) == ["dev", "test", "train"]


# Spans of characters.

TEXT = "Anna lives in New York."
SPANS = [{"start": 0, "end": 4, "label": "PER"}, {"start": 14, "end": 22, "label": "LOC"}]
TRIPLES = [[0, 4, "PER"], [14, 22, "LOC"]]


def bare(cell):
    return [{name: span[name] for name in ("start", "end", "label")} for span in cell]


def check_anna(table):
    assert table["text"][0] == TEXT
    assert bare(table["spans"][0]) == SPANS


@pytest.mark.parametrize(
    "row",
    [
        {"text": TEXT, "label": TRIPLES},
        {"text": TEXT, "labels": TRIPLES, "id": 4},
        {"text": TEXT, "entities": TRIPLES},
        {"data": TEXT, "label": TRIPLES},
        {"text": TEXT, "entities": [{"id": 1, "label": "PER", "start_offset": 0, "end_offset": 4}, SPANS[1]]},
        {"text": TEXT, "label": [{"start": 0, "end": 4.0, "labels": ["PER"], "text": "Anna"}, SPANS[1]]},
        {"text": TEXT, "spans": SPANS},
    ],
)
def test_doccano_and_its_relatives(tmp_path, row):
    for name, content in (("a.jsonl", lines([row])), ("a.json", [row, {**row, "label": []}])):
        found = reading(put(tmp_path, name, content))
        check_anna(found.tables["train"])
        assert forms(found) == ["doccano"]
        assert found.notes[0].topic == "format"


def test_spans_in_a_csv_file(tmp_path):
    text = f'text,label\n{TEXT},"[[0, 4, ""PER""], [14, 22, ""LOC""]]"\nNobody.,[]\nNo one.,\n'
    found = reading(put(tmp_path, "a.csv", text))
    check_anna(found.tables["train"])
    assert list(found.tables["train"]["spans"])[1:] == [[], None]


def test_doccano_keeps_other_columns_and_rows_without_spans(tmp_path):
    rows = [
        {"id": 7, "text": TEXT, "label": TRIPLES},
        {"id": 8, "text": "None here.", "label": []},
        {"id": 9, "text": " "},
    ]
    found = reading(put(tmp_path, "a.jsonl", lines(rows)))
    assert list(found.tables["train"]["id"]) == [7, 8]
    assert list(found.tables["train"]["spans"])[1] == []
    assert said(found, "set aside") == {"no text": 1}


def test_spans_that_do_not_fit_their_text(tmp_path):
    quoted = [
        {"start": 15, "end": 23, "label": "LOC", "text": "New York"},
        {"start": 0, "end": 4, "label": "X", "text": "Bob"},
    ]
    rows = [
        {"text": TEXT, "label": [[0, 4, "PER"], [14, 99, "LOC"], [5, 5, "X"]]},
        {"text": TEXT, "label": [*quoted]},
        {"text": TEXT, "label": [[0, 4, "PER"], "Anna"]},
    ]
    found = reading(put(tmp_path, "a.jsonl", lines(rows)))
    assert [[s["label"] for s in cell] for cell in found.tables["train"]["spans"]] == [["PER"], ["LOC"], ["PER"]]
    assert found.tables["train"]["spans"][1] == [SPANS[1]]
    assert said(found) == {
        "span outside the text": 2,
        "span moved": 1,
        "span not where it says it is": 1,
        "not a span": 1,
    }


def test_labels_of_texts_are_no_spans(tmp_path):
    rows = [{"text": "good film", "label": ["pos", "short"]}, {"text": "bad", "label": ["neg"]}]
    found = reading(put(tmp_path, "a.jsonl", lines(rows)))
    assert forms(found) == []
    assert list(found.tables["train"].columns) == ["text", "label"]


PAIR = [TEXT, {"entities": TRIPLES}]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", [PAIR, ["x", {"entities": []}]]),
        ("a.jsonl", lines([PAIR, PAIR])),
        ("a.jsonl", lines([PAIR])),
        ("a.json", {"classes": ["PER"], "annotations": [PAIR, None]}),
    ],
)
def test_spacy_pairs(tmp_path, name, content):
    found = reading(put(tmp_path, name, content))
    check_anna(found.tables["train"])
    assert forms(found) == ["spacy"]


def test_spacy_pairs_that_are_none(tmp_path):
    found = reading(put(tmp_path, "a.jsonl", lines([PAIR] * 5) + "[broken\n"))
    assert said(found, "set aside") == {"not a pair of text and entities": 1}
    with pytest.raises(DataError, match="no pairs of text and entities"):
        reading(put(tmp_path, "b.json", [{"text": "x"}]), format="spacy")


def test_prodigy(tmp_path):
    words = [
        {"text": t, "start": s, "end": s + len(t), "id": i}
        for i, (t, s) in enumerate([("Anna", 0), ("lives", 5), (" ", 10), ("in", 11), ("New York", 14), (".", 22)])
    ]
    row = {"text": TEXT, "tokens": words, "spans": SPANS, "answer": "accept", "_input_hash": 1}
    found = reading(put(tmp_path, "a.jsonl", lines([row, {**row, "answer": "reject"}, {**row, "answer": "ignore"}])))
    check_anna(found.tables["train"])
    assert found.tables["train"]["word_places"] == [[[0, 4], [5, 10], [11, 13], [14, 22], [22, 23]]]
    assert said(found, "set aside") == {"not accepted": 2}
    assert forms(found) == ["prodigy"]


def studio(*annotations, text=TEXT, **more):
    return {"id": 3, "data": {"text": text, "source": "web"}, "annotations": list(annotations), **more}


def result(start, end, label, text=None):
    value = {"start": start, "end": end, "labels": [label], **({"text": text} if text else {})}
    return {"from_name": "label", "to_name": "text", "type": "labels", "value": value}


GOOD = {"result": [result(0, 4, "PER", "Anna"), result(14, 22, "LOC"), {"type": "relation", "from_id": "a"}]}


def test_label_studio(tmp_path):
    rows = [
        studio(GOOD),
        studio({"was_cancelled": True, "result": []}),
        studio(),
        studio({"result": []}, {**GOOD, "ground_truth": True}),
        studio({"result": [result(16, 24, "LOC", "New York")]}, text="😀😀" + TEXT),
    ]
    found = reading(put(tmp_path, "a.json", rows))
    table = found.tables["train"]
    check_anna(table)
    assert table["spans"][1] == SPANS
    assert table["text"][2][table["spans"][2][0]["start"] :].startswith("New York")
    assert list(table["source"]) == ["web"] * 3
    assert said(found, "set aside") == {"annotation skipped": 1, "not annotated": 1}
    shown = " ".join(note.message for note in found.notes)
    assert "1 task has several annotations" in shown
    assert "2 results are no span" in shown


def test_label_studio_html_and_odd_fields(tmp_path):
    value = {
        "globalOffsets": {"start": 0, "end": 4},
        "start": "/p[1]",
        "end": "/p[1]",
        "hypertextlabels": ["PER", "VIP"],
    }
    row = {"data": {"title": "t", "body": TEXT}, "completions": [{"result": [{"value": {**value, "text": "Anna"}}]}]}
    table = train(put(tmp_path, "a.json", [row]))
    assert table["text"] == [TEXT]
    assert [span["label"] for span in table["spans"][0]] == ["PER", "VIP"]
    assert table["title"] == ["t"]


ANN = "T1\tPER 0 4\tAnna\nT2\tLOC 14 17;18 22\tNew York\nR1\tlives Arg1:T1 Arg2:T2\n#1\tAnnotatorNotes T1\tsure\n"


def test_brat_folder(tmp_path):
    put(tmp_path, "b/one.txt", TEXT)
    put(tmp_path, "b/one.ann", ANN)
    put(tmp_path, "b/two.txt", "Nobody.")
    put(tmp_path, "b/two.ann", "")
    found = reading(tmp_path / "b")
    table = found.tables["train"]
    check_anna(table)
    assert list(table["doc"]) == ["one", "two"]
    assert table.where(1).file.endswith("two.txt")
    assert any(
        "2 lines are not about spans, and not used: 1 relations, 1 notes" in note.message for note in found.notes
    )
    assert len(found.sources) == 1
    assert said(found) == {"not used: relations": 1, "not used: notes": 1}
    assert [(Path(entry.file).name, entry.row, entry.detail) for entry in found.ledger] == [
        ("one.ann", 3, "R1\tlives Arg1:T1 Arg2:T2"),
        ("one.ann", 4, "#1\tAnnotatorNotes T1\tsure"),
    ]


def test_brat_repairs(tmp_path):
    put(tmp_path, "one.txt", "Anna and Bob Smith\r\nleft.")
    ann = put(tmp_path, "one.ann", "T1\tPER 0 4;13 18\tAnna Smith\nT2\tPER 8 11\tBob\nT3\tbroken\nT4\tX 15 22\tleft\n")
    found = reading(ann)
    texts = [found.tables["train"]["text"][0][s["start"] : s["end"]] for s in found.tables["train"]["spans"][0]]
    assert texts == ["Anna and Bob Smith", "Bob", "left"]
    assert said(found) == {"span in pieces joined": 1, "span moved": 2, "not a span": 1}
    assert [entry.row for entry in found.ledger] == [1, 2, 3, 4]


def test_brat_splits_and_errors(tmp_path):
    for split in ("train", "test"):
        for i in range(2):
            put(tmp_path, f"b/{split}/{i}.txt", TEXT)
            put(tmp_path, f"b/{split}/{i}.ann", ANN)
    found = reading(tmp_path / "b")
    assert {name: len(table) for name, table in found.tables.items()} == {"train": 2, "test": 2}
    alone = put(tmp_path, "c/alone.txt", TEXT)
    with pytest.raises(DataError, match=r"no \.txt and \.ann of one name"):
        reading(alone, format="brat")
    put(tmp_path, "d/empty.txt", " ")
    with pytest.raises(DataError, match="no usable rows; the first was set aside: no text"):
        reading(put(tmp_path, "d/empty.ann", ANN))


def test_class_folders_and_text_files_stay_what_they_are(tmp_path):
    for label in ("pos", "neg"):
        put(tmp_path, f"c/{label}/1.txt", "some text")
    assert sorted(train(tmp_path / "c")["label"]) == ["neg", "pos"]


# Words with tags.


def test_lists_of_words_pass_as_they_are(tmp_path):
    import pandas as pd

    rows = [{"tokens": ["EU", "says"], "ner_tags": ["B-ORG", "O"]}, {"tokens": ["no"], "ner_tags": ["O"]}]
    pd.DataFrame(rows).to_parquet(tmp_path / "a.parquet")
    for path in (put(tmp_path, "a.jsonl", lines(rows)), put(tmp_path, "a.json", rows), tmp_path / "a.parquet"):
        table = train(path)
        assert list(table.columns) == ["tokens", "ner_tags"]
        assert list(table["tokens"]) == [["EU", "says"], ["no"]]


@pytest.mark.parametrize(
    ("words", "tags"),
    [
        ("['EU', \"it's\"]", "['B-ORG', 'O']"),
        ('["EU", "it\'s"]', '["B-ORG", "O"]'),
        ("['EU' \"it's\"]", "['B-ORG'\n 'O']"),
        ("['EU', \"it's\"]", "[3 0]"),
    ],
)
def test_lists_written_as_text(tmp_path, words, tags):
    import csv

    stream_ = io.StringIO()
    csv.writer(stream_).writerows([["tokens", "tags"], [words, tags], [words, tags]])
    table = train(put(tmp_path, "a.csv", stream_.getvalue()))
    assert table["tokens"][0] == ["EU", "it's"]
    assert len(table["tags"][0]) == 2


def test_cells_of_parquet_files_are_as_text_holds_them(tmp_path):
    day, time = datetime.date(2024, 5, 12), datetime.datetime(2024, 5, 12, 8, 30)
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = {
        "text": ["schön".encode(), b"so"],
        "day": [day, None],
        "label": [time, datetime.datetime(2024, 5, 12)],
        "price": [Decimal("1.50"), Decimal("2.00")],
    }
    pq.write_table(pa.table(rows), tmp_path / "a.parquet")
    found = train(tmp_path / "a.parquet")
    assert list(found["text"]) == ["schön", "so"]
    assert list(found["label"]) == ["2024-05-12 08:30:00", "2024-05-12"]
    assert list(found["day"]) == ["2024-05-12", None]
    assert list(found["price"]) == ["1.50", "2.00"]
    pq.write_table(pa.table({**rows, "text": [b"so", b"\xff\xfe"]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="bytes that are no text"):
        train(tmp_path / "a.parquet")


def test_names_of_tags_in_parquet_files_of_datasets(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    tags = {"feature": {"names": ["O", "B-ORG"], "_type": "ClassLabel"}, "_type": "Sequence"}
    features = {"ner_tags": tags, "label": {"names": ["no", "yes"], "_type": "ClassLabel"}, "odd": [], "other": [tags]}
    table = pa.table({"tokens": [["EU", "says"], ["no"]], "ner_tags": [[1, 0], [-1]], "label": [1, 0]})
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "a.parquet")
    found = train(tmp_path / "a.parquet")
    assert list(found["ner_tags"]) == [["B-ORG", "O"], [-1]]
    assert list(found["label"]) == [1, 0]


def test_lists_of_other_lengths_are_set_aside(tmp_path):
    rows = [{"tokens": ["EU", "says"], "tags": ["O", "O"]}, {"tokens": ["no"], "tags": []}, {"tokens": [], "tags": []}]
    found = reading(put(tmp_path, "a.jsonl", lines(rows)), format="tokens")
    assert said(found, "set aside") == {"not as many tags as words": 1, "no words": 1}
    with pytest.raises(DataError, match="no column with words"):
        reading(put(tmp_path, "b.jsonl", lines([{"text": "a"}])), format="tokens")


KAGGLE = """Sentence #,Word,POS,Tag
Sentence: 1,Thousands,NNS,O
,of,IN,O
,London,NNP,B-geo
Sentence: 2,Iranian,JJ,B-gpe
,officials,NNS,O
"""


def test_a_word_a_row(tmp_path):
    found = reading(put(tmp_path, "ner_dataset.csv", KAGGLE.encode("latin-1")))
    table = found.tables["train"]
    assert list(table["tokens"]) == [["Thousands", "of", "London"], ["Iranian", "officials"]]
    assert list(table["tags"]) == [["O", "O", "B-geo"], ["B-gpe", "O"]]
    assert list(table["POS"])[1] == ["JJ", "NNS"]
    assert list(table.row_numbers) == [2, 5]
    assert forms(found) == ["word-rows"]
    numbered = put(tmp_path, "b.jsonl", lines({"sent_id": i // 3, "token": "w", "label": "O"} for i in range(9)))
    assert list(map(len, train(numbered)["tokens"])) == [3, 3, 3]
    assert [len(piece) for piece in pieces(numbered)] == [2, 1]


def test_a_word_a_row_with_gaps(tmp_path):
    found = reading(put(tmp_path, "a.csv", KAGGLE.replace("of,IN,O", "of,IN,") + "3,,X,O\n3,b,X,O\n"))
    assert said(found, "set aside") == {"a word without a tag": 1, "a tag without a word": 1}
    with pytest.raises(DataError, match="no columns for sentence, word and tag"):
        reading(put(tmp_path, "b.csv", "a,b\nx y,z\nv w,z\n"), format="word-rows")


# Question answering.

CONTEXT = "Anna met Bob in 1999. Bob left in 2001 with 1999 coins."


def squad(*qas, context=CONTEXT, title="People"):
    return {"version": "v2.0", "data": [{"title": title, "paragraphs": [{"context": context, "qas": list(qas)}]}]}


def qa(*answers, key="q", **more):
    return {"id": key, "question": "Who?", "answers": [{"text": t, "answer_start": s} for t, s in answers], **more}


def test_squad(tmp_path):
    content = squad(qa(("Bob", 9), ("Bob", 9)), qa(key="none", is_impossible=True, plausible_answers=[]))
    found = reading(put(tmp_path, "a.json", content))
    table = found.tables["train"]
    assert list(table["id"]) == ["q", "none"]
    assert list(table["title"]) == ["People"] * 2
    assert list(table["context"]) == [CONTEXT] * 2
    assert list(table["answers"]) == [[{"text": "Bob", "start": 9}] * 2, []]
    assert list(table.row_numbers) == [1, 2]
    assert not len(found.ledger)


@pytest.mark.parametrize(
    ("text", "start", "placed", "reason"),
    [
        ("Anna", 3, ("Anna", 0), "answer moved"),
        ("2001", -1, ("2001", 34), "answer moved"),
        ("Bob", 12, ("Bob", 9), "answer moved"),
        ("1999", 15, ("1999", 16), "answer moved"),
        ("bob in 1999", 9, ("Bob in 1999", 9), "answer spelled as in the context"),
        ("Bob ", 9, ("Bob", 9), "white space around the answer"),
    ],
)
def test_answers_are_mended_where_that_is_certain(tmp_path, text, start, placed, reason):
    found = reading(put(tmp_path, "a.json", squad(qa((text, start)))))
    assert found.tables["train"]["answers"] == [[{"text": placed[0], "start": placed[1]}]]
    assert said(found) == {reason: 1}


def test_lost_answers_never_make_a_question_unanswerable(tmp_path):
    content = squad(
        qa(("Carl", 3)),
        qa(("Bob", -1)),
        qa(("Carl", 3), ("Anna", 0)),
        qa(("Anna", 0), is_impossible=True),
        qa(is_impossible=False),
        qa(),
        {"id": "x", "question": " ", "answers": []},
    )
    found = reading(put(tmp_path, "a.json", content))
    assert list(found.tables["train"]["answers"]) == [[{"text": "Anna", "start": 0}], []]
    assert said(found) == {"answer not in the context": 1}
    assert said(found, "set aside") == {
        "answer not in the context": 2,
        "is_impossible contradicts the answers": 2,
        "no question": 1,
    }
    shown = " ".join(note.message for note in found.notes)
    assert "1 question has no answer, and nothing says why" in shown
    assert "1 id stands for several questions: q" in shown


def test_squad_for_prediction_and_errors(tmp_path):
    table = train(put(tmp_path, "a.json", squad({"id": "q", "question": "Who?"})))
    assert list(table.columns) == ["id", "title", "context", "question"]
    with pytest.raises(DataError, match="no questions in it"):
        reading(put(tmp_path, "b.json", [{"text": "x"}]), format="squad")
    with pytest.raises(DataError, match="no usable rows; the first was set aside: no context"):
        reading(put(tmp_path, "c.json", squad(qa(("a", 0)), context="")))


FLAT = {"id": "q", "question": "Who?", "context": CONTEXT}
PANDAS = "{'text': array(['Bob'], dtype=object), 'answer_start': array([9], dtype=int32)}"


@pytest.mark.parametrize(
    "answers",
    [
        {"answers": {"text": ["Bob"], "answer_start": [9]}},
        {"answers": [{"text": "Bob", "answer_start": 9}]},
        {"answers": [{"text": "Bob", "start": 9}]},
        {"answers": PANDAS},
        {"answers": '{"text": ["Bob"], "answer_start": [9]}'},
    ],
)
def test_flat_questions(tmp_path, answers):
    for name, content in (("a.jsonl", lines([{**FLAT, **answers}])), ("a.json", [{**FLAT, **answers}] * 2)):
        found = reading(put(tmp_path, name, content))
        assert found.tables["train"]["answers"][0] == [{"text": "Bob", "start": 9}]
        assert forms(found) == ["qa"]


def test_flat_questions_from_parquet(tmp_path):
    import pandas as pd

    answers = [{"text": ["Bob"], "answer_start": [9]}, {"text": [], "answer_start": []}]
    pd.DataFrame([{**FLAT, "answers": one} for one in answers]).to_parquet(tmp_path / "a.parquet")
    assert list(train(tmp_path / "a.parquet")["answers"]) == [[{"text": "Bob", "start": 9}], []]


def test_answers_as_plain_text(tmp_path):
    rows = (
        "question,context,answer,answer_start\nWho?,Anna met Bob,Bob,9\nWhen?,Anna met Bob,,\nWho?,Bob and Bob,Bob,\n"
    )
    path = put(tmp_path, "a.csv", rows)
    assert list(train(path).columns) == ["question", "context", "answer", "answer_start"]
    found = reading(path, task="question-answering")
    assert list(found.tables["train"]["answers"]) == [[{"text": "Bob", "start": 9}], [], [{"text": "Bob", "start": 0}]]
    assert said(found) == {"answer occurs several times, the first is taken": 1}
    assert list(found.tables["train"]["id"]) == ["2", "3", "4"]
    with pytest.raises(DataError, match="no column with the context"):
        reading(put(tmp_path, "b.jsonl", lines([{"question": "a"}])), format="qa")


def test_is_impossible_in_flat_rows(tmp_path):
    rows = [
        {**FLAT, "answer": "Anna", "is_impossible": "False"},
        {**FLAT, "answer": "", "is_impossible": "True"},
        {**FLAT, "answer": "Anna", "is_impossible": 1},
    ]
    found = reading(put(tmp_path, "a.jsonl", lines(rows)), task="question-answering")
    assert list(found.tables["train"]["answers"]) == [[{"text": "Anna", "start": 0}], []]
    assert said(found, "set aside") == {"is_impossible contradicts the answers": 1}


# Pairs.


def test_parallel_files(tmp_path):
    one, other = put(tmp_path, "train.en", "one\r\ntwo\r\n\r\nfour\r\n"), put(tmp_path, "train.de", "eins\nzwei\n\n \n")
    found = reading(one, other)
    table = found.tables["train"]
    assert list(table["source"]) == ["one", "two"]
    assert list(table["target"]) == ["eins", "zwei"]
    assert (table["source_language"][0], table["target_language"][0]) == ("en", "de")
    assert [(entry.reason, entry.row) for entry in found.ledger] == [
        ("both sides are empty", 3),
        ("no target text", 4),
    ]
    assert any("source: en" in note.message and "target: de" in note.message for note in found.notes)
    assert list(train(other, one)["source"]) == ["eins", "zwei"]
    assert [source["n_rows"] for source in found.sources] == [2, 2]


def test_a_folder_of_parallel_files(tmp_path):
    for split in ("train", "valid", "test"):
        for side, text in (("en", "a\n"), ("de", "b\n")):
            put(tmp_path, f"p/{split}.{side}.gz", gzip.compress(text.encode()))
    found = reading(tmp_path / "p")
    assert sorted(found.tables) == ["dev", "test", "train"]
    assert list(found.tables["train"]["source"]) == ["b"]
    for name, side in (("x.tgt", "t"), ("x.src", "s")):
        put(tmp_path, f"q/{name}", f"{side}\n")
    assert list(train(tmp_path / "q")["source"]) == ["s"]
    for name in ("news.de-en.en", "news.de-en.de"):
        put(tmp_path, f"r/{name}", f"{name}\n")
    assert list(train(tmp_path / "r")["source"]) == ["news.de-en.de"]
    for name in ("en.txt", "fr.txt"):
        put(tmp_path, f"s/{name}", f"{name}\n")
    assert list(train(tmp_path / "s")["target"]) == ["fr.txt"]


def test_parallel_files_named_by_hand(tmp_path):
    one, other = put(tmp_path, "a.txt", "one\n"), put(tmp_path, "b.txt", "eins\n")
    assert list(train(one, other)["text"]) == ["one", "eins"]
    assert list(train(one, other, format="parallel").columns) == ["source", "target"]
    with pytest.raises(DataError, match="no two files that belong together"):
        reading(one, format="parallel")
    for name in ("t.en", "t.de", "t.fr"):
        put(tmp_path, f"three/{name}", "x\n")
    with pytest.raises(DataError, match="there are 3 files"):
        reading(tmp_path / "three")


def numbered(n):
    texts = ["A dog runs {}.", "Two men, {} women and a child stand near the old bridge in the rain {}.", "Number {}!"]
    return [texts[i % 3].format(i, i) for i in range(n)]


@pytest.mark.parametrize("missing", [[17], [5, 40], [0], [59]])
def test_parallel_files_out_of_step(tmp_path, missing):
    source = numbered(60)
    target = [line.upper() for i, line in enumerate(source) if i not in missing]
    one, other = put(tmp_path, "t.en", "\n".join(source)), put(tmp_path, "t.de", "\n".join(target))
    for paths in ((one, other), (other, one)):
        with pytest.raises(DataError, match=f"60 lines.* {60 - len(missing)}|{60 - len(missing)} lines.* 60") as caught:
            reading(*paths)
        if missing != [59]:
            assert f"from about line {missing[0] + 1}" in str(caught.value)
            assert caught.value.problems[0].where.file == str(other)


def test_a_recipe_in_the_place_of_data_is_recognised(tmp_path):
    recipe = put(tmp_path, "both.yaml", "data: rows.csv")
    with pytest.raises(DataError, match=r"files are not supported.*fix: if it is a recipe: -c .*both\.yaml"):
        reading(recipe)


def test_one_side_of_parallel_files_names_the_other(tmp_path):
    one, other = put(tmp_path, "train.de", "a\nb\n"), put(tmp_path, "train.en", "c\nd\n")
    for more in ({}, {"task": "translation"}):
        with pytest.raises(DataError, match=r"one side of parallel text, and train\.en lies beside it") as caught:
            reading(one, **more)
        assert caught.value.problems[0].fix == f"name both, the source first: {one} {other}"
    with pytest.raises(DataError, match="files are not supported"):
        reading(one, task="text-generation")
    assert list(train(one, other)["source"]) == ["a", "b"]
    other.unlink()
    with pytest.raises(DataError, match="files are not supported"):
        reading(one)
    with pytest.raises(DataError, match="one side of parallel text"):
        reading(one, task="summarization")


def test_one_side_is_enough_to_be_translated(tmp_path):
    path = put(tmp_path, "test.de", "eins\r\n\nzwei\n")
    (table,) = stream(str(path), DataSpec(), task="translation")
    assert table.columns == {"source": ["eins", "", "zwei"]}
    assert table.where(2).row == 3


def test_parallel_files_that_have_nothing_to_do_with_each_other(tmp_path):
    one, other = put(tmp_path, "t.en", "a\n" * 90), put(tmp_path, "t.de", "b\n" * 10)
    with pytest.raises(DataError, match="90 lines") as caught:
        reading(one, other)
    assert "out of step" not in str(caught.value)


def test_tsv(tmp_path):
    text = 'Hello\tHallo\n"Yes," she said\tJa\textra\nalone\nNo\t \n' + "a\tb\n" * 8
    path = put(tmp_path, "a.tsv", text)
    found = reading(path, task="translation")
    table = found.tables["train"]
    assert list(table["source"])[:2] == ["Hello", '"Yes," she said']
    assert table["column3"][1] == "extra"
    assert said(found, "set aside") == {"no tab in this line": 1, "no target text": 1}
    assert list(table.row_numbers)[:3] == [1, 2, 5]
    headed = train(put(tmp_path, "b.tsv", "en\tde\nHello\tHallo\n"), format="tsv")
    assert headed["target_language"] == ["de"]
    with pytest.raises(DataError, match="most lines are no pairs"):
        reading(put(tmp_path, "c.tsv", "a\nb\nc\td\n"), format="tsv")


TMX = """<?xml version="1.0"?>
<!DOCTYPE tmx SYSTEM "tmx14.dtd">
<tmx version="1.4"><header srclang="EN" datatype="plaintext"/><body>
<tu><tuv xml:lang="de"><seg>Hallo &amp; <bpt i="1">&lt;b&gt;</bpt>willkommen<ept i="1">&lt;/b&gt;</ept></seg></tuv>
<tuv xml:lang="en"><seg>Hello &amp; <hi>welcome</hi></seg></tuv></tu>
<tu><tuv lang="en"><seg>only</seg></tuv><tuv lang="fr"><seg>seul</seg></tuv></tu>
</body></tmx>"""


def test_tmx(tmp_path):
    found = reading(put(tmp_path, "a.tmx", TMX))
    table = found.tables["train"]
    assert list(table["source"]) == ["Hello & welcome"]
    assert list(table["target"]) == ["Hallo & willkommen"]
    assert (table["source_language"][0], table["target_language"][0]) == ("en", "de")
    assert list(table.row_numbers) == [4]
    assert said(found, "set aside") == {"no target text": 1}
    assert any("not used: fr" in note.message for note in found.notes)
    utf16 = put(tmp_path, "b.tmx", TMX.replace("?>", ' encoding="UTF-16"?>', 1).encode("utf-16"))
    assert list(train(utf16)["target"]) == ["Hallo & willkommen"]


BOMB = '<!DOCTYPE tmx [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (TMX.replace('<!DOCTYPE tmx SYSTEM "tmx14.dtd">', BOMB), "declares XML entities"),
        (TMX.replace('"tmx14.dtd"', '"tmx14.dtd" [<!ENTITY x SYSTEM "file:///etc/passwd">]'), "declares XML entities"),
        (TMX.replace("</seg>", "", 1), "not valid XML"),
        ("<tmx><body><tu><tuv xml:lang='en'><seg>a</seg></tuv></tu></body></tmx>", "not two languages"),
    ],
)
def test_tmx_that_is_not_read(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        reading(put(tmp_path, "a.tmx", content))


def test_pairs(tmp_path):
    nested = train(put(tmp_path, "a.jsonl", lines([{"id": 1, "translation": {"en": "a", "de": "b"}}] * 2)))
    assert (nested["source"][0], nested["target_language"][0], nested["id"][0]) == ("a", "de", 1)
    path = put(tmp_path, "b.csv", "de,en\nAlpha,Beta\nGamma delta,Epsilon\n")
    assert list(train(path).columns) == ["de", "en"]
    assert list(train(path, task="translation")["source"]) == ["Alpha", "Gamma delta"]
    with pytest.raises(DataError, match="not clear which texts are a pair"):
        reading(path.with_name(put(tmp_path, "c.jsonl", lines([{"a": 1}])).name), format="pairs")


# Text generation.


def test_prompts(tmp_path):
    rows = [
        {"instruction": "Translate", "input": "one", "output": "eins", "id": 1},
        {"instruction": "Say hi", "input": "", "output": "hi"},
        {"instruction": "x", "output": " "},
        {"instruction": "", "output": "y"},
    ]
    path = put(tmp_path, "a.jsonl", lines(rows))
    assert list(train(path).columns) == ["instruction", "input", "output", "id"]
    found = reading(path, format="prompts")
    assert list(found.tables["train"]["prompt"]) == ["Translate\n\none", "Say hi"]
    assert list(found.tables["train"]["completion"]) == ["eins", "hi"]
    assert said(found, "set aside") == {"no completion": 1, "no prompt": 1}
    assert list(train(put(tmp_path, "b.jsonl", lines(rows[:2])), task="text-generation")["completion"]) == [
        "eins",
        "hi",
    ]
    with pytest.raises(DataError, match="no prompts with completions"):
        reading(put(tmp_path, "c.jsonl", lines([{"a": 1}])), format="prompts")


@pytest.mark.parametrize("name", ["new.jsonl", "new.csv"])
def test_instructions_to_be_followed_need_no_completion(tmp_path, name):
    rows = [("Translate", "one"), ("Say hi", "")]
    content = (
        lines([{"instruction": a, "input": b} for a, b in rows])
        if name == "new.jsonl"
        else "instruction,input,output\n" + "".join(f"{a},{b},\n" for a, b in rows)
    )
    path = put(tmp_path, name, content)
    (table,) = stream(path, DataSpec(), task="text-generation", wanted="prompt")
    assert list(table["prompt"]) == ["Translate\n\none", "Say hi"]
    assert "completion" not in table.columns


MESSAGES = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]


@pytest.mark.parametrize(
    "row",
    [
        {"messages": MESSAGES},
        {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]},
        {"messages": [{"role": "User", "content": [{"type": "text", "text": "Hi"}]}, MESSAGES[1]]},
    ],
)
def test_chat(tmp_path, row):
    for name, content in (("a.jsonl", lines([row])), ("b.jsonl", lines([row] * 3)), ("a.json", [row])):
        found = reading(put(tmp_path, name, content))
        assert found.tables["train"]["messages"][0] == MESSAGES
        assert forms(found) == ["chat"]


def test_chat_that_is_not_whole(tmp_path):
    picture = [{"type": "image_url", "image_url": "x"}]
    rows = [
        {"messages": MESSAGES, "system": "Be kind."},
        {"messages": [{"role": "user", "content": picture}]},
        {"messages": [{"role": "user", "content": None}]},
        {"messages": [{"content": "x"}]},
        {"messages": []},
    ]
    found = reading(put(tmp_path, "a.jsonl", lines(rows)), format="chat")
    assert found.tables["train"]["messages"][0][0] == {"role": "system", "content": "Be kind."}
    assert said(found, "set aside") == {
        "a message that holds something other than text": 1,
        "a message without text": 1,
        "a message without role and content": 1,
        "no messages": 1,
    }
    with pytest.raises(DataError, match="no column with messages"):
        reading(put(tmp_path, "b.jsonl", lines([{"a": 1}])), format="chat")


def test_plain_text(tmp_path):
    broken = put(tmp_path, "a.txt", "It was the best\nof times.\n\nIt was the\nworst of times.\n")
    assert list(train(broken)["text"]) == ["It was the best", "of times.", "It was the", "worst of times."]
    table = train(broken, format="text")
    assert list(table["text"]) == ["It was the best of times.", "It was the worst of times."]
    assert list(table.row_numbers) == [1, 4]
    lined = put(tmp_path, "b.txt", "A long paragraph.\nAnother one.\n\nA third.\n")
    assert len(train(lined, task="text-generation")) == 3
    texts = [" ".join(["mail"] * (3 + 7 * i % 9)) for i in range(40)]
    listed = put(tmp_path, "c.txt", "\n".join([*texts[:30], "", *texts[30:]]))
    assert len(train(listed, format="text")) == 40, "one blank line makes no paragraphs of a list"


# Reading in pieces, for prediction.


def pieces(path, **more):
    return list(stream(str(path), DataSpec(**more.pop("spec", {})), chunk_rows=2, **more))


def test_formats_are_streamed(tmp_path):
    rows = [{"text": TEXT, "label": TRIPLES}] * 5
    found = pieces(put(tmp_path, "a.jsonl", lines(rows)))
    assert [len(table) for table in found] == [2, 2, 1]
    check_anna(found[2])
    assert list(found[2].row_numbers) == [5]
    assert [len(t) for t in pieces(put(tmp_path, "a.conll", FOUR))] == [2, 1]
    assert [len(t) for t in pieces(put(tmp_path, "p.jsonl", lines([PAIR] * 3)))] == [2, 1]
    flat = "question,context,answer\n" + "Who?,Anna met Bob,Bob\n" * 3
    found = pieces(put(tmp_path, "q.csv", flat), task="question-answering")
    assert found[1]["answers"] == [[{"text": "Bob", "start": 9}]]


def test_conll_from_standard_input(monkeypatch):
    monkeypatch.setattr("sys.stdin", type("Stdin", (), {"buffer": io.BytesIO(FOUR.encode())}))
    assert [len(table) for table in pieces("-")] == [2, 1]


def test_tables_with_other_columns_are_no_headless_pairs(tmp_path):
    path = put(tmp_path, "a.tsv", "id\tsource\ttarget\n1\tHello\tHallo\n2\tYes\tJa\n")
    assert list(train(path, task="translation").columns) == ["source", "target", "id"]
    path = put(tmp_path, "b.tsv", "document\tsummary\nA long text.\tText.\nAnother text.\tMore.\n")
    assert list(train(path, task="summarization").columns) == ["document", "summary"]


def test_predictions_lose_no_rows(tmp_path):
    rows = [{"text": TEXT, "label": TRIPLES}, {"text": "", "label": []}]
    with pytest.raises(DataError, match="this row can't be used: no text"):
        pieces(put(tmp_path, "a.jsonl", lines(rows)))
    with pytest.raises(DataError, match="this row can't be used: a word without a tag"):
        pieces(put(tmp_path, "a.conll", "a O\nb B-X\n\nc\n"))


# What plain tables are, they stay.


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "text,label\ngood film,pos\nbad film,neg\n"),
        ("a.tsv", "good film\tpos\nbad film\tneg\n\nso so\tpos\n"),
        ("a.jsonl", lines([{"prompt": "good film", "completion": "pos"}, {"prompt": "bad", "completion": "neg"}])),
        ("a.jsonl", lines([{"instruction": "Rate", "input": "good", "output": "pos"}] * 2)),
        ("a.jsonl", lines([{"question": "Is it?", "context": "It is true.", "answer": "true"}] * 2)),
        ("a.jsonl", lines([{"text": "a b", "labels": ["x", "y"]}] * 2)),
        ("a.json", [{"source": "a", "target": "b"}] * 2),
        ("a.txt", "one line\nanother line\n"),
        ("a.csv", "en,de\nHello,Hallo\nYes please,Ja\n"),
    ],
)
def test_auto_leaves_plain_tables_alone(tmp_path, name, content):
    path = put(tmp_path, name, content)
    auto, plain = reading(path), reading(path, format="table")
    assert forms(auto) == []
    assert auto.tables["train"] == plain.tables["train"]
    assert auto.notes == plain.notes


def test_a_task_without_formats_guesses_none(tmp_path):
    path = put(tmp_path, "a.jsonl", lines([{"text": TEXT, "label": TRIPLES}] * 2))
    assert list(train(path, task="text-classification").columns) == ["text", "label"]
    assert list(train(path, format="table").columns) == ["text", "label"]


def test_a_format_a_file_can_not_have(tmp_path):
    with pytest.raises(DataError, match="can't be conll"):
        import pandas as pd

        pd.DataFrame([{"a": 1}]).to_parquet(tmp_path / "a.parquet")
        reading(tmp_path / "a.parquet", format="conll")
    with pytest.raises(DataError, match="no column with spans"):
        reading(put(tmp_path, "a.jsonl", lines([{"text": "x"}])), format="doccano")


def test_writing_needs_the_right_columns(tmp_path):
    table = Table.of({"a": ["x"]}, file="a.csv")
    for name in ("conll", "doccano", "spacy", "prodigy", "label-studio", "brat", "chat", "prompts", "text"):
        with pytest.raises(DataError):
            FORMATS[name]().write(table, tmp_path / "out")


# Real data.


def tags_of(table):
    from tunesmith.data.tagging import detect, to_iob2

    scheme = detect(table["tags"])
    return scheme, [to_iob2(tags, scheme) for tags in table["tags"]]


def test_conll2003_iob1_becomes_the_iob2_others_made_of_it(data_folder):
    raw = train(data_folder / "conll2003" / "raw_4col_iob1" / "eng.testa.gz")
    scheme, converted = tags_of(raw)
    assert (scheme, len(raw), max(raw["doc"])) == ("iob1", 3250, 216)
    other = train(data_folder / "conll2003" / "dev.conll")
    assert list(raw["tokens"]) == list(other["tokens"])
    assert [tags for tags, _ in converted] == list(other["tags"])
    assert not any(repairs for _, repairs in converted)


@pytest.mark.parametrize(
    ("path", "n_rows", "n_spans"),
    [("conll2003/test.conll", 3453, 5648), ("wnut17/test.conll", 1287, 1079), ("conll2000/test.txt", 2012, 23852)],
)
def test_real_column_files(data_folder, path, n_rows, n_spans):
    from tunesmith.data.tagging import to_spans

    table = train(data_folder / path)
    scheme, converted = tags_of(table)
    assert (scheme, len(table)) == ("iob2", n_rows)
    assert sum(len(to_spans(tags)) for tags, _ in converted) == n_spans


def test_a_broken_column_file(data_folder):
    found = reading(data_folder / "messy" / "17_ner_broken.conll")
    scheme, converted = tags_of(found.tables["train"])
    reasons = {repair.reason for _, repairs in converted for repair in repairs}
    assert (scheme, len(converted)) == ("iob2", 201)
    assert reasons == {"stray E- or S-", "I- without B-", "tag in small letters"}
    assert max(map(len, found.tables["train"]["tokens"])) >= 2000


@pytest.mark.parametrize(
    ("path", "n_rows", "n_without"),
    [
        ("squadshifts/wiki_dev.json.gz", 1627, 0),
        ("xquad_en/test.json.gz", 1190, 0),
        ("subjqa/grocery_dev.json", 214, None),
    ],
)
def test_real_questions(data_folder, path, n_rows, n_without):
    found = reading(data_folder / "qa" / path)
    table = found.tables["train"]
    assert len(table) == n_rows
    assert not len(found.ledger)
    for context, answers in zip(table["context"], table["answers"], strict=True):
        assert all(context[a["start"] :].startswith(a["text"]) for a in answers)
    n = sum(not answers for answers in table["answers"])
    assert n == n_without if n_without is not None else n > 0


def test_broken_questions(data_folder):
    found = reading(data_folder / "messy" / "18_squad_bad_offsets.json")
    table = found.tables["train"]
    assert len(table) + sum(said(found, "set aside").values()) == 105
    assert said(found, "set aside") == {
        "answer not in the context": 9,
        "is_impossible contradicts the answers": 4,
        "no context": 1,
    }
    for context, answers in zip(table["context"], table["answers"], strict=True):
        assert all(context[a["start"] :].startswith(a["text"]) for a in answers)


def test_misaligned_files(data_folder):
    folder = data_folder / "messy"
    with pytest.raises(DataError, match=r"has 200 lines and .* 199") as caught:
        reading(folder / "21_misaligned.en", folder / "21_misaligned.de")
    assert abs(caught.value.problems[0].where.row - 101) <= 2


# Whatever comes: rows, or one error with a place.

KEYS = {
    "doccano": ["text", "label", "entities", "data", "spans"],
    "label-studio": ["data", "annotations", "completions", "id"],
    "prodigy": ["text", "tokens", "spans", "answer"],
    "tokens": ["tokens", "tags", "ner_tags", "words"],
    "word-rows": ["word", "tag", "sentence"],
    "qa": ["question", "context", "answers", "answer", "answer_start", "is_impossible", "id"],
    "chat": ["messages", "conversations", "system"],
    "prompts": ["prompt", "completion", "instruction", "input", "output"],
    "pairs": ["source", "target", "translation", "en", "de"],
}
INNER = [
    "start", "end", "label", "labels", "text", "answer_start", "role", "content", "from", "value", "result", "id",
    "en", "de", "globalOffsets", "was_cancelled",
]  # fmt: skip
CELLS = ["", "a", " a b ", "Anna met Bob", "O", "B-X", "user", "[[0, 1, 'X']]", "{'text': ['a'], 'answer_start': [0]}"]
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-1, 5), st.just(1.5), st.just(float("nan")), st.sampled_from(CELLS)
)
TRIPLE = st.tuples(st.integers(-1, 2), st.integers(1, 5), st.sampled_from(["X", None, 3, ["a"]])).map(list)
VALUES = st.recursive(
    st.one_of(LEAVES, TRIPLE),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(INNER), inner, max_size=4)),
    max_leaves=8,
)


def check_reads_or_explains(action):
    try:
        return action()
    except DataError as error:
        assert str(error)
        return None


@pytest.mark.parametrize("name", [name for name in FORMATS if issubclass(FORMATS[name], RowFormat)])
@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_any_rows(name, data):
    form = FORMATS[name]()
    row = st.dictionaries(st.sampled_from(KEYS[name]), VALUES, min_size=1)
    rows = data.draw(st.lists(row, min_size=1, max_size=4))
    for sure in (True, False):
        assert form.sniff(rows, sure=sure) in (True, False)
    table = check_reads_or_explains(lambda: form.read(list(enumerate(rows, 1)), "a.jsonl").table())
    written = check_reads_or_explains(lambda: form.write(table, Path("out"))) if table is not None else None
    assert written is None or written.files


@pytest.mark.parametrize("name", [name for name in FORMATS if issubclass(FORMATS[name], FileFormat)])
@settings(deadline=None, max_examples=150)
@given(text=st.one_of(st.text(), st.text(alphabet='ab# \t\n-DOCSTART{}[]"<tux>'), VALUES.map(json.dumps)))
def test_any_text(name, text):
    form = FORMATS[name]()
    for sure in (True, False):
        assert form.sniff(Content("a", "a", text), sure=sure) in (True, False)
    table = check_reads_or_explains(lambda: form.read(Content("a", "a", text)).table())
    if table is not None:
        assert form.write(table, Path("out")).files
