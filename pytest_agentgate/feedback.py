"""What an agent is told of a verdict. Pure.

Only what it has to mend: new findings with effect `reject`, root causes first, each with its place and a command that
shows it. What a human has to settle is named as such and never put to the agent as its fault.
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_agentgate.model import Finding, Report, ReviewFinding
from pytest_agentgate.text import shorten, visible

MAX_TOKENS = 2000
CHARACTERS_PER_TOKEN = 3
"""A low estimate of characters in a token of English mixed with code, so that the cap holds."""

ROOTS = ("scope", "compile", "ruff", "mypy", "pytest")
"""A file that does not compile explains a failing test, never the other way round."""


def feedback(report: Report, max_tokens: int = MAX_TOKENS) -> str:
    """Plain text of at most `max_tokens` (estimated at three characters each), ending in a line end."""
    budget = max_tokens * CHARACTERS_PER_TOKEN
    lines = [f"agentgate: {report.verdict.decision}"]
    proved = [f for f in report.review.findings if f.level in ("E4", "E3") and f.reproduction]
    if report.verdict.decision == "accepted" and not proved:
        return lines[0] + ("" if report.judged else " (passed through, and not judged)") + "\n"
    findings = sorted(_to_mend(report), key=_order)
    if report.verdict.decision == "rejected":
        lines.append("Mend these in the product's code. Do not weaken, skip or delete tests, and do not silence tools.")
    elif report.verdict.decision == "accepted":
        lines.append("Every check passed. A review found defects, each with a test that fails now; mend the product's code.")
    else:
        rest = "what follows is yours to mend all the same" if proved else "there is nothing for you to mend"
        lines.append(f"A human has to settle this; {rest}. Reasons:")
        lines += [f"- {visible(r)}" for r in report.verdict.reasons]
    used, shown = sum(len(line) + 1 for line in lines), 0
    blocks = [*(_block(f) for f in findings), *(_review_block(f) for f in proved)]
    for block in blocks:
        if used + len(block) + 1 > budget - 60:
            lines.append(f"({len(blocks) - shown} more problems are not shown)")
            break
        lines.append(block)
        used, shown = used + len(block) + 1, shown + 1
    return shorten("\n".join(lines), budget - 1) + "\n"


def _review_block(finding: ReviewFinding) -> str:
    """A proved finding of a review with the test that fails."""
    place = f"{finding.path}:{finding.line}"
    lines = [f"- review/{finding.level} {visible(place)}: {shorten(visible(finding.claim), 300)}", "  this test fails now:"]
    return "\n".join([*lines, *(f"    {shorten(visible(row), 160)}" for row in finding.reproduction.splitlines()[:50])])


def _to_mend(report: Report) -> Iterator[Finding]:
    for evidence in report.evidence:
        yield from (f for f in evidence.findings if f.counts and f.effect == "reject")


def _order(finding: Finding) -> tuple[int, str, int]:
    check = finding.rule.partition("/")[0]
    return ROOTS.index(check) if check in ROOTS else len(ROOTS), finding.path or "", finding.line or 0


def _block(finding: Finding) -> str:
    place = finding.node_id or f"{finding.path or ''}{f':{finding.line}' if finding.line else ''}"
    lines = [f"- {visible(finding.rule)} {visible(place)}: {shorten(visible(finding.message), 300)}"]
    if finding.text:
        lines += [f"    {shorten(visible(row), 160)}" for row in finding.text.splitlines()[:6]]
    if finding.command and len(finding.command) <= 400:  # half a command is none
        lines.append(f"  repeat: {visible(finding.command)}")
    return "\n".join(lines)
