"""Does a larger data set help a small, related one? Alone, learnt together, and one after the other.

    python bench/several.py --seeds 0,1,2 --out several.jsonl
    python bench/several.py --table several.jsonl

Settings are a small data set, of which some rows are drawn with the seed, and a larger one: paraphrases (MRPC) beside
degrees of likeness (STS-B), and entities in tweets (WNUT-17) beside those in news (CoNLL-2003). Arms: `alone`, `tasks`
(both learnt together), `annealed` (likewise, mixed by rows at first and evenly at the end), `stages` (the larger one
first). The small one is measured. Real data is read from TUNESMITH_DATA (default ../shared/data). Seconds are wall time
of training, CPU seconds are of the whole process.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import tasks
from turns import in_turns, started, table

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

ARMS = ("alone", "tasks", "annealed", "stages")
SETTINGS = {"mrpc-300": ("mrpc", 300, "stsb", None), "wnut-300": ("wnut", 300, "conll-2000", 1500)}
"""Name to: the small data set, its rows; the larger one, its rows (None: all)."""
METRICS = ("accuracy", "macro_f1", "entity_f1")


def drawn(name: str, n: int | None, seed: int) -> list:
    """Return training rows of a setting of bench/tasks.py."""
    rows = tasks.SETTINGS[name].read(tasks.DATA / tasks.SETTINGS[name].train)
    return random.Random(seed).sample(rows, n) if n else rows


def one(name: str, arm: str, seed: int) -> dict[str, Any]:
    """Train and measure one arm once."""
    import tunesmith as ts

    small, n_small, large, n_large = SETTINGS[name]
    setting, other = tasks.SETTINGS[small], tasks.SETTINGS[large]
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        here = Path(folder)
        train = setting.write(here / "small", drawn(small, n_small, seed))
        test = setting.write(here / "test", setting.read(tasks.DATA / setting.test))
        usual = {"seed": seed, "evaluate.baselines": False, "evaluate.resamples": 10}
        mine = {"data": {"path": [str(train)], "test": [str(test)]}}
        if arm == "alone":
            run = ts.train(str(train), out=here / "run", settings={**usual, "data.test": [str(test)]})
        else:
            parts = {"large": str(other.write(here / "large", drawn(large, n_large, seed))), "small": mine}
            recipe = {"stages" if arm == "stages" else "tasks": parts}
            recipe |= {"multitask": {"mixing": "annealed"}} if arm == "annealed" else {}
            (here / "recipe.yaml").write_text(json.dumps(recipe))
            runs = ts.train_several(here / "recipe.yaml", out=here / "run", settings=usual)
            run = next(found for part, found in runs.items() if part.endswith("small"))
        found = {key: run.metrics[key] for key in METRICS if key in run.metrics}
        found["seconds"] = run.run.manifest["seconds"]["train"]
    found["cpu_seconds"] = time.process_time() - began
    return {"setting": name, "arm": arm, "seed": seed, **found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", default=",".join(SETTINGS))
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--out", type=Path, default=Path("several.jsonl"))
    parser.add_argument("--table", type=Path)
    parser.add_argument("--one", action="store_true", help="run the one named arm here, in this process")
    args = parser.parse_args()
    if args.table:
        print(table(args.table, names=METRICS, order=[*SETTINGS, *ARMS]))
    elif args.one:
        print(json.dumps(one(args.settings, args.arms, int(args.seeds))), flush=True)
    else:
        seeds = [int(seed) for seed in args.seeds.split(",")]
        in_turns(started(__file__), args.settings.split(","), args.arms.split(","), seeds, out=args.out)


if __name__ == "__main__":
    main()
