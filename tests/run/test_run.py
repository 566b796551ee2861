import contextlib
import html
import json
import re
import shutil
import subprocess

import pytest

from tunesmith.core.errors import ModelError, RunError, Where
from tunesmith.core.kinds import refuse_to_resume
from tunesmith.core.ledger import Ledger
from tunesmith.core.notes import Note
from tunesmith.models.source import find
from tunesmith.models.spec import ModelSpec
from tunesmith.run.folder import Run
from tunesmith.run.listing import list_runs
from tunesmith.run.report import charts, write_report

NASTY = "<script>alert(1)</script>"


def test_default_folders_are_numbered_and_never_reused(tmp_path):
    names = [Run.create(runs=tmp_path, name_hint="My Reviews!").folder.name for _ in range(3)]
    assert names == ["my-reviews-1", "my-reviews-2", "my-reviews-3"]
    with pytest.raises(RunError, match="never overwritten"):
        Run.create(tmp_path / "my-reviews-1")


def test_what_is_not_finite_is_null_wherever_it_stands(tmp_path):
    run = Run.create(tmp_path / "run")
    run.log({"event": "x", "values": [1.0, float("nan")], "more": {"a": [{"b": float("inf")}]}})
    assert next(run.events()) == {"event": "x", "values": [1.0, None], "more": {"a": [{"b": None}]}}


@pytest.mark.parametrize(("status", "offered"), [("done", False), ("stopped", True), ("failed", True)])
def test_only_a_run_that_can_go_on_is_offered_to(tmp_path, status, offered):
    run = Run.create(tmp_path / "run")
    run.mark(status)
    with pytest.raises(RunError) as raised:
        Run.refuse_taken(run.folder)
    assert raised.value.problems[0].fix == "choose another --out"  # there is no recipe yet to go on with
    run.save_recipe("data: reviews.csv")
    with pytest.raises(RunError) as raised:
        Run.refuse_taken(run.folder)
    assert ("--resume" in raised.value.problems[0].fix) == offered


@pytest.mark.parametrize(
    ("fields", "kind", "fix", "said"),
    [
        ({}, "run", "train --resume {folder}/x", ""),
        ({"part_of": "whole"}, "run", "train --resume {folder}", "part of whole"),
        ({"tasks": ["a"]}, "tasks", "train --resume {folder}/x", "has tasks.*tunesmith.resume_several"),
        ({"stages": ["a"]}, "stages", "train --resume {folder}/x", "has stages"),
        ({"trials": []}, "ablation", "repeat the command", "an ablation"),
    ],
)
def test_a_folder_says_what_kind_it_is_and_how_it_goes_on(tmp_path, fields, kind, fix, said):
    run = Run.create(tmp_path / "x", facts=fields)
    run.save_recipe("data: reviews.csv")
    run.mark("stopped")
    assert (run.kind, run.part_names) == (kind, ["a"] if kind in fields else [])
    wanted = fix.format(folder=tmp_path)
    with pytest.raises(RunError, match=f"never overwritten.*{wanted}"):
        Run.refuse_taken(run.folder)
    with pytest.raises(RunError, match=wanted if kind != "ablation" else "name runs in it"):
        Run.with_model(run.folder)
    with pytest.raises(ModelError, match=wanted if kind != "ablation" else "name runs in it"):
        find(ModelSpec(source=str(run.folder)))
    with pytest.raises(RunError, match=said) if said else contextlib.nullcontext():
        refuse_to_resume(run.folder, run.manifest)


def test_what_is_no_run_says_so_with_a_neighbour(tmp_path):
    Run.create(runs=tmp_path, name_hint="reviews")
    with pytest.raises(RunError, match="no such run") as raised:
        Run.open(tmp_path / "review-1")
    assert "reviews-1" in raised.value.problems[0].fix
    (tmp_path / "other").mkdir()
    with pytest.raises(RunError, match="not a run"):
        Run.open(tmp_path / "other")


def test_the_log_drops_what_a_resumed_run_does_again(tmp_path):
    run = Run.create(tmp_path / "run")
    for step in range(1, 6):
        run.log({"event": "step", "step": step, "loss": float("nan") if step == 2 else 0.5})
    with run.log_path.open("a") as stream:
        stream.write('{"event": "step", "st')
    assert [e["step"] for e in run.events()] == [1, 2, 3, 4, 5]
    run.truncate_log(3)
    assert [e["step"] for e in run.events()] == [1, 2, 3]


