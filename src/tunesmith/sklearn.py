"""A scikit-learn classifier of texts: pipelines, cross-validation and grid search over fine-tuned models.

from tunesmith.sklearn import TextClassifier
classifier = TextClassifier().fit(texts, labels)
classifier.predict(["Lovely, would buy again."])
"""

from __future__ import annotations

import json
import tempfile
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import assert_all_finite, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

from tunesmith.api import PathLike, train
from tunesmith.data.clean import Cleaner
from tunesmith.data.labels import label_name
from tunesmith.data.spec import DataSpec
from tunesmith.inference.packed import PackedModel

NAMES = {
    "model": "model.source",
    "preset": "preset",
    "length": "train.length",
    "lr": "train.lr",
    "pooling": "model.pooling",
    "class_weight": "task.class_weights",
    "device": "train.device",
    "random_state": "seed",
}
"""Parameters that are settings of a recipe, by their names there."""
OWN = (
    *("data", "task", "model", "train", "evaluate", "data.split"),
    *("data.path", "data.dev", "data.test", "data.missing", "data.labels", "data.label_map", "data.split.group"),
    *("task.kind", "task.text", "task.label", "task.labels"),
)
"""Whole sections, and settings that `fit` decides."""
DEFAULTS = {
    "data.split.test": 0,
    "data.split.dev": 0,
    "data.missing": (),
    "data.duplicates": "keep",
    "evaluate.baselines": False,
}
_training = threading.Lock()
"""Trainings in one process take turns: random generators and the device's state belong to the whole process."""


class TextClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Fine-tunes a small pre-trained model to give each text one label.

    Every parameter left at None is chosen by tunesmith from the data, as in `tunesmith.train`. All rows given to
    `fit` are trained on: nothing is kept back unless `settings` asks for it, for example for early stopping with
    {"data.split.dev": 0.1}, which also calibrates the probabilities.

    Args:
        model: "minilm" (the default, comes with tunesmith), a folder, or a hub id.
        preset: "fast", "balanced" (the default) or "best": how long training is where `length` is None.
        length: how long to train, for example "5 epochs" or "500 steps".
        lr: peak learning rate of the top layer, more than 0 and at most 1.
        pooling: "first", "mean", "max", "attention", "last" or "layers": how token vectors become one text vector.
        class_weight: "balanced" lets rows of rare classes count more, in inverse proportion to their class's share.
        device: "cpu", "cuda" or "mps", to train and to predict on; None is the GPU where there is one.
        settings: any other setting of a recipe by its dotted name, for example {"train.step_size": "8 rows"}.
        runs: folder that keeps the run (report, log, model) of every `fit` as fit-1, fit-2, ..., and beside it the
            rows it was trained on; None keeps nothing on the disk.
        random_state: seed of everything random. The default makes `fit` repeatable; None, or a NumPy generator
            (RandomState), draws a new seed for each `fit`.

    Attributes:
        classes_: the distinct labels, sorted, of the type they came in, shape (classes,).
        n_features_in_: 1, the column with the text.
        run_folder_: where the run is kept; None without `runs`.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        preset: Literal["fast", "balanced", "best"] | None = None,
        length: str | None = None,
        lr: float | None = None,
        pooling: Literal["first", "mean", "max", "attention", "last", "layers"] | None = None,
        class_weight: Literal["balanced"] | None = None,
        device: Literal["cpu", "cuda", "mps"] | None = None,
        settings: Mapping[str, Any] | None = None,
        runs: PathLike | None = None,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.model = model
        self.preset = preset
        self.length = length
        self.lr = lr
        self.pooling = pooling
        self.class_weight = class_weight
        self.device = device
        self.settings = settings
        self.runs = runs
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Fine-tune on texts and their labels; an earlier fit is forgotten.

        Args:
            X: texts, shape (rows,) or (rows, 1): a list, an array, a Series, a DataFrame of one column.
            y: labels, shape (rows,): str, int, bool or whole floats, at least two different ones.

        Returns:
            The fitted classifier itself.

        Raises:
            ValueError: a text is missing or no text, X and y do not fit together, there is only one class, or a
                setting is given twice or decided by `fit`. Texts that are empty after cleaning teach nothing: they
                are left out with a warning, and it is an error if a class has no others.
            TunesmithError: a setting, the model or the labels cannot be used.
            KeyboardInterrupt: training was interrupted.
        """
        texts = _texts(X)
        classes, codes = _labels(y, n_rows=len(texts))
        settings = self._settings()
        written = _written(classes)
        kept = _not_empty(texts, codes, classes=classes, steps=settings.get("data.clean", DataSpec().clean))
        rows = [{"text": texts[i], "label": written[codes[i]]} for i in kept]
        with _folder(self.runs) as folder:
            packed = PackedModel.of(_train(rows, folder, settings))
        self.classes_ = classes
        self.n_features_in_ = 1
        self.run_folder_ = None if self.runs is None else folder
        self._packed, self._written = packed, written
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each text, shape (rows,); empty texts get one, too.

        Raises:
            NotFittedError: call `fit` first.
            ValueError: a text is missing or no text.
        """
        best = self.predict_proba(X).argmax(axis=1)
        found: np.ndarray = self.classes_[best]
        return found

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probabilities of `classes_` in their order, 0 to 1, shape (rows, classes).

        Raises:
            NotFittedError: call `fit` first.
            ValueError: as in `predict`.
        """
        check_is_fitted(self)
        texts = _texts(X)
        if not texts:
            return np.empty((0, len(self.classes_)))
        predictor = self._packed.predictor(self.device or "auto")
        names = [label_name(label) for label in self._written]
        answers: list[Any] = list(predictor.predict(texts))
        return np.array([[said.probabilities[name] for name in names] for said in answers])

    def save_model(self, folder: PathLike) -> Path:
        """Write the model into `folder`, which must be new or empty, and return it.

        It is a plain Hugging Face folder: `transformers.pipeline("text-classification", folder)` opens it.

        Raises:
            NotFittedError: call `fit` first.
            FileExistsError: there is something in the folder.
        """
        check_is_fitted(self)
        if Path(folder).exists() and any(Path(folder).iterdir()):
            raise FileExistsError(f"the folder is not empty: {folder}")
        return self._packed.write(Path(folder))

    def _settings(self) -> dict[str, Any]:
        """Return all settings by their dotted names."""
        given = dict(self.settings or {})
        if self.class_weight not in (None, "balanced"):
            raise ValueError(f'class_weight is None or "balanced", not {self.class_weight!r}')
        named = {recipe: getattr(self, name) for name, recipe in NAMES.items() if name != "random_state"}
        named["seed"] = _seed(self.random_state)
        for name, recipe in NAMES.items():
            if recipe in given and named[recipe] is not None:
                raise ValueError(f'settings["{recipe}"] is the parameter {name}: give it there, and only once')
        refused = [key for key in given if key in OWN]
        if refused:
            raise ValueError(f'settings["{refused[0]}"] cannot be set here: fit decides it, or it is a whole section')
        return {**DEFAULTS, **{key: value for key, value in named.items() if value is not None}, **given}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        return tags


def _texts(X: Any) -> list[str]:
    """Return the texts of anything that holds one column of them."""
    if isinstance(X, str | bytes):
        raise ValueError("X is one text; give a list of texts")
    if issparse(X):
        raise ValueError("X is a sparse matrix; give texts")
    shape: tuple[int, ...] = getattr(X, "shape", (0,))
    if len(shape) > 2 or (len(shape) == 2 and shape[1] != 1):
        raise ValueError(f"X has the shape {tuple(shape)}; give texts of shape (rows,) or (rows, 1)")
    if len(shape) == 2:
        X = np.asarray(X, dtype=object)[:, 0]
    found = X.tolist() if hasattr(X, "tolist") else list(X)
    if not isinstance(found, list):
        raise ValueError("X is one value; give a list of texts")
    for i, text in enumerate(found):
        if not isinstance(text, str):
            shown = f"{repr(text)[:40]} ({type(text).__name__})"
            raise ValueError(f'row {i} of X is {shown}, not a text; for a missing one give ""')
    return found


def _labels(y: Any, *, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct labels, and each row's index among them."""
    if y is None:
        raise ValueError("TextClassifier requires y to be passed, but the target y is None")
    values = column_or_1d(y, warn=True)
    check_consistent_length(range(n_rows), values)
    if not n_rows:
        raise ValueError("there are 0 rows to learn from")
    assert_all_finite(values, input_name="y")
    for i, label in enumerate(values.tolist()):
        if not isinstance(label, str | int | float):
            raise ValueError(f"row {i} of y is {repr(label)[:40]} ({type(label).__name__}), not a label")
    check_classification_targets(values)
    classes, codes = np.unique(values, return_inverse=True)
    if len(classes) == 1:
        raise ValueError(f"y has one class, {classes.tolist()[0]!r}: there is nothing to tell apart")
    return classes, codes


