"""A run is a folder: what was done, with what, what came out. This module reads and writes it, nothing else does.

Whole files are replaced atomically; the log grows by one flushed line an event, so a killed run loses at most the
line it was writing, and readers leave a half-written last line out.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tunesmith.core.errors import RunError, Where, did_you_mean
from tunesmith.core.files import read_json, replacing, write_json, write_text
from tunesmith.core.kinds import Kind, going_on, kind_of, with_the_model
from tunesmith.core.ledger import Ledger
from tunesmith.core.notes import Note
from tunesmith.inference.settings import NAME as SETTINGS
from tunesmith.run.lines import finite, line_of, note_of, plain_note, read_lines
from tunesmith.run.lock import is_locked, locked
from tunesmith.run.manifest import Status, check_manifest, new_manifest, now

RUNS = Path("runs")
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Run:
    """A run folder, opened for reading and writing; every property reads the disk, nothing is cached.

    Make one with `Run.create` or `Run.open`. Readers return empty values for parts that are not there yet.

    Attributes:
        folder: the run folder, as the user wrote it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def create(
        cls,
        out: Path | None = None,
        *,
        name_hint: str = "run",
        command: str = "",
        facts: Mapping[str, Any] = _NOTHING,
        runs: Path = RUNS,
    ) -> Run:
        """Make a new run folder; an existing run is never overwritten.

        Args:
            out: the folder; by default `runs/NAME-N` with the next free number.
            name_hint: what the default name is made of, usually the data file's stem.
            command: the command line that started the run.
            facts: more fields for the manifest ("hardware", "data", ...).
            runs: where default folders go.

        Raises:
            RunError: `out` is a file, a run, or a folder with something in it, or cannot be made.
        """
        try:
            folder = _next_folder(runs, _slug(name_hint)) if out is None else _claim(Path(out))
        except OSError as error:
            place = Where(str(out or runs))
            raise RunError(
                f"cannot make the run folder: {error.strerror}", where=place, fix="choose another --out"
            ) from error
        run = cls(folder)
        run.save_manifest({**new_manifest(folder.resolve().name, command=command), **facts})
        return run

    @staticmethod
    def refuse_taken(out: Path) -> None:
        """Raise RunError if `out` can't become a run folder: it is a file, a run, or has something in it."""
        if (out / "manifest.json").exists():
            run = Run(out)
            can_go_on = run.recipe_path.is_file() and run.status not in ("done", "running")
            fix = "choose another --out" + (f", or go on: {going_on(out, run.manifest)}" if can_go_on else "")
            raise RunError(
                "there is a run in this folder already, and runs are never overwritten", where=Where(str(out)), fix=fix
            )
        if out.is_file():
            raise RunError("this is a file, a run needs a folder", where=Where(str(out)), fix="choose another --out")
        if out.is_dir() and any(not entry.name.startswith(".") for entry in out.iterdir()):
            fix = "choose a new or empty folder with --out"
            raise RunError("the folder is not empty", where=Where(str(out)), fix=fix)

    @classmethod
    def open(cls, path: Path | str) -> Run:
        """Open an existing run.

        Raises:
            RunError: there is no such folder, it is not a run (says what is missing), or a newer version wrote it.
        """
        run = cls(Path(path))
        if not (run.folder / "manifest.json").is_file():
            raise _not_a_run(run.folder)
        check_manifest(run.manifest, run.folder / "manifest.json")
        return run

    @classmethod
    def with_model(cls, path: Path | str) -> Run:
        """Open what can predict: a finished run, its model folder, or a model folder alone (see `is_bare`).

        Raises:
            RunError: it is neither, or the run has no model yet.
        """
        folder = Path(path)
        alone = cls(folder)
        if alone.is_bare:
            inside = folder.name == "model" and (folder.parent / "manifest.json").is_file()
            with contextlib.suppress(RunError):  # a damaged run around a whole model
                return cls.open(folder.parent) if inside else alone
            return alone
        run = cls.open(with_the_model(folder, cls.open(folder).manifest))
        if not (run.model_folder / SETTINGS).is_file():
            message = f"this run has no model yet ({run.status})"
            raise RunError(message, where=Where(str(run.folder)), fix=going_on(run.folder, run.manifest))
        return run

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    @property
    def is_bare(self) -> bool:
        """Whether this is a model folder alone: it can predict, and knows nothing of its training."""
        return (self.folder / SETTINGS).is_file() and not (self.folder / "manifest.json").is_file()

    # -- places

    @property
    def model_folder(self) -> Path:
        """The tuned model in plain Hugging Face format."""
        return self.folder if self.is_bare else self.folder / "model"

    @property
    def adapter_folder(self) -> Path:
        """What LoRA, DoRA or (IA)3 learnt, in peft's format; the model has it in its weights."""
        return self.folder / "adapter"

    @property
    def checkpoints_folder(self) -> Path:
        """What a resumed training starts from."""
        return self.folder / "checkpoints"

    @property
    def tensorboard_folder(self) -> Path:
        """TensorBoard's event files."""
        return self.folder / "tensorboard"

    @property
    def log_path(self) -> Path:
        """One JSON object a step or evaluation."""
        return self.folder / "log.jsonl"

    @property
    def report_path(self) -> Path:
        """The page to read."""
        return self.folder / "report.html"

    @property
    def made_path(self) -> Path:
        """The training rows that models made, as they differ from those they were made from."""
        return self.folder / "augmented.jsonl"

    @property
    def taught_path(self) -> Path:
        """What a teacher gave for the texts that are learnt from, in their order."""
        return self.folder / "taught.safetensors"

    @property
    def learnt_path(self) -> Path:
        """Fingerprints of the rows that were learnt, in this run and in those it builds on."""
        return self.folder / "learnt.safetensors"

    @property
    def recipe_path(self) -> Path:
        """The resolved recipe; training it again gives this run again."""
        return self.folder / "recipe.yaml"

    def predictions_path(self, split: str) -> Path:
        """The predictions of one split, one JSON object a row."""
        return self.folder / "predictions" / f"{split}.jsonl"

    # -- reading

    @property
    def manifest(self) -> dict[str, Any]:
        """What was started, with what, how far it came."""
        return dict(self._json("manifest.json", {}))

    @property
    def name(self) -> str:
        """The run's name."""
        return str(self.manifest.get("name") or self.folder.resolve().name)

    @property
    def status(self) -> str:
        """The manifest's status; "interrupted" when it says "running" but no living process holds the lock."""
        status = str(self.manifest.get("status", ""))
        return "interrupted" if status == "running" and not is_locked(self.folder) else status

    @property
    def kind(self) -> Kind:
        """What was trained: one recipe, tasks, stages, or the trials of an ablation."""
        return kind_of(self.manifest)

    @property
    def part_names(self) -> list[str]:
        """The folders of the runs of its tasks or stages; none of any other."""
        return [str(name) for name in self.manifest.get(self.kind, ())]

    @property
    def metrics(self) -> dict[str, Any]:
        """The final numbers with intervals, baselines and verdict; empty before they are measured."""
        return dict(self._json("metrics.json", {}))

    @property
    def origins(self) -> dict[str, dict[str, Any]]:
        """Dotted setting to value, origin and reason."""
        return dict(self._json("origins.json", {}))

    @property
    def recipe_text(self) -> str:
        """The resolved recipe as YAML, or ""."""
        return self.recipe_path.read_text(encoding="utf-8") if self.recipe_path.exists() else ""

    @property
    def notes(self) -> list[Note]:
        """What was found in the data or chosen for the user."""
        return [note_of(item) for item in self._json("notes.json", [])]

    @property
    def ledger(self) -> Ledger:
        """Every row that did not reach the model as it was."""
        path = self.folder / "ledger.jsonl"
        return Ledger.load(path) if path.exists() else Ledger()

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield the log's events in order; a half-written last line is left out."""
        yield from read_lines(self.log_path)

    def predictions(self, split: str) -> Iterator[dict[str, Any]]:
        """Yield the predictions of one split; nothing if it was not predicted."""
        yield from read_lines(self.predictions_path(split))

    # -- writing

    def lock(self) -> AbstractContextManager[None]:
        """Hold this run against other writers, for as long as training lasts; see `tunesmith.run.lock`."""
        return locked(self.folder)

    def log(self, event: Mapping[str, Any]) -> None:
        """Append one event, flushed. Numbers that are not finite become null: JSON has no word for them."""
        line = line_of(finite(event))
        with self.log_path.open("a", encoding="utf-8") as stream:
            stream.write(line)

    def truncate_log(self, step: int) -> None:
        """Drop the events after `step` and a half-written last line, so that a resumed run repeats none.

        Events of `step` itself stay: a checkpoint is written after the evaluation of its step.
        """
        if self.log_path.exists():
            kept = [event for event in self.events() if event.get("step", 0) <= step]
            with replacing(self.log_path) as stream:
                stream.writelines(line_of(event) for event in kept)

    def save_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Replace the manifest."""
        write_json(self.folder / "manifest.json", dict(manifest))

    def update_manifest(self, fields: Mapping[str, Any]) -> None:
        """Replace some fields of the manifest."""
        self.save_manifest({**self.manifest, **fields})

    def mark(self, status: Status, *, reason: str = "") -> None:
        """Say how the run stands; every status but "running" also sets the time it finished."""
        self.update_manifest({"status": status, "reason": reason, "finished": None if status == "running" else now()})

    def save_recipe(self, text: str) -> None:
        """Write the resolved recipe, YAML text."""
        write_text(self.recipe_path, text)

    def save_origins(self, origins: Mapping[str, Mapping[str, Any]]) -> None:
        """Write where each setting came from."""
        write_json(self.folder / "origins.json", {key: dict(origin) for key, origin in origins.items()})

    def save_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Write the final numbers."""
        write_json(self.folder / "metrics.json", dict(metrics))

    def save_notes(self, notes: Iterable[Note]) -> None:
        """Write the notes; values that JSON lacks (dates, NaN) are written as text."""
        write_json(self.folder / "notes.json", [plain_note(note) for note in notes])

    def save_ledger(self, ledger: Ledger) -> None:
        """Write the ledger."""
        ledger.save(self.folder / "ledger.jsonl")

    def write_predictions(self, split: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write the predictions of one split, one row at a time, so any number of rows fits in memory."""
        with replacing(self.predictions_path(split)) as stream:
            stream.writelines(line_of(row) for row in rows)

    def _json(self, name: str, default: Any) -> Any:
        path = self.folder / name
        return read_json(path) if path.exists() else default


def _slug(hint: str) -> str:
    """Return words of `hint` joined by hyphens, letters of all scripts kept; "run" if nothing is left."""
    return re.sub(r"[\W_]+", "-", hint.casefold()).strip("-")[:60].rstrip("-") or "run"


def _next_folder(runs: Path, name: str) -> Path:
    runs.mkdir(parents=True, exist_ok=True)
    taken = (re.fullmatch(rf"{re.escape(name)}-(\d{{1,9}})", entry.name) for entry in runs.iterdir())
    number = max((int(match[1]) for match in taken if match), default=0)
    while True:
        number += 1
        folder = runs / f"{name}-{number}"
        with contextlib.suppress(FileExistsError):  # another process was faster
            folder.mkdir()
            return folder


def _claim(out: Path) -> Path:
    Run.refuse_taken(out)
    out.mkdir(parents=True, exist_ok=True)
    return out


def _not_a_run(path: Path) -> RunError:
    inside = next((p for p in path.resolve().parents if (p / "manifest.json").is_file()), None)
    if inside is not None and path.exists():
        return RunError("this is a part of a run, not a run", where=Where(str(path)), fix=f'did you mean "{inside}"?')
    what = "the folder has no manifest.json, so it is not a run" if path.is_dir() else "there is no such run"
    return RunError(what, where=Where(str(path)), fix=_nearest(path))


def _nearest(path: Path) -> str:
    parents = dict.fromkeys((path.parent, RUNS))
    known = [str(f.parent) for parent in parents if parent.is_dir() for f in sorted(parent.glob("*/manifest.json"))]
    by_name = {Path(name).name: name for name in known}
    near = did_you_mean(str(path), known) or did_you_mean(path.name, list(by_name))
    for name, full in by_name.items():
        near = near.replace(f'"{name}"', f'"{full}"')
    return near or ('"tunesmith runs" lists the runs' if known else '"tunesmith train DATA" makes a run')
