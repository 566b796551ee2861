"""What objectives do to training: each alone and every pair together, on every kind of task they have a meaning for."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.tiny import tiny_bert
from tests.tiny_writers import tiny_writer
from tests.writers import write_jsonl
from tunesmith.core.errors import RecipeError
from tunesmith.engine import checkpoint, passes
from tunesmith.engine.loop import load, train_steps
from tunesmith.models.vectors import source_embedding, vectors_changed
from tunesmith.objectives import ObjectivesSpec
from tunesmith.objectives.consistency import Consistency
from tunesmith.objectives.mixup import Mixup
from tunesmith.recipe.compose import compose
from tunesmith.workflow.build import make_setup
from tunesmith.workflow.order import make_plan
from tunesmith.workflow.prepare import prepare
from tunesmith.workflow.resolve import resolve

NAMES = tuple(ObjectivesSpec.model_fields)
FORMULA = ("dice", "asymmetric", "focal", "class_balanced")
"""Those that change the loss itself and add no line of their own to the log."""
WORDS = ["good", "lovely", "warm", "happy", "film", "bad", "awful", "cold", "sad", "book"]
EMPTY = {
    "text-regression": {*FORMULA, "contrast"},
    "multi-label-classification": {"contrast"},
    "text-classification": {"asymmetric"},
    "token-classification": {"asymmetric", "class_balanced", "contrast", "mixup", "consistency"},
    "question-answering": {"asymmetric", "class_balanced", "contrast", "mixup", "consistency"},
    "translation": {"asymmetric", "class_balanced", "contrast", "mixup", "consistency"},
    "text-generation": {"asymmetric", "class_balanced", "contrast", "mixup", "consistency"},
    "fill-mask": {"asymmetric", "class_balanced", "contrast", "mixup", "consistency"},
}
"""What has no meaning for a task."""


def texts(n):
    rng = np.random.default_rng(0)
    return [list(rng.choice(WORDS, 3 + i % 5)) for i in range(n)]


def rows_of(kind, n=24):
    """Return rows of a task."""
    words = texts(n)
    joined = [" ".join(one) + f" {i}" for i, one in enumerate(words)]
    good = [sum(WORDS.index(w) < 5 for w in one) for one in words]

    def answer(i):
        return {"text": [words[i][1]], "answer_start": [joined[i].index(words[i][1])]}

    of_task = {
        "text-classification": lambda i: {"label": "pos" if good[i] > 1 else "neg"},
        "text-regression": lambda i: {"score": good[i] + 0.5 + i / 7},
        "multi-label-classification": lambda i: {"labels": ["a"] * (good[i] > 1) + ["b"] * (good[i] < 3)},
        "token-classification": lambda i: {
            "tokens": words[i], "tags": ["B-X" if WORDS.index(w) < 5 else "O" for w in words[i]]
        },
        "question-answering": lambda i: {"question": "which film ?", "context": joined[i], "answers": answer(i)},
        "translation": lambda i: {"source": joined[i], "target": " ".join(reversed(words[i]))},
    }.get(kind, lambda _: {})  # fmt: skip
    has_text = kind not in ("token-classification", "question-answering", "translation")
    return [({"text": joined[i]} if has_text else {}) | of_task(i) for i in range(n)]


def resolved_for(kind, model, folder, **settings):
    path = write_jsonl(folder / f"{kind}.jsonl", rows_of(kind))
    arguments = {
        "data.path": [str(path)],
        "data.split.test": 0.0,
        "data.split.dev": 0.0,
        "data.duplicates": "keep",
        "task.kind": kind,
        "model.source": str(model),
        "train.length": "2 steps",
        "train.step_size": "8 rows",
        "train.device": "cpu",
        "train.clip_norm": 0.0,
        **({"task.crf": False} if kind == "token-classification" else {}),
        **settings,
    }
    recipe, origins = compose(file=None, overrides=(), arguments=arguments)
    return resolve(recipe, origins, prepared=prepare(recipe))


def setup_for(kind, model, folder, **settings):
    resolved = resolved_for(kind, model, folder, **settings)
    setup = make_setup(resolved)
    return setup, make_plan(resolved.recipe, setup.examples)


def on(*names, **settings):
    return {f"objectives.{name}": settings or True for name in names}


@pytest.fixture(scope="module")
def still(tmp_path_factory):
    """A tiny BERT without dropout."""
    return tiny_bert(tmp_path_factory.mktemp("still"), dropout=0.0)


def gradients(setup, plan):
    """Return the reports of the first step, and each weight's gradient before it is used."""
    found = {}

    def keep(*_):
        found.update({n: p.grad.clone() for n, p in setup.model.named_parameters() if p.grad is not None})

    setup.optimizer.optimizer.register_step_pre_hook(keep)
    return next(train_steps(setup, plan)), found


