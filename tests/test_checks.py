"""scope, compile, ruff, mypy and command checks: only what the patch introduced, with the real tools."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from conftest import CALC, TEST_CALC, Repo, counting, findings, pick, policy

from pytest_agentgate.checks.mypy.run import SHADOW
from pytest_agentgate.checks.ruff.pinned import picks
from pytest_agentgate.process import Completed
from pytest_agentgate.trees import PlacedTree

RUFF = policy("ruff", more="[tool.ruff.lint]\nselect = ['F', 'E7', 'I', 'INP']\n")
MYPY = policy("mypy", more="[tool.mypy]\nstrict = true\nfiles = ['calc.py', 'use.py']\n")


def test_scope_limits_and_paths(repo: Repo):
    more = (
        "allow = ['calc.py', 'docs/']\nforbid = ['docs/law.md']\n[tool.agentgate.limits]\nlines = 3\nfiles = 2\nfile_bytes = 100\n"
    )
    repo.commit({"calc.py": CALC, "pyproject.toml": policy("scope", more=more)})
    repo.write(**{"docs/law.md": "1\n2\n", "other.py": "x = 1\n", "docs/big.txt": "y" * 200})
    found = {(rule, path) for rule, path, _, _ in counting(repo.gate())}
    assert found == {
        ("scope/too-many-files", None),
        ("scope/too-many-lines", None),
        ("scope/path-forbidden", "docs/law.md"),
        ("scope/path-not-allowed", "other.py"),
        ("scope/huge-file", "docs/big.txt"),
    }


def test_the_task_narrows_the_scope_and_must_lie_outside(repo: Repo, tmp_path):
    repo.commit({"calc.py": CALC, "pyproject.toml": policy("scope")})
    task = tmp_path / "task.toml"
    task.write_text('objective = "docs only"\nallowed_paths = ["docs/"]\nmax_files = 1\n')
    repo.write(**{"calc.py": CALC + "x = 1\n"})
    assert counting(repo.gate(task=str(task))) == [("scope/path-not-allowed", "calc.py", None, "reject")]
    repo.write(**{"task.toml": 'objective = "everything"\n'})
    done = repo.cli("check", "--task", "task.toml")
    assert done.returncode == 4 and "inside the judged checkout" in done.stderr


@pytest.mark.parametrize(
    "files",
    [
        {".env": "A=1\n"},
        {"key.py": 'KEY = "AKIA' + "ABCDEFGHIJKLMNOP" + '"\n'},
        {"deploy.txt": "-----BEGIN " + "PRIVATE KEY-----\n"},
    ],
)
def test_credentials_are_held(repo: Repo, files):
    repo.commit({"calc.py": CALC, "pyproject.toml": policy("scope")})
    repo.files(files)
    assert [rule for rule, *_ in counting(repo.gate())] == ["scope/secret"]


@pytest.mark.parametrize(
    ("name", "rule", "effect"),
    [
        ("calc.pyc", "compiled-code", "reject"),
        ("x/__pycache__/a.txt", "compiled-code", "reject"),
        ("lib.so", "compiled-code", "reject"),
        ("pkg.whl", "archive", "hold"),
    ],
)
def test_compiled_code_is_rejected_and_an_archive_held(repo: Repo, name: str, rule: str, effect: str):
    repo.commit({"calc.py": CALC, "pyproject.toml": policy("scope")})
    repo.files({name: b"\0\1"})
    assert [(f[0], f[3]) for f in counting(repo.gate())] == [(f"scope/{rule}", effect)]


def test_compile_is_a_barrier_and_blames_only_the_patch(repo: Repo):
    repo.commit({"calc.py": CALC, "old.py": "def broken(:\n", "pyproject.toml": policy("compile", "pytest")})
    repo.write(**{"old.py": "def still_broken(:\n"})
    report = repo.gate()
    assert counting(report) == [] and findings(report, "compile/error")[0].baseline_state == "unchanged"
    repo.write(**{"calc.py": "x = 1\ndef add(:\n", "cookie.py": b"# coding: latin-1\nx = '\xe9'\n", "nul.py": b"x = 1\0\n"})
    report = repo.gate()
    assert [f[:2] for f in counting(report)] == [("compile/error", "calc.py"), ("compile/error", "nul.py")]
    assert pick(report, "pytest").reason == "not run, because compile rejected the change"


@pytest.mark.skipif(sys.version_info >= (3, 15), reason="no syntax is newer than this Python")
def test_syntax_that_only_a_newer_python_has_is_held_and_not_rejected(repo: Repo):
    """cattrs and others keep such tests in files that their conftest leaves out on older Pythons."""
    repo.commit(
        {"calc.py": CALC, "pyproject.toml": policy("compile", "pytest"), "conftest.py": "collect_ignore = ['test_new.py']\n"}
    )
    repo.write(**{"test_new.py": "lazy import calc\n\n\ndef test_new():\n    assert calc.add(1, 1) == 2\n"})
    report = repo.gate()
    assert counting(report) == [("compile/error", "test_new.py", 1, "hold")]
    assert "valid for a newer Python than" in findings(report, "compile/error")[0].message
    assert report.verdict.decision == "undecided" and findings(report, "pytest/own-test-failed") == []
    for broken in ("lazy import = calc\n", "return 5\n", "from __future__ import nope\n", "await calc\n"):
        repo.write(**{"test_new.py": broken})
        assert [f[3] for f in counting(repo.gate())] == ["reject"], broken


def test_ruff_blames_only_what_is_new(repo: Repo):
    repo.commit({"calc.py": "import os\n\n\n" + CALC, "pyproject.toml": RUFF.replace(", 'INP'", "")})
    repo.write(**{"calc.py": "import sys\n\n\n" + "import os\n\n\n" + CALC})
    report = repo.gate()
    assert [f[:3] for f in counting(report) if f[0] == "ruff/F401"] == [("ruff/F401", "calc.py", 1)]


def test_ruff_finds_what_the_patch_causes_in_untouched_files(repo: Repo):
    repo.commit({"pkg/__init__.py": "", "pkg/a.py": "x = 1\n", "pyproject.toml": RUFF})
    repo.write(**{"pkg/__init__.py": None})
    assert [f[:2] for f in counting(repo.gate())] == [("ruff/INP001", "pkg/a.py")]


@pytest.mark.parametrize(
    ("line", "effect"),
    [
        ("import os  # noqa", "reject"),
        ("import os  # ruff: ignore[F401]", "hold"),
        ("import os  # noqa: F401", "hold"),
        ("import os  # ruff:ignore[unused-import]", "hold"),
        ("# ruff: ignore[unused-import]  registers the codec\nimport os", None),
        ("import os  # ruff: ignore[star-import]", "reject"),
        ("import os  # noqa: F401  registers the codec", None),
        ("# ruff: noqa\nimport os", "reject"),
        ("# ruff: file-ignore[F401]\nimport os", "reject"),
        ("# ruff: disable[F401]\nimport os\n# ruff: enable[F401]", "reject"),
        ("# flake8: noqa\nimport os", "reject"),
    ],
)
def test_a_suppression_does_not_hide_a_new_problem(repo: Repo, line: str, effect: str | None):
    named = RUFF.replace("'E7', 'I', 'INP'", "'E7'").replace(
        "[tool.ruff.lint]", "[tool.ruff.lint]\npreview = true"
    )  # for names of rules
    repo.commit({"calc.py": CALC, "pyproject.toml": named})
    repo.write(**{"calc.py": line + "\n\n\n" + CALC})
    assert [f[3] for f in counting(repo.gate())] == ([effect] if effect else [])


@pytest.mark.parametrize(
    ("base", "law", "effect"),
    [
        ("import b\nimport a\n\nassert a != None\nassert b == None\nassert None != a\n", "", "note"),
        ("import b\nimport a\n\nassert a != None\nassert b == None\n", "", "reject"),  # three with those of the tests
        ("import b\nimport a\n\nassert a != None  # noqa: E711\nassert b == None\nassert None != a\n", "", "reject"),
        ("import b\nimport a\n\nassert a != None\nassert b == None\nassert None != a\n", "'ruff/E711' = 'reject'", "reject"),
    ],
)
def test_a_rule_that_the_base_breaks_everywhere_is_noted(repo: Repo, base: str, law: str, effect: str):
    more = "[tool.ruff.lint]\nselect = ['E7', 'F']\n[tool.agentgate.effects]\n" + law
    repo.commit({"calc.py": CALC, "old.py": base, "tests/test_old.py": base, "pyproject.toml": policy("ruff", more=more)})
    repo.write(**{"calc.py": "import os\n\n\n" + CALC + "\n\nassert add != None\n"})
    found = {f.rule: f.effect for e in repo.gate().evidence for f in e.findings if f.path == "calc.py"}
    assert found == {"ruff/E711": effect, "ruff/F401": "reject"}


@pytest.mark.parametrize(("lint", "effect"), [("extend-select = ['I']", "note"), ("select = ['I', 'FURB']", "reject")])
def test_what_ruff_selects_and_nobody_chose_counts_as_one_rule(repo: Repo, lint: str, effect: str):
    """The base breaks rules of ruff's larger default selection, though not this one: no pipeline runs it."""
    old = "import typing\n\n\nclass Old(object):\n    a: typing.List[int]\n    b: typing.Dict[int, int]\n    c: typing.Optional[int]\n"
    repo.commit({"calc.py": CALC, "old.py": old, "pyproject.toml": policy("ruff", more=f"[tool.ruff.lint]\n{lint}\n")})
    repo.write(**{"calc.py": "import re\n\nANY = re.compile('a', re.I)\n\n\n" + CALC})
    assert {f.effect for f in findings(repo.gate(), "ruff/FURB167")} == {effect}


