"""transformers learns of tunesmith's own classes of models as soon as it is there to open any.

Importing it for that would make `import tunesmith` slow: it takes seconds. So a finder waits for the module of
transformers that knows all configurations, and adds two when it is imported.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

POOLED, PREFIXED = "tunesmith_pooled", "tunesmith_prefixed"
KNOWS_ALL = "transformers.models.auto.configuration_auto"
OWN = ("tunesmith.models.pooled_config", "tunesmith.models.prefix_config")


def register() -> None:
    """Let transformers open models of tunesmith's own classes, now or when it is imported."""
    if KNOWS_ALL in sys.modules:
        _import_own()
    elif not any(isinstance(finder, _Waiting) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Waiting())


class _Waiting(MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != KNOWS_ALL:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is None:
            return None
        loader: Any = spec.loader
        run = loader.exec_module

        def run_and_register(module: ModuleType) -> None:
            run(module)
            _import_own()

        loader.exec_module = run_and_register
        return spec


def _import_own() -> None:
    for name in OWN:
        import_module(name)
