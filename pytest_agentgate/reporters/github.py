"""GitHub Actions: annotations within the platform's limits, and the job summary for the rest. Pure.

Workflow commands as in "Workflow commands for GitHub Actions": 10 errors and 10 warnings a step are shown; the rest is in the summary.
"""

from __future__ import annotations

import re

from pytest_agentgate.model import Finding, Report
from pytest_agentgate.reporters.common import meaning, ordered, path_of
from pytest_agentgate.reporters.markdown import summary
from pytest_agentgate.text import shorten, visible

MOST = 10
"""Annotations of each level and step."""
SUMMARY = 900_000
"""Bytes; GitHub takes 1 MiB a step."""


def _data(text: str) -> str:
    """The message of a workflow command: percent and line ends escaped, nothing can begin a second command."""
    return shorten(text, 1000).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """A property of a workflow command."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")


class GithubReporter:
    """``--report github``: workflow commands for standard output."""

    name = "github"

    def render(self, report: Report) -> str:
        """At most ten errors and ten warnings, and one line with the verdict."""
        found = [f for _, f in ordered(report, notes=False) if not f.approved]
        errors = [f for f in found if f.effect == "reject"]
        holds = [f for f in found if f.effect == "hold"]
        lines = [_annotation("error", f) for f in errors[:MOST]] + [_annotation("warning", f) for f in holds[:MOST]]
        rest = len(errors[MOST:]) + len(holds[MOST:])
        words = f"agentgate: {report.verdict.decision}{'' if report.judged else f' ({meaning(report)})'}" + (
            f" ({rest} more findings are in the job summary)" if rest else ""
        )
        return "\n".join([*lines, f"::notice title=agentgate::{_data(words)}"]) + "\n"


class GithubSummaryReporter:
    """``--report github-summary=$GITHUB_STEP_SUMMARY``: Markdown for the job summary."""

    name, appends = "github-summary", True

    def render(self, report: Report) -> str:
        """The whole report."""
        return summary(report, SUMMARY, lambda text: len(text.encode("utf-8", "backslashreplace")))


class GithubOutputReporter:
    """``--report github-output=$GITHUB_OUTPUT``: outputs for later steps."""

    name, appends = "github-output", True

    def render(self, report: Report) -> str:
        """`decision`, `assurance`, `tree` and counts; single words, so that no content can add an output."""
        found = [f for _, f in ordered(report) if f.counts]
        rows = {
            "decision": report.verdict.decision,
            "assurance": report.assurance,
            "tree": report.change.head_tree,
            "rejects": sum(1 for f in found if f.effect == "reject"),
            "holds": sum(1 for f in found if f.effect == "hold"),
        }
        return "".join(f"{name}={value}\n" for name, value in rows.items() if re.fullmatch(r"[\w.-]+", str(value)))


def _annotation(level: str, finding: Finding) -> str:
    place = []
    if path := path_of(finding):
        place.append(f"file={_property(visible(path))}")
        if finding.line and finding.path:
            place.append(f"line={finding.line}")
    place.append(f"title={_property(visible(finding.rule))}")
    node = f"{visible(finding.node_id)}: " if finding.node_id else ""
    return f"::{level} {','.join(place)}::{_data(node + visible(finding.message))}"
