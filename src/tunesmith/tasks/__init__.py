"""What is learned: one file per task, one line here."""

from tunesmith.core.lazy import LazyTable

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
