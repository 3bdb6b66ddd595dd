"""JUnit XML: each check a suite, findings and tests as cases. Pure."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from pytest_agentgate.model import Evidence, Finding, Report
from pytest_agentgate.text import visible


class JunitReporter:
    """``--report junit=FILE``, for CI servers."""

    name = "junit"

    def render(self, report: Report) -> str:
        """The whole report as XML."""
        root = ET.Element("testsuites", name="agentgate", time=f"{report.duration:.3f}")
        for evidence in report.evidence:
            root.append(_suite(evidence))
        root.append(_verdict(report))
        for key in ("tests", "failures", "errors", "skipped"):
            root.set(key, str(sum(int(suite.get(key, "0")) for suite in root)))
        ET.indent(root)
        return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _case(suite: ET.Element, name: str, owner: str) -> ET.Element:
    return ET.SubElement(suite, "testcase", classname=f"agentgate.{visible(owner)}", name=visible(name), time="0")


def _count(suite: ET.Element) -> ET.Element:
    cases = suite.findall("testcase")
    for key, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(key, str(sum(1 for c in cases if c.find(tag) is not None)))
    suite.set("tests", str(len(cases)))
    return suite


def _suite(evidence: Evidence) -> ET.Element:
    """One check: one case for the check itself, one for each finding that is new, one for each test that changed."""
    suite = ET.Element("testsuite", name=visible(evidence.check), time=f"{evidence.duration:.3f}")
    whole = _case(suite, evidence.check, evidence.check)
    if evidence.status == "errored":
        ET.SubElement(whole, "error", message=visible(evidence.reason))
    elif evidence.status == "skipped":
        ET.SubElement(whole, "skipped", message=visible(evidence.reason))
    for finding in evidence.findings:
        if finding.baseline_state == "new":
            _finding(suite, finding, evidence.check)
    for outcome in evidence.outcomes:
        case = _case(suite, outcome.node_id, f"{evidence.check}.tests")
        words = " ".join(w for w in (outcome.transition, outcome.classification) if w)
        if outcome.classification in ("regression", "expectation-changed", "removed"):
            ET.SubElement(case, "failure", message=visible(words))
        elif outcome.head in ("skipped", "xfailed", "missing"):
            ET.SubElement(case, "skipped", message=visible(words))
        else:
            ET.SubElement(case, "system-out").text = visible(words)
    return _count(suite)


def _finding(suite: ET.Element, finding: Finding, check: str) -> None:
    place = finding.node_id or f"{finding.path or '-'}{f':{finding.line}' if finding.line else ''}"
    case = _case(suite, f"{finding.rule} {place}", check)
    text = "\n".join(visible(row) for row in (finding.text + "\n" + finding.advice).splitlines() if row)
    if finding.counts:
        ET.SubElement(case, "failure", message=visible(finding.message), type=finding.effect).text = text
    else:
        ET.SubElement(case, "system-out").text = f"{finding.effect}: {visible(finding.message)}\n{text}"


def _verdict(report: Report) -> ET.Element:
    """The verdict as a case of its own, so that an undecided change is no green suite."""
    suite = ET.Element("testsuite", name="verdict", time="0")
    case = _case(suite, "verdict", "verdict")
    words = "; ".join(visible(r) for r in report.verdict.reasons)
    if not report.judged:
        ET.SubElement(case, "skipped", message=words)
    elif report.verdict.decision == "rejected":
        ET.SubElement(case, "failure", message=words, type="rejected")
    elif report.verdict.decision == "undecided":
        ET.SubElement(case, "error", message=words, type="undecided")
    return _count(suite)
