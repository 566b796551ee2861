"""What this machine has: cores, memory, accelerators. Nothing is changed here."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Hardware:
    """Attributes: usable cores; memory in bytes, all and free; accelerator names with their memory in bytes."""

    system: str
    processor: str
    n_cores: int
    memory_bytes: int
    free_memory_bytes: int
    accelerators: tuple[tuple[str, int], ...] = ()


def look(*, accelerators: bool = True) -> Hardware:
    """Describe this machine. `accelerators=False` leaves torch unimported."""
    import psutil

    memory = psutil.virtual_memory()
    return Hardware(
        system=platform.platform(terse=True),
        processor=_processor(),
        n_cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_bytes=memory.total,
        free_memory_bytes=memory.available,
        accelerators=_accelerators() if accelerators else (),
    )


def is_main_process() -> bool:
    """Whether this process writes files and talks to the user: the only one, or rank 0 under a launcher."""
    return os.environ.get("RANK", "0") == "0"


def n_processes() -> int:
    """Return how many processes a launcher started for one training."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def free_disk_bytes(path: Path) -> int:
    """Return the free bytes of the disk that holds `path` (or its nearest existing parent)."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def is_intel() -> bool:
    """Whether Intel made the processor; False where this can't be known."""
    return "GenuineIntel" in (_cpuinfo("vendor_id"), platform.processor().rpartition(" ")[2])


def peak_memory_bytes() -> int:
    """Return the largest resident size this process has had so far."""
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _processor() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _cpuinfo(name: str) -> str:
    """Return what Linux says of the first core; "" where there is no such line."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), "")


def _accelerators() -> tuple[tuple[str, int], ...]:
    import torch

    if torch.cuda.is_available():
        cards = (torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count()))
        return tuple((card.name, int(card.total_memory)) for card in cards)
    if torch.backends.mps.is_available():
        return (("Apple GPU (MPS)", int(torch.mps.recommended_max_memory())),)
    return ()
