"""Seeds as pure functions: the noise of a step depends on (seed, step, rank) only, so resume needs no saved state."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager


def derive(*parts: int | str) -> int:
    """Return a 63-bit seed that is a stable function of `parts`, on every machine and Python version."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def seed_all(*parts: int | str) -> None:
    """Seed Python's, NumPy's and torch's global generators (all devices) from `derive(*parts)`."""
    import random

    import numpy as np
    import torch

    seed = derive(*parts)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


@contextmanager
def noise_of(seed: int) -> Iterator[None]:
    """Draw torch's numbers from `seed` in the `with`; those after it do not depend on how many were drawn."""
    import torch

    after = int(torch.randint(2**62, ()))
    torch.manual_seed(seed)
    try:
        yield
    finally:
        torch.manual_seed(after)


@contextmanager
def generators_kept() -> Iterator[None]:
    """Give Python's, NumPy's and torch's global generators back as they were before the `with`."""
    import random

    import numpy as np
    import torch

    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
