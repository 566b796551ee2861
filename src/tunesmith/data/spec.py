"""The settings of the data's way."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from tunesmith.core.errors import RecipeError, did_you_mean
from tunesmith.core.spec import Spec
from tunesmith.data.clean import STEPS
from tunesmith.data.formats import FORMATS, PLAIN

Share = Annotated[float, Field(ge=0, lt=1)]


def _as_list(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _known_step(name: str) -> str:
    if name not in STEPS:
        raise ValueError("unknown cleaning step", did_you_mean(name, list(STEPS)) or f"one of: {', '.join(STEPS)}")
    return name


def _known_format(name: str) -> str:
    if name in ("auto", PLAIN):
        return name
    try:
        return FORMATS.canonical(name)
    except RecipeError as error:
        raise ValueError(f'unknown format "{name}"', error.problems[0].fix) from None


Files = Annotated[tuple[str, ...], BeforeValidator(_as_list)]
FormatName = Annotated[str, AfterValidator(_known_format)]
Step = Annotated[str, AfterValidator(_known_step)]


class SplitSpec(Spec):
    """How rows are divided where the user did not bring a dev or test file."""

    test: Share | Literal["auto"] = "auto"
    """Share of the rows kept back for the final numbers; 0 for none. Never used when a test file is given."""
    dev: Share | Literal["auto"] = "auto"
    """Share of the rows for early stopping, temperature and thresholds; 0 for none."""
    group: str | None = None
    """Column whose equal values must stay on one side (author, document, customer)."""
    stratify: bool = True
    """Keep the classes' shares equal in every split."""
    seed: int = 0
    """Changes which rows go where. Rows are placed by a hash of their text, so adding rows moves none of the others."""


class DataSpec(Spec):
    """What is read and how it is made ready."""

    path: Files = ()
    """A file, several files, or a folder. "-" is standard input."""
    dev: Files = ()
    """Files used for early stopping instead of a share of `path`."""
    test: Files = ()
    """Files used for the final numbers; never split, never trained on."""
    unlabeled: Files = ()
    """Files of texts without labels, for `objectives.consistency`: the same text columns, or one column or line a text.
    Labels in them are not read."""
    format: FormatName = "auto"
    """What the files are: conll, doccano, spacy, prodigy, label-studio, brat, tokens, word-rows; squad, qa; parallel,
    tsv, tmx, pairs; prompts, chat, text; table is rows and columns as they are. "auto" recognises most of them."""
    encoding: str = "auto"
    """Text encoding; "auto" looks at the bytes."""
    delimiter: str = "auto"
    """Column separator of CSV files; "auto" looks at the first rows."""
    quoting: Literal["auto", "on", "off"] = "auto"
    """Whether double quotes enclose fields; "auto" reads those that enclose nothing as characters, "off" all."""
    header: Literal["auto", "yes", "no"] = "auto"
    """Whether the first row of a CSV file names the columns."""
    sheet: str = "auto"
    """Sheet of an Excel workbook; "auto" is the first that has rows."""
    clean: tuple[Step, ...] = ("fix_unicode", "strip_html", "normalize_space")
    """Cleaning steps in order; see `tunesmith.data.clean`. Saved with the model and applied in prediction."""
    missing: tuple[str, ...] = (
        "",
        "na",
        "n/a",
        "nan",
        "null",
        "none",
        "?",
        "-",
        "--",
        "#n/a",
        "unlabeled",
        "unlabelled",
    )
    """Label values that mean "no label", compared without case and outer white space."""
    labels: Literal["keep", "merge_case"] = "keep"
    """merge_case: labels that differ only in case, spaces or a final full stop become the most frequent spelling."""
    label_map: dict[str, str] = Field(default_factory=dict)
    """Label as written to label as wanted, for example {"Postive": "positive"}."""
    duplicates: Literal["drop", "keep"] = "drop"
    """Exact repetitions of a training row (same cleaned text and label): keep one, or all."""
    conflicts: Literal["keep", "drop"] = "keep"
    """Training rows with the same cleaned text and different labels: keep and warn, or set all of them aside."""
    leaks: Literal["drop", "drop_near", "keep"] = "drop"
    """Training rows whose text also stands in the dev or test data: drop them from training, or keep and warn.
    drop_near drops near copies, too; the others warn of them."""
    near_duplicates: Literal["together", "off"] = "together"
    """Rows that differ in a few words or are cut off: report them and keep them in one split, or do not look."""
    split: SplitSpec = SplitSpec()
    """How rows are divided where you did not bring a dev or test file."""
