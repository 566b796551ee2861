"""What is learned: one file per task, one line here."""

from tunesmith.core.lazy import LazyTable

TASKS = LazyTable(
    "task",
    {
        "text-classification": "tunesmith.tasks.text_classification:TextClassification",
        "multi-label-classification": "tunesmith.tasks.multi_label_classification:MultiLabelClassification",
        "text-regression": "tunesmith.tasks.text_regression:TextRegression",
        "token-classification": "tunesmith.tasks.token_classification:TokenClassification",
    },
    aliases={
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
        "chunking": "token-classification",
    },
    group="tunesmith.tasks",
)
