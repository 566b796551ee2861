import pickle
import random
import signal
import subprocess
import sys
import tempfile
from copy import deepcopy

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from tests.tiny import sentences
from tunesmith.core.errors import RecipeError
from tunesmith.inference.predictor import Predictor
from tunesmith.run.folder import Run
from tunesmith.sklearn import TextClassifier
from tunesmith.workflow import session

ROWS = sentences(60)
X = [text for text, _ in ROWS]
Y = [label for _, label in ROWS]
SETTINGS = {"train.layer_decay": 1.0}


@pytest.fixture
def quick(tiny):
    """Trains in a moment, learns little."""
    return TextClassifier(str(tiny), length="2 steps", settings=SETTINGS)


@pytest.fixture
def able(tiny):
    """Learns the tiny sentences in about a second."""
    return TextClassifier(str(tiny), length="10 epochs", lr=5e-3, settings=SETTINGS)


def test_import_is_light():
    code = "import sys, tunesmith.sklearn as t; t.TextClassifier(lr=1); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_learns_and_says_nothing(able, capfd):
    assert able.fit(X, Y) is able
    assert able.score(X, Y) > 0.9
    assert able.classes_.tolist() == ["neg", "pos"]
    assert able.n_features_in_ == 1
    assert able.run_folder_ is None
    found = able.predict_proba(X)
    assert found.shape == (60, 2)
    assert np.allclose(found.sum(axis=1), 1)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "values",
    [
        ("b", "A", "a"),
        ("none", "?", "n/a"),
        ("joy, anger", "joy", "anger"),
        (" ", "", "x"),
        (2, -1, 10),
        (True, False),
        (1.0, -1.0, 10.0),
        np.array([7, 3], dtype=np.uint8),
        np.array(["x", "y"], dtype=object),
    ],
    ids=str,
)
def test_labels_come_back_in_their_order_and_type(able, values):
    y = np.asarray(values)[[Y.index(label) if i % 3 else len(values) - 1 for i, label in enumerate(Y)]]
    texts = [f"{t} {'new old new old' if i % 3 == 0 else ''}" for i, t in enumerate(X)]
    able.fit(texts, y)
    assert able.classes_.tolist() == np.unique(y).tolist()
    assert able.classes_.dtype == able.predict(texts).dtype == y.dtype
    assert able.score(texts, y) > 0.8  # so the columns stand in the order of classes_


def test_any_column_of_texts(quick):
    expected = quick.fit(X, Y).predict_proba(X)
    frame = pd.DataFrame({"text": X}, index=range(100, 160))
    for same in (tuple(X), np.array(X), np.array(X, dtype=object)[:, None], frame, frame["text"], iter(X)):
        assert np.array_equal(clone(quick).fit(same, pd.Series(Y)).predict_proba(X), expected)
    for same in (np.array(X), frame, frame["text"]):
        assert np.array_equal(quick.predict_proba(same), expected)
    assert quick.predict([]).shape == (0,)
    assert quick.predict_proba([]).shape == (0, 2)


def test_every_row_is_trained_on_repeated_and_contradicting_ones_too(quick, tmp_path):
    texts, labels = [*X, "good", "good", "good"], [*Y, "pos", "pos", "neg"]
    quick.set_params(runs=tmp_path).fit(texts, labels)
    assert Run.open(quick.run_folder_).manifest["rows"] == {"train": 63, "set_aside": 0, "read": 63}


def test_empty_texts_are_predicted_and_left_out_of_training(quick, tmp_path):
    expected = quick.fit(X, Y).predict_proba(["good"])
    with pytest.warns(UserWarning, match="empty .*: 2 of 62 texts, rows 0, 61") as caught:
        quick.fit(["<br/> ", *X, ""], ["pos", *Y, "pos"])
    assert caught[0].filename == __file__
    assert np.array_equal(quick.predict_proba(["good"]), expected)
    assert np.isfinite(quick.predict_proba(["", " ", "<br>", "good"])).all()
    with pytest.raises(ValueError, match="every text of the class 'zzz' is empty"):
        quick.fit([*X, " "], [*Y, "zzz"])


