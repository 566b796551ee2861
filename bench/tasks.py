"""Every task, measured: tunesmith's defaults against plain `transformers.Trainer`, same backbone, in turns.

    python bench/tasks.py --settings conll-2000,stsb --seeds 0,1,2 --out tasks.jsonl
    python bench/tasks.py --table tasks.jsonl

Arms: `tunesmith` (no setting touched) and `trainer`, the example script of the task with the settings of its README
(see `plain.py`). Real data is read from TUNESMITH_DATA (default ../shared/data); "conll-2000" is 2,000 rows drawn with
the seed, the same for both. Seconds are wall time of training, CPU seconds are of the whole process.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import plain
from turns import in_turns, started, table

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

DATA = Path(os.environ.get("TUNESMITH_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
ARMS = ("tunesmith", "trainer")
METRICS = ("entity_f1", "answer_f1", "exact_match", "pearson", "spearman", "accuracy", "macro_f1")
Rows = list[tuple]


@dataclass(frozen=True)
class Setting:
    """What is learnt and measured.

    Attributes:
        read: rows of a file.
        write: rows into a file that tunesmith reads.
        trainer: the same with plain transformers.
        train: files of training rows, of which `n` are drawn; None for all.
        test: files of test rows.
        settings: of the recipe; none but what names the task.
    """

    read: Callable[[Path], Rows]
    write: Callable[[Path, Rows], Path]
    trainer: Callable[..., dict[str, float]]
    train: str
    test: str
    n: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)


def text_of(path: Path) -> str:
    """Return a file's text, unpacked."""
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode()


def read_tags(path: Path) -> Rows:
    """Return (words, tags) of each sentence of a CoNLL file."""
    blocks = [block.splitlines() for block in text_of(path).split("\n\n") if block.strip()]
    return [tuple(zip(*[line.split("\t") for line in block if line], strict=True)) for block in blocks]


def write_tags(folder: Path, rows: Rows) -> Path:
    path = folder.with_suffix(".conll")
    lines = ("".join(f"{word}\t{tag}\n" for word, tag in zip(*row, strict=True)) for row in rows)
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def read_answers(path: Path) -> Rows:
    """Return (question, context, answers) of each question of a SQuAD file; an answer is (text, start)."""
    paragraphs = [part for article in json.loads(text_of(path))["data"] for part in article["paragraphs"]]
    return [
        (qa["question"], part["context"], [(a["text"], a["answer_start"]) for a in qa["answers"]])
        for part in paragraphs
        for qa in part["qas"]
    ]


def write_answers(folder: Path, rows: Rows) -> Path:
    path = folder.with_suffix(".json")
    paragraphs = []
    for i, (question, context, answers) in enumerate(rows):
        given = [{"text": text, "answer_start": start} for text, start in answers]
        one = {"id": str(i), "question": question, "answers": given, "is_impossible": not given}
        paragraphs.append({"context": context, "qas": [one]})
    path.write_text(json.dumps({"version": "v2.0", "data": [{"title": "", "paragraphs": paragraphs}]}))
    return path


def read_columns(path: Path) -> Rows:
    """Return the cells of a CSV file."""
    return [tuple(row) for row in csv.reader(text_of(path).splitlines(keepends=True))][1:]


def read_sets(path: Path) -> Rows:
    """Return (text, labels)."""
    return [(text, labels.split(",")) for text, labels in read_columns(path)]


def write_columns(folder: Path, rows: Rows, *, names: Sequence[str]) -> Path:
    path = folder.with_suffix(".csv")
    with path.open("w", newline="", encoding="utf-8") as stream:
        cells = [[",".join(cell) if isinstance(cell, list) else cell for cell in row] for row in rows]
        csv.writer(stream).writerows([names, *cells])
    return path


