"""Exact resume under fire: `kill -9` at random moments, resume, compare the final weights bit for bit.

    python bench/kill.py --moments 20

Trains a model on generated rows once without interruption, then again and again with a kill at a random moment
(mid-step, mid-checkpoint, mid-evaluation), each time resumed, and compares the SHA-256 of the final weights.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.tiny import sentences, tiny_bert, write_csv
from tunesmith.core.files import sha256
from tunesmith.run.folder import Run

SETTINGS = {
    "train.length": "12 epochs",
    "train.lr": "1e-3",
    "train.save_every": "2 steps",
    "train.average": "0.7",
    "data.split.dev": "0.3",
    "evaluate.patience": "0",
    "evaluate.every": "3 steps",
    "evaluate.baselines": "false",
    "evaluate.resamples": "10",
}


def command(data: Path, model: Path, out: Path) -> list[str]:
    sets = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]
    return [sys.executable, "-m", "tunesmith", "train", str(data), "--model", str(model), "--out", str(out), *sets]


def resume(out: Path) -> list[str]:
    return [sys.executable, "-m", "tunesmith", "train", "--resume", str(out)]


def uninterrupted(data: Path, model: Path, out: Path) -> tuple[str, float]:
    """Return the hash of the final weights, and how long training went on after the run folder appeared."""
    process = subprocess.Popen(command(data, model, out), stdout=subprocess.DEVNULL)
    while not (out / "log.jsonl").exists():
        time.sleep(0.02)
    began = time.monotonic()
    while not (out / "metrics.json").exists() and process.poll() is None:
        time.sleep(0.02)
    seconds = time.monotonic() - began
    if process.wait():
        raise SystemExit("the uninterrupted run failed")
    return sha256(out / "model" / "model.safetensors"), seconds


def killed(data: Path, model: Path, out: Path, *, after: float) -> tuple[str, str]:
    """Kill a run `after` seconds into its training, resume it; return the weights' hash and where it was killed."""
    process = subprocess.Popen(command(data, model, out), stdout=subprocess.DEVNULL)
    while not (out / "log.jsonl").exists():
        time.sleep(0.005)
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    process.wait()
    log = (out / "log.jsonl").read_text().splitlines()
    leftovers = [p.name for p in out.rglob(".*.tmp")]
    if Run.open(out).status != "done":
        subprocess.run(resume(out), check=True, stdout=subprocess.DEVNULL)
    return sha256(
        out / "model" / "model.safetensors"
    ), f"after {len(log)} log lines, half-written: {leftovers or 'nothing'}"


def fire(moments: int, *, seed: int = 0, say=print) -> int:
    """Return how many of the resumed runs ended with other weights."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, data = (
            tiny_bert(folder / "tiny", width=64, unused_words=300),
            write_csv(folder / "rows.csv", sentences(200)),
        )
        wanted, seconds = uninterrupted(data, model, folder / "whole")
        chance, different = random.Random(seed), 0
        for i in range(moments):
            after = chance.uniform(0, seconds)
            found, where = killed(data, model, folder / f"run-{i}", after=after)
            different += found != wanted
            verdict = "same" if found == wanted else "DIFFERENT"
            say(f"{i + 1:2d}  killed {after:5.2f} s into {seconds:.1f} s, {where}: {verdict}")
            shutil.rmtree(folder / f"run-{i}")
        return different


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    n_different = fire(args.moments, seed=args.seed)
    print(f"{args.moments - n_different} of {args.moments} resumed runs ended with identical weights")
    sys.exit(bool(n_different))