def test_old_suppressions_and_moved_lines_are_silent(repo: Repo):
    repo.commit({"calc.py": "import os  # noqa\n\n\n" + CALC, "pyproject.toml": RUFF})
    repo.write(**{"calc.py": '"""A docstring\n\nof lines."""\n\nimport os  # noqa\n\n\n' + CALC})
    assert counting(repo.gate()) == []


@pytest.mark.parametrize("where", ["ruff.toml", "sub/ruff.toml", ".ruff.toml"])
def test_configuration_of_the_head_does_not_relax_ruff(repo: Repo, where: str):
    repo.commit({"calc.py": CALC, "sub/a.py": "x = 1\n", "pyproject.toml": RUFF.replace(", 'INP'", "")})
    repo.files(
        {
            where: "[lint]\nselect = ['W']\n",
            "calc.py": "import os\n\n\n" + CALC,
            "sub/a.py": "import os\n\nx = 1\n",
            ".gitignore": "*.py\n",
        }
    )
    found = counting(repo.gate())
    assert [f[:2] for f in found] == [("ruff/F401", "calc.py"), ("ruff/F401", "sub/a.py")]


def test_a_patch_that_relaxes_ruff_for_what_it_adds_needs_a_human(repo: Repo):
    repo.commit({"calc.py": CALC, "pyproject.toml": RUFF.replace(", 'INP'", "")})
    repo.write(**{"pyproject.toml": RUFF.replace("'F', 'E7', 'I', 'INP'", "'E7'"), "calc.py": "import os\n\n\n" + CALC})
    report = repo.gate()
    assert counting(report) == [("ruff/F401", "calc.py", 1, "hold")]
    assert report.verdict.decision == "undecided"


