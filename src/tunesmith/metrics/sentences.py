"""Where sentences end: rules for texts in Latin and neighbouring scripts, and for Chinese and Japanese full stops.

Good enough to take the first sentences of a text; not made to be a linguist's.
"""

from __future__ import annotations

import re

_PEOPLE = "mr mrs ms mx dr prof st sr jr gen rep sen gov lt col sgt capt maj hon rev pres supt messrs mme mlle"
_AMIDST = "vs cf al e.g i.e viz approx ca no nos nr fig figs eq eqs vol ed eds pp p ch sec art bzw z.b d.h u.a evtl"
_MONTHS = "jan feb mar apr jun jul aug sep sept oct nov dec"
ABBREVIATIONS = frozenset(f"{_PEOPLE} {_AMIDST} {_MONTHS}".split())
"""What stands before a full stop that ends no sentence. Those that often do, as "etc." and "Inc.", are not here."""

_OPENING = "\"'\u201c\u2018\u00ab([\u00bf\u00a1\u2014\u2013-"
_CLOSING = "\"'\u201d\u2019\u00bb)\\]"
_STOPS = ".!?\u2026"
# Full stops, exclamation and question marks of Chinese and Japanese, which need no space after them.
_WIDE_STOPS, _WIDE_CLOSING = "\u3002\uff01\uff1f\uff61", "\u201d\u2019\u300d\u300f\uff09"
_END = re.compile(
    rf"""
      (?<![{_STOPS}])(?P<stop>[{_STOPS}]++)[{_CLOSING}]*  # the end, with what it closes,
      (?=\s+[{re.escape(_OPENING)}]*(?P<next>\S))         # before a space, and what comes next
    | [{_WIDE_STOPS}]+[{_WIDE_CLOSING}]*
    | \n\s*\n                                             # a blank line
    | \n(?=[^\S\n]*[^\sa-z\u00df-\u00f6\u00f8-\u00ff])    # a line that does not go on in small letters
    """,
    re.VERBOSE,
)
_BEFORE_WORD = re.compile(rf"[\s{re.escape(_OPENING)}/]")
_INITIALS = re.compile(r"(?:\w\.)*[^\W\dI_]")
_LONGEST = 40
"""Characters before a full stop that are looked at: no abbreviation is longer."""


def split_sentences(text: str) -> list[str]:
    """Return the sentences of a text, without the white space around them.

    A full stop ends none after an abbreviation ("Dr.", "e.g."), after initials ("J. R.", "U.S."), after a list's
    number ("2. Stir"), and before a small letter.
    """
    sentences, start = [], 0
    for found in _END.finditer(text):
        if found["stop"] is None or _ends(text[start : found.start()], found["stop"], found["next"]):
            sentences.append(text[start : found.end()].strip())
            start = found.end()
    return [sentence for sentence in [*sentences, text[start:].strip()] if sentence]


def _ends(before: str, stop: str, following: str) -> bool:
    """Whether a sentence ends after `before` and the marks `stop`, if it goes on with `following`."""
    if following.islower():
        return False
    if stop != ".":
        return True
    word = _BEFORE_WORD.split(before[-_LONGEST:])[-1]
    is_number = len(word) < 3 and word.isdigit() and before.strip() == word
    return not (word.lower() in ABBREVIATIONS or _INITIALS.fullmatch(word) or is_number)
