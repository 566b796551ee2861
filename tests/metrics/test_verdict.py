"""The verdict on runs of many kinds: measured and compared for real, only the predictions are made up."""

import itertools
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from tests.metrics.of_classes import measure, paired
from tunesmith.metrics.baselines import majority
from tunesmith.metrics.evidence import MoreRows, Together
from tunesmith.metrics.more_rows import label_more
from tunesmith.metrics.scorer import measure as measure_any
from tunesmith.metrics.texts import SummaryScorer, TranslationScorer
from tunesmith.metrics.verdict import MOST_ADVICE, verdict
from tunesmith.metrics.weaknesses import rough

COLOURS = ("red", "green", "blue", "grey")


def answers(gold, accuracy, *, n_classes, seed=0, confidence=None):
    """Return probabilities that are right on a share of the rows; confident as they deserve, or as told."""
    rng = np.random.default_rng(seed)
    right = rng.permutation(len(gold)) < round(accuracy * len(gold))
    answer = np.where(right, gold, (gold + rng.integers(1, n_classes, len(gold))) % n_classes)
    top = max(accuracy if confidence is None else confidence, 1 / n_classes + 0.01)
    probabilities = np.full((len(gold), n_classes), (1 - top) / (n_classes - 1))
    probabilities[np.arange(len(gold)), answer] = top
    return probabilities


def run_metrics(
    *, model, baseline=None, n_test=1000, dev=None, n_dev=500, train=None, n_classes=2, main="macro_f1",
    confidence=None, shares=None, n_train_sample=2000,
):  # fmt: skip
    """Return what `metrics.json` holds for a model of this accuracy on test (and dev and train) rows."""
    rng = np.random.default_rng(5)
    labels = list(COLOURS[:n_classes])
    gold = rng.choice(n_classes, n_test, p=shares)
    ours = answers(gold, model, n_classes=n_classes, seed=1, confidence=confidence)
    metrics = {"main": main, "splits": {"test": measure(ours, gold, labels)}}
    if dev is not None:
        dev_gold = rng.choice(n_classes, n_dev, p=shares)
        probabilities = answers(dev_gold, dev, n_classes=n_classes, seed=2)
        metrics["splits"]["dev"] = measure(probabilities, dev_gold, labels)
    if train is not None:
        values = {name: {"value": train} for name in ("accuracy", "macro_f1", "loss")}
        metrics["splits"]["train"] = {"n_rows": n_train_sample, "values": values}
    if baseline is not None:
        found = {
            "majority": majority(gold, n_test, n_classes=n_classes),
            "tfidf": answers(gold, baseline, n_classes=n_classes, seed=3),
        }
        metrics["baselines"] = {name: measure(p, gold, labels) for name, p in found.items()}
        metrics["comparison"] = {"baseline": "tfidf", **paired(found["tfidf"], ours, gold, labels, metric=main)}
    return metrics


def curve(*points, epochs=3.0, lr=5e-5, losses=None):
    """Return log events: (dev loss, dev macro F1) at steps 100, 200, ..., and a falling training loss."""
    n = 100 * len(points)
    losses = losses or [0.7 - 0.6 * step / n for step in range(n)]
    events = [
        {"event": "step", "step": i + 1, "epoch": epochs * (i + 1) / n, "loss": loss, "lr": lr, "grad_norm": 1.0}
        for i, loss in enumerate(losses)
    ]
    for i, (loss, f1) in enumerate(points):
        metrics = {"macro_f1": f1, "accuracy": f1, "loss": loss}
        events.append({"event": "evaluate", "step": 100 * (i + 1), "split": "dev", "loss": loss, "metrics": metrics})
    return events


GOOD_CURVE = curve((0.4, 0.85), (0.3, 0.905), (0.28, 0.91), (0.28, 0.91))


def said(found, *parts):
    text = " ".join(found["sentences"])
    return all(part in text for part in parts)


def advised(found, part):
    return any(part in step for step in found["try_next"])


def test_a_clear_win_that_fits_well():
    metrics = run_metrics(model=0.91, baseline=0.80, dev=0.91, train=0.93)
    found = verdict(metrics, events=GOOD_CURVE, n_train=5000)
    assert (found["worth_it"], found["fit"]) == ("yes", "good")
    value = metrics["splits"]["test"]["values"]["macro_f1"]
    assert found["sentences"][0] == (
        f"On 1,000 test rows the model has {100 * value['value']:.1f}% macro F1 "
        f"(95% interval {100 * value['low']:.1f} to {100 * value['high']:.1f})."
    )
    assert said(found, "Fine-tuning is worth it here: it is 11.0 points of macro F1 better than TF-IDF with logistic")
    assert said(found, "regression (80.0%; 95% interval of the difference ")
    assert said(found, "In 100 texts it gets about 9 wrong instead of 20.", "It fits well")
    assert advised(found, 'Train half as long again: --set train.length="5 epochs"')


def test_a_baseline_that_is_as_good():
    found = verdict(run_metrics(model=0.85, baseline=0.88, n_test=4000, dev=0.85, train=0.87), n_train=5000)
    assert found["worth_it"] == "no"
    assert said(found, "Fine-tuning is not worth it here: it is 3.0 points of macro F1 worse than TF-IDF with logistic")


