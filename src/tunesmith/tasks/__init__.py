"""What is learned: one file per task, one line here."""

from tunesmith.core.lazy import LazyTable

TASKS = LazyTable(
    "task",
    {
        "text-classification": "tunesmith.tasks.text_classification:TextClassification",
        "text-regression": "tunesmith.tasks.text_regression:TextRegression",
        "token-classification": "tunesmith.tasks.token_classification:TokenClassification",
        "translation": "tunesmith.tasks.translation:Translation",
        "summarization": "tunesmith.tasks.summarization:Summarization",
    },
    aliases={
        "sentiment-analysis": "text-classification",
        "topic": "text-classification",
        "spam": "text-classification",
        "nli": "text-classification",
        "paraphrase": "text-classification",
        "regression": "text-regression",
        "similarity": "text-regression",
        "ner": "token-classification",
        "named-entity-recognition": "token-classification",
        "pos": "token-classification",
        "chunking": "token-classification",
        "summarisation": "summarization",
    },
    group="tunesmith.tasks",
)
