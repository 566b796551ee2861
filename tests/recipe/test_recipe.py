import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.core.errors import RecipeError
from tunesmith.engine.spec import amount
from tunesmith.recipe.choose import Facts, choose
from tunesmith.recipe.compose import compose
from tunesmith.recipe.problems import format_problems, settings_of
from tunesmith.recipe.recipe import Recipe
from tunesmith.recipe.write import HIDDEN, template, to_yaml
from tunesmith.tasks import SUITED, TASKS


def load(tmp_path, text, **more):
    path = tmp_path / "r.yaml"
    path.write_text(text)
    return compose(file=path, overrides=more.get("overrides", []), arguments=more.get("arguments", {}))


BAD = """data: x.csv
task: {kind: text-clasification}
train:
  lrr: 3
  length: 3 banana
  clip_norm: -1
modle: minilm
evaluate: {patience: many}
"""


def test_all_mistakes_at_once_with_lines_and_fixes(tmp_path):
    with pytest.raises(RecipeError) as raised:
        load(tmp_path, BAD, overrides=["train.lr=abc"])
    found = {(p.where.row, p.where.column): p for p in raised.value.problems}
    assert found[4, "train.lrr"].fix == 'did you mean "lr"?'
    assert '"3 epochs"' in found[5, "train.length"].fix
    assert found[6, "train.clip_norm"].fix == "must be at least 0.0"
    assert found[7, "modle"].fix == 'did you mean "model"?'
    assert "not a whole number" in found[8, "evaluate.patience"].message
    assert "text-classification" in found[2, ""].fix
    assert found[0, "train.lr"].where.file == "--set train.lr=abc"
    printed = format_problems(raised.value.problems)
    assert 'is not a number (got "abc")' in printed
    assert printed.splitlines()[-1] == "7 problems, nothing was started."


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("train:\n\tlr: 1\n", "a tab", 2),
        ("train: {lr: 1\n", "not valid YAML", 2),
        ("seed: 1\nseed: 2\n", "seed. stands twice in this section", 2),
        ("- a\n", "list of sections", 1),
    ],
)
def test_broken_files_say_the_line(tmp_path, text, message, line):
    with pytest.raises(RecipeError, match=message) as raised:
        load(tmp_path, text)
    assert raised.value.problems[0].where.row == line


def test_a_missing_recipe_names_its_neighbour(tmp_path):
    (tmp_path / "reviews.yaml").write_text("seed: 1\n")
    with pytest.raises(RecipeError, match="no such recipe") as raised:
        compose(file=tmp_path / "review.yaml", overrides=[], arguments={})
    assert "reviews.yaml" in raised.value.problems[0].fix


def test_later_ones_win_and_origins_are_kept(tmp_path):
    text = "data: a.csv\nmodel: minilm\ntask: sentiment-analysis\ntrain: {lr: 1e-4, length: 2 epochs}\nseed: 3\n"
    recipe, origins = load(
        tmp_path, text, arguments={"seed": 4, "task.text": "review"}, overrides=["train.lr=3e-5", "data.split.test=0.3"]
    )
    assert recipe.data.path == ("a.csv",)
    assert recipe.task.kind == "text-classification"
    assert (recipe.train.lr, recipe.train.length, recipe.seed, recipe.task.text) == (3e-5, "2 epochs", 4, "review")
    assert recipe.data.split.test == 0.3
    kinds = {key: o.origin for key, o in origins.entries.items()}
    assert kinds["train.lr"] == "--set"
    assert kinds["train.length"] == "file"
    assert kinds["seed"] == "argument"
    assert kinds["train.clip_norm"] == "default"


def test_a_short_form_takes_the_place_of_the_section_in_the_file(tmp_path):
    recipe, origins = load(tmp_path, "data: {path: a.csv, dev: b.csv}\n", overrides=["data=c.csv"])
    assert (recipe.data.path, recipe.data.dev) == (("c.csv",), ())
    kinds = [origins.entries[key].origin for key in ("data.path", "data.dev")]
    assert kinds == ["--set", "default"]


@pytest.mark.parametrize("alias", ["spam", "sentiment", "sentiment-analysis", "topic", "nli", "paraphrase"])
def test_an_alias_brings_what_suits_its_data_and_says_why(alias):
    recipe, origins = compose(file=None, overrides=[], arguments={"data.path": ["a.csv"], "task.kind": alias})
    chosen = {key: o for key, o in origins.entries.items() if o.origin == "chosen"}
    assert all(o.reason for o in chosen.values())
    weights = "balanced" if alias in ("spam", "sentiment", "sentiment-analysis") else "none"
    labels = "keep" if alias in ("nli", "paraphrase") else "merge_case"
    assert (recipe.task.kind, recipe.task.class_weights, recipe.data.labels) == ("text-classification", weights, labels)
    suited = {"task.class_weights": weights != "none", "data.labels": labels != "keep"}
    assert set(chosen) == {key for key, is_set in suited.items() if is_set}
    again, _ = compose(file=None, overrides=[], arguments=recipe.model_dump(mode="json"))
    assert again == recipe


