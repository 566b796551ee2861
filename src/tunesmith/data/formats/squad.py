"""SQuAD's JSON, v1.1 and v2: articles with paragraphs, each with a context and its questions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError, Where
from tunesmith.core.notes import Note
from tunesmith.core.wording import count
from tunesmith.data.formats.answers import Questions
from tunesmith.data.formats.base import Content, FileFormat, Found, Written, extras, json_text
from tunesmith.data.table import Table

KEPT = ("id", "title", "context", "question", "answers")
PARAGRAPH = "paragraph_id"
"""Column for the id of a paragraph; "id" is the question's."""


class Squad(FileFormat):
    """{"data": [{"title", "paragraphs": [{"context", "qas": [...]}]}]}."""

    name = "squad"
    title = "SQuAD"
    task = "question-answering"
    columns = ("context", "question")

    def sniff(self, content: Content, *, sure: bool) -> bool:
        """Whether a file is one JSON value with articles that have paragraphs."""
        del sure
        return '"paragraphs"' in content.text[:4096] and any(True for _ in _paragraphs(content.value, Counter()))

    def read(self, content: Content) -> Found:
        """Return a question a row: `id`, `title`, `context`, `question`, `answers`; rows count the questions."""
        questions = Questions(Found((content.file,)))
        lost: Counter[tuple[str, str]] = Counter()
        number = 0
        for article, paragraph in _paragraphs(content.value, lost):
            for qa in paragraph["qas"]:
                number += 1
                _add(questions, number, article, paragraph, qa)
        if not number:
            fix = '{"data": [{"paragraphs": [{"context": ..., "qas": [...]}]}]} is read'
            raise DataError("there are no questions in it", where=Where(content.file), fix=fix)
        questions.close()
        questions.found.notes += _lost(content, lost)
        return questions.found

    def write(self, table: Table, out: Path) -> Written:
        """Return v1.1, or v2.0 where some questions have no answer; other columns are kept with the question."""
        self.need(table)
        impossible = any(not answers for answers in table.columns.get("answers", []))
        articles: dict[str, dict[str, list[dict[str, Any]]]] = {}
        for i in range(len(table)):
            row = table.row(i)
            paragraphs = articles.setdefault(str(row.get("title") or ""), {})
            paragraphs.setdefault(row["context"], []).append(_qa(row, i, with_impossible=impossible))
        data = [
            {"title": title, "paragraphs": [{"context": context, "qas": qas} for context, qas in paragraphs.items()]}
            for title, paragraphs in articles.items()
        ]
        return Written({out: json_text({"version": "v2.0" if impossible else "1.1", "data": data}) + "\n"})


def _lost(content: Content, lost: Counter[tuple[str, str]]) -> list[Note]:
    """Say what of a file is in no row."""
    others = extras(content.value, "data", "version") if isinstance(content.value, dict) else ()
    said = [f"{count(n, noun)} without {what}" for (noun, what), n in lost.items()]
    said += [f'"{name}" of the whole file' for name in others]
    message = f"{content.file}: left out: {', '.join(said)}"
    return [Note("warning", "left out", message, n_rows=lost.total())] if said else []


def _paragraphs(value: Any, lost: Counter[tuple[str, str]]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Yield (article, paragraph) of every paragraph that has questions; count in `lost` what has none."""
    articles = value.get("data") if isinstance(value, dict) else value
    for article in articles if isinstance(articles, list) else []:
        inner = article.get("paragraphs") if isinstance(article, dict) else None
        if not isinstance(inner, list):
            lost["article", "paragraphs"] += 1
            continue
        for paragraph in inner:
            qas = paragraph.get("qas") if isinstance(paragraph, dict) else None
            if not qas:
                lost["paragraph", "questions"] += 1
            if isinstance(qas, list):
                yield article, paragraph


def _add(questions: Questions, number: int, article: Mapping[str, Any], paragraph: Mapping[str, Any], qa: Any) -> None:
    if not isinstance(qa, dict):
        questions.found.say("set aside", "not an object", number)
        return
    title = str(article.get("title") or "")
    row: dict[str, Any] = {"id": str(qa.get("id", number)), **({"title": title} if title else {})}
    row |= {"context": paragraph.get("context"), "question": qa.get("question")}
    impossible = qa.get("is_impossible")
    rest = extras(article, *KEPT, "paragraphs") | extras(paragraph, *KEPT, "qas") | extras(qa, *KEPT, "is_impossible")
    rest = extras({PARAGRAPH: paragraph.get("id")}) | rest
    questions.add(number, row | rest, qa.get("answers"), impossible if isinstance(impossible, bool) else None)


def _qa(row: Mapping[str, Any], index: int, *, with_impossible: bool) -> dict[str, Any]:
    answers: Sequence[Mapping[str, Any]] | None = row.get("answers")
    qa = {"id": str(row.get("id") or index + 1), "question": row["question"], **extras(row, *KEPT)}
    if answers is not None:
        qa["answers"] = [{"text": answer["text"], "answer_start": answer["start"]} for answer in answers]
        if with_impossible:
            qa["is_impossible"] = not answers
    return qa
