"""One comment for a pull request, found again by a hidden marker. Pure; every word of the change is escaped."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import accumulate

from pytest_agentgate.model import Finding, Report
from pytest_agentgate.reporters.common import counts, meaning, ordered
from pytest_agentgate.reporters.review_lines import LEVELS, money
from pytest_agentgate.text import shorten, visible

MARKER = "<!-- agentgate:report -->"
LONGEST = 60_000
"""Characters; GitHub takes 65,536."""
SIGNS = {"accepted": "✅", "rejected": "❌", "undecided": "✋", "passed": "✅", "failed": "❌", "errored": "⚠️", "skipped": "⏭"}
ISSUE = re.compile(r"\b(GH)-(?=\d)", re.IGNORECASE)
SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~@&:/=^$])")


def escape(text: str, most: int = 300) -> str:
    """Untrusted text in one line of prose: no markup, HTML, link, mention, issue number or table cell can come of it."""
    flat = ISSUE.sub("\\1-\u200b", shorten(" ".join(visible(text).split()), most))
    # mentions and numbers of issues are looked for after entities were decoded: a zero-width space parts them
    parts = [f"&#{ord(c)};" + ("&#8203;" if c in "@#" else "") if SPECIAL.match(c) else c for c in flat]
    sizes = accumulate(map(len, parts))
    kept = [part for part, size in zip(parts, sizes, strict=True) if size <= 3 * most]  # an entity takes twelve times the room
    return "".join(kept) + ("…" if len(kept) < len(parts) else "")


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


def summary(report: Report, most: int, measure: Callable[[str], int] = len) -> str:
    """The report as Markdown of at most `most` characters, or what else `measure` counts."""
    decision, reasons = report.verdict.decision, report.verdict.reasons
    lines = [f"## {SIGNS[decision]} agentgate: {decision}", "", f"{meaning(report)} ({counts(report)}).", ""]
    lines += [f"- {escape(r)}" for r in reasons[:10]]
    lines += [f"- and {len(reasons) - 10} more reasons"] if len(reasons) > 10 else []
    lines += ["", "| check | status | seconds | |", "| --- | --- | --- | --- |"]
    for item in report.evidence[:40]:
        words = item.reason or (f"examined {item.examined}" if item.status == "passed" else "")
        lines.append(
            f"| {escape(item.check, 60)} | {SIGNS[item.status]} {item.status} | {item.duration:.1f} | {escape(words, 200)} |"
        )
    lines.append("")
    tail = ["", *_foot(report)]
    room = most - sum(measure(line) + 1 for line in (*lines, *tail)) - 80
    left = 0
    for part in _parts(report):
        size = sum(measure(line) + 1 for line in part)
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