def test_two_writers_are_refused(tmp_path):
    run = Run.create(tmp_path / "run")
    with run.lock(), pytest.raises(RunError, match="another process"), run.lock():
        pass
    assert run.status == "interrupted"  # it says "running", and nobody holds the lock


def spoiled(trained, folder):
    """Copy a run and put hostile text wherever a user's text can stand."""
    shutil.copytree(trained.folder, folder)
    run = Run.open(folder)
    run.save_notes([Note("warning", "x", NASTY, NASTY, (Where(NASTY, 3, NASTY, NASTY),), 1)])
    ledger = Ledger()
    ledger.add("set aside", NASTY, file=NASTY, row=1)
    run.save_ledger(ledger)
    rows = [{**row, "text": NASTY, "gold": NASTY, "file": NASTY} for row in run.predictions("test")]
    run.write_predictions("test", rows)
    text = json.dumps(run.metrics).replace('"pos"', json.dumps(NASTY))
    run.save_metrics(json.loads(text))
    run.update_manifest({"name": NASTY, "command": NASTY})
    return run


def test_everything_of_the_users_is_escaped(trained, tmp_path):
    page = write_report(spoiled(trained, tmp_path / "run")).read_text()
    assert "<script" not in page
    assert page.count("&lt;script&gt;") > 5


@pytest.mark.parametrize(
    ("ends", "whole", "shown"),
    [
        ((0.0, 289.0), True, [0, 100, 200]),
        ((5.0, 31.0), True, [10, 20, 30]),
        ((0.0, 2.0), True, [0, 1, 2]),
        ((7.0, 7.0), True, [7]),
        ((0.0, 1.0), False, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        ((-0.3, 0.1), False, [-0.3, -0.2, -0.1, 0, 0.1]),
    ],
)
def test_charts_have_round_ticks(ends, whole, shown):
    assert charts.ticks(*ends, whole=whole) == pytest.approx(shown)


def test_what_is_counted_has_whole_numbers():
    drawn = charts.bars([1, 2, 1], [1.0, 1.5, 2.0, 3.0], label="", x_label="tokens")
    assert re.findall(r">([\d.,]+)</text>", drawn) == ["0", "1", "2", "1", "2", "3"]


def test_what_was_changed_is_counted(tmp_path):
    run, ledger = Run.create(tmp_path / "run"), Ledger()
    for row in range(3):
        ledger.add("changed", "label spelling merged", file="a.csv", row=row)
    run.save_ledger(ledger)
    assert "Changed: label spelling merged (3)." in write_report(run).read_text()


def test_the_commands_of_the_report_name_the_folder(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained.folder, "runs/my reviews")
    page = html.unescape(write_report(Run.open("runs/my reviews")).read_text())
    assert "tunesmith predict 'runs/my reviews' new_rows.csv" in page
    assert 'pipeline("text-classification", "runs/my reviews/model")' in page


def test_a_report_of_a_run_that_just_started(tmp_path):
    run = Run.create(tmp_path / "run")
    page = write_report(run).read_text()
    assert "Not measured yet" in page
    assert "tunesmith train --resume" in page
    assert "tunesmith predict" not in page


@pytest.mark.browser
def test_the_report_renders_offline_in_a_browser(trained, tmp_path):
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on this machine")
    picture = tmp_path / "report.png"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    more = [
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]
    address = trained.report.resolve().as_uri()
    done = subprocess.run(
        [chromium, *flags, *more, f"--screenshot={picture}", "--window-size=1000,1400", address],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert picture.exists(), done.stderr[-1000:]
    assert picture.stat().st_size > 30_000
    command = [chromium, *flags, *more, "--dump-dom", address]
    dumped = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert "Numbers to believe" in dumped.stdout
    assert "<svg" in dumped.stdout


def test_runs_on_disk_are_listed(trained, tmp_path):
    Run.create(tmp_path / "new")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_text("{}")
    rows = {row.name: row for row in list_runs(tmp_path)}
    assert rows["new"].status == "interrupted"
    assert rows["broken"].status == "damaged"
    done = {row.name: row for row in list_runs(trained.folder.parent)}[trained.run.name]
    assert done.status == "done"
    assert done.value is not None