def alike(a, b, factor=1.0, atol=1e-6):
    return a.keys() == b.keys() and all(torch.allclose(factor * a[n], b[n], atol=atol) for n in a)


def test_texts_that_are_alone_where_they_should_be_compared_are_said(tiny, tmp_path):
    def said(*names, **settings):
        return [note for note in resolved_for("text-classification", tiny, tmp_path, **on(*names), **settings).notes]

    (note,) = said("contrast", "mixup", **{"train.tokens_per_batch": 1})
    assert note.message == "contrast and mixup compare the texts of one pass, and 16 of 16 are alone in theirs"
    assert "train.tokens_per_batch=4" in note.fix
    (note,) = said("mixup", **{"train.step_size": "1 rows"})
    assert note.fix == "larger steps: --set train.step_size='16 rows'", "no pass can hold more than a step"
    assert not said("contrast", "mixup")
    assert not said("rdrop", **{"train.tokens_per_batch": 1})


@pytest.mark.parametrize("kind", EMPTY)
def test_each_objective_learns_from_every_task_it_has_a_meaning_for(kind, tiny, tmp_path):
    for name in NAMES:
        if name in EMPTY[kind]:
            with pytest.raises(RecipeError, match=f"{name}.*has no meaning for {kind}"):
                setup_for(kind, tiny, tmp_path, **on(name))
            continue
        setup, plan = setup_for(kind, tiny, tmp_path, **on(name))
        for report in train_steps(setup, plan):
            assert np.isfinite([report.loss, report.grad_norm, *report.terms.values()]).all()
            assert report.grad_norm > 0
            assert list(report.terms) == ([] if name in FORMULA else [name] if report.terms else [])
            assert bool(report.terms) == (name not in FORMULA)


def pairs_of(kind, *, of):
    """Return the pairs of what has a meaning for a task, in which one of `of` is."""
    return [pair for pair in itertools.combinations(sorted({*NAMES} - EMPTY[kind]), 2) if {*pair} & {*of}]


PAIRS = {
    "text-classification": pairs_of("text-classification", of=NAMES),
    "multi-label-classification": pairs_of("multi-label-classification", of=EMPTY["text-classification"]),
}


def test_no_pair_is_left_out():
    impossible = {("asymmetric", "contrast")}
    assert {pair for pairs in PAIRS.values() for pair in pairs} | impossible == {
        *itertools.combinations(sorted(NAMES), 2)
    }


@pytest.mark.parametrize("kind", PAIRS)
def test_every_pair_works_together(kind, tiny, tmp_path):
    for pair in PAIRS[kind]:
        setup, plan = setup_for(kind, tiny, tmp_path, **on(*pair))
        report = next(train_steps(setup, plan))
        assert np.isfinite([report.loss, report.grad_norm, *report.terms.values()]).all()
        assert set(report.terms) == {*pair} - {*FORMULA}


@pytest.mark.parametrize("pair", [("fgm", "pgd"), ("fgm", "vat"), ("fgm", "smart")])
def test_what_a_pair_learns_is_the_sum_of_what_each_does(pair, still, tmp_path):
    """Terms beside the task's loss see nothing of each other."""
    plain, one, other, both = (
        gradients(*setup_for("text-classification", still, tmp_path, **on(*names)))[1]
        for names in ((), pair[:1], pair[1:], pair)
    )
    assert alike({name: one[name] + other[name] - plain[name] for name in plain}, both, atol=1e-5)


def test_all_objectives_learn_in_half_precision(still, tmp_path, monkeypatch):
    """As on GPUs that have bf16: what is learnt is about what float32 learns."""
    kind = "text-classification"
    for name in sorted({*NAMES} - EMPTY[kind]):
        setup, plan = setup_for(kind, still, tmp_path, **on(name))
        report, wanted = gradients(setup, plan)
        setup, plan = setup_for(kind, still, tmp_path, **on(name))
        monkeypatch.setattr(setup.device._accelerator, "autocast", lambda: torch.autocast("cpu", dtype=torch.bfloat16))
        half, found = gradients(setup, plan)
        assert half.loss == pytest.approx(report.loss, rel=0.02)
        for term in report.terms:
            assert half.terms[term] == pytest.approx(report.terms[term], rel=0.1, abs=0.02), (name, term)
        one, other = (torch.cat([g[n].flatten() for n in sorted(wanted)]) for g in (wanted, found))
        assert torch.cosine_similarity(one, other, dim=0) > 0.95, name


