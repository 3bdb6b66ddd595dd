"""The parts of the HTML report about tests and time: the four trees, the oracle's twins, checks and their processes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_agentgate.model import Evidence, Report, TestOutcome
from pytest_agentgate.model.evidence import TREES, Outcome, Step
from pytest_agentgate.reporters.html_diff import show

MOST = 500
"""Findings, and tests, that are shown; the rest is counted."""
SHORT = {role: words.partition(":")[0] for role, words in TREES.items()}
COLOUR: dict[Outcome, str] = {"passed": "passed", "failed": "failed", "error": "failed", "missing": "failed"}


def tests(report: Report) -> Iterator[str]:
    """Anti-tests in a sentence, the tests that differ by tree, and the assertions that were judged blind."""
    turned = [e for e in report.evidence if e.anti_tests]
    rows = [o for e in report.evidence for o in e.outcomes]
    if not rows and not turned:
        return
    yield f'<h2 id="tests">Tests that differ ({len(rows)})</h2>'
    for item in turned:
        counted = item.anti_tests
        yield (
            f"<p>Anti-tests: {counted.get('failed', 0)} of {counted.get('turned', 0)} failed as they must, {counted.get('passed', 0)} passed on the "
            f"patch alone. Blind oracle: {counted.get('blind', 0)} of {counted.get('blind_of', 0)} assertions of the sample were judged with "
            f"their expected value held back; {counted.get('plain', 0)} tests were played as a plain program.</p>"
        )
    yield from _matrix(report, rows)
    yield from _twins(report)


def _matrix(report: Report, rows: Sequence[TestOutcome]) -> Iterator[str]:
    if not rows:
        return
    same = sum(n for e in report.evidence for t, n in e.tests.items() if t == "pass-to-pass")
    yield "<ul>" + "".join(f"<li>{show(words)}</li>" for words in TREES.values()) + "</ul>"
    yield f"<p>A tree without a word was not needed for that test. {same} more tests pass before and after.</p>"
    heads = "".join(f'<th scope="col">{show(s)}</th>' for s in SHORT.values())
    yield f'<div class="scroll"><table id="matrix"><thead><tr><th scope="col">test</th>{heads}<th scope="col">transition</th>'
    yield '<th scope="col">class</th></tr></thead><tbody>'
    for row in rows[:MOST]:
        cells = "".join(_cell(row.trees.get(role)) for role in TREES)
        yield f'<tr><th scope="row"><code>{show(row.node_id)}</code></th>{cells}<td>{show(row.transition)}</td><td>{show(row.classification)}</td></tr>'
    yield "</tbody></table></div>"


def _cell(outcome: Outcome | None) -> str:
    if outcome is None:
        return "<td>-</td>"
    return f'<td class="{COLOUR.get(outcome, "undecided")}">{outcome}</td>'


def _twins(report: Report) -> Iterator[str]:
    twins = [t for e in report.evidence for t in e.twins]
    if not twins:
        return
    yield f'<details id="twins"><summary>What tests come to without their answers ({len(twins)})</summary><div class="scroll"><table><thead><tr>'
    titles = ("test", "expected", "came to", "in a plain program", "other inputs that agree with the base")
    yield "".join(f'<th scope="col">{t}</th>' for t in titles) + "</tr></thead><tbody>"
    for twin in twins:
        cells = "".join(f"<td><code>{show(v)}</code></td>" for v in (twin.expected, twin.came, twin.plain, twin.beside))
        yield f'<tr><th scope="row"><code>{show(twin.node_id)}</code></th>{cells}</tr>'
    yield "</tbody></table></div></details>"


def waterfall(timed: Sequence[Evidence]) -> Iterator[str]:
    """Checks over time, each with the processes that it started."""
    begin = min(e.started for e in timed)
    end = max(e.started + e.duration for e in timed)
    scale = 700 / max(end - begin, 0.001)
    rows: list[tuple[str, float, float, str]] = []
    for item in timed:
        rows.append((item.check, item.started, item.duration, ""))
        rows += [(_words(s), s.started, s.duration, "step") for s in item.steps if not item.cached]
    height = 24 * len(rows) + 8
    yield f'<div class="scroll"><svg role="img" viewBox="0 0 900 {height}" aria-label="Checks and their processes over {end - begin:.1f} seconds">'
    for number, (words, started, duration, kind) in enumerate(rows):
        y, x, width = 24 * number + 4, 120 + (started - begin) * scale, max(duration * scale, 2)
        label = words if not kind else ""
        yield f'<text x="0" y="{y + 14}">{show(label)}</text><rect class="{kind}" x="{x:.1f}" y="{y}" width="{width:.1f}" height="16" rx="3"/>'
        said = f"{duration:.1f} s{f', {words}' if kind else ''}"
        beside = x + width + 6
        room = beside + 7 * len(said) < 900
        place = f'x="{beside:.1f}"' if room else f'x="{max(x - 6, 130):.1f}" text-anchor="end"' if x > 400 else f'x="{x + 4:.1f}"'
        yield f'<text {place} y="{y + 14}">{show(said)}</text>'
    yield "</svg></div>"


def _words(step: Step) -> str:
    tree = SHORT.get(step.tree, step.tree)
    return f"{tree}: {step.what}" if tree else step.what
