"""Two processes (gloo) must give what one gives, an uneven last batch included."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.tiny import sentences, tiny_bert, write_csv
from tunesmith.run.folder import Run

ROOT = Path(__file__).resolve().parents[2]
WORKER = """
import json
import sys
from dataclasses import replace
from pathlib import Path
from safetensors.torch import save_file
sys.path.insert(0, sys.argv[3])
from tests.engine.test_loop import make
from tests.tiny import sentences
from tunesmith.data.table import Table
from tunesmith.engine.anchor import Anchor
from tunesmith.engine.checkpoint import weights
from tunesmith.engine.freeze import Thaw
from tunesmith.engine.loop import train_steps
from tunesmith.engine.plan import Plan
from tunesmith.engine.twins import Twins
from tunesmith.models.classifier import head_of
from tunesmith.models.source import Source
from tunesmith.models.spec import ModelSpec
from tunesmith.models.tokenize import load_tokenizer
from tunesmith.objectives import ObjectivesSpec
setup, plan = make(Path(sys.argv[1]), length="2 epochs", step_size="7 rows", **json.loads(sys.argv[4]))
device = setup.device
plain = device.plain(setup.model)
objectives = ObjectivesSpec(**json.loads(sys.argv[5]))
unlabeled = Table.of({"text": [text for text, _ in sentences(30, seed=1)]})
tokenizer = load_tokenizer(Source("tiny", Path(sys.argv[1])), ModelSpec(source=sys.argv[1]))
setup = replace(
    setup,
    objectives=objectives.active(setup.task),
    twins=objectives.consistency and Twins(
        unlabeled, task=setup.task, tokenizer=tokenizer, spec=objectives.consistency, near=lambda _: (),
        tokens_per_batch=64,
    ),
    anchor=Anchor(plain, setup.spec, head=head_of(plain)),
    thaw=Thaw(plain, setup.spec, head=head_of(plain)),
)
plan = Plan(plan.lengths, plan.weights, plan.length, plan.step_size, plan.tokens_per_batch, plan.seed, device.world)
losses = [report.loss + sum(report.terms.values()) for report in train_steps(setup, plan)]
assert device.any(device.is_main) and not device.any(False)  # one process that is asked to stop stops all
if device.is_main:
    print(device.world, losses)
    save_file(weights(device.plain(setup.model)), sys.argv[2])
device.wait()
if device.world > 1:
    import torch.distributed
    torch.distributed.destroy_process_group()
"""


def run(script, model, out, *, processes, train=None, objectives=None):
    command = [sys.executable, str(script), str(model), str(out), str(ROOT)]
    command += [json.dumps(train or {}), json.dumps(objectives or {})]
    if processes > 1:
        launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        command = [*launcher, *command[1:]]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    world, losses = done.stdout.strip().splitlines()[-1].split(" ", 1)
    assert int(world) == processes
    return [float(x) for x in losses.strip("[]").split(",")], load_file(out)


@pytest.mark.parametrize(
    ("train", "objectives"),
    [
        ({}, {}),
        (
            {"unfreeze_every": "2 steps", "mixout": 0.3, "decay_to_start": 1.0},
            {"rdrop": True, "freelb": True, "smart": {"start": 1e-9}, "consistency": {"confidence": 0.0}},
        ),
    ],
)
def test_two_processes_give_what_one_gives(tmp_path, train, objectives):
    model = tiny_bert(tmp_path / "still", dropout=0.0)
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    one_losses, one = run(script, model, tmp_path / "one.safetensors", processes=1, train=train, objectives=objectives)
    two_losses, two = run(script, model, tmp_path / "two.safetensors", processes=2, train=train, objectives=objectives)
    assert len(one_losses) == 12  # 40 rows in steps of 7: the last of each epoch has 5
    assert max(abs(a - b) for a, b in zip(one_losses, two_losses, strict=True)) < 1e-4
    assert all(torch.allclose(one[name], two[name], atol=1e-4) for name in one)


@pytest.mark.parametrize("more", [[], ["--set", "model.drop_layers=0.8"]], ids=["plain", "drop_layers"])
def test_a_whole_run_under_a_launcher(tmp_path, more):
    model, data = tiny_bert(tmp_path / "tiny"), write_csv(tmp_path / "rows.csv", sentences(80))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "tunesmith"]
    settings = ["--set", "train.length=6 steps", "--set", "data.split.dev=0.2", "--set", "evaluate.resamples=20"]
    command = [*launcher, "train", str(data), "--model", str(model), "--set", "train.device=cpu", *settings, *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["rows-1"]
    assert done.stdout.count("Next:") == 1
    assert (tmp_path / "runs" / "rows-1" / "report.html").exists()


def test_several_tasks_under_a_launcher_give_what_one_process_gives(tmp_path):
    model = tiny_bert(tmp_path / "still", dropout=0.0)
    parts = {name: str(write_csv(tmp_path / f"{name}.csv", sentences(60, seed=seed))) for seed, name in enumerate("ab")}
    recipe = {"tasks": parts, "model": str(model), "multitask": {"weighting": "grad_norm", "mixing": "uniform"}}
    recipe |= {"train": {"length": "4 steps", "device": "cpu"}, "evaluate": {"resamples": 20, "baselines": False}}
    (tmp_path / "both.yaml").write_text(json.dumps(recipe))
    losses = []
    for processes in (1, 2):
        launcher = [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            f"--nproc-per-node={processes}",
            "-m",
        ]
        command = [*(launcher if processes > 1 else [sys.executable, "-m"]), "tunesmith", "train", "-c", "both.yaml"]
        done = subprocess.run([*command, "--out", f"run{processes}"], capture_output=True, text=True, check=False,
                              timeout=240, cwd=tmp_path)  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        events = [json.loads(line) for line in (tmp_path / f"run{processes}/log.jsonl").read_text().splitlines()]
        losses.append([(event["task"], event["loss"]) for event in events if event["event"] == "step"])
        assert {(tmp_path / f"run{processes}" / name / "report.html").exists() for name in parts} == {True}
    assert [task for task, _ in losses[0]] == [task for task, _ in losses[1]]
    assert max(abs(a - b) for (_, a), (_, b) in zip(*losses, strict=True)) < 1e-4


def test_stages_under_a_launcher_wait_for_the_main_process_and_go_on_where_they_were(tmp_path):
    parts = {name: str(write_csv(tmp_path / f"{name}.csv", sentences(40, seed=i))) for i, name in enumerate("ab")}
    recipe = {"stages": parts, "model": str(tiny_bert(tmp_path / "tiny", dropout=0.0))}
    recipe |= {"train": {"length": "2 steps", "device": "cpu"}, "evaluate": {"resamples": 20, "baselines": False}}
    (tmp_path / "stages.yaml").write_text(json.dumps(recipe))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "tunesmith"]
    out = tmp_path / "run"
    for command in (["-c", "stages.yaml", "--out", "run"], ["--resume", "run"]):
        done = subprocess.run([*launcher, "train", *command], capture_output=True, text=True, check=False, timeout=240,
                              cwd=tmp_path)  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        assert [Run.open(out / name).status for name in (".", "1-a", "2-b")] == ["done"] * 3
        assert done.stdout.count("Each has a report") == 1
        assert not (out / "2-b/left.txt").exists()
        for one in (out, out / "2-b"):
            Run(one).mark("stopped")
        (out / "2-b/left.txt").write_text("a stage without a checkpoint is begun anew")