@pytest.mark.parametrize("text", ["data: a.csv\ntask: spam\n", "data: {path: a.csv}\ntask: {kind: spam}\n"])
def test_what_the_user_says_goes_before_what_suits_an_alias(tmp_path, text):
    recipe, origins = load(tmp_path, text, overrides=["task.class_weights=none"], arguments={"data.labels": "keep"})
    assert (recipe.task.class_weights, recipe.data.labels) == ("none", "keep")
    assert [origins.entries[key].origin for key in ("task.class_weights", "data.labels")] == ["--set", "argument"]
    assert load(tmp_path, text)[0].task.class_weights == "balanced"


def test_aliases_bring_what_their_tasks_have():
    for alias, choices in SUITED.items():
        assert TASKS.canonical(alias) != alias
        assert choices


number = st.floats(1e-6, 1e-1, allow_nan=False)


@settings(max_examples=50, deadline=None)
@given(number, st.integers(0, 10**6), st.sampled_from(["auto", "3 epochs", "70 steps"]), st.text(max_size=12))
def test_a_written_recipe_loads_equal(tmp_path_factory, lr, seed, length, text):
    recipe, _ = compose(
        file=None,
        overrides=[],
        arguments={"train.lr": lr, "seed": seed, "train.length": length, "task.text": text, "data.path": ["a, b.csv"]},
    )
    path = tmp_path_factory.mktemp("r") / "recipe.yaml"
    path.write_text(to_yaml(recipe), encoding="utf-8")
    assert compose(file=path, overrides=[], arguments={})[0] == recipe


def test_the_template_is_a_valid_recipe_that_changes_nothing(tmp_path):
    recipe, _ = compose(file=None, overrides=[], arguments={"data.path": ["reviews.csv"]})
    text = template(recipe)
    assert load(tmp_path, text)[0] == recipe
    assert "# " in text
    assert all(name in text for name in ("weight_decay", "label_smoothing", "patience", "encoding"))


def facts(**changes):
    fields = {
        "n_rows": 100, "n_dev": 0, "n_classes": 2, "mean_tokens": 20.0, "share_too_long": 0.0, "share_cut": 0.0,
        "may_cut": True, "max_tokens": 512, "hidden_size": 384, "pooling": ("mean", "why"), "has_gpu": False,
        "main_metric": "macro_f1",
    }  # fmt: skip
    return Facts(**{**fields, **changes})


def chosen(arguments=None, **changes):
    recipe, _ = compose(file=None, overrides=[], arguments=arguments or {})
    return {key: value for key, (value, reason) in choose(recipe, facts(**changes)).items() if reason}


def test_what_compares_texts_has_some_to_compare():
    assert chosen(mean_tokens=400.0)["train.tokens_per_batch"] == 1024
    assert chosen({"objectives.mixup": True}, mean_tokens=400.0)["train.tokens_per_batch"] == 3328  # 8 x 400, in 256s
    assert chosen({"objectives.mixup": True}, mean_tokens=40.0)["train.tokens_per_batch"] == 1024


def test_few_rows_get_enough_updates():
    few, many = chosen(), chosen(n_rows=67_000, n_dev=2000)
    assert few["train.length"] == "15 epochs"
    assert few["train.step_size"] == "16 rows"
    assert few["model.pooling"] == "mean"
    assert many["train.length"] == "3 epochs"
    assert few["evaluate.patience"] == 0


def test_only_long_trainings_stop_early():
    assert chosen(n_rows=67_000, n_dev=2000)["evaluate.patience"] == 0
    assert chosen(n_rows=800, n_dev=80)["evaluate.patience"] == 3
    assert chosen({"train.length": "30 epochs"}, n_rows=800, n_dev=80)["evaluate.patience"] == 10
    # Measured four times as often, it waits for four times as many: a third of the epochs either way.
    often = {"train.length": "30 epochs", "evaluate.every": "0.25 epochs"}
    assert chosen(often, n_rows=800, n_dev=80)["evaluate.patience"] == 40
    assert chosen(often | {"evaluate.every": "100 steps"}, n_rows=800, n_dev=80)["evaluate.patience"] == 5
    assert chosen({"train.length": "9 epochs"}, n_rows=67_000, n_dev=2000)["evaluate.every"] == "1 epoch"
    assert chosen({"train.length": "500 steps"}, n_rows=800, n_dev=80)["evaluate.patience"] == 0


