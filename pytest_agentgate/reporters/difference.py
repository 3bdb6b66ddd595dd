"""What a new attempt fixed and broke, from two reports. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_agentgate.model import Finding, Report
from pytest_agentgate.reporters.common import fingerprints
from pytest_agentgate.text import shorten, visible


def difference(before: Report, after: Report) -> str:
    """Findings that count: those that are gone, those that are new, those that stayed; then the two verdicts."""
    old, new = _counting(before), _counting(after)
    lines = [f"before: {before.verdict.decision}, after: {after.verdict.decision}"]
    if before.change.base_tree != after.change.base_tree:
        lines.append("the reports have different bases: what one calls new need not be new for the other")
    groups = (
        ("fixed", [f for mark, f in old.items() if mark not in new]),
        ("broken", [f for mark, f in new.items() if mark not in old]),
        ("left", [f for mark, f in new.items() if mark in old]),
    )
    for word, found in groups:
        lines.append(f"{word}: {len(found)}")
        lines += [f"  {_words(f)}" for f in found]
    lines += [f"tests: {row}" for row in _tests(before, after)]
    return "\n".join(lines) + "\n"


def _counting(report: Report) -> dict[str, Finding]:
    return {mark: f for f, mark in fingerprints(report) if f.counts or f.approved}


def _words(finding: Finding) -> str:
    place = finding.node_id or f"{finding.path or '-'}{f':{finding.line}' if finding.line else ''}"
    return f"{finding.effect}{' (allowed)' if finding.approved else ''} {visible(place)}: {visible(finding.rule)} {shorten(visible(finding.message), 200)}"


def _tests(before: Report, after: Report) -> Iterator[str]:
    """Tests whose outcome on the head differs between the reports."""
    old = {o.node_id: o.head for e in before.evidence for o in e.outcomes}
    new = {o.node_id: o.head for e in after.evidence for o in e.outcomes}
    for node_id in sorted(old.keys() | new.keys()):
        was, now = old.get(node_id, "passed"), new.get(node_id, "passed")
        if was != now:
            yield f"{visible(node_id)} {was} before, {now} now"
