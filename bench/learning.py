"""Learning, measured: tunesmith's defaults against plain `transformers.Trainer`, same backbone, in turns.

    python bench/learning.py --settings sst2-100,ag-100 --seeds 0,1,2 --out learning.jsonl
    python bench/learning.py --table learning.jsonl

Arms: `tunesmith` (no setting touched), `trainer-5e-5` and `trainer-2e-5` (batch 32, 3 epochs, dynamic padding, the
example scripts' settings), `embeddings` and `tfidf` (logistic regression on frozen mean-pooled vectors / on words).
Real data is read from TUNESMITH_DATA (default ../shared/data). Test sets larger than --test-rows are sampled once,
with a fixed seed, the same for every arm. Seconds are wall time of training, CPU seconds are of the whole process.
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
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from plain import backbone, fit
from turns import in_turns, started, table

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

DATA = Path(os.environ.get("TUNESMITH_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
NOVELS = "corpus_en_novels/part-*.txt.gz"
SST2_TEST = "sst2/dev.csv sst2/test.csv"  # the dev set alone can't tell two points
Rows = list[tuple[str, str]]

# name: (training file, test files, rows to draw or None for all, most tokens or None)
SETTINGS = {
    "sst2-100": ("sst2/train_sentences.csv", "sst2/dev.csv", 100, None),
    "sst2-500": ("sst2/train_sentences.csv", "sst2/dev.csv", 500, None),
    "ag-100": ("ag_news/train.csv.gz", "ag_news/test.csv.gz", 100, None),
    "ag-500": ("ag_news/train.csv.gz", "ag_news/test.csv.gz", 500, None),
    "acl-arc-300": ("science/acl_arc/train.csv", "science/acl_arc/test.csv", 300, None),
    "sst2-sentences": ("sst2/train_sentences.csv", SST2_TEST, None, None),
    "ag-4000": ("ag_news/train.csv.gz", "ag_news/test.csv.gz", 4000, None),
    "imdb-1500": ("imdb/train.csv.gz", "imdb/test.csv.gz", 1500, 256),
    "scicite": ("science/scicite/train.csv.gz", "science/scicite/test.csv", None, None),
    "emotions-2000": ("go_emotions/train.csv.gz", "go_emotions/test.csv", 2000, None),
    "novels-1080": ("corpus_en_novels", "corpus_en_novels", 1080, None),
    "sst2": ("sst2/train.csv.gz", SST2_TEST, None, None),
}


def read(names: str) -> Rows:
    """Return the rows of one or several files; of GoEmotions those with one label only."""
    rows = []
    for path in map(DATA.joinpath, names.split()):
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8", newline="") as stream:
            rows += [(row["text"], row.get("label") or row["labels"]) for row in csv.DictReader(stream)]
    return [row for row in rows if "," not in row[1]]


def novels(*, test: bool) -> Rows:
    """Return paragraphs of 40 to 100 words with the novel they are from: 54 balanced classes, 20 rows each.

    Training and test paragraphs are the first and the next of a fixed shuffle of each novel.
    """
    text = "".join(gzip.decompress(path.read_bytes()).decode() for path in sorted(DATA.glob(NOVELS)))
    rows = []
    for i, novel in enumerate(part for part in text.split("\n\n") if part.strip()):
        fitting = [line for line in novel.splitlines() if 40 <= len(line.split()) <= 100]
        chosen = random.Random(i).sample(fitting, min(60, len(fitting)))
        rows += [(line, f"novel {i:02d}") for line in (chosen[40:] if test else chosen[:40])]
    return rows


def draw(rows: Rows, n: int | None, seed: int) -> Rows:
    """Draw `n` rows with the classes' shares kept."""
    if n is None or n >= len(rows):
        return rows
    counts = Counter(label for _, label in rows)
    left = {label: max(1, round(n * c / len(rows))) for label, c in sorted(counts.items())}
    shuffled = random.Random(seed).sample(rows, len(rows))
    chosen = []
    for text, label in shuffled:
        if left[label]:
            left[label] -= 1
            chosen.append((text, label))
    return chosen


def write(path: Path, rows: Rows) -> str:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("text", "label"), *rows])
    return str(path)


def tunesmith(train: Rows, test: Rows, *, seed: int, tokens: int | None, folder: Path) -> dict[str, float]:
    import tunesmith as ts

    paths = write(folder / "train.csv", train), write(folder / "test.csv", test)
    settings = {"data.test": [paths[1]], "evaluate.baselines": False, "evaluate.resamples": 10}
    if tokens:
        settings |= {"task.max_tokens": tokens, "task.long_text": "head"}
    run = ts.train(paths[0], seed=seed, out=folder / "run", settings=settings)
    manifest = run.run.manifest
    return {
        "accuracy": run.metrics["accuracy"],
        "macro_f1": run.metrics["macro_f1"],
        "ece": run.metrics["ece"],
        "seconds": manifest["seconds"]["train"],
        "steps": manifest["step"],
        "tokens_per_second": manifest["tokens_per_second"],
    }


def trainer(lr: float):
    def arm(train: Rows, test: Rows, *, seed: int, tokens: int | None, folder: Path) -> dict[str, float]:
        return plain_trainer(train, test, lr=lr, seed=seed, tokens=tokens, folder=folder)

    return arm


