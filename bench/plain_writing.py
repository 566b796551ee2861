"""Writing and language modelling with plain `transformers.Trainer`, as its example scripts do it, one function a task.

Each takes training and test rows and returns the metrics of the test rows and the seconds of training.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

from plain import backbone, fit

Metrics = dict[str, Any]
BLOCK = 512
"""Tokens that the embedded model reads at once."""


def translation(
    train: Sequence, test: Sequence, *, folder: Path, seed: int, curve_steps: int, curve_rows: int
) -> Metrics:
    """Two copies of the backbone as encoder and decoder (Rothe et al. 2020), 5e-5, 32 rows of like length.

    "curve" holds (minutes of training, updates, BLEU) of the first `curve_rows` test rows, written greedily.
    """
    import sacrebleu
    from transformers import DataCollatorForSeq2Seq, EncoderDecoderModel, set_seed

    from tunesmith.models.source import find
    from tunesmith.models.spec import ModelSpec

    set_seed(seed)
    _, tokenizer = backbone("AutoModel")
    folder_of_it = str(find(ModelSpec()).folder)
    model = EncoderDecoderModel.from_encoder_decoder_pretrained(folder_of_it, folder_of_it)
    model.config.decoder_start_token_id = model.generation_config.decoder_start_token_id = tokenizer.cls_token_id
    model.config.pad_token_id = model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.eos_token_id = tokenizer.sep_token_id

    def encode(row: Sequence) -> dict[str, Any]:
        source, target = (tokenizer(text, truncation=True, max_length=128) for text in row)
        return {**source, "labels": target["input_ids"][1:]}

    def bleu(rows: Sequence, beams: int) -> Metrics:
        said, gold = written(model, tokenizer, [source for source, _ in rows], beams), [[target for _, target in rows]]
        return {"bleu": sacrebleu.corpus_bleu(said, gold).score, "chrf": sacrebleu.corpus_chrf(said, gold).score}

    curve = Curve(curve_steps, lambda: bleu(test[:curve_rows], 1)["bleu"] / 100)
    collator = DataCollatorForSeq2Seq(tokenizer, model=None)
    examples = [encode(row) for row in train]
    trainer, seconds = fit(
        model,
        examples,
        collator,
        folder,
        lr=5e-5,
        epochs=3,
        batch=32,
        seed=seed,
        strategy="group_by_length",
        callbacks=[curve.callback()],
    )
    costs = {"seconds": seconds - curve.seconds, "steps": trainer.state.global_step, "curve": curve.points}
    return {**{name: value / 100 for name, value in bleu(test, 4).items()}, **costs}


def written(model: Any, tokenizer: Any, sources: Sequence[str], beams: int) -> list[str]:
    """Return what a model writes."""
    import torch

    said = []
    model.eval()
    with torch.inference_mode():
        for texts in batched(sources, 16):
            inputs = tokenizer(texts, return_tensors="pt", padding=True, truncation=True)
            ids = model.generate(**inputs, num_beams=beams, max_new_tokens=64)
            said += tokenizer.batch_decode(ids, skip_special_tokens=True)
    return said


class Curve:
    """A metric over time, measured every so many updates; its own time is not the training's."""

    def __init__(self, every: int, metric: Callable[[], float]) -> None:
        self.every, self.metric, self.began = every, metric, time.monotonic()
        self.seconds, self.points = 0.0, []

    def note(self, step: int) -> None:
        """Measure, where it is time."""
        now = time.monotonic()
        minutes = (now - self.began - self.seconds) / 60
        if step % 100 == 0:
            print(f"step {step:,}, {minutes:.1f} min", file=sys.stderr, flush=True)
        if step % self.every == 0:
            self.points.append((minutes, step, self.metric()))
            self.seconds += time.monotonic() - now
            print(self.points[-1], file=sys.stderr, flush=True)

    def callback(self) -> Any:
        """Return what tells this from a Trainer."""
        from transformers import TrainerCallback

        class Steps(TrainerCallback):
            def on_step_end(self, args: Any, state: Any, control: Any, model: Any, **_: Any) -> None:
                curve.note(state.global_step)
                model.train()

        curve = self
        return Steps()


def causal(train: Sequence[str], test: Sequence[str], *, folder: Path, seed: int) -> Metrics:
    """`run_clm.py` as in its README: blocks of the longest input, batch 8, 3 epochs, 5e-5."""
    import torch
    from transformers import default_data_collator, set_seed

    set_seed(seed)
    model, tokenizer = backbone("AutoModelForCausalLM", is_decoder=True)
    examples = [{"input_ids": ids, "labels": ids} for ids in blocks(tokenizer, train)]
    trainer, seconds = fit(model, examples, default_data_collator, folder, lr=5e-5, epochs=3, batch=8, seed=seed)
    nats, n_tokens = 0.0, 0
    with torch.inference_mode():
        for text in test:
            ids = tokenizer(text, truncation=True, max_length=BLOCK, return_tensors="pt")["input_ids"]
            nats += float(trainer.model.eval()(input_ids=ids, labels=ids).loss) * (ids.shape[1] - 1)
            n_tokens += ids.shape[1] - 1
    n_bytes = sum(len(text.encode()) for text in test)
    return {
        "perplexity": math.exp(nats / n_tokens),
        "bits_per_byte": nats / math.log(2) / n_bytes,
        "seconds": seconds,
        "steps": trainer.state.global_step,
    }


def masked(train: Sequence[str], test: Sequence[str], *, folder: Path, seed: int) -> Metrics:
    """`run_mlm.py` as in its README: likewise, 15% of the tokens masked."""
    from transformers import DataCollatorForLanguageModeling, set_seed

    set_seed(seed)
    model, tokenizer = backbone("AutoModelForMaskedLM")
    collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15)
    examples = [{"input_ids": ids} for ids in blocks(tokenizer, train)]
    trainer, seconds = fit(model, examples, collator, folder, lr=5e-5, epochs=3, batch=8, seed=seed)
    loss = trainer.evaluate([{"input_ids": ids} for ids in blocks(tokenizer, test)])["eval_loss"]
    return {"perplexity": math.exp(loss), "seconds": seconds, "steps": trainer.state.global_step}


def blocks(tokenizer: Any, texts: Sequence[str]) -> Iterator[list[int]]:
    """Yield all tokens of some texts, one after the other, in blocks; the rest is dropped, as the scripts do."""
    ids = list(chain.from_iterable(tokenizer(list(texts), truncation=False)["input_ids"]))
    for i in range(0, len(ids) - BLOCK + 1, BLOCK):
        yield ids[i : i + BLOCK]


def batched(rows: Sequence, n: int) -> Iterator[list]:
    """Yield rows, `n` at a time."""
    left = iter(rows)
    while rows := list(islice(left, n)):
        yield rows
