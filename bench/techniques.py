"""Techniques, measured one switch at a time with few labels: tunesmith's defaults with and without, in pairs.

    python bench/techniques.py --settings sst2-100,ag-100,scicite-100 --seeds 0,1,2 --out techniques.jsonl
    python bench/techniques.py --settings conll-500 --switches plain,lora,rdrop --seeds 0 --out techniques.jsonl
    python bench/effects.py --add techniques.jsonl  # into RESULTS.md and the guide

Switches are those of `tunesmith ablate --all`, "plain" is none of them; several may be joined: "rdrop + eda"; with
"unlabeled" up to 6,000 training texts are there without their labels: "consistency + unlabeled"; "context" trains a
masked language model on 2,000 of them first. "NAME.yaml" is one of recipes/, with them as rows of its file whose label
is empty. "trainer RATE" is plain `transformers.Trainer` with a learning rate, as many updates of as many rows as
"plain"; "script RATE" the same with the 3 epochs and 32 rows a step of transformers' example scripts. With the same
seed all arms learn from the same rows and are measured on the same; those with other objectives or edited rows, and
"plain", also on half of them with slips on the keyboard in a tenth of the words, and with near words in the place of a
tenth. Real data is read from TUNESMITH_DATA (default ../shared/data). Seconds are wall time of training, CPU seconds
are of the whole process.
"""

from __future__ import annotations

import argparse
import importlib
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import chdir
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import learning
import tasks
from effects import EDITS, PLAIN
from turns import forked, in_turns

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

ROOT = Path(__file__).resolve().parents[1]
UNLABELED, CONTEXT = "unlabeled", "context"
EDITION = 2
"""Of the defaults; pairs are made within one. 2: the layers of BERT learn at the rates that `train.layer_decay` says,
and not at 0.9 of them."""
AS_LONG = "train.length=448 steps"
"""No technique: as many updates of 100 rows as `eda` makes, so that what its words do is told from what these do."""
N_UNLABELED = 6000
N_READ = 2000
"""Texts that a masked language model learns from."""
TRAINER: dict[str, dict[str, int]] = {"trainer": {"epochs": 15, "batch": 16}, "script": {}}
"""How long and in which steps plain `Trainer` learns; the first is what "plain" chooses for 100 rows."""
FILES = {
    "sst2": ("sst2/train_sentences.csv", learning.SST2_TEST),
    "ag": ("ag_news/train.csv.gz", "ag_news/test.csv.gz"),
    "scicite": ("science/scicite/train.csv.gz", "science/scicite/test.csv"),
}


def read_kinds(path: Path) -> list[tuple[str, list[str]]]:
    """Return each sentence of a CoNLL file, and which kinds of names there are in it."""
    rows = tasks.read_tags(path)
    return [(" ".join(words), sorted({tag[2:] for tag in tags if tag != "O"})) for words, tags in rows]


CONLL, EMOTIONS = tasks.SETTINGS["conll-2000"], tasks.SETTINGS["emotions-4000"]
OF_TASKS = {
    "conll": (CONLL, "entity_f1"),
    "emotions": (EMOTIONS, "macro_f1"),
    "kinds": (replace(EMOTIONS, read=read_kinds, train=CONLL.train, test=CONLL.test), "macro_f1"),
}
"""Settings of bench/tasks.py with fewer rows, and what is measured: for techniques that classes have no use for."""
IMPORTED = (
    "tunesmith.workflow.train",
    "transformers.models.bert.modeling_bert",
    "transformers.modeling_utils",
    "accelerate",
    "peft",
    "sklearn.linear_model",
    "scipy.stats",
)


ALSO = ("micro_f1", "mean_average_precision")
"""Kept beside what is measured, where there are several labels."""


def import_all() -> None:
    """Import what every arm needs, once; and open saved models in the arm's process, not in a fresh one."""
    for name in IMPORTED:
        importlib.import_module(name)
    from tunesmith.data.table import Table
    from tunesmith.inference.predictor import Predictor
    from tunesmith.workflow import save

    def opened(run: Any, columns: Any) -> list[dict[str, Any]]:
        said = Predictor.load(run.model_folder, device="cpu").answers(Table.of(columns))
        return [prediction.record() for prediction in said]

    save.answers_of_a_fresh_process = opened


