"""The file formats of all tasks, in and out: one file a format, one line here.

The order is that of guessing: what is surest comes first.
"""

from tunesmith.core.lazy import LazyTable

FORMATS = LazyTable(
    "format",
    {
        "brat": "tunesmith.data.formats.brat:Brat",
        "parallel": "tunesmith.data.formats.parallel:Parallel",
        "tmx": "tunesmith.data.formats.tmx:Tmx",
        "squad": "tunesmith.data.formats.squad:Squad",
        "spacy": "tunesmith.data.formats.spacy:Spacy",
        "conll": "tunesmith.data.formats.conll:Conll",
        "tsv": "tunesmith.data.formats.tsv:Tsv",
        "text": "tunesmith.data.formats.text:Text",
        "label-studio": "tunesmith.data.formats.label_studio:LabelStudio",
        "prodigy": "tunesmith.data.formats.prodigy:Prodigy",
        "doccano": "tunesmith.data.formats.doccano:Doccano",
        "tokens": "tunesmith.data.formats.tokens:Tokens",
        "word-rows": "tunesmith.data.formats.word_rows:WordRows",
        "qa": "tunesmith.data.formats.qa:Qa",
        "chat": "tunesmith.data.formats.chat:Chat",
        "prompts": "tunesmith.data.formats.prompts:Prompts",
        "pairs": "tunesmith.data.formats.pairs:Pairs",
    },
    aliases={"conll2003": "conll", "bio": "conll", "iob": "conll", "labelstudio": "label-studio", "sharegpt": "chat"},
    group="tunesmith.formats",
)
PLAIN = "table"
"""The name that stands for none of these: rows and columns as they are."""
LIKE = {"summarization": "translation", "text2text-generation": "translation", "fill-mask": "text-generation"}
"""Tasks that read what is made for another."""
