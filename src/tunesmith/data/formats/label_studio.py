"""Label Studio's JSON export: tasks with their data, and annotations that hold results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunesmith.core.notes import Note
from tunesmith.core.wording import does
from tunesmith.data.formats.base import Found, Numbered, RowFormat, Written, extras, json_text
from tunesmith.data.formats.doccano import add
from tunesmith.data.formats.spans import TEXTS
from tunesmith.data.formats.words import as_spans
from tunesmith.data.table import Table

ANNOTATIONS = ("annotations", "completions")


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
        """Return `text` and `spans`; other fields of the data, and the task's id, are columns."""
        found = Found((file,))
        n_several = n_others = 0
        for number, row in rows:
            done = [one for one in _annotations(row) or [] if not one.get("was_cancelled") and not one.get("skipped")]
            if not done:
                why = "annotation skipped" if _annotations(row) else "not annotated"
                found.say("set aside", why, number)
                continue
            chosen = next((one for one in done if one.get("ground_truth")), done[0])
            values = [_value(result) for result in _results(chosen)]
            data = row["data"] if isinstance(row.get("data"), Mapping) else {}
            name = _text_name(data, values)
            rest = extras(data, name) | extras(row, "data", *ANNOTATIONS, *NOT_KEPT)
            add(found, number, data.get(name), [value for value in values if value], rest)
            n_several += len(done) > 1
            n_others += values.count(None)
        found.notes += _notes(file, n_several, n_others)
        return found

    def write(self, table: Table, out: Path) -> Written:
        """Return a JSON array of tasks, for a labelling set-up with `<Labels name="label" toName="text">`."""
        ready = as_spans(table, self.title)
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
    return {"start": place["start"], "end": place["end"], "labels": labels, "text": value.get("text")}


def _text_name(data: Mapping[str, Any], values: Sequence[Mapping[str, Any] | None]) -> str:
    """Return which field of the data the spans are about: the one that holds what they quote, else by name."""
    texts = [name for name, value in data.items() if isinstance(value, str)]
    quotes = [value["text"] for value in values if value and value.get("text")]
    likely = [name for name in TEXTS if name in texts] + texts
    return next(
        (name for name in likely if quotes and all(quote in data[name] for quote in quotes)), (likely or [""])[0]
    )


def _notes(file: str, n_several: int, n_others: int) -> list[Note]:
    notes = []
    if n_several:
        have = does(n_several, "task", "has", "have")
        message = f"{file}: {have} several annotations; the ground truth is used, else the first"
        notes.append(Note("warning", "several annotations", message, n_rows=n_several))
    if n_others:
        message = (
            f"{file}: {does(n_others, 'result', 'is', 'are')} no span but a choice, a relation or the like; not used"
        )
        notes.append(Note("info", "other results", message))
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
