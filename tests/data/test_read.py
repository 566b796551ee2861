import gzip
import io
import json
import sys
import zipfile

import pytest

from tunesmith.core.errors import DataError
from tunesmith.data import text_stream
from tunesmith.data.read import read
from tunesmith.data.spec import DataSpec
from tunesmith.data.stream import stream

ROWS = [("warm and lovely", "good"), ("cold, dark", "bad"), ('he said "no"', "bad"), ("line\nbreak", "good")]
CSV = 'text,label\nwarm and lovely,good\n"cold, dark",bad\n"he said ""no""",bad\n"line\nbreak",good\n'


def one(path, **spec):
    return read(DataSpec(path=(str(path),), **spec)).tables["train"]


def put(tmp_path, name, content):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def zipped(*names):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in names:
            archive.writestr(name, "<x/>")
    return packed.getvalue()


def check_rows(table):
    assert list(zip(table["text"], table["label"], strict=True)) == ROWS


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_encodings(tmp_path, encoding):
    check_rows(one(put(tmp_path, "a.csv", CSV.encode(encoding))))


@pytest.mark.parametrize(("encoding", "said"), [("cp1252", "cp1252"), ("latin-1", "latin-1")])
def test_western_encodings_are_said(tmp_path, encoding, said):
    text = "é" if encoding == "latin-1" else "“é” – €"
    path = put(tmp_path, "a.csv", f"text,label\n{text} un deux,x\nfoo bar baz,y\n".encode(encoding))
    reading = read(DataSpec(path=(str(path),)))
    assert reading.tables["train"]["text"][0] == f"{text} un deux"
    assert said in reading.notes[0].message


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_and_crlf(tmp_path, delimiter):
    lines = [
        delimiter.join(row) for row in [("text", "label"), ("a long, long text", "x"), ("b; c", "y"), ("d e f", "x")]
    ]
    quoted = [line.replace("a long, long text", '"a long, long text"').replace("b; c", '"b; c"') for line in lines]
    table = one(put(tmp_path, "a.csv", "\r\n".join(quoted)))
    assert list(table["text"]) == ["a long, long text", "b; c", "d e f"]


def test_row_numbers_are_lines_of_the_file(tmp_path):
    table = one(put(tmp_path, "a.csv", 'text,label\n"one\ntwo",x\nthree four,y\n'))
    assert list(table.row_numbers) == [2, 4]


@pytest.mark.parametrize("pack", [gzip.compress, None])
def test_packed(tmp_path, pack):
    if pack:
        check_rows(one(put(tmp_path, "a.csv.gz", pack(CSV.encode()))))
        check_rows(one(put(tmp_path, "b.csv", pack(CSV.encode()))))
        return
    import zstandard

    check_rows(one(put(tmp_path, "a.csv.zst", zstandard.compress(CSV.encode()))))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("train.csv", CSV)
        archive.writestr("test.csv", "text,label\nonly this,good\n")
    found = read(DataSpec(path=(str(put(tmp_path, "c.zip", buffer.getvalue())),)))
    check_rows(found.tables["train"])
    assert len(found.tables["test"]) == 1


def test_json_shapes(tmp_path):
    objects = [{"text": t, "label": v} for t, v in ROWS]
    check_rows(one(put(tmp_path, "a.json", json.dumps(objects))))
    check_rows(one(put(tmp_path, "b.jsonl", "\n".join(map(json.dumps, objects)))))
    check_rows(one(put(tmp_path, "c.json", json.dumps({"meta": 1, "deep": {"rows": objects}}))))
    check_rows(one(put(tmp_path, "d.json", json.dumps({"text": [t for t, _ in ROWS], "label": [v for _, v in ROWS]}))))
    nested = one(put(tmp_path, "e.json", json.dumps([{"content": {"body": "x y"}, "label": 1}])))
    assert list(nested["content.body"]) == ["x y"]
    assert nested["label"] == [1]


def test_parquet_and_excel(tmp_path):
    import pandas as pd

    frame = pd.DataFrame(ROWS, columns=["text", "label"])
    frame.to_parquet(tmp_path / "a.parquet")
    frame.to_excel(tmp_path / "a.xlsx", index=False)
    check_rows(one(tmp_path / "a.parquet"))
    check_rows(one(tmp_path / "a.xlsx"))


