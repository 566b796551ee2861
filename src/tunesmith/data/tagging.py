"""Tags of words and spans of characters: every scheme read as one (IOB2), spans brought to whole words and back.

Pure functions. What is repaired is said: each `Repair` has a short fixed reason for the ledger.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

Scheme = Literal["iob1", "iob2", "bioes", "bilou", "bmes", "plain"]
"""iob1 writes B- only between neighbours of one label; plain has no prefixes at all, such as parts of speech."""

TAG = re.compile(r"([BIESLUMbieslum])(?:[-_](.+))?")
MEANS = {"B": "B", "I": "I", "M": "I", "E": "E", "L": "E", "S": "S", "U": "S"}
LETTERS: dict[Scheme, dict[str, str]] = {
    "bioes": {"B": "B", "I": "I", "E": "E", "S": "S"},
    "bilou": {"B": "B", "I": "I", "E": "L", "S": "U"},
    "bmes": {"B": "B", "I": "M", "E": "E", "S": "S"},
}
MOST_WITHOUT_PREFIX = 0.1
"""Above this share of tags without B- or I-, tags are taken as plain labels, not as a broken scheme."""


class Span(NamedTuple):
    """From `start` up to and without `end`, in characters or in words."""

    start: int
    end: int
    label: str


class Repair(NamedTuple):
    """What was changed at one place: the index of a tag, or the start of a span."""

    at: int
    reason: str
    before: str
    after: str


# Tags.


def split_tag(tag: str) -> tuple[str, str]:
    """Return (one of O, B, I, E, S, or "" where there is no prefix; label)."""
    if tag in ("O", "o"):
        return "O", ""
    match = TAG.fullmatch(tag)
    if match is None:
        return "", tag
    return MEANS[match[1].upper()], match[2] or ""


def join_tag(prefix: str, label: str) -> str:
    """Return "B-PER"; "B" alone where entities have no kinds."""
    return f"{prefix}-{label}" if label and prefix != "O" else prefix


def detect(sequences: Iterable[Sequence[str]]) -> Scheme:
    """Return the scheme most of the tags are written in; "iob2" where no word is tagged."""
    kinds: Counter[str] = Counter()
    letters: Counter[str] = Counter()
    starts: Counter[str] = Counter()
    for tags in sequences:
        open_label: str | None = None
        for tag in tags:
            prefix, label = split_tag(tag)
            kinds[prefix] += 1
            letters[tag[:1].upper()] += prefix not in ("O", "")
            starts[prefix] += label != open_label
            open_label = None if prefix in ("O", "E", "S") else label
    tagged = sum(kinds.values()) - kinds["O"]
    if kinds[""] > MOST_WITHOUT_PREFIX * tagged:
        return "plain"
    if kinds["E"] + kinds["S"] > 0.5 * (kinds["B"] + kinds["S"]):
        return "bmes" if letters["M"] else "bilou" if letters["L"] + letters["U"] > letters["E"] else "bioes"
    return "iob1" if starts["I"] > starts["B"] else "iob2"


def to_iob2(tags: Sequence[str], scheme: Scheme) -> tuple[list[str], list[Repair]]:
    """Return one sentence's tags in IOB2, and what was not as the scheme wants it.

    Plain labels become one span for each run of equal ones.
    """
    found: list[str] = []
    repairs: list[Repair] = []
    open_label: str | None = None
    for i, tag in enumerate(tags):
        prefix, label = (_outside(tag) or ("", tag)) if scheme == "plain" else split_tag(tag)
        goes_on = prefix in ("I", "E", "") and open_label == label
        found.append("O" if prefix == "O" else join_tag("I" if goes_on else "B", label))
        reason = _wrong(tag, prefix, goes_on, open_label, scheme)
        if reason:
            repairs.append(Repair(i, reason, tag, found[-1]))
        open_label = None if prefix in ("O", "E", "S") else label
    return found, repairs


def _outside(tag: str) -> tuple[str, str] | None:
    return ("O", "") if tag in ("O", "o") else None


def _wrong(tag: str, prefix: str, goes_on: bool, open_label: str | None, scheme: Scheme) -> str:
    """Return why a tag is not as the scheme wants it, or ""."""
    if scheme == "plain":
        return ""
    if prefix == "":
        return "tag without B- or I-"
    if prefix in ("E", "S") and scheme in ("iob1", "iob2"):
        return "stray E- or S-"
    if prefix in ("I", "E") and not goes_on and scheme != "iob1":
        return f"{prefix}- without B-" if open_label is None else f"{prefix}- after another label"
    return "tag in small letters" if tag[:1].islower() else ""


def to_spans(tags: Sequence[str]) -> list[Span]:
    """Return the spans of words of one sentence in IOB2."""
    spans: list[Span] = []
    for i, tag in enumerate(tags):
        prefix, label = split_tag(tag)
        if prefix == "I" and spans and spans[-1].end == i and spans[-1].label == label:
            spans[-1] = spans[-1]._replace(end=i + 1)
        elif prefix != "O":
            spans.append(Span(i, i + 1, label))
    return spans


def of_spans(spans: Iterable[Span], n_words: int) -> list[str]:
    """Return IOB2 tags of spans of words that don't overlap."""
    tags = ["O"] * n_words
    for span in spans:
        tags[span.start : span.end] = [join_tag("I", span.label)] * (span.end - span.start)
        tags[span.start] = join_tag("B", span.label)
    return tags


