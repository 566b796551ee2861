import random

import pytest

from tunesmith.data.numbers import are_scores, decimal_mark, read_number, read_numbers
from tunesmith.data.spec import DataSpec
from tunesmith.data.table import Table


def values(cells):
    return read_numbers(Table.of({"score": cells}), column="score", spec=DataSpec())


@pytest.mark.parametrize(
    ("cells", "mark"),
    [
        (["0,125", "3,142"], ","),
        (["3,14", "3,142"], ","),
        (["1.234,5", "3,142"], ","),
        (["12345,678"], ","),
        ([",5"], ","),
        (["1,234", "2.5"], "."),
        (["1,234.567"], "."),
        (["1,234", "12,345"], ""),
        (["1,234,567"], ""),
        (["3,5", "3.5"], ""),
        ([3, None, "four", "2"], ""),
    ],
)
def test_the_column_shows_what_marks_decimals(cells, mark):
    assert decimal_mark(cells) == mark


@pytest.mark.parametrize(
    ("written", "decimal", "value"),
    [
        ("3,142", ",", 3.142),
        ("3,142", "", 3142),
        ("3,142", ".", 3142),
        ("-0,250", "", -0.25),
        ("1.234", ",", 1234),
        ("1.234", "", 1.234),
        ("1.234,5", "", 1234.5),
        ("1,234.5", "", 1234.5),
        ("12,34,567", "", 1234567),
        ("1 234 567,5", "", 1234567.5),
        ("1’234.5", "", 1234.5),
        ("2,5e3", "", 2500),
        (".5", "", 0.5),
        ("0.125", "", 0.125),
        ("12.05.2024", "", None),
        ("3 4", "", None),
        ("1.2.3", "", None),
        ("1,2,3", "", None),
        ("0,123,456", "", None),
    ],
)
def test_numbers_as_people_write_them(written, decimal, value):
    assert read_number(written, decimal)[0] == (None if value is None else pytest.approx(value))


def test_a_column_of_three_decimals_is_read_as_one():
    draw = random.Random(0)
    written = [draw.uniform(0, 5) for _ in range(100)]
    reading = values([f"{value:.3f}".rstrip("0").replace(".", ",") for value in written])
    assert reading.values == pytest.approx(written, abs=0.0006)
    assert not reading.notes
    assert are_scores({f"{value:.3f}".replace(".", ","): 1 for value in written})


def test_thousands_that_may_be_decimals_are_said():
    reading = values(["1,234", "2,500", "870"] * 10)
    assert reading.values[:3] == [1234, 2500, 870]
    (note,) = reading.notes
    assert (note.topic, note.n_rows) == ("commas", 20)
    assert "1,234 is read as 1234" in note.message
