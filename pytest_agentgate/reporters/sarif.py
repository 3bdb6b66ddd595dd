"""SARIF 2.1.0 (OASIS Standard, errata 01): one run for the checks, one for the review. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from pytest_agentgate.model import Finding, Report, ReviewFinding
from pytest_agentgate.reporters.common import encode, fingerprints, path_of
from pytest_agentgate.rulebook import Rule

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS = {"reject": "error", "hold": "warning", "note": "note"}
REVIEW = {"E4": "warning", "E3": "warning", "E2": "note", "E1": "note", "E0": "none"}
HOME = "https://pypi.org/project/pytest-agentgate/"


class SarifReporter:
    """``--report sarif=FILE``, for code scanning."""

    name = "sarif"

    def __init__(self, rules: Mapping[str, Rule] | None = None) -> None:
        self.rules = rules or {}

    def render(self, report: Report) -> str:
        """The whole log as JSON."""
        runs = [_checks(report, self.rules)]
        if report.review.status != "not-run":
            runs.append(_review(report))
        log = {"$schema": SCHEMA, "version": "2.1.0", "runs": runs}
        return encode(log)


def _run(
    report: Report, name: str, rules: list[dict[str, object]], results: list[dict[str, object]], *, good: bool
) -> dict[str, object]:
    driver = {"name": name, "version": report.version, "informationUri": HOME, "rules": rules}
    invocation = {"executionSuccessful": good, "properties": {"decision": report.verdict.decision, "assurance": report.assurance}}
    return {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"{name}/"},
        "originalUriBaseIds": {"%SRCROOT%": {"description": {"text": "The root of the repository."}}},
        "columnKind": "unicodeCodePoints",
        "invocations": [invocation],
        "results": results,
    }


def _help(name: str, rules: Mapping[str, Rule]) -> dict[str, object]:
    """What is known of a rule: its page's texts, or where they are."""
    rule = rules.get(name) or rules.get(name.partition("/")[0] + "/*")
    if rule is None:
        return {"shortDescription": {"text": name}, "help": {"text": f"agentgate explain {name}"}}
    text = f"{rule.title}. {rule.why}\n\n{rule.instead}\n\nMore: agentgate explain {name}"
    return {
        "shortDescription": {"text": f"{rule.title}."},
        "fullDescription": {"text": rule.why},
        "help": {"text": text, "markdown": text},
    }


def _checks(report: Report, known: Mapping[str, Rule]) -> dict[str, object]:
    names = sorted({f.rule for e in report.evidence for f in e.findings})
    index = {name: n for n, name in enumerate(names)}
    effects: Mapping[str, str] = {f.rule: f.effect for e in report.evidence for f in e.findings}
    rules: list[dict[str, object]] = [
        {
            "id": name,
            **_help(name, known),
            "defaultConfiguration": {"level": LEVELS[effects[name]]},
        }
        for name in names
    ]
    results = [_result(f, mark, index[f.rule]) for f, mark in fingerprints(report)]
    errored = [e for e in report.evidence if e.status == "errored"]
    run = _run(report, "pytest-agentgate", rules, results, good=not errored)
    notes = [{"level": "error", "message": {"text": f"{e.check} could not run: {e.reason}"}} for e in errored]
    if notes:
        run["invocations"][0]["toolExecutionNotifications"] = notes  # type: ignore[index]  # made above
    return run


def _result(finding: Finding, mark: str, index: int) -> dict[str, object]:
    text = finding.message + (f"\n{finding.advice}" if finding.advice else "")
    result: dict[str, object] = {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": LEVELS[finding.effect],
        "message": {"text": text},
        "baselineState": finding.baseline_state,
        "partialFingerprints": {"agentgate/v1": mark},
    }
    path = path_of(finding)
    if path:
        result["locations"] = [
            _location(path, finding.line if finding.path else None, finding.column, finding.text, finding.node_id)
        ]
    if finding.approved:
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": "a human allowed it (--approve)"}]
    return result


def _location(path: str, line: int | None, column: int | None, text: str, node_id: str | None) -> dict[str, object]:
    place: dict[str, object] = {"artifactLocation": {"uri": quote(path, errors="backslashreplace"), "uriBaseId": "%SRCROOT%"}}
    if line and line > 0:
        region: dict[str, object] = {"startLine": line}
        if column and column > 0:
            region["startColumn"] = column
        if text:
            region["snippet"] = {"text": text}
        place["region"] = region
    found: dict[str, object] = {"physicalLocation": place}
    if node_id:
        found["logicalLocations"] = [{"fullyQualifiedName": node_id, "kind": "function"}]
    return found


def _review(report: Report) -> dict[str, object]:
    review = report.review
    rules: list[dict[str, object]] = [
        {
            "id": f"review/{level}",
            "shortDescription": {"text": words},
            "help": {"text": words},
            "defaultConfiguration": {"level": REVIEW[level]},
        }
        for level, words in (
            ("E4", "A test that fails here and passes on the base shows it"),
            ("E3", "A test makes a changed line raise"),
            ("E2", "A test fails on an expectation that a quoted text backs"),
            ("E1", "A model claims it; its place is real"),
        )
    ]
    index = {str(r["id"]): n for n, r in enumerate(rules)}
    results = [_claim(f, index[f"review/{f.level}"]) for f in review.findings if f"review/{f.level}" in index]
    run = _run(report, "pytest-agentgate review", rules, results, good=review.status == "complete")
    if review.status != "complete":
        note = {"level": "warning", "message": {"text": f"the review is {review.status}: {review.reason}"}}
        run["invocations"][0]["toolExecutionNotifications"] = [note]  # type: ignore[index]  # made above
    return run


def _claim(finding: ReviewFinding, index: int) -> dict[str, object]:
    words = [finding.claim, *(f"{n}: {v}" for n in ("trigger", "observed", "expected") if (v := getattr(finding, n))), finding.why]
    return {
        "ruleId": f"review/{finding.level}",
        "ruleIndex": index,
        "level": REVIEW[finding.level],
        "message": {"text": "\n".join(w for w in words if w)},
        "locations": [_location(finding.path, finding.line if finding.side == "head" else None, None, finding.quote, None)],
        "properties": {"severity": finding.severity, "confidence": finding.confidence, "category": finding.category},
    }