def test_the_answers_that_are_learnt_from_unlabeled_texts_have_no_slope(still, tmp_path, monkeypatch):
    """Xie et al. 2020, section 2.4: what the model says of the text itself is held fixed."""
    learnt, plain = [], Consistency.term

    def noted(self, answers, edited):
        learnt.append((answers.logits.requires_grad, edited.logits.requires_grad))
        return plain(self, answers, edited)

    monkeypatch.setattr(Consistency, "term", noted)
    next(train_steps(*setup_for("text-classification", still, tmp_path, **on("consistency"))))
    assert {*learnt} == {(False, True)}


def test_all_at_once_resume_bit_for_bit(tiny, tmp_path):
    kind = "text-classification"
    everything = {**on(*({*NAMES} - EMPTY[kind])), "train.length": "4 steps"}
    whole, plan = setup_for(kind, tiny, tmp_path, **everything)
    reports = list(train_steps(whole, plan))
    first, _ = setup_for(kind, tiny, tmp_path, **everything)
    steps = train_steps(first, plan)
    for _ in range(2):
        next(steps)
    path = checkpoint.save(tmp_path / "saved", first.model, first.optimizer, step=2, state={})
    resumed, _ = setup_for(kind, tiny, tmp_path, **everything)
    checkpoint.load(path, resumed.model, resumed.optimizer)
    rest = list(train_steps(resumed, plan, start=2))
    assert [(r.loss, r.terms) for r in rest] == [(r.loss, r.terms) for r in reports[2:]]
    a, b = checkpoint.weights(whole.model), checkpoint.weights(resumed.model)
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("settings", [{"steps": 1}, {"steps": 3, "radius": 0.0}])
def test_freelb_with_one_step_or_no_radius_is_plain_training(still, tmp_path, settings):
    plain = gradients(*setup_for("text-classification", still, tmp_path))[1]
    free = gradients(*setup_for("text-classification", still, tmp_path, **on("freelb", **settings)))[1]
    assert alike(plain, free)


def test_fgm_without_a_radius_learns_the_text_twice(still, tmp_path):
    plain = gradients(*setup_for("text-classification", still, tmp_path))[1]
    report, twice = gradients(*setup_for("text-classification", still, tmp_path, **on("fgm", radius=0.0)))
    assert alike(plain, twice, factor=2.0)
    assert report.terms["fgm"] == pytest.approx(report.loss, rel=1e-5)


@pytest.mark.parametrize("name", ["fgm", "pgd"])
def test_adversarial_noise_raises_the_loss(name, still, tmp_path):
    report, _ = gradients(*setup_for("text-classification", still, tmp_path, **on(name, radius=0.2)))
    assert report.terms[name] > report.loss


def test_rdrop_without_dropout_is_plain_training(still, tmp_path):
    plain = gradients(*setup_for("text-classification", still, tmp_path))[1]
    assert alike(plain, gradients(*setup_for("text-classification", still, tmp_path, **on("rdrop")))[1])


def test_rdrop_with_dropout_pulls_two_passes_together(tiny, tmp_path):
    report, _ = gradients(*setup_for("text-classification", tiny, tmp_path, **on("rdrop", weight=0.0)))
    more, _ = gradients(*setup_for("text-classification", tiny, tmp_path, **on("rdrop", weight=4.0)))
    assert more.terms["rdrop"] > report.terms["rdrop"]
    assert more.loss == report.loss


LEARNS = {"rdrop": {"weight": 0.0}, "freelb": {"radius": 0.0}, "contrast": {"weight": 0.9}}
"""Those that say how the task's own loss is learnt, so that nothing else reaches the head without dropout."""


@pytest.mark.parametrize("names", [c for n in (1, 2, 3) for c in itertools.combinations(LEARNS, n)])
def test_the_task_keeps_its_share_of_the_loss(names, still, tmp_path):
    """All of it, over the passes it is learnt in; but the contrastive loss takes a share of its own."""
    share = 0.1 if "contrast" in names else 1.0
    plain = gradients(*setup_for("text-classification", still, tmp_path))[1]
    settings = {f"objectives.{name}": LEARNS[name] for name in names}
    found = gradients(*setup_for("text-classification", still, tmp_path, **settings))[1]
    assert plain["classifier.weight"].abs().max() > 1e-3
    assert torch.allclose(share * plain["classifier.weight"], found["classifier.weight"], atol=1e-6)


def test_virtual_noise_is_not_dropout(tiny, tmp_path):
    report, _ = gradients(*setup_for("text-classification", tiny, tmp_path, **on("vat", radius=1e-6)))
    apart, _ = gradients(*setup_for("text-classification", tiny, tmp_path, **on("smart", radius=1e-6)))
    assert abs(report.terms["vat"]) < 1e-8
    assert apart.terms["smart"] > 1e-5