def test_a_gain_that_is_sure_but_small():
    gold = np.random.default_rng(0).integers(0, 2, 20_000)
    base = answers(gold, 0.95, n_classes=2)
    ours = base.copy()
    wrong = np.flatnonzero(base.argmax(axis=1) != gold)[:60]
    ours[wrong] = ours[wrong][:, ::-1]
    metrics = {
        "main": "macro_f1",
        "splits": {"test": measure(ours, gold, ["a", "b"], resamples=300)},
        "baselines": {"tfidf": measure(base, gold, ["a", "b"], resamples=5)},
        "comparison": {"baseline": "tfidf", **paired(base, ours, gold, ["a", "b"])},
    }
    found = verdict(metrics)
    assert found["worth_it"] == "unclear"
    assert said(found, "better here, but by little", "it is 0.3 points of macro F1 better")


def test_a_small_gain_at_the_top_matters_because_it_halves_the_mistakes():
    gold = np.random.default_rng(0).integers(0, 2, 20_000)
    base = answers(gold, 0.988, n_classes=2)
    ours = base.copy()
    wrong = np.flatnonzero(base.argmax(axis=1) != gold)[:120]
    ours[wrong] = ours[wrong][:, ::-1]
    comparison = {"baseline": "tfidf", **paired(base, ours, gold, ["a", "b"], resamples=200)}
    metrics = {"main": "macro_f1", "splits": {"test": measure(ours, gold, ["a", "b"], resamples=50)}}
    assert verdict({**metrics, "comparison": comparison})["worth_it"] == "yes"


def test_few_test_rows_cannot_tell_and_say_how_many_could():
    found = verdict(run_metrics(model=0.86, baseline=0.82, n_test=100, dev=0.86, n_dev=100, train=0.88), n_train=40)
    assert found["worth_it"] == "unclear"
    assert said(found, "cannot be told yet", "may be chance", "If it is real, about ", " test rows would show it.")
    assert said(found, "about 400 test rows would halve that")
    assert advised(found, "Label more rows: 40 rows to train on are few for 2 classes")
    assert advised(found, "few for 2 classes; to measure on, since 42% of them are test rows already")


def test_a_gain_that_cannot_matter_is_not_worth_it():
    gold = np.random.default_rng(0).integers(0, 2, 20_000)
    base = answers(gold, 0.85, n_classes=2)
    ours = base.copy()
    changed = np.random.default_rng(1).permutation(20_000)[:300]
    ours[changed] = ours[changed][:, ::-1]
    wrong = np.flatnonzero(ours.argmax(axis=1) != gold)[:260]
    ours[wrong] = ours[wrong][:, ::-1]
    comparison = {"baseline": "tfidf", **paired(base, ours, gold, ["a", "b"], resamples=300)}
    found = verdict(
        {"main": "macro_f1", "splits": {"test": measure(ours, gold, "ab", resamples=50)}, "comparison": comparison}
    )
    assert found["worth_it"] == "no"
    assert said(found, ", and better by 0.") and said(found, " at most.")


def test_a_few_rows_never_decide_however_clear_they_look():
    gold = np.array([0, 1] * 6)
    right, wrong = np.eye(2)[gold], np.eye(2)[1 - gold]
    comparison = {"baseline": "tfidf", **paired(wrong, right, gold, ["a", "b"])}
    assert comparison["low"] == 1.0
    found = verdict({"main": "macro_f1", "splits": {"test": measure(right, gold, "ab")}, "comparison": comparison})
    assert found["worth_it"] == "unclear"


@pytest.mark.parametrize(("n", "expected"), [(40, "unclear"), (2000, "no")])
def test_equal_answers_mean_no_gain_only_where_there_are_many(n, expected):
    gold = np.arange(n) % 2
    same = answers(gold, 0.9, n_classes=2)
    comparison = {"baseline": "tfidf", **paired(same, same, gold, ["a", "b"])}
    found = verdict({"main": "macro_f1", "splits": {"test": measure(same, gold, "ab")}, "comparison": comparison})
    assert found["worth_it"] == expected
    assert said(found, "it is level with TF-IDF with logistic regression (")


def test_without_baselines_it_says_that_it_cannot_tell():
    found = verdict(run_metrics(model=0.9, dev=0.9, train=0.92))
    assert found["worth_it"] == "unclear"
    assert said(found, "no simple baseline was measured")
    assert advised(found, "--set evaluate.baselines=true")


def test_over_fitting_is_a_gap_beyond_chance():
    metrics = run_metrics(model=0.82, baseline=0.7, dev=0.82, train=0.995)
    found = verdict(metrics, events=curve((0.5, 0.8), (0.45, 0.82), (0.5, 0.82), (0.7, 0.82)), n_train=300)
    assert found["fit"] == "over"
    assert said(found, "It over-fits: 99.5% macro F1 on training rows", "points of macro F1 is more than chance")
    assert said(found, "The dev loss was lowest at step 200 (0.450) and rose to 0.700 by step 400")
    assert said(found, "fitted the training rows rather than the task")
    assert advised(found, "Label more rows: the surest cure (300 to train on now)")
    assert advised(found, "--set model.dropout=0.2") and advised(found, "--set train.lr=2.5e-05")


