"""The verdict. Pure: it sees evidence and policy, never git, trees or the network."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import msgspec

from pytest_agentgate.model import Evidence, Finding, Policy, Review, Verdict


def approve(evidence: Iterable[Evidence], approvals: Collection[str]) -> tuple[Evidence, ...]:
    """Mark each `hold` that a human allowed; an approval is ``RULE`` or ``RULE:PATH`` (a node id is a path, too)."""
    evidence = tuple(evidence)
    found = [f for e in evidence for f in e.findings]
    deleted = {(f.path, f.text) for f in found if f.rule == "integrity/test-deleted" and _allowed(f, approvals)}

    def marked(finding: Finding) -> Finding:
        allowed = finding.effect == "hold" and (_allowed(finding, approvals) or _same(finding, deleted))
        return msgspec.structs.replace(finding, approved=True) if allowed else finding

    return tuple(msgspec.structs.replace(e, findings=tuple(marked(f) for f in e.findings)) for e in evidence)


def _allowed(finding: Finding, approvals: Collection[str]) -> bool:
    names = {finding.rule, f"{finding.rule}:{finding.path}", f"{finding.rule}:{finding.node_id}"}
    return not names.isdisjoint(approvals)


def _same(finding: Finding, deleted: Collection[tuple[str | None, str]]) -> bool:
    """Whether the sessions only tell again that a test function is gone, of which a human has said that it may go."""
    name = (finding.node_id or "").rpartition("::")[2].partition("[")[0]
    return finding.rule == "pytest/test-removed" and (finding.path, f"def {name}") in deleted


def decide(evidence: Sequence[Evidence], policy: Policy, required: Collection[str]) -> Verdict:
    """First row that fits: rejected, undecided, accepted (the table in the documentation, "How it decides")."""
    if reasons := _rejections(evidence):
        held = sorted({f.rule for e in evidence for f in e.findings if f.counts and f.effect == "hold"})
        more = (f"and a human would have to allow {', '.join(held)}",) if held else ()
        return Verdict(decision="rejected", reasons=(*reasons, *more))
    if reasons := _doubts(evidence, policy, required):
        return Verdict(decision="undecided", reasons=reasons)
    passed = [e.check for e in evidence if e.status in ("passed", "failed")]
    allowed = sorted({f.rule for e in evidence for f in e.findings if f.approved})
    words = [f"a human allowed {', '.join(allowed)}"] if allowed else []
    return Verdict(decision="accepted", reasons=(f"every required check passed: {', '.join(passed)}", *words))


def settle(verdict: Verdict, review: Review, policy: Policy) -> Verdict:
    """The verdict after a review: only where the policy lets reviews block, and only ever a worse one."""
    blocking = policy.review.block_on
    if verdict.decision != "accepted" or not blocking:
        return verdict
    found = [f for f in review.findings if f.level in blocking or f"{f.level}:{f.severity}" in blocking]
    if not found and review.status == "complete":
        return verdict
    if not found:
        words = f"the policy lets a review block, and it is {review.status}: {review.reason}"
        return Verdict(decision="undecided", reasons=(words,))
    return Verdict(decision="rejected", reasons=tuple(f"review {f.level} {f.path}:{f.line}: {f.claim}" for f in found))


def _counting(evidence: Evidence, effect: str) -> int:
    return sum(1 for f in evidence.findings if f.counts and f.effect == effect)


def _rejections(evidence: Iterable[Evidence]) -> tuple[str, ...]:
    counts = [(e.check, _counting(e, "reject")) for e in evidence]
    return tuple(f"{check}: {n} new problem{'s' if n > 1 else ''}" for check, n in counts if n)


def _could_be_more(evidence: Evidence, policy: Policy) -> bool:
    """Where no sandbox works nothing above A0 can be claimed; the report says so, and `sandbox = "require"` insists."""
    return evidence.sandbox != "none" or policy.sandbox == "require"


def _doubts(evidence: Sequence[Evidence], policy: Policy, required: Collection[str]) -> tuple[str, ...]:
    reasons = [f"{e.check} could not run: {e.reason}" for e in evidence if e.status == "errored"]
    present = {e.check for e in evidence}
    reasons += [f"{name} is required and gave no evidence" for name in required if name not in present]
    reasons += [
        f"{e.check} was skipped: {e.reason}"
        for e in evidence
        if e.status == "skipped" and not e.leave and e.check in required and e.check not in policy.may_skip
    ]
    for item in evidence:
        held = sorted({f.rule for f in item.findings if f.counts and f.effect == "hold"})
        if held:
            reasons.append(f"{item.check}: a human has to allow {', '.join(held)}")
    reasons += [
        f"{e.check} reached assurance {e.assurance}, and the policy asks for {policy.assurance}: {e.assurance_reason}"
        for e in evidence
        if e.assurance and e.assurance < policy.assurance and e.status in ("passed", "failed") and _could_be_more(e, policy)
    ]
    settled = any(e.status == "passed" or (e.status == "failed" and not any(f.counts for f in e.findings)) for e in evidence)
    if not settled and not reasons:
        reasons.append("nothing was examined, so that nothing passed")
    return tuple(reasons)


def assurance_of(evidence: Sequence[Evidence]) -> str:
    """The assurance of the tests; A0 where none ran."""
    return max((e.assurance for e in evidence if e.assurance), default="A0")
