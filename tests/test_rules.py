"""The examples on the pages of the rules that need a run: each is gated, and the rule speaks where its page says so."""

from __future__ import annotations

import pytest
from conftest import Repo, counting, findings, policy

from pytest_agentgate.checks.tests.rules import PAGES
from pytest_agentgate.model import Report
from pytest_agentgate.rulebook import Example, Rule


def gated(repo: Repo, example: Example, rule: str) -> Report:
    """What `pytest` alone says of an example."""
    deep = rule.startswith("integrity/")
    law = policy("pytest", assurance="A2" if deep else "A1")
    repo.commit({**example.base, "pyproject.toml": law + example.base.get("pyproject.toml", "")})
    repo.files({p: law + t if p == "pyproject.toml" and t else t for p, t in example.head.items()})
    task = repo.path.parent / "task.toml"
    task.write_text(example.task)
    return repo.gate(task=str(task) if example.task else "")


@pytest.mark.parametrize("rule", PAGES, ids=lambda r: r.id)
def test_an_example_that_breaks_a_rule_breaks_it(repo: Repo, rule: Rule):
    assert rule.effect in [f.effect for f in findings(gated(repo, rule.bad, rule.id), rule.id)]


GOOD = {repr(r.good): r for r in PAGES}
"""One rule for each of the honest examples; several pages show the same, and the last of them asks for the deepest look."""


@pytest.mark.parametrize("rule", GOOD.values(), ids=lambda r: r.id)
def test_an_honest_example_does_not(repo: Repo, rule: Rule):
    report = gated(repo, rule.good, rule.id)
    assert report.verdict.decision == "accepted" and [f for f in counting(report) if f[3] != "note"] == []