def test_the_same_gap_on_few_dev_rows_is_not_called_over_fitting():
    found = verdict(run_metrics(model=0.9, dev=0.9, n_dev=30, train=0.97), n_train=300)
    assert found["fit"] == "unknown"
    assert said(found, "Over-fitting cannot be told", "with 30 rows such a gap may be chance")


def test_a_smaller_gap_counts_when_the_dev_loss_rose():
    metrics = run_metrics(model=0.93, dev=0.93, n_dev=4000, train=0.965, n_test=4000)
    rising = curve((0.3, 0.92), (0.25, 0.93), (0.3, 0.93), (0.4, 0.93))
    assert verdict(metrics, events=GOOD_CURVE)["fit"] == "good"
    assert verdict(metrics, events=rising)["fit"] == "over"


def test_a_rising_loss_with_a_rising_metric_is_overconfidence():
    metrics = run_metrics(model=0.91, dev=0.91, train=0.93)
    found = verdict(metrics, events=curve((0.4, 0.85), (0.3, 0.88), (0.36, 0.9), (0.4, 0.91)))
    assert said(found, "the later steps still brought 3.0 points of macro F1, but made the model too sure of itself")


def test_learning_nothing_is_under_fitting():
    metrics = run_metrics(model=0.5, baseline=0.6, dev=0.5, train=0.51, n_test=500)
    flat = curve((0.69, 0.34), (0.69, 0.34), (0.69, 0.34), losses=[0.69] * 300)
    found = verdict(metrics, events=flat, n_train=100)
    assert found["fit"] == "under"
    assert said(found, "The model has learnt next to nothing: it is right on 51.0% of the training rows and 50.0% of")
    assert advised(found, '--set train.length="6 epochs"') and advised(found, "--set train.lr=0.0001")


def test_a_loss_that_blew_up_wants_a_lower_rate():
    metrics = run_metrics(model=0.5, baseline=0.6, dev=0.5, train=0.5)
    up = curve((0.9, 0.34), (0.9, 0.34), losses=[0.7] * 100 + [0.9] * 100, lr=1e-3)
    found = verdict(metrics, events=up)
    assert found["fit"] == "under" and advised(found, "Try a lower learning rate: --set train.lr=0.0003")


def test_a_training_loss_that_stands_still_is_named():
    metrics = run_metrics(model=0.6, dev=0.6, train=0.61, n_classes=4)
    found = verdict(metrics, events=curve((1.3, 0.6), (1.3, 0.6), losses=[1.38] * 100 + [1.35] * 100))
    assert found["fit"] == "under" and said(found, "The training loss hardly moved, from 1.38 to 1.35")


def test_missing_its_own_training_rows_is_under_fitting():
    found = verdict(run_metrics(model=0.66, baseline=0.6, dev=0.66, train=0.68), events=GOOD_CURVE, data="my.csv")
    assert found["fit"] == "under"
    assert said(found, "It misses many of the very rows it learnt from")
    assert advised(found, "tunesmith check my.csv")


def test_who_has_hardly_learnt_does_not_over_fit_yet():
    found = verdict(run_metrics(model=0.1, baseline=0.6, dev=0.1, train=0.35), events=GOOD_CURVE)
    assert found["fit"] == "under"
    assert not said(found, "It over-fits")


def test_still_improving_at_the_end_is_under_fitting():
    metrics = run_metrics(model=0.88, dev=0.88, train=0.89)
    rising = curve((0.6, 0.7), (0.5, 0.78), (0.42, 0.84), (0.36, 0.88), epochs=2.0)
    found = verdict(metrics, events=rising)
    assert found["fit"] == "under"
    assert said(found, "It was still learning when training ended: the last third brought 10.0 points")
    assert advised(found, '--set train.length="4 epochs"')


def test_no_training_sample_leaves_the_fit_unknown():
    found = verdict(run_metrics(model=0.9, baseline=0.8))
    assert found["fit"] == "unknown" and said(found, "Over- or under-fitting cannot be told")


@pytest.mark.parametrize(
    ("dev", "test", "word", "advice"),
    [(0.92, 0.84, "harder", "Add training rows like the test rows"), (0.84, 0.92, "easier", "tunesmith check")],
)
def test_test_and_dev_that_disagree(dev, test, word, advice):
    found = verdict(run_metrics(model=test, dev=dev, train=0.93, n_dev=2000))
    assert said(found, f"The test rows are {word} than the dev rows, by ", "which is more than chance")
    assert advised(found, advice)


def test_test_and_dev_that_agree_are_not_mentioned():
    assert not said(verdict(run_metrics(model=0.9, dev=0.91, train=0.93)), "than the dev rows")


def test_no_mistake_is_not_sold_as_certainty():
    found = verdict(run_metrics(model=1.0, baseline=0.9, n_test=40, train=1.0, dev=1.0, n_dev=40))
    # The rule of three: 1 - 0.05 ** (1 / 40) is 7.2%.
    assert said(
        found, "It made no mistake in 40 test rows; that still leaves room for up to 7.2% of new texts to go wrong"
    )


def test_many_rows_need_no_remark():
    assert not said(verdict(run_metrics(model=0.9, n_test=4000)), "would halve that")


