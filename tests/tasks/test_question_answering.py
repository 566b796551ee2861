"""Windows, targets and spans of question answering, against brute force where that is possible."""

import itertools
import math
import random
from string import ascii_letters

import numpy as np
import pytest
import torch

from tests.tiny import tiny_bert
from tunesmith.core.errors import DataError
from tunesmith.core.seed import seed_all
from tunesmith.data.augment.edits import EDITS
from tunesmith.data.augment.words import join
from tunesmith.data.findings import inspect
from tunesmith.data.spec import DataSpec
from tunesmith.data.split import divide
from tunesmith.data.table import Table
from tunesmith.engine import checkpoint
from tunesmith.engine.batch import collate
from tunesmith.engine.device import Device
from tunesmith.engine.infer import infer
from tunesmith.engine.loop import Setup, train_steps
from tunesmith.engine.optim import make_optimizer
from tunesmith.engine.plan import Plan
from tunesmith.engine.spec import TrainSpec
from tunesmith.models.answer_spans import ContextScores, Window, tokens_of, window_starts
from tunesmith.models.source import Source
from tunesmith.models.spec import ModelSpec
from tunesmith.models.tokenize import load_tokenizer
from tunesmith.tasks.answer_prediction import AnswerPrediction
from tunesmith.tasks.contexts import NOTHING, Read, context_words, moved
from tunesmith.tasks.question_answering import QuestionAnswering

TASK = QuestionAnswering(question="question", context="context", label="answers", max_answer_chars=40)
WORDS = (
    "the film was so good and the old book was very sad then they saw a new day and it was long so we had a "
    "great warm day"
)


def clean(value):
    return str(value or "")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_bert(tmp_path_factory.mktemp("models") / "tiny", dropout=0.0, max_tokens=24)


@pytest.fixture(scope="module")
def tokenizer(folder):
    return load_tokenizer(Source("tiny", folder), ModelSpec())


def rows(*given, **more):
    """Return a table of (question, context, answers as (text, start))."""
    answers = [[{"text": t, "start": s} for t, s in found] for _, _, found in given]
    return Table.of(
        {"question": [q for q, _, _ in given], "context": [c for _, c, _ in given], "answers": answers, **more}
    )


def usable(table, task=TASK):
    return task.usable(table, clean=clean, spec=DataSpec(), split="train")


def at(context, text):
    return (text, context.index(text))


# Windows.


