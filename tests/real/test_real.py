"""The gate on real projects: two consecutive releases as base and head, and defects planted into them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from conftest import counting, findings, pick
from projects import PROJECTS, Project, build, git

from pytest_agentgate.model import Report
from pytest_agentgate.pipeline import Gate, judge
from pytest_agentgate.resolve import Source

pytestmark = pytest.mark.real

HONEST: dict[str, tuple[str, set[str] | None]] = {
    "iniconfig": ("undecided", set()),
    "itsdangerous": ("undecided", {"integrity/judges-edited", "integrity/new-dependency", "mypy/arg-type", "mypy/return-value"}),
    "click": ("undecided", {"integrity/new-dependency", "mypy/method-assign", "mypy/assignment"}),
    "xmltodict": ("undecided", set()),
    "cachetools": ("accepted", set()),
    "humanize": ("undecided", {"integrity/judges-edited", "integrity/new-dependency"}),
    "pluggy": (
        "undecided",
        {
            "mypy/attr-defined",
            *(f"integrity/{r}" for r in ("config-weakened", "pipeline-weakened", "pipeline-rights", "judges-edited")),
        },
    ),
    "pathspec": ("rejected", {"ruff/F401"}),
}
"""Recorded from the gate, to notice when it changes its mind; no measure of false rejects. Each release under today's tools, as `(decision, lint and type rules that count)`; None: too many to name.

cachetools needs nothing. iniconfig, humanize and xmltodict change behaviour and edit the expectations: a human allows that. itsdangerous,
click and pluggy add ignores with a code and no reason, and the first two development dependencies; pluggy weakens settings, and four edit pipelines. pathspec adds unused imports.
"""
SHAPES = {"click", "itsdangerous", "pluggy", "xmltodict", "cachetools"}
"""Projects of different shape, into which defects are planted."""
BROKEN = {
    "cachetools": ("args + _kwmark + tuple(sorted(kwargs.items()))", "args"),
    "iniconfig": ("return self.config.lineof(self.name, name)", "return None"),
}
"""Code of a project, and what breaks it."""
PLANTED = '''

def planted() -> int:
    """Planted by the tests of the gate."""
    import colorsys

    return "no number"
'''


def gate(path: Path, python: str, base: str, head: str) -> Report:
    return judge(
        Source("commit", base, head),
        Gate(directory=str(path), python=python, cache_folder=str(path.parent / "cache"), environment={}),
    )


def without_anti_tests(path: Path) -> None:
    """A policy that asks for A1: the releases are gated with anti-tests, and what is planted in them need not be once more."""
    if "[tool.agentgate]" not in (path / "pyproject.toml").read_text():
        with open(path / "pyproject.toml", "a", encoding="utf-8") as stream:
            stream.write('\n[tool.agentgate]\nassurance = "A1"\n')


def explained(report: Report) -> str:
    lines = [f"{e.check} {e.status} {e.reason}" for e in report.evidence]
    return "\n".join(
        [
            *lines,
            *(
                f"{f.rule} {f.path}:{f.line} {f.node_id} {f.message} {f.text}"
                for e in report.evidence
                for f in e.findings
                if f.counts
            ),
        ]
    )


@pytest.mark.parametrize("what", PROJECTS, ids=lambda p: p.name)
def test_a_real_project(tmp_path: Path, what: Project):
    """One repository and one environment for all that is asked of a project: to make them takes as long as a gate."""
    path = tmp_path / what.name
    python = build(what, path)
    the_next_release_is_what_it_is(what, path, python)
    if what.name in SHAPES:
        planted_defects_are_found_and_nothing_else(what, path, python)
    if what.name in BROKEN:
        a_broken_function_is_a_regression(what, path, python)


def the_next_release_is_what_it_is(what: Project, path: Path, python: str) -> None:
    report = gate(path, python, "base", "head")
    decision, rules = HONEST[what.name]
    assert report.verdict.decision == decision, explained(report)
    if rules is not None:
        assert {rule for rule, *_ in counting(report) if not rule.startswith("pytest/")} == rules, explained(report)
    assert not findings(report, "pytest/regression"), "no release breaks a test of the one before"
    assert pick(report, "pytest").examined > 40


def planted_defects_are_found_and_nothing_else(what: Project, path: Path, python: str) -> None:
    tests = "tests" if (path / "tests").is_dir() else "testing"
    git(path, "checkout", "-qB", "known", "head")
    (path / tests / "test_known_failure.py").write_text("def test_known_failure():\n    assert 1 == 2\n")
    without_anti_tests(path)
    git(path, "add", "-A")
    git(path, "commit", "-qm", "a failure that was there before")
    git(path, "checkout", "-qB", "planted")
    product = path / what.product
    start = len(product.read_text().splitlines())
    product.write_text(product.read_text() + PLANTED)
    (path / tests / "test_planted.py").write_text("def test_planted():\n    assert 3 == 4\n")
    git(path, "add", "-A")
    git(path, "commit", "-qm", "planted")
    report = gate(path, python, "known", "planted")
    assert report.verdict.decision == "rejected"
    assert [f.line for f in findings(report, "ruff/F401") if f.counts] == [start + 5], explained(report)
    stubbed = product.with_suffix(".pyi").exists()  # then mypy reads the stub and not the module
    if pick(report, "mypy").status != "errored" and not stubbed:
        assert (what.product, start + 7) in {(f.path, f.line) for f in findings(report, "mypy/return-value")}, explained(report)
    assert [f.node_id for f in findings(report, "pytest/own-test-failed")] == [f"{tests}/test_planted.py::test_planted"], explained(
        report
    )
    for rule, where, line, _ in counting(report):
        planted = (
            where == what.product and (line is None or line > start or rule == "ruff/format")
        ) or where == f"{tests}/test_planted.py"
        assert planted, f"{rule} {where}:{line}"
    assert not [f for f in findings(report, "pytest/own-test-failed") if "known" in (f.node_id or "")]


def a_broken_function_is_a_regression(what: Project, path: Path, python: str) -> None:
    good, bad = BROKEN[what.name]
    git(path, "checkout", "-qB", "broken", "head")
    without_anti_tests(path)
    git(path, "commit", "--allow-empty", "-qam", "a policy")
    git(path, "tag", "law")
    product = path / what.product
    text = product.read_text()
    assert good in text, f"{what.name} has changed: choose another line"
    product.write_text(text.replace(good, bad, 1))
    git(path, "commit", "-qam", "broken")
    report = gate(path, python, "law", "broken")
    assert report.verdict.decision == "rejected"
    assert {rule for rule, *_ in counting(report) if rule.startswith("pytest/")} == {"pytest/regression"}, explained(report)
