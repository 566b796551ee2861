"""The words of texts as numbers (TF-IDF), for the baselines that learn from them.

43,000 short texts (3 million characters) and 2,000 to answer take 8 s on one core.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tunesmith.core.seed import derive

Array = np.ndarray
Sparse = Any

CHARACTERS_FOR_PIECES = 3_000_000
"""Up to this much training text, parts of words (2 to 5 characters) are features too: 1 to 4 points better on
short texts, but slow on long ones."""
CHARACTERS_AT_MOST = 100_000_000
"""Above this much training text a random sample of the rows is used; more changes little."""
ROWS_FOR_SINGLE_USE = 1000
"""From this many rows on, features that occur in one text only are left out."""
PARAMETERS_AT_MOST = 4_000_000
"""Features times outputs of one kind of feature; the rarest go first."""
_WORD = r"(?u)\b\w+\b"
# Scripts that put no space between words: Thai to Myanmar, Khmer, kana, Chinese characters.
_SPACELESS = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")


class Words(NamedTuple):
    """Texts as features.

    Attributes:
        rows: the training rows that were used: all, or a sample of very much text.
        train: features of these, sparse, shape (used rows, features).
        test: features of the rows to answer, likewise.
    """

    rows: Array
    train: Sparse
    test: Sparse

    @property
    def is_empty(self) -> bool:
        """Whether the training texts hold no word at all."""
        return not self.train.shape[1]


def tfidf(train_texts: Sequence[str], test_texts: Sequence[str], *, n_outputs: int, seed: int) -> Words:
    """Return words, word pairs and (for short data) parts of words, logarithmic frequencies times rarity.

    Args:
        train_texts: at least one.
        test_texts: any number.
        n_outputs: how many classes or numbers are to be learnt; the more, the fewer features.
        seed: of the sample above 100 million characters.
    """
    rows = _affordable_rows(train_texts, seed=seed)
    texts = [train_texts[i] for i in rows]
    vectorizers = [v for v in _vectorizers(texts, n_outputs) if _has_terms(v, texts)]
    return Words(rows, *_features(vectorizers, texts, test_texts))


def _affordable_rows(texts: Sequence[str], *, seed: int) -> Array:
    """Return all row indices, or those of a random sample that holds about the most characters allowed."""
    sizes = np.array([len(text) for text in texts])
    if sizes.sum() <= CHARACTERS_AT_MOST:
        return np.arange(len(texts))
    order = np.random.default_rng(derive(seed, "tfidf sample")).permutation(len(texts))
    return np.sort(order[np.cumsum(sizes[order]) <= CHARACTERS_AT_MOST])


def _vectorizers(texts: Sequence[str], n_outputs: int) -> list[Any]:
    from sklearn.feature_extraction.text import TfidfVectorizer

    kinds: list[dict[str, Any]] = [{"ngram_range": (1, 2), "token_pattern": _WORD}]
    if _is_spaceless(texts):
        kinds = [{"ngram_range": (1, 3), "analyzer": "char"}]
    elif sum(map(len, texts)) <= CHARACTERS_FOR_PIECES:
        kinds.append({"ngram_range": (2, 5), "analyzer": "char_wb"})
    shared = {
        "sublinear_tf": True,
        "min_df": 1 if len(texts) < ROWS_FOR_SINGLE_USE else 2,
        "max_features": max(1, PARAMETERS_AT_MOST // n_outputs),
    }
    return [TfidfVectorizer(**shared, **kind) for kind in kinds]


def _is_spaceless(texts: Sequence[str]) -> bool:
    """Whether a fifth of the first 200 texts' characters belong to scripts without spaces."""
    start = "".join(text[:1000] for text in texts[:200])
    return len(_SPACELESS.findall(start)) > 0.2 * len(start)


def _has_terms(vectorizer: Any, texts: Sequence[str]) -> bool:
    """Whether some term occurs in enough texts for the vectorizer, which refuses an empty vocabulary."""
    analyze, seen = vectorizer.build_analyzer(), dict[str, int]()
    for text in texts:
        for term in set(analyze(text)):
            seen[term] = seen.get(term, 0) + 1
            if seen[term] >= vectorizer.min_df:
                return True
    return False


def _features(vectorizers: Sequence[Any], train: Sequence[str], test: Sequence[str]) -> tuple[Any, Any]:
    from scipy.sparse import csr_matrix, hstack

    if not vectorizers:
        return csr_matrix((len(train), 0)), csr_matrix((len(test), 0))
    fitted = [vectorizer.fit_transform(train) for vectorizer in vectorizers]
    applied = [
        vectorizer.transform(test) if len(test) else m[:0] for vectorizer, m in zip(vectorizers, fitted, strict=True)
    ]
    return hstack(fitted).tocsr(), hstack(applied).tocsr()
