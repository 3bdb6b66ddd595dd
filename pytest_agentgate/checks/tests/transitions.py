"""What became of each test from base to head. Pure."""

from __future__ import annotations

from pytest_agentgate.checks.tests.judge import Judge
from pytest_agentgate.model.evidence import Outcome, TestOutcome

SHORT: dict[Outcome, str] = {
    "passed": "pass",
    "failed": "fail",
    "error": "fail",
    "skipped": "skip",
    "xfailed": "xfail",
    "xpassed": "pass",
    "missing": "missing",
}


def outcomes(judge: Judge) -> list[TestOutcome]:
    """Every test with its transition from base to head."""
    found = []
    for node_id in sorted(judge.expected if judge.suite is not None else ()):
        verdict = judge.verdicts.get(node_id)
        head: Outcome = judge.suite.outcome(node_id) if judge.suite else "missing"
        base: Outcome = verdict.base if verdict else "passed"
        found.append(_outcome(node_id, base, head, verdict.classification if verdict else "", _trees(judge, node_id)))
    for node_id, result in sorted(judge.own.results.items() if judge.own else ()):
        if node_id not in judge.expected or judge.suite is None:
            base = _before(judge, node_id)
            found.append(_outcome(node_id, base, result.outcome, "", _trees(judge, node_id)))
    return found


def _before(judge: Judge, node_id: str) -> Outcome:
    """What a test of the patch's own run came to on the base."""
    if node_id in judge.old:
        return judge.old[node_id].outcome
    if node_id in judge.expected:
        return "passed"
    return judge.before.outcome(node_id) if judge.before else "missing"


def _trees(judge: Judge, node_id: str) -> dict[str, Outcome]:
    """What a test came to in the trees that it ran in; the base is run only for what the head got wrong."""
    found: dict[str, Outcome] = {"base": judge.verdicts[node_id].base} if node_id in judge.verdicts else {}
    for role, run in (("head+base-tests", judge.suite), ("head", judge.own), ("base+head-tests", judge.before)):
        if run is not None and node_id in run.results:
            found[role] = run.results[node_id].outcome
    return found


def _outcome(node_id: str, base: Outcome, head: Outcome, classification: str, trees: dict[str, Outcome]) -> TestOutcome:
    was = "fail" if base == "missing" and head == "passed" else SHORT[base]
    transition = f"{was}-to-{SHORT[head]}"
    return TestOutcome(node_id=node_id, transition=transition, base=base, head=head, classification=classification, trees=trees)
