"""The numbers in plain words: was fine-tuning worth it, does the model over- or under-fit, what to try next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

NAMES = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "tfidf": "TF-IDF with logistic regression",
    "majority": "always saying the most frequent class",
}
GAP = 0.05
RISE = 0.02


def verdict(metrics: Mapping[str, Any], *, events: Sequence[Mapping[str, Any]], n_train: int) -> dict[str, Any]:
    """Return worth_it ("yes", "no", "unclear"), fit ("over", "under", "good", "unknown"), sentences, try_next."""
    split = next((name for name in ("test", "dev") if name in metrics["splits"]), None)
    if split is None:
        return {
            "worth_it": "unclear",
            "fit": "unknown",
            "sentences": ["Nothing was measured: there are neither test nor dev rows."],
            "try_next": ["keep some rows back: --set data.split.test=0.2"],
        }
    worth, sentences = _worth(metrics, split)
    fit, fit_sentence, fit_next = _fit(metrics, split, events)
    more, next_steps = _weak_spots(metrics["splits"][split], n_train)
    return {
        "worth_it": worth,
        "fit": fit,
        "sentences": [*sentences, fit_sentence, *more],
        "try_next": [*fit_next, *next_steps, *_more_data(worth, n_train)],
    }


def _points(value: float) -> str:
    return f"{100 * value:.1f}"


def _worth(metrics: Mapping[str, Any], split: str) -> tuple[str, list[str]]:
    main = metrics["main"]
    entry = metrics["splits"][split]["values"][main]
    name = NAMES.get(main, main)
    sentence = f"The model reaches {name} {_points(entry['value'])} on {metrics['splits'][split]['n_rows']:,} {split} rows"
    sentence += f" (95% interval {_points(entry['low'])} to {_points(entry['high'])})."
    comparison = metrics.get("comparison")
    if not comparison:
        return "unclear", [sentence, "No baseline was measured, so it is open whether fine-tuning was worth it."]
    base = NAMES[comparison["baseline"]]
    other = metrics["baselines"][comparison["baseline"]]["values"][main]["value"]
    gain, low, high = entry["value"] - other, comparison["low"], comparison["high"]
    interval = f"{_points(gain)} points, 95% interval {_points(low)} to {_points(high)}"
    if low > 0:
        return "yes", [sentence, f"Fine-tuning is worth it here: it beats {base} ({_points(other)}) by {interval}."]
    if high < 0:
        return "no", [sentence, f"Fine-tuning is not worth it here: {base} does better ({_points(other)}; {interval})."]
    return "unclear", [sentence, f"Whether fine-tuning beats {base} ({_points(other)}) can't be told from these rows ({interval})."]


def _fit(metrics: Mapping[str, Any], split: str, events: Sequence[Mapping[str, Any]]) -> tuple[str, str, list[str]]:
    train = metrics["splits"].get("train", {}).get("values", {}).get("accuracy", {}).get("value")
    held = metrics["splits"][split]["values"]["accuracy"]
    if train is None:
        return "unknown", "Over- and under-fitting were not measured.", []
    shown = f"(accuracy {_points(train)} on training rows, {_points(held['value'])} on {split} rows)"
    losses = [e["loss"] for e in events if e.get("event") == "evaluate" and e.get("loss") is not None]
    rising = len(losses) > 1 and losses[-1] > min(losses) + RISE
    if train - held["high"] > GAP:
        also = ", and the dev loss rose after its best point" if rising else ""
        steps = ["label more rows", '--set model.dropout=0.2, or fewer epochs: --set train.length="3 epochs"']
        return "over", f"It over-fits {shown}{also}: it knows its training rows better than new ones.", steps
    majority = metrics.get("baselines", {}).get("majority", {}).get("values", {}).get("accuracy", {}).get("value", 0.0)
    if train < majority + 0.05 or (train < 0.7 and train - held["value"] < 0.02):
        return "under", f"It under-fits {shown}: it has not learnt its own training rows.", ["--preset best", "--set train.lr=2e-4"]
    return "good", f"It neither over- nor under-fits much {shown}.", []


def _weak_spots(measured: Mapping[str, Any], n_train: int) -> tuple[list[str], list[str]]:
    sentences, steps = [], []
    main = measured["values"]["accuracy"]
    half = (main["high"] - main["low"]) / 2
    if half > 0.04:
        wanted = round(measured["n_rows"] * (half / 0.02) ** 2, -2)
        sentences.append(f"The interval is wide: for +-2 points about {wanted:,.0f} rows would have to be measured.")
    seen = [(i, c) for i, c in enumerate(measured["per_class"]) if c["support"]]
    if len(seen) > 2:
        index, worst = min(seen, key=lambda item: item[1]["f1"]["value"] or 0)
        row = [n if j != index else -1 for j, n in enumerate(measured["confusion"][index])]
        if max(row) > 0:
            other = measured["labels"][row.index(max(row))]
            sentences.append(
                f'The weakest class is "{worst["label"]}" (F1 {_points(worst["f1"]["value"] or 0)}), most often taken for "{other}".'
            )
            steps.append(f'label more rows of "{worst["label"]}", or look at its errors in the report')
    ece = measured["values"].get("ece", {}).get("value")
    if ece is not None and ece > 0.1:
        sentences.append(f"Its probabilities are off by {_points(ece)} points on average: do not read them as chances.")
        steps.append("keep dev rows to calibrate on: --set data.split.dev=0.1")
    return sentences, steps


def _more_data(worth: str, n_train: int) -> list[str]:
    return ["label a few hundred more rows: with so few, that helps most"] if worth != "yes" and n_train < 1000 else []
