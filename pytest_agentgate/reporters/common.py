"""What several reporters share: findings in order, fingerprints, words. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from pytest_agentgate.cache import digest
from pytest_agentgate.model import Finding, Report

ORDER = {"reject": 0, "hold": 1, "note": 2}
MEANING = {
    "accepted": "every required check passed",
    "rejected": "the agent has to mend what it introduced",
    "undecided": "a human has to settle this",
}


def meaning(report: Report) -> str:
    """What the verdict means, in words."""
    return MEANING[report.verdict.decision] if report.judged else "passed through, and not judged"


def encode(value: object) -> str:
    """`value` as indented JSON with a line end; halves of surrogate pairs, which no UTF-8 has, are written as escapes."""
    try:
        data = msgspec.json.encode(value)
    except UnicodeEncodeError:
        data = msgspec.json.encode(_whole(msgspec.to_builtins(value)))
    return msgspec.json.format(data, indent=2).decode() + "\n"


def _whole(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_whole(k): _whole(v) for k, v in value.items()}
    return [_whole(v) for v in value] if isinstance(value, list | tuple) else value


def ordered(report: Report, *, notes: bool = True) -> list[tuple[str, Finding]]:
    """New findings of all checks, the ones that count first; each with its check."""
    found = [
        (e.check, f) for e in report.evidence for f in e.findings if f.baseline_state == "new" and (notes or f.effect != "note")
    ]
    return sorted(found, key=lambda p: (not p[1].counts, ORDER[p[1].effect], p[1].path or "", p[1].line or 0, p[1].rule))


def fingerprints(report: Report) -> Iterator[tuple[Finding, str]]:
    """Every finding with a name that stays the same when lines move: rule, place without number, text, and the count of it."""
    seen: dict[str, int] = {}
    for evidence in report.evidence:
        for finding in evidence.findings:
            text = finding.text or finding.message
            key = digest("fingerprint", finding.rule, finding.path or "", finding.node_id or "", " ".join(text.split()))
            seen[key] = seen.get(key, 0) + 1
            yield finding, digest(key, seen[key])[:32]


def path_of(finding: Finding) -> str | None:
    """The file that a finding is about; that of its test where it names none."""
    return finding.path or (finding.node_id or "").partition("::")[0] or None


def counts(report: Report) -> str:
    """How many of each effect, in words."""
    found = [f for _, f in ordered(report)]
    words = {"reject": "to mend", "hold": "for a human", "note": "noted"}
    parts = [f"{n} {words[e]}" for e in ORDER if (n := sum(1 for f in found if f.effect == e and not f.approved))]
    return ", ".join(parts) or "no findings"
