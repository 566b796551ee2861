"""Label Studio's JSON export: tasks with their data, and annotations that hold results."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tunesmith.core.ledger import Entry
from tunesmith.core.notes import Note
from tunesmith.core.wording import does
from tunesmith.data.formats.base import Found, Numbered, RowFormat, Written, extras, json_text
from tunesmith.data.formats.doccano import add
from tunesmith.data.formats.spans import TEXTS
from tunesmith.data.formats.words import as_spans
from tunesmith.data.table import Table

ANNOTATIONS = ("annotations", "completions")
ANOTHER = "another annotation not used"
NO_SPAN = "result that is no span not used"
ELSEWHERE = "span about another field left out"


class Task(NamedTuple):
    """One task: its number, all it holds, its data, and the spans of the annotation that counts."""

    number: int
    row: Mapping[str, Any]
    data: Mapping[str, Any]
    values: list[dict[str, Any]]


class LabelStudio(RowFormat):
    """One row a task; the annotation marked as ground truth counts, else the first that was not skipped."""

    name = "label-studio"
    title = "a Label Studio export"
    task = "token-classification"
    columns = ("text", "spans")

    def sniff(self, rows: Sequence[Mapping[str, Any]], *, sure: bool) -> bool:
        """Whether rows have data and annotations with results of spans."""
        del sure
        known = all(isinstance(row.get("data"), Mapping) and _annotations(row) is not None for row in rows)
        return known and any(
            _value(result) for row in rows for one in _annotations(row) or [] for result in _results(one)
        )

    def read(self, rows: Iterable[Numbered], file: str) -> Found:
        """Return `text` and `spans`; other fields of the data, and the task's id, are columns.

        The text is the field that most spans are about; those about another are left out.
        """
        found = Found((file,))
        tasks = [task for number, row in rows if (task := _chosen(found, number, row))]
        about = [_fields(task.data, task.values) for task in tasks]
        most = Counter(name for names in about for name in names).most_common()
        for task, names in zip(tasks, about, strict=True):
            name = next((name for name, _ in most if isinstance(task.data.get(name), str)), _likely(task.data))
            for value, field in zip(task.values, names, strict=True):
                if field != name:
                    shown = f"{field}: {value['start']}-{value['end']} {value['labels']} {value.get('text') or ''}"
                    found.say("changed", ELSEWHERE, task.number, shown.strip())
            values = [extras(value, "about") for value, field in zip(task.values, names, strict=True) if field == name]
            rest = extras(task.data, name) | extras(task.row, "data", *ANNOTATIONS, *NOT_KEPT)
            add(found, task.number, task.data.get(name), values, rest)
        found.notes += _notes(file, found.entries)
        return found

    def write(self, table: Table, out: Path) -> Written:
        """Return a JSON array of tasks, for a labelling set-up with `<Labels name="label" toName="text">`."""
        ready = as_spans(table, self.title)
        ready.leave_attributes(self.title)
        tasks = [json_text(_task(ready.table.row(i))) for i in range(len(ready.table))]
        return Written({out: "[\n" + ",\n".join(tasks) + "\n]\n"}, ready.entries, ready.notes)


NOT_KEPT = (
    "predictions", "drafts", "created_at", "updated_at", "inner_id", "total_annotations", "cancelled_annotations",
    "total_predictions", "comment_count", "unresolved_comment_count", "last_comment_updated_at", "project",
    "updated_by", "comment_authors", "file_upload", "meta", "annotators", "agreement",
    "allow_skip", "precomputed_agreement",
)  # fmt: skip


def _annotations(row: Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
    for name in ANNOTATIONS:
        if isinstance(row.get(name), list):
            return [one for one in row[name] if isinstance(one, Mapping)]
    return None


def _results(annotation: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    results = annotation.get("result")
    return [one for one in results if isinstance(one, Mapping)] if isinstance(results, list) else []


def _value(result: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the span of a result as start, end, labels and text; None for choices, relations and the like."""
    value = result.get("value")
    if not isinstance(value, Mapping):
        return None
    labels = next((value[name] for name in ("labels", "hypertextlabels", "label") if value.get(name)), None)
    place = value.get("globalOffsets") or value
    if labels is None or not isinstance(place, Mapping) or "start" not in place or "end" not in place:
        return None
    about = result.get("to_name")
    return {"start": place["start"], "end": place["end"], "labels": labels, "text": value.get("text"), "about": about}


