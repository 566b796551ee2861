"""Rows made by models: words that fit their context, texts translated there and back, and runs that go on with them."""

import itertools
import json
import random
import shutil

import pytest
import torch
import transformers
from typer.testing import CliRunner

import tunesmith as ts
from tests.families.build import FAMILIES
from tests.objectives.test_objectives import rows_of
from tests.tiny import BAD, GOOD, OTHER, tiny_bert, write_csv
from tests.tiny_writers import grammar, write_text
from tests.workflow.small import ended_after, prepared, quick
from tests.writers import SPREAD, write_jsonl
from tunesmith.cli.main import app
from tunesmith.core.errors import RecipeError, RunError, TunesmithError
from tunesmith.data.augment.by_models import in_context
from tunesmith.data.augment.copies import Copy
from tunesmith.data.augment.words import cut
from tunesmith.inference.guesser import N_GUESSES, WordGuesser
from tunesmith.inference.translator import Translator, there_and_back
from tunesmith.models.spec import ModelSpec
from tunesmith.recipe.compose import compose
from tunesmith.workflow.augment import keep, kept
from tunesmith.workflow.prepare import prepare
from tunesmith.workflow.resolve import resolve
from tunesmith.workflow.start import refuse_early

WHOLE = {"data.split.test": 0.0, "data.split.dev": 0.0, "data.duplicates": "keep", "data.near_duplicates": "off"}
LEARNT = {
    **WHOLE, "data.split.dev": 0.1, "evaluate.resamples": 20, "evaluate.every": "1000 steps", "train.layer_decay": 1.0,
}  # fmt: skip
FILLS = {
    "task.kind": "fill-mask", "train.length": "100 steps", "train.step_size": "1024 tokens", "train.lr": 1e-2,
    "task.mask_share": 0.25,
}  # fmt: skip
TRANSLATES = {
    "task.kind": "translation", "train.length": "200 steps", "train.step_size": "32 rows", "train.lr": 3e-3,
    "train.head_lr_factor": 1.0, "task.num_beams": 2, "task.max_new_tokens": 8,
}  # fmt: skip
CANON = {word: GOOD[i // 2 * 2] for i, word in enumerate(GOOD)}
"""Two words share a word of the other language, which comes back as the first of them."""
OTHERS = {word: f"unused{i}" for i, word in enumerate(GOOD)}
"""Words of the other language."""
REVIEWS = [(f"{a} {b} {c}", ("pos", "neg")[i % 2]) for i, (a, b, c) in enumerate(itertools.permutations(GOOD[1::2], 3))]


def there(text):
    return " ".join(OTHERS[CANON[word]] for word in text.split())


def canonical(text):
    return " ".join(CANON[word] for word in text.split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("making")


@pytest.fixture(scope="module")
def model(folder):
    return tiny_bert(folder / "bert", spread=SPREAD, dropout=0.0, unused_words=len(OTHERS))


@pytest.fixture(scope="module")
def filler(model, folder):
    """A run that fills masks: it has learnt that "good" is followed by "bad", "great" by "awful"."""
    texts = write_text(folder / "texts.txt", grammar(250))
    return ts.train(texts, model=str(model), out=folder / "fill-1", settings={**LEARNT, **FILLS}).folder


@pytest.fixture(scope="module")
def translators(model, folder):
    """Two runs, there and back."""
    rng = random.Random(0)
    texts = [" ".join(rng.choices(GOOD, k=rng.randint(1, 3))) for _ in range(600)]
    pairs = {
        "there": [{"source": text, "target": there(text)} for text in texts],
        "back": [{"source": there(text), "target": canonical(text)} for text in texts],
    }
    made = []
    for name, rows in pairs.items():
        data = write_jsonl(folder / f"{name}.jsonl", rows)
        run = ts.train(data, model=str(model), out=folder / f"{name}-1", settings={**LEARNT, **TRANSLATES})
        made.append(str(run.folder))
    return made


@pytest.fixture(scope="module")
def rated(folder):
    return write_csv(folder / "reviews.csv", REVIEWS)


def new_rows(found, n):
    """Return the texts of the rows that were made of the first `n`, each with its source's."""
    table = found.tables["train"]
    texts = dict(zip(table.row_numbers[:n], table["text"][:n], strict=True))
    return [(texts[table.row_numbers[i]], table["text"][i]) for i in range(n, len(table))]


# Words in context.


def test_guesses_fit_their_context(filler):
    guess = WordGuesser(ModelSpec(source=str(filler)), device="cpu")
    found = guess([f"the {a} {guess.mask} film" for a in GOOD])
    assert [one[0][0][0] for one in found] == BAD
    assert all(len(one[0]) == N_GUESSES + 1 for one in found)
    assert guess.knows("Film")
    assert not guess.knows("unheard")


def test_guesses_are_those_of_the_whole_vocabulary(filler):
    """Against transformers: the words in the order of their probability, the differences of scores as they are."""
    guess = WordGuesser(ModelSpec(source=str(filler)), device="cpu")
    plain = transformers.AutoTokenizer.from_pretrained(filler / "model")
    model = transformers.AutoModelForMaskedLM.from_pretrained(filler / "model").eval()
    read = plain("the good [MASK] film", return_tensors="pt")
    with torch.inference_mode():
        logits = model(**read).logits[0, 3]
    words = [(plain.convert_ids_to_tokens(i), float(logits[i])) for i in logits.argsort(descending=True).tolist()]
    wanted = [(word, score) for word, score in words if word.isalpha()][: N_GUESSES + 1]
    ((found,),) = guess(["the good [MASK] film"])
    assert [word for word, _ in found] == [word for word, _ in wanted]
    assert [score for _, score in found] == pytest.approx([score for _, score in wanted], abs=1e-4)


def test_long_texts_are_read_in_windows(filler):
    guess = WordGuesser(ModelSpec(source=str(filler)), device="cpu")
    long = " ".join(f"the {a} [MASK] film" for a in GOOD * 4)  # 128 tokens, of which the model reads 32 at once
    (found,) = guess([long])
    (filled,) = ts.load(filler).predict([long])
    assert len(found) == len(filled.fills) == len(GOOD * 4)
    assert [likely[0][0] for likely in found] == [fill[0]["token"] for fill in filled.fills]


def test_words_in_context_take_the_place_of_words(filler, tmp_path):
    texts = [(text, ("pos", "neg")[i % 2]) for i, text in enumerate(grammar(40, seed=5))]
    path = write_csv(tmp_path / "rows.csv", texts)
    settings = {"augment.copies": 2, "augment.edits": "context", "augment.model": str(filler), **WHOLE}
    found = prepared(path, **settings)
    pairs = new_rows(found, 40)
    assert len(pairs) == 80
    for before, after in pairs:
        changed = [(a, b) for a, b in zip(before.split(), after.split(), strict=True) if a != b]
        assert len(changed) == max(1, round(0.1 * len(before.split())))
        assert all(b in {*GOOD, *BAD, *OTHER} for _, b in changed)
    assert any("words in context are those of fill-1, on cpu" in note.message for note in found.notes)
    again, other = (prepared(path, **settings, seed=seed) for seed in (0, 1))
    assert new_rows(again, 40) == pairs
    assert new_rows(other, 40) != pairs


@pytest.mark.parametrize("kind", ["token-classification", "question-answering", "translation", "text-regression"])
def test_words_of_entities_and_answers_stay(filler, tmp_path, kind):
    path = write_jsonl(tmp_path / "rows.jsonl", rows_of(kind))
    more = {"augment.copies": 2, "augment.edits": "context", "augment.rate": 0.9, "augment.model": str(filler)}
    found = prepared(path, **{"task.kind": kind, **WHOLE, **more})
    table, n = found.tables["train"], len(rows_of(kind))
    assert len(table) > n
    if kind == "question-answering":
        for context, answers in zip(table["context"], table["answers"], strict=True):
            assert all(context[a["start"] : a["start"] + len(a["text"])] == a["text"] for a in answers)
    elif kind == "token-classification":
        of = {number: row for row, number in enumerate(table.row_numbers[:n])}
        for i in range(n, len(table)):
            old = table.row(of[table.row_numbers[i]])
            assert table["tags"][i] == old["tags"]
            same = [
                a == b for a, b, tag in zip(table["tokens"][i], old["tokens"], old["tags"], strict=True) if tag != "O"
            ]
            assert all(same)


@pytest.mark.parametrize("name", ["RoBERTa", "DistilBERT", "MPNet", "ModernBERT", "XLM-R", "BART", "mBART"])
def test_every_family_that_fills_masks_guesses_words(name, tmp_path):
    guess = WordGuesser(ModelSpec(source=str(FAMILIES[name].write(tmp_path / name))), device="cpu")
    copy = Copy(0, {"text": cut('The day "was" the day')}, random.Random(0))
    (found,) = in_context([copy], rate=1.0, guess=guess)
    words = [word.text for word in found["text"]]
    assert sum(a != b.text for a, b in zip(words, copy.words["text"], strict=True)) >= 2
    assert words[0][0].isupper()
    assert words[2][0] == words[2][-1] == '"'
    assert all(word.strip('"').isalpha() for word in words)


# There and back.


def test_translations_come_back(translators):
    go, back = (Translator(ts.load(run).run.model_folder, device="cpu", seed=0) for run in translators)
    texts = ["great lovely", "", "fine", "bright warm sweet"]
    assert there_and_back(go, back, texts) == [canonical(text) for text in texts]
    assert go([]) == []
    plain = ts.load(translators[0]).predict(texts[2:])
    assert go(texts[2:]) == [one.text for one in plain]


def test_what_is_too_long_to_read_or_write_is_left_alone(translators):
    folder = ts.load(translators[0]).run.model_folder
    go, back = (
        Translator(folder, device="cpu", seed=0) for folder in (folder, ts.load(translators[1]).run.model_folder)
    )
    long = " ".join(["great"] * 31)
    assert go([long, "great"])[0] is None
    assert there_and_back(go, back, [long, "great"]) == [None, "good"]
    go._predictor.model.generation_config.max_new_tokens = 2
    assert go(["great lovely", "great"]) == [None, None], "the end is not written, or forced"


def test_rows_are_translated_once_and_targets_stay(translators, rated):
    settings = {"augment.copies": 2, "augment.edits": "translate", "augment.translators": translators, **WHOLE}
    found = prepared(rated, **settings)
    n = len(REVIEWS)
    pairs = new_rows(found, n)
    assert [after for _, after in pairs] == [canonical(before) for before, _ in pairs]
    assert len(pairs) == n, "the second copy would be the same"
    topics = {note.topic: note for note in found.notes}
    assert topics["translated once"].message.startswith(f"{n} rows were to be translated more than once")
    assert translators[0] in topics["augmenting models"].message
    table = found.tables["train"]
    labels = dict(REVIEWS)
    assert all(labels[before] == table["label"][n + i] for i, (before, _) in enumerate(pairs))


def test_what_is_drawn_differs_between_copies_and_seeds(translators, rated):
    settings = {
        "augment.copies": 4, "augment.edits": "translate", "augment.translators": translators, "augment.sample": True,
        **WHOLE,
    }  # fmt: skip
    texts = [new_rows(prepared(rated, **settings, seed=seed), len(REVIEWS)) for seed in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]
    assert len(texts[0]) > len(REVIEWS)


def test_rows_that_are_too_long_are_counted_and_edited_otherwise(translators, tmp_path):
    long = " ".join(["great", "sweet"] * 20)
    path = write_csv(tmp_path / "rows.csv", [*REVIEWS, (long, "pos")])
    n = len(REVIEWS) + 1
    settings = {"augment.copies": 1, "augment.translators": translators, **WHOLE}
    found = prepared(path, **settings, **{"augment.edits": "translate"})
    (note,) = [note for note in found.notes if note.topic == "not translated"]
    assert note.message == "1 row is longer than the translators read or write: left alone, not cut"
    assert note.places[0].row == n + 1
    assert long not in [before for before, _ in new_rows(found, n)]
    other = prepared(path, **settings, **{"augment.edits": ["translate", "delete"]})
    assert [len(after.split()) for before, after in new_rows(other, n) if before == long] == [36]
    path = write_csv(tmp_path / "long.csv", [(f"{long} {word}", label) for word, label in REVIEWS])
    with pytest.raises(RecipeError, match=r"these edits change none; .* rows are longer than the translators read"):
        prepared(path, **settings, **{"augment.edits": "translate"})


# All together.


def test_a_run_goes_on_without_the_models_that_made_its_rows(filler, translators, rated, tmp_path, monkeypatch):
    names = [tmp_path / name for name in ("fill", "there", "back")]
    for source, name in zip([filler, *translators], names, strict=True):
        shutil.copytree(source, name)
    more = {
        "augment.copies": 3, "augment.edits": ["context", "translate", "typos"], "augment.model": str(names[0]),
        "augment.translators": [str(name) for name in names[1:]],
    }  # fmt: skip
    usual = quick(tiny_bert(tmp_path / "bert"), **more)
    whole = ts.train(rated, out=tmp_path / "whole", **usual)
    with ended_after(4, monkeypatch), pytest.raises(KeyboardInterrupt):
        ts.train(rated, out=tmp_path / "cut", **usual)
    for name in names:
        shutil.rmtree(name)
    resumed = ts.resume(tmp_path / "cut")
    weights = [run.run.model_folder / "model.safetensors" for run in (whole, resumed)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    kinds = {json.loads(line)["edit"] for line in (tmp_path / "cut" / "augmented.jsonl").read_text().splitlines()}
    assert kinds == {"context", "translate", "typos"}


@pytest.mark.parametrize("kind", ["text-classification", "token-classification", "question-answering", "translation"])
def test_rows_that_were_kept_come_back_as_they_were(kind, tmp_path):
    path = write_jsonl(tmp_path / "rows.jsonl", rows_of(kind))
    found = prepared(path, **{"task.kind": kind, "augment.copies": 2, **WHOLE}).made
    keep(found, tmp_path / "augmented.jsonl")
    again = kept(tmp_path / "augmented.jsonl", found.table.take(range(found.n_old)))
    assert (again.table, again.sources, again.edits) == (found.table, found.sources, found.edits)
    with pytest.raises(RunError, match="do not fit the data any more"):
        kept(tmp_path / "augmented.jsonl", found.table.take([0]))


def test_the_model_that_is_trained_guesses_where_it_can(filler, rated):
    named = {"data.path": [str(rated)], "model.source": str(filler), "augment.copies": 1, "augment.edits": "context"}
    recipe, origins = compose(file=None, overrides=[], arguments=named)
    ready = prepare(recipe)
    assert {*ready.made.edits} == {"context"}
    assert resolve(recipe, origins, prepared=ready).recipe.augment.model == str(filler)


def test_nothing_is_kept_and_chosen_where_no_model_edits(trained):
    assert not (trained.folder / "augmented.jsonl").exists()
    assert trained.run.origins["augment.model"]["value"] == "auto"


def test_they_are_shown(filler, translators, rated):
    listed = f"[{', '.join(translators)}]"
    settings = ["augment.edits=[context, translate]", f"augment.translators={listed}", f"augment.model={filler}"]
    arguments = ["augment", str(rated), "--show", "30"]
    said = CliRunner().invoke(app, arguments + [part for one in settings for part in ("--set", one)])
    assert said.exit_code == 0, said.output
    assert {"context", "translate"} <= set(said.output.split())


# What can't be.


def refused(rated, **settings):
    named = {"data.path": [str(rated)], "augment.copies": 1, **settings}
    recipe, _ = compose(file=None, overrides=[], arguments=named)
    with pytest.raises(TunesmithError) as raised:
        refuse_early(recipe)
    return raised.value.problems[0]


def test_models_that_cannot_edit_are_refused_before_the_data_is_read(tiny, trained, filler, translators, tmp_path):
    away = tmp_path / "nothing.csv"
    write_csv(away, REVIEWS[:2])
    for model, why in ((str(tiny), "it comes without a head"), (str(trained.folder), "it was trained for text-class")):
        for settings in ({"augment.model": model}, {"model.source": model}):
            problem = refused(away, **{"augment.edits": "context", **settings})
            assert problem.message.startswith(f"this model can't fill masks: {why}")
            assert problem.where.column == "augment.model"
            assert "--set augment.model=runs/texts-1" in problem.fix
    for given in ([], translators[:1]):
        problem = refused(away, **{"augment.edits": "translate", "augment.translators": given})
        assert "--set 'augment.translators=[" in problem.fix
    problem = refused(away, **{"augment.edits": "translate", "augment.translators": [translators[0], str(filler)]})
    assert problem.message == "this is no translator: it was trained for fill-mask"
    assert problem.where.value == str(filler)
    problem = refused(away, **{"augment.edits": "translate", "augment.translators": ["a", "b"]})
    assert "a" in str(problem.where)


@pytest.mark.parametrize("kind", ["token-classification", "question-answering"])
def test_what_is_about_its_words_is_not_translated(translators, tmp_path, kind):
    path = write_jsonl(tmp_path / "rows.jsonl", rows_of(kind))
    more = {"augment.copies": 1, "augment.edits": "translate", "augment.translators": translators}
    with pytest.raises(RecipeError, match=f"has lost the words that {kind} is about"):
        prepared(path, **{"task.kind": kind, **WHOLE, **more})
