"""What is learned: one file per task, one line here."""

from tunesmith.core.lazy import LazyTable

TASKS = LazyTable(
    "task",
    {
        "text-classification": "tunesmith.tasks.text_classification:TextClassification",
        "token-classification": "tunesmith.tasks.token_classification:TokenClassification",
    },
    aliases={
        "sentiment-analysis": "text-classification",
        "topic": "text-classification",
        "spam": "text-classification",
        "ner": "token-classification",
        "named-entity-recognition": "token-classification",
        "pos": "token-classification",
        "chunking": "token-classification",
    },
    group="tunesmith.tasks",
)