def _chosen(found: Found, number: int, row: Mapping[str, Any]) -> Task | None:
    """Return the annotation of a task that counts, and say what is not used of it; None if there is none."""
    done = [one for one in _annotations(row) or [] if not one.get("was_cancelled") and not one.get("skipped")]
    if not done:
        found.say("set aside", "annotation skipped" if _annotations(row) else "not annotated", number)
        return None
    chosen = next((one for one in done if one.get("ground_truth")), done[0])
    for other in done:
        if other is not chosen:
            spans = [value for result in _results(other) if (value := _value(result))]
            shown = ", ".join(f"{value['start']}-{value['end']} {value['labels']}" for value in spans)
            found.say("changed", ANOTHER, number, shown or "without spans")
    results = [(result, _value(result)) for result in _results(chosen)]
    for result, value in results:
        if value is None:
            found.say("changed", NO_SPAN, number, json_text(result))
    data = row["data"] if isinstance(row.get("data"), Mapping) else {}
    return Task(number, row, data, [value for _, value in results if value])


def _fields(data: Mapping[str, Any], values: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return which field of the data each span is about.

    That is the one their control is called by; else the one where what all spans of that control quote stands where
    they say, or at all; else the likeliest by name.
    """
    found = {about: _field(data, about, values) for about in {str(value["about"]) for value in values}}
    return [found[str(value["about"])] for value in values]


def _field(data: Mapping[str, Any], about: str, values: Sequence[Mapping[str, Any]]) -> str:
    texts = _texts(data)
    if about in texts:
        return about
    values = [value for value in values if str(value["about"]) == about]
    quoted = [value for value in values if isinstance(value.get("text"), str) and value["text"]]

    def fit(name: str) -> tuple[int, int]:
        held = [value for value in quoted if value["text"] in data[name]]
        there = [value for value in held if data[name].startswith(value["text"], _place(value))]
        return len(there), len(held)

    return max(texts, key=fit, default="")


def _place(value: Mapping[str, Any]) -> int:
    start = value["start"]
    return start if isinstance(start, int) and start >= 0 else sys.maxsize


def _texts(data: Mapping[str, Any]) -> list[str]:
    """Return the fields that hold texts, the likeliest by name first."""
    texts = [name for name, value in data.items() if isinstance(value, str)]
    return list(dict.fromkeys([*(name for name in TEXTS if name in texts), *texts]))


def _likely(data: Mapping[str, Any]) -> str:
    return next(iter(_texts(data)), "")


def _notes(file: str, entries: Sequence[Entry]) -> list[Note]:
    notes = []
    n_several = len({entry.row for entry in entries if entry.reason == ANOTHER})
    n_others = sum(entry.reason == NO_SPAN for entry in entries)
    n_elsewhere = sum(entry.reason == ELSEWHERE for entry in entries)
    if n_several:
        have = does(n_several, "task", "has", "have")
        message = f"{file}: {have} several annotations; the ground truth is used, else the first"
        notes.append(Note("warning", "several annotations", message, n_rows=n_several))
    if n_others:
        message = (
            f"{file}: {does(n_others, 'result', 'is', 'are')} no span but a choice, a relation or the like; not used"
        )
        notes.append(Note("info", "other results", message))
    if n_elsewhere:
        message = f"{file}: {does(n_elsewhere, 'span', 'is', 'are')} about another field than most; not used"
        notes.append(Note("warning", "other fields", message))
    return notes


def _task(row: Mapping[str, Any]) -> dict[str, Any]:
    results = [
        {
            "from_name": "label",
            "to_name": "text",
            "type": "labels",
            "value": {
                "start": span["start"],
                "end": span["end"],
                "text": row["text"][span["start"] : span["end"]],
                "labels": [span["label"]],
            },
        }
        for span in row["spans"]
    ]
    data = {"text": row["text"], **extras(row, "text", "spans", "id")}
    return {**extras({"id": row.get("id")}), "data": data, "annotations": [{"result": results}]}
