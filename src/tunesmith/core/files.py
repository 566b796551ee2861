"""Files that are either complete or absent: written under a temporary name, synced, then renamed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from tunesmith.core.errors import RunError, Where


@contextlib.contextmanager
def replacing(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary neighbour of `path`; on success it takes the name `path`, on failure it is removed.

    Text is UTF-8, and its line ends are written as they are.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        encoding, newline = (None, None) if "b" in mode else ("utf-8", "")
        with os.fdopen(handle, mode, encoding=encoding, newline=newline) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o666 & ~umask())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder beside `path`; on success it takes its place, on failure it is removed.

    A folder cannot be swapped in one step: the old one is moved aside first, so a reader that finds `path` finds it
    whole. A kill between the two renames leaves the old copy under `.NAME.old`, which `recover_folder` puts back.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp"))
    old = path.with_name(f".{path.name}.old")
    try:
        yield new
        for file in new.rglob("*"):
            os.chmod(file, (0o777 if file.is_dir() else 0o666) & ~umask())
            if file.is_file():
                sync(file)
        os.chmod(new, 0o777 & ~umask())
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)
            os.rename(path, old)
        os.rename(new, path)
        shutil.rmtree(old, ignore_errors=True)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        recover_folder(path)
        raise


def umask() -> int:
    """Return which permissions new files are not to have, as the user set it."""
    with contextlib.suppress(OSError, ValueError, StopIteration), open("/proc/self/status", encoding="ascii") as lines:
        # Without side effects, where the system says it; os.umask has to set it for a moment, for all threads.
        return int(next(line for line in lines if line.startswith("Umask:")).split()[1], 8)
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def recover_folder(path: Path) -> None:
    """Undo a `replacing_folder` that was killed between its two renames."""
    old = path.with_name(f".{path.name}.old")
    if old.exists() and not path.exists():
        os.rename(old, path)


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files and folders that a killed process left in `folder`."""
    for entry in folder.glob(".*.tmp"):
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Ask the operating system to put a file's bytes on the disk."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with replacing(path) as stream:
        stream.write(text)


def write_json(path: Path, value: object) -> None:
    """Write JSON atomically; NaN is refused, because other JSON readers refuse it."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read one JSON value.

    Raises:
        RunError: the file is damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        why, line = (error.msg, error.lineno) if isinstance(error, json.JSONDecodeError) else ("not UTF-8", 0)
        fix = "restore it from a copy, or train again"
        raise RunError(f"the file is damaged: {why}", where=Where(str(path), line), fix=fix) from error


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
