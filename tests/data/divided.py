"""Dividing a table with a text and a label column, as the tests need it."""

from typing import Any

from tunesmith.data.labels import label_name
from tunesmith.data.split import Division, divide
from tunesmith.data.table import Table


def divided(table: Table, **options: Any) -> Division:
    classes = [label_name(value) for value in table["label"]]
    return divide(table, texts=list(table["text"]), classes=classes, **options)
