"""Training speed and peak memory, in turns on one machine: tunesmith beside `transformers.Trainer`.

    python bench/speed.py --rows 3200 --rounds 3
    python bench/speed.py --data ag_news/train.csv.gz --rows 12000 --rounds 1

Each arm trains one epoch on the same rows in a process of its own, arm after arm, round after round; real tokens a
second (padding not counted) and the process's peak memory. Reported as medians and as ratios. Some hundred updates
tell the memory: what is kept for every shape of batch takes time to add up.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

ARMS = ("tunesmith", "trainer-group", "trainer-random")


def one(arm: str, data: str, n_rows: int) -> dict[str, float]:
    """Train one epoch; return tokens a second and peak memory in MiB."""
    import random

    from learning import plain_trainer, read

    from tunesmith.core.hardware import peak_memory_bytes
    from tunesmith.models.source import find
    from tunesmith.models.spec import ModelSpec
    from tunesmith.models.tokenize import load_tokenizer

    rows = random.Random(0).sample(read(data), n_rows)
    tokenizer = load_tokenizer(find(ModelSpec()), ModelSpec())
    tokens = sum(len(ids) + 2 for ids in tokenizer.ids([t for t, _ in rows]))
    with tempfile.TemporaryDirectory() as folder:
        if arm == "tunesmith":
            seconds = engine_seconds(rows, Path(folder))
        else:
            strategy = {"trainer-group": "group_by_length", "trainer-random": "random"}[arm]
            settings = {"seed": 0, "tokens": None, "folder": Path(folder), "strategy": strategy, "epochs": 1}
            seconds = plain_trainer(rows, rows[:8], lr=5e-5, **settings)["seconds"]
    return {"tokens_per_second": tokens / seconds, "peak_mib": peak_memory_bytes() / 2**20}


def engine_seconds(rows: list[tuple[str, str]], folder: Path) -> float:
    """Train one epoch with tunesmith at the same batch, head and rate; return the seconds of the updates."""
    from learning import write

    from tunesmith.recipe.compose import compose
    from tunesmith.run.folder import Run
    from tunesmith.workflow.build import make_setup
    from tunesmith.workflow.fit import fit
    from tunesmith.workflow.prepare import prepare
    from tunesmith.workflow.resolve import resolve
    from tunesmith.workflow.session import Watch

    settings = {
        "data.path": [write(folder / "rows.csv", rows)],
        "data.split.test": 0,
        "data.split.dev": 0,
        "data.duplicates": "keep",
        "train.length": "1 epochs",
        "train.step_size": "32 rows",
        "train.lr": 5e-5,
        "model.pooling": "first",
    }
    recipe, origins = compose(file=None, overrides=(), arguments=settings)
    prepared = prepare(recipe)
    resolved = resolve(recipe, origins, prepared=prepared)
    run = Run.create(folder / "run")
    return fit(resolved, make_setup(resolved), run=run, watch=Watch()).seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="sst2/train.csv.gz", help="a training file in TUNESMITH_DATA")
    parser.add_argument("--rows", type=int, default=3200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--arm", choices=ARMS)
    args = parser.parse_args()
    if args.arm:
        print(json.dumps(one(args.arm, args.data, args.rows)))
        return
    found = defaultdict(list)
    for _ in range(args.rounds):
        for arm in ARMS:
            command = [sys.executable, __file__, "--arm", arm, "--data", args.data, "--rows", str(args.rows)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found[arm].append(json.loads(done.stdout.splitlines()[-1]))
            print(arm, done.stdout.splitlines()[-1], flush=True)
    speed = {arm: statistics.median(r["tokens_per_second"] for r in rows) for arm, rows in found.items()}
    memory = {arm: statistics.median(r["peak_mib"] for r in rows) for arm, rows in found.items()}
    for arm in ARMS:
        ratio = speed["tunesmith"] / speed[arm]
        print(f"{arm:15s} {speed[arm]:7.0f} tokens/s  {memory[arm]:6.0f} MiB  tunesmith is {ratio:.2f} times as fast")


if __name__ == "__main__":
    main()