def test_long_trainings_average_their_late_weights():
    assert chosen(n_rows=67_000, n_dev=2000)["train.average"] == 0.5
    assert chosen(n_rows=800)["train.average"] == 0
    assert chosen({"train.length": "2000 steps"}, n_rows=800)["train.average"] == 0.5


def test_one_mean_of_the_weights_is_taken_and_the_one_that_is_asked_for():
    assert chosen({"train.average_decay": 0.99}, n_rows=800)["train.average"] == 1
    assert chosen({"train.soup": 3}, n_rows=67_000, n_dev=2000)["train.average"] == 0
    of_soup = ({"train.soup": 2, more: 0.5} for more in ("train.average", "train.average_decay"))
    for wrong in ({"train.average_decay": 0.9, "train.average": 0.0}, *of_soup):
        with pytest.raises(RecipeError, match=r"no effect|two means"):
            compose(file=None, overrides=[], arguments=wrong)


def test_many_classes_get_more_updates():
    epochs = {k: int(chosen(n_rows=10_000, n_classes=k)["train.length"].split()[0]) for k in (2, 77)}
    assert epochs[77] > epochs[2]


def test_one_of_a_thing_is_said_as_one():
    recipe, _ = compose(file=None, overrides=[], arguments={"train.step_size": "1 rows"})
    assert recipe.train.step_size == "1 row"
    assert amount(recipe.train.step_size) == (1.0, "rows")
    said = choose(recipe, facts(n_rows=1, n_dev=1, n_classes=1))
    assert said["evaluate.every"][0] == "1 epoch"
    assert said["evaluate.patience"][1] == "stop when 5 measurements on 1 dev row show no gain"
    assert said["train.length"][1].startswith("1 update an epoch; 1 class wants about 420, ")


def test_long_texts_are_read_in_windows():
    assert chosen(share_too_long=0.03)["task.long_text"] == "windows"
    assert chosen(share_too_long=0.01)["task.long_text"] == "head"
    assert chosen(share_too_long=0.01, share_cut=0.3)["task.long_text"] == "windows", "one text may be most of the data"


def test_settings_of_the_user_are_left_alone():
    assert "train.lr" not in chosen({"train.lr": 1e-5})
    assert "model.pooling" not in chosen({"model.pooling": "first"})


@pytest.mark.parametrize(
    ("settings", "factor"),
    [({"train.freeze": ["embeddings"]}, 1), ({"train.freeze": ["backbone"]}, 20), ({"model.adapt.kind": "lora"}, 5)],
)
def test_few_weights_learn_faster(settings, factor):
    assert chosen(settings)["train.lr"] == pytest.approx(factor * chosen()["train.lr"])


def test_presets_change_the_length():
    lengths = [int(chosen({"preset": p})["train.length"].split()[0]) for p in ("fast", "balanced", "best")]
    assert lengths == sorted(set(lengths))


def test_a_section_as_a_mapping_adds_to_the_rest():
    arguments = {"data.path": ["x.csv"], "data": {"split": {"dev": 0.2}, "label_map": {"a.b": "c"}}}
    recipe, _ = compose(file=None, overrides=(), arguments=arguments)
    assert recipe.data.path == ("x.csv",)
    assert recipe.data.split.dev == 0.2
    assert recipe.data.label_map == {"a.b": "c"}


def test_a_negative_seed_is_refused():
    with pytest.raises(RecipeError, match="seed"):
        compose(file=None, overrides=("seed=-1",), arguments={})


def problems(tmp_path, text="", **more):
    with pytest.raises(RecipeError) as raised:
        load(tmp_path, text, **more)
    return raised.value.problems


def test_a_number_where_a_unit_is_missing_says_how_it_is_written(tmp_path):
    (problem,) = problems(tmp_path, overrides=["train.length=3"])
    assert problem.message == "is not a positive number of epochs or steps"
    assert problem.fix == 'write for example "3 epochs"'
    every, size = problems(tmp_path, "evaluate:\n  every: 3\ntrain:\n  step_size: 32\n")
    assert (every.where.row, size.where.row) == (2, 4)
    assert '"3 epochs"' in every.fix and '"32 rows"' in size.fix
    recipe, _ = load(tmp_path, "train:\n  length: 60steps\n")
    assert recipe.train.length == "60 steps"


def test_a_number_for_a_name_is_to_be_quoted(tmp_path):
    (problem,) = problems(tmp_path, "task:\n  text: 3\n")
    assert (problem.message, problem.fix) == ("is a number, not text", 'write "3", with the quotes')
    (problem,) = problems(tmp_path, overrides=["task.text=3"])
    recipe, _ = load(tmp_path, "", overrides=[shlex.split(problem.fix)[1]])
    assert recipe.task.text == "3"


