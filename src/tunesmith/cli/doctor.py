"""`tunesmith doctor`: what is installed and what the machine has."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from tunesmith.cli import show
from tunesmith.core import hardware
from tunesmith.core.errors import ModelError
from tunesmith.models.source import EMBEDDED, find
from tunesmith.models.spec import ModelSpec
from tunesmith.run.manifest import versions

EXTRAS = {
    "parquet": "pyarrow",
    "excel": "openpyxl",
    "zstd": "zstandard",
    "generation": "sacrebleu",
    "mlflow": "mlflow",
    "wandb": "wandb",
}


def doctor() -> None:
    """Print versions, hardware, models and extras."""
    console = show.console()
    table = Table(box=None, pad_edge=False, show_header=False)
    for package, version in versions().items():
        table.add_row(package, version)
    machine = hardware.look()
    table.add_row("processor", f"{escape(machine.processor)}, {machine.n_cores} cores")
    table.add_row("memory", f"{show.size(machine.memory_bytes)}, {show.size(machine.free_memory_bytes)} free")
    table.add_row("disk here", f"{show.size(hardware.free_disk_bytes(Path.cwd()))} free")
    cards = ", ".join(f"{name} ({show.size(n)})" for name, n in machine.accelerators)
    table.add_row("accelerators", escape(cards or "none: training runs on the CPU"))
    for name in EMBEDDED:
        table.add_row(f"model {name}", escape(_model(name)))
    for extra, module in EXTRAS.items():
        there = find_spec(module) is not None
        table.add_row(f"extra {extra}", "installed" if there else escape(f"pip install 'tunesmith[{extra}]'"))
    console.print(table)


def _model(name: str) -> str:
    try:
        source = find(ModelSpec(source=name))
    except ModelError as error:
        return str(error)
    return f"{source.name}, weights verified"