def test_a_repository_without_ruff_gets_correctness_rules_only(repo: Repo):
    repo.commit({"calc.py": CALC, "pyproject.toml": policy("ruff")})
    repo.write(**{"calc.py": "import os\nimport   sys\nassert(1,\n2)\n" + CALC})
    assert {f[0] for f in counting(repo.gate())} == {"ruff/F401", "ruff/F631"}


def test_a_file_that_was_formatted_and_no_longer_is(repo: Repo):
    repo.commit({"calc.py": CALC, "ugly.py": "x   = 1\n", "pyproject.toml": RUFF})
    repo.write(**{"calc.py": CALC + "x   = 1\n", "ugly.py": "x   = 2\n", "new.py": "y   = 1\n"})
    assert [f[:2] for f in counting(repo.gate()) if f[0] == "ruff/format"] == [("ruff/format", "calc.py")]


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("PLE2502", "LEVEL = 'user'  # \u202e \u2066check admin\u2069\u2066\n"),
        ("PLE2515", "NAME = 'ad\u200bmin'\n"),
        ("PLC2401", "def me\u0430n() -> float:\n    return 0.0\n"),
        ("S102", "exec('x = 1')\n"),
    ],
)
@pytest.mark.parametrize("configured", [True, False])
def test_ruff_holds_what_misleads_readers_whatever_the_project_selects(repo: Repo, code: str, line: str, configured: bool):
    repo.commit({"calc.py": CALC, "pyproject.toml": RUFF.replace(", 'INP'", "") if configured else policy("ruff")})
    repo.write(**{"calc.py": CALC + "\n\n" + line})
    assert [f for f in counting(repo.gate()) if f[0] != "ruff/format"] == [
        (f"ruff/{code}", "calc.py", CALC.count("\n") + 3, "hold")
    ]


def test_certificates_that_nobody_checks_are_held(repo: Repo):
    repo.commit({"calc.py": CALC, "pyproject.toml": policy("ruff")})
    report = repo.files({"calc.py": "import ssl\n\n" + CALC + "\n\nC = ssl._create_unverified_context()\n"}).gate()
    assert [(f[0], f[3]) for f in counting(report)] == [("ruff/S323", "hold")]


def test_ruff_is_silent_where_a_file_always_had_such_names_or_tests_run_code(repo: Repo):
    repo.commit({"greek.py": "\u03b1 = 1\n", "pyproject.toml": policy("ruff")})
    repo.write(**{"greek.py": "\u03b1 = 1\n\u03b2 = 2\n", "tests/test_run.py": "exec('x = 1')\n", "text.py": "NAME = 'Zo\u00eb'\n"})
    assert counting(repo.gate()) == []


HOOK = "repos:\n  - repo: https://github.com/astral-sh/ruff-pre-commit\n    rev: {}\n    hooks: [{{id: ruff-check}}]\n"


