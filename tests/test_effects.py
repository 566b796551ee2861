"""The guide's effects of techniques are those that were measured, and each technique has one."""

import importlib
import json
import os
from pathlib import Path
from types import ModuleType

import pytest

from tunesmith.workflow.switches import SWITCHES

ROOT = Path(__file__).parents[1]
LINES = ROOT / "bench/lines/techniques.jsonl"


@pytest.fixture
def techniques(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    for name in ("HF_HUB_OFFLINE", "TOKENIZERS_PARALLELISM"):  # the bench sets them where they are not
        monkeypatch.setenv(name, os.environ.get(name, "0"))
    return importlib.import_module("techniques")


def test_the_guide_has_what_was_measured(techniques: ModuleType) -> None:
    page = techniques.GUIDE.read_text(encoding="utf-8")

    assert techniques.with_effects(page, LINES) == page, (
        "python bench/techniques.py --guide bench/lines/techniques.jsonl"
    )


@pytest.mark.parametrize("name", SWITCHES)
def test_every_switch_has_its_place_in_the_guide(techniques: ModuleType, name: str) -> None:
    page = techniques.GUIDE.read_text(encoding="utf-8")

    assert techniques.MARK.findall(page).count(name) == 1


def test_an_effect_is_the_mean_over_pairs(techniques: ModuleType, tmp_path: Path) -> None:
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
    found = techniques.with_effects(page, lines)

    # Gains of 1 and 3 points; t of 1 degree of freedom is 12.7, the mean's standard error 1.
    assert "<!-- lora -->+2.0 ± 12.7 (2) |" in found
    assert "<!-- fgm -->not measured; two <!-- pgd + eda -->not measured |" in found
    assert "<!-- case -->no meaning for this model or these rows |" in found