@pytest.mark.parametrize("scorer", [TranslationScorer, SummaryScorer])
@pytest.mark.parametrize(("n_same", "right", "named"), [(20, False, True), (20, True, False), (9, False, False)])
def test_the_same_text_to_all_is_named_where_it_is_wrong(scorer, n_same, right, named):
    written = ["Lost keys"] * n_same + [f"Lunch {i}" for i in range(24 - n_same)]
    gold = [["Lost keys", "keys"] if right else [f"Mail {i}"] for i in range(24)]
    test = measure_any(scorer(written, gold), resamples=5)
    found = verdict({"main": next(iter(test["values"])), "splits": {"test": test}})
    said = [text for text in found["sentences"] if '"Lost keys" to 20 of 24 test rows' in text]
    assert len(said) == named == any("writes already" in text for text in found["try_next"])


def weak(confusion, labels=COLOURS):
    """Return metrics with a given confusion matrix (rows gold, columns predicted)."""
    gold, answer = zip(
        *((g, p) for g, row in enumerate(confusion) for p, n in enumerate(row) for _ in range(n)), strict=True
    )
    k = len(confusion)
    return {"main": "macro_f1", "splits": {"test": measure(np.eye(k)[list(answer)], np.array(gold), labels[:k])}}


def test_the_weakest_class_is_named_with_what_it_is_taken_for():
    found = verdict(weak([[95, 3, 2], [4, 94, 2], [2, 17, 21]]), data="d.csv")
    assert said(found, 'The weakest class is "blue" (F1 64.6%): 17 of its 40 rows were taken for "green".')
    assert advised(found, 'Label more rows, above all of "blue", or keep back more of them to measure on: ')
    assert advised(
        found, 'Check that "blue" and "green" are told apart in the labels: the rows it mistook are in the report'
    )
    assert not advised(found, "class_weights")


def test_a_weak_class_that_attracts_others_is_named_so():
    found = verdict(weak([[70, 0, 30], [0, 99, 1], [1, 0, 39]]))
    assert said(found, 'The weakest class is "blue"', '30 of the 70 texts given this label were "red"')


def test_a_rare_weak_class_gets_class_weights_unless_it_has_them():
    metrics = weak([[195, 5, 0], [4, 196, 0], [6, 3, 6]])
    assert advised(verdict(metrics), "--set task.class_weights=balanced")
    assert not advised(verdict(metrics, settings={"task.class_weights": "balanced"}), "class_weights")


def test_classes_that_are_never_predicted_are_listed():
    found = verdict(weak([[90, 10, 0, 0], [5, 95, 0, 0], [6, 4, 0, 0], [1, 0, 0, 0]]))
    assert said(found, '"blue" and "grey" are never predicted: all 11 rows with such labels are missed.')
    one = verdict(weak([[90, 10, 0], [5, 95, 0], [1, 0, 0]]))
    assert said(one, '"blue" is never predicted: its only row is missed.')


def test_even_classes_are_not_ranked():
    assert not said(verdict(weak([[90, 10], [8, 92]])), "weakest")


def calibrated(metrics, *, before, temperature):
    metrics["splits"]["test"]["before_calibration"] = {"ece": before}
    metrics["calibration"] = {"temperature": temperature, "fitted_on": "dev"}
    return metrics


def test_confidence_that_can_be_believed():
    found = verdict(calibrated(run_metrics(model=0.9), before=0.083, temperature=1.6))
    assert said(found, "Its confidence can be believed: it is 0.0 points off on average (8.3 points before temperature")
    assert said(found, "T = 1.60).")


def test_confidence_that_is_too_high():
    found = verdict(run_metrics(model=0.8, confidence=0.99))
    assert said(found, "Take its confidence with care: it is 19.0 points off on average, mostly too high.")


def test_confidence_that_is_too_low_and_scaling_that_did_not_help():
    found = verdict(calibrated(run_metrics(model=0.95, confidence=0.7), before=0.1, temperature=2.0))
    assert said(
        found, "25.0 points off on average, mostly too low (10.0 points without temperature scaling, which did not"
    )


def test_a_calibration_error_of_few_rows_may_be_chance():
    found = verdict(run_metrics(model=0.8, confidence=0.86, n_test=40))
    assert said(found, "points off on average; with 40 rows that may be chance.")


def test_dev_stands_in_where_there_is_no_test():
    metrics = run_metrics(model=0.9, dev=0.9, train=0.92)
    del metrics["splits"]["test"]
    found = verdict(metrics)
    assert found["sentences"][0].startswith("On 500 dev rows the model has ")


def test_nothing_measured_says_so():
    found = verdict({"splits": {}})
    assert (found["worth_it"], found["fit"]) == ("unclear", "unknown")
    assert said(found, "nothing can be said about new texts") and advised(found, "--set data.split.test=0.2")


def test_a_metric_where_less_is_more():
    metrics = run_metrics(model=0.9, baseline=0.7, main="log_loss")
    found = verdict(metrics)
    assert found["worth_it"] == "yes"
    assert said(found, "of log loss better than TF-IDF with logistic regression (0.")


def test_a_main_metric_that_is_undefined_is_said():
    metrics = run_metrics(model=0.9, main="auroc", shares=[1.0, 0.0])
    assert said(verdict(metrics), "The AUROC is undefined on these 1,000 rows.")


