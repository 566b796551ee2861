import json
import shlex
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from tests.tiny import sentences, write_csv
from tunesmith.cli.main import app


def tunesmith(*args, **more):
    command = [sys.executable, "-m", "tunesmith", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **more)


def invoke(*args):
    return CliRunner().invoke(app, [str(a) for a in args], catch_exceptions=False)


def test_help_is_instant_and_imports_nothing_heavy():
    heavy = "('torch', 'transformers', 'numpy')"
    code = f"import sys\nfrom tunesmith.cli import main\nprint([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    done = tunesmith("--help")
    assert done.returncode == 0
    assert "train" in done.stdout


@pytest.mark.parametrize(
    ("command", "usage"),
    [
        ("train", "[DATA]..."), ("check", "DATA..."), ("convert", "IN... OUT"), ("evaluate", "RUN DATA..."),
        ("predict", "RUN DATA"), ("compare", "RUN..."), ("report", "RUN"), ("runs", "[FOLDER]"), ("init", "[DATA]..."),
        ("doctor", ""), ("demo", "[NAME]"),
    ],
)  # fmt: skip
def test_usage_lines_read_like_commands(command, usage):
    said = invoke(command, "--help").output
    assert said.splitlines()[0] == f"Usage: tunesmith {command} [OPTIONS] {usage}".rstrip()
    arguments = [line.split()[:2] for line in said.partition("Arguments:")[2].partition("\n\n")[0].splitlines() if line]
    for name in usage.replace(".", "").replace("[", "").replace("]", "").split():
        assert any(first == name and not second.startswith("<") for first, second in arguments)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["train", "nowhere.csv"], "there is no such file"),
        (["train", "{reviews}", "--text", "txt"], 'did you mean "text"?'),
        (["train", "{reviews}", "--set", "train.lrr=1"], 'did you mean "lr"?'),
        (["train", "{reviews}", "--set", "evaluate.metric=acuracy"], 'did you mean "accuracy"?'),
        (["train", "{reviews}", "--model", "./nothing"], "there is no such model folder"),
        (["train", "-c", "nowhere.yaml"], "there is no such recipe"),
        (["evaluate", "runs/nothing", "x.csv"], "there is no such run"),
        (["check", "{empty}"], "the file is empty"),
    ],
)
def test_mistakes_are_one_clear_line_with_a_fix(args, said, reviews, tmp_path):
    (tmp_path / "empty.csv").write_text("")
    done = tunesmith(*(a.format(reviews=reviews, empty=tmp_path / "empty.csv") for a in args), cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "fix: " in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 2
    assert not (tmp_path / "runs").exists()


def test_missing_data_model_and_a_taken_folder_are_told_at_once(tmp_path):
    (tmp_path / "mine.txt").touch()
    done = tunesmith("train", "no.csv", "--model", "./nowhere", "--out", ".", cwd=tmp_path)
    assert done.returncode == 2
    for message in ("no such file", "no such model folder", "not empty", "3 problems, nothing was started"):
        assert message in done.stderr


def test_the_first_ten_minutes(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = write_csv(tmp_path / "reviews.csv", [*sentences(90), ("good", ""), ("", "pos")])
    said = invoke("check", data, "--fix", "clean.csv", "--set", f"model.source={tiny}").output
    assert "2 of 92 rows set aside: 1 no label, 1 no text" in said
    assert (tmp_path / "clean.csv").exists()
    assert "set aside, 2 in all:\n  reviews.csv:92  no label" in said.replace(str(tmp_path) + "/", "")
    assert said.index("set aside, 2 in all") < said.index("· text column") < said.index("\nNext:\n")
    assert said.endswith(
        f"\nNext:\n  {shlex.join(['tunesmith', 'train', 'clean.csv', '--set', f'model.source={tiny}'])}\n"
    )
    common = ["--model", tiny, "--set", "train.length=4 steps", "--set", "evaluate.resamples=20"]
    said = invoke("train", data, *common, "--dry-run").output
    assert "4 updates" in said
    assert not (tmp_path / "runs").exists()
    said = invoke("train", data, *common).output
    assert "95% interval" in said
    assert "tunesmith predict runs/reviews-1" in said
    new = write_csv(tmp_path / "new.csv", sentences(7, seed=3))
    assert "7 rows labelled" in tunesmith("predict", "runs/reviews-1", new, "--out", "out.csv", cwd=tmp_path).stderr
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 8
    piped = tunesmith("predict", "runs/reviews-1", "-", cwd=tmp_path, input='{"text": "good film"}\n')
    assert piped.stdout.splitlines()[0].startswith("text,predicted,confidence,")
    assert "Accuracy" in invoke("evaluate", "runs/reviews-1", new).output
    invoke("train", data, *common, "--seed", "1")
    assert "reviews-2" in invoke("compare", "runs/reviews-1", "runs/reviews-2").output
    assert "done" in invoke("runs").output
    assert "report.html" in invoke("report", "runs/reviews-1").output
    recipe = tmp_path / "runs" / "reviews-1" / "recipe.yaml"
    assert "95% interval" in invoke("train", "-c", recipe, "--out", "again").output
    first = json.loads((tmp_path / "runs/reviews-1/metrics.json").read_text())
    again = json.loads((tmp_path / "again/metrics.json").read_text())
    assert first["splits"]["test"] == again["splits"]["test"]


def test_init_and_doctor(tmp_path):
    recipe = tmp_path / "r.yaml"
    assert invoke("init", "mine.csv", "--out", recipe).exit_code == 0
    assert "mine.csv" in recipe.read_text()
    said = invoke("doctor").output
    assert "weights verified" in said
    assert "torch" in said


def test_ctrl_c_leaves_a_run_that_can_go_on(tiny, reviews, tmp_path):
    settings = ["--set", "train.length=3000 steps", "--out", str(tmp_path / "run")]
    command = [sys.executable, "-m", "tunesmith", "train", str(reviews), "--model", str(tiny), *settings]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    log = tmp_path / "run" / "log.jsonl"
    for _ in range(600):
        if log.exists() and log.read_text().count("\n") > 3:
            break
        time.sleep(0.1)
    process.send_signal(2)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume" in said
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["status"] == "stopped"
    assert list((tmp_path / "run" / "checkpoints").glob("step-*"))


def test_check_ends_with_the_command_that_trains_with_the_same_options(tiny, tmp_path):
    data = write_csv(tmp_path / "my texts.csv", [*sentences(60), *[("", "pos")] * 23])
    options = ["--text", "text", "--label", "label", "--task", "text-classification"]
    more = ["--set", f"model.source={tiny}", "--set", "data.label_map={a b: pos}"]
    said = invoke("check", data, *more, *options).output
    assert "set aside, first 20 of 23:" in said
    assert said.count("  no text\n") == 20
    command = shlex.split(said.splitlines()[-1])
    assert command == ["tunesmith", "train", str(data), "--task", "text-classification", *options[:4], *more]


def test_check_lists_rows_without_spaces_at_the_end(tmp_path):
    data = write_csv(tmp_path / "twice.csv", [*sentences(30), sentences(1)[0]])
    assert f"{data}:32  exact duplicate\n" in invoke("check", data).output
