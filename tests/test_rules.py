"""The examples on the pages of the rules that need a run: each is gated, and the rule speaks where its page says so."""

from __future__ import annotations

import pytest
from conftest import Repo, counting, findings, policy

from pytest_agentgate.checks.tests.rules import PAGES
from pytest_agentgate.model import Report
from pytest_agentgate.plugins import Plugins
from pytest_agentgate.rulebook import Example, Rule


def gated(repo: Repo, example: Example, rule: str) -> Report:
    """What the check of a rule alone says of an example."""
    check = rule.partition("/")[0]
    law = policy(check.replace("integrity", "pytest"), assurance="A2" if check == "integrity" else "A1", more=example.law)
    repo.commit({**example.base, "pyproject.toml": law + example.base.get("pyproject.toml", "")})
    repo.files({p: law + t if p == "pyproject.toml" and t else t for p, t in example.head.items()})
    for path, target in example.links.items():
        (repo.path / path).symlink_to(target)
    task = repo.path.parent / "task.toml"
    task.write_text(example.task)
    return repo.gate(task=str(task) if example.task else "")


STATIC = [r for r in Plugins(entry_points=False).pages().values() if not r.id.startswith(("integrity/", "pytest/"))]


@pytest.mark.parametrize("rule", STATIC, ids=lambda r: r.id)
def test_the_examples_of_tools_and_scope_say_what_they_say(repo: Repo, rule: Rule):
    found = [f for e in gated(repo, rule.bad, rule.id).evidence for f in e.findings]
    assert (rule.effect, True) in [(f.effect, f.rule == rule.id or rule.id.endswith("/*")) for f in found]
    repo.git("reset", "-q", "--hard")
    repo.git("clean", "-fdq")
    assert counting(gated(repo, rule.good, rule.id)) == []


@pytest.mark.parametrize("rule", PAGES, ids=lambda r: r.id)
def test_an_example_that_breaks_a_rule_breaks_it(repo: Repo, rule: Rule):
    assert rule.effect in [f.effect for f in findings(gated(repo, rule.bad, rule.id), rule.id)]


GOOD = {repr(r.good): r for r in PAGES}
"""One rule for each of the honest examples; several pages show the same, and the last of them asks for the deepest look."""


@pytest.mark.parametrize("rule", GOOD.values(), ids=lambda r: r.id)
def test_an_honest_example_does_not(repo: Repo, rule: Rule):
    report = gated(repo, rule.good, rule.id)
    assert report.verdict.decision == "accepted" and [f for f in counting(report) if f[3] != "note"] == []
