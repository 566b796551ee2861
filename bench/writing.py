"""Models that write or know language, measured: translation over time, summaries, perplexity before and after.

    python bench/writing.py --settings multi30k --arms pretrained,random --seeds 0 --out writing.jsonl
    python bench/writing.py --settings aeslc-4000,novels-causal,novels-masked --seeds 0,1,2 --out writing.jsonl
    python bench/writing.py --settings multi30k,novels-causal,novels-masked --arms trainer --out writing.jsonl
    python bench/writing.py --table writing.jsonl

Settings are data and task; arms are the weights that training starts from: `pretrained` is the embedded model, changed
for the task where it was not made for it, `random` the same architecture from nothing. No other setting is touched.
`trainer` is plain `transformers.Trainer` from the pretrained weights, with the recipe of its example scripts.
Translation saves checkpoints on the way and translates the same 300 test sentences with each, greedily, after training
has ended: "curve" holds (minutes of training, updates, BLEU). Real data is read from TUNESMITH_DATA (default
../shared/data). Seconds are wall time of training, CPU seconds are of the whole process.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import plain_writing
from turns import in_turns, started

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

DATA = Path(os.environ.get("TUNESMITH_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
CURVE_STEPS = 1000
"""Updates between two points of the curve."""
CURVE_ROWS = 300
TEST_ROWS = 1000
NOVELS = 4000
"""Paragraphs to learn from."""
ARMS = ("pretrained", "random", "trainer")
Settings = dict[str, Any]


def lines(path: Path) -> list[str]:
    """Return a file's lines that are not empty."""
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    return [line for line in text.splitlines() if line.strip()]


def some(path: Path, n: int, seed: int, *, out: Path) -> str:
    """Write `n` lines of a file, drawn, to `out`."""
    found = lines(path)
    out.write_text("\n".join(random.Random(seed).sample(found, min(n, len(found)))) + "\n", encoding="utf-8")
    return str(out)


def translation(folder: Path, *, seed: int, settings: Settings) -> Settings:
    """Train on Multi30k, English to German; return BLEU of test2016 with its interval, and BLEU over time."""
    from tunesmith.metrics.scorer import measure
    from tunesmith.recipe.compose import compose
    from tunesmith.run.folder import Run
    from tunesmith.workflow.assess import outputs
    from tunesmith.workflow.build import make_setup
    from tunesmith.workflow.fit import fit
    from tunesmith.workflow.prepare import prepare
    from tunesmith.workflow.resolve import resolve
    from tunesmith.workflow.session import Watch

    here = DATA / "multi30k/en-de"
    fixed = {
        "seed": seed,
        "data.path": [str(here / "train.jsonl.gz")],
        "data.dev": [str(here / "val.jsonl")],
        "data.test": [str(here / "test2016.jsonl")],
        "task.kind": "translation",
        "train.save_every": f"{CURVE_STEPS} steps",
        "train.keep_checkpoints": 99,
    }
    recipe, origins = compose(file=None, overrides=(), arguments=fixed | settings)
    prepared = prepare(recipe)
    resolved = resolve(recipe, origins, prepared=prepared)
    run = Run.create(folder / "run")
    began = time.monotonic()
    minutes: dict[int, float] = {}

    def note(event: Settings) -> None:
        if event["event"] == "step":
            minutes[event["step"]] = (time.monotonic() - began) / 60
            if event["step"] % 100 == 0:
                print(f"step {event['step']:,}, {minutes[event['step']]:.1f} min", file=sys.stderr, flush=True)

    fitted = fit(resolved, make_setup(resolved), run=run, watch=Watch([note]))
    table = resolved.encoded.tables["test"]
    said = resolved.task.predictions(outputs(resolved, fitted, "test"), table)
    values = measure(resolved.task.scorer(said, resolved.task.gold(table)), resamples=500)["values"]
    curve = [(minutes[step], step, bleu) for step, bleu in bleu_of_checkpoints(resolved, run)]
    return {
        "test": {name: (one["value"], one["low"], one["high"]) for name, one in values.items()},
        "curve": curve,
        "seconds": fitted.seconds,
        "steps": fitted.step,
    }


def bleu_of_checkpoints(resolved: Any, run: Any) -> Iterator[tuple[int, float]]:
    """Yield the updates and the BLEU of some test rows, written greedily, for every checkpoint of a run."""
    from tunesmith.engine import checkpoint
    from tunesmith.engine.infer import infer
    from tunesmith.metrics.scorer import measure
    from tunesmith.models.vocabulary import make_plain
    from tunesmith.workflow.build import make_setup

    task, tokenizer, examples = resolved.task, resolved.tokenizer, resolved.encoded.examples
    table = resolved.encoded.tables["test"].take(range(CURVE_ROWS))
    for path in sorted(run.checkpoints_folder.glob("step-*")):
        setup = make_setup(resolved)
        model = setup.device.plain(setup.model)
        checkpoint.load(path, model, setup.optimizer)
        make_plain(model)
        model.generation_config.num_beams = 1
        found = infer(model, examples["test"][:CURVE_ROWS], task=task, pad_id=tokenizer.pad_id)
        said = task.predictions(task.read(found, tokenizer), table)
        yield (
            checkpoint.step_of(path),
            measure(task.scorer(said, task.gold(table)), resamples=1)["values"]["bleu"]["value"],
        )


