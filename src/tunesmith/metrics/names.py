"""The metrics by name: what they are called, what they mean, which way is better. One line a metric.

The order is the one in which they are shown.
"""

from __future__ import annotations

from typing import NamedTuple


class Metric(NamedTuple):
    """A metric.

    Attributes:
        title: in a table.
        said: in a sentence.
        meaning: in a few words.
        is_share: from 0 to 1, shown in percent; differences are points.
        lower_is_better: an error or a loss.
        sign: what follows a share; "" where people write 27.3 and mean 0.273, as with BLEU.
        is_open: it may be above 1.
    """

    title: str
    said: str
    meaning: str
    is_share: bool = True
    lower_is_better: bool = False
    sign: str = "%"
    is_open: bool = False

    @property
    def on_scale(self) -> bool:
        """Whether it lies between 0 and 1 (or, rarely, -1 and 1), so that it can be drawn."""
        return self.is_share or not (self.lower_is_better or self.is_open)


METRICS = {
    # Entities.
    "entity_f1": Metric("Entity F1", "entity F1", "F1 over all entities; right means the same words and type"),
    "entity_precision": Metric("Entity precision", "entity precision", "share of the entities found that are right"),
    "entity_recall": Metric("Entity recall", "entity recall", "share of the entities that are found"),
    # Questions.
    "exact_match": Metric("Exact match", "exact match", "share of answers that are a right one to the word"),
    "answer_f1": Metric("Answer F1", "answer F1", "how much of the words of answer and right answer is shared"),
    "has_answer_exact": Metric(
        "Exact match, answerable", "exact match on answerable questions", "of questions whose answer is in the text"
    ),
    "has_answer_f1": Metric(
        "Answer F1, answerable", "answer F1 on answerable questions", "of questions whose answer is in the text"
    ),
    "no_answer_accuracy": Metric(
        "Unanswerable found", "accuracy on unanswerable questions", "share of unanswerable questions left unanswered"
    ),
    # Texts.
    "bleu": Metric("BLEU", "BLEU", "word sequences shared with the references, of 100", sign=""),
    "chrf": Metric("chrF", "chrF", "character sequences shared with the references, of 100", sign=""),
    "rouge1": Metric("ROUGE-1", "ROUGE-1", "words shared with the reference, of 100", sign=""),
    "rouge2": Metric("ROUGE-2", "ROUGE-2", "word pairs shared with the reference, of 100", sign=""),
    "rougeL": Metric("ROUGE-L", "ROUGE-L", "longest common sequence of words, of 100", sign=""),
    "rougeLsum": Metric("ROUGE-Lsum", "ROUGE-Lsum", "the same line by line, of 100", sign=""),
    "length_ratio": Metric("Length ratio", "length ratio", "length beside the reference's", False, is_open=True),
    "perplexity": Metric(
        "Perplexity", "perplexity", "how many tokens seem equally likely; lower is better", False, True
    ),
    "bits_per_byte": Metric(
        "Bits per byte", "bits per byte", "space the text would take; compares across tokenizers; lower is better",
        False, True,
    ),
    "token_accuracy": Metric("Token accuracy", "token accuracy", "share of tokens that were thought most likely"),
    # Numbers.
    "pearson": Metric("Pearson correlation", "Pearson correlation", "1 is a straight line upwards, 0 is none", False),
    "spearman": Metric("Spearman correlation", "Spearman correlation", "1 is the right order, 0 is chance", False),
    "r2": Metric("R²", "R²", "share of the variation that is explained; 0 is answering the mean", False),
    "rmse": Metric("RMSE", "RMSE", "typical error, large ones counting more; lower is better", False, True),
    "mae": Metric("Mean absolute error", "mean absolute error", "how far off on average; lower is better", False, True),
    # Classes and labels.
    "accuracy": Metric("Accuracy", "accuracy", "share of rows with the right label"),
    "macro_f1": Metric("Macro F1", "macro F1", "F1 of each class, every class counting alike"),
    "micro_f1": Metric("Micro F1", "micro F1", "F1 over all decisions; with one label a row it is accuracy"),
    "weighted_f1": Metric("Weighted F1", "weighted F1", "F1 of each class, weighted by its rows"),
    "samples_f1": Metric("F1 of a row", "mean F1 of a row", "F1 of each row's labels, every row counting alike"),
    "subset_accuracy": Metric("Subset accuracy", "subset accuracy", "share of rows with exactly the right labels"),
    "hamming_loss": Metric(
        "Hamming loss", "Hamming loss", "share of single yes-or-no decisions that are wrong; lower is better",
        lower_is_better=True,
    ),
    "mean_average_precision": Metric(
        "Mean average precision", "mean average precision", "how well each label's rows are ranked first, in any case "
        "of the thresholds"
    ),
    "micro_average_precision": Metric(
        "Micro average precision", "micro average precision", "the same over all decisions together"
    ),
    "label_ranking": Metric(
        "Label ranking precision", "label ranking precision", "how well each row's labels are ranked first"
    ),
    "mcc": Metric("Matthews correlation", "MCC", "1 is perfect, 0 is chance, also with uneven classes", False),
    "auroc": Metric("AUROC", "AUROC", "how well the right class is ranked first; 0.5 is chance", False),
    "log_loss": Metric("Log loss", "log loss", "how surprised the model is; lower is better", False, True),
    "ece": Metric(
        "Calibration error (ECE)", "calibration error", "how far probabilities are from reality; lower is better",
        lower_is_better=True,
    ),
    # Words.
    "word_accuracy": Metric("Word accuracy", "word accuracy", "share of words with the right tag, entities or not"),
    "strict_f1": Metric("Entity F1, strict", "strict entity F1", "without entities that do not begin with B-"),
    "strict_precision": Metric(
        "Entity precision, strict", "strict entity precision", "share of the entities found with a B- that are right"
    ),
    "strict_recall": Metric(
        "Entity recall, strict", "strict entity recall", "share of the entities with a B- that are found with one"
    ),
}  # fmt: skip


def titled(name: str) -> str:
    """Return what a metric is called in a table."""
    return METRICS[name].title if name in METRICS else name


def lower_is_better(name: str) -> bool:
    """Whether a smaller value is better."""
    return name in METRICS and METRICS[name].lower_is_better


def is_open(name: str) -> bool:
    """Whether the value is an error without an upper end, such as perplexity: only its ratios say much."""
    return lower_is_better(name) and not METRICS[name].is_share


def is_share(name: str) -> bool:
    """Whether the value is shown in percent; so are the numbers of a class, such as its "f1"."""
    return METRICS[name].is_share if name in METRICS else name in {"f1", "precision", "recall"}


def shown(name: str, value: float | None) -> str:
    """Return a value as people read it: shares in percent, the others with three digits, "-" for none."""
    if value is None:
        return "-"
    return f"{100 * value:.1f}{_sign(name)}" if is_share(name) else number(value)


def number(value: float) -> str:
    """Return a number with three digits after the point, one from a hundred on: "0.823", "12,345.7"."""
    return f"{value:,.3f}" if abs(value) < 100 else f"{value:,.1f}"


def _sign(name: str) -> str:
    return METRICS[name].sign if name in METRICS else "%"
