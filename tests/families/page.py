"""docs/families.md: the matrix as the tests found it. `python -m tests.families.page` runs them and renews the page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "families.md"
REFRESH = "TUNESMITH_REFRESH_FAMILIES"
"""Set in the environment, the tests write the page instead of failing where it differs."""

HEAD = """# Families of models

`--model` takes any folder or hub id with safetensors and a fast tokenizer. This table is written by the tests
(`tests/families`): for each mark, a tiny random model of the family was trained for two steps, saved, opened in a fresh
process, and gave the same answers there as before, in batches as one by one, and the same as the pipeline of
transformers, or as its plain class for `question-answering`, `translation` and `summarization`, which have no pipeline
in version 5. A number says why there is no mark. Of `text-generation`, plain texts, prompts with completions and
conversations are tried each.

What to know of some families:

- **GPT-2, GPT-NeoX, Llama, Qwen** read a text up to its last token, which stands for the whole. Two texts of a pair
  follow each other with nothing between them, or what the tokenizer puts there. Their heads have no bias, so for
  `text-regression` a number far from 0 (a year) takes more steps to learn than with an encoder. For
  `question-answering` they read the question first, then the context; that a word begins an answer is judged by what
  stands before it.
- **BERT, RoBERTa, ELECTRA, XLM-R** only read. For `text-generation` they become causal decoders, for `translation` and
  `summarization` two of them become an encoder-decoder, with new attention to the source (Rothe et al. 2020); the run's
  notes and settings say so. **GPT-2** can be made an encoder-decoder in the same way. The other encoders have no class
  in transformers that could be changed so.
- **BART, mBART, Pegasus** keep only their decoder for `text-generation`, and the run's notes say so. A model
  made for writing on starts from more.
- **XLNet** looks at the last position to classify: batches are filled on the left, which the saved tokenizer knows. Its
  language model reads words in any order; trained on the next word it would only learn to copy it, so it is refused.
- **BART, mBART, T5** are read at the end-of-text token of their decoder.
- `model.pooling` and `model.head_layers` work with all of them, also with **Marian** and **Pegasus**, of which the
  encoder is kept; the marks below are for each family's own head, and for the mean with **BERT**.
- **DeBERTa-v3** learnt to find replaced words, not to fill masks: for `fill-mask` its head over the vocabulary is new.
- **DeBERTa-v2** is tried with the convolution beside its first layer that the large checkpoints have.
- **Marian**'s tokenizer has a SentencePiece model for each language: `pip install 'tunesmith[sentencepiece]'`; with
  `pip install sacremoses` it evens out punctuation before. It is none of the fast ones: it doesn't say where in a text
  its tokens are.
"""


def page(found: Mapping[tuple[str, str], str]) -> str:
    """Return the page; `found` is why a cell (family, task) is empty, "" where it isn't."""
    found = {cell: re.sub('^"[^"]+"', "it", reason) for cell, reason in found.items()}
    families, tasks = (list(dict.fromkeys(cell[i] for cell in found)) for i in (0, 1))
    reasons = list(dict.fromkeys(reason for reason in found.values() if reason))
    marks = {cell: str(reasons.index(reason) + 1) if reason else "✓" for cell, reason in found.items()}
    lines = [
        HEAD,
        " | ".join(["| family", *tasks]) + " |",
        "|---" + "|:-:" * len(tasks) + "|",
        *(" | ".join([f"| {family}", *(marks[family, task] for task in tasks)]) + " |" for family in families),
        "",
        *(f"{i}. {reason}" for i, reason in enumerate(reasons, 1)),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    command = [sys.executable, "-m", "pytest", "-q", str(Path(__file__).parent)]
    sys.exit(subprocess.run(command, cwd=ROOT, env={**os.environ, REFRESH: "1"}, check=False).returncode)