def settings_of(switch: str) -> dict[str, Any]:
    """Return the settings of a switch, or of several."""
    from ruamel.yaml import YAML

    from tunesmith.workflow import switches

    names = " + ".join(name for name in switch.split(" + ") if name not in {PLAIN, UNLABELED})
    pairs = [text.split("=", 1) for text in switches.settings_of(names)] if names else []
    return {key: YAML(typ="safe", pure=True).load(value) for key, value in pairs}


def may_harden(switch: str) -> bool:
    """Whether a switch may be more or less robust than "plain", which is measured, too."""
    return switch == PLAIN or any(key.startswith(("objectives.", "augment.")) for key in settings_of(switch))


def rows_of(name: str, seed: int, n_test: int) -> tuple[list, list, list]:
    """Return the training rows of a seed, some whose labels are not for learning, and the test rows."""
    data, _, n = name.rpartition("-")
    if data in OF_TASKS:
        setting, _ = OF_TASKS[data]
        every, test = (setting.read(tasks.DATA / file) for file in (setting.train, setting.test))
        train = random.Random(seed).sample(every, int(n))
    else:
        every, test = (learning.read(file) for file in FILES[data])
        train = learning.draw(every, int(n), seed)
    others = random.Random(seed).sample(every, min(len(every), N_UNLABELED))
    return train, others, test if len(test) <= n_test else random.Random(1).sample(test, n_test)


def write_classes(path: Path, rows: list) -> str:
    return learning.write(path.with_suffix(".csv"), rows)


def one(name: str, switch: str, seed: int, *, n_test: int) -> dict[str, Any]:
    """Train and measure one arm once; what has no meaning here says so under "refused"."""
    from tunesmith.core.errors import TunesmithError

    try:
        is_trainer = switch.split(maxsplit=1)[0] in TRAINER
        measure = of_trainer if is_trainer else of_recipe if switch.endswith(".yaml") else measured
        found = measure(name, switch, seed, n_test)
    except TunesmithError as error:
        found = {"refused": str(error)}
    return {"setting": name, "arm": switch, "seed": seed, "edition": EDITION, **found}


def of_trainer(name: str, arm: str, seed: int, n_test: int) -> dict[str, Any]:
    """Train once with plain transformers; return its numbers."""
    from tunesmith.core.hardware import peak_memory_bytes

    train, _, test = rows_of(name, seed, n_test)
    how, lr = arm.split()
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        known = {"lr": float(lr), "seed": seed, "tokens": None, "folder": Path(folder)}
        found = learning.plain_trainer(train, test, **known, **TRAINER[how])
        spent = time.process_time() - began
    kept = {"value": found["accuracy"], "seconds": found["seconds"], "steps": found["steps"]}
    return kept | {"memory": peak_memory_bytes(), "cpu_seconds": spent}


def of_recipe(name: str, arm: str, seed: int, n_test: int) -> dict[str, Any]:
    """Train as a recipe of stages has it; return the numbers of the last stage, and what all of them cost."""
    import tunesmith as ts
    from tunesmith.core.hardware import peak_memory_bytes

    train, others, test = rows_of(name, seed, n_test)
    labelled = {text for text, _ in train}
    rows = [*train, *((text, "") for text, _ in others if text not in labelled)]
    recipe = ROOT / "recipes" / arm
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        learning.write(Path(folder) / "reviews.csv", rows)
        settings = {"evaluate.baselines": False, "evaluate.resamples": 10, "seed": seed, "data.split.test": 0}
        settings["data.test"] = [learning.write(Path(folder) / "test.csv", test)]
        with chdir(folder):
            stages = list(ts.train_several(recipe, out=Path(folder) / "run", settings=settings).values())
        manifests = [stage.run.manifest for stage in stages]
        found = {"value": stages[-1].metrics["accuracy"], "before": [one.metrics["accuracy"] for one in stages[:-1]]}
        found["seconds"] = sum(one["seconds"]["train"] for one in manifests)
        found |= {"steps": sum(one["step"] for one in manifests), "memory": peak_memory_bytes()}
        found |= {edit: _share_right(stages[-1], test, edit) for edit in EDITS}
        found["cpu_seconds"] = time.process_time() - began
    return found