@pytest.mark.parametrize(
    ("pins", "effects"),
    [
        ({}, {"ruff/CPY001": "reject", "ruff/F401": "reject"}),
        ({".pre-commit-config.yaml": HOOK.format("v0.15.9")}, {"ruff/CPY001": "note", "ruff/F401": "reject"}),
        ({".pre-commit-config.yaml": HOOK.format("0123456789" * 4 + "  # frozen: v0.15.9")}, {"ruff/CPY001": "note", "ruff/F401": "reject"}),
        ({".pre-commit-config.yaml": HOOK.format("v0.16.0")}, {"ruff/CPY001": "reject", "ruff/F401": "reject"}),
        ({"uv.lock": '[[package]]\nname = "ruff"\nversion = "0.14.1"\n'}, {"ruff/CPY001": "note", "ruff/F401": "reject"}),
        ({"requirements/dev.txt": "pytest\nruff==0.14.1\n"}, {"ruff/CPY001": "note", "ruff/F401": "reject"}),
        ({"requirements/dev.txt": "ruff>=0.14.1\nother-ruff==0.1\n"}, {"ruff/CPY001": "reject", "ruff/F401": "reject"}),
    ],
)  # fmt: skip
def test_rules_that_the_pinned_ruff_does_not_have_are_notes(repo: Repo, pins: dict[str, str], effects: dict[str, str]):
    select = "[tool.ruff.lint]\nselect = ['CPY001', 'F']\npreview = true\n"
    repo.commit({"calc.py": CALC, "pyproject.toml": policy("ruff", more=select), **pins})
    found = pick(repo.write(**{"more.py": "import os\n"}).gate(), "ruff").findings
    assert {f.rule: f.effect for f in found if f.path == "more.py"} == effects
    assert all(("pins ruff" in f.advice) is (f.effect == "note") for f in found)


def test_before_ruff_016_a_configuration_without_a_selection_selects_little(repo: Repo):
    more = "[tool.ruff.lint]\nextend-select = ['UP']\n"
    repo.commit({"calc.py": CALC, "pyproject.toml": policy("ruff", more=more), ".pre-commit-config.yaml": HOOK.format("v0.11.2")})
    code = "import os\nfrom typing import List\n\nX: List[int] = []\ntry:\n    X.pop()\nexcept Exception:\n    raise ValueError from None\n"
    found = {f.rule: f.effect for f in pick(repo.write(**{"more.py": code}).gate(), "ruff").findings if f.path == "more.py"}
    assert found["ruff/BLE001"] == "note" and found["ruff/F401"] == found["ruff/UP006"] == "reject"


def test_a_file_that_the_base_leaves_out_of_ruff_is_no_error(repo: Repo):
    more = "[tool.ruff]\nextend-exclude = ['old']\n[tool.ruff.lint]\nselect = ['F']\n"
    repo.commit({"calc.py": CALC, "old/a.py": "import os\n", "pyproject.toml": policy("ruff", more=more)})
    report = repo.write(**{"old/a.py": "import sys\n"}).gate()
    assert pick(report, "ruff").status == "passed" and report.verdict.decision == "accepted"


def test_what_the_project_reports_itself_is_told_once(repo: Repo):
    repo.commit({"calc.py": CALC, "pyproject.toml": RUFF.replace(", 'INP'", ", 'PLC2401'")})
    repo.write(**{"calc.py": CALC + "\n\ndef me\u0430n() -> float:\n    return 0.0\n"})
    assert [(f[0], f[3]) for f in counting(repo.gate())] == [("ruff/PLC2401", "reject")]


def test_generated_files_that_git_ignores_are_no_part_of_the_patch(repo: Repo):
    """A build writes them, and the code needs them: ruff itself would not look at them either."""
    repo.commit(
        {
            ".gitignore": "_version.py\n",
            "pkg/__init__.py": "from pkg._version import V\n\n__all__ = ['V']\n",
            "pyproject.toml": RUFF,
        }
    )
    repo.files({"pkg/_version.py": "import os\nV = 1\nme\u0430n = 2\n", "pkg/more.py": "X = 1\n"})
    report = repo.gate()
    assert report.verdict.decision == "accepted" and pick(report, "ruff").status == "passed", counting(report)


def test_a_broken_ruff_configuration_is_an_error_and_not_a_finding(repo: Repo):
    repo.commit({"calc.py": CALC, "pyproject.toml": policy("ruff"), "ruff.toml": "select = 7\n"})
    repo.write(**{"calc.py": CALC + "x = 1\n"})
    report = repo.gate()
    assert (pick(report, "ruff").status, report.verdict.decision) == ("errored", "undecided")


USE = "from calc import add\n\n\ndef twice(n: int) -> int:\n    return add(n, n)\n"


def test_mypy_finds_errors_that_the_patch_causes_in_untouched_files(repo: Repo):
    repo.commit({"calc.py": CALC, "use.py": USE + "\nold: str = 1\n", "pyproject.toml": MYPY})
    repo.write(
        **{
            "calc.py": CALC.replace(
                "def add(a: int, b: int) -> int:\n    return a + b", "def add(a: int, b: int) -> str:\n    return str(a + b)"
            )
        }
    )
    report = repo.gate()
    assert counting(report) == [("mypy/return-value", "use.py", 5, "reject")]
    assert [f.line for f in findings(report, "mypy/assignment")] == [7], "the old error is known and does not count"


