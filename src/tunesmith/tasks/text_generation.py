"""Writing on: a causal language model trained on plain texts, on prompts with completions, or on conversations.

Each token is predicted from those before it, once: a long text is read in windows whose beginning repeats the end of
the one before as context. Of a prompt with a completion only the completion is learnt, of a conversation only what the
assistant says; the end of it is learnt too, so that the model stops.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveInt

from tunesmith.core.errors import DataError, Where
from tunesmith.core.notes import Note
from tunesmith.core.seed import derive
from tunesmith.data.columns import choose_text
from tunesmith.data.formats.prompts import certain_columns
from tunesmith.data.sides import are_distinct
from tunesmith.data.table import Table
from tunesmith.models.words import IGNORED
from tunesmith.tasks.base import FROM_PIPELINE
from tunesmith.tasks.conversations import are_chats, other_roles, placed, read_conversation
from tunesmith.tasks.language import LEARNT, OVERLAP, LanguageTask, as_lines
from tunesmith.tasks.parts import Batch, Example, Prediction, Usable

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel

    from tunesmith.data.spec import DataSpec
    from tunesmith.models.source import Source
    from tunesmith.models.spec import ModelSpec
    from tunesmith.models.tokenize import Tokenizer

NOTHING = '[{"role": "user", "content": ""}]'
"""What an empty cell is answered as."""
Spans = list[tuple[int, int]]


@dataclass(frozen=True)
class Continuation(Prediction):
    """What the model writes after a prompt.

    Attributes:
        text: without the prompt, up to the end token.
    """

    answer: ClassVar[str] = "text"
    text: str


class TextGeneration(LanguageTask):
    """Write on. Rows need a text, a prompt with its completion, or a conversation."""

    auto_class: ClassVar[str] = "AutoModelForCausalLM"
    metric_names: ClassVar[tuple[str, ...]] = ("perplexity", "bits_per_byte", "token_accuracy")
    tokens_per_pass: ClassVar[int] = 1024
    lr_at_384: ClassVar[float] = 5e-4
    noun: ClassVar[str] = "causal language model"
    done: ClassVar[str] = "answered"
    hub_tag: ClassVar[str] = "text-generation"
    usage: ClassVar[str] = FROM_PIPELINE + 'pipeline("text-generation", FOLDER)("your prompt")'

    kind: Literal["text-generation"] = "text-generation"
    """Which task it is."""
    label: str = "auto"
    """Column with the completions of the prompts in `text`; "auto" looks for it, "none": texts are learnt whole."""
    form: Literal["auto", "text", "prompts", "chat"] = "auto"
    """What a row is: a text, a prompt with its completion, a conversation; "auto" sees it in the training rows."""
    pack: bool = False
    """Read the texts of a batch as one row without padding, each seeing itself alone. Texts of one length stand
    together in any case, so there is little padding to save: it pays for a GPU, hardly for a CPU."""
    max_new_tokens: PositiveInt = 64
    """Most tokens to write after a prompt, at most half of what the model reads, so that as much of the prompt's end
    is read; the settings of writing are saved in `generation_config.json`."""
    temperature: NonNegativeFloat = 0.0
    """0: the likeliest token is always taken; else tokens are drawn, from probabilities sharpened below 1 and flattened
    above it. The same prompt is always continued in the same way."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Tokens are drawn from the likeliest ones that together have this probability (Holtzman et al. 2020)."""

    @classmethod
    def recognises(cls, table: Table, *, text: str, label: str) -> str:
        """Return that there are columns of prompts and completions, or of conversations."""
        if text != "auto" or label != "auto":
            return ""
        pair = certain_columns(table.columns)
        if pair and (pair == ("prompt", "completion") or are_distinct(table[pair[1]])):
            return f'there are columns "{pair[0]}" and "{pair[1]}"'
        return "the rows are conversations" if are_chats(table.columns.get("messages", ())) else ""

    def choose_columns(self, table: Table, *, need_label: bool = True) -> tuple[Self, list[Note]]:
        """Name the columns, and see what a row is."""
        text, label, form, notes = self.text, self.label, self.form, list[Note]()
        names = set(table.columns)
        if form in ("auto", "prompts") and label == "auto" and text in ("auto", "prompt"):
            text, label = ("prompt", "completion") if {"prompt", "completion"} <= names else (text, label)
        if form in ("auto", "chat") and text == "auto" and are_chats(table.columns.get("messages", ())):
            text = "messages"
        if text == "auto" or label == "none":
            text, notes = choose_text(table, text)
        if label not in ("auto", "none"):
            table[label]  # a wrong name is an error here
        chat = are_chats(table[text])
        found = form if form != "auto" else "chat" if chat else "prompts" if label not in ("auto", "none") else "text"
        if found == "prompts" and label in ("auto", "none") and need_label:
            where = Where(table.files[0])
            raise DataError("there is no column with completions", where=where, fix="name it with --label")
        label = label if found == "prompts" else "none"
        said = {
            "prompts": f'"{label}" is learnt after "{text}"',
            "chat": f'what the assistant says in "{text}" is learnt',
        }
        notes += [Note("info", "columns", said[found])] if found in said else []
        notes += other_roles(table[text]) if found == "chat" else []
        return self.model_copy(update={"text": text, "label": label, "form": found}), notes

    @property
    def target_column(self) -> str:
        """The column of what is learnt."""
        return self.label if self.form == "prompts" else LEARNT

    @property
    def target_columns(self) -> tuple[str, ...]:
        """The columns that hold what is learnt besides the text."""
        return (self.label,) if self.form == "prompts" else ()

    def read_cell(self, value: Any, clean: Callable[[Any], str]) -> Any:
        """Return clean text whose line breaks stay; a conversation is written as JSON.

        Raises:
            DataError: a message of the conversation can't be read.
        """
        if self.form != "chat":
            return as_lines(value, clean)
        messages = [{**one, "content": as_lines(one["content"], clean)} for one in read_conversation(value)]
        return json.dumps(messages, ensure_ascii=False) if any(one["content"] for one in messages) else ""

    def usable(
        self, table: Table, *, clean: Callable[[Any], str], spec: DataSpec, split: str, known: Sequence[Any] = ()
    ) -> Usable:
        """Keep the rows with something to learn; see `Task.usable`."""
        del spec, known
        texts, faults = [], []
        for value in table[self.text]:
            text, fault = self._read(value, clean)
            texts.append(text)
            faults.append(fault)
        learnt = [as_lines(value, clean) for value in table[self.label]] if self.form == "prompts" else texts
        ready = table.replace(**{self.text: texts, self.target_column: learnt})
        reasons = [fault or self._unlearnt(*pair) for fault, *pair in zip(faults, texts, learnt, strict=True)]
        return self.kept(ready, reasons, split=split)

    def _read(self, value: Any, clean: Callable[[Any], str]) -> tuple[str, str]:
        """Return a cell as `read_cell` does, and why there is nothing in it, "" if there is."""
        try:
            text = self.read_cell(value, clean)
        except DataError as error:
            return "", error.problems[0].message
        return text, "" if text else {"prompts": "no prompt", "chat": "no messages"}.get(self.form, "no text")

    def _unlearnt(self, text: str, learnt: str) -> str:
        """Return why there is nothing to learn in a row, "" if there is."""
        if self.form == "chat":
            spoke = any(one["role"] == "assistant" and one["content"] for one in json.loads(text))
            return "" if spoke else "the assistant says nothing"
        return "" if learnt else "no completion"

    def key(self, table: Table) -> list[str]:
        """Return the texts, of conversations what is said."""
        if self.form != "chat":
            return super().key(table)
        return ["\n".join(str(one["content"]) for one in json.loads(text)) for text in table[self.text]]

    def with_tokenizer(self, tokenizer: Tokenizer, table: Table) -> tuple[Self, Tokenizer]:
        """Take the tokens that begin and end a text: (size of the vocabulary, end, padding, begin if there is one)."""
        del table
        from dataclasses import replace

        from tunesmith.models.language import writing_tokenizer

        plain = writing_tokenizer(tokenizer.plain)
        begin = [] if plain.bos_token_id is None else [plain.bos_token_id]
        known = {
            "vocabulary": (len(plain), plain.eos_token_id, plain.pad_token_id, *begin),
            "max_new_tokens": min(self.max_new_tokens, tokenizer.max_tokens // 2),
        }
        return self.model_copy(update=known), replace(tokenizer, plain=plain)

    def refused(self, table: Table, tokenizer: Tokenizer) -> dict[int, str]:
        """Return the rows whose conversation the model's chat template does not write, and why."""
        from tunesmith.models import conversation

        found = {}
        for row, text in enumerate(table[self.text] if self.form == "chat" else ()):
            try:
                conversation.with_spans(json.loads(text), tokenizer.plain)
            except conversation.RefusedError as error:
                found[row] = error.problems[0].message
        return found

    def lengths(self, table: Table, tokenizer: Tokenizer) -> list[int]:
        """Return each row's tokens, uncut, special tokens counted."""
        return [len(ids) for ids, _ in self._sequences(table, tokenizer)]

    def encode(self, table: Table, tokenizer: Tokenizer) -> list[Example]:
        """Encode rows: what is to be learnt with targets, otherwise prompts, of long ones the end."""
        if not self.is_measured(table):
            room = max(1, tokenizer.max_tokens - self.max_new_tokens)
            prompts = [self._prompt(table, row, tokenizer)[-room:] for row in range(len(table))]
            return [Example(ids, row, None, 0.0, {}, tokenizer.plain) for row, ids in enumerate(prompts)]
        sequences = list(self._sequences(table, tokenizer))
        self.refuse_long(table, [len(ids) - 1 for ids, _ in sequences], room=tokenizer.max_tokens)
        return [e for row, pair in enumerate(sequences) for e in _blocks(row, *pair, room=tokenizer.max_tokens)]

    def _prompt(self, table: Table, row: int, tokenizer: Tokenizer) -> list[int]:
        """Return the ids after which the model writes."""
        plain, text = tokenizer.plain, table[self.text][row]
        if self.form == "chat":
            from tunesmith.models import conversation

            with placed(table, row):
                text = conversation.written(json.loads(text or NOTHING), plain, asks=True)
        ids: list[int] = plain(text, add_special_tokens=self.form != "chat")["input_ids"]
        return ids

    def _sequences(self, table: Table, tokenizer: Tokenizer) -> list[tuple[list[int], list[bool]]]:
        """Return each row's tokens, those that begin and end it included, and which of them are learnt."""
        rows = [self._written(table, row, tokenizer.plain) for row in range(len(table))]
        tokens = tokenizer.with_offsets([text for text, _ in rows])
        end, begin = self.vocabulary[1], list(self.vocabulary[3:])
        found = []
        for (ids, offsets), (_, spans) in zip(tokens, rows, strict=True):
            learnt = _inside(offsets, spans)
            if self.form == "chat":  # the template says what begins and ends
                found.append((ids, learnt))
            else:
                found.append(([*begin, *ids, end], [False] * len(begin) + learnt + [True]))
        return found

    def _written(self, table: Table, row: int, plain: Any) -> tuple[str, Spans]:
        """Return a row as one text, and which parts of it are learnt."""
        text = table[self.text][row]
        if self.form == "chat":
            from tunesmith.models import conversation

            with placed(table, row):
                return conversation.with_spans(json.loads(text), plain)
        if self.form == "text":
            return text, [(0, len(text))]
        completion = table[self.label][row]
        joint = "" if text[-1:].isspace() or completion[:1].isspace() else " "
        return text + joint + completion, [(len(text), len(text + joint + completion))]

    def build(self, source: Source, spec: ModelSpec) -> PreTrainedModel:
        """Return the family's own class, with the settings of writing."""
        from tunesmith.models.language import refuse_mixing

        model = super().build(source, spec)
        n_tokens, end, padding, *begin = self.vocabulary
        settings: Any = model.generation_config
        ends = settings.eos_token_id if isinstance(settings.eos_token_id, list) else [settings.eos_token_id]
        settings.update(
            max_new_tokens=self.max_new_tokens,
            max_length=None,
            do_sample=self.temperature > 0,
            temperature=self.temperature or None,
            top_p=self.top_p if self.temperature else None,
            top_k=0 if self.temperature else None,
            eos_token_id=end if ends in ([None], [end]) else sorted({end, *ends} - {None}),
            pad_token_id=padding,
            bos_token_id=begin[0] if begin else None,
        )
        del n_tokens
        if self.pack:
            refuse_mixing(model)
        return model

    def read_at_once(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return which tokens have a target, and the model's inputs: padded rows, or packed into one."""
        from tunesmith.models.language import packed

        wanted, inputs = super().read_at_once(batch)
        if not self.pack:
            return wanted, inputs
        return wanted[batch.inputs["attention_mask"].bool()][None], packed(inputs)

    def run(self, model: nn.Module, batch: Batch) -> Any:
        """Return how much measured rows surprise, shape (batch, 3); otherwise the ids written after each prompt."""
        from tunesmith.models.language import generate

        if batch.targets is not None:
            return self.surprise(model, batch)
        ids, lengths = batch.inputs["input_ids"], batch.inputs["attention_mask"].sum(dim=1)
        seeds = [derive("write", *row[:n]) for row, n in zip(ids.tolist(), lengths.tolist(), strict=True)]
        return generate(model, ids, lengths, seeds=seeds)

    def merge(self, examples: Sequence[Example], outputs: Sequence[Any], *, n_rows: int) -> Any:
        """Join each row's windows: sums of what was measured, or what was written."""
        if examples and examples[0].target is not None:
            return self.summed(examples, outputs, n_rows=n_rows)
        pairs = zip(examples, outputs, strict=True)
        return [example.place.decode(ids, skip_special_tokens=True) for example, ids in pairs]

    def n_bytes(self, table: Table) -> list[int]:
        """Return the length of what is learnt of each row, in UTF-8."""
        if self.form != "chat":
            return [len(text.encode()) for text in table[self.target_column]]
        said = [[one["content"] for one in json.loads(t) if one["role"] == "assistant"] for t in table[self.text]]
        return [len("".join(parts).encode()) for parts in said]

    def gold(self, table: Table) -> list[Any]:
        """Return the completions; a text or a conversation stands in the row."""
        return list(table[self.label]) if self.form == "prompts" else super().gold(table)

    def predictions(self, outputs: Any, table: Table) -> list[Any]:
        """Return how much each measured row surprised, otherwise what is written after each prompt."""
        return self.surprises(outputs, table) if self.is_measured(table) else [Continuation(t) for t in outputs]

    def promise(self) -> tuple[str, Sequence[str]]:
        """Return what it writes."""
        said = {"prompts": "It completes prompts", "chat": "It answers in conversations"}
        return said.get(self.form, "It writes texts like those it was trained on"), []

    def cell_names(self) -> list[str]:
        """Return "predicted"."""
        return ["predicted"]


def _inside(offsets: Sequence[tuple[int, int]], spans: Spans) -> list[bool]:
    """Return whether each token ends inside one of the spans."""
    return [any(start < end_ <= end for start, end in spans) for _, end_ in offsets]


def _blocks(row: int, ids: list[int], learnt: list[bool], *, room: int) -> list[Example]:
    """Return a row's windows of `room` tokens; each learnt token is the target of the one before it, in one window."""
    inputs = ids[:-1]
    targets = [token if counts else IGNORED for token, counts in zip(ids[1:], learnt[1:], strict=True)]
    overlap = room // OVERLAP
    found: list[Example] = []
    for start in range(0, max(1, len(inputs) - overlap), room - overlap):
        n_context = overlap if start else 0
        target = [IGNORED] * n_context + targets[start + n_context : start + room]
        n = sum(token != IGNORED for token in target)
        found.append(Example(inputs[start : start + room], row, target, float(n)))
    return [one for one in found if one.weight] or found[:1]  # a window of nothing but prompt teaches nothing
