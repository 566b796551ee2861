"""The guide says nothing that is not there: commands, options, settings, Python, links, and the table of settings."""

import re
import shutil

import pytest
import typer

import tunesmith as ts
from tests.guide import (
    FENCE,
    GUIDE,
    PAGES,
    ROOT,
    blocks,
    check_command,
    commands,
    options,
    settings,
    settings_of_several,
    table,
    with_table,
)  # fmt: skip
from tests.tiny import sentences, write_csv
from tunesmith.core.errors import RecipeError
from tunesmith.engine.mix_spec import MixSpec
from tunesmith.recipe.compose import compose
from tunesmith.recipe.origins import flat
from tunesmith.recipe.recipe import Recipe
from tunesmith.recipe.several import compose_several, kind_of
from tunesmith.recipe.write import HIDDEN

CONSOLE = [block for page in PAGES for block in blocks(page, "console")]
PYTHON = [block for page in PAGES for block in blocks(page, "python")]
YAML = [block for page in PAGES for block in blocks(page, "yaml")]
UsageError = typer.BadParameter.__base__  # of click, or of the copy that newer typers bring


def name(block):
    return f"{block.page}:{block.line}"


@pytest.mark.parametrize("block", CONSOLE, ids=name)
def test_commands_options_and_settings_exist(block):
    lines = list(commands(block))
    assert lines, "a console block shows at least one command, after $"
    assert all(check_command(line, folder=ROOT / "recipes") for line in lines)


@pytest.mark.parametrize(
    ("line", "error", "said"),
    [
        ("tunesmith tran reviews.csv", LookupError, "there is no command tran"),
        ("tunesmith train reviews.csv --epochs 3", UsageError, "No such option: --epochs"),
        ("tunesmith train reviews.csv --set train.epochs=3", RecipeError, "train.epochs: unknown setting"),
        ("tunesmith train reviews.csv --set train.length=3", RecipeError, "not a positive number of epochs or steps"),
        ("tunesmith train reviews.csv --preset slow", RecipeError, "preset: is none of the choices"),
        ("tunesmith predict runs/reviews-1", UsageError, "Missing parameter: data"),
        ("cat new.csv | tunesmith predict runs/a-1 - --label x > out.csv", UsageError, "No such option: --label"),
        ("torchrun --nproc-per-node=2 -m tunesmith train a.csv --set trian.lr=1", RecipeError, 'did you mean "train"'),
    ],
)
def test_the_check_fails_on_what_is_made_up(line, error, said, tmp_path):
    with pytest.raises(error, match=re.escape(said)):
        check_command(line, folder=tmp_path)


def test_the_check_reads_pipes_quotes_and_launchers(tmp_path):
    assert check_command("cat a.csv | tunesmith predict runs/a-1 - > out.csv", folder=tmp_path) == 1
    assert check_command("torchrun --nproc-per-node=2 -m tunesmith train a.csv", folder=tmp_path) == 1
    assert check_command("tunesmith train a.csv --set 'data.label_map={a: b}'", folder=tmp_path) == 1
    assert check_command("ls runs", folder=tmp_path) == 0


@pytest.mark.parametrize("block", YAML, ids=name)
def test_recipes_in_the_text_are_recipes(block, tmp_path):
    (tmp_path / "r.yaml").write_text(block.text, encoding="utf-8")
    if kind_of(tmp_path / "r.yaml"):
        assert len(compose_several(tmp_path / "r.yaml").parts) > 1
        return
    _, origins = compose(file=tmp_path / "r.yaml", overrides=[], arguments={})
    assert "file" in {entry["origin"] for entry in origins.as_dict().values()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_and_options_named_in_sentences_exist(page):
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    code = re.findall(r"`([^`\n]+)`", prose)
    known = settings() | settings_of_several()
    sections = tuple({key.split(".")[0] for key in known if "." in key})
    dotted = {word for text in code for word in re.findall(rf"\b(?:{'|'.join(sections)})\.[a-z_.]+\b", text)}
    files = {word for word in dotted if word.endswith((".csv", ".jsonl", ".yaml"))}
    assert sorted(dotted - files - set(known)) == []
    mine = [text for text in code if not text.startswith(("torchrun", "tensorboard", "pip", "wandb"))]
    used = {word for text in mine for word in re.findall(r"(?<!\S)--[a-z][a-z-]*", text)}
    assert sorted(used - options()) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        if path.startswith("http"):
            continue
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file.read_text(encoding="utf-8"))):
            broken.append(target)
    # The page on scikit-learn comes with the estimator.
    assert [target for target in broken if target != "scikit-learn.md"] == []


def anchors(text):
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_readme_leads_to_the_guide_and_the_guide_to_every_page():
    assert "docs/guide/README.md" in (ROOT / "README.md").read_text(encoding="utf-8")
    index = (GUIDE / "README.md").read_text(encoding="utf-8")
    assert [
        page.name for page in GUIDE.glob("*.md") if page.name != "README.md" and f"({page.name})" not in index
    ] == []


def test_the_table_of_settings_is_complete_and_current():
    text = (GUIDE / "recipe.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w.]+)` \| .* \| .+ \|$", table(), re.MULTILINE)
    assert set(flat(Recipe())) - HIDDEN <= set(rows) <= set(settings())
    assert text == with_table(text), "run: python -m tests.guide"


def test_the_settings_of_several_tasks_are_all_described():
    rows = re.findall(r"^\| `(multitask\.\w+)` \| (.+?) \|", (GUIDE / "several.md").read_text(), re.MULTILINE)
    assert {name for name, _ in rows} == set(settings_of_several())
    defaults = {name: MixSpec().model_dump()[name.rpartition(".")[2]] for name, _ in rows}
    shown = {name: "none" if value == {} else f"`{value:g}`" if isinstance(value, float) else f"`{value}`"
             for name, value in defaults.items()}  # fmt: skip
    assert dict(rows) == shown


def test_python_in_the_guide_runs(trained, tmp_path, monkeypatch, capsys):
    """Loading, predicting and transformers are real; training is composed and answered with the trained tiny run."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained.folder, tmp_path / "runs" / "support-1")
    write_csv(tmp_path / "support.csv", sentences(40))
    train = ts.train

    def composed_only(*args, **more):
        monkeypatch.setattr("tunesmith.workflow.start.start", lambda *_a, **_m: trained.run)
        return train(*args, **more)

    monkeypatch.setattr(ts, "train", composed_only, raising=False)
    monkeypatch.setattr("tunesmith.sklearn.label_name", lambda _label: "pos")  # the tiny run knows no other labels
    assert PYTHON
    for page in PAGES:
        names = {}
        for block in blocks(page, "python"):
            code = compile(block.text, f"{block.page}:{block.line}", "exec")
            if block.run and not block.follows:
                exec(code, names)
    assert "unknown setting" in capsys.readouterr().out
