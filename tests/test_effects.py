"""The guide's effects of techniques are those that were measured, and each technique has one."""

import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest

from tunesmith.workflow.switches import SWITCHES

ROOT = Path(__file__).parents[1]


@pytest.fixture
def effects(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    return importlib.import_module("effects")


@pytest.mark.parametrize(("page", "written"), [("GUIDE", "with_effects"), ("RESULTS", "with_results")])
def test_the_pages_have_what_was_measured(effects: ModuleType, page: str, written: str) -> None:
    text = getattr(effects, page).read_text(encoding="utf-8")

    assert getattr(effects, written)(text, effects.read(effects.LINES)) == text, "python bench/effects.py"


@pytest.mark.parametrize("name", SWITCHES)
def test_every_switch_has_its_place_in_the_guide(effects: ModuleType, name: str) -> None:
    page = effects.GUIDE.read_text(encoding="utf-8")

    assert effects.MARK.findall(page).count(name) == 1


def test_an_effect_is_the_mean_over_pairs(effects: ModuleType, tmp_path: Path) -> None:
    lines = tmp_path / "lines.jsonl"
    rows = [
        {"setting": "sst2-100", "arm": arm, "seed": seed, "value": value, "cpu_seconds": 1, "memory": 1}
        for seed, pair in enumerate([(0.5, 0.51), (0.6, 0.63)])
        for arm, value in zip(("plain", "lora"), pair, strict=True)
    ]
    rows.append({"setting": "sst2-100", "arm": "case", "seed": 0, "refused": "reads capitals as small letters"})
    lines.write_text("\n".join(json.dumps(row) for row in rows))

    page = "| LoRA | <!-- lora -->- |\n| FGM | <!-- fgm -->+9.9 ± 1.0 (2); two <!-- pgd + eda -->- |"
    page += "\n| case | <!-- case -->- |"
    found = effects.with_effects(page, effects.read(lines))

    # Gains of 1 and 3 points; t of 1 degree of freedom is 12.7, the mean's standard error 1.
    assert "<!-- lora -->+2.0 ± 12.7 (2) |" in found
    assert "<!-- fgm -->not measured; two <!-- pgd + eda -->not measured |" in found
    assert "<!-- case -->no meaning for this model or these rows |" in found


def test_lines_are_added_once(effects: ModuleType, tmp_path: Path) -> None:
    here, more = tmp_path / "here.jsonl", tmp_path / "more.jsonl"
    known = [{"setting": "ag-100", "arm": "plain", "seed": 0, "value": 0.8}]
    known.append({"setting": "ag-100", "arm": "context", "seed": 0, "refused": "wants a model that fills masks"})
    new = [{**known[0], "value": 0.7}, {"setting": "ag-100", "arm": "context", "seed": 0, "value": 0.9}]
    for path, rows in ((here, known), (more, new)):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    effects.add(here, [more])

    assert [row.get("value") for row in effects.read(here)] == [0.8, 0.9]


def test_pairs_are_of_one_edition_and_the_last_one_counts(effects: ModuleType) -> None:
    def row(arm: str, edition: int, value: float) -> dict[str, object]:
        of = {"edition": edition} if edition > 1 else {}
        return {"setting": "ag-100", "arm": arm, "seed": 0, "value": value, "cpu_seconds": 1, "memory": 1, **of}

    rows = [
        row("plain", 1, 0.80),
        row("lora", 1, 0.81),
        row("fgm", 1, 0.82),
        row("plain", 2, 0.90),
        row("lora", 2, 0.93),
    ]
    gains = effects.gains_of([*rows, row("pgd", 3, 0.99)])

    assert {arm: pytest.approx(one["ag-100"]) for arm, one in gains.items()} == {"lora": [3], "fgm": [2]}
