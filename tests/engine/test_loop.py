from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.tiny import sentences, tiny_bert
from tunesmith.core.errors import RunError
from tunesmith.core.seed import seed_all
from tunesmith.data.table import Table
from tunesmith.engine import checkpoint
from tunesmith.engine.device import Device
from tunesmith.engine.loop import Setup, memory_errors, train_steps
from tunesmith.engine.optim import depths, make_optimizer
from tunesmith.engine.plan import Plan
from tunesmith.engine.schedule import lr_factor
from tunesmith.engine.spec import TrainSpec
from tunesmith.models.classifier import head_of
from tunesmith.models.source import Source
from tunesmith.models.spec import ModelSpec
from tunesmith.models.tokenize import load_tokenizer
from tunesmith.objectives.rdrop import RDrop
from tunesmith.tasks.text_classification import TextClassification


def make_spec(**changes):
    fields = {
        "length": "8 steps", "step_size": "8 rows", "tokens_per_batch": 4096, "lr": 1e-3, "layer_decay": 0.9,
        "head_lr_factor": 2.0, "device": "cpu",
    }  # fmt: skip
    return TrainSpec(**{**fields, **changes})


def make(folder, **changes):
    spec = make_spec(**changes)
    source, model_spec = Source("tiny", folder), ModelSpec(source=str(folder))
    task = TextClassification(
        text="text", label="label", labels=("neg", "pos"), class_counts=(20, 20), long_text="head"
    )
    tokenizer = load_tokenizer(source, model_spec)
    rows = sentences(40)
    examples = task.encode(Table.of({"text": [t for t, _ in rows], "label": [v for _, v in rows]}), tokenizer)
    seed_all(0, "head")
    model = task.build(source, model_spec)
    device = Device(spec)
    model, optimizer = device.prepare(model, make_optimizer(model, spec, head=head_of(model)))
    setup = Setup(task, spec, device, model, optimizer, examples, tokenizer.pad_id)
    lengths = np.array([len(e.ids) for e in examples])
    return setup, Plan(lengths, np.ones(40), spec.length, spec.step_size, spec.tokens_per_batch, 0)


def state(setup):
    return {name: tensor.clone() for name, tensor in checkpoint.weights(setup.model).items()}


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


def test_eight_steps_are_three_and_five_resumed_bit_for_bit(tiny, tmp_path):
    whole, plan = make(tiny)
    losses = [report.loss for report in train_steps(whole, plan)]
    first, _ = make(tiny)
    steps = train_steps(first, plan)
    for _ in range(3):
        next(steps)
    path = checkpoint.save(tmp_path, first.model, first.optimizer, step=3, state={"best": 1})
    resumed, _ = make(tiny)
    torch.manual_seed(99)  # the state of the generators must not matter
    assert checkpoint.load(path, resumed.model, resumed.optimizer) == {"best": 1, "step": 3}
    rest = [report.loss for report in train_steps(resumed, plan, start=3)]
    assert rest == losses[3:]
    assert same(state(whole), state(resumed))


def test_weights_of_tasks_are_learnt_from_the_loss_that_is_learnt(tiny, monkeypatch):
    seen = []
    weighing = SimpleNamespace(
        weight=lambda turn: 1.0, learn=lambda turn, loss, shared: seen.append(loss), settle=lambda: None
    )
    setup, plan = make(tiny)
    monkeypatch.setattr(Setup, "weighing", weighing)
    (report, *_) = train_steps(replace(setup, objectives=[RDrop()]), plan)
    assert seen[0] == pytest.approx(report.loss / 2 + sum(report.terms.values()))


def test_gradients_do_not_depend_on_how_a_step_is_cut(tmp_path):
    folder = tiny_bert(tmp_path / "still", dropout=0.0)
    weights = []
    for tokens in (10_000, 40):
        setup, plan = make(folder, tokens_per_batch=tokens, length="3 steps")
        reports = list(train_steps(setup, plan))
        weights.append((state(setup), reports))
    (a, reports_a), (b, reports_b) = weights
    assert all(torch.allclose(a[name], b[name], atol=2e-5) for name in a)
    assert [r.loss for r in reports_a] == pytest.approx([r.loss for r in reports_b], rel=1e-5)


def test_it_learns(tiny):
    setup, plan = make(tiny, length="60 steps", lr=3e-3)
    losses = [report.loss for report in train_steps(setup, plan)]
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])


def test_a_loss_that_is_no_number_stops_before_the_weights_change(tiny):
    setup, plan = make(tiny)
    with torch.no_grad():
        head_of(setup.model).weight[0, 0] = float("nan")
    before = state(setup)
    with pytest.raises(RunError, match="training broke at step 1") as raised:
        next(train_steps(setup, plan))
    assert "train.lr" in raised.value.problems[0].fix
    name = "classifier.bias"
    assert torch.equal(before[name], state(setup)[name])


