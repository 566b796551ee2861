"""Folders that are given as a model: what is in them, and what is said where it can't be used."""

import json
import os
import shlex
import shutil
import subprocess
import sys

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from tunesmith.core.errors import ModelError
from tunesmith.models.classifier import build_classifier
from tunesmith.models.source import Source, find
from tunesmith.models.spec import ModelSpec
from tunesmith.models.tokenize import load_tokenizer


@pytest.fixture
def folder(checkpoint, tmp_path):
    """A checkpoint that may be spoilt."""
    return shutil.copytree(checkpoint("RoBERTa"), tmp_path / "model")


def refused(folder):
    with pytest.raises(ModelError) as raised:
        find(ModelSpec(source=str(folder)))
    (problem,) = raised.value.problems
    assert problem.fix
    return problem


@pytest.mark.parametrize("n_parts", [1, 2])
def test_the_command_that_converts_a_pickle_does(folder, n_parts):
    weights = load_file(folder / "model.safetensors")
    names = sorted(weights)
    for i in range(n_parts):
        part = {name: weights[name] for name in names[i::n_parts]}
        number = "" if n_parts == 1 else f"-{i + 1:05}-of-{n_parts:05}"
        torch.save(part, folder / f"pytorch_model{number}.bin")
    torch.save({"lr": 1}, folder / "training_args.bin")
    (folder / "model.safetensors").unlink()
    problem = refused(folder)
    assert "can run any code" in problem.message
    command = shlex.split(problem.fix.partition(": ")[2])
    assert command[0] == "python"
    subprocess.run([sys.executable, *command[1:]], check=True)
    assert find(ModelSpec(source=str(folder))).folder == folder
    again = load_file(folder / "model.safetensors")
    assert sorted(again) == names
    assert all(torch.equal(again[name], weights[name]) for name in names)


@pytest.fixture
def cached(checkpoint, tmp_path, monkeypatch):
    """Where the cache of the hub has a model of which nothing but a pickle was published; the hub is faked."""
    place = tmp_path / "cache" / "models--owner--name"
    folder = shutil.copytree(checkpoint("RoBERTa"), place / "snapshots" / ("0" * 40))
    torch.save(load_file(folder / "model.safetensors"), tmp_path / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("0" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(place.parent))
    return folder


def of_hub():
    return find(ModelSpec(source="owner/name"))


def test_a_hub_id_with_nothing_but_a_pickle_is_refused_with_the_command_that_converts_it(
    cached, checkpoint, tmp_path, monkeypatch
):
    with pytest.raises(ModelError, match=r"no \*\.safetensors") as raised:
        of_hub()
    assert "with a connection; where the hub has nothing but a pickle" in raised.value.problems[0].fix
    monkeypatch.setattr("huggingface_hub.list_repo_files", lambda name, revision: ["config.json", "pytorch_model.bin"])
    with pytest.raises(ModelError, match=r"owner/name: the weights are a pickle") as raised:
        of_hub()
    command = shlex.split(raised.value.problems[0].fix.partition(": ")[2])
    assert command[0] == "python"
    shutil.move(tmp_path / "pytorch_model.bin", cached)  # what the command fetches
    cache = {"HF_HUB_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"}
    subprocess.run([sys.executable, *command[1:]], check=True, env={**os.environ, **cache})
    assert of_hub() == Source("owner/name", cached)
    found, weights = (load_file(folder / "model.safetensors") for folder in (cached, checkpoint("RoBERTa")))
    assert sorted(found) == sorted(weights)
    assert all(torch.equal(found[name], weights[name]) for name in weights)


def test_what_else_a_hub_id_may_have_is_named(cached, monkeypatch):
    monkeypatch.setattr("huggingface_hub.list_repo_files", lambda *_, **__: ["config.json", "onnx/model.onnx"])
    with pytest.raises(ModelError, match="the weights are ONNX"):
        of_hub()


def test_a_copy_without_weights_is_completed_from_the_hub(cached, checkpoint, monkeypatch):
    import huggingface_hub

    asked = []

    def snapshot(name, *, local_files_only, **more):
        asked.append(local_files_only)
        return str(cached if local_files_only else checkpoint("BERT"))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    assert of_hub().folder == checkpoint("BERT")
    assert asked == [True, False]


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("model.Q4_K_M.gguf", "GGUF"),
        ("onnx/model.onnx", "ONNX"),
        ("tf_model.h5", "TensorFlow"),
        ("flax_model.msgpack", "Flax"),
    ],
)
@pytest.mark.parametrize("has_config", [True, False])
def test_weights_of_other_tools_are_named(folder, file, said, has_config):
    (folder / "model.safetensors").unlink()
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_bytes(b"weights")
    if not has_config:
        (folder / "config.json").unlink()
    assert said in refused(folder).message


def test_an_adapter_is_no_model(folder):
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text("{}")
    assert "adapter" in refused(folder).message
    (folder / "config.json").unlink()
    assert "merge" in refused(folder).fix


def test_a_part_that_is_missing_is_named(folder):
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "there is no model-00002-of-00002.safetensors" in refused(folder).message


def test_weights_of_another_architecture_are_refused(checkpoint, folder):
    shutil.copy(checkpoint("DistilBERT") / "model.safetensors", folder)
    with pytest.raises(ModelError, match=r"not those of config\.json: .* are missing"):
        build_classifier(find(ModelSpec(source=str(folder))), ModelSpec(), ("a", "b"))


def test_weights_of_another_size_are_refused(folder):
    weights = load_file(folder / "model.safetensors")
    name = "roberta.embeddings.word_embeddings.weight"
    save_file({**weights, name: weights[name][:-1].contiguous()}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=f"{name} has another shape"):
        build_classifier(Source("x", folder), ModelSpec(), ("a", "b"))


def test_a_head_of_other_classes_is_replaced(trained):
    model = build_classifier(find(ModelSpec(source=str(trained.folder))), ModelSpec(), ("a", "b", "c"))
    assert model.config.num_labels == 3


def test_a_run_means_its_model(trained, tmp_path):
    source = find(ModelSpec(source=str(trained.folder)))
    assert source == Source(trained.folder.name, trained.folder / "model")
    assert find(ModelSpec(source=str(trained.folder / "model"))).name == trained.folder.name
    shutil.copy(trained.folder / "manifest.json", tmp_path)
    problem = refused(tmp_path)
    assert "no model yet" in problem.message
    assert "--resume" in problem.fix
    for content, why in ((b"{", "Expecting property name"), (b"\xff", "not UTF-8")):
        (tmp_path / "manifest.json").write_bytes(content)
        problem = refused(tmp_path)
        assert problem.message.startswith(f"the file is damaged: {why}")
        assert problem.where.file.endswith("manifest.json")


def test_a_tokenizer_that_needs_a_library_says_so(checkpoint, monkeypatch):
    folder = checkpoint("Marian")

    def absent(*_args, **_more):
        raise ImportError("MarianTokenizer requires the SentencePiece library")

    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", absent)
    with pytest.raises(ModelError, match="tokenizer can't be loaded") as raised:
        load_tokenizer(find(ModelSpec(source=str(folder))), ModelSpec())
    assert "sentencepiece" in raised.value.problems[0].fix
