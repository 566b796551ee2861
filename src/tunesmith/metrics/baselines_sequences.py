"""Simple methods for tags, answers, summaries, translations and language models: what must be beaten to be of use."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise
from statistics import median_low

import numpy as np

from tunesmith.core.errors import DataError
from tunesmith.metrics.sentences import split_sentences

Array = np.ndarray
Words = Sequence[Sequence[str]]
_WORD = re.compile(r"\w+")


def frequent_tags(train_words: Words, train_tags: Words, test_words: Words) -> list[list[str]]:
    """Tag each word as it most often is in the training rows, "O" if it is not there.

    An entity always begins with B-, as IOB2 wants it: an I- that continues nothing is made one.

    Args:
        train_words: the words of each row.
        train_tags: an IOB2 tag a word.
        test_words: the rows to answer.

    Raises:
        DataError: rows whose words and tags differ in number.
    """
    return [_begun(row) for row in usual_tags(train_words, train_tags, test_words, unseen="O")]


def usual_tags(train_words: Words, train_tags: Words, test_words: Words, *, unseen: str) -> list[list[str]]:
    """Tag each word as it most often is in the training rows, `unseen` if it is not there.

    Raises:
        DataError: rows whose words and tags differ in number.
    """
    if [len(row) for row in train_words] != [len(row) for row in train_tags]:
        raise DataError("the words and tags of some rows differ in number", fix="give one tag a word")
    seen: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for words, tags in zip(train_words, train_tags, strict=True):
        for word, tag in zip(words, tags, strict=True):
            seen[word][tag] += 1
    best = {word: max(sorted(counts), key=counts.__getitem__) for word, counts in seen.items()}
    return [[best.get(word, unseen) for word in row] for row in test_words]


def usual_sentences(summaries: Sequence[str]) -> int:
    """Return how many sentences a summary usually has: the median, at least 1."""
    return max(1, median_low([len(split_sentences(text)) for text in summaries])) if summaries else 1


def lead_sentences(texts: Sequence[str], n: int) -> list[str]:
    """Summarise each text by its first `n` sentences (for news a strong baseline: See et al. 2017, section 5)."""
    return [" ".join(split_sentences(text)[:n]) for text in texts]


def nearest_sentences(questions: Sequence[str], contexts: Sequence[str], known: Sequence[str]) -> list[str]:
    """Answer each question by the sentence of its context that shares most of its words, rare words counting more.

    A word counts log(1 + n / contexts with it) (inverse document frequency); of equal sentences the first is taken.

    Args:
        questions: to be answered.
        contexts: one a question.
        known: contexts by which words are known to be rare; at least one.
    """
    seen = Counter(word for context in set(known) for word in _words(context))
    n_known = len(set(known))

    def weight(words: set[str]) -> float:
        return sum(math.log1p(n_known / (1 + seen[word])) for word in sorted(words))

    sentences = {context: [(s, _words(s)) for s in split_sentences(context)] for context in set(contexts)}
    found = []
    for question, context in zip(questions, contexts, strict=True):
        asked = _words(question)
        found.append(max(sentences[context], key=lambda s: weight(asked & s[1]), default=("", set()))[0])
    return found


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))


def copy_source(sources: Sequence[str]) -> list[str]:
    """Translate by leaving the text as it is: names, numbers and loan words are right already."""
    return list(sources)


def unigram_losses(train_ids: Sequence[Sequence[int]], test_ids: Sequence[Sequence[int]], *, n_tokens: int) -> Array:
    """Return each row's negative log-likelihood if tokens are drawn by their frequency in the training rows.

    Every token of the vocabulary is counted once more than it occurs (Laplace), so that none is impossible.

    Args:
        train_ids: token ids of each row.
        test_ids: likewise, of those tokens that the model predicts.
        n_tokens: size of the vocabulary.

    Returns:
        Natural logarithm, summed over the row's tokens, shape (test rows,).

    Raises:
        DataError: ids outside the vocabulary.
    """
    train = np.array([i for row in train_ids for i in row], dtype=np.int64)
    test = np.array([i for row in test_ids for i in row], dtype=np.int64)
    if any(len(ids) and (ids.min() < 0 or ids.max() >= n_tokens) for ids in (train, test)):
        raise DataError(f"some token ids are not among the {n_tokens:,} of the vocabulary", fix="use one tokenizer")
    losses = -np.log((np.bincount(train, minlength=n_tokens) + 1) / (len(train) + n_tokens))
    row_of = np.repeat(np.arange(len(test_ids)), [len(row) for row in test_ids])
    return np.bincount(row_of, weights=losses[test], minlength=len(test_ids))


def _begun(tags: Sequence[str]) -> list[str]:
    """Make an I- that continues nothing a B-."""
    return [f"B{tag[1:]}" if tag[0] == "I" and before[1:] != tag[1:] else tag for before, tag in pairwise(["O", *tags])]
