"""Memory between steps: kept by the process instead of handed back to the system and fetched again."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

# Parameters of glibc's mallopt, and what glibc starts with.
TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD, MMAP_MAX = -1, -2, -3, -4
KEEP = {MMAP_MAX: 0, TRIM_THRESHOLD: 2**31 - 1, TOP_PAD: 64 << 20}
USUAL = {MMAP_MAX: 65536, MMAP_THRESHOLD: 32 << 20, TRIM_THRESHOLD: 64 << 20, TOP_PAD: 128 << 10}


@contextmanager
def memory_kept() -> Iterator[None]:
    """Keep freed memory for the next step while the `with` lasts, then give it back.

    A training step frees hundreds of megabytes that the next one needs again. glibc returns large blocks to the
    system, which clears every page before it hands it out again: an eighth of a step of a small model. Elsewhere
    than with glibc this does nothing.
    """
    libc = _glibc()
    if libc is None:
        yield
        return
    for parameter, value in KEEP.items():
        libc.mallopt(parameter, value)
    try:
        yield
    finally:
        for parameter, value in USUAL.items():
            libc.mallopt(parameter, value)
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    try:
        libc = ctypes.CDLL("libc.so.6")
        return libc if hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim") else None
    except OSError:
        return None
