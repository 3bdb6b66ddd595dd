"""Every place where a plugin may speak. Plugins can add evidence; none can remove any, or touch the verdict."""

from __future__ import annotations

from collections.abc import Sequence

import pluggy

from pytest_agentgate.checks.integrity.rule import RuleSet
from pytest_agentgate.model import Change, Evidence, Policy, Report
from pytest_agentgate.protocols import Check, Reporter, Reviewer, ReviewOptions, Tree

PROJECT = "agentgate"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def agentgate_checks(policy: Policy) -> Sequence[Check]:
    """Checks to run besides the built-in ones. The runner owns order, time limits, cache and blame."""
    raise NotImplementedError


@hookspec
def agentgate_integrity_rules() -> Sequence[RuleSet]:
    """Rules of the check `integrity`, besides the built-in ones: pure functions of a two-sided view. They only add findings."""
    raise NotImplementedError


@hookspec
def agentgate_reporters() -> Sequence[Reporter]:
    """Reporters for ``--report FORMAT=FILE``. One that raises is named, and changes no exit code."""
    raise NotImplementedError


@hookspec(firstresult=True)
def agentgate_reviewer(policy: Policy, options: ReviewOptions) -> Reviewer | None:
    """The reviewer to consult after `accepted`, or None. An implementation may leave out `options`."""
    raise NotImplementedError


@hookspec
def agentgate_prepare(tree: Tree, role: str, change: Change, policy: Policy) -> None:
    """Called with each tree that code will run in: build extensions, generate files. Tracked files must stay the same."""
    raise NotImplementedError


@hookspec
def agentgate_evidence(evidence: Evidence) -> None:
    """Told of each piece of evidence as its check ends."""
    raise NotImplementedError


@hookspec
def agentgate_report(report: Report) -> None:
    """Told of the whole report at the end."""
    raise NotImplementedError
