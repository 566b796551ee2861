"""Numbers in sentences."""

import pytest

from tunesmith.core.wording import count, does, rows
from tunesmith.metrics import answers, classification, multilabel, perplexity, regression, spans, texts
from tunesmith.metrics.names import METRICS
from tunesmith.metrics.wording import amount, bare, difference, listed, metric_name, p_value, quoted

ALL_VALUES = (
    classification.VALUES, multilabel.VALUES, regression.VALUES, perplexity.VALUES, ("token_accuracy",),
    spans.VALUES, answers.VALUES, answers.BY_KIND,
    texts.TranslationScorer.names, texts.SummaryScorer.names,
)  # fmt: skip


def test_shares_are_percent_and_other_metrics_plain():
    assert (amount("macro_f1", 0.91234), amount("mcc", 0.8)) == ("91.2%", "0.800")
    assert (difference("accuracy", 0.021), difference("log_loss", 0.034)) == (
        "2.1 points of accuracy",
        "0.034 of log loss",
    )
    assert metric_name("auroc") == "AUROC"


def test_bleu_and_its_like_are_said_from_0_to_100_without_a_sign():
    assert (amount("bleu", 0.27345), amount("rougeL", 1.0)) == ("27.3", "100.0")
    assert difference("bleu", 0.0123) == "1.2 points of BLEU"
    assert bare("chrf", -0.00001) == "0.0"


def test_large_numbers_have_fewer_digits():
    assert (amount("perplexity", 18.23456), amount("perplexity", 20134.5678)) == ("18.235", "20,134.6")
    assert (bare("rmse", -1234.56), bare("rmse", -0.00001), bare("rmse", 0.5)) == ("-1,234.6", "0.000", "0.500")


def test_every_metric_of_every_scorer_has_a_name():
    names = {name for values in ALL_VALUES for name in values}
    assert names == set(METRICS)


def test_what_has_no_end_at_1_is_not_drawn():
    drawn = {name for name, metric in METRICS.items() if metric.on_scale}
    assert set(METRICS) - drawn == {"length_ratio", "perplexity", "bits_per_byte", "rmse", "mae", "log_loss"}


def test_nothing_is_minus_zero():
    assert (bare("accuracy", -0.0001), bare("mcc", -0.0001), bare("accuracy", -0.01)) == ("0.0", "0.000", "-1.0")


@pytest.mark.parametrize(
    ("p", "said"), [(0.0004, "p < 0.001"), (0.0123, "p = 0.012"), (0.61, "p = 0.61"), (1.0, "p = 1.00")]
)
def test_p_values(p, said):
    assert p_value(p) == said


def test_rows_have_a_singular_and_a_kind():
    assert (rows(1), rows(1821), rows(1, "test"), rows(20, "dev")) == (
        "1 row",
        "1,821 rows",
        "1 test row",
        "20 dev rows",
    )


def test_one_of_a_thing_is_singular():
    assert (count(1, "class"), count(2, "class"), count(1, "epoch"), count(1200, "NUL byte")) == (
        "1 class",
        "2 classes",
        "1 epoch",
        "1,200 NUL bytes",
    )
    assert (does(1, "class", "wants", "want"), does(3, "class", "wants", "want")) == ("1 class wants", "3 classes want")


def test_labels_are_said_as_the_model_names_them():
    assert (quoted("spam"), quoted(True), quoted(3)) == ('"spam"', '"true"', '"3"')


def test_lists_stay_short():
    assert listed(["a"]) == "a"
    assert listed(["a", "b"]) == "a and b"
    assert listed(list("abcdef")) == "a, b, c and 3 more"
