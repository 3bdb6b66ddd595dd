"""The report for a person at a terminal or reading a CI log. Every word of the patch in it is escaped."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

from pytest_agentgate.model import Evidence, Finding, Report
from pytest_agentgate.reporters.common import meaning
from pytest_agentgate.reporters.review_lines import review_lines, summary
from pytest_agentgate.text import approval, shorten, visible

STYLES = {
    "accepted": "bold green",
    "rejected": "bold red",
    "undecided": "bold yellow",
    "passed": "green",
    "failed": "red",
    "errored": "yellow",
    "skipped": "dim",
    "reject": "red",
    "hold": "yellow",
    "note": "dim",
    "text": "dim",
    "": "",
}
MEANING = {
    "rejected": "the agent has to mend the problems above",
    "undecided": "a human has to settle this",
    "accepted": "every required check passed",
}
MOST = 50
"""Findings of one check that are shown without ``-v``."""

Line = tuple[str, str]
"""A style and the text in it."""


class TerminalReporter:
    """``--report terminal``; also what `agentgate check` prints."""

    name = "terminal"

    def __init__(self, *, color: bool = False, verbosity: int = 0, checks_shown: bool = False) -> None:
        self.color, self.verbosity, self.checks_shown = color, verbosity, checks_shown

    def render(self, report: Report) -> str:
        """Checks, findings, verdict."""
        return paint(self._lines(report), color=self.color)

    def _lines(self, report: Report) -> Iterator[Line]:
        if not self.checks_shown and self.verbosity >= 0:
            yield "", headline(report)
            for evidence in report.evidence:
                yield check_line(evidence)
        for evidence in report.evidence:
            yield from self._findings(evidence)
        yield from review_lines(report.review, verbose=self.verbosity > 0)
        yield from _verdict(report, quiet=self.verbosity < 0)

    def _findings(self, evidence: Evidence) -> Iterator[Line]:
        wanted = [
            f
            for f in evidence.findings
            if f.counts or self.verbosity > 0 or (f.baseline_state == "new" and f.effect == "note" and self.verbosity == 0)
        ]
        most = len(wanted) if self.verbosity > 0 else MOST
        for finding in sorted(wanted, key=lambda f: (not f.counts, f.effect != "reject"))[:most]:
            yield from finding_lines(finding, verbose=self.verbosity >= 0)
        if len(wanted) > most:
            yield "dim", f"  … and {len(wanted) - most} more of {visible(evidence.check)} (-v shows all)"
        if self.verbosity > 0:
            for outcome in evidence.outcomes:
                yield "dim", f"  {outcome.transition:14} {visible(outcome.node_id)} {outcome.classification}".rstrip()


def headline(report: Report) -> str:
    """What was judged, in one line."""
    change = report.change
    added, deleted = sum(f.added_lines for f in change.files), sum(f.deleted_lines for f in change.files)
    return (
        f"{len(change.files)} file{'s' if len(change.files) != 1 else ''} changed (+{added} -{deleted}), "
        f"{change.source} against {change.base[:12]} ({visible(change.note)})"
    )


def check_line(evidence: Evidence) -> Line:
    """One check in one line."""
    words = evidence.reason
    if evidence.status in ("passed", "failed"):
        counts = [
            f"{n} {name}"
            for name in ("reject", "hold", "note")
            if (n := sum(1 for f in evidence.findings if f.baseline_state == "new" and f.effect == name))
        ]
        tests = [f"{n} {t}" for t, n in evidence.tests.items()]
        words = ", ".join([*(counts or [f"examined {evidence.examined}"]), *tests, *([words] if words else [])])
    extra = " (cached)" if evidence.cached else f" {evidence.duration:.1f}s" if evidence.duration >= 0.05 else ""
    unsafe = ", unsandboxed" if evidence.sandbox == "none" else ""
    return evidence.status, f"{visible(evidence.check):10} {evidence.status:8}{extra}{unsafe}  {visible(words)}"


def finding_lines(finding: Finding, *, verbose: bool = True) -> Iterator[Line]:
    """Place and message; then the offending text and the command that repeats it."""
    place = finding.path or ""
    if finding.line:
        place += f":{finding.line}"
    if finding.node_id:
        place = finding.node_id
    state = " (allowed)" if finding.approved else "" if finding.baseline_state == "new" else f" ({finding.baseline_state})"
    yield (
        finding.effect,
        f"{visible(place) or '-'}: {visible(finding.rule)} [{finding.effect}]{state} {shorten(visible(finding.message), 400)}",
    )
    if not verbose:
        return
    for row in finding.text.splitlines()[:8]:
        yield "text", f"    | {shorten(visible(row), 160)}"
    if finding.advice:
        yield "text", f"    {visible(finding.advice)}"
    if finding.command and finding.counts:
        yield "text", f"    repeat: {visible(finding.command)}"
    if finding.effect == "hold" and finding.counts:
        yield "text", f"    to allow it: --approve {visible(approval(finding.rule, finding.node_id or finding.path))}"


def _verdict(report: Report, *, quiet: bool) -> Iterator[Line]:
    decision = report.verdict.decision
    if not quiet or decision == "undecided":
        for reason in report.verdict.reasons:
            yield "", f"  {visible(reason)}"
    if not quiet:
        for note in report.notes:
            yield "undecided", f"  {visible(note)}"
        if report.unsandboxed:
            yield "undecided", "  unsandboxed: the patch's code could touch this machine; install bubblewrap"
        parts = [f"assurance {visible(report.assurance)}{_proof(report)}", *([summary(report.review)] if _asked(report) else [])]
        yield "dim", f"  {', '.join(parts)}, {report.duration:.1f}s"
    yield decision, f"{decision}: {MEANING[decision] if report.judged else meaning(report)}"


def _proof(report: Report) -> str:
    """How much the assurance rests on: tests that were turned, and expected values that were held back."""
    evidence = next((e for e in report.evidence if e.assurance), None)
    if evidence is None:
        return ""
    n = evidence.anti_tests
    if not n.get("turned"):
        return f" ({visible(evidence.assurance_reason)})" if evidence.assurance_reason else ""
    held = f", {n['blind']} of {n['blind_of']} expected values held back" if n.get("blind_of") else ""
    tests = f"{n['turned']} turned test{'s' if n['turned'] > 1 else ''}"
    return f" ({tests} failed as they must{held})" if n.get("failed") == n["turned"] else f" ({tests}{held})"


def _asked(report: Report) -> bool:
    """Whether a review was made, or somebody wanted one."""
    return report.review.status != "not-run" or not report.review.reason.startswith("nobody asked")


def paint(lines: Iterable[Line], *, color: bool) -> str:
    """The lines as text, with terminal colours if asked for."""
    if not color:
        return "".join(f"{text}\n" for _, text in lines)
    from rich.console import Console
    from rich.text import Text

    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=10_000, highlight=False, soft_wrap=True)
    for style, text in lines:
        console.print(Text(text, style=STYLES.get(style, style)))
    return stream.getvalue()
