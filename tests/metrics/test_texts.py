"""Written texts against sacreBLEU and rouge-score themselves."""

import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU, CHRF

from tests.metrics.agreement import ROWS, WITHIN, assert_agrees, perturbed, real_texts
from tests.metrics.resampling import assert_draws_equal, measured
from tunesmith.core.errors import DataError
from tunesmith.metrics.texts import ROUGE, SummaryScorer, TranslationScorer


def written(n_rows, *, seed=0, n_references=1, noise=0.2, lines=False, most=30):
    """Return texts and references: real ones with words lost, doubled, exchanged or misspelt, each its own way."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(real_texts()), n_rows, replace=False)
    sources = [real_texts()[i].split()[:most] for i in chosen]

    def changed(source):
        words = perturbed(source, rng, noise=noise)
        return "".join(word + ("\n" if lines and rng.random() < 0.2 else " ") for word in words).rstrip(" ")

    gold = [[changed(source) for _ in range(rng.integers(1, n_references + 1))] for source in sources]
    return [changed(source) for source in sources], gold


def streams(gold):
    """Return references as sacreBLEU takes them."""
    most = max(map(len, gold))
    return [[row[i] if i < len(row) else None for row in gold] for i in range(most)]


def sacrebleu_values(predicted, gold, tokenizer="13a"):
    bleu = BLEU(tokenize=tokenizer, force=True).corpus_score(predicted, streams(gold)).score
    return {"bleu": bleu / 100, "chrf": CHRF().corpus_score(predicted, streams(gold)).score / 100}


def length_ratio(predicted, gold):
    nearest = [
        min((abs(len(r) - len(text)), len(r)) for r in row)[1] for text, row in zip(predicted, gold, strict=True)
    ]
    return {"length_ratio": sum(map(len, predicted)) / sum(nearest)}


def rouge_values(predicted, gold, stemmer=False):
    scorer = RougeScorer(list(ROUGE), use_stemmer=stemmer)
    rows = [scorer.score_multi(references, text) for references, text in zip(gold, predicted, strict=True)]
    return {name: np.mean([row[name].fmeasure for row in rows]) for name in ROUGE}


@pytest.mark.parametrize(("n_references", "noise"), [(1, 0.1), (3, 0.2), (1, 0.8)])
def test_translations_are_measured_as_by_sacrebleu(n_references, noise):
    parts = written(ROWS, n_references=n_references, noise=noise)
    found = assert_agrees(TranslationScorer(*parts), sacrebleu_values(*parts) | length_ratio(*parts))
    n = "var" if n_references > 1 else "1"
    assert found["signatures"]["bleu"].startswith(f"nrefs:{n}|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    assert found["signatures"]["chrf"].startswith(f"nrefs:{n}|case:mixed|eff:yes|nc:6|nw:0|space:no|version:")


@pytest.mark.parametrize("tokenizer", ["intl", "zh", "char", "none"])
def test_other_ways_to_cut_words(tokenizer):
    parts = written(ROWS, most=12)
    expected = BLEU(tokenize=tokenizer, force=True).corpus_score(parts[0], streams(parts[1])).score / 100
    found = measured(TranslationScorer(*parts, tokenizer=tokenizer), resamples=3)
    assert found["values"]["bleu"]["value"] == pytest.approx(expected, **WITHIN)
    assert f"|tok:{tokenizer}|" in found["signatures"]["bleu"]


WORDS = st.lists(st.sampled_from(["a", "b", "c", "the", "é", "1.", ",", "中文"]), max_size=7).map(" ".join)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(WORDS, st.lists(WORDS, min_size=1, max_size=3)), min_size=1, max_size=4))
def test_any_short_texts_are_measured_as_by_the_references(rows):
    """Empty texts, no shared words, too few words for BLEU, unequal numbers of references."""
    predicted, gold = [p for p, _ in rows], [g for _, g in rows]
    unit = np.ones((len(rows), 1))
    point = TranslationScorer(predicted, gold).at(unit)
    for name, expected in sacrebleu_values(predicted, gold).items():
        assert point[name][0] == pytest.approx(expected, abs=1e-12), name
    point = SummaryScorer(predicted, gold).at(unit)
    for name, expected in rouge_values(predicted, gold).items():
        assert point[name][0] == pytest.approx(expected, abs=1e-12) or np.isnan(point[name][0]), name


@pytest.mark.parametrize(("most", "n_references"), [(30, 2), (6, 1)])
def test_every_resample_is_sacrebleu_on_the_drawn_rows(most, n_references):
    predicted, gold = written(12, most=most, n_references=n_references)
    assert_draws_equal(
        TranslationScorer(predicted, gold),
        lambda rows: sacrebleu_values([predicted[i] for i in rows], [gold[i] for i in rows]),
    )


@pytest.mark.parametrize(
    ("n_references", "lines", "stemmer"), [(1, False, False), (1, True, True), (2, False, True), (3, True, False)]
)
def test_summaries_are_measured_as_by_rouge_score(n_references, lines, stemmer):
    parts = written(ROWS, n_references=n_references, lines=lines, most=14)
    expected = rouge_values(*parts, stemmer=stemmer) | length_ratio(*parts)
    found = assert_agrees(SummaryScorer(*parts, stemmer=stemmer), expected)
    assert (found["rouge"]["stemmer"], found["rouge"]["unread_references"]) == (stemmer, 0)


def test_every_resample_is_rouge_score_on_the_drawn_rows():
    predicted, gold = written(12, lines=True, n_references=2)
    assert_draws_equal(
        SummaryScorer(predicted, gold),
        lambda rows: rouge_values([predicted[i] for i in rows], [gold[i] for i in rows]),
    )


def test_the_length_ratio_is_of_the_nearest_reference():
    predicted, gold = ["abcd", "ab", ""], [["abcdefgh"], ["abcd", "abc"], ["a"]]
    for scorer in (TranslationScorer(predicted, gold), SummaryScorer(predicted, gold)):
        assert measured(scorer)["values"]["length_ratio"]["value"] == pytest.approx(6 / 12)
        assert_draws_equal(
            scorer,
            lambda rows: {"length_ratio": np.sum(np.array([4, 2, 0])[rows]) / np.sum(np.array([8, 3, 1])[rows])},
        )


def test_nothing_written_is_worth_nothing():
    values = measured(TranslationScorer(["", ""], [["a b c d e"], ["f g h i"]]))["values"]
    assert values["bleu"]["value"] == values["chrf"]["value"] == values["length_ratio"]["value"] == 0
    values = measured(SummaryScorer([""], [["a b"]]))["values"]
    assert values["rouge1"] == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_empty_references_have_no_length_ratio():
    values = measured(TranslationScorer(["a"], [[""]]))["values"]
    assert values["length_ratio"]["reason"] == "all references are empty" and values["bleu"]["value"] == 0


def test_texts_too_short_for_bleu_say_so():
    values = measured(TranslationScorer(["a cat", "two cats here"], [["a cat"], ["two cats here"]]))["values"]
    assert values["bleu"]["value"] == 0 and values["bleu"]["note"] == "no text has 4 words, which makes BLEU 0"
    assert values["chrf"]["value"] == 1 and "note" not in values["chrf"]


def test_rouge_does_not_pretend_to_read_other_scripts():
    found = measured(SummaryScorer(["краткий пересказ"], [["краткий пересказ"]]))
    assert found["values"]["rouge1"]["reason"] == "no reference has a word that ROUGE can read (a to z and digits)"
    found = measured(SummaryScorer(["краткий", "short"], [["краткий"], ["short"]]))
    assert (found["values"]["rouge1"]["value"], found["rouge"]["unread_references"]) == (0.5, 1)


@pytest.mark.parametrize("scorer", [TranslationScorer, SummaryScorer])
@pytest.mark.parametrize(
    ("predicted", "gold", "message"),
    [
        ([], [], "no rows"),
        (["a"], [["a"], ["b"]], "1 predictions do not fit 2 rows"),
        (["a", "b"], [["a"], []], "position 2 has no list of references"),
        (["a"], ["a"], "position 1 has no list of references"),
    ],
)
def test_what_cannot_be_measured_is_refused(scorer, predicted, gold, message):
    with pytest.raises(DataError, match=message) as caught:
        scorer(predicted, gold)
    assert caught.value.problems[0].fix


def test_an_unknown_tokenizer_is_refused():
    with pytest.raises(DataError, match='no tokenizer "13b"') as caught:
        TranslationScorer(["a"], [["a"]], tokenizer="13b")
    assert caught.value.problems[0].fix == 'did you mean "13a"?'


@pytest.mark.parametrize(("scorer", "module"), [(TranslationScorer, "sacrebleu"), (SummaryScorer, "rouge_score")])
def test_a_missing_library_is_named_with_what_to_install(scorer, module, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(DataError, match="needs a library") as caught:
        scorer(["a"], [["a"]])
    assert caught.value.problems[0].fix == "pip install 'tunesmith[generation]'"


@pytest.mark.parametrize("scorer", [TranslationScorer, SummaryScorer])
def test_a_thousand_resamples_are_fast(scorer):
    predicted, gold = written(500)
    made = scorer(predicted * 10, gold * 10)
    start = time.process_time()
    measured(made, resamples=1000)
    assert time.process_time() - start < 3
