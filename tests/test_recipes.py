"""Every recipe in recipes/ names only settings that exist and differ from the defaults, says why, and trains."""

import csv
import random
from pathlib import Path

import pytest

import tunesmith as ts
from tests.tiny import sentences
from tunesmith.recipe.compose import compose
from tunesmith.recipe.origins import flat
from tunesmith.recipe.recipe import Recipe
from tunesmith.workflow import finish

FOLDER = Path(__file__).resolve().parents[1] / "recipes"
RECIPES = sorted(FOLDER.glob("*.yaml"))
THE_USERS = {"data.path", "task.text", "task.label"}
"""What everybody replaces: it may be what the automatic choice would find, and needs no reason."""


@pytest.fixture(params=RECIPES, ids=[path.stem for path in RECIPES])
def recipe(request) -> Path:
    return request.param


def test_there_are_recipes_and_the_list_names_them_all():
    listed = (FOLDER / "README.md").read_text()
    assert RECIPES
    assert [path.name for path in RECIPES if f"({path.name})" not in listed] == []


def test_it_names_only_what_differs_from_the_defaults(recipe):
    made, origins = compose(file=recipe, overrides=[], arguments={})
    defaults = flat(Recipe())
    written = {key: value for key, value in flat(made).items() if origins.entries[key].origin == "file"}
    assert [key for key, value in written.items() if value == defaults[key] and key not in THE_USERS] == []
    assert set(written) - THE_USERS


def test_every_setting_has_its_reason_above_it(recipe):
    _, origins = compose(file=recipe, overrides=[], arguments={})
    names = {key.rpartition(".")[2] for key, o in origins.entries.items() if o.origin == "file"}
    names -= {key.rpartition(".")[2] for key in THE_USERS}
    lines = recipe.read_text().splitlines()
    found = {line.split(":")[0].strip(): i for i, line in enumerate(lines) if not line.lstrip().startswith("#")}
    assert lines[0].startswith("# ")
    assert [name for name in names if not lines[found[name] - 1].lstrip().startswith("# ")] == []


def test_it_trains(recipe, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(finish, "verify", lambda *_args, **_more: None)  # a fresh process each would take most time
    made, _ = compose(file=recipe, overrides=[], arguments={})
    for i, name in enumerate([*made.data.path, *made.data.dev, *made.data.test]):
        _write_rows(tmp_path / name, made, seed=i)
    settings = {"train.length": "2 steps", "evaluate.resamples": 20, "evaluate.baselines": False}
    run = ts.train(recipe=recipe, model=str(tiny), out=tmp_path / "run", settings=settings)
    assert run.run.status == "done"
    assert run.run.manifest["step"] == 2
    assert run.predict(["a good film"])[0].label in set(made.data.label_map.values()) | {"pos", "neg"}


def _write_rows(path: Path, made: Recipe, *, seed: int) -> None:
    """Write 90 made-up rows with the columns and the labels the recipe asks for."""
    rng = random.Random(seed)
    columns = {
        "text": "text" if made.task.text == "auto" else made.task.text,
        "label": "label" if made.task.label == "auto" else made.task.label,
    }
    written = {"pos": ["pos"], "neg": ["neg"]}
    if made.data.label_map:
        names = sorted(made.data.label_map)
        written = {"neg": names[: len(names) // 2], "pos": names[len(names) // 2 :]}
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        group = made.data.split.group
        writer.writerow([columns["text"], columns["label"], *([group] if group else [])])
        for i, (text, label) in enumerate(sentences(90, seed=seed)):
            more = [f"{group}-{i // 3}"] if group else []
            writer.writerow([text, rng.choice(written[label]), *more])
