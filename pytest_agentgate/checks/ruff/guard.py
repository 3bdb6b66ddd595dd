"""What misleads whoever reads the change: ruff's own rules for it, whatever the project selected.

A second pair of eyes beside `integrity`, which looks for the same with its own code: ruff has another tokenizer and other tables.
Findings hold, as the rules there do where a human may have a reason. Only files that could hold such a thing are asked about, so
that most changes do not pay for it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pytest_agentgate.checks.ruff.tool import ROLE, lint
from pytest_agentgate.layout import kind
from pytest_agentgate.model import Finding
from pytest_agentgate.protocols import Context, Tree

CHARACTERS = ("PLE2502", "PLE2510", "PLE2512", "PLE2513", "PLE2514", "PLE2515")
"""Characters that no editor shows, or that change the order of what it shows (CVE-2021-42574)."""
NAMES = ("PLC2401", "PLC2403")
"""Names that are not ASCII, and so may look like others (CVE-2021-42694)."""
CARRIERS = ("S102", "S302", "S323", "S501", "S506")
"""`exec` and `marshal`: code that is not in the change. Certificates that nobody checks; YAML that makes any object."""
FLAGS = ("--isolated", "--select", ",".join((*CHARACTERS, *NAMES, *CARRIERS)))
SUSPECT = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f\x7f-\xff]|\bexec\b|\bmarshal\b|_create_unverified_context|\bverify\s*=|\byaml\b")
"""No rule of this module has anything to say where none of these bytes is."""


def lint_misleading(head: Tree, context: Context) -> list[Finding]:
    """What the rules of this module find in the changed files of the head, new or not."""
    known = context.trees.entries(ROLE)
    changed = [f.path for f in context.change.files if f.new and not f.odd and f.path.endswith((".py", ".pyi")) and f.path in known]
    suspects = sorted(p for p, data in context.trees.read_many(ROLE, changed).items() if SUSPECT.search(data))
    return lint(head, context, FLAGS, ("--ignore-noqa", "--", *suspects), "hold") if suspects else []


def select(found: Sequence[Finding], others: Sequence[Finding], context: Context) -> list[Finding]:
    """What counts: new, not reported under the project's own configuration, and nothing that the file already did before."""
    reported = {(f.rule, f.path, f.line, f.column) for f in others}
    before = {(f.path, _family(f)) for f in found if f.baseline_state != "new"}
    return [
        f
        for f in found
        if f.baseline_state == "new"
        and (f.rule, f.path, f.line, f.column) not in reported
        and not (_family(f) is NAMES and (f.path, NAMES) in before)
        and not (_family(f) is CARRIERS and kind(f.path or "", context.policy) != "product")
    ]


def _family(finding: Finding) -> Sequence[str]:
    code = finding.rule.partition("/")[2]
    return next((family for family in (CHARACTERS, NAMES, CARRIERS) if code in family), ())
