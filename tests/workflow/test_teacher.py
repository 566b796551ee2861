"""A teacher's answers to texts without labels: asked once, kept in the run, learnt in the place of the model's own."""

import json
import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from typer.testing import CliRunner

import tunesmith as ts
from tests.tiny import sentences, tiny_bert, write_csv
from tests.tiny_writers import tiny_writer
from tests.workflow.small import ended_after, prepared, write_table
from tunesmith.cli.main import app
from tunesmith.core.errors import RecipeError, RunError
from tunesmith.objectives.consistency import Consistency
from tunesmith.recipe.compose import compose
from tunesmith.run.folder import Run
from tunesmith.run.listing import list_runs
from tunesmith.tasks.decisions import Decisions
from tunesmith.workflow.prepare import prepare
from tunesmith.workflow.resolve import resolve
from tunesmith.workflow.stages import _begun
from tunesmith.workflow.start import resume

QUICK = {
    "train.length": "6 steps",
    "train.save_every": "2 steps",
    "evaluate.resamples": 20,
    "evaluate.baselines": False,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Labelled rows, texts without labels, and a teacher that learnt from the rows."""
    found = tmp_path_factory.mktemp("teacher")
    tiny_bert(found / "tiny", dropout=0.0, spread=0.2)
    write_csv(found / "rows.csv", sentences(60))
    (found / "more.txt").write_text("\n".join(text for text, _ in sentences(40, seed=9)))
    settings = {**QUICK, "train.length": "60 steps", "train.lr": 2e-3}
    ts.train(found / "rows.csv", model=str(found / "tiny"), out=found / "taught", settings=settings)
    return found


def taught(folder, *, teacher="taught", **more):
    """Return the settings of a pupil."""
    name = "objectives.consistency"
    return {
        **QUICK, "data.unlabeled": [str(folder / "more.txt")], f"{name}.teacher": str(folder / teacher),
        f"{name}.confidence": 0.0, **more,
    }  # fmt: skip


def test_what_is_learnt_is_the_divergence_from_the_teachers_answers():
    """0.8 and 0.2 to be learnt where one half each is given: 0.8 log 1.6 + 0.2 log 0.4."""
    still = SimpleNamespace(taught=torch.tensor([[0.8, 0.2]]).log())
    task = SimpleNamespace(
        decisions=lambda out, _batch: Decisions("one", out, torch.tensor([0]), torch.ones(1), torch.zeros(1))
    )
    asked = []

    def again(batch):
        asked.append(batch)
        return torch.zeros(1, 2)

    p = SimpleNamespace(task=task, twins=[(still, "edited")], again=again)
    spec = Consistency(teacher="any", weight=3.0, temperature=1.0, confidence=0.0)
    wanted = 0.8 * np.log(1.6) + 0.2 * np.log(0.4)
    assert [float(term) for term in spec.after(p)] == pytest.approx([3 * wanted])
    assert asked == ["edited"], "the model itself is not asked"
    assert float(next(spec.model_copy(update={"confidence": 0.8}).after(p))) == 0


def test_the_teacher_is_asked_about_each_text(folder):
    found = prepared(folder / "rows.csv", **taught(folder))
    said = ts.load(folder / "taught").predict(found.unlabeled["text"])
    shares = torch.tensor(found.taught.outputs).softmax(dim=1).numpy()
    assert [[one.probabilities[name] for name in found.task.names] for one in said] == pytest.approx(shares, abs=1e-5)
    alone = prepared(folder / "rows.csv", **taught(folder, **{"data.unlabeled": []}))
    assert len(alone.taught.outputs) == len(alone.tables["train"])


def test_a_pupil_follows_its_teacher_away_from_the_labels(folder, tmp_path):
    """The rows' labels are turned round, the teacher's answers count 50 times as much."""
    turned = [(text, {"pos": "neg", "neg": "pos"}[label]) for text, label in sentences(60)]
    data = write_csv(tmp_path / "turned.csv", turned)
    longer = {"train.length": "60 steps", "train.lr": 2e-3}
    texts = (folder / "more.txt").read_text().splitlines()
    wanted = [one.label for one in ts.load(folder / "taught").predict(texts)]

    def share_alike(name, **settings):
        run = ts.train(data, model=str(folder / "tiny"), out=tmp_path / name, settings={**settings, **longer})
        return np.mean([one.label == label for one, label in zip(run.predict(texts), wanted, strict=True)])

    assert share_alike("alone", **QUICK) < 0.7
    assert share_alike("pupil", **taught(folder, **{"objectives.consistency.weight": 50.0})) > 0.9


def test_resumed_bit_for_bit_when_the_teacher_is_gone(folder, tmp_path, monkeypatch):
    shutil.copytree(folder / "taught", tmp_path / "taught")
    settings = taught(folder, **{"objectives.consistency.teacher": str(tmp_path / "taught")})
    arguments = {"model": str(folder / "tiny"), "settings": settings}
    whole = ts.train(folder / "rows.csv", out=tmp_path / "whole", **arguments)
    with ended_after(3, monkeypatch), pytest.raises(KeyboardInterrupt):
        ts.train(folder / "rows.csv", out=tmp_path / "cut", **arguments)
    shutil.rmtree(tmp_path / "taught")
    shutil.rmtree(tmp_path / "cut" / "checkpoints")
    assert _begun(Run(tmp_path / "cut")), "a stage that has its answers is not begun anew"
    again = ts.resume(tmp_path / "cut")
    one, other = ((run.run.model_folder / "model.safetensors").read_bytes() for run in (whole, again))
    assert one == other
    with pytest.raises(RunError, match="taught"):
        ts.train(folder / "rows.csv", out=tmp_path / "new", **arguments)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [(text, {"pos": "good", "neg": "bad"}[label]) for text, label in sentences(60)],
            '"bad", "good", "neg", "pos"',
        ),
        ([(text, len(text) / 7) for text, _ in sentences(60)], "text-classification, this one is text-regression"),
    ],
)
def test_a_teacher_of_something_else_is_refused(folder, tmp_path, rows, said):
    data = write_csv(tmp_path / "other.csv", rows)
    with pytest.raises(RecipeError, match=rf"objectives\.consistency\.teacher.*{said}"):
        ts.train(data, model=str(folder / "tiny"), out=tmp_path / "run", settings=taught(folder))
    assert not (tmp_path / "run").exists()


def test_a_teacher_of_pairs_is_none_of_single_texts(folder, tmp_path):
    pairs = [(a, b, label) for (a, label), (b, _) in zip(sentences(60), sentences(60, seed=1), strict=True)]
    data = write_table(tmp_path / "pairs.csv", ("premise", "hypothesis", "label"), pairs)
    with pytest.raises(RecipeError, match="the teacher reads single texts"):
        prepared(data, **taught(folder, **{"data.unlabeled": []}))


@pytest.mark.parametrize("kind", ["text-regression", "multi-label-classification"])
def test_numbers_and_labels_are_taught_on_the_scale_they_are_learnt_on(kind, folder, tmp_path):
    many = kind == "multi-label-classification"
    rows = [
        (t, f"{label},long" if len(t) > 25 else label) if many else (t, len(t) + 100.5) for t, label in sentences(60)
    ]
    data = write_csv(tmp_path / "rows.csv", rows)
    settings = {**QUICK, "task.kind": kind}
    teacher = ts.train(data, model=str(folder / "tiny"), out=tmp_path / "taught", settings=settings)
    mine = taught(folder, **{"objectives.consistency.teacher": str(tmp_path / "taught"), "task.kind": kind})
    found = prepared(data, **mine)
    said = teacher.predict(found.unlabeled["text"])
    if many:
        wanted = [[one.probabilities[name] for name in found.task.names] for one in said]
        assert torch.tensor(found.taught.outputs).sigmoid().numpy() == pytest.approx(np.array(wanted), abs=1e-5)
    else:
        assert found.taught.outputs[:, 0] == pytest.approx([one.value for one in said], rel=1e-4)
        learnt = found.task.as_learnt(found.taught.outputs)
        assert learnt * found.task.deviations + found.task.means == pytest.approx(found.taught.outputs, rel=1e-4)
    run = ts.train(data, model=str(folder / "tiny"), out=tmp_path / "run", settings=mine)
    assert run.run.manifest["step"] == 6


def recipe(folder, tmp_path, **pupil):
    student = {
        "data": {"path": str(folder / "rows.csv"), "unlabeled": str(folder / "more.txt")},
        "model": str(folder / "tiny"),
        "objectives": {"consistency": {"teacher": "first", "confidence": 0.0}},
        **pupil,
    }
    parts = {"first": {"data": str(folder / "rows.csv"), "model": str(folder / "tiny")}, "second": student}
    path = tmp_path / "stages.yaml"
    path.write_text(json.dumps({"stages": parts}))  # JSON is YAML
    return path


def test_a_stage_learns_from_one_before(folder, tmp_path):
    found = ts.train_several(recipe(folder, tmp_path), out=tmp_path / "run", settings=QUICK)
    first, second = found["1-first"], found["2-second"]
    kept = load_file(second.run.taught_path)["taught"]
    said = first.predict((folder / "more.txt").read_text().splitlines())
    names = sorted(said[0].probabilities)
    wanted = np.array([[one.probabilities[name] for name in names] for one in said])
    assert torch.tensor(kept).softmax(dim=1).numpy() == pytest.approx(wanted, abs=1e-5)
    assert (second.run.origins["model.source"]["value"]) == str(folder / "tiny")
    listed = [(row.folder.name, row.model, row.value is not None) for row in list_runs(tmp_path)]
    tiny = str(folder / "tiny")
    assert listed == [("run", "(stages)", False), ("1-first", tiny, True), ("2-second", tiny, True)]


def test_a_dry_run_rehearses_all_stages_and_asks_no_teacher(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("tunesmith.workflow.prepare.answers", lambda *_, **__: pytest.fail("the teacher was asked"))
    path = recipe(folder, tmp_path)
    said = CliRunner().invoke(app, ["train", "-c", str(path), "--dry-run"], catch_exceptions=False).output
    each = re.findall(r"([\d]+) updates, about", said)
    assert len(each) == 2
    assert re.search(r"2 stages, about .* in all\. Nothing was written\.", said)
    lone = ["train", str(folder / "rows.csv"), "--model", str(folder / "tiny"), "--dry-run"]
    lone += [part for key, value in taught(folder).items() for part in ("--set", f"{key}={json.dumps(value)}")]
    said = CliRunner().invoke(app, lone, catch_exceptions=False).output
    assert "6 updates, about" in said


def test_looking_at_the_data_asks_no_teacher_and_tells_one_that_can_not_teach_it(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("tunesmith.workflow.prepare.answers", lambda *_, **__: pytest.fail("the teacher was asked"))
    settings = [part for key, value in taught(folder).items() for part in ("--set", f"{key}={json.dumps(value)}")]
    said = CliRunner().invoke(app, ["check", str(folder / "rows.csv"), *settings], catch_exceptions=False)
    assert (said.exit_code, "Next:" in said.output) == (0, True)
    other = write_csv(tmp_path / "other.csv", [(text, len(text) / 7) for text, _ in sentences(60)])
    with pytest.raises(RecipeError, match="this one is text-regression"):
        CliRunner().invoke(app, ["check", str(other), *settings], catch_exceptions=False)


@pytest.mark.parametrize(
    ("every", "late"), [("6 steps", True), ("2 steps", False), ("20 epochs", True), ("0.1 epochs", False)]
)
def test_what_never_thaws_is_said(folder, every, late):
    settings = {**QUICK, "train.unfreeze_every": every}
    found = compose(file=None, overrides=(), arguments={"data.path": [str(folder / "rows.csv")], **settings})
    notes = resolve(*found, prepared=prepare(found[0])).notes
    assert any("the head alone learns" in note.message for note in notes) is late


@pytest.mark.parametrize(
    ("pupil", "said"),
    [
        (
            {"objectives": {"consistency": {"teacher": "frist"}}},
            r"teacher.*no such stage before.*did you mean \"first\"",
        ),
        ({"objectives": {"consistency": {"teacher": "second"}}}, r"this stage is none before it.*one of: first"),
        ({"task": "text-regression"}, r"stages\.second\.objectives\.consistency\.teacher.*this one is text-regression"),
    ],
)
def test_a_stage_with_a_teacher_that_cannot_teach_it_is_told_before_the_first_is_trained(folder, tmp_path, pupil, said):
    if "task" in pupil:
        numbers = write_csv(tmp_path / "numbers.csv", [(text, len(text) / 7) for text, _ in sentences(60)])
        pupil = {**pupil, "data": str(numbers)}
    with pytest.raises((RecipeError, RunError), match=said):
        ts.train_several(recipe(folder, tmp_path, **pupil), out=tmp_path / "run", settings=QUICK)
    assert not (tmp_path / "run").exists()


def test_answers_are_for_the_texts_as_they_were_asked(folder, tmp_path, monkeypatch):
    texts = (folder / "more.txt").read_text().splitlines()
    for name, some in (("a.txt", texts[:20]), ("b.txt", texts[20:])):
        (tmp_path / name).write_text("\n".join(some))
    files = [str(tmp_path / name) for name in ("a.txt", "b.txt")]
    settings = taught(folder, **{"data.unlabeled": files})
    with ended_after(3, monkeypatch), pytest.raises(KeyboardInterrupt):
        ts.train(folder / "rows.csv", model=str(folder / "tiny"), out=tmp_path / "cut", settings=settings)
    with pytest.raises(RunError, match="in another order"):
        resume(tmp_path / "cut", overrides=[f"data.unlabeled={files[::-1]}"])
    assert resume(tmp_path / "cut", overrides=[f"data.unlabeled={files}"]).status == "done"


def test_a_run_of_another_task_is_no_teacher_of_a_later_stage(folder, tmp_path):
    numbers = write_csv(tmp_path / "numbers.csv", [(text, len(text) / 7) for text, _ in sentences(60)])
    ts.train(numbers, model=str(folder / "tiny"), out=tmp_path / "scores", settings=QUICK)
    pupil = {"objectives": {"consistency": {"teacher": str(tmp_path / "scores")}}}
    with pytest.raises(RecipeError, match=r"stages\.second\.objectives\.consistency\.teacher.*is text-regression"):
        ts.train_several(recipe(folder, tmp_path, **pupil), out=tmp_path / "run", settings=QUICK)
    assert not (tmp_path / "run").exists()


def test_numbers_are_taught_whatever_their_column_is_called(folder, tmp_path):
    rows = [(text, len(text) / 7) for text, _ in sentences(60)]
    ts.train(write_csv(tmp_path / "a.csv", rows), model=str(folder / "tiny"), out=tmp_path / "taught", settings=QUICK)
    other = write_table(tmp_path / "b.csv", ("text", "rating"), rows)
    found = prepared(other, **taught(folder, **{"objectives.consistency.teacher": str(tmp_path / "taught")}))
    assert found.taught.outputs.shape == (len(found.unlabeled), 1)


def test_a_head_without_a_bias_learns_numbers_that_are_not_centred_and_is_taught_these(folder, tmp_path):
    rows = [(text, len(text) / 7 + 100) for text, _ in sentences(60)]
    data = write_csv(tmp_path / "rows.csv", rows)
    ts.train(data, model=str(folder / "tiny"), out=tmp_path / "taught", settings=QUICK)
    mine = taught(folder, **{"objectives.consistency.teacher": str(tmp_path / "taught")})
    arguments = {"data.path": [str(data)], "model": str(tiny_writer(tmp_path / "gpt2")), **mine}
    composed, origins = compose(file=None, overrides=[], arguments=arguments)
    found = resolve(composed, origins, prepared=prepare(composed))
    targets = np.array([example.target for example in found.encoded.examples["train"]])
    assert found.task.means == (0.0,)
    assert found.taught.mean() == pytest.approx(targets.mean(), rel=0.1)


def test_a_teacher_is_found_from_another_folder(folder, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(folder)
    arguments = {"model": "tiny", "settings": taught(folder, **{"objectives.consistency.teacher": "taught"})}
    with ended_after(3, monkeypatch), pytest.raises(KeyboardInterrupt):
        ts.train("rows.csv", out=tmp_path / "cut", **arguments)
    (tmp_path / "cut" / "taught.safetensors").unlink()
    monkeypatch.chdir(tmp_path / "here")
    assert ts.resume("../cut").run.status == "done"
