"""What a human has said beforehand that a patch may do: the task's word on tests, judges and dependencies. Pure.

A task turns a hold into a note, never a rejection into anything, and only for what its words name. What a consented file
could smuggle in besides (rights, other package indexes, the gate's own policy, attributes that hide a file) is asked about still.
"""

from __future__ import annotations

from pytest_agentgate.checks.integrity.manifests import normal
from pytest_agentgate.checks.integrity.rule import Hit
from pytest_agentgate.layout import matches
from pytest_agentgate.model import Task

TESTS = frozenset({"integrity/test-deleted", "integrity/test-skipped"})
"""Allowed by `tests_may_be_edited`."""
JUDGES = frozenset(
    {"integrity/config-weakened", "integrity/ignore-hides", "integrity/judges-edited", "integrity/pipeline-weakened"}
)
"""Allowed by `judges_may_be_edited`."""


def consented(hit: Hit, task: Task | None) -> bool:
    """Whether the task allows what a rule would hold."""
    if task is None:
        return False
    path = hit.path or ""
    if hit.rule in TESTS:
        return matches(path, task.tests_may_be_edited)
    if hit.rule in JUDGES:
        return matches(path, task.judges_may_be_edited)
    if hit.rule == "integrity/new-dependency":
        return normal(hit.text) in {normal(n) for n in task.dependencies_may_be_added}
    return False