def plain_trainer(
    train: Rows,
    test: Rows,
    *,
    lr: float,
    seed: int,
    tokens: int | None,
    folder: Path,
    strategy: str = "random",
    epochs: float = 3,
    batch: int = 32,
) -> dict[str, float]:
    import numpy as np
    from sklearn.metrics import f1_score
    from transformers import DataCollatorWithPadding, set_seed

    set_seed(seed)
    labels = sorted({label for _, label in train})
    model, tokenizer = backbone("AutoModelForSequenceClassification", num_labels=len(labels))

    def encode(rows: Rows) -> list[dict]:
        ids = tokenizer([t for t, _ in rows], truncation=True, max_length=tokens or 512)["input_ids"]
        return [{"input_ids": i, "labels": labels.index(v)} for i, (_, v) in zip(ids, rows, strict=True)]

    collator, how = DataCollatorWithPadding(tokenizer), {"lr": lr, "epochs": epochs, "strategy": strategy}
    made, seconds = fit(model, encode(train), collator, folder, batch=batch, seed=seed, **how)
    found = made.predict(encode(test)).predictions.argmax(1)
    gold = np.array([labels.index(v) for _, v in test])
    return {
        "accuracy": float((found == gold).mean()),
        "macro_f1": float(f1_score(gold, found, average="macro", zero_division=0)),
        "seconds": seconds,
        "steps": made.state.global_step,
    }


def embeddings(train: Rows, test: Rows, *, seed: int, tokens: int | None, folder: Path) -> dict[str, float]:
    import numpy as np
    from sklearn.metrics import f1_score

    from tunesmith.workflow.probe import fit_probe

    labels = sorted({label for _, label in train})
    gold = [labels.index(v) for _, v in train], [labels.index(v) for _, v in test]
    vectors = [mean_vectors([t for t, _ in rows], tokens or 512) for rows in (train, test)]
    probe = fit_probe(vectors[0], np.array(gold[0]), n_classes=len(labels), seed=seed)
    found = (vectors[1] @ probe.weights.T + probe.bias).argmax(1)
    return {"accuracy": float((found == gold[1]).mean()), "macro_f1": float(f1_score(gold[1], found, average="macro"))}


def mean_vectors(texts: list[str], tokens: int):
    import numpy as np
    import torch
    from transformers import AutoModel

    from tunesmith.engine.plan import pack_all
    from tunesmith.models.source import find
    from tunesmith.models.spec import ModelSpec
    from tunesmith.models.tokenize import load_tokenizer

    source = find(ModelSpec())
    tokenizer = load_tokenizer(source, ModelSpec(), max_tokens=tokens)
    model = AutoModel.from_pretrained(source.folder, dtype=torch.float32).eval()
    ids = [tokenizer.pieces(i, policy="head")[0].ids for i in tokenizer.ids(texts)]
    vectors = np.zeros((len(texts), model.config.hidden_size))
    with torch.inference_mode():
        for batch in pack_all([len(i) for i in ids], tokens=4096):
            padded = tokenizer.plain.pad({"input_ids": [ids[i] for i in batch]}, return_tensors="pt")
            hidden, mask = model(**padded).last_hidden_state, padded["attention_mask"].unsqueeze(-1)
            vectors[batch] = ((hidden * mask).sum(1) / mask.sum(1)).numpy()
    return vectors


def tfidf(train: Rows, test: Rows, *, seed: int, tokens: int | None, folder: Path) -> dict[str, float]:
    import numpy as np
    from sklearn.metrics import f1_score

    from tunesmith.metrics.baselines import tfidf_logistic

    labels = sorted({label for _, label in train})
    gold = [np.array([labels.index(v) for _, v in rows]) for rows in (train, test)]
    texts = [[t for t, _ in rows] for rows in (train, test)]
    found = tfidf_logistic(texts[0], gold[0], texts[1], n_classes=len(labels), seed=seed).argmax(1)
    return {"accuracy": float((found == gold[1]).mean()), "macro_f1": float(f1_score(gold[1], found, average="macro"))}


ARMS = {
    "tunesmith": tunesmith,
    "trainer-5e-5": trainer(5e-5),
    "trainer-2e-5": trainer(2e-5),
    "embeddings": embeddings,
    "tfidf": tfidf,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", default="sst2-100,ag-100")
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--test-rows", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=Path("learning.jsonl"))
    parser.add_argument("--table", type=Path)
    parser.add_argument("--one", action="store_true", help="run the one named arm here, in this process")
    args = parser.parse_args()
    if args.table:
        print(table(args.table, names=("accuracy", "macro_f1"), order=[*SETTINGS, *ARMS]))
    elif args.one:
        print(json.dumps(one(args.settings, args.arms, int(args.seeds), args.test_rows)), flush=True)
    else:
        settings, arms = args.settings.split(","), args.arms.split(",")
        seeds = [int(seed) for seed in args.seeds.split(",")]
        in_turns(started(__file__, ["--test-rows", str(args.test_rows)]), settings, arms, seeds, out=args.out)


def one(name: str, arm: str, seed: int, test_rows: int) -> dict[str, Any]:
    """Train and measure one arm once."""
    train_file, test_file, n, tokens = SETTINGS[name]
    if train_file == "corpus_en_novels":
        train, test = draw(novels(test=False), n, seed), novels(test=True)
    else:
        train, test = draw(read(train_file), n, seed), read(test_file)
    test = test if len(test) <= test_rows else random.Random(1).sample(test, test_rows)
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        found = ARMS[arm](train, test, seed=seed, tokens=tokens, folder=Path(folder))
    found["cpu_seconds"] = time.process_time() - began
    return {"setting": name, "arm": arm, "seed": seed, "n_test": len(test), **found}


if __name__ == "__main__":
    main()
