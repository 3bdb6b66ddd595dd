"""GitLab code quality (a JSON list in Code Climate's form). Pure."""

from __future__ import annotations

from pytest_agentgate.model import Report
from pytest_agentgate.reporters.common import encode, fingerprints, path_of
from pytest_agentgate.text import visible

SEVERITY = {"reject": "critical", "hold": "major", "note": "info"}


class GitlabReporter:
    """``--report gitlab=gl-code-quality-report.json``."""

    name = "gitlab"

    def render(self, report: Report) -> str:
        """New findings; one without a file is put to the repository's root, because the format knows no other place."""
        rows = [
            {
                "description": f"{f.rule}: {visible(f.message)}",
                "check_name": f.rule,
                "fingerprint": mark,
                "severity": SEVERITY[f.effect],
                "location": {"path": path_of(f) or ".", "lines": {"begin": max(f.line or 1, 1)}},
            }
            for f, mark in fingerprints(report)
            if f.baseline_state == "new" and not f.approved
        ]
        return encode(rows)
