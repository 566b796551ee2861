"""One writer a run folder: a lock the operating system holds, so `kill -9` frees it and nothing is ever stale.

The file `.lock` stays behind on purpose (removing a locked file is a race); what counts is whether it is locked.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from tunesmith.core.errors import RunError, Where

NAME = ".lock"
_TRIES, _PAUSE_SECONDS = 20, 0.05  # a reader that asks `is_locked` holds the lock for microseconds: wait it out

if sys.platform == "win32":
    import msvcrt

    def _take(stream: IO[str]) -> None:
        stream.seek(2**20)  # beyond the text, because Windows forbids reading locked bytes
        msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _take(stream: IO[str]) -> None:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; it is freed on leaving or when the process dies, however it dies.

    Raises:
        RunError: another process (or another caller in this one) holds it, or the disk knows no locks.
    """
    with (folder / NAME).open("a+", encoding="utf-8") as stream:
        if not _acquire(stream, folder):
            raise RunError(
                f"another process is writing to this run{_owner(folder)}",
                where=Where(str(folder)),
                fix="wait until it ends, or write to another folder with --out",
            )
        stream.seek(0)
        stream.truncate()
        stream.write(f"{os.getpid()} {socket.gethostname()}")
        stream.flush()
        yield


def is_locked(folder: Path) -> bool:
    """Tell whether a living process holds the folder's lock."""
    try:
        with (folder / NAME).open("r+", encoding="utf-8") as stream:
            return not _try(stream, folder)
    except (FileNotFoundError, PermissionError):
        return False


def _acquire(stream: IO[str], folder: Path) -> bool:
    for _ in range(_TRIES):
        if _try(stream, folder):
            return True
        time.sleep(_PAUSE_SECONDS)
    return False


def _try(stream: IO[str], folder: Path) -> bool:
    try:
        _take(stream)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK):
            return False
        raise RunError(
            f"this disk cannot lock files ({error.strerror})",
            where=Where(str(folder)),
            fix="put the run folder on a local disk with --out",
        ) from error
    return True


def _owner(folder: Path) -> str:
    words = (folder / NAME).read_text(encoding="utf-8").split()
    return f" (process {words[0]} on {words[1]})" if len(words) == 2 else ""
