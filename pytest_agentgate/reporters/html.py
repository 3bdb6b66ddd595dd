"""The whole report as one HTML file: no script, no network, readable on a phone, in the dark, by keyboard and screen reader. Pure.

A content-security policy in the file forbids everything but its own style sheet, which it names by its digest.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator

from pytest_agentgate.model import Finding, Report, ReviewFinding
from pytest_agentgate.reporters.common import counts, meaning, ordered
from pytest_agentgate.reporters.html_diff import render, show
from pytest_agentgate.reporters.html_tests import MOST, tests, waterfall
from pytest_agentgate.reporters.review_lines import LEVELS, money, summary

STYLE = """
:root{color-scheme:light dark;--line:#c8ccd2;--soft:#f3f4f6;--good:#0a6b2d;--bad:#b3151d;--wait:#7a4b00;--add:#e3f6e8;--del:#fde7e8;--link:#0b57d0}
@media(prefers-color-scheme:dark){:root{--line:#454b55;--soft:#22262c;--good:#6fd58f;--bad:#ff8f94;--wait:#f0b95c;--add:#12351f;--del:#431c20;--link:#8ab4f8}}
*{box-sizing:border-box}body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:75rem;padding:1rem;overflow-wrap:anywhere}
h1{margin:.2em 0}h2{margin:1.6em 0 .4em;border-bottom:1px solid var(--line)}code,pre{font-family:ui-monospace,monospace;font-size:.88em}
a{color:var(--link)}.accepted,.passed{color:var(--good)}.rejected,.failed,.reject{color:var(--bad)}.undecided,.errored,.hold{color:var(--wait)}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.25em .6em;border-bottom:1px solid var(--line);vertical-align:top}
.scroll{overflow-x:auto}.scroll th,.scroll td{overflow-wrap:normal}.scroll tbody th,.scroll td:last-child{overflow-wrap:anywhere;min-width:8em}.scroll svg{min-width:36rem}.scroll .diff td{min-width:0}.diff td{padding:0 .5em;border:0;white-space:pre}.diff td:nth-child(-n+3){color:GrayText;user-select:none;width:1%}
.diff .added{background:var(--add)}.diff .removed{background:var(--del)}.diff .hunk{background:var(--soft)}.diff .note td{white-space:normal;padding:.5em 1em;border-left:4px solid var(--wait);color:inherit}
pre{background:var(--soft);padding:.6em;overflow-x:auto;margin:.3em 0}summary{cursor:pointer;padding:.3em 0}li{margin:.5em 0}.small{font-size:.88em}
.unseen{position:absolute;left:-999em}.skip:focus{position:static;left:0}:focus-visible{outline:3px solid var(--link)}svg{width:100%;height:auto}svg rect{fill:var(--link)}svg .step{opacity:.55}svg text{fill:currentColor;font-size:13px}
@media print{details{break-inside:avoid}}
"""
DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{DIGEST}'; base-uri 'none'; form-action 'none'"


class HtmlReporter:
    """``--report html=FILE``."""

    name = "html"

    def render(self, report: Report) -> str:
        """The whole page."""
        decision = report.verdict.decision
        return "\n".join(
            [
                '<!doctype html><html lang="en"><head><meta charset="utf-8">',
                f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
                '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="referrer" content="no-referrer">',
                f"<title>agentgate: {decision}</title><style>{STYLE}</style></head><body>",
                '<a class="unseen skip" href="#findings">To the findings</a>',
                f'<header><h1 class="{decision}">{decision}</h1><p>{meaning(report)} ({show(counts(report))}).</p>',
                f"<ul>{''.join(f'<li>{show(r)}</li>' for r in report.verdict.reasons)}</ul></header><main>",
                *_checks(report),
                *_findings(report),
                *tests(report),
                *_review(report),
                *_diff(report),
                "</main>",
                *_foot(report),
                "</body></html>\n",
            ]
        )


def _checks(report: Report) -> Iterator[str]:
    yield '<h2 id="checks">Checks</h2><div class="scroll"><table><thead><tr><th scope="col">check</th><th scope="col">status</th>'
    yield '<th scope="col">examined</th><th scope="col">seconds</th><th scope="col">words</th></tr></thead><tbody>'
    for item in report.evidence:
        words = item.reason or ", ".join(f"{n} {t}" for t, n in item.tests.items())
        extra = " (cached)" if item.cached else ""
        yield (
            f'<tr><th scope="row">{show(item.check)}</th><td class="{item.status}">{item.status}{extra}</td><td>{item.examined}</td>'
            f"<td>{item.duration:.1f}</td><td>{show(words)}</td></tr>"
        )
    yield "</tbody></table></div>"
    timed = [e for e in report.evidence if e.started]
    if timed:
        yield from waterfall(timed)


def _one(finding: Finding) -> str:
    place = finding.node_id or f"{finding.path or '-'}{f':{finding.line}' if finding.line else ''}"
    allowed = " (allowed)" if finding.approved else ""
    parts = [
        f'<strong class="{finding.effect}">{finding.effect}{allowed}</strong> <code>{show(place)}</code> {show(finding.rule)}: {show(finding.message)}'
    ]
    if finding.text:
        parts.append(f"<pre>{_lines(finding.text)}</pre>")
    if finding.advice:
        parts.append(f"<p>{show(finding.advice)}</p>")
    if finding.command:
        parts.append(f'<p class="small">repeat: <code>{show(finding.command)}</code></p>')
    return "".join(parts)


def _findings(report: Report) -> Iterator[str]:
    found = ordered(report)
    yield f'<h2 id="findings">Findings ({len(found)})</h2>'
    if not found:
        yield "<p>None.</p>"
        return
    yield "<ul>"
    yield from (f"<li>{_one(f)}</li>" for _, f in found[:MOST])
    yield "</ul>"
    if len(found) > MOST:
        yield f"<p>{len(found) - MOST} more are in the JSON report.</p>"


def _claim(finding: ReviewFinding) -> str:
    rows = "".join(
        f"<dt>{n}</dt><dd>{show(v)}</dd>" for n in ("trigger", "observed", "expected", "basis") if (v := getattr(finding, n))
    )
    test = (
        f"<details><summary>the test</summary><pre>{_lines(finding.reproduction)}</pre></details>" if finding.reproduction else ""
    )
    fix = f"<details><summary>a fix that passes the gate</summary><pre>{_lines(finding.fix)}</pre></details>" if finding.fix else ""
    return (
        f"<strong>review {finding.level}</strong> <code>{show(finding.path)}:{finding.line}</code> {show(finding.claim)}"
        f"<p>{LEVELS[finding.level]}: {show(finding.why)}</p><dl>{rows}</dl>{test}{fix}"
    )


def _lines(text: str) -> str:
    return "\n".join(show(line) for line in text.splitlines())


def _review(report: Report) -> Iterator[str]:
    review = report.review
    yield f'<h2 id="review">Review</h2><p>{show(summary(review))}</p>'
    if review.spent and review.spent.estimated_usd:
        low, expected, ceiling = review.spent.estimated_usd
        yield f"<p>{show(money(review.spent))}; before: ${low:.4f} at least, ${expected:.4f} expected, ${ceiling:.4f} at most.</p>"
    if review.findings:
        yield "<ul>" + "".join(f"<li>{_claim(f)}</li>" for f in review.findings) + "</ul>"
    for title, rows in (("Not reviewed", review.unsent), ("Notes", review.notes)):
        if rows:
            yield f"<h3>{title}</h3><ul>" + "".join(f"<li>{show(r)}</li>" for r in rows) + "</ul>"
    if review.dismissed:
        items = "".join(f"<li>{show(d.reason)}: {show(d.claim)} ({show(d.words)})</li>" for d in review.dismissed)
        yield f"<details><summary>Dismissed ({len(review.dismissed)})</summary><ul>{items}</ul></details>"


def _diff(report: Report) -> Iterator[str]:
    yield '<h2 id="change">The change</h2>'
    if not report.diff:
        yield "<p>Its text is not in the report.</p>"
        return
    notes: dict[tuple[str, int], list[str]] = {}
    for _, finding in ordered(report):
        if finding.path and finding.line:
            notes.setdefault((finding.path, finding.line), []).append(_one(finding))
    for claim in report.review.findings:
        if claim.side == "head":
            notes.setdefault((claim.path, claim.last_line), []).append(_claim(claim))
    if sum(f.added_lines + f.deleted_lines for f in report.change.files) > report.diff.count("\n+") + report.diff.count("\n-"):
        yield "<p><strong>The change is longer than what is shown here.</strong></p>"
    yield from render(report.diff, notes)


def _foot(report: Report) -> Iterator[str]:
    change = report.change
    unsafe = " <strong>Unsandboxed.</strong>" if report.unsandboxed else ""
    rows = "".join(f"<li>{show(n)}</li>" for n in report.notes)
    yield (
        f'<footer class="small"><p>agentgate {show(report.version)}, assurance {show(report.assurance)}, {report.duration:.1f} s, '
        f"{show(report.interpreter)}.{unsafe} {change.source} against <code>{show(change.base[:12])}</code> ({show(change.note)}), tree "
        f"<code>{show(change.head_tree[:12])}</code>.</p><ul>{rows}</ul></footer>"
    )
