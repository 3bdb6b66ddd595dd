"""Tests that ask what they asked, of what is called otherwise now."""

from __future__ import annotations

import pytest
from conftest import Repo, counting, findings, policy

from pytest_agentgate.checks.tests.renames import _alike

CODE = "def _algin(text):\n    return text.strip()\n\n\ndef show(text):\n    return _algin(text) + '.'\n"
TEST = "import table\nfrom table import _algin\n\n\ndef test_algin():\n    assert _algin(' a ') == 'a'\n    assert table._algin('b') == 'b'\n\n\ndef test_show():\n    assert table.show('a') == 'a.'\n"


@pytest.fixture
def table(repo: Repo) -> Repo:
    repo.commit({"table.py": CODE, "test_table.py": TEST, "pyproject.toml": policy("pytest")})
    return repo


def renamed(text: str) -> str:
    return text.replace("_algin", "_align")


@pytest.mark.parametrize(
    "test",
    [
        renamed(TEST).replace("test_align", "test_algin"),
        renamed(TEST),
        renamed(TEST) + "\n\ndef test_more():\n    assert table.show('') == '.'\n",
    ],
)
def test_a_private_name_that_is_renamed_with_its_tests_is_noted(table: Repo, test: str):
    report = table.write(**{"table.py": renamed(CODE), "test_table.py": test}).gate()
    assert report.verdict.decision == "accepted", counting(report)
    assert findings(report, "pytest/expectation-changed") or findings(report, "pytest/test-removed")


@pytest.mark.parametrize(
    ("code", "test"),
    [
        (renamed(CODE), renamed(TEST).replace("== 'a'", "in ('a', ' a ')")),
        (renamed(CODE), renamed(TEST).replace("    assert table._align('b') == 'b'\n", "")),
        (renamed(CODE), renamed(TEST).replace("import table\n", "import table\n\ntable.other = str\n")),
        (CODE.replace("_algin", "align"), TEST.replace("_algin", "align")),
        (CODE.replace("def _algin", "def _align(text):\n    return text\n\n\ndef _algin"), renamed(TEST)),
    ],
)
def test_what_asks_for_less_or_of_users_names_is_held(table: Repo, code: str, test: str):
    report = table.write(**{"table.py": code, "test_table.py": test}).gate()
    assert report.verdict.decision != "accepted" or not findings(report, "pytest/test-removed")
    if "def _algin" not in code:
        assert report.verdict.decision == "undecided"


def test_two_names_do_not_become_one():
    old = b"def test_a():\n    assert _one(1) == _two(1)\n"
    new = b"def test_a():\n    assert _both(1) == _both(1)\n"
    assert _alike(old, new, {b"_one", b"_two"}, {b"_both"}) == {}
    new = b"def test_a():\n    assert _first(1) == _second(1)\n"
    assert _alike(old, new, {b"_one", b"_two"}, {b"_first", b"_second"}) == {"test_a": "test_a"}
    assert _alike(b"def broken(:", new, {b"_one"}, {b"_first"}) == {}
