"""One comment for a pull request, found again by a hidden marker. Pure; every word of the change is escaped."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pytest_agentgate.model import Finding, Report
from pytest_agentgate.reporters.common import MEANING, counts, ordered
from pytest_agentgate.reporters.review_lines import LEVELS, money
from pytest_agentgate.text import shorten, visible

MARKER = "<!-- agentgate:report -->"
LONGEST = 60_000
"""Characters; GitHub takes 65,536."""
SIGNS = {"accepted": "✅", "rejected": "❌", "undecided": "✋", "passed": "✅", "failed": "❌", "errored": "⚠️", "skipped": "⏭"}
SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~@&:/=^$])")


def escape(text: str, most: int = 300) -> str:
    """Untrusted text in one line of prose: no markup, HTML, link, mention, issue number or table cell can come of it."""
    flat = shorten(" ".join(visible(text).split()), most)
    # mentions and numbers of issues are looked for after entities were decoded: a zero-width space parts them
    return SPECIAL.sub(lambda m: f"&#{ord(m[1])};" + ("&#8203;" if m[1] in "@#" else ""), flat)


def code(text: str, most: int = 160) -> str:
    """Untrusted text in one line of a code block."""
    return shorten(visible(text), most)


def block(rows: list[str]) -> list[str]:
    """A fenced block that no content can end: its fence is longer than any run of backticks in it."""
    longest = max((len(m) for row in rows for m in re.findall(r"`+", row)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", *rows, fence]


class MarkdownReporter:
    """``--report markdown=FILE``: the text of one comment."""

    name = "markdown"

    def render(self, report: Report) -> str:
        """Verdict, checks, findings, review; cut at a finding where it would be too long."""
        return MARKER + "\n" + summary(report, LONGEST)


def summary(report: Report, most: int) -> str:
    """The report as Markdown of at most `most` characters."""
    decision = report.verdict.decision
    lines = [f"## {SIGNS[decision]} agentgate: {decision}", "", f"{MEANING[decision]} ({counts(report)}).", ""]
    lines += [f"- {escape(r)}" for r in report.verdict.reasons[:20]]
    lines += ["", "| check | status | seconds | |", "| --- | --- | --- | --- |"]
    for item in report.evidence[:40]:
        words = item.reason or (f"examined {item.examined}" if item.status == "passed" else "")
        lines.append(f"| {escape(item.check)} | {SIGNS[item.status]} {item.status} | {item.duration:.1f} | {escape(words, 200)} |")
    lines.append("")
    tail = ["", *_foot(report)]
    room = most - sum(len(line) + 1 for line in (*lines, *tail)) - 80
    left = 0
    for part in _parts(report):
        size = sum(len(line) + 1 for line in part)
        if size > room:
            left += 1
            continue
        lines += part
        room -= size
    if left:
        lines.append(f"*{left} more did not fit.*")
    return "\n".join([*lines, *tail]) + "\n"


def _parts(report: Report) -> Iterator[list[str]]:
    for check, finding in ordered(report):
        yield _finding(check, finding)
    for item in report.review.findings:
        head = f"- **review {item.level}** `{code(item.path).replace('`', chr(39))}:{item.line}` {escape(item.claim)}"
        rows = [f"  {row}" for row in block([code(r) for r in item.reproduction.splitlines()[:45]])] if item.reproduction else []
        yield [head, f"  {escape(LEVELS[item.level])}", *rows]
    for place in report.review.unsent:
        yield [f"- not reviewed: {escape(place)}"]


def _finding(check: str, finding: Finding) -> list[str]:
    place = finding.node_id or f"{finding.path or '-'}{f':{finding.line}' if finding.line else ''}"
    sign = "~~allowed~~ " if finding.approved else ""
    lines = [
        f"- {sign}**{finding.effect}** `{code(place).replace('`', chr(39))}` {escape(finding.rule)}: {escape(finding.message)}"
    ]
    if finding.text:
        lines += [f"  {row}" for row in block([code(r) for r in finding.text.splitlines()[:8]])]
    if finding.advice:
        lines.append(f"  {escape(finding.advice)}")
    return lines


def _foot(report: Report) -> list[str]:
    review = report.review
    words = f"review {review.status}: {escape(review.reason)}"
    if review.spent and review.spent.requests:
        words += f", {escape(money(review.spent))}"
    unsafe = " **Unsandboxed.**" if report.unsandboxed else ""
    return [
        f"<sub>assurance {escape(report.assurance)}, {words}, {report.duration:.1f} s, tree {escape(report.change.head_tree[:12])}.{unsafe}</sub>"
    ]