def test_a_workbook_with_a_title_and_several_sheets(tmp_path):
    import openpyxl

    book = openpyxl.Workbook()
    for title, above in (("March", ["Export of March"]), ("April", [])):
        sheet = book.create_sheet(title)
        for row in ([above, []] if above else []) + [
            ["no", "text", "label"],
            *([i, *row] for i, row in enumerate(ROWS)),
        ]:
            sheet.append(row)
    book.remove(book.worksheets[0])
    path = tmp_path / "a.xlsx"
    book.save(path)
    found = read(DataSpec(path=(str(path),)))
    table = found.tables["train"]
    assert list(table.columns) == ["no", "text", "label"]
    assert table.row_numbers[0] == 4
    assert [note.topic for note in found.notes] == ["sheet", "title"]
    assert "Export of March" in found.notes[1].message
    april = one(path, sheet="April")
    assert list(april["text"]) == list(table["text"])
    assert april.row_numbers[0] == 2
    with pytest.raises(DataError, match="no such sheet") as raised:
        one(path, sheet="Apryl")
    assert raised.value.problems[0].fix == 'did you mean "April"?'


def test_one_column_with_a_name_is_no_title(tmp_path):
    import openpyxl

    book = openpyxl.Workbook()
    for row in (["text"], ["good day", "x"], ["bad day", None]):
        book.worksheets[0].append(row)
    book.save(tmp_path / "a.xlsx")
    assert list(one(tmp_path / "a.xlsx")["text"]) == ["good day", "bad day"]


def test_class_folders(tmp_path):
    for split in ("train", "test"):
        for label in ("pos", "neg", "unsup"):
            for i in range(3):
                put(tmp_path, f"imdb/{split}/{label}/{i}.txt", f"{split} {label} text {i}")
    found = read(DataSpec(path=(str(tmp_path / "imdb"),)))
    assert sorted(found.tables) == ["test", "train"]
    assert sorted(set(found.tables["train"]["label"])) == ["neg", "pos"]
    assert len(found.tables["test"]) == 6
    assert any("unsup" in note.message for note in found.notes)


def test_folder_of_splits_and_several_files(tmp_path):
    for name in ("train-1.csv", "train-2.csv", "valid.csv", "test.csv"):
        put(tmp_path, f"set/{name}", CSV)
    found = read(DataSpec(path=(str(tmp_path / "set"),)))
    assert {name: len(t) for name, t in found.tables.items()} == {"train": 8, "dev": 4, "test": 4}
    assert len(one(tmp_path / "set" / "train-1.csv")) == 4


def test_standard_input(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(CSV.encode())))
    check_rows(one("-"))


def test_index_empty_and_blank_columns(tmp_path):
    table = one(put(tmp_path, "a.csv", ",text,label,notes\n0,a b c,x,\n1,d e f,y,\n"))
    assert list(table.columns) == ["text", "label"]


def test_ragged_rows(tmp_path):
    found = read(DataSpec(path=(str(put(tmp_path, "a.csv", "text,label\na b,x\nc d\ne f,y,z\ng h,x,\n")),)))
    assert list(found.tables["train"]["label"]) == ["x", "", "x"]
    assert [(e.reason, e.row) for e in found.ledger] == [("too many fields", 4)]


def test_rows_of_which_none_fits_are_one_error(tmp_path):
    path = put(tmp_path, "a.tsv", '"Quoted\tx "y\nA\tB\n')
    with pytest.raises(DataError, match="no usable rows; the first was set aside: too many fields") as raised:
        read(DataSpec(path=(str(path),)))
    assert (raised.value.problems[0].where.row, raised.value.problems[0].fix[:4]) == (2, "mend")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "empty"),
        ("a.csv", b"text,label\n", "no rows"),
        ("a.csv.gz", gzip.compress(CSV.encode() * 50, mtime=0)[:-30], "cut off"),
        ("a.json", b'[{"text": "a"},', "not valid JSON"),
        ("a.jsonl", b"{broken\n{too\n", "not JSON Lines"),
        ("a.bin", bytes(range(256)) * 20, "not a text file"),
        ("a.docx", b"some words here", "not supported"),
        ("a.xlsx", bytes(range(256)) * 20, "not a valid Excel file"),
        ("a.xlsx", b"text,label\nwarm,good\n", "not a valid Excel file"),
        ("a.xlsx", zipped("[Content_Types].xml"), "not a valid Excel file"),
    ],
)
def test_files_that_can_not_be_read(tmp_path, name, content, message):
    with pytest.raises(DataError, match=message) as raised:
        one(put(tmp_path, name, content))
    assert raised.value.problems[0].where.file.endswith(name)
    assert raised.value.problems[0].fix


def test_a_missing_file_names_its_neighbour(tmp_path):
    put(tmp_path, "reviews.csv", CSV)
    with pytest.raises(DataError, match="no such file") as raised:
        one(tmp_path / "review.csv")
    assert "reviews.csv" in raised.value.problems[0].fix


def test_a_named_encoding_that_fails_says_the_line(tmp_path):
    path = put(tmp_path, "a.csv", "text,label\na,x\né,y\n".encode("cp1252"))
    with pytest.raises(DataError, match="is not utf-8") as raised:
        one(path, encoding="utf-8")
    assert raised.value.problems[0].where.row == 3