@pytest.mark.parametrize(
    ("comment", "effect"),
    [("# type: ignore", "reject"), ("# type: ignore[assignment]", "hold"), ("# type: ignore[assignment]  # stub is wrong", None)],
)
def test_a_type_ignore_does_not_hide_a_new_error(repo: Repo, comment: str, effect: str | None):
    repo.commit({"calc.py": CALC, "use.py": USE, "pyproject.toml": MYPY})
    repo.write(**{"calc.py": CALC + f"\nx: str = 1  {comment}\n"})
    report = repo.gate()
    assert [(f[0], f[2], f[3]) for f in counting(report)] == ([("mypy/assignment", 8, effect)] if effect else [])
    assert ("write the reason" in findings(report, "mypy/assignment")[0].advice) == (effect == "hold")


@pytest.mark.parametrize(
    ("comment", "noqa", "law", "effects"),
    [
        ("# type: ignore[assignment]", "# noqa: F401", "", {"note"}),
        ("# type: ignore", "# noqa", "", {"reject"}),
        ("# type: ignore[assignment]", "# noqa: F401", "\n[tool.agentgate.suppressed]\nin_tests = 'hold'\n", {"hold"}),
    ],
)
def test_tests_may_silence_a_code_without_a_reason(repo: Repo, comment: str, noqa: str, law: str, effects: set[str]):
    """`money.cents = 5` below `pytest.raises`: wrong types are what is tested. The same in the product is held."""
    more = "[tool.mypy]\nstrict = true\nfiles = ['.']\n[tool.ruff.lint]\nselect = ['F']\n"
    repo.commit({"calc.py": CALC, "pyproject.toml": policy("mypy", "ruff", more=more) + law})
    report = repo.write(**{"test_calc.py": f"import os  {noqa}\n\nx: str = 1  {comment}\n"}).gate()
    found = {f.rule: f.effect for e in report.evidence for f in e.findings if f.path == "test_calc.py"}
    assert found.keys() == {"mypy/assignment", "ruff/F401"} and set(found.values()) == effects


@pytest.mark.parametrize(
    ("value", "effect"),
    [
        ("cast(int, cast(Any, 's') + x)", "hold"),
        ("t.cast(\n        int,\n        t.cast(Any, ('é' * 3)),\n    )", "hold"),
        ("cast(int, 's')", None),
        ("cast(int, cast(Any, 5) + 4)", None),
        ("cast(bool, cast(int, x) + cast(int, x))", None),
        ("cast(bool, int(cast(str, x)))", None),
    ],
)
def test_a_cast_of_a_cast_hides_no_error(repo: Repo, value: str, effect: str | None):
    """One cast says what somebody knows. Behind two of them mypy is asked what it would have said."""
    head = "import typing as t\nfrom typing import Any, cast\n\n"
    repo.commit({"calc.py": CALC, "use.py": USE, "pyproject.toml": MYPY})
    repo.write(**{"calc.py": head + CALC + f"\n\ndef label(x: Any) -> int:\n    y = {value}\n    return y\n"})
    found = counting(repo.gate())
    assert [(f[0].partition("/")[0], f[3]) for f in found] == ([("mypy", effect)] if effect else [])


@pytest.mark.parametrize("text", ["# mypy: ignore-errors\n", "# type: ignore\n"])
def test_a_whole_file_cannot_be_silenced(repo: Repo, text: str):
    repo.commit({"calc.py": CALC, "use.py": USE, "pyproject.toml": MYPY})
    repo.write(**{"calc.py": text + CALC + "\nx: str = 1\n"})
    assert ("mypy/assignment", "reject") in {(f[0], f[3]) for f in counting(repo.gate())}


def test_configuration_of_the_head_does_not_relax_mypy(repo: Repo):
    repo.commit({"calc.py": CALC, "use.py": USE, "pyproject.toml": MYPY})
    repo.write(
        **{
            "mypy.ini": "[mypy]\nignore_errors = True\nplugins = ./evil.py\n",
            "evil.py": "raise SystemExit(0)\n",
            "calc.py": CALC + "\nx: str = 1\n",
        }
    )
    assert counting(repo.gate()) == [("mypy/assignment", "calc.py", 8, "reject")]


def test_notes_of_mypy_are_no_errors(repo: Repo):
    more = "[tool.mypy]\nfiles = ['calc.py']\n"
    note = "\n\ndef untyped():\n    x: int = 1\n    return x\n"
    repo.commit({"calc.py": CALC + note, "pyproject.toml": policy("mypy", more=more)})
    report = repo.files({"calc.py": CALC + note + "\n\nY: int = 1\n"}).gate()
    assert pick(report, "mypy").status == "passed" and report.verdict.decision == "accepted", pick(report, "mypy").reason
    report = repo.files({"calc.py": CALC + note + "\n\nY: int = ''\n"}).gate()
    assert [f[0] for f in counting(report)] == ["mypy/assignment"]


