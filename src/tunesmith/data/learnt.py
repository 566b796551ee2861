"""Which rows a model has learnt, as fingerprints: so that none of them is taken for a new one later."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path

import numpy as np

from tunesmith.core.errors import RunError, Where
from tunesmith.data.near import text_key


def _none() -> np.ndarray:
    return np.empty(0, dtype=np.uint64)


@dataclass(frozen=True)
class Learnt:
    """Fingerprints, sorted, once each: uint64.

    Attributes:
        texts: of the texts, without case and punctuation.
        rows: of the texts with their answers.
    """

    texts: np.ndarray = field(default_factory=_none)
    rows: np.ndarray = field(default_factory=_none)

    @classmethod
    def of(cls, texts: Sequence[str], answers: Iterable[Hashable]) -> Learnt:
        """Return those of rows, of which each has a text and an answer."""
        return cls(*map(np.unique, _prints(texts, answers)))

    @classmethod
    def all_of(cls, parts: Iterable[Learnt]) -> Learnt:
        """Return those of all of them."""
        return reduce(lambda one, other: cls(*map(np.union1d, one._pair, other._pair)), parts, cls())

    @property
    def _pair(self) -> tuple[np.ndarray, np.ndarray]:
        return self.texts, self.rows

    def known(self, texts: Sequence[str], answers: Iterable[Hashable]) -> tuple[list[int], list[int]]:
        """Return which rows were learnt, and of which others the text was, with another answer or none."""
        seen, same = (np.isin(new, old) for new, old in zip(_prints(texts, answers), self._pair, strict=True))
        return np.flatnonzero(same).tolist(), np.flatnonzero(seen & ~same).tolist()

    def save(self, path: Path) -> None:
        """Write them for `load`."""
        from safetensors.numpy import save_file

        save_file({"texts": self.texts, "rows": self.rows}, path)

    @classmethod
    def load(cls, path: Path) -> Learnt:
        """Return what was saved; nothing where there is no such file.

        Raises:
            RunError: the file is damaged.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        if not path.exists():
            return cls()
        try:
            found = load_file(path)
            return cls(found["texts"], found["rows"])
        except (SafetensorError, KeyError) as error:
            fix = "restore it from a copy, or remove it: then nothing is said of rows that were learnt before"
            raise RunError(f"the file is damaged: {error}", where=Where(str(path)), fix=fix) from error


def _prints(texts: Sequence[str], answers: Iterable[Hashable]) -> tuple[np.ndarray, np.ndarray]:
    keys = [text_key(text) for text in texts]
    rows = [f"{key}\n{answer!r}" for key, answer in zip(keys, answers, strict=True)]
    return _numbers(keys), _numbers(rows)


def _numbers(texts: Iterable[str]) -> np.ndarray:
    digests = (hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest() for text in texts)
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)
