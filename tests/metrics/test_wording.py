"""Numbers in sentences."""

import pytest

from tunesmith.core.wording import count, does, rows
from tunesmith.metrics.wording import amount, bare, difference, listed, metric_name, p_value, quoted


def test_shares_are_percent_and_other_metrics_plain():
    assert (amount("macro_f1", 0.91234), amount("mcc", 0.8)) == ("91.2%", "0.800")
    assert (difference("accuracy", 0.021), difference("log_loss", 0.034)) == (
        "2.1 points of accuracy",
        "0.034 of log loss",
    )
    assert metric_name("auroc") == "AUROC"


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