def test_where_mypy_is_not_configured_its_findings_are_notes(repo: Repo):
    repo.commit({"calc.py": CALC, "pyproject.toml": policy("mypy")})
    repo.write(**{"calc.py": CALC + "\nx: str = 1\n"})
    report = repo.gate()
    assert report.verdict.decision == "accepted" and [f.effect for f in findings(report, "mypy/assignment")] == ["note"]


COMMAND = """
[[tool.agentgate.command]]
name = "{name}"
argv = ["{python}", "-c", '''{code}''']
format = "{format}"
"""


def command(name: str, code: str, format: str = "exit-code") -> str:
    return policy("scope", name, more=COMMAND.format(name=name, code=code, format=format, python="{python}"))


def test_a_command_that_fails_only_on_the_head(repo: Repo):
    law = command("todo", "import sys; sys.exit('TODO' in open('calc.py').read())")
    repo.commit({"calc.py": CALC, "pyproject.toml": law})
    repo.write(**{"calc.py": CALC + "# TODO\n"})
    assert counting(repo.gate()) == [("todo/exit-code", None, None, "reject")]
    repo.commit()
    repo.write(**{"calc.py": CALC + "# TODO\nx = 1\n"})
    report = repo.gate()
    assert counting(report) == [] and findings(report, "todo/exit-code")[0].baseline_state == "unchanged"


def test_a_command_that_speaks_json_lines_and_one_that_speaks_sarif(repo: Repo):
    lines = "import json\nfor n, l in enumerate(open('calc.py'), 1):\n    if 'eval' in l: print(json.dumps(dict(rule='eval', message='no', path='calc.py', line=n)))"
    repo.commit({"calc.py": CALC, "pyproject.toml": command("noeval", lines, "json-lines")})
    repo.write(**{"calc.py": CALC + "eval('1')\n"})
    assert counting(repo.gate()) == [("noeval/eval", "calc.py", 7, "reject")]
    sarif = "import json, os\nprint(json.dumps(dict(runs=[dict(results=[dict(ruleId='E', message=dict(text='no'), locations=[dict(physicalLocation=dict(artifactLocation=dict(uri='file://' + os.getcwd() + '/calc.py'), region=dict(startLine=7)))])] if 'eval' in open('calc.py').read() else [])])))"
    repo.commit({"calc.py": CALC, "pyproject.toml": command("sar", sarif, "sarif")})
    repo.write(**{"calc.py": CALC + "eval('1')\n"})
    assert counting(repo.gate()) == [("sar/E", "calc.py", 7, "reject")]


@pytest.mark.parametrize(
    ("code", "format", "words"),
    [
        ("print('hello')", "json-lines", "no json-lines"),
        ("import os; os.kill(os.getpid(), 9)", "exit-code", "ended by the signal SIGKILL"),
        ("print('[]')", "json-lines", "has to be an object"),
        ("print(1)", "sarif", "has to be an object"),
        ("raise SystemExit(127)", "exit-code", "could not run"),
    ],
)
def test_a_command_that_cannot_run_is_errored(repo: Repo, code: str, format: str, words: str):
    repo.commit({"calc.py": CALC, "pyproject.toml": command("odd", code, format)})
    repo.write(**{"calc.py": CALC + "x = 1\n"})
    evidence = pick(repo.gate(), "odd")
    assert evidence.status == "errored" and words in evidence.reason


@pytest.mark.parametrize("place", ["src/acme/tools/core.py", "app/main.py", "packages/a/src/a/core.py"])
def test_mypy_finds_what_to_check_where_its_configuration_does_not_say(repo: Repo, place: str):
    typed = "def add(a: int, b: int) -> int:\n    return a + b\n"
    manifest = {"packages/a/pyproject.toml": "[project]\nname = 'a'\nversion = '1'\n"} if place.startswith("packages") else {}
    repo.commit({place: typed, "pyproject.toml": policy("mypy") + "[tool.mypy]\nstrict = true\n", **manifest})
    repo.files({place: typed + "X = 1\n"})
    assert pick(repo.gate(), "mypy").status == "passed"
    repo.files({place: typed.replace("a + b", "str(a)")})
    assert [f[:3] for f in counting(repo.gate())] == [("mypy/return-value", place, 2)]


def test_the_whole_gate_on_an_honest_patch(repo: Repo):
    repo.commit({"calc.py": CALC, "test_calc.py": TEST_CALC, "use.py": USE})
    repo.write(**{"calc.py": CALC.replace("a * b", "b * a")})
    report = repo.gate()
    assert report.verdict.decision == "accepted", report.verdict.reasons
    assert [e.check for e in report.evidence] == ["scope", "compile", "integrity", "ruff", "mypy", "pytest"]
    assert report.review.status == "not-run" and report.review.reason.startswith("nobody asked for one")
    again = repo.gate()
    assert all(e.cached for e in again.evidence if e.check != "scope")
    assert again.verdict == report.verdict


