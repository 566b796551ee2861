"""Questions answered by a piece of a text, or by nothing where the text has no answer (SQuAD v1.1 and v2).

A context longer than the model reads is read in overlapping windows, each with the whole question. The target of a
window is where the answer begins and ends, or the first token if no part of an answer is in it (Devlin et al. 2019,
section 4.3). The windows' scores of all spans are put together in `models.answer_spans`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import PositiveInt

from tunesmith.core.errors import DataError, Where
from tunesmith.core.notes import Note
from tunesmith.core.wording import count, does
from tunesmith.data.augment.words import Word, cut
from tunesmith.data.columns import choose_by_name
from tunesmith.data.formats.answers import Questions
from tunesmith.data.formats.base import Found
from tunesmith.data.formats.qa import ANSWERS, CONTEXTS, QUESTIONS, impossible
from tunesmith.data.labels import fold
from tunesmith.data.table import Table
from tunesmith.models.answer_spans import Span
from tunesmith.tasks.answer_prediction import AnswerPrediction, answer_of, apart
from tunesmith.tasks.base import Task
from tunesmith.tasks.contexts import Context, Places, Read, context_words, moved, read_windows, windows
from tunesmith.tasks.decisions import Decisions
from tunesmith.tasks.facts import Choices, Facts
from tunesmith.tasks.parts import Batch, Example, Prediction, Tuned, Usable

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn
    from transformers import PreTrainedModel

    from tunesmith.data.spec import DataSpec
    from tunesmith.metrics.answers import AnswerScorer
    from tunesmith.models.source import Source
    from tunesmith.models.spec import ModelSpec
    from tunesmith.models.tokenize import Tokenizer

UNUSED = -1
LR_AT_384 = 2e-4


class QuestionAnswering(Task):
    """Answer questions by pieces of a context. Rows need a question, a context and, for training, answers."""

    can_be_reworded: ClassVar[bool] = False
    main_metric: ClassVar[str] = "answer_f1"
    metric_names: ClassVar[tuple[str, ...]] = ("answer_f1", "exact_match")
    auto_class: ClassVar[str] = "AutoModelForQuestionAnswering"
    inputs: ClassVar[tuple[str, ...]] = ("question", "context")
    may_cut: ClassVar[bool] = False
    updates: ClassVar[int] = 1000
    cleans: ClassVar[bool] = False
    one_answer: ClassVar[bool] = False
    prediction: ClassVar[type[Prediction]] = AnswerPrediction
    noun: ClassVar[str] = "model that answers questions about a text"
    done: ClassVar[str] = "answered"
    hub_tag: ClassVar[str] = "question-answering"
    usage: ClassVar[str] = """from transformers import AutoModelForQuestionAnswering, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(FOLDER)