def scenarios():
    """A few hundred runs of all kinds."""
    sizes, levels = (1, 7, 60, 1500), (0.0, 0.55, 0.9, 1.0)
    for n_test, model, baseline, n_classes in itertools.product(sizes, levels, (None, 0.5, 0.9), (2, 4)):
        metrics = run_metrics(
            model=model, baseline=baseline, n_test=n_test, n_classes=n_classes, dev=0.8, n_dev=50, train=0.9
        )
        for events in ([], GOOD_CURVE, curve((0.3, 0.9), (0.5, 0.8), (0.9, 0.85))):
            yield verdict(calibrated(metrics, before=0.1, temperature=1.5), events=events, n_train=n_test * 3)


def test_every_verdict_is_well_formed():
    for found in scenarios():
        assert found["worth_it"] in ("yes", "no", "unclear") and found["fit"] in ("over", "under", "good", "unknown")
        assert len(found["sentences"]) >= 3 and 1 <= len(found["try_next"]) <= MOST_ADVICE
        assert len(set(found["try_next"])) == len(found["try_next"])
        advised_settings = re.findall(r"--set (\S+?)=", " ".join(found["try_next"]))
        assert len(set(advised_settings)) == len(advised_settings)
        assert sum("Label more" in step for step in found["try_next"]) <= 1
        for sentence in found["sentences"]:
            assert re.fullmatch(r'["A-Z].*[.]', sentence), sentence
            assert not re.search(r"nan|None|inf\b|  |-0\.0|\.\.|\{|\}", sentence), sentence
        json.dumps(found, allow_nan=False)


def test_every_advised_setting_exists():
    from tunesmith.data.spec import DataSpec
    from tunesmith.engine.spec import EvaluateSpec, TrainSpec
    from tunesmith.models.spec import ModelSpec
    from tunesmith.tasks.text_classification import TextClassification

    specs = {
        "data": DataSpec,
        "train": TrainSpec,
        "evaluate": EvaluateSpec,
        "model": ModelSpec,
        "task": TextClassification,
    }
    advice = {step for found in scenarios() for step in found["try_next"]}
    advice |= set(verdict(weak([[195, 5, 0], [4, 196, 0], [6, 3, 6]]))["try_next"])
    advice |= set(verdict(run_metrics(model=0.8, dev=0.8, train=1.0), events=GOOD_CURVE)["try_next"])
    keys = {key for step in advice for key in re.findall(r"--set ([\w.]+)=", step)}
    assert {"task.class_weights", "model.dropout", "train.lr", "data.split.test"} <= keys
    for key in keys:
        package, name, *rest = key.split(".")
        field = specs[package].model_fields[name]
        assert not rest or rest[0] in field.annotation.model_fields
        value = next(re.search(rf'--set {key}="?([^" ]+(?: epochs)?)', s) for s in advice if f"--set {key}=" in s)[1]
        if not rest:
            specs[package].model_validate({name: value})


@pytest.mark.parametrize(("n", "expected"), [(3, 3), (41, 41), (123, 130), (1234, 1300), (98_765, 99_000), (0.5, 1)])
def test_rough_numbers(n, expected):
    assert rough(n) == expected


def test_rare_classes_found_at_the_price_of_accuracy_are_not_nothing():
    """Accuracy below the largest class's share, but a real relation: no verdict of nothing learnt."""
    metrics = weak([[800, 130], [15, 55]])
    metrics["splits"]["train"] = {"n_rows": 500, "values": {"accuracy": {"value": 0.86}, "macro_f1": {"value": 0.68}}}
    assert not said(verdict(metrics), "learnt next to nothing")


def with_rare_classes(*, n_rare=3, counted=True):
    """A model that knows its eight large classes, and none of the rare ones of one training row each."""
    n, rows = 8 + n_rare, 50
    labels = [f"c{i}" for i in range(n)]
    gold = np.repeat(np.arange(8), rows)
    train_gold = np.concatenate([gold, np.arange(8, n)])
    answer = np.concatenate([gold, np.zeros(n_rare, dtype=int)])
    dev = answers(gold, 0.92, n_classes=8, seed=2)
    dev = np.pad(dev, ((0, 0), (0, n_rare)))
    train = measure(np.eye(n)[answer], train_gold, labels, resamples=1)
    wanted = ("n_rows", "values", "per_class") if counted else ("n_rows", "values")
    splits = {"test": measure(dev, gold, labels), "dev": measure(dev, gold, labels)}
    return {"main": "macro_f1", "splits": {**splits, "train": {key: train[key] for key in wanted}}}


def test_classes_that_dev_lacks_are_not_held_against_training():
    metrics = with_rare_classes()
    assert metrics["splits"]["train"]["values"]["macro_f1"]["value"] < 0.75
    found = verdict(metrics, events=GOOD_CURVE)
    assert found["fit"] == "over"
    assert said(
        found, "99.6% macro F1 on training rows, ", "(the dev rows lack 3 of the 11 classes, which are left out)"
    )