@pytest.fixture
def noises(monkeypatch):
    """What is added to token vectors, pass by pass."""
    found = []

    def noted(model, change, mask):
        def changed(vectors):
            moved = change(vectors)
            found.append((moved - vectors).detach())
            return moved

        return vectors_changed(model, changed, mask)

    monkeypatch.setattr(passes, "vectors_changed", noted)
    return found


def test_smart_moves_no_number_further_than_its_radius(still, tmp_path, noises):
    setup, plan = setup_for("text-classification", still, tmp_path, **on("smart", radius=1e-2, step=1.0))
    next(train_steps(setup, plan))
    words = source_embedding(setup.model).weight.detach()
    size = words.norm(dim=1).max() / words.shape[1] ** 0.5
    assert 0 < noises[-1].abs().max() <= 1e-2 * size
    assert noises[-1].abs().max() > noises[0].abs().max()


@pytest.mark.parametrize("name", ["fgm", "pgd", "freelb", "vat", "smart"])
def test_noise_grows_with_the_token_vectors(name, still, tmp_path, noises):
    def furthest(factor):
        setup, plan = setup_for("text-classification", still, tmp_path, **on(name))
        with torch.no_grad():
            source_embedding(setup.model).rows *= factor
        noises.clear()
        next(train_steps(setup, plan))
        return float(noises[-1].norm(dim=(1, 2)).max())

    assert furthest(100.0) == pytest.approx(100 * furthest(1.0), rel=0.5)


def test_a_text_mixed_with_itself_is_that_text(still, tmp_path, monkeypatch):
    plain = gradients(*setup_for("text-classification", still, tmp_path))[1]
    setup, plan = setup_for("text-classification", still, tmp_path, **on("mixup"))
    monkeypatch.setattr(torch, "randperm", lambda n, device: torch.arange(n))
    assert alike(plain, gradients(setup, plan)[1], factor=2.0, atol=1e-5)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_decoder_reads_a_mixed_text_to_its_end(family, tmp_path, monkeypatch):
    setup, _ = setup_for("text-classification", tiny_writer(tmp_path / family, family=family, dropout=0.0), tmp_path)
    short, long = sorted(setup.examples, key=lambda one: len(one.ids))[:: len(setup.examples) - 1]
    assert len(short.ids) < len(long.ids)
    p, said = passes.Learner(setup.task, (), setup.model, device=setup.device)._pass(load(setup, [short, long])), []
    monkeypatch.setattr(torch, "randperm", lambda n, device: torch.tensor([1, 0]))
    monkeypatch.setattr(torch.distributions.Beta, "sample", lambda _: torch.tensor(0.0))
    next(Mixup().after(replace(p, loss_of=lambda out, *_: said.append(out.logits) or torch.zeros(()))))
    assert torch.allclose(said[0][0], p.out.logits[1], atol=1e-6), "the short text with no share is the long one"


@pytest.mark.parametrize("name", ["fgm", "pgd", "freelb", "vat", "smart"])
def test_packed_texts_are_moved_as_texts_apart_are(name, tmp_path):
    writer = tiny_writer(tmp_path / "gpt2", family="gpt2", dropout=0.0)

    def first(pack):
        torch.manual_seed(0)
        settings = {**on(name), "task.pack": pack}
        return gradients(*setup_for("text-generation", writer, tmp_path, **settings))

    (report, slopes), (wanted, apart) = first(True), first(False)
    assert report.terms[name] == pytest.approx(wanted.terms[name], rel=1e-3)
    assert alike(slopes, apart, atol=1e-4)


def test_the_slope_reaches_frozen_word_vectors(still, tmp_path):
    setup, plan = setup_for("text-classification", still, tmp_path, **on("fgm", radius=0.2))
    for parameter in source_embedding(setup.model).parameters():
        parameter.requires_grad_(False)
    report = next(train_steps(setup, plan))
    assert report.terms["fgm"] > report.loss


def test_a_crf_is_told_from_single_tags(tiny, tmp_path):
    with pytest.raises(RecipeError, match=r"whole sequences.*--set task.crf=false"):
        setup_for("token-classification", tiny, tmp_path, **on("focal"), **{"task.crf": True})
    setup, plan = setup_for("token-classification", tiny, tmp_path, **on("rdrop"), **{"task.crf": True})
    assert next(train_steps(setup, plan)).terms["rdrop"] > 0


def test_all_that_has_no_meaning_is_told_at_once(tiny, tmp_path):
    with pytest.raises(RecipeError) as raised:
        setup_for("text-regression", tiny, tmp_path, **on("focal", "contrast", "rdrop"))
    assert [p.where.column for p in raised.value.problems] == ["objectives.focal", "objectives.contrast"]
