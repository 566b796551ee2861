"""Stand-ins for the files that the guide's pages name: small, of the kind that the page speaks of.

The samples are themselves; a page's own file goes before one that several pages share.
"""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Callable, Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from tests.tiny import sentences
from tunesmith.samples import SAMPLES

N = 60
"""Rows of most stand-ins."""


def write(name: str, page: str, folder: Path) -> bool:
    """Write the stand-in for a file that a page names into a folder; return whether there is one."""
    make = MADE.get(f"{page}:{name}") or MADE.get(name)
    if name in {sample.file for sample in SAMPLES.values()}:
        made: str | bytes = (files("tunesmith.samples") / name).read_bytes()
    elif make is None:
        return False
    else:
        made = make()
    (folder / name).write_bytes(made.encode() if isinstance(made, str) else made)
    return True


def table(rows: Iterable[Iterable[Any]], *, delimiter: str = ",") -> str:
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return stream.getvalue()


def lines(rows: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def labelled(*names: str, seed: int = 0, **more: Callable[[int], Any]) -> str:
    """Return texts with labels as CSV, under these names, and further columns from a row's number."""
    rows = [[*row, *(make(i) for make in more.values())] for i, row in enumerate(sentences(N, seed=seed))]
    return table([[*names, *more], *rows])


def numbered(*targets: str) -> str:
    """Return texts with numbers."""
    rng = random.Random(0)
    rows = ([text, *(round(rng.uniform(1, 5), 1) for _ in targets)] for text, _ in sentences(N))
    return table([["text", *targets], *rows])


def several_labels() -> str:
    rng = random.Random(0)
    rows = ([text, *(rng.choice("0001") for _ in range(3))] for text, _ in sentences(N))
    return table([["comment", "toxic", "insult", "threat"], *rows])


def pairs_of_texts() -> str:
    rng, texts = random.Random(0), [text for text, _ in sentences(2 * N)]
    rows = ([one, other, round(rng.uniform(0, 5), 2)] for one, other in zip(texts[::2], texts[1::2], strict=True))
    return table([["sentence1", "sentence2", "score"], *rows])


def phrases(n: int = N) -> list[list[str]]:
    """Return English sentences with German ones."""
    text = (files("tunesmith.samples") / "phrases.tsv").read_text(encoding="utf-8")
    return list(csv.reader(text.splitlines()[1 : n + 1], delimiter="\t"))


def side(i: int) -> Callable[[], str]:
    return lambda: "".join(pair[i] + "\n" for pair in phrases())


def tagged(tags: Callable[[int], str]) -> str:
    """Return sentences as CoNLL columns, the tag of each word by its number in the sentence."""
    return "\n".join(
        "".join(f"{word} {tags(i)}\n" for i, word in enumerate(text.split())) for text, _ in sentences(N)
    )  # fmt: skip


def prompts() -> Iterable[tuple[str, str]]:
    return (tuple(text.rsplit(" ", 1)) for text, _ in sentences(N))


def questions(n: int) -> list[dict[str, Any]]:
    """Return the first questions of the sample, flat."""
    text = (files("tunesmith.samples") / "questions.json").read_text(encoding="utf-8")
    paragraphs = [paragraph for article in json.loads(text)["data"] for paragraph in article["paragraphs"]]
    return [{"question": qa["question"], "context": p["context"]} for p in paragraphs for qa in p["qas"]][:n]


def asked(n: int) -> str:
    return table([["question", "context"], *([row["question"], row["context"]] for row in questions(n))])


def beginning(sample: str, n: int) -> str:
    text = (files("tunesmith.samples") / sample).read_text(encoding="utf-8")
    return "\n".join(text.splitlines()[:n]) + "\n"


def squad() -> str:
    text = json.loads((files("tunesmith.samples") / "questions.json").read_text(encoding="utf-8"))
    return json.dumps({**text, "data": text["data"][:3]})


MESSAGES = [
    ["ticket", "message"],
    [1, "Where is my parcel? It should have been here on Monday."],
    [2, "The tent arrived with a torn seam."],
    [3, ""],
    [4, "Please cancel order 4471, I ordered the wrong size."],
]
MADE: dict[str, Callable[[], str | bytes]] = {
    # Classes.
    "reviews.csv": lambda: labelled("text", "label"),
    "test.csv": lambda: labelled("text", "label", seed=1),
    "tickets.csv": lambda: labelled("text", "label"),
    "tweets.csv": lambda: labelled("text", "label", user=lambda i: f"@u{i}"),
    "messages.csv": lambda: labelled("text", "label", customer=lambda i: f"C{i // 3}"),
    "old.csv": lambda: table(([f"{text} für", label] for text, label in sentences(N)), delimiter=";").encode("cp1252"),
    "answers.jsonl": lambda: lines({"answer": text, "label": label} for text, label in sentences(N)),
    "more.txt": lambda: "".join(f"{text}\n" for text, _ in sentences(N, seed=2)),
    "new.csv": lambda: table(MESSAGES),
    "other.csv": lambda: beginning("support.csv", N),
    "use.md:old.csv": lambda: table(MESSAGES).encode("cp1252"),
    "new.jsonl": lambda: lines(
        {"ticket": 5 + i, "message": text}
        for i, text in enumerate(["I was charged twice for the same order.", "The lamp hums."])
    ),
    # Labels and numbers.
    "comments.csv": several_labels,
    "multi-label.md:new.csv": lambda: table([["id", "message"], ["M1", "The lamp at the crossing is out."]]),
    "stars.csv": lambda: table([["text", "stars"], *([text, i % 5 + 1] for i, (text, _) in enumerate(sentences(N)))]),
    "feelings.csv": lambda: numbered("valence", "arousal"),
    "pairs.csv": pairs_of_texts,
    # Words.
    "pos.conll": lambda: tagged(lambda i: ["DT", "NN", "VB"][i % 3]),
    "train.conll": lambda: tagged(lambda i: ["O", "B-PER", "I-PER", "O", "B-LOC"][i % 5]),
    "bioes.conll": lambda: tagged(lambda i: ["O", "B-PER", "E-PER", "O", "S-LOC"][i % 5]),
    "tokens.md:new.csv": lambda: table(
        [["ticket", "text"], [1, "Hello, this is Ines Weber from Bremen. The Tove stool I bought last Friday wobbles."]]
    ),
    "notes.jsonl": lambda: lines(
        [
            {"id": 1, "text": "Anna  lives in Bonn", "label": [[0, 4, "PER"], [15, 19, "LOC"]]},
            {"id": 2, "text": "Tom left  Bonn", "label": [[0, 3, "PER"], [10, 13, "LOC"]]},
        ]
    ),
    # Questions.
    "faq.json": squad,
    "questions.md:new.csv": lambda: asked(3),
    # Texts with texts.
    "news.en": side(0),
    "news.de": side(1),
    "train.en": side(0),
    "train.de": side(1),
    "pairs.tsv": lambda: table(phrases(), delimiter="\t"),
    "letters.jsonl": lambda: beginning("letters.jsonl", 2 * N),
    "seq2seq.md:new.jsonl": lambda: lines(
        {"body": json.loads(row)["body"]} for row in beginning("letters.jsonl", 2).splitlines()
    ),
    # Texts alone.
    "texts.txt": lambda: beginning("notes.txt", N),
    "gaps.csv": lambda: table([["text"], ["the good [MASK] was long"], ["we [MASK] the film"]]),
    "pairs.jsonl": lambda: lines({"prompt": prompt, "completion": last} for prompt, last in prompts()),
    "prompts.csv": lambda: table([["prompt"], *([prompt] for prompt, _ in list(prompts())[:3])]),
    # Several of these.
    "several.md:news.csv": lambda: labelled("text", "topic"),
    "several.md:mails.csv": lambda: labelled("body", "urgency", seed=1),
    "several.md:new.csv": lambda: table([["text"], ["the lovely film"], ["a dull day"]]),
    "mails.conll": lambda: tagged(lambda i: ["O", "B-PER", "I-PER", "O", "B-LOC"][i % 5]),
    "reports.txt": lambda: beginning("notes.txt", N),
    "many_reviews.csv": lambda: labelled("text", "label", seed=3),
    "my_reviews.csv": lambda: labelled("text", "label", seed=4),
    "chats.jsonl": lambda: lines(
        {"messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": last}]}
        for prompt, last in prompts()
    ),
}