def _written(classes: np.ndarray) -> list[Any]:
    """Return what stands for each class in the training data: itself, or its index where it could be misread."""
    labels: list[Any] = classes.tolist()
    unclear = any(isinstance(label, str) and (not label.strip() or set(label) & set(",;|/")) for label in labels)
    return list(range(len(labels))) if unclear else labels


def _not_empty(texts: Sequence[str], codes: np.ndarray, *, classes: np.ndarray, steps: Sequence[str]) -> list[int]:
    """Return the rows whose text says something; warn about the others."""
    clean = Cleaner(steps)
    kept = [i for i, text in enumerate(texts) if clean(text)]
    lost = set(range(len(classes))) - set(codes[kept].tolist())
    if lost:
        raise ValueError(f"every text of the class {classes.tolist()[min(lost)]!r} is empty after cleaning")
    if len(kept) < len(texts):
        empty = sorted(set(range(len(texts))) - set(kept))
        shown = ", ".join(map(str, empty[:5])) + (", ..." if len(empty) > 5 else "")
        message = f"empty after cleaning and not trained on: {len(empty):,} of {len(texts):,} texts, rows {shown}"
        warnings.warn(message, UserWarning, stacklevel=3)
    return kept


def _seed(random_state: Any) -> int:
    if isinstance(random_state, int | np.integer):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))


@contextmanager
def _folder(runs: PathLike | None) -> Iterator[Path]:
    """Yield an empty folder for the run: the next one in `runs`, or one that is removed afterwards."""
    if runs is None:
        with tempfile.TemporaryDirectory(prefix="tunesmith-", ignore_cleanup_errors=True) as temporary:
            yield Path(temporary) / "fit-1"
        return
    Path(runs).mkdir(parents=True, exist_ok=True)
    for number in count(1):
        folder = Path(runs) / f"fit-{number}"
        with suppress(FileExistsError):
            folder.mkdir()
            break
    yield folder


def _train(rows: Sequence[Mapping[str, Any]], folder: Path, settings: Mapping[str, Any]) -> Path:
    """Train in `folder` on rows with a text and a label; return the model folder."""
    data = folder.with_suffix(".jsonl")
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with _training:
        return train(data, text="text", label="label", out=folder, settings=settings).run.model_folder
