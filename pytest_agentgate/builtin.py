"""The built-in plugin: every built-in check and reporter comes through the same hooks as anybody else's."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_agentgate.checks.command import CommandCheck
from pytest_agentgate.checks.compile import Compile
from pytest_agentgate.checks.integrity.check import BUILT_IN, Integrity
from pytest_agentgate.checks.integrity.rule import RuleSet
from pytest_agentgate.checks.mypy.check import Mypy
from pytest_agentgate.checks.ruff.check import Ruff
from pytest_agentgate.checks.scope import Scope
from pytest_agentgate.checks.tests.check import Tests
from pytest_agentgate.hookspecs import hookimpl
from pytest_agentgate.model import Policy
from pytest_agentgate.protocols import Check, Reporter, Reviewer, ReviewOptions
from pytest_agentgate.reporters.agent import AgentReporter
from pytest_agentgate.reporters.github import GithubOutputReporter, GithubReporter, GithubSummaryReporter
from pytest_agentgate.reporters.gitlab import GitlabReporter
from pytest_agentgate.reporters.html import HtmlReporter
from pytest_agentgate.reporters.json import JsonReporter
from pytest_agentgate.reporters.junit import JunitReporter
from pytest_agentgate.reporters.markdown import MarkdownReporter
from pytest_agentgate.reporters.sarif import SarifReporter
from pytest_agentgate.reporters.terminal import TerminalReporter
from pytest_agentgate.review.backend import Backend, Record, Replay, split
from pytest_agentgate.review.client import URL, Client
from pytest_agentgate.review.reviewer import ModelReviewer


@hookimpl(tryfirst=True)
def agentgate_checks(policy: Policy) -> Sequence[Check]:
    """Fast ones first; then those that run side by side; then the policy's own commands."""
    return [Scope(), Compile(), Integrity(), Ruff(), Mypy(), Tests(), *(CommandCheck(c) for c in policy.command)]


@hookimpl(tryfirst=True)
def agentgate_integrity_rules() -> Sequence[RuleSet]:
    """The rules that docs/rules/ describes."""
    return BUILT_IN


@hookimpl(tryfirst=True)
def agentgate_reporters() -> Sequence[Reporter]:
    """The reporters that every installation has."""
    github = (GithubReporter(), GithubSummaryReporter(), GithubOutputReporter())
    checks = (Scope(), Compile(), Ruff(), Mypy(), Tests())
    rules = (*(r for s in BUILT_IN for r in s.rules), *(r for c in checks for r in c.pages))
    others = (SarifReporter({r.id: r for r in rules}), JunitReporter(), GitlabReporter(), MarkdownReporter(), HtmlReporter())
    return [TerminalReporter(), JsonReporter(), AgentReporter(), *others, *github]


@hookimpl(trylast=True)
def agentgate_reviewer(policy: Policy, options: ReviewOptions) -> Reviewer | None:
    """A model, where there is a key or answers were recorded."""
    kind, folder = split(options.backend)
    if kind == "replay":
        return ModelReviewer(policy.review, options, Replay(folder))
    if not options.key:
        return None
    service: Backend = Client(options.key, options.url or URL)
    return ModelReviewer(policy.review, options, Record(service, folder) if kind == "record" else service)
