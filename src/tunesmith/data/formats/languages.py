"""Names of languages as files and columns have them: "de", "pt-BR", "eng_Latn"."""

from __future__ import annotations

import re

TWO_LETTERS = """
    aa ab af ak am ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cv cy da de dv dz ee el en eo es et
    eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi hr ht hu hy hz ia id ig ik io is it iu ja jv ka kg ki kk kl km
    kn ko ks ku kv kw ky la lb lg ln lo lt lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc om or
    os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg sh si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl
    tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu
"""
"""ISO 639-1."""
CODES = frozenset(TWO_LETTERS.split())
REGION = re.compile(r"([a-z]{2})[-_]([A-Za-z]{2}|[A-Za-z]{4})")
SCRIPT = re.compile(r"[a-z]{3}_[A-Z][a-z]{3}")
SIDES = {"src": 0, "source": 0, "tgt": 1, "trg": 1, "target": 1}
"""What files are called that say which side they are, not which language."""


def is_language(name: str) -> bool:
    """Whether a word is the code of a language."""
    region = REGION.fullmatch(name)
    return name in CODES or (region is not None and region[1] in CODES) or SCRIPT.fullmatch(name) is not None
