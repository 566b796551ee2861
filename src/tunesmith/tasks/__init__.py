"""What is learned: one file per task, one line here."""

from tunesmith.core.lazy import LazyTable
from tunesmith.tasks.facts import Choices

TASKS = LazyTable(
    "task",
    {
        "text-classification": "tunesmith.tasks.text_classification:TextClassification",
        "multi-label-classification": "tunesmith.tasks.multi_label_classification:MultiLabelClassification",
        "text-regression": "tunesmith.tasks.text_regression:TextRegression",
        "question-answering": "tunesmith.tasks.question_answering:QuestionAnswering",
        "token-classification": "tunesmith.tasks.token_classification:TokenClassification",
        "text-generation": "tunesmith.tasks.text_generation:TextGeneration",
        "fill-mask": "tunesmith.tasks.fill_mask:FillMask",
        "translation": "tunesmith.tasks.translation:Translation",
        "summarization": "tunesmith.tasks.summarization:Summarization",
    },
    aliases={
        "sentiment": "text-classification",
        "sentiment-analysis": "text-classification",
        "topic": "text-classification",
        "spam": "text-classification",
        "nli": "text-classification",
        "paraphrase": "text-classification",
        "multi-label": "multi-label-classification",
        "multilabel": "multi-label-classification",
        "regression": "text-regression",
        "similarity": "text-regression",
        "ner": "token-classification",
        "named-entity-recognition": "token-classification",
        "pos": "token-classification",
        "qa": "question-answering",
        "squad": "question-answering",
        "chunking": "token-classification",
        "causal-lm": "text-generation",
        "chat": "text-generation",
        "masked-lm": "fill-mask",
        "summarisation": "summarization",
    },
    group="tunesmith.tasks",
)

_TYPED = ("merge_case", "labels that differ only in case or a full stop are hardly two classes here")
_OPINIONS: Choices = {
    "task.class_weights": (
        "balanced",
        "people mostly praise: else the neutral, or the dissatisfied, are easily missed",
    ),
    "data.labels": _TYPED,
}
SUITED: dict[str, Choices] = {
    "sentiment": _OPINIONS,
    "sentiment-analysis": _OPINIONS,
    "spam": {
        "task.class_weights": ("balanced", "spam is mostly rare: a missed one counts as much as its rarity asks for"),
        "data.labels": _TYPED,
    },
    "topic": {"data.labels": _TYPED},
}
"""What suits what an alias says of the data, beside the task it stands for; settings of the user's go before."""
