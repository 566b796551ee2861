import csv
import io
import random

import pytest

from tunesmith.data import delimited, text_stream
from tunesmith.data.quotes import look, records
from tunesmith.data.spec import DataSpec


def file_of(n, *, begin=(), end=(), several=7, delimiter=","):
    """Return a CSV of n rows with a label, some over two lines; rows `begin` and `end` have a lone quote there."""
    lines = [delimiter.join(("text", "label"))]
    for i in range(n):
        text = '"' * (i in begin) + f"word{i} is so good" + '"' * (i in end)
        if several and i % several == 0 and i not in (*begin, *end):
            text = f'"some, ""quoted"" {i}\nand a line; yes {i}"'
        lines.append(f"{text}{delimiter}{'neg' if i % 2 else 'pos'}")
    return "\n".join(lines) + "\n"


def parsed(text):
    return delimited.parse(text, file="a.csv", spec=DataSpec(path="a.csv"))


@pytest.mark.parametrize(
    ("begin", "end"),
    [((3, 9, 20), ()), ((3,), (9,)), ((3, 4), ()), ((59,), ()), ((1, 2, 3), (5,)), ((0,), (58, 59))],
)
@pytest.mark.parametrize("several", [0, 7])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_lone_quotes_swallow_no_row(begin, end, several, delimiter):
    found = parsed(file_of(60, begin=begin, end=end, several=several, delimiter=delimiter))
    assert [fields[1] for _, fields in found.rows] == ["pos", "neg"] * 30
    assert not found.entries
    (note,) = [note for note in found.notes if note.topic == "quotes"]
    assert "stray double quotes" in note.message
    for i in begin:
        assert found.rows[i][1][0] == f'"word{i} is so good' + '"' * (i in end)


def test_quotes_that_enclose_are_told_from_those_that_do_not():
    found = parsed(file_of(60, begin=(10,)))
    assert found.rows[7][1][0] == 'some, "quoted" 7\nand a line; yes 7'
    assert [line for line, _ in found.rows[7:10]] == [10, 12, 13]


def test_texts_of_many_lines_are_texts():
    text = "text,label\n" + "".join(f'"Dear {i},\n\nwell, yes\nand no, {i}",{i % 3}\n' for i in range(40))
    found = parsed(text)
    assert [fields for _, fields in found.rows] == list(csv.reader(io.StringIO(text)))[1:]
    assert not found.notes


def test_words_after_a_closing_quote_are_read_as_they_were():
    assert [fields for _, fields in records(['"Great" movie,pos\n', "so,neg\n"], ",")] == [
        ["Great movie", "pos"],
        ["so", "neg"],
    ]


def test_well_written_files_are_read_as_python_reads_them():
    draw = random.Random(0)
    parts = ["a", '"', ",", "\n", " b", "c,", ";", "é"]
    rows = [["".join(draw.choices(parts, k=draw.randrange(6))) + "x" for _ in range(3)] for _ in range(300)]
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL):
        file = io.StringIO(newline="")
        csv.writer(file, quoting=quoting).writerows(rows)
        usual, mean_nothing = look(file.getvalue(), ",")
        read = records(io.StringIO(file.getvalue(), newline=""), ",", usual=usual)
        assert [fields for _, fields in read] == rows
        assert not mean_nothing


def test_a_stream_swallows_no_row_either(tmp_path):
    path, told = tmp_path / "a.csv", []
    path.write_text(file_of(60, begin=(3, 30)))
    spec = DataSpec(path=str(path))
    with text_stream.open_text(str(path), encoding="auto") as text:
        chunks = list(text_stream.delimited_rows(text, spec=spec, chunk_rows=25, tell=told.append))
    assert sum(map(len, chunks)) == 60
    assert [str(note.places[0]) for note in told] == [f"{path}:6"]


def test_a_whole_chapter_is_a_text():
    chapter = "\n".join(f"line {i}, of many; and so on" for i in range(500))
    text = "text,label\n" + "".join(f'"{chapter}, {i}",{"ab"[i % 2]}\n' for i in range(20))
    found = parsed(text)
    assert [fields[1] for _, fields in found.rows] == ["a", "b"] * 10
    assert not found.notes