def trained(folder: Path, *, paths: Settings, seed: int, settings: Settings) -> Settings:
    """Train with the product's one function; return its test metrics with intervals, and those of its baselines."""
    import tunesmith as ts

    run = ts.train(paths.pop("data.path"), seed=seed, out=folder / "run", settings=settings | paths)
    metrics = json.loads((folder / "run/metrics.json").read_text())
    test = metrics["splits"]["test"]["values"]
    found = {name: (one["value"], one["low"], one["high"]) for name, one in test.items()}
    baselines = {
        name: {key: (one["value"], one["low"], one["high"]) for key, one in values["values"].items()}
        for name, values in metrics.get("baselines", {}).items()
    }
    manifest = run.run.manifest
    return {"test": found, "baselines": baselines, "seconds": manifest["seconds"]["train"], "steps": manifest["step"]}


def aeslc(folder: Path, *, n: int, seed: int, settings: Settings) -> Settings:
    """Learn the subjects of `n` mails; the dev rows of AESLC are the dev rows."""
    here = DATA / "summarization/aeslc"
    paths = {
        "data.path": some(here / "train.jsonl.gz", n, seed, out=folder / "train.jsonl"),
        "data.dev": [some(here / "dev.jsonl.gz", 300, 1, out=folder / "dev.jsonl")],
        "data.test": [some(here / "test.jsonl.gz", TEST_ROWS, 1, out=folder / "test.jsonl")],
        "task.kind": "summarization",
    }
    return trained(folder, paths=paths, seed=seed, settings=settings)


def novels(folder: Path, *, kind: str, n: int, seed: int, settings: Settings) -> Settings:
    """Go on learning language from `n` paragraphs of novels; measured on three other novels."""
    here = DATA / "corpus_en_novels"
    paths = {
        "data.path": some(here / "part-00.txt.gz", n, seed, out=folder / "train.txt"),
        "data.test": [some(here / "valid.txt.gz", TEST_ROWS, 1, out=folder / "test.txt")],
        "task.kind": kind,
    }
    return trained(folder, paths=paths, seed=seed, settings=settings)


SETTINGS = {
    "multi30k": translation,
    "aeslc-4000": partial(aeslc, n=4000),
    "novels-causal": partial(novels, kind="text-generation", n=NOVELS),
    "novels-masked": partial(novels, kind="fill-mask", n=NOVELS),
}


def plain(name: str, folder: Path, *, seed: int) -> Settings:
    """Train with plain transformers; return its metrics, without intervals."""
    if name == "multi30k":
        here = DATA / "multi30k/en-de"
        train, test = (rows_of(here / file) for file in ("train.jsonl.gz", "test2016.jsonl"))
    else:
        here = DATA / "corpus_en_novels"
        train = lines(Path(some(here / "part-00.txt.gz", NOVELS, seed, out=folder / "train.txt")))
        test = lines(Path(some(here / "valid.txt.gz", TEST_ROWS, 1, out=folder / "test.txt")))
    found = PLAIN[name](train, test, folder=folder, seed=seed)
    costs = {key: found.pop(key) for key in ("seconds", "steps", "curve") if key in found}
    return {"test": {key: (value, None, None) for key, value in found.items()}, **costs}


def rows_of(path: Path) -> list[tuple[str, str]]:
    """Return the pairs of a file of Multi30k."""
    return [(row["source"], row["target"]) for row in map(json.loads, lines(path))]


PLAIN = {
    "multi30k": partial(plain_writing.translation, curve_steps=CURVE_STEPS, curve_rows=CURVE_ROWS),
    "novels-causal": plain_writing.causal,
    "novels-masked": plain_writing.masked,
}


def one(name: str, arm: str, seed: int, more: Settings) -> Settings:
    """Train and measure one arm once."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        settings = more | ({"model.weights": "random"} if arm == "random" else {})
        if arm == "trainer":
            found = plain(name, Path(folder), seed=seed)
        else:
            found = SETTINGS[name](Path(folder), seed=seed, settings=settings)
    return {"setting": name, "arm": arm, "seed": seed, **found, "cpu_seconds": time.process_time() - began}


def table(path: Path) -> str:
    """Return a Markdown table: a line a run and metric, with the baselines beside."""
    found = ["| setting | arm | seed | metric | test | baselines | train s | CPU s |", "|---" * 8 + "|"]
    for row in map(json.loads, path.read_text().splitlines()):
        for name, value in row["test"].items():
            beside = ", ".join(f"{b} {shown(v[name])}" for b, v in row.get("baselines", {}).items() if name in v)
            start = f"| {row['setting']} | {row['arm']} | {row['seed']} | {name} | {shown(value)} | {beside} "
            found.append(f"{start}| {row['seconds']:.0f} | {row['cpu_seconds']:.0f} |")
        for minutes, step, bleu in row.get("curve", ()):
            found.append(f"|  |  |  | after {step:,} updates, {minutes:.0f} minutes | {100 * bleu:.1f} |  |  |  |")
    return "\n".join(found)


def shown(value: list[float | None]) -> str:
    """Return a value with its interval."""
    if value[0] is None:
        return "undefined"
    return f"{value[0]:.4g} ({value[1]:.4g} to {value[2]:.4g})" if value[1] is not None else f"{value[0]:.4g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", default=",".join(SETTINGS))
    parser.add_argument("--arms", default="pretrained")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=JSON", help="a setting of the recipe")
    parser.add_argument("--out", type=Path, default=Path("writing.jsonl"))
    parser.add_argument("--table", type=Path)
    parser.add_argument("--one", action="store_true", help="run the one named arm here, in this process")
    args = parser.parse_args()
    if args.table:
        print(table(args.table))
    elif args.one:
        more = {key: json.loads(value) for key, value in (given.split("=", 1) for given in args.set)}
        print(json.dumps(one(args.settings, args.arms, int(args.seeds), more)), flush=True)
    else:
        seeds = [int(seed) for seed in args.seeds.split(",")]
        more = [part for given in args.set for part in ("--set", given)]
        in_turns(started(__file__, more), args.settings.split(","), args.arms.split(","), seeds, out=args.out)


if __name__ == "__main__":
    main()