def test_without_counts_by_class_accuracy_is_compared_where_classes_are_missing():
    found = verdict(with_rare_classes(counted=False), events=GOOD_CURVE)
    assert found["fit"] == "over"
    assert said(found, "99.3% accuracy on training rows, ", "(accuracy, because the dev rows lack 3 of the 11 classes)")
    assert said(verdict(with_rare_classes(n_rare=0)), "100.0% macro F1 on training rows")


def test_longer_training_is_not_advised_where_patience_ended_it():
    metrics = run_metrics(model=0.66, baseline=0.6, dev=0.66, train=0.68)
    events = curve((0.6, 0.7), (0.5, 0.78), (0.5, 0.7), (0.5, 0.7), epochs=7.0)
    plan = {"train.length": "15 epochs", "evaluate.patience": 3}
    found = verdict(metrics, events=events, settings=plan)
    assert advised(found, "--set evaluate.patience=6 (training ended at epoch 7 of 15, after 3 measurements without")
    assert not advised(found, "train.length")
    assert advised(verdict(metrics, events=events, settings={"train.length": "7 epochs"}), '="14 epochs"')
    in_steps = verdict(metrics, events=events, settings={"train.length": "400 steps"})
    assert advised(in_steps, 'Train longer: --set train.length="800 steps"')
    stopped = verdict(metrics, events=events, settings={"train.length": "900 steps", "evaluate.patience": 3})
    assert advised(stopped, "ended at step 400 of 900")


def test_no_preset_is_advised_where_the_length_is_what_it_would_change():
    assert not any(advised(found, "--preset") for found in scenarios())


@pytest.mark.parametrize(
    ("n_train", "settings", "part"),
    [
        (340, {}, "keep back more of them to measure on: --set data.split.test=0.3"),
        (100, {"data.split.test": 0.3}, "Label more rows: to measure on, since 50% of them are test rows already"),
        (3000, {}, "--set data.split.test=0.2"),
        (3000, {"data.test": ["t.csv"]}, "Label more rows: also in your test file, to measure on"),
    ],
)
def test_a_share_that_is_in_force_is_not_advised(n_train, settings, part):
    metrics = run_metrics(model=0.86, dev=0.86, train=0.87, n_test=100, n_dev=60)
    if n_train == 100:
        del metrics["splits"]["dev"]
    assert advised(verdict(metrics, n_train=n_train, settings=settings), part)


def test_all_reasons_to_label_more_rows_are_one_piece_of_advice():
    every = [
        MoreRows(("blue",)),
        MoreRows(why="the surest cure"),
        MoreRows(setting="--set data.split.test=0.2", purpose="to measure on"),
        MoreRows(("red", "blue")),
        MoreRows(setting="--set data.split.dev=0.2", purpose="to judge by"),
    ]
    assert label_more(every) == (
        "Label more rows, above all of blue and red: the surest cure; or keep back more of them to measure on and to "
        "judge by: --set data.split.test=0.2 --set data.split.dev=0.2"
    )
    assert label_more(every[:1]) == "Label more rows of blue"
    assert label_more(every[2:3]) == (
        "Label more rows, or keep back more of them to measure on: --set data.split.test=0.2"
    )


def test_dev_rows_are_asked_for_as_what_they_are():
    metrics = run_metrics(model=0.8, confidence=0.99)
    found = verdict(metrics, n_train=4000)
    assert advised(found, "Keep back dev rows to set its confidence by, there are none now: --set data.split.dev=0.2")
    found = verdict(metrics, n_train=4000, settings={"evaluate.calibrate": False})
    assert advised(found, "--set evaluate.calibrate=true")


def test_what_holds_back_already_is_not_advised():
    metrics = run_metrics(model=0.82, dev=0.82, train=0.995)
    assert advised(verdict(metrics, settings={"model.dropout": 0.2}), "a little: --set task.label_smoothing=0.1")
    both = {"model.dropout": 0.3, "task.label_smoothing": 0.1}
    assert not advised(verdict(metrics, settings=both), "Hold it back")


def numbers(errors, *, seed=0):
    """Return a scorer of 300 numbers with errors of some size."""
    from tunesmith.metrics.regression import RegressionScorer

    rng = np.random.default_rng(seed)
    gold = rng.normal(3, 1, 300)
    return RegressionScorer(gold + errors * np.random.default_rng(seed + 1).normal(size=300), gold)


def test_numbers_are_judged_in_their_own_words():
    from tunesmith.metrics.compare import paired as paired_scorers
    from tunesmith.metrics.scorer import measure as measure_scorer

    model, ridge, mean = numbers(0.4), numbers(1.5), numbers(0.0)
    mean.predicted[:] = 3
    pair = paired_scorers(ridge, model, metric="pearson", names=("tfidf_ridge", "model"), resamples=50)
    metrics = {
        "main": "pearson",
        "splits": {
            "test": measure_scorer(model, resamples=50),
            "train": {"n_rows": 500, "values": {"pearson": {"value": 0.99}}},
        },
        "baselines": {"tfidf_ridge": measure_scorer(ridge, resamples=50)},
        "comparison": {"baseline": "tfidf_ridge", **pair},
    }
    found = verdict(metrics, n_train=40, settings={"task.kind": "text-regression"})
    assert found["worth_it"] == "yes"
    assert said(
        found, "of Pearson correlation better than TF-IDF with ridge regression (0.", "On average it is off by 0.2"
    )
    text = " ".join([*found["sentences"], *found["try_next"]])
    for wrong in ("points", "class", "label_smoothing", "0%", "wrong instead"):
        assert wrong not in text
    assert advised(found, "40 to train on now")