def test_a_judges_own_script_comes_from_the_base(repo: Repo):
    law = policy(
        "scope",
        "law",
        more=COMMAND.format(name="law", code="x", format="exit-code", python="{python}").replace(
            "\"-c\", '''x'''", '"tools/check.py"'
        ),
    )
    repo.commit(
        {"calc.py": CALC, "tools/check.py": "import sys\nsys.exit('bad' in open('calc.py').read())\n", "pyproject.toml": law}
    )
    repo.write(**{"calc.py": CALC + "# bad\n", "tools/check.py": "raise SystemExit(0)\n"})
    assert [f[0] for f in counting(repo.gate())] == ["law/exit-code"]


def test_a_mypy_plugin_comes_from_the_base_and_silence_is_no_answer(repo: Repo):
    plugin = "from mypy.plugin import Plugin\n\n\ndef plugin(version):\n    return Plugin\n"
    repo.commit(
        {
            "calc.py": CALC,
            "use.py": USE,
            "tools/plug.py": plugin,
            "pyproject.toml": MYPY.replace("strict = true", "strict = true\nplugins = ['tools/plug.py']"),
        }
    )
    repo.write(**{"calc.py": CALC + "\nx: str = 1\n", "tools/plug.py": "import os\nos._exit(0)\n"})
    assert counting(repo.gate()) == [("mypy/assignment", "calc.py", 8, "reject")]


def test_a_moved_type_ignore_and_an_alias_of_no_type_check_hide_nothing(repo: Repo):
    repo.commit({"calc.py": CALC + "\ny: str = 2  # type: ignore\n", "use.py": USE, "pyproject.toml": MYPY})
    repo.write(**{"calc.py": CALC + "\ny: str = ''\nz: int = ''  # type: ignore\n"})
    assert [f[:3] for f in counting(repo.gate())] == [("mypy/assignment", "calc.py", 9)]
    alias = "from typing import no_type_check as ntc\n\n\n" + CALC + "\n\n@ntc\ndef bad() -> int:\n    return ''\n"
    repo.write(**{"calc.py": alias})
    assert ("mypy/return-value", "reject") in {(f[0], f[3]) for f in counting(repo.gate())}


def test_an_edited_line_keeps_the_bases_own_type_ignore(repo: Repo):
    code = "from typing import Tuple\n" + CALC + "\nnames: dict[{}, int] = {{}}  # type: ignore\n"
    repo.commit({"calc.py": code.format("Tuple"), "use.py": USE, "pyproject.toml": MYPY})
    repo.write(**{"calc.py": code.format("tuple")})
    report = repo.gate()
    assert pick(report, "mypy").status == "passed" and counting(report) == []
    repo.write(**{"calc.py": code.format("Tuple") + "more: list = []  # type: ignore\n"})
    last = code.count("\n") + 1
    assert {f[:3] for f in counting(repo.gate())} == {("mypy/type-arg", "calc.py", last)}


def test_files_of_one_size_and_second_are_not_mixed_up_in_mypys_cache(repo: Repo, monkeypatch: pytest.MonkeyPatch):
    real = PlacedTree.run

    def in_one_second(self: PlacedTree, argv: Any, *, writable: Mapping[str, str] | None = None, **more: Any) -> Completed:
        for file in (f for folder, inside in (writable or {}).items() if inside == SHADOW for f in Path(folder).iterdir()):
            if time.time() - file.stat().st_mtime < 3600:
                os.utime(file, (1_600_000_000, 1_600_000_000))
        return real(self, argv, writable=writable, **more)

    monkeypatch.setattr(PlacedTree, "run", in_one_second)
    code = CALC + "\na: {} = {}  # type: ignore\n"
    repo.commit({"calc.py": code.format("int", "'x'"), "use.py": USE, "pyproject.toml": MYPY})
    repo.write(**{"calc.py": code.format("str", "1.0")})
    assert [f[:2] for f in counting(repo.gate())] == [("mypy/assignment", "calc.py")]
    repo.write(**{"calc.py": code.format("int", "'x'") + "b: int = ''  # type: ignore\n"})
    assert [f[:3] for f in counting(repo.gate())] == [("mypy/assignment", "calc.py", code.count("\n") + 1)]


def test_suppressions_of_the_base_stay_the_bases_decision(repo: Repo):
    repo.commit({"pkg/__init__.py": "# ruff: noqa: F401\nfrom os import path\n", "pyproject.toml": RUFF.replace(", 'INP'", "")})
    repo.write(**{"pkg/__init__.py": "# ruff: noqa: F401\nfrom os import path\nfrom os import sep\n"})
    assert [f for f in counting(repo.gate()) if f[0] == "ruff/F401"] == []


