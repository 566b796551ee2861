"""Every recipe in recipes/ names only settings that exist and differ from the defaults, says why, and trains."""

import csv
import random
from pathlib import Path

import pytest

import tunesmith as ts
from tests.tiny import sentences
from tunesmith.recipe.compose import compose, leaves, read
from tunesmith.recipe.origins import flat
from tunesmith.recipe.recipe import Recipe
from tunesmith.recipe.several import compose_several
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


def parts(recipe):
    """Return a recipe, and the names of the settings it writes; of each stage, where it has some."""
    tree, _ = read(recipe)
    stages = tree.pop("stages", {})
    if not stages:
        return [(compose(file=recipe, overrides=[], arguments={})[0], {key for key, _ in leaves(tree)})]
    composed = compose_several(recipe).parts
    return [(composed[name].recipe, {key for key, _ in [*leaves(tree), *leaves(own)]}) for name, own in stages.items()]


def test_it_names_only_what_differs_from_the_defaults(recipe):
    defaults = {**flat(Recipe()), **flat(Recipe(objectives={"consistency": True, "contrast": True}))}
    for made, written in parts(recipe):
        values = flat(made)
        assert [key for key in written - THE_USERS if key in values and values[key] == defaults[key]] == []
        assert written - THE_USERS


def test_every_setting_has_its_reason_above_it(recipe):
    names = {key.rpartition(".")[2] for _, written in parts(recipe) for key in written}
    names -= {key.rpartition(".")[2] for key in THE_USERS}
    lines = recipe.read_text().splitlines()
    found = {line.split(":")[0].strip(): i for i, line in enumerate(lines) if not line.lstrip().startswith("#")}
    assert lines[0].startswith("# ")
    assert [name for name in names if not lines[found[name] - 1].lstrip().startswith("# ")] == []


def test_it_trains(recipe, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(finish, "verify", lambda *_args, **_more: None)  # a fresh process each would take most time
    made, _ = parts(recipe)[-1]
    for i, name in enumerate([*made.data.path, *made.data.dev, *made.data.test]):
        _write_rows(tmp_path / name, made, seed=i)
    settings = {"train.length": "2 steps", "evaluate.resamples": 20, "evaluate.baselines": False}
    if len(parts(recipe)) > 1:
        settings |= {"model": str(tiny)}
        run = list(ts.train_several(recipe, out=tmp_path / "run", settings=settings).values())[-1]
    else:
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
            has_none = bool(made.data.unlabeled) and i % 3 == 0
            writer.writerow([text, "" if has_none else rng.choice(written[label]), *more])