def test_labels_are_judged_in_their_own_words():
    from tunesmith.metrics.multilabel import MultiLabelScorer
    from tunesmith.metrics.scorer import measure as measure_scorer

    rng = np.random.default_rng(0)
    gold = rng.random((400, 3)) < 0.4
    wrong = rng.random((400, 3)) < np.array([0.05, 0.05, 0.4])
    scorer = MultiLabelScorer(np.where(gold ^ wrong, 0.9, 0.1), gold ^ wrong, gold, ["joy", "anger", "awe"], [0.5] * 3)
    found = verdict({"main": "macro_f1", "splits": {"test": measure_scorer(scorer, resamples=50)}}, n_train=80)
    assert said(found, 'The weakest label is "awe" (F1 ', "it is found in ", "right in ")
    measured, told = measure_scorer(scorer, resamples=50), {"n_rows": 400, "values": {"macro_f1": {"value": 0.99}}}
    easy = {**measured, "values": {**measured["values"], "macro_f1": {"value": 0.98, "low": 0.97, "high": 0.99}}}
    splits = {"test": measured, "dev": easy, "train": told}
    metrics = {"main": "macro_f1", "splits": splits, "calibration": {"thresholds": {"joy": 0.5}}}
    text = " ".join(verdict(metrics, n_train=80)["sentences"])
    assert "than the dev rows" not in text  # thresholds were set on these
    assert "on test rows" in text
    assert "taken for" not in " ".join(found["sentences"])
    assert advised(found, 'Check that "awe" stands wherever it belongs: the rows it mistook are in the report')


def writing(*, train, dev, losses):
    """Return the verdict on a model of translations with these perplexities and dev losses on the way."""
    shown = {"n_rows": 400, "values": {"bleu": {"value": 0.3, "low": 0.28, "high": 0.32}}}
    surprise = {"perplexity": {"value": dev, "low": dev - 0.2, "high": dev + 0.2}}
    splits = {
        "test": shown,
        "dev": {"n_rows": 400, "values": {**shown["values"], **surprise}},
        "train": {"n_rows": 2000, "values": {"loss": {"value": 1.0}, "perplexity": {"value": train}}},
    }
    events = curve(*((loss, 0.5) for loss in losses))
    for event in events:
        if event["event"] == "evaluate":
            event["metrics"] = {"perplexity": np.exp(event["loss"])}
    return verdict({"main": "bleu", "judged": "perplexity", "splits": splits}, events=events, n_train=5000)


def test_models_that_write_are_judged_by_what_surprises_them():
    found = writing(train=4.0, dev=6.0, losses=(2.0, 1.7, 1.72, 1.79))
    assert found["fit"] == "over"
    assert said(found, "the model has 30.0 BLEU", "It over-fits: 4.000 perplexity on training rows, 6.000 on dev rows")
    assert advised(found, "Bring more texts with their targets: the surest cure (5,000 to train on now)")
    assert not advised(found, "Label more")
    assert writing(train=5.9, dev=6.0, losses=(2.0, 1.792, 1.791, 1.79))["fit"] == "good"


def test_a_model_that_still_learns_does_not_over_fit_however_well_it_knows_its_texts():
    found = writing(train=4.0, dev=6.0, losses=(2.3, 2.1, 1.9, 1.79))
    assert found["fit"] == "under"
    assert said(found, "the last third brought 2.177 of perplexity on dev rows")
    assert advised(found, "Train longer")


def test_what_rows_do_not_have_one_of_is_a_label_not_a_class():
    metrics = run_metrics(model=0.86, baseline=0.82, n_test=100, dev=0.86, n_dev=100, train=0.88)
    test = metrics["splits"]["test"]
    metrics["splits"]["test"] = {key: test[key] for key in ("n_rows", "values", "per_class")}
    assert advised(verdict(metrics, n_train=40), "40 rows to train on are few for 2 labels")


def test_a_tagger_that_finds_nothing_is_said_to_first_of_all():
    from tunesmith.metrics.scorer import measure as measure_scorer
    from tunesmith.metrics.spans import SpanScorer

    gold = [["O", "B-person", "I-person"], ["B-place", "O", "O"]] * 30
    splits = {"test": measure_scorer(SpanScorer([["O"] * 3] * 60, gold), resamples=20)}
    splits["train"] = {"n_rows": 200, "values": {"entity_f1": {"value": 0.0}}}
    comparison = {"value": -0.05, "low": -0.1, "high": -0.01, "n_rows": 60, "a_value": 0.05, "a": "frequent_tags"}
    found = verdict(
        {"main": "entity_f1", "splits": splits, "comparison": comparison},
        events=curve((0.4, 0.0), epochs=4.0), n_train=100, settings={"train.length": "4 epochs"},
    )  # fmt: skip
    assert found["sentences"][0] == "The model found no entity at all, of 60 in 60 test rows."
    assert found["worth_it"] == "no" and advised(found, 'Train longer: --set train.length="8 epochs"')
    assert sum("train.length" in step for step in found["try_next"]) == 1
    one = measure_scorer(SpanScorer([["B-place", "O", "O"]] * 60, gold), resamples=20)
    assert not said(verdict({"main": "entity_f1", "splits": {"test": one}}), "no entity")
    none = measure_scorer(SpanScorer([["O"] * 3] * 60, [["O"] * 3] * 60), resamples=20)
    assert not said(verdict({"main": "entity_f1", "splits": {"test": none}}), "no entity")