tags = partial(Setting, read_tags, write_tags, plain.tags)
answers = partial(Setting, read_answers, write_answers, plain.answers)
pairs = partial(
    Setting,
    read_columns,
    partial(write_columns, names=("sentence1", "sentence2", "label")),
    partial(plain.sentences, kind="classes"),
)
SUBJECTS = ("electronics", "grocery", "restaurants", "tripadvisor")
SETTINGS = {
    "conll-2000": tags("conll2003/train.conll.gz", "conll2003/test.conll", 2000),
    "wnut": tags("wnut17/train.conll", "wnut17/test.conll"),
    "qa-2000": answers("qa/squadshifts/wiki_train.json.gz", "qa/xquad_en/test.json.gz", 2000),
    "subjqa-1500": answers(
        " ".join(f"qa/subjqa/{name}_train.json.gz" for name in SUBJECTS),
        "qa/subjqa/electronics_test.json.gz qa/subjqa/grocery_test.json.gz "
        "qa/subjqa/restaurants_test.json qa/subjqa/tripadvisor_test.json.gz",
        1500,
    ),
    "stsb": Setting(
        read_columns,
        partial(write_columns, names=("sentence1", "sentence2", "score")),
        partial(plain.sentences, kind="numbers"),
        "pairs/stsb/train.csv",
        "pairs/stsb/test.csv",
    ),
    "mrpc": pairs("pairs/mrpc/train.csv", "pairs/mrpc/test.csv"),
    "rte": pairs("pairs/rte/train.csv", "pairs/rte/dev.csv"),
    "emotions-4000": Setting(
        read_sets,
        partial(write_columns, names=("text", "labels")),
        partial(plain.sentences, kind="labels"),
        "go_emotions/train.csv.gz",
        "go_emotions/test.csv",
        4000,
    ),
}


def tunesmith(setting: Setting, train: Rows, test: Rows, *, folder: Path, seed: int) -> dict[str, float]:
    """Train with no setting touched."""
    import tunesmith as ts

    paths = [setting.write(folder / name, rows) for name, rows in (("train", train), ("test", test))]
    settings = {"evaluate.baselines": False, "evaluate.resamples": 10, "data.test": [str(paths[1])]}
    run = ts.train(str(paths[0]), seed=seed, out=folder / "run", settings=settings | setting.settings)
    metrics = {name: run.metrics[name] for name in METRICS if name in run.metrics}
    return {**metrics, "seconds": run.run.manifest["seconds"]["train"], "steps": run.run.manifest["step"]}


def one(name: str, arm: str, seed: int, test_rows: int) -> dict[str, Any]:
    """Train and measure one arm once."""
    setting = SETTINGS[name]
    train, test = (
        [row for file in files.split() for row in setting.read(DATA / file)] for files in (setting.train, setting.test)
    )
    train = random.Random(seed).sample(train, setting.n) if setting.n else train
    test = test if len(test) <= test_rows else random.Random(1).sample(test, test_rows)
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        run = partial(tunesmith, setting) if arm == "tunesmith" else setting.trainer
        found = run(train, test, folder=Path(folder), seed=seed)
    found["cpu_seconds"] = time.process_time() - began
    return {"setting": name, "arm": arm, "seed": seed, "n_train": len(train), "n_test": len(test), **found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", default=",".join(SETTINGS))
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--test-rows", type=int, default=6000)
    parser.add_argument("--out", type=Path, default=Path("tasks.jsonl"))
    parser.add_argument("--table", type=Path)
    parser.add_argument("--one", action="store_true", help="run the one named arm here, in this process")
    args = parser.parse_args()
    if args.table:
        print(table(args.table, names=METRICS, order=[*SETTINGS, *ARMS]))
    elif args.one:
        print(json.dumps(one(args.settings, args.arms, int(args.seeds), args.test_rows)), flush=True)
    else:
        seeds = [int(seed) for seed in args.seeds.split(",")]
        more = ["--test-rows", str(args.test_rows)]
        in_turns(started(__file__, more), args.settings.split(","), args.arms.split(","), seeds, out=args.out)


if __name__ == "__main__":
    main()
