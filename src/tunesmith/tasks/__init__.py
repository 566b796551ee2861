"""What is learned: one file per task, one line here."""

from tunesmith.core.lazy import LazyTable

TASKS = LazyTable(
    "task",
    {"text-classification": "tunesmith.tasks.text_classification:TextClassification"},
    aliases={
        "sentiment-analysis": "text-classification",
        "topic": "text-classification",
        "spam": "text-classification",
        "nli": "text-classification",
        "paraphrase": "text-classification",
    },
    group="tunesmith.tasks",
)