def measured(name: str, switch: str, seed: int, n_test: int) -> dict[str, Any]:
    """Train one arm once; return its numbers."""
    import tunesmith as ts
    from tunesmith.core.hardware import peak_memory_bytes

    train, others, test = rows_of(name, seed, n_test)
    of_classes = name.rpartition("-")[0] in FILES
    write, metric = write_classes, "accuracy"
    if not of_classes:
        setting, metric = OF_TASKS[name.rpartition("-")[0]]
        write = setting.write
    usual = {"evaluate.baselines": False, "evaluate.resamples": 10}
    if metric == "entity_f1" and any(key.startswith("objectives.") for key in settings_of(switch)):
        usual["task.crf"] = False
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        paths = [str(write(Path(folder) / part, rows)) for part, rows in (("train", train), ("test", test))]
        settings = {**usual, "data.test": [paths[1]], **settings_of(switch)}
        if CONTEXT in switch.split(" + "):
            settings["augment.model"] = fill_mask([text for text, *_ in others[:N_READ]], Path(folder), seed)
        if UNLABELED in switch.split(" + "):
            bare = [(text, "") for text, _ in others]
            settings["data.unlabeled"] = [learning.write(Path(folder) / "others.csv", bare)]
        run = ts.train(paths[0], seed=seed, out=Path(folder) / "run", settings=settings)
        found = {"value": run.metrics[metric]}
        if metric == "macro_f1":
            found |= {name: run.metrics[name] for name in ALSO} | {"brier": _brier(run.run.predictions("test"))}
        found["seconds"], found["steps"] = run.run.manifest["seconds"]["train"], run.run.manifest["step"]
        found["memory"] = peak_memory_bytes()
        if of_classes and may_harden(switch):
            found |= {edit: _share_right(run, test, edit) for edit in EDITS}
        found["cpu_seconds"] = time.process_time() - began
    return found


def fill_mask(texts: list[str], folder: Path, seed: int) -> str:
    """Train a masked language model on texts; return its run."""
    import tunesmith as ts

    path, settings = folder / "others.txt", {"task.kind": "fill-mask", "evaluate.baselines": False}
    path.write_text("\n".join(" ".join(text.split()) for text in texts), encoding="utf-8")
    return str(ts.train(path, seed=seed, out=folder / "fill-mask", settings=settings).folder)


def _brier(rows: Iterable[dict[str, Any]]) -> float:
    """Return the mean squared error of all labels' probabilities."""
    return fmean((p - (name in row["gold"])) ** 2 for row in rows for name, p in row["probabilities"].items())


def _share_right(run: Any, test: list, edit: str) -> float:
    """Return the accuracy on test rows with a tenth of their words edited, the same edits for all."""
    from tunesmith.data.augment.edits import EDITS as edits
    from tunesmith.data.augment.words import cut, join
    from tunesmith.models.neighbours import Neighbours
    from tunesmith.models.spec import ModelSpec

    near, test = Neighbours(ModelSpec()), test[::2]
    texts = [join(edits[edit](cut(text), random.Random(i), 0.1, near)) for i, (text, _) in enumerate(test)]
    said = run.predict(texts)
    return sum(str(one.label) == label for one, (_, label) in zip(said, test, strict=True)) / len(test)


def main() -> None:
    from tunesmith.workflow.switches import SWITCHES

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", default="sst2-100,ag-100,scicite-100")
    parser.add_argument(
        "--switches", default=",".join([PLAIN, AS_LONG, *(name for name in SWITCHES if name != "asymmetric")])
    )
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--test-rows", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=Path("techniques.jsonl"))
    args = parser.parse_args()
    import_all()
    arm = forked(partial(one, n_test=args.test_rows))
    seeds = [int(seed) for seed in args.seeds.split(",")]
    in_turns(arm, args.settings.split(","), args.switches.split(","), seeds, out=args.out)


if __name__ == "__main__":
    main()
