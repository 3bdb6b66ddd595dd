"""Rules that the base itself breaks in many places: whoever selects them does not stop anybody for them.

A pipeline that enforced such a rule would be red on the base, so that one more finding is a note. What finds errors (E9, F, B, S, PLE,
ASYNC) counts all the same, and so do what a suppression hides and what the policy names. Tests are counted apart from the product.
Where the base selects nothing by itself, what ruff's default has beyond E4, E7, E9 and F counts as one rule: nobody chose it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import msgspec

from pytest_agentgate.checks.ruff.pinned import picks, selected
from pytest_agentgate.checks.ruff.tool import lint
from pytest_agentgate.errors import ToolError
from pytest_agentgate.layout import is_test
from pytest_agentgate.model import Finding
from pytest_agentgate.protocols import Context

ENOUGH = 3
"""Findings of one rule on the base, with its suppressions honoured."""
ERROR = re.compile(r"ruff/((F|B|S)\d|E9|PLE|ASYNC|invalid-syntax|format)")


def note_unenforced(findings: Sequence[Finding], context: Context, flags: Sequence[str]) -> list[Finding]:
    """Findings with those noted that the base has ENOUGH of its own of, suppressions honoured."""
    asked = {id(f) for f in findings if f.baseline_state == "new" and f.effect == "reject" and _may_be_taste(f, context)}
    if not asked or flags:
        return list(findings)
    try:
        with context.trees.place("base", read_only=True) as tree:
            base = lint(tree, context, flags, (".",))
    except ToolError:
        return list(findings)
    entries = context.trees.entries("base")
    known = Counter((f.rule, is_test(f.path, context.policy)) for f in base if f.path and f.path in entries)
    chosen = selected(context)

    def nobodys(rule: str) -> bool:
        return chosen is not None and not picks(chosen, rule.removeprefix("ruff/"))

    others = sum(n for (rule, _), n in known.items() if nobodys(rule))
    result = []
    for finding in findings:
        count = others if nobodys(finding.rule) else known[finding.rule, is_test(finding.path or "", context.policy)]
        words = f"the base has {count} of these that nothing silences: it does not enforce the rule"
        noted = id(finding) in asked and count >= ENOUGH
        result.append(msgspec.structs.replace(finding, effect="note", advice=words) if noted else finding)
    return result


def _may_be_taste(finding: Finding, context: Context) -> bool:
    """Whether a rule finds no error, nothing hides what it found, and the policy says nothing of it."""
    hidden = finding.message.endswith("by a suppression in the patch)")
    return not hidden and not ERROR.match(finding.rule) and context.effect(finding.rule, finding.path, "note") == "note"