@pytest.mark.parametrize("override", ["track=mlflow", "data.clean=fix_unicode", "data.missing=none", "data.test=a.csv"])
def test_one_word_is_a_list_of_one(tmp_path, override):
    recipe, _ = load(tmp_path, "", overrides=[override])
    key, _, value = override.partition("=")
    found = recipe
    for name in key.split("."):
        found = getattr(found, name)
    assert found == (value,)


@pytest.mark.parametrize(
    ("word", "targets"), [("query", ("query",)), ("[query, value]", ("query", "value")), ("auto", "auto")]
)
def test_a_list_that_may_be_auto_takes_a_single_word_too(tmp_path, word, targets):
    recipe, _ = load(tmp_path, "", overrides=["model.adapt.kind=lora", f"model.adapt.targets={word}"])
    assert recipe.model.adapt.targets == targets


@pytest.mark.parametrize("word", ["3", "[3]"])
def test_of_a_list_that_may_be_auto_only_the_mistake_itself_is_said(tmp_path, word):
    (problem,) = problems(tmp_path, overrides=[f"model.adapt.targets={word}"])
    assert "number" in problem.message or "list" in problem.message


def test_an_unknown_cleaning_step_has_its_line_and_a_fix(tmp_path):
    text = "data:\n  path: x.csv\n  clean:\n    - fix_unicode\n    - strip_htm\n"
    (problem,) = problems(tmp_path, text)
    assert (problem.where.row, problem.where.column) == (5, "data.clean[1]")
    assert (problem.message, problem.fix) == ("unknown cleaning step", 'did you mean "strip_html"?')


def test_mistakes_come_in_the_order_of_the_file(tmp_path):
    found = problems(tmp_path, BAD, overrides=["train.lr=abc"])
    rows = [problem.where.row for problem in found]
    assert rows == [*sorted(row for row in rows if row), 0]


def test_every_setting_and_section_is_described():
    assert [key for key, field in settings_of(Recipe) if key not in HIDDEN and not field.description] == []
    recipe, _ = compose(file=None, overrides=[], arguments={})
    assert "  # How rows are divided" in template(recipe) and "  # Which task it is." in template(recipe)


@pytest.mark.parametrize(
    ("setting", "fix"),
    [
        ("train.epochs=3", 'here it is train.length="3 epochs"'),
        ("train.leraning_rate=3", "here it is train.lr=5e-5"),
        ("task.crf=true", "leave it out; it belongs to token-classification: --task token-classification"),
        ("task.mask_share=0.3", "leave it out; it belongs to fill-mask: --task fill-mask"),
        (
            "task.num_beams=2",
            "leave it out; it belongs to translation, summarization: --task translation or --task summarization",
        ),
        (
            "task.separator=;",
            "leave it out; it belongs to multi-label-classification: --task multi-label-classification",
        ),
        ("task.long_txt=head", 'did you mean "long_text"?'),
    ],
)
def test_settings_of_other_tools_and_other_tasks_are_known(setting, fix):
    with pytest.raises(RecipeError) as caught:
        compose(file=None, overrides=[setting], arguments={})
    assert caught.value.problems[0].fix == fix


def test_the_template_holds_each_setting_once_and_takes_what_is_changed(tmp_path):
    text = template(compose(file=None, overrides=[], arguments={})[0])
    assert text.count("  test: auto") == text.count("\n  every: auto") == 1
    recipe, _ = load(tmp_path, text.replace("test: auto", "test: 0.3"))
    assert recipe.data.split.test == 0.3
    with pytest.raises(RecipeError, match='"seed" stands twice in this section'):
        load(tmp_path, text + "seed: 3\n")


def test_a_setting_of_another_task_is_no_slip_of_the_fingers():
    with pytest.raises(RecipeError) as raised:
        compose(file=None, overrides=["task.separator=;"], arguments={"task.kind": "translation"})
    assert raised.value.problems[0].fix.startswith("leave it out; it belongs to multi-label-classification")


@pytest.mark.parametrize(
    ("switch", "weight"),
    [("objectives.rdrop=true", 3.0), ("objectives.rdrop={}", 1.0), ("objectives.rdrop.weight=2", 2.0)],
)
def test_switching_on_what_is_on_keeps_its_settings(tmp_path, switch, weight):
    path = tmp_path / "r.yaml"
    path.write_text("data: a.csv\nobjectives:\n  rdrop: {weight: 3}\n")
    found, _ = compose(file=path, overrides=[switch], arguments={})
    assert found.objectives.rdrop.weight == weight
