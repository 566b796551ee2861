"""Which rows a model has learnt, as fingerprints: so that none of them is taken for a new one later."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path

import numpy as np

from tunesmith.core.errors import RunError, Where
from tunesmith.data.near import text_key


def _none() -> np.ndarray:
    return np.empty(0, dtype=np.uint64)


@dataclass(frozen=True)
class Rows:
    """Rows as they are recognised.

    Attributes:
        question: what is asked of the texts; the same text may have another answer to another question.
        texts: one a row.
        lessons: for each row its answer, or several of which each may have been learnt alone.
    """

    question: str
    texts: Sequence[str]
    lessons: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Learnt:
    """Fingerprints, sorted, once each: uint64.

    Attributes:
        texts: of the texts, without case and punctuation.
        rows: of the texts with what was asked of them and their answers.
    """

    texts: np.ndarray = field(default_factory=_none)
    rows: np.ndarray = field(default_factory=_none)

    @classmethod
    def of(cls, rows: Rows) -> Learnt:
        """Return those of rows."""
        return cls(np.unique(_texts(rows.texts)), np.unique(_numbers(print_ for _, print_ in _lessons(rows))))

    @classmethod
    def of_texts(cls, texts: Iterable[str]) -> Learnt:
        """Return those of texts that were read without an answer."""
        return cls(np.unique(_texts(texts)))

    @classmethod
    def all_of(cls, parts: Iterable[Learnt]) -> Learnt:
        """Return those of all of them."""
        return reduce(lambda a, b: cls(np.union1d(a.texts, b.texts), np.union1d(a.rows, b.rows)), parts, cls())

    def known(self, rows: Rows) -> tuple[list[int], list[int]]:
        """Return which rows were learnt, and of which others the text was read: for another answer, or none."""
        of = np.array([i for i, _ in _lessons(rows)], dtype=np.int64)
        learnt = np.zeros(len(rows.texts), dtype=bool)
        learnt[of[np.isin(_numbers(print_ for _, print_ in _lessons(rows)), self.rows)]] = True
        read = np.isin(_texts(rows.texts), self.texts) & ~learnt
        return np.flatnonzero(learnt).tolist(), np.flatnonzero(read).tolist()

    def save(self, path: Path) -> None:
        """Write them for `load`."""
        from safetensors.numpy import save_file

        save_file({"texts": self.texts, "rows": self.rows}, path)

    @classmethod
    def load(cls, path: Path) -> Learnt:
        """Return what was saved; nothing where there is no such file.

        Raises:
            RunError: the file can't be read.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        if not path.exists():
            return cls()
        try:
            found = load_file(path)
            return cls(found["texts"], found["rows"])
        except (SafetensorError, KeyError, OSError) as error:
            fix = "restore it from a copy, or remove it: then nothing is said of rows that were learnt before"
            raise RunError(f"the file is damaged: {error}", where=Where(str(path)), fix=fix) from error


def _texts(texts: Iterable[str]) -> np.ndarray:
    return _numbers(map(text_key, texts))


def _lessons(rows: Rows) -> Iterator[tuple[int, str]]:
    """Yield the number of a row and one of its answers, with its text and what is asked of it."""
    for i, (text, answers) in enumerate(zip(rows.texts, rows.lessons, strict=True)):
        for answer in answers:
            yield i, f"{rows.question}\n{answer}\n{text_key(text)}"


def _numbers(texts: Iterable[str]) -> np.ndarray:
    return np.fromiter(map(_number, texts), dtype=np.uint64)


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())