def test_the_environment_that_tools_may_see_is_part_of_the_cache_key(repo: Repo, monkeypatch: pytest.MonkeyPatch):
    test = "import os\n\n\ndef test_flavor():\n    assert os.environ['FLAVOR'] == 'x'\n\n\ndef test_one():\n    pass\n"
    repo.commit({"calc.py": CALC, "test_f.py": test, "pyproject.toml": policy("pytest", more='environment = ["FLAVOR"]')})
    repo.write(**{"calc.py": CALC + "x = 1\n"})
    monkeypatch.setenv("FLAVOR", "x")
    assert pick(repo.gate(), "pytest").tests == {"pass-to-pass": 2}
    monkeypatch.setenv("FLAVOR", "y")
    assert pick(repo.gate(), "pytest").tests == {"fail-to-fail": 1, "pass-to-pass": 1}


def test_a_broken_test_fixture_is_no_barrier(repo: Repo):
    repo.commit({"calc.py": CALC, "pyproject.toml": policy("compile")})
    repo.files({"tests/data/syntax_error.py": "def broken(:\n"})
    assert counting(repo.gate()) == []


def test_moved_code_brings_no_lint_debt_and_copied_code_does(calc: Repo):
    debt = "def risky():\n    try:\n        return 1\n    except:\n        return 2\n"
    calc.commit({"calc.py": CALC + "\n\n" + debt, "pyproject.toml": policy("ruff", more='[tool.ruff.lint]\nselect = ["E", "F"]')})
    calc.write(**{"calc.py": CALC, "risk.py": debt})
    assert [f for f in counting(calc.gate()) if f[0] == "ruff/E722"] == []
    calc.write(**{"calc.py": CALC + "\n\n" + debt})
    assert [f[1] for f in counting(calc.gate()) if f[0] == "ruff/E722"] == ["risk.py"]


def test_a_move_that_mypys_configuration_follows_is_for_a_human(calc: Repo):
    law = policy("mypy", more='[tool.mypy]\nfiles = ["calc.py"]')
    calc.commit({"pyproject.toml": law})
    calc.write(**{"src/calc.py": CALC, "pyproject.toml": law.replace("calc.py", "src/calc.py")})
    (calc.path / "calc.py").unlink()
    report = calc.gate()
    assert report.verdict.decision == "undecided" and [f[0] for f in counting(report)] == ["mypy/fatal"]
    calc.write(**{"pyproject.toml": law})
    assert calc.gate().verdict.decision == "rejected"


def test_a_second_definition_for_the_type_checker_hides_nothing(repo: Repo):
    strict = policy("mypy") + "\n[tool.mypy]\nstrict = true\nfiles = ['calc.py']\n"
    repo.commit({"calc.py": CALC, "pyproject.toml": strict}, "base")
    split = "\n\nfrom typing import TYPE_CHECKING\n\nif {}:\n    def bad(x: int) -> int:\n        return x\nelse:\n    def bad(x):\n        return 's' + x\n"
    repo.write(**{"calc.py": CALC + split.format("TYPE_CHECKING")})
    assert [f[:2] for f in counting(repo.gate())] == [("mypy/no-untyped-def", "calc.py")]
    typed = split.replace("def bad(x):\n        return 's' + x", "def bad(x: int) -> int:\n        return x + 0")
    repo.write(**{"calc.py": CALC + typed.format("TYPE_CHECKING")})
    assert repo.gate().verdict.decision == "accepted"


def test_a_foreign_module_that_the_patch_excuses_by_name_is_noted(repo: Repo):
    law = policy("mypy") + "[tool.mypy]\nstrict = true\nfiles = ['calc.py']\n"
    repo.commit({"calc.py": CALC, "pyproject.toml": law})
    excuse = law + "[[tool.mypy.overrides]]\nmodule = 'nobody_has.*'\nignore_missing_imports = true\n"
    repo.write(**{"calc.py": "import nobody_has.thing\n" + CALC + "X = nobody_has.thing\n", "pyproject.toml": excuse})
    assert {f.effect for f in findings(repo.gate(), "mypy/import-not-found")} == {"note"}
    repo.write(**{"pyproject.toml": law})
    assert "reject" in {f.effect for f in findings(repo.gate(), "mypy/import-not-found")}


@pytest.mark.parametrize(
    ("selectors", "code", "meant"),
    [
        (("F",), "F401", True),
        (("F",), "FURB167", False),
        (("E4", "I"), "E402", True),
        (("E4", "I"), "E501", False),
        (("I",), "INP001", False),
        (("PL",), "PLE2502", True),
        (("PL",), "PERF401", False),
        (("ALL",), "D100", True),
        (("UP006",), "UP006", True),
    ],
)
def test_selectors_mean_what_ruff_takes_them_for(selectors: tuple[str, ...], code: str, meant: bool):
    assert picks(selectors, code) == meant
