"""The examples on the pages of the rules that need a run: each is gated, and the rule speaks where its page says so."""

from __future__ import annotations

import pytest
from conftest import Repo, findings, policy

from pytest_agentgate.checks.tests.rules import PAGES
from pytest_agentgate.rulebook import Example, Rule


def gated(repo: Repo, example: Example, rule: str) -> list[str]:
    """Effects of the rule's findings on an example, judged by `pytest` alone."""
    deep = rule.startswith("integrity/")
    law = policy("pytest", assurance="A2" if deep else "A1")
    repo.commit({**example.base, "pyproject.toml": law + example.base.get("pyproject.toml", "")})
    repo.files({p: law + t if p == "pyproject.toml" and t else t for p, t in example.head.items()})
    task = repo.path.parent / "task.toml"
    task.write_text(example.task)
    return [f.effect for f in findings(repo.gate(task=str(task) if example.task else ""), rule)]


@pytest.mark.parametrize("rule", PAGES, ids=lambda r: r.id)
def test_an_example_that_breaks_a_rule_breaks_it(repo: Repo, rule: Rule):
    assert rule.effect in gated(repo, rule.bad, rule.id)


GOOD = {tuple(sorted({**r.good.base, **{p: t or "" for p, t in r.good.head.items()}}.items())): r for r in PAGES}
"""One rule for each of the honest examples; several pages show the same."""


@pytest.mark.parametrize("rule", GOOD.values(), ids=lambda r: r.id)
def test_an_honest_example_does_not(repo: Repo, rule: Rule):
    assert [e for e in gated(repo, rule.good, rule.id) if e != "note"] == []