def test_out_of_memory_is_one_clear_error():
    with pytest.raises(RunError, match="out of memory") as raised, memory_errors(1024):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 999 bytes")
    assert "resume with smaller passes, for example --set train.tokens_per_batch=256" in raised.value.problems[0].fix
    with pytest.raises(RunError, match="begin anew with smaller passes"), memory_errors(1024, compares=True):
        raise MemoryError
    with pytest.raises(RuntimeError, match="something else"), memory_errors(1024):
        raise RuntimeError("something else")


def test_rates_fall_with_depth_and_norms_do_not_decay(tiny):
    setup, _ = make(tiny)
    found = depths(setup.model, head=head_of(setup.model))
    assert found["classifier.weight"] == 0
    assert found["bert.encoder.layer.1.output.dense.weight"] == 1
    assert found["bert.encoder.layer.0.output.dense.weight"] == 2
    assert found["bert.embeddings.word_embeddings.weight"] == 3
    rates = {name: group["peak_lr"] for group in setup.optimizer.param_groups for name in group["names"]}
    assert rates["classifier.weight"] == pytest.approx(2e-3)
    assert rates["bert.encoder.layer.0.output.dense.weight"] == pytest.approx(0.9e-3)
    decays = {name: group["weight_decay"] for group in setup.optimizer.param_groups for name in group["names"]}
    assert decays["bert.encoder.layer.0.output.LayerNorm.weight"] == 0
    assert decays["bert.encoder.layer.0.output.dense.bias"] == 0
    assert decays["bert.encoder.layer.0.output.dense.weight"] == 0.01


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
def test_schedule(schedule):
    spec = make_spec(schedule=schedule, warmup_ratio=0.1)
    assert lr_factor(spec, 0.0) == 0
    assert lr_factor(spec, 0.05) == pytest.approx(0.5)
    assert lr_factor(spec, 0.1) == pytest.approx(1.0)
    assert lr_factor(spec, 1.0) == pytest.approx(1.0 if schedule == "constant" else 0.0)
    way = {"linear": (0.75, 0.5, 0.25), "cosine": (0.853553, 0.5, 0.146447), "constant": (1.0, 1.0, 1.0)}[schedule]
    assert [lr_factor(spec, 0.1 + 0.9 * part) for part in (0.25, 0.5, 0.75)] == pytest.approx(way, abs=1e-6)


def test_each_step_has_the_rate_of_its_middle(tiny):
    setup, plan = make(tiny, schedule="linear", warmup_ratio=0.25, length="8 steps", lr=1e-3)
    seen = []
    real = setup.optimizer.step
    setup.optimizer.step = lambda: (seen.append([group["lr"] for group in setup.optimizer.param_groups]), real())
    peaks = [group["peak_lr"] for group in setup.optimizer.param_groups]
    reports = list(train_steps(setup, plan))
    wanted = [1 / 4, 3 / 4, *(1 - (step + 0.5 - 2) / 6 for step in range(2, 8))]
    assert [report.lr for report in reports] == pytest.approx([1e-3 * one for one in wanted])
    assert seen == [pytest.approx([one * peak for peak in peaks]) for one in wanted]


def test_one_cycle_is_torchs():
    n, spec = 200, make_spec(schedule="one_cycle", lr=1.0)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    torchs = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=n + 1)
    for step in range(n):
        # torch puts the peak half a step later or earlier; at the same place both are half cosines.
        assert lr_factor(spec, step / n) == pytest.approx(torchs.get_last_lr()[0], abs=0.02)
        optimizer.step()
        torchs.step()
    assert lr_factor(spec, 0.0) == pytest.approx(1 / 25)
    assert lr_factor(spec, 0.3) == pytest.approx(1.0)
    assert lr_factor(spec, 1.0) == pytest.approx(1 / 25e4)


def test_slanted_triangles_are_equation_3():
    spec, n, cut = make_spec(schedule="slanted"), 100, 10
    for t in range(n):
        p = t / cut if t < cut else 1 - (t - cut) / (cut * (1 / 0.1 - 1))
        assert lr_factor(spec, t / n) == pytest.approx((1 + p * 31) / 32)


def test_a_checkpoint_of_another_model_is_refused(tiny, tmp_path):
    setup, _ = make(tiny)
    checkpoint.save_best(tmp_path, torch.nn.Linear(2, 2), step=1)
    with pytest.raises(RunError, match="does not fit"):
        checkpoint.load_best(tmp_path, setup.model)


def test_half_written_checkpoints_are_cleared_and_the_newest_whole_one_is_found(tiny, tmp_path):
    setup, _ = make(tiny)
    for step in (1, 2, 3):
        checkpoint.save(tmp_path, setup.model, setup.optimizer, step=step, state={})
    (tmp_path / ".step-00000004.x.tmp").mkdir()
    (tmp_path / "step-00000005").mkdir()
    assert checkpoint.latest(tmp_path).name == "step-00000003"
    assert not (tmp_path / ".step-00000004.x.tmp").exists()
    checkpoint.keep_newest(tmp_path, 2)
    assert checkpoint.latest(tmp_path / "none") is None
