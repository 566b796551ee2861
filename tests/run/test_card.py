"""The model card, and who may read the files of a model."""

import json
import os
import shutil
import stat

import pytest

from tunesmith.core.files import read_json, replacing, replacing_folder, write_json
from tunesmith.run.card import model_card
from tunesmith.run.folder import Run


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("windows", "does that, too, and reads long texts in windows."),
        ("head", "does that, too, and reads the beginning of long texts only."),
        ("head_tail", "the beginning and the end of long texts only."),
        ("error", "does that, too."),
    ],
)
def test_the_card_says_how_long_texts_were_read(trained, tmp_path, policy, words):
    shutil.copytree(trained.folder, tmp_path / "run")
    run = Run.open(tmp_path / "run")
    settings = read_json(run.model_folder / "tunesmith.json")
    settings["task"]["long_text"] = policy
    write_json(run.model_folder / "tunesmith.json", settings)
    assert words in model_card(run)


def test_quotes_stand_in_the_card_as_quotes(trained, tmp_path):
    shutil.copytree(trained.folder, tmp_path / "run")
    run = Run.open(tmp_path / "run")
    metrics = run.metrics
    metrics["verdict"]["sentences"] = ['The weakest class is "a<b" in `c`.', "two\nlines"]
    run.save_metrics(metrics)
    card = model_card(run)
    assert "The weakest class is \"a&lt;b\" in 'c'." in card
    assert "two\\nlines" in card
    assert json.dumps("two\nlines")[1:-1] in card


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_files_and_folders_follow_the_umask(tmp_path, mask):
    before = os.umask(mask)
    try:
        with replacing_folder(tmp_path / "model") as folder:
            (folder / "weights").write_bytes(b"1")
            (folder / "inner").mkdir()
            (folder / "inner" / "more").write_bytes(b"1")
            for file in (folder / "weights", folder / "inner" / "more"):
                file.chmod(0o600)
        with replacing(tmp_path / "note.txt") as stream:
            stream.write("x")
    finally:
        os.umask(before)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in tmp_path.rglob("*")}
    files, folders = 0o666 & ~mask, 0o777 & ~mask
    assert modes == {"model": folders, "inner": folders, "weights": files, "more": files, "note.txt": files}


@pytest.mark.parametrize("name", ["tiny", "./tiny", "/models/tiny"])
def test_a_folder_is_not_linked_as_if_it_were_a_model_of_the_hub(trained, tmp_path, name):
    shutil.copytree(trained.folder, tmp_path / "run")
    run = Run.open(tmp_path / "run")
    settings = read_json(run.model_folder / "tunesmith.json")
    for base, is_linked in ((name, False), ("google-bert/bert-base-uncased", True)):
        write_json(run.model_folder / "tunesmith.json", {**settings, "base_model": base})
        assert (f"https://huggingface.co/{base}" in model_card(run)) is is_linked
        assert (f"base_model: {base}\n" in model_card(run)) is is_linked