model = AutoModelForQuestionAnswering.from_pretrained(FOLDER)
inputs = tokenizer("your question", "your context", return_tensors="pt")
out = model(**inputs)
start, end = out.start_logits.argmax(), out.end_logits.argmax()
tokenizer.decode(inputs["input_ids"][0, start : end + 1])"""

    kind: Literal["question-answering"] = "question-answering"
    """Which task it is."""
    question: str = "auto"
    """Column with the questions; "auto" knows the usual names."""
    context: str = "auto"
    """Column with the texts that hold the answers; "auto" knows the usual names."""
    label: str = "auto"
    """Column with the answers, as SQuAD or Hugging Face write them or as plain text; an empty list or cell says that
    the context has none. "auto" knows the usual names."""
    long_text: Literal["auto", "windows", "error"] = "auto"
    """What happens to contexts longer than the model reads: windows (all of it is read), error."""
    max_answer_chars: PositiveInt | Literal["auto"] = "auto"
    """Most characters of an answer that is given; "auto": of the longest one in the training rows."""
    n_best: PositiveInt = 5
    """How many answers, with their probabilities, are listed for a question."""
    null_threshold: float | None = None
    """No answer is given where its log-odds against the best answer are above this; tuned on dev rows where the data
    has unanswerable questions. None: there always is an answer."""

    @classmethod
    def recognises(cls, table: Table, *, text: str, label: str) -> str:
        """Return that rows have a question, a context, and answers most of which are pieces of it."""
        if (text, label) != ("auto", "auto"):
            return ""
        wanted = {name: ("auto", usual) for name, usual in USUAL.items()}
        columns, _ = choose_by_name(table, wanted, optional=tuple(wanted))
        if len(columns) < len(wanted):
            return ""
        rows = [table.row(i) for i in range(min(len(table), 200))]
        given = [(str(row[columns["label"]]), str(row[columns["context"]])) for row in rows if row[columns["label"]]]
        n_inside = len([1 for answer, context in given if answer.casefold() in context.casefold()])
        return "questions, contexts, and answers that are pieces of these" if n_inside > 0.5 * len(given) else ""

    # The data's way.

    def choose_columns(self, table: Table, *, need_label: bool = True) -> tuple[Self, list[Note]]:
        """Name the columns of questions, contexts and answers."""
        wanted = {name: (getattr(self, name), usual) for name, usual in USUAL.items()}
        found, notes = choose_by_name(table, wanted, optional=() if need_label else ("label",))
        return self.model_copy(update=found), notes

    def read_cell(self, value: Any, clean: Callable[[Any], str]) -> Any:
        """Return a text as it is: positions in it count; "" where there is none."""
        del clean
        return value if isinstance(value, str) and value.strip() else ""

    def usable(
        self, table: Table, *, clean: Callable[[Any], str], spec: DataSpec, split: str, known: Sequence[Any] = ()
    ) -> Usable:
        """Keep the rows with a question, a context, and answers that are in it (or none, said to be so)."""
        del clean, spec, known
        questions = Questions(Found(table.files))
        for i in range(len(table)):
            row = {"context": table[self.context][i], "question": table[self.question][i]}
            questions.add(i, row, table[self.label][i], impossible(table.row(i)))
        found, kept, answers = Usable(table), [], []
        for i, row in questions.found.rows:
            if "answers" in row:
                kept.append(i)
                answers.append(row["answers"])
            else:
                where = table.where(i)
                found.ledger.add("set aside", "no answers given", file=where.file, row=where.row, detail=split)
        for entry in questions.found.entries:
            where = table.where(entry.row)
            found.ledger.add(entry.kind, entry.reason, file=where.file, row=where.row, detail=entry.detail or split)
        if not kept:
            fix = "set task.question, task.context and task.label to other columns"
            where = Where(table.files[0], column=self.label)
            raise DataError("no row has a question, a context and answers in it", where=where, fix=fix)
        found.table = table.take(kept).replace(**{self.label: answers})
        return found

    def key(self, table: Table) -> list[str]:
        """Return question and context."""
        return [f"{q}\n{c}" for q, c in zip(table[self.question], table[self.context], strict=True)]

    def together(self, table: Table) -> list[str]:
        """Return the contexts: questions about one text stay in one split."""
        return list(table[self.context])

    def answers(self, table: Table) -> list[Any]:
        """Return the right answers and where they are."""
        return [tuple((one["text"], one["start"]) for one in cell) for cell in table[self.label]]

    def lessons(self, table: Table) -> list[tuple[str, ...]]:
        """Return the words of the right answers; of a question without one that there is none."""
        return [tuple(fold(one["text"]) for one in cell) or ("",) for cell in table[self.label]]

    def strata(self, table: Table) -> list[str]:
        """Return whether the questions have an answer."""
        return ["answerable" if cell else "unanswerable" for cell in table[self.label]]

    def look(self, table: Table) -> list[Note]:
        """Return how many questions have no answer, and what follows."""
        n_none = self.strata(table).count("unanswerable")
        if not n_none:
            message = "every question has an answer in its context: the model will always give one"
            return [Note("info", "unanswerable", message)]
        message = f"{does(n_none, 'question', 'has', 'have')} no answer in the context ({n_none / len(table):.0%})"
        level: Literal["info", "warning"] = "warning" if n_none == len(table) else "info"
        return [Note(level, "unanswerable", message, n_rows=n_none)]

    def learn(self, table: Table) -> Self:
        """Return the task knowing how long answers are, and whether there always is one."""
        lengths = [len(one["text"]) for cell in table[self.label] for one in cell]
        most = max(lengths, default=1) if self.max_answer_chars == "auto" else self.max_answer_chars
        threshold = 0.0 if self.null_threshold is None and not all(table[self.label]) else self.null_threshold
        return self.model_copy(update={"max_answer_chars": most, "null_threshold": threshold})

    def words(self, row: Mapping[str, Any]) -> dict[str, list[Word]]:
        """Return the words of question and context; those of answers have a group."""
        return {self.question: cut(row[self.question]), self.context: context_words(row[self.context], row[self.label])}

    def edited(self, row: Mapping[str, Any], words: Mapping[str, Sequence[Word]]) -> dict[str, Any]:
        """Return a row with other words, its answers where they are now."""
        return {**super().edited(row, words), self.label: moved(row[self.label], words[self.context])}

    # The model's way.

    def cut(self, table: Table, tokenizer: Tokenizer) -> list[int]:
        """Return how many tokens of each question are not read: beyond half of what the model reads."""
        room = tokenizer.room(2) // 2
        return [max(0, len(ids) - room) for ids in tokenizer.ids(table[self.question])]

    def encode(self, table: Table, tokenizer: Tokenizer) -> list[Example]:
        """Encode each row's windows; see `contexts.windows`."""
        import numpy as np

        known = list(dict.fromkeys(table[self.context]))
        read = (Context(ids, np.array(at, np.int32).reshape(-1, 2)) for ids, at in tokenizer.with_offsets(known))
        contexts = dict(zip(known, read, strict=True))
        answers: Sequence[Any] = table[self.label] if self.label in table.columns else [None] * len(table)
        examples: list[Example] = []
        for row, question in enumerate(tokenizer.ids(table[self.question])):
            context = contexts[table[self.context][row]]
            n = len(question) + len(context.ids)
            if self.long_text == "error" and n > tokenizer.room(2):
                raise DataError(
                    f"question and context have {count(n, 'token')}, the model reads {tokenizer.room(2):,}",
                    where=table.where(row, self.context),
                    fix="shorten the context, or use --set task.long_text=windows",
                )
            given = answers[row]
            places = None if given is None else [(one["start"], one["start"] + len(one["text"])) for one in given]
            examples += windows(question, context, places, row=row, tokenizer=tokenizer)
        return examples

    def build(self, source: Source, spec: ModelSpec) -> PreTrainedModel:
        """Return the family's own question answering class: one output for starts, one for ends."""
        from tunesmith.models.classifier import build_classifier

        return build_classifier(source, spec, ("start", "end"), auto_class=self.auto_class, problem_type=None)

    def choices(self, facts: Facts) -> Choices:
        """Return a rate twice the usual (near those of Clark et al. 2020, appendix B, for widths of 256 and 768)."""
        lr = float(f"{LR_AT_384 * 384 / facts.hidden_size:.1g}")
        return {
            "train.lr": (lr, f"suits answers in texts with a model of width {facts.hidden_size}; wider ones take less")
        }

    def stack(self, targets: Sequence[Places]) -> Tensor:
        """Return first and last token of each right answer, shape (batch, answers, 2), filled up with -1."""
        import torch

        found = torch.full((len(targets), max(map(len, targets)), 2), UNUSED, dtype=torch.long)
        for i, places in enumerate(targets):
            found[i, : len(places)] = torch.tensor(places, dtype=torch.long)
        return found

    def decisions(self, out: Any, batch: Batch) -> Decisions:
        """Return one token as the start and one as the end, for each right answer of each window.

        The answers of a window share its weight.
        """
        import torch

        used = batch.targets[..., 0] != UNUSED
        windows = used.nonzero()[:, 0]
        places = batch.targets[used].flatten()  # start and end of each answer
        logits = torch.stack(self._logits(out, batch), dim=1)[windows].flatten(0, 1)
        weights = (batch.weights / used.sum(dim=1))[windows]
        return Decisions(
            "one", logits, places, weights.repeat_interleave(2), batch.numbers[windows].repeat_interleave(2)
        )

    def _logits(self, out: Any, batch: Batch) -> list[Tensor]:
        """Return the logits of starts and of ends, each of shape (batch, tokens); padding can't be either."""
        hidden = batch.inputs["attention_mask"] == 0
        return [each.float().masked_fill(hidden, -1e4) for each in (out.start_logits, out.end_logits)]

    def _log_probabilities(self, out: Any, batch: Batch) -> list[Tensor]:
        """Return the log-probabilities of starts and of ends, each of shape (batch, tokens); padding has none."""
        return [each.log_softmax(dim=-1) for each in self._logits(out, batch)]

    def run(self, model: nn.Module, batch: Batch) -> list[np.ndarray]:
        """Return the log-probabilities of starts and ends, shape (2, tokens) for each example."""
        import torch

        found = torch.stack(self._log_probabilities(model(**batch.inputs), batch), dim=1)
        return list(found.detach().cpu().numpy())

    def merge(self, examples: Sequence[Example], outputs: Sequence[np.ndarray], *, n_rows: int) -> list[Read]:
        """Put the windows of each row together."""
        parts: list[list[tuple[Example, np.ndarray]]] = [[] for _ in range(n_rows)]
        for example, logp in zip(examples, outputs, strict=True):
            parts[example.row].append((example, logp))
        return [read_windows(part) for part in parts]

    # The answer's way.

    def predictions(self, outputs: Sequence[Read], table: Table) -> list[AnswerPrediction]:
        """Return the best answer of each row, or none where that is likelier (see `null_threshold`)."""
        return [self._answer(read, context) for read, context in zip(outputs, table[self.context], strict=True)]

    def _answer(self, read: Read, context: str) -> AnswerPrediction:
        import numpy as np

        spans, total = self._spans(read, self.n_best)
        may_be_none = self.null_threshold is not None or not spans
        total = float(np.logaddexp(total, 0.0)) if may_be_none else total
        best = [answer_of(span, context, total) for span in spans]
        none = {"text": "", "start": None, "end": None, "score": float(np.exp(-total))}
        null_score = -spans[0].score if spans else 0.0
        says_none = not spans or (self.null_threshold is not None and null_score > self.null_threshold)
        listed = sorted([*best, none] if may_be_none else best, key=lambda one: -one["score"])
        return AnswerPrediction(**(none if says_none else best[0]), null_score=null_score, n_best=listed[: self.n_best])

    def _spans(self, read: Read, n: int) -> tuple[list[Span], float]:
        most = self.max_answer_chars
        return read.scores.best(n, most_chars=most if isinstance(most, int) else len(read.scores.offsets))

    def gold(self, table: Table) -> list[Any]:
        """Return the texts of the right answers, none where there is no answer."""
        return [[one["text"] for one in cell] for cell in table[self.label]]

    def scorer(self, predictions: Sequence[AnswerPrediction], gold: Sequence[Any]) -> AnswerScorer:
        """Return the answers beside the right ones; see `metrics.answers`."""
        from tunesmith.metrics.answers import AnswerScorer

        return AnswerScorer([said.text for said in predictions], gold)

    def quick_metrics(self, outputs: Sequence[Read], table: Table) -> dict[str, float]:
        """Return the loss, and F1 and exact match of the answers."""
        import numpy as np

        from tunesmith.metrics.bootstrap import unit_weights

        values = self.scorer(self.predictions(outputs, table), self.gold(table)).at(unit_weights(len(table)))
        metrics = {name: float(values[name][0]) for name in self.metric_names}
        return {"loss": float(np.mean([read.loss for read in outputs])), **metrics}

    def tune(self, outputs: Any, table: Table | None, *, why_not: str = "") -> Tuned:
        """Find from which null score on it is best to give no answer."""
        import numpy as np

        from tunesmith.metrics.answers import best_threshold, overlap

        if table is not None and self.null_threshold is None:
            why_not = "every question has an answer"
        elif table is not None and len(set(self.strata(table))) < 2:
            why_not = "the dev rows have only one kind of question"
        if table is None or why_not:
            return Tuned(self, {"null_threshold": self.null_threshold, "fitted_on": None, "reason": why_not})
        always = self.model_copy(update={"null_threshold": None})
        said, gold = always.predictions(outputs, table), self.gold(table)
        scores = [overlap(one.text, right) for one, right in zip(said, gold, strict=True)]
        found = best_threshold(
            np.array([one.null_score for one in said]), np.array(scores), np.array([*map(bool, gold)])
        )
        facts = {"null_threshold": found.middle, "fitted_on": "dev", "reason": "the best answer F1 on the dev rows"}
        return Tuned(self.model_copy(update={"null_threshold": found.middle}), facts)

    def baselines(self, train: Table, test: Table, *, seed: int) -> dict[str, list[AnswerPrediction]]:
        """Return the sentence nearest to the question and, where some questions have none, no answer."""
        from tunesmith.metrics.baselines_sequences import nearest_sentences

        del seed
        found = {"nearest sentence": nearest_sentences(test[self.question], test[self.context], train[self.context])}
        if self.null_threshold is not None:
            found["no answer"] = [""] * len(test)
        return {name: [AnswerPrediction(a, None, None, 1.0, 0.0, []) for a in texts] for name, texts in found.items()}

    def promise(self) -> tuple[str, Sequence[str]]:
        """Return what the model does."""
        sentence = "It answers a question by a piece of the text that is given with it"
        if self.null_threshold is not None:
            sentence += (
                ", or says that there is no answer: where the logits of start and end of the first token are together "
                f"by more than {self.null_threshold:.2f} above those of the best answer"
            )
        return f"{sentence}.", ()

    @classmethod
    def wrongness(cls, row: Mapping[str, Any]) -> float:
        """Return the answer's probability times what it lacks in F1."""
        from tunesmith.metrics.answers import overlap

        return float(row["score"] * (1 - overlap(row["predicted"], row["gold"])))

    @classmethod
    def told(cls, answer: Any, row: Mapping[str, Any]) -> str:
        """Return an answer, or the right ones; what says that there is none in words."""
        del row
        texts = [answer] if isinstance(answer, str) else list(dict.fromkeys(answer))
        return " / ".join(filter(None, texts)) or "(no answer)"

    def cell_names(self) -> list[str]:
        """Return the columns of `AnswerPrediction.cells`."""
        return ["predicted", "start", "end", "score", "n_best"]

    def distance(self, one: Sequence[AnswerPrediction], other: Sequence[AnswerPrediction]) -> float:
        """Return the largest difference of an answer's probability, of the answers that were given."""
        return max((apart(a, b) for a, b in zip(one, other, strict=True)), default=0.0)


USUAL = {"question": QUESTIONS, "context": CONTEXTS, "label": ANSWERS}
"""Usual names of the columns."""