@pytest.mark.parametrize(
    ("texts", "labels", "said"),
    [
        ("good", "pos", "X is one text"),
        (np.array("good"), ["pos"], "X is one value"),
        ([*X[:-1], None], Y, r"row 59 of X is None \(NoneType\), not a text"),
        (pd.Series([float("nan"), *X[1:]]), Y, "row 0 of X is nan"),
        ([b"good", *X[1:]], Y, "row 0 of X is b'good'"),
        (np.zeros((60, 3)), Y, r"shape \(60, 3\)"),
        (np.zeros(60), Y, "row 0 of X is 0.0"),
        (csr_array(np.ones((60, 1))), Y, "sparse"),
        (X, Y[:-1], "inconsistent numbers of samples"),
        (X, None, "target y is None"),
        (X, ["pos"] * 60, "y has one class, 'pos'"),
        (X, [None, *Y[1:]], "row 0 of y is None"),
        (X, np.array([np.nan, *[1.0, 2.0] * 29, 1.0]), "y contains NaN"),
        (X, np.linspace(0, 1, 60), "continuous"),
        (X, np.eye(60, 2), "1d array"),
        ([], [], "0 rows"),
    ],
)
def test_what_fit_refuses(texts, labels, said):
    with pytest.raises(ValueError, match=said):
        TextClassifier().fit(texts, labels)


def test_not_fitted():
    for call in (lambda c: c.predict(X), lambda c: c.predict_proba(X), lambda c: c.save_model("x")):
        with pytest.raises(NotFittedError):
            call(TextClassifier())


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"lr": 1e-3, "settings": {"train.lr": 1e-4}}, "is the parameter lr"),
        ({"settings": {"seed": 1}}, "is the parameter random_state"),
        ({"settings": {"data.path": "rows.csv"}}, "cannot be set here"),
        ({"settings": {"data": {"missing": []}}}, "whole section"),
        ({"class_weight": {"pos": 2}}, "class_weight is None or"),
        ({"random_state": "x"}, "cannot be used to seed"),
    ],
)
def test_settings_that_contradict(more, said):
    with pytest.raises(ValueError, match=said):
        TextClassifier(**more).fit(X, Y)


def test_a_wrong_setting_is_named(quick):
    with pytest.raises(RecipeError, match=r"train\.length"):
        quick.set_params(length=3).fit(X, Y)


def test_parameters_reach_the_recipe(quick, tmp_path):
    wanted = {"preset": "fast", "lr": 1e-3, "pooling": "first", "class_weight": "balanced", "device": "cpu"}
    quick.set_params(**wanted, random_state=np.random.RandomState(5), runs=tmp_path, settings={"train.beta1": 0.8})
    used = Run.open(quick.fit(X, Y).run_folder_).origins
    names = ["preset", "train.lr", "model.pooling", "task.class_weights", "train.device", "train.length", "train.beta1"]
    assert [used[name]["value"] for name in names] == [*wanted.values(), "2 steps", 0.8]
    assert used["seed"]["value"] == np.random.RandomState(5).randint(2**31 - 1)


def test_seeds(quick):
    first = quick.fit(X, Y).predict_proba(X)
    assert np.array_equal(quick.fit(X, Y).predict_proba(X), first)
    for other in (1, np.int64(2), None):
        assert not np.array_equal(quick.set_params(random_state=other).fit(X, Y).predict_proba(X), first)


def test_global_generators_are_left_alone(quick):
    import torch

    def draws():
        return random.random(), np.random.random(), float(torch.rand(()))

    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    expected = draws()
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])
    quick.fit(X, Y)
    assert draws() == expected


def test_pickles_as_bytes_without_torch(able, tmp_path):
    expected = able.fit(X, Y).predict_proba(X)
    content = pickle.dumps(able)
    assert b"torch" not in content.replace(able._packed.files["README.md"], b"")
    joblib.dump(able, tmp_path / "model.joblib")
    for copy in (pickle.loads(content), deepcopy(able), joblib.load(tmp_path / "model.joblib")):
        assert np.array_equal(copy.predict_proba(X), expected)
        assert copy.get_params() == able.get_params()
    assert b"torch" not in pickle.dumps(able).replace(able._packed.files["README.md"], b"")