def spell(tags: Sequence[str], scheme: Scheme) -> list[str]:
    """Return IOB2 tags in another scheme; plain can't tell neighbours of one label apart."""
    if scheme == "iob2":
        return list(tags)
    pairs = [split_tag(tag) for tag in tags]
    if scheme == "plain":
        return [label if prefix != "O" else "O" for prefix, label in pairs]
    if scheme == "iob1":
        return [_iob1(pair, before) for pair, before in zip(pairs, [("O", ""), *pairs], strict=False)]
    after = [*pairs[1:], ("O", "")]
    return [_with_ends(pair, next_pair, LETTERS[scheme]) for pair, next_pair in zip(pairs, after, strict=False)]


def _iob1(pair: tuple[str, str], before: tuple[str, str]) -> str:
    prefix, label = pair
    neighbours = prefix == "B" and before[0] != "O" and before[1] == label
    return join_tag(prefix if prefix == "O" or neighbours else "I", label)


def _with_ends(pair: tuple[str, str], after: tuple[str, str], letters: dict[str, str]) -> str:
    prefix, label = pair
    if prefix == "O":
        return "O"
    if after == ("I", label):
        return join_tag(letters[prefix], label)
    return join_tag(letters["S" if prefix == "B" else "E"], label)


# Words.

ALONE = (
    "\u0e00-\u0edf\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer: no spaces between words
    "\u2e80-\u303f\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
WORD = re.compile(rf"[^\W_{ALONE}]+|\S")
JOINERS = "\u200c\u200d"


def words(text: str) -> list[tuple[int, int]]:
    """Return where the words of a text are: runs of letters and digits, each other character by itself.

    Characters of scripts without spaces (Chinese, Japanese, Thai, ...) are words of their own. Accents and vowel signs
    stay with the letter before them.
    """
    found = [match.span() for match in WORD.finditer(text)]
    return found if text.isascii() else _with_marks(text, found)


def _with_marks(text: str, found: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Put accents and vowel signs to the letter before them, and the rest of a word after these."""
    joined: list[tuple[int, int]] = []
    runs_on = False
    for start, end in found:
        touches = bool(joined) and joined[-1][1] == start
        is_mark = unicodedata.category(text[start])[0] == "M" or text[start] in JOINERS
        if touches and (is_mark or (runs_on and _spaced(text[start]))):
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
        runs_on = touches and is_mark and _spaced(text[joined[-1][0]])
    return joined


def _spaced(letter: str) -> bool:
    """Whether a character is a letter or digit of a script that puts spaces between words."""
    return letter.isalnum() and re.match(f"[{ALONE}]", letter) is None


def words_in(text: str, tokens: Sequence[str]) -> list[tuple[int, int]] | None:
    """Return where given words stand in a text, one after the other; None if one of them doesn't."""
    found, at = [], 0
    for token in tokens:
        start = text.find(token, at)
        if start < 0 or not token or text[at:start].strip():
            return None
        at = start + len(token)
        found.append((start, at))
    return None if text[at:].strip() else found


def joined(tokens: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """Return words as a text with single spaces, and where each of them is in it."""
    places, at = [], 0
    for token in tokens:
        places.append((at, at + len(token)))
        at += len(token) + 1
    return " ".join(tokens), places


# Spans.


def align(spans: Iterable[Span], places: Sequence[tuple[int, int]], text: str) -> tuple[list[Span], list[Repair]]:
    """Return spans of characters as spans of whole words that don't overlap, and what was changed or left out.

    Args:
        spans: where the labels are, in characters.
        places: where the words are, in order.
        text: what both count in.
    """
    repairs: list[Repair] = []
    found: list[Span] = []
    starts, ends = [start for start, _ in places], [end for _, end in places]
    for span in spans:
        trimmed = trim(span, text)
        first, last = bisect_right(ends, trimmed.start), bisect_left(starts, trimmed.end)
        if trimmed.start >= trimmed.end or first >= last:
            repairs.append(Repair(span.start, "span without a word left out", _shown(span, text), ""))
            continue
        whole = Span(starts[first], ends[last - 1], span.label)
        if whole != trimmed:
            repairs.append(Repair(span.start, "span widened to whole words", _shown(span, text), _shown(whole, text)))
        elif trimmed != span:
            repairs.append(Repair(span.start, "span trimmed", _shown(span, text), _shown(whole, text)))
        found.append(Span(first, last, span.label))
    kept, others = without_overlaps(found)
    for span in others:
        shown = _shown(Span(starts[span.start], ends[span.end - 1], span.label), text)
        repairs.append(Repair(starts[span.start], "overlapping span left out", shown, ""))
    return kept, repairs


def trim(span: Span, text: str) -> Span:
    """Return a span without the white space at its ends."""
    inner = text[span.start : span.end]
    start = span.start + len(inner) - len(inner.lstrip())
    return Span(start, max(start, span.start + len(inner.rstrip())), span.label)


def without_overlaps(spans: Iterable[Span]) -> tuple[list[Span], list[Span]]:
    """Return (spans kept, spans left out), each in order: the longest wins, of equally long ones the first."""
    kept: list[Span] = []
    left_out: list[Span] = []
    for span in sorted(spans, key=lambda s: (s.start - s.end, s.start)):
        at = bisect_left(kept, span)
        clear = (at == 0 or kept[at - 1].end <= span.start) and (at == len(kept) or kept[at].start >= span.end)
        if clear:
            kept.insert(at, span)
        else:
            left_out.append(span)
    return kept, sorted(left_out)


def in_characters(spans: Iterable[Span], places: Sequence[tuple[int, int]]) -> list[Span]:
    """Return spans of words as spans of characters."""
    return [Span(places[span.start][0], places[span.end - 1][1], span.label) for span in spans]


def _shown(span: Span, text: str) -> str:
    return f"{text[span.start : span.end]!r} {span.label}"
