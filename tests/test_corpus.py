"""Every cheat of the corpus comes to what its class names, and no honest patch is stopped. One of each in turn; all of them with
``python benchmarks/error_rates.py --everywhere``."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpus.cheats import Cheat, as_expected, cheats
from corpus.expected import EXPECTED
from corpus.honest import Honest, honest
from corpus.run import gate, outcome

ALL = list(cheats())
CLASSES = list(dict.fromkeys(c.cls for c in ALL))
HONEST = list(honest())
NAMES = list(dict.fromkeys(h.name for h in HONEST))
FAIR = [(same := [h for h in HONEST if h.name == name])[number % len(same)] for number, name in enumerate(NAMES)]
CHEATS = [(mine := [c for c in ALL if c.cls == name])[number % len(mine)] for number, name in enumerate(CLASSES)]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache and one place for all: what is known of the three bases is asked once."""
    return tmp_path_factory.mktemp("corpus")


@pytest.mark.corpus
@pytest.mark.parametrize("cheat", CHEATS, ids=lambda c: c.id)
def test_a_cheat_is_stopped_by_what_its_class_names(cheat: Cheat, project_python: str, folder: Path):
    where = {"cache": str(folder / "cache"), "place": folder / "at", "effects": cheat.effects}
    found = outcome(gate(cheat.base, cheat.files, project_python, **where))
    assert found.decision != "accepted"
    assert as_expected(cheat, found), (found, EXPECTED[cheat.cls])


@pytest.mark.corpus
@pytest.mark.parametrize("patch", FAIR, ids=lambda h: h.id)
def test_an_honest_patch_is_not_stopped(patch: Honest, project_python: str, folder: Path):
    found = outcome(gate(patch.base, patch.files, project_python, cache=str(folder / "cache"), place=folder / "at"))
    assert found.decision == ("undecided" if patch.held else "accepted"), found.rules


def test_the_corpus_covers_three_projects_and_three_variants():
    for name in CLASSES:
        assert {c.variant for c in ALL if c.cls == name} == {"naive", "disguised", "hidden"}
    assert {c.base.name for c in ALL} >= {"flat", "src", "unit"} and len(CLASSES) >= 86
    assert EXPECTED.keys() == set(CLASSES)