@pytest.mark.parametrize(("n", "room"), [(1, 10), (10, 10), (11, 10), (57, 10), (500, 37), (9, 1), (0, 5)])
def test_windows_cover_every_token_and_overlap_by_a_third(n, room):
    starts = window_starts(n, room)
    assert sorted({i for start in starts for i in range(start, min(n, start + room))}) == list(range(n))
    assert all(start + room <= n for start in starts) or len(starts) == 1
    assert all(a + room - b >= room // 3 for a, b in itertools.pairwise(starts))
    short = max(1, room // 3)  # a phrase as long as the overlap is whole in some window
    assert all(any(s <= i and i + short <= s + room for s in starts) for i in range(n - short + 1))


def test_each_window_holds_the_whole_question_and_its_target(tokenizer):
    context, question = f"{WORDS} {WORDS}", "saw it"
    answer = at(context, "great warm")
    examples = TASK.encode(rows((question, context, [answer, at(context, "very sad")])), tokenizer)
    asked = tokenizer.ids([question])[0]
    ids = tokenizer.ids([context])[0]
    assert len(examples) > 3
    assert sum(example.weight for example in examples) == pytest.approx(1)
    read = set()
    for example in examples:
        start, first, offsets = example.place
        assert len(example.ids) <= tokenizer.max_tokens
        assert list(example.ids[1 : 1 + len(asked)]) == asked
        assert list(example.ids[first : first + len(offsets)]) == ids[start : start + len(offsets)]
        assert example.extras["token_type_ids"][first] == 1
        read.update(range(start, start + len(offsets)))
        for s, e in example.target:
            if (s, e) != (NOTHING, NOTHING):
                said = context[offsets[s - first][0] : offsets[e - first][1]]
                assert said in ("great warm", "very sad")
    assert read == set(range(len(ids)))
    with_answer = [e.weight for e in examples if e.target[0][0] != NOTHING]
    assert sum(with_answer) == pytest.approx(0.5)


def test_a_window_with_a_part_of_the_answer_teaches_nothing(tokenizer):
    context = " ".join(["so"] * 17 + ["great", "warm", "sad"] + ["so"] * 10)
    examples = TASK.encode(rows(("it", context, [at(context, "great warm sad")])), tokenizer)
    kinds = {(e.target[0][0] == NOTHING, e.weight > 0) for e in examples}
    assert (False, True) in kinds
    for example in examples:
        start, _, offsets = example.place
        held = [w for w in (17, 18, 19) if start <= w < start + len(offsets)]
        assert (example.weight == 0) == (0 < len(held) < 3)
        assert (example.target[0][0] != NOTHING) == (len(held) == 3)


def test_an_answer_longer_than_a_window_is_learnt_in_parts(tokenizer):
    context = " ".join(["so", *["good"] * 40, "so"])
    examples = TASK.encode(rows(("it", context, [at(context, " ".join(["good"] * 40))])), tokenizer)
    assert all(example.target[0][0] != NOTHING and example.weight > 0 for example in examples)
    s, e = examples[0].target[0]
    assert e == len(examples[0].ids) - 2
    assert s == examples[0].place[1] + 1


def test_unanswerable_rows_point_to_the_first_token(tokenizer):
    (one,) = TASK.encode(rows(("it was", "the film was good", [])), tokenizer)
    assert one.target == [(NOTHING, NOTHING)]
    assert one.weight == 1


def test_questions_that_are_too_long_are_cut_and_counted(tokenizer):
    table = rows((WORDS, WORDS, [at(WORDS, "great warm")]), ("it was", WORDS, []))
    room = tokenizer.room(2)
    assert TASK.cut(table, tokenizer) == [len(WORDS.split()) - room // 2, 0]
    examples = [example for example in TASK.encode(table, tokenizer) if example.row == 0]
    assert {example.place[1] for example in examples} == {room // 2 + 2}
    with pytest.raises(DataError, match="question and context have"):
        TASK.model_copy(update={"long_text": "error"}).encode(table, tokenizer)


def test_answers_are_found_by_characters_inside_of_words():
    offsets = np.array([(0, 4), (4, 6), (7, 9), (9, 9), (10, 15)])
    assert tokens_of(offsets, 0, 6) == (0, 1)
    assert tokens_of(offsets, 5, 8) == (1, 2)
    assert tokens_of(offsets, 10, 15) == (4, 4)
    assert tokens_of(offsets, 6, 7) is None


# Spans.


def brute_force(scores, most):
    """Return (score, first character, last character) of every span, best first: each by its best window."""
    found = {}
    for first, starts, ends in scores.windows:
        for i, j in itertools.product(range(len(starts)), repeat=2):
            a, b = scores.offsets[first + i], scores.offsets[first + j]
            if i <= j and a[0] < a[1] and b[0] < b[1] and b[1] - a[0] <= most:
                key = (first + i, first + j)
                found[key] = max(found.get(key, -math.inf), float(starts[i] + ends[j]))
    spans = [(score, int(scores.offsets[i][0]), int(scores.offsets[j][1])) for (i, j), score in found.items()]
    return sorted(spans, reverse=True)


@pytest.mark.parametrize("seed", range(20))
def test_the_best_spans_are_those_of_brute_force(seed):
    rng = np.random.default_rng(seed)
    n, room = int(rng.integers(1, 40)), int(rng.integers(3, 15))
    lengths = rng.integers(0, 6, n)
    ends = np.cumsum(lengths + 1) - 1
    offsets = np.stack([ends - lengths, ends], axis=1)
    windows = []
    for start in window_starts(n, room):
        size = min(room, n - start)
        windows.append(Window(start, *rng.normal(0, 4, (2, size)).astype(np.float32)))
    scores, most = ContextScores(offsets, windows), int(rng.integers(3, 30))
    expected = brute_force(scores, most)
    spans, total = scores.best(7, most_chars=most)
    assert [(s.start, s.end) for s in spans] == [(a, b) for _, a, b in expected[:7]]
    assert [s.score for s in spans] == pytest.approx([score for score, _, _ in expected[:7]], abs=1e-5)
    whole = math.log(sum(math.exp(score) for score, _, _ in expected)) if expected else -math.inf
    assert total == pytest.approx(whole, abs=1e-5)


def scores_of(context, **tokens):
    """Return the scores of a context in one window: 6 for starts and ends named by word, -6 for all others."""
    words = context.split()
    ends = np.cumsum([len(word) + 1 for word in words]) - 1
    offsets = np.stack([ends - [len(word) for word in words], ends], axis=1)
    odds = np.full((2, len(words)), -6.0, dtype=np.float32)
    for side, word in tokens.items():
        odds[int(side == "end"), words.index(word)] = 6.0
    return Read(ContextScores(offsets, [Window(0, *odds)]), 0.0)


def test_an_answer_is_given_with_its_place_and_probability():
    context = "we saw a great day"
    (said,) = TASK.predictions([scores_of(context, start="great", end="day")], rows(("q", context, [])))
    assert (said.text, context[said.start : said.end]) == ("great day", "great day")
    assert said.score > 0.9
    assert said.null_score == pytest.approx(-12)
    assert len(said.n_best) == TASK.n_best
    again = AnswerPrediction.of(said.record())
    assert again == said
    assert TASK.distance([said], [again]) == 0


def test_no_answer_is_given_above_the_threshold_only():
    context = "we saw a day"
    silent = scores_of(context)
    (always,) = TASK.predictions([silent], rows(("q", context, [])))
    assert always.text
    assert "" not in {one["text"] for one in always.n_best}
    task = TASK.model_copy(update={"null_threshold": 0.0})
    (none,) = task.predictions([silent], rows(("q", context, [])))
    assert (none.text, none.start, none.end) == ("", None, None)
    assert none.null_score == pytest.approx(12)
    assert none.score > 0.9
    assert none.n_best[0]["text"] == ""
    (high,) = TASK.model_copy(update={"null_threshold": 12.5}).predictions([silent], rows(("q", context, [])))
    assert high.text
    (sure,) = task.predictions([scores_of(context, start="day", end="day")], rows(("q", context, [])))
    assert task.distance([none], [sure]) > 0.9


def test_a_context_without_tokens_has_no_answer():
    empty = Read(ContextScores(np.zeros((0, 2), np.int32), [Window(0, *np.zeros((2, 0), np.float32))]), 0.0)
    (said,) = TASK.predictions([empty], rows(("q", "\u200b", [])))
    assert (said.text, said.score) == ("", 1.0)


def test_the_threshold_is_tuned_where_dev_rows_have_both_kinds():
    context = "we saw a great day"
    task = TASK.model_copy(update={"null_threshold": 0.0})
    table = rows(*[("q", context, [at(context, "great")])] * 3, *[("q", context, [])] * 3)
    weak = scores_of(context, start="great", end="great")
    weak.scores.windows[0].starts[3] = weak.scores.windows[0].ends[3] = -2  # all say "no answer" at first
    outputs = [weak] * 3 + [scores_of(context)] * 3
    assert {said.text for said in task.predictions(outputs, table)} == {""}
    tuned = task.tune(outputs, table)
    assert [said.text for said in tuned.task.predictions(outputs, table)] == ["great"] * 3 + [""] * 3
    assert 4 < tuned.task.null_threshold < 12
    assert tuned.facts["fitted_on"] == "dev"
    assert TASK.tune(outputs, table).facts["reason"] == "every question has an answer"
    assert task.tune(outputs[:3], table.take(range(3))).facts["reason"] == "the dev rows have only one kind of question"
    assert task.tune(None, None, why_not="switched off").task.null_threshold == 0.0


def test_the_best_of_several_right_answers_counts():
    said = [AnswerPrediction("great day", 0, 9, 1.0, 0.0, []), AnswerPrediction("", None, None, 1.0, 0.0, [])]
    table = rows(("q", "a great day", [("day", 8), ("great day", 2)]), ("q", "a day", []))
    scorer = TASK.scorer(said, TASK.gold(table))
    assert scorer.right.tolist() == [True, True]


# The loss.


def test_the_loss_is_the_mean_over_right_answers_and_the_same_in_merge(folder, tokenizer):
    context = f"{WORDS} {WORDS}"
    table = rows(("it was", context, [at(context, "very sad"), at(context, "sad"), at(context, "great warm")]),
                 ("they saw", WORDS, []))  # fmt: skip
    examples = TASK.encode(table, tokenizer)
    model = TASK.build(Source("tiny", folder), ModelSpec(source=str(folder))).eval()
    batch = collate(examples, TASK, pad_id=tokenizer.pad_id)
    with torch.inference_mode():
        out = model(**batch.inputs)
        loss = float(TASK.loss(out, batch))
    expected = 0.0
    for i, example in enumerate(examples):
        n = len(example.ids)
        start = torch.log_softmax(out.start_logits[i, :n], dim=0)
        end = torch.log_softmax(out.end_logits[i, :n], dim=0)
        each = [-float(start[s] + end[e]) for s, e in example.target]
        expected += example.weight * sum(each) / len(each)
    assert loss == pytest.approx(expected, rel=1e-5)
    merged = TASK.merge(examples, infer(model, examples, task=TASK, pad_id=tokenizer.pad_id), n_rows=2)
    assert sum(read.loss for read in merged) == pytest.approx(loss, rel=1e-5)
    quick = TASK.quick_metrics(merged, table)
    assert quick["loss"] == pytest.approx(loss / 2, rel=1e-5)
    assert {"answer_f1", "exact_match"} <= quick.keys()


def make(folder, tokenizer, **changes):
    fields = {"length": "8 steps", "step_size": "3 rows", "tokens_per_batch": 4096, "lr": 1e-3, "layer_decay": 0.9,
              "head_lr_factor": 1.0, "device": "cpu"}  # fmt: skip
    spec = TrainSpec(**{**fields, **changes})
    context = f"{WORDS} {WORDS}"
    given = [("it", context, [at(context, word)]) for word in ("very sad", "great warm", "old book", "new day")]
    examples = TASK.encode(rows(*given, ("saw", WORDS, []), ("so", "a good day", [("good", 2)])), tokenizer)
    seed_all(0, "head")
    model = TASK.build(Source("tiny", folder), ModelSpec(source=str(folder)))
    device = Device(spec)
    model, optimizer = device.prepare(model, make_optimizer(model, spec, head=TASK.head(model)))
    lengths, weights = (np.array(values) for values in zip(*((len(e.ids), e.weight) for e in examples), strict=True))
    plan = Plan(lengths, weights, spec.length, spec.step_size, spec.tokens_per_batch, 0)
    return Setup(TASK, spec, device, model, optimizer, examples, tokenizer.pad_id), plan


def weights_of(setup):
    return {name: tensor.clone() for name, tensor in checkpoint.weights(setup.model).items()}


def test_eight_steps_are_three_and_five_resumed_bit_for_bit(folder, tokenizer, tmp_path):
    whole, plan = make(folder, tokenizer)
    losses = [report.loss for report in train_steps(whole, plan)]
    first, _ = make(folder, tokenizer)
    for report in itertools.islice(train_steps(first, plan), 3):
        assert report.loss == losses[report.step - 1]
    saved = checkpoint.save(tmp_path, first.model, first.optimizer, step=3, state={})
    resumed, _ = make(folder, tokenizer)
    checkpoint.load(saved, resumed.model, resumed.optimizer)
    assert [report.loss for report in train_steps(resumed, plan, start=3)] == losses[3:]
    one, other = weights_of(whole), weights_of(resumed)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_gradients_do_not_depend_on_how_a_step_is_cut(folder, tokenizer):
    found = []
    for tokens in (24, 4096):
        setup, plan = make(folder, tokenizer, tokens_per_batch=tokens, length="1 steps", step_size="6 rows")
        found.append(next(train_steps(setup, plan)))
    assert found[0].grad_norm == pytest.approx(found[1].grad_norm, rel=1e-4)
    assert found[0].loss == pytest.approx(found[1].loss, rel=1e-5)


# The data.


def test_columns_are_known_by_their_names_or_named():
    table = Table.of({"Query": ["q"], "passage": ["a b"], "answer": ["a"]})
    task, notes = QuestionAnswering().choose_columns(table)
    assert (task.question, task.context, task.label) == ("Query", "passage", "answer")
    assert "passage" in notes[0].message
    named = QuestionAnswering(question="frage", context="absatz", label="antwort")
    task, notes = named.choose_columns(Table.of({"absatz": ["a"], "frage": ["q"], "antwort": ["a"]}))
    assert (task.columns, notes) == ({"question": "frage", "context": "absatz"}, [])
    task, _ = QuestionAnswering().choose_columns(Table.of({"question": ["q"], "context": ["a"]}), need_label=False)
    assert task.label == "auto"
    with pytest.raises(DataError, match="no column with the context") as error:
        QuestionAnswering().choose_columns(Table.of({"question": ["q"], "text": ["a"]}))
    assert "--set task.context=COLUMN" in error.value.problems[0].fix


def test_rows_are_recognised_by_answers_inside_of_contexts():
    inside = Table.of({"question": ["q"] * 3, "passage": ["a b c"] * 3, "answer": ["b", "", "c"]})
    assert "pieces" in QuestionAnswering.recognises(inside, text="auto", label="auto")
    assert QuestionAnswering.recognises(inside, text="passage", label="auto") == ""
    yes_no = Table.of({"question": ["q"] * 3, "passage": ["a b c"] * 3, "answer": ["yes", "no", "yes"]})
    assert QuestionAnswering.recognises(yes_no, text="auto", label="auto") == ""
    assert QuestionAnswering.recognises(Table.of({"question": ["q"], "answer": ["a"]}), text="auto", label="auto") == ""


def test_answers_are_repaired_where_certain_and_otherwise_the_row_is_set_aside():
    context = "We saw a great day and a great night."
    table = Table.of({
        "question": ["right", "moved", "text alone", "nowhere", "none", "", "not said", "said to be impossible"],
        "context": [context] * 8,
        "answers": [
            {"text": ["great day"], "answer_start": [9]},
            {"text": ["great day"], "answer_start": [5]},
            "night",
            {"text": ["long day"], "answer_start": [9]},
            [],
            {"text": ["great day"], "answer_start": [9]},
            None,
            {"text": ["night"], "answer_start": [31]},
        ],
        "is_impossible": [None] * 7 + [True],
    })  # fmt: skip
    found = usable(table)
    assert list(found.table["question"]) == ["right", "moved", "text alone", "none"]
    assert found.table["answers"][1] == [{"text": "great day", "start": 9}]
    assert found.table["answers"][2] == [{"text": "night", "start": context.index("night")}]
    assert found.table["answers"][3] == []
    entries = {(entry.kind, entry.reason, entry.row) for entry in found.ledger}
    assert entries == {
        ("changed", "answer moved", 2),
        ("set aside", "answer not in the context", 4),
        ("set aside", "no question", 6),
        ("set aside", "no answers given", 7),
        ("set aside", "is_impossible contradicts the answers", 8),
    }
    assert list(usable(found.table).table["answers"]) == list(found.table["answers"])
    with pytest.raises(DataError, match="no row has a question"):
        usable(table.take([3, 5]))


def test_what_is_learnt_from_the_rows():
    table = rows(("q", "a good day", [("good day", 2)]), ("q", "a day", []))
    task = QuestionAnswering(question="question", context="context", label="answers").learn(table)
    assert (task.max_answer_chars, task.null_threshold) == (8, 0.0)
    assert task.learn(table.take([0])).null_threshold == 0.0
    assert TASK.learn(table.take([0])).null_threshold is None
    assert TASK.learn(table).max_answer_chars == 40
    assert "50%" in TASK.look(table)[0].message
    assert "always give one" in TASK.look(table.take([0]))[0].message
    assert TASK.look(table.take([1]))[0].level == "warning"


@pytest.mark.parametrize("edit", ["insert", "delete", "swap", "typos"])
def test_answers_that_share_a_word_stay_whole_when_words_are_edited(edit):
    context = "it was played in the 2010-2012 season at home"
    answers = [{"text": text, "start": context.index(text)} for text in ("2010", "2012 season")]
    for seed in range(200):
        words = EDITS[edit](context_words(context, answers), random.Random(seed), 0.5, lambda _: ["xx"])
        now = join(words)
        for one in moved(answers, words):
            assert now[one["start"] :].startswith(one["text"])


def test_questions_about_one_context_stay_in_one_split_and_are_no_copies():
    contexts = [f"{WORDS} number {i}" for i in range(40)]
    given = [(f"{q} {c[-2:]}", c, [("film", 4)]) for c in contexts for q in ("what", "who", "where", "when")]
    found = inspect({"train": rows(*given)}, task=TASK, spec=DataSpec(near_duplicates="off"))
    assert len(found.tables["train"]) == len(given)
    assert not [note for note in found.notes if "duplicate" in note.topic]
    table = found.tables["train"]
    division = divide(table, texts=TASK.key(table), together=TASK.together(table), classes=TASK.strata(table),
                      spec=DataSpec().split, copies=found.copies)  # fmt: skip
    parts = {name: {table["context"][i] for i in part} for name, part in division.parts.items()}
    assert not parts["train"] & parts["test"]
    assert 4 <= len(parts["test"]) <= 12


def test_one_document_with_many_questions_is_divided_all_the_same():
    table = rows(*[(f"what is {i}", WORDS, [("film", 4)]) for i in range(50)])
    division = divide(table, texts=TASK.key(table), together=TASK.together(table), classes=TASK.strata(table),
                      spec=DataSpec().split)  # fmt: skip
    assert len(division.parts["test"]) >= 5
    assert any("texts that were seen in training" in note.message for note in division.notes)


@pytest.mark.parametrize(("n_contexts", "n_questions"), [(5, 40), (8, 12), (20, 15)])
def test_a_few_documents_with_many_questions_stay_whole(n_contexts, n_questions):
    contexts = [f"{word} {word} {word} the film {i}" for i, word in enumerate(ascii_letters[:n_contexts])]
    table = rows(*[(f"what is {i}", c, [("film", c.index("film"))]) for c in contexts for i in range(n_questions)])
    division = divide(table, texts=TASK.key(table), together=TASK.together(table), classes=TASK.strata(table),
                      spec=DataSpec().split)  # fmt: skip
    parts = {name: {table["context"][i] for i in part} for name, part in division.parts.items()}
    assert parts["test"] and not parts["train"] & parts["test"]
    assert not [note for note in division.notes if note.topic.startswith("many")]


def test_the_same_context_in_the_test_data_is_a_near_leak_and_the_same_question_a_leak():
    train = rows(("what", WORDS, [("film", 4)]), ("who", WORDS, [("film", 4)]), ("who", "a good day", [("day", 7)]))
    test = rows(("what", WORDS, [("film", 4)]))
    found = inspect({"train": train, "test": test}, task=TASK, spec=DataSpec())
    assert list(found.tables["train"]["question"]) == ["who", "who"]
    topics = {note.topic: note.n_rows for note in found.notes}
    assert (topics["leak"], topics["near leak"]) == (1, 1)


def test_the_nearest_sentence_is_a_baseline():
    context = "Rivers run to the sea. The film was made in Oslo by two sisters. Nobody saw it."
    test = rows(("Where was the film made?", context, [at(context, "Oslo")]))
    found = TASK.baselines(test, test, seed=0)
    assert found["nearest sentence"][0].text == "The film was made in Oslo by two sisters."
    assert set(found) == {"nearest sentence"}
    task = TASK.model_copy(update={"null_threshold": 0.0})
    assert task.baselines(test, test, seed=0)["no answer"][0].text == ""


def test_what_the_report_says_of_an_answer():
    row = {"predicted": "great day", "gold": ["day", "the day"], "score": 0.5}
    assert TASK.wrongness(row) == pytest.approx(0.5 * (1 - 2 / 3))
    assert TASK.told(["day", "the day", "day"], row) == "day / the day"
    assert TASK.told([], row) == TASK.told("", row) == "(no answer)"
