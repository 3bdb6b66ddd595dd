"""Tests that ask what they asked, of what is called otherwise now."""

from __future__ import annotations

import pytest
from conftest import Repo, counting, findings, policy

from pytest_agentgate.checks.tests.renames import alike

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
    assert report.verdict.decision == ("rejected" if "def _algin" in code else "undecided"), counting(report)


def test_two_names_do_not_become_one():
    old = b"def test_a():\n    assert _one(1) == _two(1)\n"
    new = b"def test_a():\n    assert _both(1) == _both(1)\n"
    assert alike(old, new, {"_one", "_two"}, {"_both"}) == {}
    new = b"def test_a():\n    assert _first(1) == _second(1)\n"
    assert alike(old, new, {"_one", "_two"}, {"_first", "_second"}) == {"test_a": "test_a"}
    assert alike(b"def broken(:", new, {"_one"}, {"_first"}) == {}


OLD = "import p\n\nEXPECTED = 7\nOTHER = 8\n\n\ndef test_a():\n    assert p._merge('a b') == {'_merge': EXPECTED}\n    assert p.total() == 3\n"


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("_merge('a b')", "_join('a b')", True),
        ("_merge('a b')", "_join('a  b')", False),
        ("'_merge': EXPECTED", "'_join': EXPECTED", False),
        ("EXPECTED}\n    assert", "EXPECTED}  # and\n    # assert", False),
        ("EXPECTED = 7\nOTHER = 8", "EXPECTED = 8\nOTHER = 7", False),
        ("OTHER = 8\n", "OTHER = 8\nfrom p import wrong as EXPECTED\n", False),
        ("    assert p.total", "    if p:\n        assert p.total", False),
        ("def test_a", "@fixture(autouse=True)\ndef help():\n    pass\n\n\ndef test_a", False),
        ("def test_a", "def test_new():\n    pass\n\n\ndef test_a", True),
        ("p.total()", "p.sum()", False),
    ],
)
def test_nothing_but_names_is_the_same(old: str, new: str, same: bool):
    edited = OLD.replace(old, new).replace("p._merge", "p._join")
    assert (alike(OLD.encode(), edited.encode(), {"_merge"}, {"_join"}).get("test_a") == "test_a") == same
