"""`kill -9` at random moments; `bench/kill.py` does it 20 times."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

from kill import fire


def test_a_killed_run_resumes_to_the_same_weights():
    lines: list[str] = []
    assert fire(3, seed=1, say=lines.append) == 0
    assert len(lines) == 3