@pytest.mark.parametrize(
    ("encoding", "named"),
    [("utf-8-sig", "auto"), ("utf-16", "auto"), ("utf-16-le", "utf-16-le"), ("cp1251", "auto"), ("cp1251", "cp1251")],
)
def test_streaming_finds_the_encoding_that_reading_finds(tmp_path, monkeypatch, encoding, named):
    monkeypatch.setattr(text_stream, "HEAD_BYTES", 1001)
    lines = "".join(f"Привет, мир номер {i};x{i % 2}\n" for i in range(60))
    path = put(tmp_path, "a.csv", ("text;label\n" + lines).encode(encoding))
    spec = DataSpec(path=(str(path),), encoding=named, delimiter=";", header="yes")
    texts = [text for table in stream(str(path), spec) for text in table["text"]]
    assert texts == list(read(spec).tables["train"]["text"])
    assert texts[59] == "Привет, мир номер 59"


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.jsonl"])
def test_streaming_gives_the_same_rows(tmp_path, name):
    rows = [(f'text {i}, with "quotes"\nand lines', str(i % 3)) for i in range(5000)]
    if name.endswith("jsonl"):
        text = "".join(json.dumps({"text": t, "label": v}) + "\n" for t, v in rows)
    else:
        text = "text,label\n" + "".join('"' + t.replace('"', '""') + f'",{v}\n' for t, v in rows)
    content = gzip.compress(text.encode()) if name.endswith("gz") else text.encode()
    path = put(tmp_path, name, content)
    chunks = list(stream(str(path), DataSpec(), chunk_rows=700))
    assert [len(c) for c in chunks] == [700] * 7 + [100]
    whole = one(path)
    assert [t for c in chunks for t in c["text"]] == list(whole["text"]) == [t for t, _ in rows]
    assert [n for c in chunks for n in c.row_numbers] == list(whole.row_numbers)


def test_halves_of_characters_in_json(tmp_path):
    lines = ['{"text": "half \\ud83d here", "label": "a\\ude00"}', '{"text": "whole \\ud83d\\ude00", "label": "b"}']
    table = one(put(tmp_path, "half.jsonl", "\n".join(lines)))
    assert table["text"] == ["half \ufffd here", "whole \U0001f600"]
    assert table["label"] == ["a\ufffd", "b"]


def test_unknown_names_in_the_first_row_are_said(tmp_path):
    notes = read(DataSpec(path=(str(put(tmp_path, "a.csv", "warm one,yes\ncold one,no\nmild one,yes\n")),))).notes
    assert any("first row" in note.message and '"warm one", "yes"' in note.message for note in notes)
    notes = read(DataSpec(path=(str(put(tmp_path, "b.csv", CSV)),))).notes
    assert not any("first row" in note.message for note in notes)


def test_tables_beside_class_folders_are_named(tmp_path):
    for name in ("pos/1.txt", "neg/1.txt", "reviews.csv"):
        put(tmp_path, f"all/{name}", CSV if name.endswith("csv") else "a text")
    reading = read(DataSpec(path=(str(tmp_path / "all"),)))
    assert len(reading.tables["train"]) == 2
    assert any("not read: reviews.csv" in note.message for note in reading.notes)


def test_files_beside_those_with_a_split_in_their_name_are_said(tmp_path):
    for name, n in (("train.csv", 40), ("test.csv", 20), ("more_2023.csv", 30)):
        put(tmp_path, f"a/{name}", "text,label\n" + "".join(f"{name} {i},{i % 2}\n" for i in range(n)))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        for file in sorted((tmp_path / "a").iterdir()):
            packed.write(file, file.name)
    for path in (tmp_path / "a", tmp_path / "a.zip"):
        found = read(DataSpec(path=(str(path),)), task=None)
        assert {split: len(table) for split, table in found.tables.items()} == {"train": 40, "test": 20}
        (note,) = [note for note in found.notes if note.level == "warning"]
        assert note.message.startswith("not read: more_2023.csv")


def test_all_folders_of_a_split_are_read(tmp_path):
    for split in ("train", "test_easy", "test_hard"):
        for i in range(6):
            put(tmp_path, f"{split}/{'ab'[i % 2]}/{i}.txt", f"{split} {i}")
    tables = read(DataSpec(path=(str(tmp_path),)), task=None).tables
    assert {split: len(table) for split, table in tables.items()} == {"train": 6, "test": 12}


def test_lists_of_a_json_file_that_are_not_read_are_said(tmp_path):
    rows = [{"text": f"text {i}", "label": "ab"[i % 2]} for i in range(6)]
    path = put(tmp_path, "a.json", json.dumps({"train": rows, "test": rows[:2]}))
    found = read(DataSpec(path=(str(path),)), task=None)
    assert len(found.tables["train"]) == 6
    assert any("not read of" in note.message and '"test" (2)' in note.message for note in found.notes)