def test_few_test_rows_are_the_reason_where_the_interval_is_none():
    found = verdict(run_metrics(model=0.3, baseline=0.95, n_test=15, dev=None, train=0.9), n_train=60)
    assert found["worth_it"] == "unclear"
    assert said(found, "but 15 test rows are too few to tell by.") and not said(found, "which may be chance.")


def test_rows_that_are_all_alike_tell_nothing_of_the_others():
    """Resampled, they have an interval without a width."""
    metrics = run_metrics(model=0.85, dev=1.0, train=0.9, n_test=40, n_dev=20, confidence=0.9)
    assert metrics["splits"]["dev"]["values"]["macro_f1"]["low"] == 1
    assert not said(verdict(metrics, n_train=200), "harder than the dev rows")
    value = {"value": 24_000.0, "low": 24_000.0, "high": 24_000.0}
    lone = {
        "test": {"n_rows": 1, "values": {"perplexity": value}},
        "train": {"n_rows": 1, "values": {"perplexity": {"value": 1300.0}}},
    }
    found = verdict({"main": "perplexity", "splits": lone}, n_train=1)
    assert found["fit"] == "unknown" and said(found, "with 1 row such a gap may be chance")


def test_less_than_twenty_rows_are_not_said_to_come_from_elsewhere():
    found = [verdict(run_metrics(model=0.5, dev=0.95, train=0.95, n_test=200, n_dev=n)) for n in (19, 200)]
    assert [said(one, "harder than the dev rows") for one in found] == [False, True]


def test_what_over_fits_or_makes_no_mistake_is_not_to_learn_longer():
    over = verdict(run_metrics(model=0.7, baseline=0.69, dev=0.7, train=0.99), events=GOOD_CURVE, n_train=90)
    assert over["fit"] == "over" and not advised(over, "half as long again")
    perfect = verdict(run_metrics(model=1.0, baseline=0.7, dev=1.0, train=1.0), events=GOOD_CURVE, n_train=90)
    assert perfect["worth_it"] == "yes" and not advised(perfect, "half as long again")


@pytest.mark.parametrize("learnt", [30, 300])
def test_weights_are_advised_for_what_is_rare_where_it_is_learnt(learnt):
    metrics = run_metrics(model=0.7, n_classes=3, dev=None, n_test=300, shares=(0.48, 0.48, 0.04))
    classes = metrics["splits"]["test"]["per_class"]
    blue = next(entry for entry in classes if entry["label"] == "blue")
    blue["f1"] = {"value": 0.2}
    counts = {"red": 300, "green": 300, "blue": learnt}
    metrics["splits"]["train"] = {
        "n_rows": sum(counts.values()),
        "values": {name: {"value": 0.72} for name in ("accuracy", "macro_f1", "loss")},
        "per_class": [{**entry, "support": counts[entry["label"]]} for entry in classes],
    }
    assert advised(verdict(metrics, n_train=600 + learnt), "class_weights=balanced") is (learnt == 30)


def test_a_share_that_few_rows_fell_short_of_is_not_advised():
    found = verdict(run_metrics(model=0.8, dev=None, train=0.8, n_test=13), n_train=76)
    assert advised(found, "data.split.test=0.3") and not advised(found, "data.split.test=0.2")


def test_advice_to_a_task_among_others_is_what_their_recipe_takes():
    metrics = run_metrics(model=0.62, baseline=0.55, train=0.63, dev=0.62)
    events = [event | {"step": 2 * event["step"]} for event in GOOD_CURVE]  # every other turn is another task's
    settings = {"train.length": "400 steps", "evaluate.patience": 3}
    among = Together("topics", 2, n_updates=800, has_own_length=True)
    found = verdict(metrics, events=events, settings=settings, together=among)
    assert advised(found, 'Train longer: --set tasks.topics.train.length="800 steps"')
    shared = verdict(metrics, events=events, settings=settings, together=replace(among, has_own_length=False))
    assert advised(shared, 'Train longer: --set train.length="800 steps"'), "twice 800 updates, of two tasks"
    ended = verdict(metrics, events=events, settings=settings, together=replace(among, n_updates=2000))
    assert advised(ended, "--set multitask.patience=6 (training ended at step 800 of 2,000, after 3 measurements")
    for one in (found, shared, ended):
        assert not any(re.search(r"--set (task|data|evaluate)\.", advice) for advice in one["try_next"])
    rare = run_metrics(model=0.9, baseline=0.8, n_classes=3, shares=(0.9, 0.07, 0.03))
    weights = [one for one in verdict(rare, together=among)["try_next"] if "class_weights" in one]
    assert weights and weights == [one.replace("--set task.", "--set tasks.topics.task.") for one in weights]