def test_clone_and_display(quick):
    quick.fit(X, Y)
    fresh = clone(quick)
    assert fresh.get_params() == quick.get_params()
    assert not hasattr(fresh, "classes_")
    assert repr(TextClassifier(lr=1e-3)) == "TextClassifier(lr=0.001)"
    assert "TextClassifier" in quick._repr_html_()


def test_nothing_is_left_on_the_disk(quick, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(quick.fit(X, Y))).predict(X)
    assert list(tmp_path.iterdir()) == []


def test_runs_are_kept_when_asked_and_models_written(able, tmp_path):
    able.set_params(runs=tmp_path / "runs")
    able.fit(X, Y)
    able.fit(X, Y)
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == ["fit-1", "fit-1.jsonl", "fit-2", "fit-2.jsonl"]
    assert able.run_folder_ == tmp_path / "runs" / "fit-2"
    assert Run.open(able.run_folder_).report_path.is_file()
    folder = able.save_model(tmp_path / "model")
    predictions = Predictor.load(folder).predict(X)
    assert [p.label for p in predictions] == able.predict(X).tolist()
    with pytest.raises(FileExistsError):
        able.save_model(folder)


def test_dev_rows_where_asked_for(able, tmp_path):
    able.set_params(settings={**SETTINGS, "data.split.dev": 0.25, "evaluate.resamples": 20}, runs=tmp_path).fit(X, Y)
    rows = Run.open(able.run_folder_).manifest["rows"]
    assert rows["dev"] > 10
    assert rows["train"] + rows["dev"] == 60


def test_ctrl_c_is_not_swallowed(quick, monkeypatch):
    def interrupted(*_):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(session.Session, "log_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        quick.set_params(length="9 steps").fit(X, Y)
    assert not hasattr(quick, "classes_")


def test_in_a_pipeline_after_a_column_transformer(able):
    frame = pd.DataFrame({"id": range(60), "text": [t.upper() for t in X]})
    lower = FunctionTransformer(lambda column: column.map(str.lower))
    columns = ColumnTransformer([("text", lower, ["text"])])
    pipeline = Pipeline([("columns", columns), ("model", able)]).fit(frame, Y)
    assert pipeline.score(frame, Y) > 0.9
    as_series = Pipeline([("lower", lower), ("model", clone(able))]).fit(frame["text"], Y)
    assert np.array_equal(pipeline.predict_proba(frame), as_series.predict_proba(frame["text"]))


def test_cross_validation_in_turn_in_threads_and_in_processes(able):
    able.set_params(length="8 steps")
    scores = cross_val_score(able, X, Y, cv=2, scoring="neg_log_loss")
    with joblib.parallel_backend("threading", n_jobs=2):
        assert np.array_equal(cross_val_score(able, X, Y, cv=2, scoring="neg_log_loss"), scores)
    found = cross_validate(able, X, Y, cv=2, scoring="neg_log_loss", n_jobs=2, return_estimator=True)
    assert np.allclose(found["test_score"], scores, atol=1e-3)
    assert found["estimator"][1].predict(X).shape == (60,)


def test_grid_search(able):
    search = GridSearchCV(able, {"lr": [1e-6, 5e-3]}, cv=2).fit(X, Y)
    assert search.best_params_ == {"lr": 5e-3}
    assert search.predict(["good great lovely", "bad awful dull"]).tolist() == ["pos", "neg"]


@pytest.mark.learning
def test_the_embedded_model_learns_from_a_few_dozen_rows():
    from importlib.resources import files

    rows = pd.read_csv(files("tunesmith.samples") / "support.csv").dropna()
    rows = rows[rows.intent.isin(["damaged_item", "billing_question", "product_question"])]
    train, test = rows[:60], rows[60:100]
    model = TextClassifier(length="4 epochs").fit(train["message"], train["intent"])
    assert model.score(test["message"], test["intent"]) > 0.6
