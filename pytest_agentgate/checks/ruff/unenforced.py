"""Rules that the base itself breaks in many places: whoever selects them does not stop anybody for them.

A pipeline that enforced such a rule would be red on the base, so that one more finding is a note. Errors (E9, F) count all the same,
and so does what the policy names.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import msgspec

from pytest_agentgate.checks.ruff.tool import lint
from pytest_agentgate.errors import ToolError
from pytest_agentgate.model import Finding
from pytest_agentgate.protocols import Context

ENOUGH = 3
"""Findings of one rule on the base, with its suppressions honoured."""
ERROR = re.compile(r"ruff/(F\d|E9|invalid-syntax)")


def note_unenforced(findings: Sequence[Finding], context: Context, flags: Sequence[str]) -> list[Finding]:
    """Findings with those noted that the base has ENOUGH of its own of, suppressions honoured."""
    asked = {f.rule for f in findings if f.baseline_state == "new" and f.effect == "reject" and _may_be_taste(f, context)}
    if not asked or flags:
        return list(findings)
    try:
        with context.trees.place("base", read_only=True) as tree:
            known = Counter(f.rule for f in lint(tree, context, flags, (".",)) if f.path in context.trees.entries("base"))
    except ToolError:
        return list(findings)
    result = []
    for finding in findings:
        if finding.rule in asked and finding.effect == "reject" and known[finding.rule] >= ENOUGH:
            words = f"the base has {known[finding.rule]} of these that nothing silences: it does not enforce the rule"
            finding = msgspec.structs.replace(finding, effect="note", advice=words)  # noqa: PLW2901  # the same finding
        result.append(finding)
    return result


def _may_be_taste(finding: Finding, context: Context) -> bool:
    """Whether a rule is no error, and the policy says nothing of it."""
    error = ERROR.match(finding.rule) or finding.rule == "ruff/format"
    return not error and context.effect(finding.rule, finding.path, "note") == "note"
