"""Fine-tuning with plain `transformers.Trainer`, as its example scripts do it, one function a task.

Each takes training and test rows and returns the metrics of the test rows, measured by the field's own scorers, and the
seconds of training. Rows are what `tasks.py` reads.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Metrics = dict[str, float]


def backbone(auto_class: str, **config: Any) -> tuple[Any, Any]:
    """Return the embedded model with a new head, and its tokenizer."""
    import torch
    import transformers

    from tunesmith.models.source import find
    from tunesmith.models.spec import ModelSpec

    source = find(ModelSpec()).folder
    model = getattr(transformers, auto_class).from_pretrained(source, dtype=torch.float32, **config)
    return model, transformers.AutoTokenizer.from_pretrained(source)


def fit(
    model: Any,
    examples: list[dict],
    collator: Any,
    folder: Path,
    *,
    lr: float,
    epochs: float,
    batch: int,
    seed: int,
    strategy: str = "random",
    callbacks: Sequence[Any] = (),
) -> tuple[Any, float]:
    """Return the trainer after training, and its seconds, those of callbacks too."""
    import torch
    from transformers import Trainer, TrainingArguments

    arguments = TrainingArguments(
        output_dir=str(folder / "trainer"),
        per_device_train_batch_size=batch,
        per_device_eval_batch_size=32,
        learning_rate=lr,
        num_train_epochs=epochs,
        seed=seed,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        logging_strategy="no",
        use_cpu=not torch.cuda.is_available(),
        train_sampling_strategy=strategy,
    )
    trainer = Trainer(model, arguments, train_dataset=examples, data_collator=collator, callbacks=[*callbacks])
    began = time.perf_counter()
    trainer.train()
    return trainer, time.perf_counter() - began


def tags(train: Sequence, test: Sequence, *, folder: Path, seed: int, lr: float = 5e-5) -> Metrics:
    """`run_ner.py` as in its README: batch 8, 3 epochs, 5e-5; the first token of a word carries the loss."""
    from seqeval.metrics import f1_score
    from transformers import DataCollatorForTokenClassification, set_seed

    set_seed(seed)
    labels = sorted({tag for _, tags in train for tag in tags})
    model, tokenizer = backbone("AutoModelForTokenClassification", num_labels=len(labels))

    def encode(rows: Sequence) -> list[dict]:
        found = []
        for words, row_tags in rows:
            encoded = tokenizer(words, is_split_into_words=True, truncation=True)
            before, targets = None, []
            for word in encoded.word_ids():
                known = word is not None and word != before and row_tags[word] in labels
                targets.append(labels.index(row_tags[word]) if known else -100)
                before = word
            found.append({"input_ids": encoded["input_ids"], "labels": targets})
        return found

    collator = DataCollatorForTokenClassification(tokenizer)
    trainer, seconds = fit(model, encode(train), collator, folder, lr=lr, epochs=3, batch=8, seed=seed)
    examples = encode(test)
    said = []
    for (words, _), example, logits in zip(test, examples, trainer.predict(examples).predictions, strict=True):
        # Words beyond what the model reads are "O", so that the score is one of whole sentences.
        found = [labels[i] for i, y in zip(logits.argmax(-1), example["labels"], strict=False) if y != -100]
        said.append(found + ["O"] * (len(words) - len(found)))
    return {"entity_f1": float(f1_score([list(right) for _, right in test], said)), "seconds": seconds}


def sentences(train: Sequence, test: Sequence, *, folder: Path, seed: int, lr: float = 2e-5, kind: str) -> Metrics:
    """`run_glue.py` as in its README: batch 32, 3 epochs, 2e-5.

    Args:
        train: rows of texts (one or two) and a target: a label, a list of labels, or a number.
        test: likewise.
        folder: for the trainer's files.
        seed: of the head and of the order.
        lr: learning rate.
        kind: "classes", "labels" (several a row) or "numbers".
    """
    import numpy as np
    from transformers import DataCollatorWithPadding, set_seed

    set_seed(seed)
    targets = [row[-1] for row in train]
    listed = {"classes": targets, "labels": [name for names in targets for name in names]}
    names = sorted(set(listed.get(kind, ["number"])))
    problem = {"classes": "single_label_classification", "labels": "multi_label_classification"}
    config = {"num_labels": len(names), "problem_type": problem.get(kind, "regression")}
    model, tokenizer = backbone("AutoModelForSequenceClassification", **config)

    def target(y: Any) -> Any:
        return {
            "classes": lambda: names.index(y),
            "labels": lambda: [float(name in y) for name in names],
            "numbers": lambda: float(y),
        }[kind]()

    def encode(rows: Sequence) -> list[dict]:
        ids = tokenizer(*map(list, zip(*[row[:-1] for row in rows], strict=True)), truncation=True)
        inputs = [dict(zip(ids, one, strict=True)) for one in zip(*ids.values(), strict=True)]
        return [{**one, "labels": target(row[-1])} for one, row in zip(inputs, rows, strict=True)]

    collator = DataCollatorWithPadding(tokenizer)
    trainer, seconds = fit(model, encode(train), collator, folder, lr=lr, epochs=3, batch=32, seed=seed)
    said = trainer.predict(encode(test)).predictions
    gold = np.array([target(row[-1]) for row in test])
    return {**measure(kind, said, gold), "seconds": seconds}


def measure(kind: str, said: Any, gold: Any) -> Metrics:
    """Return the metrics of logits or numbers by scikit-learn and SciPy."""
    from scipy.stats import pearsonr, spearmanr
    from sklearn.metrics import accuracy_score, f1_score

    if kind == "numbers":
        return {"pearson": float(pearsonr(said[:, 0], gold)[0]), "spearman": float(spearmanr(said[:, 0], gold)[0])}
    found = said > 0 if kind == "labels" else said.argmax(1)
    metrics = {"macro_f1": float(f1_score(gold, found, average="macro", zero_division=0))}
    return metrics if kind == "labels" else {"accuracy": float(accuracy_score(gold, found)), **metrics}


def answers(train: Sequence, test: Sequence, *, folder: Path, seed: int, lr: float = 3e-5) -> Metrics:
    """`run_qa.py` as in its README: batch 12, 2 epochs, 3e-5, windows of 384 tokens with a stride of 128.

    Rows are question, context and answers, each (text, start); none where the context has no answer.
    """
    from transformers import DataCollatorWithPadding, set_seed

    from tunesmith.metrics.answers import exact, overlap

    set_seed(seed)
    model, tokenizer = backbone("AutoModelForQuestionAnswering")
    examples = [window for row in train for window in qa_windows(tokenizer, row)]
    keys = ("input_ids", "token_type_ids", "attention_mask", "start_positions", "end_positions")
    inputs = [{key: window[key] for key in keys} for window in examples]
    collator = DataCollatorWithPadding(tokenizer)
    trainer, seconds = fit(model, inputs, collator, folder, lr=lr, epochs=2, batch=12, seed=seed)
    windows = [(i, window) for i, row in enumerate(test) for window in qa_windows(tokenizer, row)]
    starts, ends = trainer.predict([{key: w[key] for key in keys} for _, w in windows]).predictions[:2]
    best: dict[int, tuple[float, str]] = {}
    empty: dict[int, float] = {}
    for (row, window), start, end in zip(windows, starts, ends, strict=True):
        empty[row] = min(empty.get(row, float("inf")), float(start[0] + end[0]))
        score, text = best_span(start, end, window["offset_mapping"], test[row][1])
        if row not in best or score > best[row][0]:
            best[row] = (score, text)
    has_empty = not all(row[2] for row in train)
    said = ["" if has_empty and empty[i] > best[i][0] else best[i][1] for i in range(len(test))]
    pairs = [(one, [text for text, _ in row[2]]) for one, row in zip(said, test, strict=True)]
    f1, em = (sum(value(*pair) for pair in pairs) / len(pairs) for value in (overlap, exact))
    return {"answer_f1": float(f1), "exact_match": float(em), "seconds": seconds}


def qa_windows(tokenizer: Any, row: Sequence) -> list[dict]:
    """Return a row's windows with positions of its first answer, 0 where that is not in the window."""
    question, context, right = row
    encoded = tokenizer(
        question,
        context,
        truncation="only_second",
        max_length=384,
        stride=128,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    found = []
    for i in range(len(encoded["input_ids"])):
        sides = encoded.sequence_ids(i)
        at = [o if s == 1 else None for o, s in zip(encoded["offset_mapping"][i], sides, strict=True)]
        start = end = 0
        if right:
            first, last = right[0][1], right[0][1] + len(right[0][0])
            inside = [j for j, o in enumerate(at) if o and o[1] > first and o[0] < last]
            whole = inside and at[inside[0]][0] <= first and at[inside[-1]][1] >= last
            start, end = (inside[0], inside[-1]) if whole else (0, 0)
        window = {key: encoded[key][i] for key in ("input_ids", "token_type_ids", "attention_mask")}
        found.append({**window, "start_positions": start, "end_positions": end, "offset_mapping": at})
    return found


def best_span(start: Any, end: Any, at: Sequence, context: str) -> tuple[float, str]:
    """Return the best of the spans between the 20 best starts and the 20 best ends, up to 30 tokens long."""
    best = (float("-inf"), "")
    n = len(at)
    for i in start[:n].argsort()[::-1][:20]:
        for j in end[:n].argsort()[::-1][:20]:
            if at[i] and at[j] and i <= j < i + 30 and start[i] + end[j] > best[0]:
                best = (float(start[i] + end[j]), context[at[i][0] : at[j][1]])
    return best
