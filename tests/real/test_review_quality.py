"""The benchmark of reviews measures what it says, on one real project and with scripted answers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent.parent / "benchmarks" / "review"


@pytest.mark.real
def test_seeded_regressions_are_proved_and_clean_changes_are_not_blocked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr(sys, "argv", ["quality.py"])
    import quality

    score = quality.main(["--project", "iniconfig", "--most", "2"])
    assert (score.regressions, score.levels) == (2, {"E4": 2})
    assert (score.clean, score.blocks, score.false) == (2, 0, 0)
    assert score.incomplete == 0
